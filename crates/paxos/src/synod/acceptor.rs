//! The memory of Paxos: what was promised, and what was accepted.

use super::{Message, Proposal};
use crate::Ballot;

/// What an acceptor must never forget.
///
/// Invariant: `promised` is at least the ballot of `accepted`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AcceptorState<V> {
    /// Accept nothing below this.
    pub promised: Ballot,
    /// The highest proposal accepted.
    pub accepted: Option<Proposal<V>>,
}

impl<V> Default for AcceptorState<V> {
    /// Has promised and accepted nothing.
    fn default() -> Self {
        Self { promised: Ballot::ZERO, accepted: None }
    }
}

/// A message that leaves only once `state` is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<V> {
    /// What must be durable first. It may be what is durable already; then nothing need be written.
    pub state: AcceptorState<V>,
    /// [`Message::Promise`] or [`Message::Refused`] for the proposer, [`Message::Accepted`] for the learners.
    pub message: Message<V>,
}

/// Promises and accepts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acceptor<V> {
    state: AcceptorState<V>,
}

impl<V: Clone + Eq> Acceptor<V> {
    /// Starts from what was durable; from the default if, and only if, this acceptor never answered anybody.
    ///
    /// # Panics
    /// If `state` has accepted above its promise, which no acceptor ever hands out: the storage made it up.
    pub fn new(state: AcceptorState<V>) -> Self {
        let acceptor = Self { state };
        acceptor.check();
        acceptor
    }

    /// The state as of the last answer.
    pub fn state(&self) -> &AcceptorState<V> {
        &self.state
    }

    /// Phase 1b: if the ballot is above every one promised, promise it and report the highest proposal accepted. The
    /// same ballot again is answered again: its first answer may be lost.
    pub fn handle_prepare(&mut self, ballot: Ballot) -> Answer<V> {
        if ballot < self.state.promised {
            return self.refuse(ballot);
        }
        self.state.promised = ballot;
        self.answer(Message::Promise { ballot, accepted: self.state.accepted.clone() })
    }

    /// Phase 2b: accept, unless a higher ballot has been promised. An acceptor that never heard the prepare may accept
    /// as well; that implies the promise.
    ///
    /// # Panics
    /// If two values come under one ballot: a proposer has broken its word (or come back without its durable ballot),
    /// and to accept either would risk two chosen values.
    pub fn handle_accept(&mut self, proposal: Proposal<V>) -> Answer<V> {
        if proposal.ballot < self.state.promised {
            return self.refuse(proposal.ballot);
        }
        if let Some(accepted) = &self.state.accepted
            && accepted.ballot == proposal.ballot
        {
            assert!(accepted.value == proposal.value, "two values were proposed under ballot {}", proposal.ballot);
        }
        self.state = AcceptorState { promised: proposal.ballot, accepted: Some(proposal.clone()) };
        self.answer(Message::Accepted(proposal))
    }

    /// Says once more what it accepted last, for a learner that missed it.
    pub fn repeat(&self) -> Option<Answer<V>> {
        self.state.accepted.clone().map(|proposal| self.answer(Message::Accepted(proposal)))
    }

    fn refuse(&self, ballot: Ballot) -> Answer<V> {
        self.answer(Message::Refused { ballot, promised: self.state.promised })
    }

    fn answer(&self, message: Message<V>) -> Answer<V> {
        self.check();
        Answer { state: self.state.clone(), message }
    }

    fn check(&self) {
        let accepted = self.state.accepted.as_ref().map_or(Ballot::ZERO, |accepted| accepted.ballot);
        assert!(accepted <= self.state.promised, "accepted {accepted} above the promise {}", self.state.promised);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;

    fn ballot(round: u64, node: u32) -> Ballot {
        Ballot { round, node: NodeId(node) }
    }

    #[test]
    fn promise_reports_the_highest_accepted_and_outlives_a_restart() {
        let mut acceptor = Acceptor::new(AcceptorState::default());
        let sid = Proposal { ballot: ballot(1, 1), value: "Sid" };
        acceptor.handle_accept(sid.clone());
        let answer = acceptor.handle_prepare(ballot(2, 2));
        assert_eq!(answer.message, Message::Promise { ballot: ballot(2, 2), accepted: Some(sid.clone()) });
        assert_eq!(acceptor.state(), &answer.state);
        let mut restarted = Acceptor::new(answer.state);
        let refused = Message::Refused { ballot: ballot(1, 3), promised: ballot(2, 2) };
        assert_eq!(restarted.handle_prepare(ballot(1, 3)).message, refused);
        assert_eq!(restarted.repeat().expect("it accepted").message, Message::Accepted(sid));
    }

    #[test]
    fn the_same_prepare_and_accept_are_answered_again_alike() {
        let mut acceptor = Acceptor::new(AcceptorState::default());
        let first = acceptor.handle_prepare(ballot(1, 1));
        assert_eq!(acceptor.handle_prepare(ballot(1, 1)), first);
        let proposal = Proposal { ballot: ballot(1, 1), value: 11 };
        let first = acceptor.handle_accept(proposal.clone());
        assert_eq!(acceptor.handle_accept(proposal), first);
    }

    #[test]
    #[should_panic(expected = "two values were proposed under ballot 1.n1")]
    fn two_values_under_one_ballot_stop_the_acceptor() {
        let mut acceptor = Acceptor::new(AcceptorState::default());
        acceptor.handle_accept(Proposal { ballot: ballot(1, 1), value: 11 });
        acceptor.handle_accept(Proposal { ballot: ballot(1, 1), value: 22 });
    }

    #[test]
    #[should_panic(expected = "accepted 2.n1 above the promise 1.n1")]
    fn a_made_up_state_is_not_taken() {
        let accepted = Some(Proposal { ballot: ballot(2, 1), value: 11 });
        Acceptor::new(AcceptorState { promised: ballot(1, 1), accepted });
    }
}
