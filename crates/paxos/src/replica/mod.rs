//! Multi-Paxos: one replica of a log of decisions.
//!
//! A replica is acceptor, learner and, at times, candidate or leader in one. It follows *Paxos Made Simple*, section 3:
//! phase 1 runs once for all open slots, phase 2 per slot, pipelined. What it adds, and where that comes from:
//!
//! * **Canvass** (pre-vote; Ongaro 2014, section 9.6): nobody raises its ballot before a prepare quorum would join, and a
//!   voter that hears a quorum-connected leader would not. So a node that comes back disturbs nobody.
//! * **A promise tells what is chosen.** A candidate proposes nothing at or below the highest watermark its promises show:
//!   it fetches those slots first.
//! * **Acks are cumulative and name their ballot**: each slot from the ballot's first through `through` is durably accepted
//!   here under this ballot, or durably known here to be chosen. (The second half cannot mislead a leader that counts acks
//!   to find out what is chosen: what is chosen is chosen. It spares a lagging voter from voting again on history.)
//! * **Watermarks name their ballot**: what lies below counts as chosen here only if it was accepted here under that
//!   ballot; the rest is fetched.
//!
//! # Invariants (asserted after every step)
//!
//! * one value per (slot, ballot); a chosen slot never changes its value;
//! * every accepted ballot is at most the promised one;
//! * delivered <= chosen; kept <= chosen;
//! * a leader's start is at most its chosen + 1, and everything from there to its last slot is accepted under its ballot.

mod acceptor;
mod candidate;
mod catchup;
mod leader;
mod membership;
mod tail;

use crate::{Ballot, Configuration, Liveness, Message, NodeId, QuorumSystem, Record, Recovered, Slot, Value};
use acceptor::Marks;
use candidate::{Candidacy, Canvass};
use catchup::{Catchup, Inquiry};
use leader::{Held, Office};
use std::collections::VecDeque;
use tail::{Entry, Tail};

/// Counts a replica's records: record number n is durable once token n is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What the embedder has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Append this to the log; report the token when it is durable.
    Persist {
        /// What to write.
        record: Record,
        /// Its number.
        token: Token,
    },
    /// Send this, not before `after` is durable.
    Send {
        /// To whom.
        to: NodeId,
        /// The number of the sender's configuration.
        configuration: u64,
        /// What.
        message: Message,
        /// What must be durable first; `None`: nothing.
        after: Option<Token>,
    },
    /// Read chosen values after this slot from the log for a peer that lags, and hand them to
    /// [`Replica::handle_log_read`].
    ReadLog {
        /// Who asked.
        to: NodeId,
        /// It holds everything up to here.
        after: Slot,
        /// What the log holds beyond this is not known to be chosen.
        through: Slot,
    },
    /// `from` cannot serve from its log what is missing here: fetch a snapshot, and call [`Replica::install`].
    WantSnapshot {
        /// Who has one.
        from: NodeId,
    },
    /// All reads of this round and before may be answered once their slot is applied.
    ReadsConfirmed {
        /// The round that [`Replica::begin_read`] gave.
        round: u64,
    },
}

/// A read that waits for its confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadTicket {
    /// Confirmed once [`Effect::ReadsConfirmed`] names this round or a later one.
    pub round: u64,
    /// The state must hold everything up to this slot.
    pub index: Slot,
}

/// The office was lost, or never held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this replica does not lead")]
pub struct NotLeader;

pub use membership::StopError;

/// Why a leader cannot hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// There is nothing to hand over.
    #[error("this replica does not lead")]
    NotLeader,
    /// The successor could not lead.
    #[error("it does not vote in this shard")]
    NotAVoter,
    /// It has acknowledged nothing in this office yet.
    #[error("it has not been heard in this office")]
    Unheard,
    /// It lacks what was proposed.
    #[error("it is {slots} slots behind")]
    Behind {
        /// How many.
        slots: u64,
    },
}

/// What a replica does beside accepting.
#[derive(Debug)]
enum Role {
    Follower,
    Canvassing(Canvass),
    Candidate(Candidacy),
    Leader(Office),
}

