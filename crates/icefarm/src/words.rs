//! Numbers, times and lists as people read them.

use std::fmt::Display;
use world::FieldId;

/// `4 min 10 s`: the two largest units.
pub fn duration(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")];
    let from = parts.iter().position(|(count, _)| *count > 0).unwrap_or(parts.len() - 1);
    let shown = parts[from..].iter().take(2).enumerate();
    let shown = shown.filter(|(nth, (count, _))| *nth == 0 || *count > 0);
    shown.map(|(_, (count, unit))| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

/// `n1, n2 and n3`
pub fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// `1 field`, `2 fields`
pub fn count(number: u64, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{} {word}s", thousands(number)) }
}

/// `1,234,567`
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `20.5 MB`
pub fn bytes(number: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"), (1, "B")];
    let (unit, name) = UNITS.into_iter().find(|(unit, _)| number >= *unit).unwrap_or((1, "B"));
    let tenths = number / unit * 10 + number % unit * 10 / unit;
    if unit == 1 || tenths >= 1_000 {
        format!("{} {name}", tenths / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    }
}

/// The north-west corner of a default view with `field` in its middle.
pub fn around(field: FieldId) -> FieldId {
    FieldId::new(field.x().saturating_sub(32), field.y().saturating_sub(16)).expect("nearer to the corner than a field")
}

/// Rows as columns, two spaces between them; the first row is the heading. Numbers stand to the right.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
    let width = |column| rows.iter().map(|row| cell(row, column).chars().count()).max().unwrap_or(0);
    let is_number = |text: &str| text.chars().all(|sign| sign.is_ascii_digit() || sign == ',');
    let right: Vec<bool> = (0..columns).map(|c| rows.iter().skip(1).all(|row| is_number(&cell(row, c)))).collect();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let line: Vec<String> = (0..columns)
            .map(|column| {
                let (width, cell) = (widths[column], cell(row, column));
                if right[column] { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            })
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_show_three_digits_and_their_unit() {
        let cases = [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_536, "1.5 kB"),
            (20 << 20, "20.0 MB"),
            (300 << 20, "300 MB"),
            (5 << 30, "5.0 GB"),
        ];
        for (number, expected) in cases {
            assert_eq!(bytes(number), expected);
        }
    }

    #[test]
    fn a_duration_shows_its_two_largest_units_rounded_up() {
        let cases = [
            (0, "0 s"),
            (1, "1 s"),
            (61_000, "1 min 1 s"),
            (120_000, "2 min"),
            (3_600_000, "1 h"),
            (90_061_000, "1 d 1 h"),
            (86_401_000, "1 d"),
        ];
        for (ms, text) in cases {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn lists_and_counts_read_like_sentences() {
        assert_eq!(list(["n1"]), "n1");
        assert_eq!(list(["n1", "n2", "n3"]), "n1, n2 and n3");
        assert_eq!((count(1, "field"), count(12_345, "field")), ("1 field".into(), "12,345 fields".into()));
        assert_eq!(
            (thousands(0), thousands(999), thousands(1_000_000)),
            ("0".into(), "999".into(), "1,000,000".into())
        );
    }

    #[test]
    fn a_table_is_aligned_with_its_numbers_to_the_right() {
        let rows = [["node", "leads"], ["n1", "21"], ["n10", "8"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "node  leads\nn1       21\nn10       8\n");
    }
}
