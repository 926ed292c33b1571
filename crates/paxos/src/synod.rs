//! One decision: single-decree Paxos, as in *Paxos Made Simple* (Lamport 2001, section 2).
//!
//! | role | state | in | out |
//! |---|---|---|---|
//! | [`Proposer`] | its highest ballot (durable), the phase it is in | promises, refusals | prepare, accept |
//! | [`Acceptor`] | its highest promise, what it accepted last (both durable) | prepare, accept | promise, accepted, refused |
//! | [`Learner`] | who accepted what | accepted | the chosen value |
//!
//! The three know nothing of each other and nothing of time, disks or networks. Messages may be lost, repeated, reordered
//! and late; the roles may stop and come back with what was durable.
//!
//! Each proposal number is a [`Ballot`], so that no two proposers ever share one. Section 2.2 calls the requirement that
//! makes it safe *P2c*: a proposal (n, v) is issued only if some quorum has accepted nothing below n, or v is the value of
//! the highest-numbered proposal below n that its members have accepted. Phase 1 is how a proposer finds out, and the
//! promise is what keeps the answer true.
//!
//! # What an embedder owes
//!
//! 1. [`Prepare`] leaves only when the ballot that came with it is durable, and [`Answer`]'s message only when the answer's
//!    state is.
//! 2. After a crash, a role is made anew from what was durable. An acceptor that lost it must not come back under its name.
//! 3. For liveness: lost messages are sent again (all are idempotent), and a refused proposer waits a random while, longer
//!    each time, before it tries again (section 2.4: two that do not can refuse each other for ever).

mod acceptor;
mod learner;
mod proposer;

pub use acceptor::{Acceptor, AcceptorState, Answer};
pub use learner::{Disagreement, Learner};
pub use proposer::{Prepare, Proposer};

use crate::Ballot;

/// A value and the ballot it was proposed under: a *proposal*.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Proposal<V> {
    /// Under which ballot.
    pub ballot: Ballot,
    /// What.
    pub value: V,
}

/// What the roles say to each other. The transport knows the sender.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message<V> {
    /// Phase 1a, proposer to acceptors: promise me this ballot, and report what you have accepted.
    Prepare {
        /// The proposer's ballot.
        ballot: Ballot,
    },
    /// Phase 1b, acceptor to proposer: I will accept nothing below `ballot` any more, and this is what I accepted last.
    Promise {
        /// The ballot promised.
        ballot: Ballot,
        /// The highest proposal accepted so far.
        accepted: Option<Proposal<V>>,
    },
    /// Phase 2a, proposer to acceptors: accept this.
    Accept(Proposal<V>),
    /// Phase 2b, acceptor to learners: I have accepted this.
    Accepted(Proposal<V>),
    /// Acceptor to proposer: no, I have promised more. The paper's acceptor stays silent; saying so is its optimisation
    /// of section 2.5, and only saves the proposer's time.
    Refused {
        /// The ballot refused.
        ballot: Ballot,
        /// The ballot promised.
        promised: Ballot,
    },
}