/// The ballot this acceptor last accepted anything under, and how far.
#[derive(Clone, Copy, Debug)]
struct Following {
    ballot: Ballot,
    /// The first slot the ballot proposed anything at.
    start: Slot,
    /// Every slot from `start` through here is accepted here under `ballot`, or known here to be chosen.
    through: Slot,
}

/// One replica. See the module for what it promises, the crate for what it is owed.
#[derive(Debug)]
pub struct Replica {
    me: NodeId,
    configuration: Configuration,
    promised: Ballot,
    /// The highest ballot heard of, promised or not: the next one of ours is above it.
    highest: Ballot,
    tail: Tail,
    chosen: Slot,
    delivered: Slot,
    /// Every voter holds everything up to here.
    kept: Slot,
    /// A restart would find everything up to here known chosen.
    safe: Slot,
    /// Records on their way to the disk, each with how far a restart would then know chosen.
    saving: VecDeque<(Token, Slot)>,
    /// Peers cannot be served anything before this slot, not even from the disk.
    first: Slot,
    /// It takes part in no configuration before the one of this number.
    floor: u64,
    /// Something behind the stop that this configuration began with is chosen.
    beyond_stop: bool,
    /// Whose snapshot was installed last, until what follows it is here: its log goes on from there, others' may not.
    source: Option<NodeId>,
    /// The highest number of a configuration heard of.
    heard_of: u64,
    inquiry: Inquiry,
    following: Option<Following>,
    /// A ballot whose leader has said that it holds it no more.
    released: Option<Ballot>,
    catchup: Option<Catchup>,
    role: Role,
    appended: Token,
    durable: Token,
    effects: VecDeque<Effect>,
}

impl Replica {
    /// A replica as its log shows it; `Recovered::fresh()` for one that never was. `configuration`: the one that governs the
    /// slot behind `recovered.applied`.
    pub fn new(me: NodeId, mut configuration: Configuration, recovered: Recovered) -> Self {
        let mut tail = Tail::default();
        for (slot, (ballot, value)) in recovered.entries {
            tail.insert(slot, Entry { ballot, value });
        }
        // What the log calls chosen counts only as far as it is here without a gap.
        let (mut chosen, mut since) = (recovered.applied, recovered.since);
        while chosen < recovered.chosen && tail.get(chosen.next()).is_some() {
            chosen = chosen.next();
            if let Some(Entry { value: Value::Stop(next), .. }) = tail.get(chosen) {
                (configuration, since) = ((**next).clone(), chosen);
            }
        }
        tail.forget_earlier(configuration.number, chosen);
        Self {
            me,
            configuration,
            promised: recovered.promised,
            highest: recovered.promised,
            tail,
            chosen,
            delivered: recovered.applied,
            kept: Slot::ZERO,
            safe: chosen,
            saving: VecDeque::new(),
            first: recovered.first,
            floor: recovered.floor,
            beyond_stop: chosen > since,
            source: None,
            heard_of: 0,
            inquiry: Inquiry::default(),
            following: None,
            released: None,
            catchup: None,
            role: Role::Follower,
            appended: Token(0),
            durable: Token(0),
            effects: VecDeque::new(),
        }
    }

    /// Takes in a peer's message, sent in the configuration of this number.
    pub fn handle_message(&mut self, from: NodeId, configuration: u64, message: Message, liveness: &mut dyn Liveness) {
        if self.is_common_ground(from, configuration, &message) {
            self.take(from, configuration, message, liveness);
        }
        self.check();
    }

