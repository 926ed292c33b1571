//! The two clocks, as values.

pub use shard::Mono;
use world::Millis;

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For timers, leases and freshness.
    pub mono: Mono,
    /// For log entries.
    pub wall: Millis,
}
