//! Nodes, ballots and slots.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A node of the cluster; shown as `n1`, `n2`, ...
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("n{}", self.0))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// Not of the form `n1`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a node: nodes are called n1, n2, ...")]
pub struct NotANode(pub String);

impl FromStr for NodeId {
    type Err = NotANode;

    fn from_str(text: &str) -> Result<Self, NotANode> {
        let number = text.strip_prefix('n').and_then(|digits| digits.parse().ok()).filter(|&n| n > 0);
        number.map(Self).ok_or_else(|| NotANode(text.to_owned()))
    }
}

/// A proposal number: a round and the node that owns it, so that no two nodes ever use the same one. Ordered by round,
/// then by node. The zero ballot belongs to nobody and is below all others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// Grows with every attempt to lead.
    pub round: u64,
    /// Whose it is.
    pub node: NodeId,
}

/// The low bits of a round count within a configuration, the high ones are its number.
const ROUND_BITS: u32 = 32;

impl Ballot {
    /// Below every ballot that is ever proposed.
    pub const ZERO: Self = Self { round: 0, node: NodeId(0) };

    /// The lowest ballot of `node` above `self`.
    #[must_use]
    pub fn next_for(self, node: NodeId) -> Self {
        Self { round: self.round + 1, node }
    }

    /// The lowest ballot of `node` above `self` and above all of configurations before the one of this number. So what was
    /// accepted in an earlier configuration can be told from what counts in this one.
    #[must_use]
    pub fn next_in(self, configuration: u64, node: NodeId) -> Self {
        let first = configuration << ROUND_BITS;
        Self { round: self.round.max(first) + 1, node }
    }

    /// The number of the configuration that it is proposed in.
    pub fn configuration(self) -> u64 {
        self.round >> ROUND_BITS
    }
}

impl Default for Ballot {
    fn default() -> Self {
        Self::ZERO
    }
}

/// Shown as `3.n1`, in later configurations as `2:3.n1`.
impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let round = self.round & ((1 << ROUND_BITS) - 1);
        if self.configuration() > 0 {
            write!(f, "{}:", self.configuration())?;
        }
        write!(f, "{round}.{}", self.node)
    }
}

impl fmt::Debug for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A position in the log. The first is 1; 0 stands before all of them.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub u64);

impl Slot {
    /// Before the first.
    pub const ZERO: Self = Self(0);

    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The one before this (0 stays 0).
    #[must_use]
    pub fn prev(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_read_as_they_are_shown_and_nobody_is_no_node() {
        assert_eq!("n1".parse(), Ok(NodeId(1)));
        assert_eq!(NodeId(42).to_string().parse(), Ok(NodeId(42)));
        assert_eq!(format!("{:>4}|{:<4}|", NodeId(7), NodeId(8)), "  n7|n8  |", "tables line them up");
        for text in ["n0", "1", "n", "n-1", "N1", "n1 "] {
            let error = NodeId::from_str(text).unwrap_err();
            assert_eq!(error, NotANode(text.to_owned()));
            assert_eq!(error.to_string(), format!("'{text}' is not a node: nodes are called n1, n2, ..."));
        }
    }

    #[test]
    fn next_ballot_of_a_node_is_the_lowest_above_in_its_configuration() {
        let node = NodeId(2);
        let first = Ballot::ZERO.next_in(0, node);
        assert_eq!((first, first.configuration()), (Ballot { round: 1, node }, 0));
        assert_eq!(first.next_for(NodeId(1)), Ballot { round: 2, node: NodeId(1) });
        let later = first.next_in(3, node);
        assert_eq!((later.configuration(), later.to_string()), (3, "3:1.n2".to_owned()), "rounds count anew");
        assert_eq!(later.next_in(3, node).to_string(), "3:2.n2");
        assert_eq!(first.next_in(0, node).to_string(), "2.n2");
    }

    #[test]
    fn slots_begin_at_one_and_stop_at_zero() {
        assert_eq!((Slot::ZERO.next(), Slot(1).prev(), Slot::ZERO.prev()), (Slot(1), Slot::ZERO, Slot::ZERO));
        assert_eq!(format!("{:>3}", Slot(7)), "  7");
    }
}
