//! What this client knows of the nodes: who is connected, who answers how fast, and what time it is there.

use crate::routes::BrokenMap;
use crate::timers::Now;
use paxos::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;
use world::{Millis, WorldSeed};

/// Why a welcome was not believed. The connection should be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WelcomeError {
    /// Another node answers there.
    #[error("{got} answers where {expected} should")]
    OtherNode {
        /// Who was called.
        expected: NodeId,
        /// Who answered.
        got: NodeId,
    },
    /// Another world than before.
    #[error("{node} is of a world with seed {got:?}, the others are of one with seed {expected:?}")]
    OtherWorld {
        /// Who.
        node: NodeId,
        /// The seed so far.
        expected: WorldSeed,
        /// The seed now.
        got: WorldSeed,
    },
    /// Its shard map makes no sense.
    #[error(transparent)]
    Map(#[from] BrokenMap),
}

/// A node that let an attempt time out and said nothing at all meanwhile is avoided this long, unless it speaks.
const SILENCE: Duration = Duration::from_secs(5);
/// A node that answers so many microseconds later than the nearest, or half as late again, is as near: nobody feels it, and a
/// client that asked a single server for everything would wait for that one while the others had nothing to do.
const NEAR: u64 = 1_000;
/// So old may a latency become before a read by lot goes to measure it anew.
const FRESH: Duration = Duration::from_millis(100);
/// A clock further ahead of the others than this does not set the deadlines.
const MAX_SKEW_MS: u64 = 5_000;

#[derive(Debug, Default)]
struct Node {
    connected: bool,
    heard: Now,
    silent_until: Now,
    /// Smoothed, of reads that any replica answers, in microseconds.
    latency: Option<u64>,
    /// When it was last asked to see how near it is.
    explored: Option<Now>,
    /// Its wall clock, and when it told.
    clock: Option<(Millis, Now)>,
}

impl Node {
    fn is_well(&self, now: Now) -> bool {
        self.connected && self.silent_until <= now
    }
}

#[derive(Debug, Default)]
pub(crate) struct Nodes {
    nodes: BTreeMap<NodeId, Node>,
    /// The cluster's time at a moment.
    clock: (Millis, Now),
}

impl Nodes {
    pub fn welcomed(&mut self, now: Now, node: NodeId, time: Millis) {
        let entry = self.nodes.entry(node).or_default();
        *entry = Node { connected: true, heard: now, clock: Some((time, now)), ..Node::default() };
        self.set_clock(now);
    }

    pub fn disconnected(&mut self, now: Now, node: NodeId) {
        if let Some(entry) = self.nodes.get_mut(&node) {
            *entry = Node { clock: entry.clock, ..Node::default() };
            // Its clock counts until another tells the time.
            if self.nodes.values().any(|other| other.connected) {
                self.nodes.remove(&node);
                self.set_clock(now);
            }
        }
    }

