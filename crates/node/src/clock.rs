//! The machine's clocks, read here and nowhere below.

use host::{Mono, Now};
use rustix::time::{ClockId, clock_gettime};
use std::time::{SystemTime, UNIX_EPOCH};
use world::Millis;

/// Both clocks. The monotonic one runs through suspend, so that a machine that slept knows that time has passed.
pub fn now() -> Now {
    let boot = clock_gettime(ClockId::Boottime);
    let micros = u64::try_from(boot.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(boot.tv_nsec).unwrap_or(0) / 1_000;
    Now { mono: Mono(micros), wall: wall() }
}

/// The wall clock.
pub fn wall() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
