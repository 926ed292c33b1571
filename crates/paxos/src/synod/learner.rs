//! The knowledge of Paxos: which value an accept quorum has accepted.

use super::Proposal;
use crate::{Ballot, NodeId, QuorumSystem};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Two values where Paxos allows one: an acceptor forgot, a proposer broke its word, or two quorums missed each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement<V> {
    /// What was chosen, or accepted under the same ballot.
    pub known: Proposal<V>,
    /// What contradicts it.
    pub other: Proposal<V>,
}

impl<V: fmt::Display> fmt::Display for Disagreement<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { known: Proposal { value, ballot }, other } = self;
        let Proposal { value: different, ballot: then } = other;
        write!(
            f,
            "agreement is broken: {value} was known under ballot {ballot}, then {different} came under ballot {then}"
        )
    }
}

impl<V: fmt::Debug + fmt::Display> std::error::Error for Disagreement<V> {}

/// Collects acceptances until it knows what is chosen. Any number of learners may listen; one that was away catches up
/// from another's [`chosen`](Self::chosen), or from what acceptors [repeat](super::Acceptor::repeat).
///
/// Memory: one entry per ballot heard of until the value is known, none afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learner<V> {
    quorums: QuorumSystem,
    votes: BTreeMap<Ballot, (V, BTreeSet<NodeId>)>,
    chosen: Option<Proposal<V>>,
}

impl<V: Clone + Eq> Learner<V> {
    /// Knows nothing yet.
    pub fn new(quorums: QuorumSystem) -> Self {
        Self { quorums, votes: BTreeMap::new(), chosen: None }
    }

    /// The chosen value, and the lowest ballot this learner knows it to be chosen under.
    pub fn chosen(&self) -> Option<&Proposal<V>> {
        self.chosen.as_ref()
    }

    /// Acceptor `from` has accepted `proposal`. Returns the value when this makes it known. Votes count per ballot:
    /// acceptances of one value under different ballots do not add up.
    pub fn handle_accepted(&mut self, from: NodeId, proposal: Proposal<V>) -> Result<Option<V>, Disagreement<V>> {
        if self.chosen.is_some() {
            return self.compare(proposal).map(|()| None);
        }
        if !self.quorums.contains(from) {
            return Ok(None);
        }
        let ballot = proposal.ballot;
        let (value, voters) = self.votes.entry(ballot).or_insert_with(|| (proposal.value.clone(), BTreeSet::new()));
        if *value != proposal.value {
            return Err(Disagreement { known: Proposal { ballot, value: value.clone() }, other: proposal });
        }
        voters.insert(from);
        if !self.quorums.is_accept_quorum(voters) {
            return Ok(None);
        }
        self.handle_chosen(proposal)
    }

    /// Another learner knows that `proposal` is chosen. Returns the value if it is news.
    pub fn handle_chosen(&mut self, proposal: Proposal<V>) -> Result<Option<V>, Disagreement<V>> {
        if let Some(known) = &mut self.chosen {
            if known.value != proposal.value {
                return Err(Disagreement { known: known.clone(), other: proposal });
            }
            known.ballot = known.ballot.min(proposal.ballot);
            return Ok(None);
        }
        // Whatever was accepted above the chosen ballot must carry its value (Lamport's P2b).
        let votes = std::mem::take(&mut self.votes);
        self.chosen = Some(proposal.clone());
        for (ballot, (value, _)) in votes {
            self.compare(Proposal { ballot, value })?;
        }
        Ok(Some(proposal.value))
    }

    /// Checks what was accepted somewhere against what is known to be chosen.
    fn compare(&self, accepted: Proposal<V>) -> Result<(), Disagreement<V>> {
        match &self.chosen {
            Some(known) if accepted.ballot >= known.ballot && accepted.value != known.value => {
                Err(Disagreement { known: known.clone(), other: accepted })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learner() -> Learner<&'static str> {
        Learner::new(QuorumSystem::majority((1..=3).map(NodeId)).expect("valid"))
    }

    fn proposal(round: u64, value: &'static str) -> Proposal<&'static str> {
        Proposal { ballot: Ballot { round, node: NodeId(1) }, value }
    }

    #[test]
    fn acceptances_under_different_ballots_repeated_ones_and_strangers_do_not_add_up() {
        let mut learner = learner();
        for (from, round) in [(1, 1), (1, 1), (2, 2), (7, 1), (8, 2)] {
            assert_eq!(learner.handle_accepted(NodeId(from), proposal(round, "Sid")), Ok(None));
        }
        assert_eq!(learner.handle_accepted(NodeId(3), proposal(2, "Sid")), Ok(Some("Sid")));
        assert_eq!(learner.chosen(), Some(&proposal(2, "Sid")));
    }

    #[test]
    fn an_older_losing_value_is_no_contradiction_but_a_later_different_one_is() {
        let mut learner = learner();
        assert_eq!(learner.handle_chosen(proposal(5, "Scrat")), Ok(Some("Scrat")));
        assert_eq!(learner.handle_accepted(NodeId(1), proposal(4, "Sid")), Ok(None));
        let broken = Disagreement { known: proposal(5, "Scrat"), other: proposal(6, "Sid") };
        assert_eq!(learner.handle_accepted(NodeId(1), proposal(6, "Sid")), Err(broken.clone()));
        assert_eq!(
            broken.to_string(),
            "agreement is broken: Scrat was known under ballot 5.n1, then Sid came under ballot 6.n1"
        );
    }

    #[test]
    fn what_is_chosen_may_be_told_again_and_not_otherwise() {
        let mut learner = learner();
        assert_eq!(learner.handle_chosen(proposal(5, "Scrat")), Ok(Some("Scrat")));
        assert_eq!(learner.handle_chosen(proposal(3, "Scrat")), Ok(None));
        assert_eq!(learner.chosen(), Some(&proposal(3, "Scrat")), "it was chosen as early as that");
        let broken = Disagreement { known: proposal(3, "Scrat"), other: proposal(9, "Sid") };
        assert_eq!(learner.handle_chosen(proposal(9, "Sid")), Err(broken));
    }

    #[test]
    fn votes_heard_before_the_choice_are_held_against_it() {
        let mut learner = learner();
        assert_eq!(learner.handle_accepted(NodeId(1), proposal(9, "Sid")), Ok(None));
        assert!(learner.handle_chosen(proposal(5, "Scrat")).is_err());
    }

    #[test]
    fn two_values_under_one_ballot_are_reported() {
        let mut learner = learner();
        assert_eq!(learner.handle_accepted(NodeId(1), proposal(1, "Sid")), Ok(None));
        assert!(learner.handle_accepted(NodeId(2), proposal(1, "Scrat")).is_err());
    }
}
