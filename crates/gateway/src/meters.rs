//! What the gateway counts and measures, for its node's `/metrics`.

use metrics::{Counter, Gauge, Histogram};
use std::time::Duration;

/// Handles that the node has registered under names of its own.
#[derive(Clone)]
pub struct Meters {
    /// WebSockets that see something.
    pub viewers: Gauge,
    /// Blocks that somebody sees.
    pub scenes: Gauge,
    /// Bulk messages sent.
    pub messages: Counter,
    /// Bytes of them.
    pub bytes: Counter,
    /// How often a viewer's mailbox was full.
    pub held_back: Counter,
    /// From applied on this node to handed to the network, in seconds.
    pub delivery: Histogram,
    /// Requests answered.
    pub requests: Counter,
    /// Requests refused because there were too many.
    pub limited: Counter,
}

impl Meters {
    /// Handles that count for nobody.
    pub fn noop() -> Self {
        Self {
            viewers: Gauge::noop(),
            scenes: Gauge::noop(),
            messages: Counter::noop(),
            bytes: Counter::noop(),
            held_back: Counter::noop(),
            delivery: Histogram::noop(),
            requests: Counter::noop(),
            limited: Counter::noop(),
        }
    }

    pub(crate) fn watching(&self, viewers: usize, scenes: usize) {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let (viewers, scenes) = (viewers as f64, scenes as f64);
        self.viewers.set(viewers);
        self.scenes.set(scenes);
    }

    pub(crate) fn held_back(&self) {
        self.held_back.increment(1);
    }

    pub(crate) fn sent(&self, bytes: usize, late: Option<Duration>) {
        self.messages.increment(1);
        self.bytes.increment(bytes as u64);
        if let Some(late) = late {
            self.delivery.record(late);
        }
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("meters")
    }
}