    pub fn is_connected(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|node| node.connected)
    }

    /// Connected, and not silent of late.
    pub fn is_well(&self, now: Now, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|node| node.is_well(now))
    }

    pub fn heard(&mut self, now: Now, node: NodeId) {
        if let Some(entry) = self.nodes.get_mut(&node) {
            entry.heard = now;
            entry.silent_until = Now(0);
        }
    }

    /// An attempt sent at `sent` timed out: the node is suspect if it has said nothing since.
    pub fn timed_out(&mut self, now: Now, node: NodeId, sent: Now) {
        if let Some(entry) = self.nodes.get_mut(&node).filter(|entry| entry.heard <= sent) {
            entry.silent_until = now.plus(SILENCE);
        }
    }

    pub fn measured(&mut self, node: NodeId, took: Duration) {
        if let Some(entry) = self.nodes.get_mut(&node) {
            let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            entry.latency = Some(entry.latency.map_or(took, |so_far| so_far - so_far / 8 + took / 8));
        }
    }

    /// Whether it is time to see how near `node` is; then it is asked, so not again soon. However many reads there are, few of
    /// them take this way: those that go another way than the others travel alone.
    pub fn explores(&mut self, now: Now, node: NodeId) -> bool {
        let Some(entry) = self.nodes.get_mut(&node).filter(|node| node.is_well(now)) else {
            return false;
        };
        let due = entry.explored.is_none_or(|last| now.since(last) >= FRESH);
        if due {
            entry.explored = Some(now);
        }
        due
    }

    /// One of `candidates` that is well and near, the earlier in their order the better; one never measured first; `avoid` only
    /// if there is no other. Those hardly farther than the nearest are near too: who asks about many shards then spreads the work.
    pub fn nearest(
        &self,
        now: Now,
        candidates: &(impl Iterator<Item = NodeId> + Clone),
        avoid: Option<NodeId>,
    ) -> Option<NodeId> {
        let well = || {
            let known = candidates.clone().filter_map(|node| Some((node, self.nodes.get(&node)?)));
            known.filter(|&(node, entry)| entry.is_well(now) && Some(node) != avoid)
        };
        let best = well().map(|(_, entry)| entry.latency).min();
        let near = |took: Option<u64>| took <= best.flatten().map(|best| best + (best / 2).max(NEAR));
        well()
            .find_map(|(node, entry)| near(entry.latency).then_some(node))
            .or_else(|| candidates.clone().find(|node| self.is_well(now, *node)))
            .or_else(|| candidates.clone().find(|node| self.is_connected(*node)))
    }

    /// The cluster's time now. Deadlines are judged by the log's clock, which follows the leaders' wall clocks.
    pub fn time(&self, now: Now) -> Millis {
        let (time, at) = self.clock;
        time.plus(u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX))
    }

    /// A log's clock, of which the nodes' clocks gave a wrong idea.
    pub fn set_time(&mut self, now: Now, time: Millis) {
        self.clock = (time, now);
    }

    /// The clock furthest ahead, within reason: a deadline a little too late costs nothing, one too early costs the command.
    fn set_clock(&mut self, now: Now) {
        let elapsed = |at: Now| u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX);
        let mut times: Vec<Millis> =
            self.nodes.values().filter_map(|node| node.clock).map(|(time, at)| time.plus(elapsed(at))).collect();
        times.sort_unstable();
        if let (Some(middle), Some(last)) = (times.get(times.len().saturating_sub(1) / 2), times.last()) {
            self.clock = (middle.plus(MAX_SKEW_MS).min(*last), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn among_those_that_are_near_the_order_decides_and_whoever_was_never_asked_comes_first() {
        let all = [NodeId(1), NodeId(2), NodeId(3)];
        let mut nodes = Nodes::default();
        for node in all {
            nodes.welcomed(Now(0), node, Millis(0));
        }
        let nearest = |nodes: &Nodes, avoid| nodes.nearest(Now(0), &all.into_iter(), avoid);
        let back = |nodes: &Nodes| nodes.nearest(Now(0), &all.into_iter().rev(), None);
        let micros = Duration::from_micros;
        nodes.measured(NodeId(2), micros(300));
        nodes.measured(NodeId(1), micros(1_300));
        assert_eq!(nearest(&nodes, None), Some(NodeId(3)), "nobody knows how far it is");
        nodes.measured(NodeId(3), micros(1_301));
        assert_eq!((nearest(&nodes, None), back(&nodes)), (Some(NodeId(1)), Some(NodeId(2))), "3 is a little too far");
        assert_eq!(nearest(&nodes, Some(NodeId(1))), Some(NodeId(2)));
        // Far away, near is what is less than half as far again.
        let mut nodes = Nodes::default();
        for (node, took) in [(1, 61), (2, 40), (3, 60)] {
            nodes.welcomed(Now(0), NodeId(node), Millis(0));
            nodes.measured(NodeId(node), Duration::from_millis(took));
        }
        assert_eq!((nearest(&nodes, None), back(&nodes)), (Some(NodeId(2)), Some(NodeId(3))));
    }

    #[test]
    fn however_many_reads_there_are_a_node_is_seldom_asked_to_see_how_near_it_is() {
        let (mut nodes, node) = (Nodes::default(), NodeId(1));
        assert!(!nodes.explores(Now(0), node), "not connected");
        nodes.welcomed(Now(0), node, Millis(0));
        assert!(nodes.explores(Now(0), node));
        let soon = Now(0).plus(FRESH / 2);
        assert!(!nodes.explores(soon, node));
        assert!(nodes.explores(Now(0).plus(FRESH), node));
        nodes.timed_out(Now(0).plus(FRESH), node, soon);
        assert!(!nodes.explores(Now(0).plus(FRESH * 3), node), "it says nothing");
    }

    #[test]
    fn one_clock_far_ahead_does_not_set_the_deadlines() {
        let mut nodes = Nodes::default();
        nodes.welcomed(Now(0), NodeId(1), Millis(1_000_000));
        nodes.welcomed(Now(0), NodeId(2), Millis(1_000_200));
        assert_eq!(nodes.time(Now(1_000_000)), Millis(1_001_200), "the clock a little ahead counts");
        nodes.welcomed(Now(0), NodeId(3), Millis(9_000_000));
        assert_eq!(nodes.time(Now(0)), Millis(1_005_200), "one far ahead counts for a little");
    }

    #[test]
    fn the_time_survives_the_loss_of_every_connection() {
        let mut nodes = Nodes::default();
        nodes.welcomed(Now(0), NodeId(1), Millis(1_000_000));
        nodes.disconnected(Now(5_000), NodeId(1));
        assert_eq!(nodes.time(Now(2_000_000)), Millis(1_002_000));
    }
}
