//! Who takes part in a shard between two stops.
//!
//! A *stop* is a chosen value that ends a configuration at its slot and names the next one, which governs every slot behind
//! (Lamport, Malkhi and Zhou, *Reconfiguring a State Machine*, 2010). So each configuration is a Paxos of its own for its
//! stretch of the log: messages name it, and only those of the same one talk about ballots and votes.

use crate::{NodeId, QuorumSystem};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::{fmt, num::ParseIntError, str::FromStr};

/// One life of a node's disk, by a random number drawn when the data directory was made; shown as 16 hexadecimal
/// digits. A node whose disk was wiped is a new incarnation and has forgotten what the old one promised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Incarnation {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// The voters, standbys and quorum system of a shard between two stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Counts the stops before it.
    pub number: u64,
    /// Who votes, and how many it takes.
    pub quorum: QuorumSystem,
    /// Who gets everything and does not vote.
    pub standbys: BTreeSet<NodeId>,
    /// Which life of a member's disk is meant. Members of the first configuration are not named: theirs is the first
    /// that the others met.
    pub incarnations: BTreeMap<NodeId, Incarnation>,
}

impl Configuration {
    /// The one that a shard begins with.
    pub fn first(quorum: QuorumSystem) -> Self {
        Self { number: 0, quorum, standbys: BTreeSet::new(), incarnations: BTreeMap::new() }
    }

    /// As bytes, for a log.
    pub fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("a configuration has a MessagePack form")
    }

    /// From bytes; `None` if they are not a configuration that can be.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok()
    }

    /// Whether `node` votes or listens.
    pub fn contains(&self, node: NodeId) -> bool {
        self.quorum.contains(node) || self.standbys.contains(&node)
    }

    /// Voters and standbys.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.quorum.voters().iter().copied().chain(self.standbys.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four_of_five() -> Configuration {
        let quorum = QuorumSystem::majority([NodeId(1), NodeId(2), NodeId(3)]).expect("majorities always meet");
        let incarnations = BTreeMap::from([(NodeId(4), Incarnation(0xabc))]);
        Configuration { number: 7, standbys: BTreeSet::from([NodeId(4)]), incarnations, ..Configuration::first(quorum) }
    }

    #[test]
    fn log_gives_back_the_configuration_that_it_was_given() {
        let configuration = four_of_five();
        assert_eq!(Configuration::decode(&configuration.encode()), Some(configuration.clone()));
        let bytes = configuration.encode();
        assert_eq!(Configuration::decode(&bytes[..bytes.len() - 1]), None, "cut short");
    }

    #[test]
    fn voters_and_standbys_take_part_and_nobody_else() {
        let configuration = four_of_five();
        assert_eq!(configuration.members().collect::<Vec<_>>(), [NodeId(1), NodeId(2), NodeId(3), NodeId(4)]);
        let taking_part = (0..=5).map(NodeId).filter(|&node| configuration.contains(node));
        assert_eq!(taking_part.collect::<Vec<_>>(), [NodeId(1), NodeId(2), NodeId(3), NodeId(4)]);
    }

    #[test]
    fn incarnations_are_read_as_they_are_shown() {
        let shown = Incarnation(0xabc).to_string();
        assert_eq!(shown, "0000000000000abc");
        assert_eq!(shown.parse(), Ok(Incarnation(0xabc)));
        assert!("mammoth".parse::<Incarnation>().is_err());
    }
}
