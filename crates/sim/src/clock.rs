//! Time: the run's own, which only the observer sees, and each machine's two crooked clocks.

use host::{Mono, Now};
use world::Millis;

/// A moment of the run, in microseconds since it began. No machine can see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

/// One millisecond, in microseconds.
pub const MS: u64 = 1_000;
/// One second, in microseconds.
pub const SECOND: u64 = 1_000_000;

/// No run lasts so long (some days): up to here a drift fits its arithmetic.
const FOREVER: u64 = 1 << 40;

/// When every run begins, on a right wall clock: some day in 2026.
const DAWN: u64 = 1_780_000_000_000;

impl Time {
    /// This moment and `micros` more.
    #[must_use]
    pub fn plus(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds since `earlier`; 0 if that is later.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{}.{:06}", self.0 / SECOND, self.0 % SECOND))
    }
}

/// A machine's clocks: a monotonic one that runs too fast or too slow, and a wall clock that is off and may be stepped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// What the monotonic clock showed when the run began.
    pub began: u64,
    /// How much too fast it runs, in parts per million.
    pub drift_ppm: i64,
    /// How much the wall clock is ahead, in milliseconds.
    pub wall_ahead_ms: i64,
}

impl Clock {
    /// What the clocks show at `time`.
    pub fn read(&self, time: Time) -> Now {
        let wall = (DAWN + time.0 / MS).saturating_add_signed(self.wall_ahead_ms);
        Now { mono: Mono(self.mono(time)), wall: Millis(wall) }
    }

    /// The first moment at which the monotonic clock shows `mono` or later.
    pub fn when(&self, mono: Mono) -> Time {
        let elapsed = mono.0.saturating_sub(self.began);
        if elapsed > FOREVER {
            return Time(u64::MAX);
        }
        let guess = elapsed * 1_000_000 / 1_000_000_u64.saturating_add_signed(self.drift_ppm);
        // Rounding may have gone past it.
        let mut time = guess.saturating_sub(2);
        while self.mono(Time(time)) < mono.0 {
            time += 1;
        }
        Time(time)
    }

    fn mono(&self, time: Time) -> u64 {
        debug_assert!(time.0 <= FOREVER, "runs last minutes");
        let drift = time.0.cast_signed() * self.drift_ppm / 1_000_000;
        self.began + time.0.saturating_add_signed(drift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_and_a_slow_clock_are_read_and_read_backwards() {
        for drift_ppm in [-30_000, -1, 0, 7, 50_000] {
            let clock = Clock { began: 77, drift_ppm, wall_ahead_ms: -3 };
            for at in [0, 1, 999_999, 31 * SECOND + 1] {
                let mono = clock.read(Time(at)).mono;
                let back = clock.when(mono);
                assert!(back <= Time(at) && clock.read(back).mono >= mono, "{drift_ppm} {at} {back}");
            }
        }
    }
}
