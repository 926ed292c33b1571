//! What the kernel says of this process.

use std::fs;

/// What it has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time, user and system, in milliseconds.
    pub cpu_ms: u64,
    /// Memory in RAM.
    pub resident_bytes: u64,
}

/// As of now; nothing where there is no `/proc`.
pub fn usage() -> Usage {
    let cpu_ms = fs::read_to_string("/proc/self/stat").ok().and_then(|text| cpu_ms(&text)).unwrap_or(0);
    let resident_bytes = fs::read_to_string("/proc/self/statm").ok().and_then(|text| resident(&text)).unwrap_or(0);
    Usage { cpu_ms, resident_bytes }
}

fn cpu_ms(stat: &str) -> Option<u64> {
    // The program's name stands in parentheses and may hold anything; numbers follow the last one.
    let (_, numbers) = stat.rsplit_once(") ")?;
    let ticks = |index| numbers.split(' ').nth(index)?.parse::<u64>().ok();
    Some((ticks(11)? + ticks(12)?) * 1_000 / rustix::param::clock_ticks_per_second())
}

fn resident(statm: &str) -> Option<u64> {
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_something() {
        let usage = usage();
        assert!(usage.resident_bytes > 1 << 20, "{usage:?}");
    }

    #[test]
    fn the_programs_name_may_hold_anything() {
        let ticks = rustix::param::clock_ticks_per_second();
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 30 20 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_ms(stat), Some(50_000 / ticks));
        assert_eq!(cpu_ms("7 (a"), None);
    }
}
