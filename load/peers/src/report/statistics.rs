//! Medians, and how sure one may be of them.

/// What lies in the middle of a few figures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Middle {
    /// The median.
    pub median: f64,
    /// The true median lies between these, in 93 of 100 cases or more (from five figures on; of fewer, in fewer).
    pub low: f64,
    pub high: f64,
}

/// What is meant by sure.
const SURE: f64 = 0.93;

impl Middle {
    /// Of these. The interval rests on no assumption of how they are distributed: the true median lies below all of n figures
    /// in 1 of 2^n cases, and so on (the sign test).
    #[allow(clippy::cast_precision_loss, reason = "few figures")]
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let count = figures.len();
        let (Some(&first), Some(&last)) = (figures.first(), figures.last()) else { return Self::default() };
        let median = f64::midpoint(figures[(count - 1) / 2], figures[count / 2]);
        // How often the true median lies below the (left + 1)-th of them; as often, above the same from the end.
        let (mut outside, mut way, mut left) = (0.0, 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX)), 0);
        let (mut low, mut high) = (first, last);
        while left < count / 2 {
            outside += way;
            if 1.0 - 2.0 * outside < SURE {
                break;
            }
            (low, high) = (figures[left], figures[count - 1 - left]);
            way *= (count - left) as f64 / (left + 1) as f64;
            left += 1;
        }
        Self { median, low, high }
    }
}

#[cfg(test)]
mod tests {
    use super::Middle;

    #[test]
    fn five_figures_are_sure_of_no_less_than_all_of_them_and_twenty_of_fewer() {
        let of = |count: u32| Middle::of((1..=count).rev().map(f64::from).collect());
        assert_eq!(of(5), Middle { median: 3.0, low: 1.0, high: 5.0 });
        assert_eq!(of(4), Middle { median: 2.5, low: 1.0, high: 4.0 });
        // Of 20, the 6th and the 15th: 95.9 %.
        assert_eq!(of(20), Middle { median: 10.5, low: 6.0, high: 15.0 });
        assert_eq!(of(0), Middle::default());
    }
}
