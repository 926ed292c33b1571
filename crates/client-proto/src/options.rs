//! What an embedder may choose.

use paxos::NodeId;
use std::time::Duration;

/// Time-outs and bounds. The defaults suit a cluster whose elections take about a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// An operation ends after this, come what may; also how far ahead a command's deadline lies on the log's clock.
    /// At most [`Options::MAX_REQUEST_TIMEOUT`].
    pub request_timeout: Duration,
    /// After this the first attempt is given up and another voter asked; doubles with every attempt of the same request.
    pub attempt_timeout: Duration,
    /// A read that any replica may answer, and that one has not answered after this, is asked of another as well: looking
    /// must not be slow because a node has just died. (At most `attempt_timeout`. Somewhat more than the way to the nearest
    /// replica and back.) No more than `max_in_flight` at once and one for each sixteen answered are asked twice: where all
    /// nodes have too much to do, that would give them more.
    pub look_timeout: Duration,
    /// The first pause after a refusal; doubles up to `max_backoff`. Each pause is drawn from its upper half.
    pub min_backoff: Duration,
    /// The longest pause after a refusal (a node may ask for a longer one).
    pub max_backoff: Duration,
    /// The node that this client lives on: what any replica may answer is asked of that one where it has a replica.
    pub home: Option<NodeId>,
    /// The most operations under way at a time.
    pub max_in_flight: usize,
    /// The most command numbers between the oldest without an outcome and the newest: what shards may have to remember.
    pub max_window: usize,
}

impl Options {
    /// Shards refuse commands whose deadline is too far ahead of their log's time (120 s); this leaves room for clocks
    /// that differ.
    pub const MAX_REQUEST_TIMEOUT: Duration = Duration::from_secs(100);

    pub(crate) fn request_timeout_ms(&self) -> u64 {
        u64::try_from(self.request_timeout.as_millis()).expect("at most 100 s")
    }

    /// How long a watcher's question waits for a change. An answer comes in time, so that a node that does not answer is told
    /// from one where nothing changes.
    pub(crate) fn watch_for(&self) -> Duration {
        self.attempt_timeout / 2
    }

    /// With everything brought into its range.
    pub(crate) fn in_range(mut self) -> Self {
        const TICK: Duration = Duration::from_millis(1);
        self.request_timeout = self.request_timeout.clamp(TICK, Self::MAX_REQUEST_TIMEOUT);
        self.attempt_timeout = self.attempt_timeout.clamp(TICK, Self::MAX_REQUEST_TIMEOUT);
        self.look_timeout = self.look_timeout.clamp(TICK, self.attempt_timeout);
        self.min_backoff = self.min_backoff.clamp(TICK, Self::MAX_REQUEST_TIMEOUT);
        self.max_backoff = self.max_backoff.clamp(self.min_backoff, Self::MAX_REQUEST_TIMEOUT);
        self.max_in_flight = self.max_in_flight.clamp(1, 1 << 20);
        self.max_window = self.max_window.max(self.max_in_flight);
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(1),
            look_timeout: Duration::from_millis(100),
            min_backoff: Duration::from_millis(20),
            max_backoff: Duration::from_millis(300),
            home: None,
            max_in_flight: 8_192,
            max_window: 1 << 20,
        }
    }
}
