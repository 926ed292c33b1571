//! The network between machines: what it does to a message, and which ways are cut.

use crate::clock::MS;
use crate::random::Random;
use paxos::NodeId;
use std::collections::BTreeSet;

/// What the network does to messages, whoever sends them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Lost, per million.
    pub loss: u32,
    /// Delivered twice, per million.
    pub duplicates: u32,
    /// Delivered late, per million: so later ones overtake it.
    pub stragglers: u32,
    /// How late at most, in microseconds.
    pub straggle: u64,
}

/// The network.
#[derive(Clone, Debug)]
pub struct Network {
    /// One-way latency of each way, in microseconds, without jitter.
    latency: Vec<Vec<u64>>,
    jitter: u64,
    /// What it does to messages.
    pub weather: Weather,
    cut: BTreeSet<(NodeId, NodeId)>,
}

/// How to cut a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// These on one side, all others on the other.
    Sides(Vec<NodeId>),
    /// Nothing arrives this way; the other way works.
    OneWay(NodeId, NodeId),
    /// Each reaches only its neighbours in this order.
    Chain(Vec<NodeId>),
    /// All reach this one, nobody reaches anybody else.
    Star(NodeId),
}

impl Network {
    /// A whole network: `latency[a][b]` is from node a + 1 to node b + 1.
    pub fn new(latency: Vec<Vec<u64>>, jitter: u64, weather: Weather) -> Self {
        Self { latency, jitter, weather, cut: BTreeSet::new() }
    }

    /// How many machines it joins.
    pub fn machines(&self) -> usize {
        self.latency.len()
    }

    /// Whether messages pass from `from` to `to`. A machine always reaches itself.
    pub fn is_open(&self, from: NodeId, to: NodeId) -> bool {
        from == to || !self.cut.contains(&(from, to))
    }

    /// Whether messages pass both ways.
    pub fn is_open_both_ways(&self, a: NodeId, b: NodeId) -> bool {
        self.is_open(a, b) && self.is_open(b, a)
    }

    /// Whether no way is cut.
    pub fn is_whole(&self) -> bool {
        self.cut.is_empty()
    }

    /// Cuts these ways, and no others.
    pub fn cut(&mut self, how: &Cut) {
        let nodes: Vec<NodeId> = (1..).map(NodeId).take(self.machines()).collect();
        self.cut = nodes
            .iter()
            .flat_map(|&from| nodes.iter().map(move |&to| (from, to)))
            .filter(|&(from, to)| from != to && how.cuts(from, to))
            .collect();
    }

    /// All ways are open again.
    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// When the copies of a message arrive, in microseconds from now: none, one or two.
    pub fn delays(&self, random: &mut Random, from: NodeId, to: NodeId) -> [Option<u64>; 2] {
        if !self.is_open(from, to) || random.chance(self.weather.loss) {
            return [None, None];
        }
        let first = self.delay(random, from, to);
        let second =
            random.chance(self.weather.duplicates).then(|| self.delay(random, from, to) + random.below(100 * MS));
        [Some(first), second]
    }

    /// How long one message takes, in microseconds.
    pub fn delay(&self, random: &mut Random, from: NodeId, to: NodeId) -> u64 {
        let base = self.latency[index(from)][index(to)];
        let late = if random.chance(self.weather.stragglers) { random.below(self.weather.straggle) } else { 0 };
        base + random.below(self.jitter) + late
    }
}

impl Cut {
    fn cuts(&self, from: NodeId, to: NodeId) -> bool {
        match self {
            Self::Sides(side) => side.contains(&from) != side.contains(&to),
            Self::OneWay(a, b) => (from, to) == (*a, *b),
            Self::Chain(order) => {
                let place = |node| order.iter().position(|&other| other == node);
                match (place(from), place(to)) {
                    (Some(a), Some(b)) => a.abs_diff(b) != 1,
                    _ => true,
                }
            }
            Self::Star(hub) => from != *hub && to != *hub,
        }
    }
}

/// Nodes count from 1, vectors from 0.
pub fn index(node: NodeId) -> usize {
    node.0 as usize - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(how: &Cut) -> Vec<(u32, u32)> {
        let mut network = Network::new(vec![vec![1; 3]; 3], 1, Weather::default());
        network.cut(how);
        let pairs = (1..=3).flat_map(|a| (1..=3).map(move |b| (a, b))).filter(|(a, b)| a != b);
        pairs.filter(|&(a, b)| network.is_open(NodeId(a), NodeId(b))).collect()
    }

    #[test]
    fn each_cut_leaves_exactly_the_ways_its_name_says() {
        assert_eq!(open(&Cut::Sides(vec![NodeId(1)])), [(2, 3), (3, 2)]);
        assert_eq!(open(&Cut::OneWay(NodeId(1), NodeId(2))), [(1, 3), (2, 1), (2, 3), (3, 1), (3, 2)]);
        let chain = Cut::Chain(vec![NodeId(1), NodeId(2), NodeId(3)]);
        assert_eq!(open(&chain), [(1, 2), (2, 1), (2, 3), (3, 2)]);
        assert_eq!(open(&Cut::Star(NodeId(3))), [(1, 3), (2, 3), (3, 1), (3, 2)]);
    }
}