    fn take(&mut self, from: NodeId, configuration: u64, message: Message, liveness: &mut dyn Liveness) {
        match message {
            Message::Canvass { ballot } => self.on_canvass(from, ballot, liveness),
            Message::Canvassed { ballot, promised, leader } => {
                self.on_canvassed(from, ballot, promised, leader, liveness);
            }
            Message::TakeOver { ballot } => self.on_take_over(from, ballot, liveness),
            Message::Prepare { ballot, chosen, released } => {
                self.on_prepare(from, ballot, chosen, released, liveness);
            }
            Message::Promise { ballot, chosen, first: _, accepted } => self.on_promise(from, ballot, chosen, accepted),
            Message::Accept { ballot, start, at, values, chosen, kept } => {
                self.on_accept(from, ballot, start, at, values, Marks { chosen, kept });
            }
            Message::Ack { ballot, through, chosen, safe, gap } => {
                self.on_ack(from, ballot, through, Held { chosen, safe }, gap);
            }
            Message::Refuse { ballot, promised } => self.on_refuse(ballot, promised),
            Message::Watermark { ballot, start, chosen, kept } => {
                self.on_watermark(from, ballot, start, Marks { chosen, kept });
            }
            Message::Fetch { after } => self.on_fetch(from, after),
            Message::Learn { at, values, chosen } => self.on_learn(from, at, values, chosen),
            Message::Ahead { chosen } => self.on_ahead(from, configuration, chosen),
            Message::Trimmed { first } => self.on_trimmed(from, first),
            Message::Confirm { ballot, round } => self.on_confirm(from, ballot, round),
            Message::Confirmed { ballot, round } => self.on_confirmed(from, ballot, round),
        }
    }

    /// Everything up to `token` is durable.
    pub fn handle_persisted(&mut self, token: Token) {
        assert!(token <= self.appended, "token {token:?} was never given out");
        self.durable = self.durable.max(token);
        while let Some((_, safe)) = self.saving.pop_front_if(|&mut (token, _)| token <= self.durable) {
            self.safe = self.safe.max(safe);
        }
        self.update_kept();
        match self.role {
            Role::Candidate(_) => self.count_promises(),
            Role::Leader(_) => self.count_votes(),
            Role::Follower | Role::Canvassing(_) => {}
        }
        self.check();
    }

    /// A checkpoint with everything up to `slot` is durable.
    pub fn handle_checkpointed(&mut self, slot: Slot) {
        assert!(slot <= self.delivered, "checkpointed {slot} but delivered {}", self.delivered);
        self.safe = self.safe.max(slot);
        self.update_kept();
        self.check();
    }

    /// The next thing to do, if any.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The next chosen value, in order, if it is here.
    pub fn poll_chosen(&mut self) -> Option<(Slot, Value)> {
        if self.delivered >= self.chosen {
            return None;
        }
        let slot = self.delivered.next();
        let value = self.tail.get(slot).expect("what is chosen here and not delivered is in memory").value.clone();
        self.delivered = slot;
        self.tail.forget(self.delivered, self.kept);
        Some((slot, value))
    }

    /// Who this is.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// The quorum system, and with it the voters.
    pub fn quorum(&self) -> &QuorumSystem {
        &self.configuration.quorum
    }

    /// Who takes part.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The highest ballot promised.
    pub fn promised(&self) -> Ballot {
        self.promised
    }

    /// All slots up to here are chosen, and their values are here.
    pub fn chosen(&self) -> Slot {
        self.chosen
    }

    /// Every member holds everything up to here and will never forget that it is chosen: nobody will ask for it again.
    pub fn kept(&self) -> Slot {
        self.kept
    }

    /// The ballot of the leader that this replica is, or follows, if any.
    pub fn leader(&self) -> Option<Ballot> {
        match &self.role {
            Role::Leader(office) => Some(office.ballot),
            Role::Follower | Role::Canvassing(_) => {
                self.following.map(|f| f.ballot).filter(|&ballot| ballot == self.promised)
            }
            Role::Candidate(_) => None,
        }
    }

    /// Whether this replica may leave the ballot it has promised for one of `candidate`'s.
    fn may_leave(&self, candidate: NodeId, liveness: &dyn Liveness) -> bool {
        let owner = self.promised.node;
        self.promised == Ballot::ZERO
            || owner == candidate
            || owner == self.me
            || self.released == Some(self.promised)
            || !liveness.protects(self.promised, self.is_following())
    }

    /// Takes back what the node of the promised ballot was promised, now that another's is joined.
    fn leave(&self, candidate: NodeId, liveness: &mut dyn Liveness) {
        let owner = self.promised.node;
        if self.is_following() && owner != candidate && self.released_by().is_none() {
            liveness.leave(self.promised);
        }
    }

    /// Whether it has taken anything from the leader of the ballot it has promised.
    fn is_following(&self) -> bool {
        self.follows(self.promised)
    }

