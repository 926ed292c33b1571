//! Waiting for conditions.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until `look` finds what it looks for; it says why not.
///
/// # Panics
/// If that takes longer than `within`, with the last reason.
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begin = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(why) => assert!(begin.elapsed() < within, "waited {within:?} in vain until {what}: {why}"),
        }
        // It polls: nothing tells when another process has come so far.
        sleep(PAUSE);
    }
}
