//! What was measured: counts, latencies from when each action was due, how stale answers were; second by second and in whole.

use crate::profile::Doing;
use crate::truth::Age;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longer than this counts as this long.
const LONGEST: Duration = Duration::from_mins(10);
/// Significant digits.
const DIGITS: u8 = 3;
/// Sentences about wrong answers that are kept.
const SENTENCES: usize = 10;

/// Microseconds, up to ten minutes.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, micros(LONGEST), DIGITS).expect("bounds and digits are constants that fit each other")
}

/// Adds a time.
pub fn note(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(micros(time).max(1));
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// At this quantile, in milliseconds.
pub fn ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "far from 2^53 microseconds")]
    let micros = histogram.value_at_quantile(quantile) as f64;
    micros / 1e3
}

/// One second.
#[derive(Clone, Debug, Default)]
pub struct Second {
    /// Which, from the beginning of the warm-up.
    pub nth: u32,
    /// Actions answered.
    pub done: u64,
    /// Actions that were finally not answered.
    pub errors: u64,
    /// In milliseconds.
    pub p50_ms: f64,
    /// In milliseconds.
    pub p99_ms: f64,
    /// In milliseconds.
    pub p999_ms: f64,
    /// Reads that need not be fresh, and how many of them were not.
    pub weak_reads: u64,
    /// See there.
    pub stale_reads: u64,
    /// How long stale ones had been so, 99 of 100, in milliseconds.
    pub staleness_p99_ms: f64,
    /// Under way at its end.
    pub in_flight: usize,
}

/// Everything that was measured.
#[derive(Debug)]
pub struct Tally {
    /// All actions, and of each kind.
    pub all: Histogram<u64>,
    kinds: Vec<Histogram<u64>>,
    /// From when an action was due to when it was sent: whatever of the latency is the generator's own.
    pub late: Histogram<u64>,
    /// Since when weaker reads had been stale, microseconds; fresh ones count as 1.
    pub staleness: Histogram<u64>,
    /// What receipts said at most, where they said something.
    pub bounds: Histogram<u64>,
    /// Reads that need not be fresh.
    pub weak_reads: u64,
    /// Those of them that were not.
    pub stale_reads: u64,
    /// By what was done: the rules said no.
    pub rejected: BTreeMap<&'static str, u64>,
    /// By reason.
    pub errors: BTreeMap<&'static str, u64>,
    /// Answers that cannot be true, in the warm-up too.
    pub wrong: u64,
    /// The first of them.
    pub sentences: Vec<String>,
    /// Answered in time to count for the throughput.
    pub done: u64,
    /// Claims among those.
    pub claims: u64,
    /// Second by second.
    pub seconds: Vec<Second>,
    second: Histogram<u64>,
    second_staleness: Histogram<u64>,
    now: Second,
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            all: histogram(),
            kinds: Doing::ALL.iter().map(|_| histogram()).collect(),
            late: histogram(),
            staleness: histogram(),
            bounds: histogram(),
            weak_reads: 0,
            stale_reads: 0,
            rejected: BTreeMap::new(),
            errors: BTreeMap::new(),
            wrong: 0,
            sentences: Vec::new(),
            done: 0,
            claims: 0,
            seconds: Vec::new(),
            second: histogram(),
            second_staleness: histogram(),
            now: Second::default(),
        }
    }

    /// Of one kind.
    pub fn kind(&self, doing: Doing) -> &Histogram<u64> {
        &self.kinds[doing.index()]
    }

    /// An action was answered this long after it was due. `measured`: it was due after the warm-up and before the end.
    pub fn answered(&mut self, doing: Doing, latency: Duration, measured: bool) {
        self.now.done += 1;
        note(&mut self.second, latency);
        if measured {
            note(&mut self.all, latency);
            note(&mut self.kinds[doing.index()], latency);
        }
    }

    /// It was answered while the throughput was measured.
    pub fn counts(&mut self, doing: Doing) {
        self.done += 1;
        self.claims += u64::from(doing == Doing::Claim);
    }

    /// The rules said no.
    pub fn rejected(&mut self, doing: Doing) {
        *self.rejected.entry(doing.word()).or_default() += 1;
    }

    /// It was finally not answered.
    pub fn error(&mut self, reason: &'static str, measured: bool) {
        self.now.errors += 1;
        if measured {
            *self.errors.entry(reason).or_default() += 1;
        }
    }

    /// An answer that cannot be true; says whether it is among the first.
    pub fn wrong(&mut self, sentence: String) -> bool {
        self.wrong += 1;
        let first = self.sentences.len() < SENTENCES;
        if first {
            self.sentences.push(sentence);
        }
        first
    }

    /// A read that need not be fresh was so old.
    pub fn age(&mut self, age: Age, measured: bool) {
        let stale = !age.missed.is_zero();
        self.now.weak_reads += 1;
        self.now.stale_reads += u64::from(stale);
        note(&mut self.second_staleness, age.missed);
        if measured {
            self.weak_reads += 1;
            self.stale_reads += u64::from(stale);
            note(&mut self.staleness, age.missed);
            if let Some(bound) = age.bound {
                note(&mut self.bounds, bound);
            }
        }
    }

    /// A second is over.
    pub fn tick(&mut self, in_flight: usize) -> &Second {
        let nth = self.now.nth + 1;
        let ended = std::mem::replace(&mut self.now, Second { nth, ..Second::default() });
        self.seconds.push(Second {
            p50_ms: ms(&self.second, 0.5),
            p99_ms: ms(&self.second, 0.99),
            p999_ms: ms(&self.second, 0.999),
            staleness_p99_ms: ms(&self.second_staleness, 0.99),
            in_flight,
            ..ended
        });
        self.second.reset();
        self.second_staleness.reset();
        self.seconds.last().expect("pushed just now")
    }
}