    /// Whether `ballot` is the one it has promised, something of its leader was taken in this life, and that leader has neither
    /// released it nor been forgotten.
    pub fn follows(&self, ballot: Ballot) -> bool {
        self.promised == ballot && self.following.is_some_and(|following| following.ballot == ballot)
    }

    /// The leader under `ballot` has said that it leads no more and never will under this ballot.
    pub fn handle_release(&mut self, ballot: Ballot) {
        if self.promised == ballot && ballot.node != self.me {
            self.released = Some(ballot);
            self.following = None;
        }
    }

    /// Who led under the ballot that is promised here, and has said that it leads no more.
    pub fn released_by(&self) -> Option<NodeId> {
        self.released.filter(|&ballot| ballot == self.promised).map(|ballot| ballot.node)
    }

    /// Whether this replica leads.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Whether an election of this replica's own is under way.
    pub fn is_campaigning(&self) -> bool {
        matches!(self.role, Role::Canvassing(_) | Role::Candidate(_))
    }

    fn persist(&mut self, record: Record) -> Token {
        self.appended.0 += 1;
        let token = self.appended;
        let chosen = match &record {
            Record::Promise { .. } | Record::Retire => Slot::ZERO,
            Record::Accept { chosen, .. } => *chosen,
            Record::Learn { slot, .. } => *slot,
        };
        self.saving.push_back((token, chosen));
        self.effects.push_back(Effect::Persist { record, token });
        token
    }

    fn send(&mut self, to: NodeId, message: Message) {
        let configuration = self.configuration.number;
        self.effects.push_back(Effect::Send { to, configuration, message, after: None });
    }

    /// Sends once everything appended so far is durable.
    fn send_after(&mut self, to: NodeId, message: Message) {
        let after = (self.appended > self.durable).then_some(self.appended);
        let configuration = self.configuration.number;
        self.effects.push_back(Effect::Send { to, configuration, message, after });
    }

    /// The other voters.
    fn voters(&self) -> Vec<NodeId> {
        self.quorum().voters().iter().copied().filter(|&node| node != self.me).collect()
    }

    /// Everybody else who takes part: standbys get what voters get.
    fn peers(&self) -> Vec<NodeId> {
        self.configuration.members().filter(|&node| node != self.me).collect()
    }

    /// Chosen here through `to`; the caller knows that the values are here.
    fn advance_chosen(&mut self, to: Slot) {
        if to > self.chosen {
            let before = std::mem::replace(&mut self.chosen, to);
            let stop = self.tail.stop_between(before, to);
            self.beyond_stop = true;
            if let Some(following) = &mut self.following {
                following.through = following.through.max(to);
            }
            if self.catchup.is_some_and(|catchup| catchup.target <= to) {
                (self.catchup, self.source) = (None, None);
            }
            if let Some((slot, learned, next)) = stop {
                if !learned {
                    // Before anything of the next configuration: who promises there must know, after a crash too, that it is
                    // there.
                    self.persist(Record::Learn { slot, value: Value::Stop(next.clone()) });
                }
                self.enter(*next);
            }
        }
    }

    fn advance_kept(&mut self, kept: Slot) {
        self.kept = self.kept.max(kept.min(self.chosen));
        self.tail.forget(self.delivered, self.kept);
    }

    fn check(&self) {
        assert!(self.delivered <= self.chosen, "delivered {} but chosen {}", self.delivered, self.chosen);
        assert!(self.safe <= self.chosen, "would know {} chosen after a crash, now {}", self.safe, self.chosen);
        assert!(self.kept <= self.chosen, "kept {} but chosen {}", self.kept, self.chosen);
        assert!(self.durable <= self.appended);
        if let Some(following) = &self.following {
            assert!(following.ballot <= self.promised, "follows {} but promised {}", following.ballot, self.promised);
        }
        if let Role::Leader(office) = &self.role {
            assert!(office.ballot == self.promised, "leads {} but promised {}", office.ballot, self.promised);
            assert!(office.start <= self.chosen.next(), "leads from {} but chosen {}", office.start, self.chosen);
            assert!(!office.stopping || office.next == office.stop_at.next(), "proposed behind a stop");
            assert!(self.chosen < office.next, "chosen {} beyond the last proposal", self.chosen);
        }
    }
}
