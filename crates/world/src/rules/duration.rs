//! Durations as people write them in a world file: `20s`, `45m`, `8h`, `2d`.

/// The longest that a crop may take: 30 days.
pub(super) const LONGEST_MS: u32 = 30 * 24 * 3_600 * 1_000;

/// Milliseconds; the error is what is wrong with it.
pub(super) fn parse(text: &str) -> Result<u32, String> {
    const FORM: &str = "write a whole number and a unit, such as 20s, 45m, 8h or 2d";
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms: u64 = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("'{text}' is not a duration: {FORM}")),
    };
    let number: u64 = match number.parse() {
        Ok(number) => number,
        Err(_) if number.is_empty() => return Err(format!("'{text}' is not a duration: {FORM}")),
        Err(_) => return Err(format!("'{text}' is too long: at most 30d")),
    };
    match number.checked_mul(unit_ms).map(u32::try_from) {
        Some(Ok(0)) => Err(format!("'{text}' is no time at all: at least 1s")),
        Some(Ok(ms)) if ms <= LONGEST_MS => Ok(ms),
        _ => Err(format!("'{text}' is too long: at most 30d")),
    }
}
