//! The will of Paxos: opens a ballot, asks what may have been chosen, proposes.

use super::{Message, Proposal};
use crate::{Ballot, NodeId, QuorumSystem};
use std::collections::BTreeMap;

/// Phase 1a, to be sent to acceptors once `ballot` is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Prepare {
    /// Must be durable first, so that this node never uses it again after a restart.
    pub ballot: Ballot,
}

impl Prepare {
    /// The message.
    pub fn message<V>(&self) -> Message<V> {
        Message::Prepare { ballot: self.ballot }
    }
}

/// Proposes values under ballots of its own.
///
/// Invariants: ballots of one proposer only rise, over restarts too; under one ballot it proposes one value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Proposer<V> {
    node: NodeId,
    quorums: QuorumSystem,
    /// The highest ballot used here or heard of.
    highest: Ballot,
    phase: Phase<V>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Phase<V> {
    Idle,
    /// Waits for promises.
    Preparing {
        ballot: Ballot,
        wish: V,
        promises: BTreeMap<NodeId, Option<Proposal<V>>>,
    },
    /// Has proposed; the ballot's value can never change.
    Proposed(Proposal<V>),
}

impl<V: Clone + Eq> Proposer<V> {
    /// `used` is the last durable ballot of this node; [`Ballot::ZERO`] if, and only if, it never prepared one.
    pub fn new(node: NodeId, quorums: QuorumSystem, used: Ballot) -> Self {
        Self { node, quorums, highest: used, phase: Phase::Idle }
    }

    /// Phase 1a: gives up what it was doing and opens a ballot above `above` and all that it has used or heard of,
    /// wishing to propose `wish`.
    pub fn prepare(&mut self, wish: V, above: Ballot) -> Prepare {
        let ballot = self.highest.max(above).next_for(self.node);
        self.highest = ballot;
        self.phase = Phase::Preparing { ballot, wish, promises: BTreeMap::new() };
        Prepare { ballot }
    }

    /// Phase 2a, as soon as a prepare quorum has promised: the value of the highest proposal they report, or the own
    /// wish if they report none. `None` while there is no quorum, and for promises that are late.
    pub fn handle_promise(
        &mut self,
        from: NodeId,
        ballot: Ballot,
        accepted: Option<Proposal<V>>,
    ) -> Option<Proposal<V>> {
        let Phase::Preparing { ballot: mine, wish, promises } = &mut self.phase else { return None };
        if ballot != *mine {
            return None;
        }
        promises.insert(from, accepted);
        if !self.quorums.prepare_quorum_where(|node| promises.contains_key(&node)) {
            return None;
        }
        // Only what voters say binds; the map may hold strangers.
        let reported = promises.iter().filter(|&(&node, _)| self.quorums.contains(node));
        let highest = reported.filter_map(|(_, accepted)| accepted.as_ref()).max_by_key(|accepted| accepted.ballot);
        let value = highest.map_or(&*wish, |accepted| &accepted.value).clone();
        let proposal = Proposal { ballot, value };
        self.phase = Phase::Proposed(proposal.clone());
        Some(proposal)
    }

    /// An acceptor has promised more. Returns whether that ends what this proposer is doing: then it should wait a while
    /// and [`prepare`](Self::prepare) again. (The ballot may still win: other acceptors may take it.)
    pub fn handle_refused(&mut self, ballot: Ballot, promised: Ballot) -> bool {
        self.highest = self.highest.max(promised);
        let ended = self.ballot() == Some(ballot);
        if ended {
            self.phase = Phase::Idle;
        }
        ended
    }

    /// The ballot under way.
    pub fn ballot(&self) -> Option<Ballot> {
        match &self.phase {
            Phase::Idle => None,
            Phase::Preparing { ballot, .. } => Some(*ballot),
            Phase::Proposed(proposal) => Some(proposal.ballot),
        }
    }

    /// What it has proposed under that ballot; to be sent again to acceptors that have not answered.
    pub fn proposed(&self) -> Option<&Proposal<V>> {
        match &self.phase {
            Phase::Proposed(proposal) => Some(proposal),
            Phase::Idle | Phase::Preparing { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposer(used: Ballot) -> Proposer<&'static str> {
        let quorums = QuorumSystem::majority((1..=3).map(NodeId)).expect("valid");
        Proposer::new(NodeId(1), quorums, used)
    }

    fn ballot(round: u64, node: u32) -> Ballot {
        Ballot { round, node: NodeId(node) }
    }

    #[test]
    fn value_of_the_highest_reported_ballot_wins_over_the_own_wish_and_over_later_reports() {
        let mut p1 = proposer(Ballot::ZERO);
        let mine = p1.prepare("Manny", ballot(6, 3)).ballot;
        assert_eq!(mine, ballot(7, 1));
        assert_eq!(p1.handle_promise(NodeId(1), mine, Some(Proposal { ballot: ballot(5, 2), value: "Scrat" })), None);
        let proposal = p1.handle_promise(NodeId(3), mine, Some(Proposal { ballot: ballot(4, 3), value: "Sid" }));
        assert_eq!(proposal, Some(Proposal { ballot: mine, value: "Scrat" }));
        let late = p1.handle_promise(NodeId(2), mine, Some(Proposal { ballot: ballot(6, 3), value: "Diego" }));
        assert_eq!(late, None, "one ballot, one value");
    }

    #[test]
    fn repeated_promises_of_one_acceptor_and_promises_of_strangers_or_for_old_ballots_make_no_quorum() {
        let mut p1 = proposer(Ballot::ZERO);
        let old = p1.prepare("Sid", Ballot::ZERO).ballot;
        let new = p1.prepare("Sid", Ballot::ZERO).ballot;
        for (from, ballot) in [(1, new), (1, new), (9, new), (2, old), (3, old)] {
            assert_eq!(p1.handle_promise(NodeId(from), ballot, None), None);
        }
        assert!(p1.handle_promise(NodeId(2), new, None).is_some());
    }

    #[test]
    fn refusal_of_the_ballot_under_way_ends_it_and_the_next_is_above_what_was_promised() {
        let mut p1 = proposer(Ballot::ZERO);
        let first = p1.prepare("Sid", Ballot::ZERO).ballot;
        assert!(p1.handle_refused(first, ballot(4, 2)));
        assert!(!p1.handle_refused(first, ballot(4, 2)), "only once");
        assert_eq!(p1.prepare("Sid", Ballot::ZERO).ballot, ballot(5, 1));
    }
}
