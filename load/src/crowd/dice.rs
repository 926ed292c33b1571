//! Chance that can be played again: what is drawn depends on the seed, the player and how many steps it has taken, and on
//! nothing else; nothing is remembered of it.

/// A good mixture of 64 bits (the finalizer of Steele, Lea and Flood's `SplitMix64`, 2014).
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// One step's draws.
#[derive(Clone, Copy, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Of this player's step.
    pub fn new(seed: u64, player: u32, step: u32) -> Self {
        Self(mix(seed ^ mix(u64::from(player) << 32 | u64::from(step))))
    }

    /// Any 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Less than `bound`, each as likely (but for a 2^-32th).
    pub fn below(&mut self, bound: u32) -> u32 {
        let product = (self.next() >> 32) * u64::from(bound);
        u32::try_from(product >> 32).expect("less than the bound")
    }

    /// From 0 on, below 1.
    pub fn unit(&mut self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }

    /// Exponentially distributed around 1: the time between events that have nothing to do with each other.
    pub fn gap(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_the_same_again_and_others_for_others() {
        let first = |player, step| Dice::new(7, player, step).next();
        assert_eq!(first(1, 2), first(1, 2));
        assert!(first(1, 2) != first(2, 1) && first(1, 2) != first(1, 3) && Dice::new(8, 1, 2).next() != first(1, 2));
    }

    #[test]
    fn draws_are_spread_as_they_should_be() {
        let mut dice = Dice::new(7, 1, 2);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[dice.below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        let mean = (0..100_000).map(|_| dice.gap()).sum::<f64>() / 1e5;
        assert!((0.98..1.02).contains(&mean), "{mean}");
    }
}
