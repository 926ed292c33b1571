//! Who is to be woken when.
//!
//! Nearly every request is answered long before its time-outs, so these must cost next to nothing: all time-outs of one
//! length wait in one queue, which is in order by itself. Only back-offs, whose lengths are drawn, need a heap. What has
//! been settled meanwhile is dropped when it comes to the front, or by a sweep once the queue has grown too long.

use crate::slab::Key;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// A moment on the embedder's own clock, which never runs backwards: microseconds since whenever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Now(pub u64);

impl Now {
    /// This moment and `time` more.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was (zero if it is yet to come).
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Swept when longer than this and four times what it held after the last sweep.
const SWEEP_FROM: usize = 16_384;

/// Moments in order, each with whom it is for.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    entries: VecDeque<(Now, T)>,
    sweep_at: usize,
}

impl<T: Copy> Queue<T> {
    pub fn new() -> Self {
        Self { entries: VecDeque::new(), sweep_at: SWEEP_FROM }
    }

    /// `when` is not before any earlier one.
    pub fn push(&mut self, when: Now, whom: T, is_live: impl Fn(T) -> bool) {
        debug_assert!(self.entries.back().is_none_or(|(last, _)| *last <= when), "in order");
        self.drop_stale(&is_live);
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|(_, whom)| is_live(*whom));
            self.sweep_at = SWEEP_FROM.max(self.entries.len() * 4);
        }
        self.entries.push_back((when, whom));
    }

    /// The next that is still wanted.
    pub fn next(&mut self, is_live: impl Fn(T) -> bool) -> Option<Now> {
        self.drop_stale(&is_live);
        self.entries.front().map(|(when, _)| *when)
    }

    /// Takes one that is due.
    pub fn pop_due(&mut self, now: Now) -> Option<T> {
        self.entries.pop_front_if(|(when, _)| *when <= now).map(|(_, whom)| whom)
    }

    fn drop_stale(&mut self, is_live: &impl Fn(T) -> bool) {
        while self.entries.pop_front_if(|(_, whom)| !is_live(*whom)).is_some() {}
    }
}

/// How often an attempt's time-out doubles.
const LEVELS: usize = 7;

#[derive(Debug)]
pub(crate) struct Timers {
    /// By how often the time-out has doubled; of attempts, by label.
    pub attempts: [Queue<u64>; LEVELS],
    /// Of reads that another replica could answer as well; by label.
    pub looks: Queue<u64>,
    /// Of operations.
    pub totals: Queue<Key>,
    /// Of parts that wait.
    backoffs: BinaryHeap<Reverse<(Now, Key)>>,
}

impl Timers {
    /// The highest doubling.
    pub const TOP: usize = LEVELS - 1;

    pub fn new() -> Self {
        Self {
            attempts: std::array::from_fn(|_| Queue::new()),
            looks: Queue::new(),
            totals: Queue::new(),
            backoffs: BinaryHeap::new(),
        }
    }

    pub fn push_backoff(&mut self, when: Now, part: Key) {
        self.backoffs.push(Reverse((when, part)));
    }

    /// The next back-off that is still wanted.
    pub fn next_backoff(&mut self, is_live: impl Fn(Now, Key) -> bool) -> Option<Now> {
        while let Some(Reverse((when, part))) = self.backoffs.peek() {
            if is_live(*when, *part) {
                return Some(*when);
            }
            self.backoffs.pop();
        }
        None
    }

    /// Takes a back-off that is due, wanted or not.
    pub fn pop_backoff(&mut self, now: Now) -> Option<(Now, Key)> {
        self.backoffs.peek().filter(|Reverse((when, _))| *when <= now)?;
        self.backoffs.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_entry_in_front_does_not_let_the_queue_grow() {
        let mut queue = Queue::new();
        for whom in 0..1_000_000_u64 {
            queue.push(Now(whom), whom, |whom| whom == 0);
        }
        assert!(queue.entries.len() <= SWEEP_FROM + 1, "{}", queue.entries.len());
        assert_eq!(queue.next(|whom| whom == 0), Some(Now(0)));
    }
}
