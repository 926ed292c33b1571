//! The leader's half: proposals, votes, watermarks, sending again, and reads confirmed by a quorum.

use super::{Effect, Entry, NotLeader, ReadTicket, Replica, Role, Token};
use crate::{Ballot, Message, NodeId, Record, Run, Slot, Value};
use std::collections::{BTreeMap, VecDeque};

/// Sending again carries about this many bytes a message.
const RESEND_BYTES: usize = 1 << 20;

/// What a leader keeps while it leads.
#[derive(Debug)]
pub(super) struct Office {
    pub ballot: Ballot,
    /// The first slot proposed under this ballot.
    pub start: Slot,
    /// The next slot to propose at.
    pub next: Slot,
    /// The no-op behind everything phase 1 reported: until it is chosen, no read is answered.
    proof: Slot,
    /// The last value proposed ends the configuration.
    pub stopping: bool,
    /// Where it is.
    pub stop_at: Slot,
    peers: BTreeMap<NodeId, Peer>,
    /// Our own accepts on their way to the disk.
    unsynced: VecDeque<(Token, Slot)>,
    /// Our own vote: durable through here.
    synced: Slot,
    reads: Reads,
}

/// What a leader knows of another voter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// Has acknowledged something of this leader: what is below says something.
    heard: bool,
    /// Has accepted everything from `start` through here.
    acked: Slot,
    /// Holds everything chosen up to here.
    chosen: Slot,
    /// And will still know so after a crash.
    safe: Slot,
    /// The watermark it was last told.
    pub told: Slot,
    /// `acked` when the last retry looked.
    seen: Option<Slot>,
    /// After a gap, everything after this slot was sent again (so that a run of gaps costs one repetition).
    rewound: Option<Slot>,
}

/// What an acknowledgement says of the chosen part of the log: how far its sender holds it, and how far it would still know
/// it chosen after a crash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub chosen: Slot,
    pub safe: Slot,
}

/// Reads that wait for a quorum to confirm the ballot.
#[derive(Debug, Default)]
struct Reads {
    /// The last round asked.
    asked: u64,
    /// The last round that was sent.
    sent: u64,
    confirmed: u64,
    answers: BTreeMap<NodeId, u64>,
}

impl Office {
    pub fn new(ballot: Ballot, start: Slot, peers: &[NodeId]) -> Self {
        let peer = Peer {
            heard: false,
            acked: start.prev(),
            chosen: Slot::ZERO,
            safe: Slot::ZERO,
            told: Slot::ZERO,
            seen: None,
            rewound: None,
        };
        Self {
            ballot,
            start,
            next: start,
            proof: start,
            stopping: false,
            stop_at: Slot::ZERO,
            peers: peers.iter().map(|&node| (node, peer)).collect(),
            unsynced: VecDeque::new(),
            synced: start.prev(),
            reads: Reads::default(),
        }
    }

    pub fn lag(&self, node: NodeId) -> Option<u64> {
        let peer = self.peers.get(&node).filter(|peer| peer.heard)?;
        // What it has acknowledged says nothing of what was chosen before this leader's first slot.
        let held = if peer.chosen < self.start.prev() { peer.chosen } else { peer.acked.max(peer.chosen) };
        Some(self.last().0.saturating_sub(held.0))
    }

    fn last(&self) -> Slot {
        self.next.prev()
    }
}

impl Replica {
    /// Proposes `value` at the next slot. Its Accept leaves at once, before our own write is durable; our own vote counts
    /// only after.
    pub fn propose(&mut self, value: Value) -> Result<Slot, NotLeader> {
        if !self.accepts_proposals() {
            return Err(NotLeader);
        }
        let slot = self.propose_all(Run::One([value]));
        self.check();
        Ok(slot)
    }

    /// How many slots are proposed and not yet chosen.
    pub fn in_flight(&self) -> u64 {
        match &self.role {
            Role::Leader(office) => office.last().0 - self.chosen.0,
            _ => 0,
        }
    }

    /// How many slots `node` lacks of what this leader has proposed; `None` if it has not acknowledged anything yet, or this
    /// replica does not lead.
    pub fn lag(&self, node: NodeId) -> Option<u64> {
        match &self.role {
            Role::Leader(office) => office.lag(node),
            _ => None,
        }
    }

    /// What must be applied before a linearizable read that comes now is answered, if this replica leads: everything known
    /// chosen, and everything that former leaders may have left. It still takes a lease, or a confirmation.
    pub fn read_index(&self) -> Option<Slot> {
        match &self.role {
            Role::Leader(office) => Some(self.chosen.max(office.proof)),
            _ => None,
        }
    }

    /// How far the log is chosen, if this replica leads and what former leaders left is chosen too.
    pub fn settled(&self) -> Option<Slot> {
        self.read_index().filter(|&index| index <= self.chosen)
    }

    /// Tells `node` who leads; it answers with an acknowledgement.
    pub fn remind(&mut self, node: NodeId) {
        self.introduce(node);
    }

    /// Begins a linearizable read: it may be answered once its round is confirmed and its slot applied. Nothing is sent
    /// before [`Replica::ask_confirmation`], so that all reads of one turn share one question.
    pub fn begin_read(&mut self) -> Result<ReadTicket, NotLeader> {
        let chosen = self.chosen;
        let Role::Leader(office) = &mut self.role else { return Err(NotLeader) };
        office.reads.asked = office.reads.sent + 1;
        Ok(ReadTicket { round: office.reads.asked, index: chosen.max(office.proof) })
    }

    /// Asks the voters to confirm the ballot, if a read began since the last question; says whether.
    pub fn ask_confirmation(&mut self) -> bool {
        let Role::Leader(office) = &mut self.role else { return false };
        let asks = office.reads.asked > office.reads.sent;
        if asks {
            office.reads.sent = office.reads.asked;
            let (ballot, round) = (office.ballot, office.reads.sent);
            for peer in self.voters() {
                self.send(peer, Message::Confirm { ballot, round });
            }
            self.count_confirmations();
        }
        asks
    }

    /// Whether some living voter has not been told the watermark.
    pub fn wants_flush(&self, alive: &dyn Fn(NodeId) -> bool) -> bool {
        let Role::Leader(office) = &self.role else { return false };
        office.peers.iter().any(|(&node, peer)| peer.told < self.chosen && alive(node))
    }

    /// Tells the watermark to every living voter that no Accept has told it.
    pub fn flush_watermark(&mut self, alive: &dyn Fn(NodeId) -> bool) {
        self.tell(|peer, chosen| peer.told < chosen, alive);
    }

    /// Whether [`Replica::handle_retry`] has anything to repeat to a living voter.
    pub fn wants_retry(&self, alive: &dyn Fn(NodeId) -> bool) -> bool {
        match &self.role {
            Role::Follower => self.wants_more(),
            Role::Canvassing(_) | Role::Candidate(_) => true,
            Role::Leader(office) => {
                office.reads.confirmed < office.reads.sent
                    || office
                        .peers
                        .iter()
                        .any(|(&node, peer)| (peer.acked < office.last() || peer.chosen < self.chosen) && alive(node))
            }
        }
    }

    /// Repeats what may have been lost, to the voters that are `alive`. Called now and then, not faster than a round trip.
    pub fn handle_retry(&mut self, alive: &dyn Fn(NodeId) -> bool) {
        self.retry_catchup(alive);
        self.inquire(alive);
        self.retry_candidacy(alive);
        self.count_promises();
        if let Role::Leader(office) = &mut self.role {
            let last = office.last();
            let mut behind = Vec::new();
            for (&node, peer) in office.peers.iter_mut().filter(|(node, _)| alive(**node)) {
                peer.rewound = None;
                // What was sent a moment ago is under way: only who has not moved since the last look has lost something.
                let moved = peer.seen != Some(peer.acked);
                peer.seen = Some(peer.acked);
                if peer.acked < last && !moved {
                    behind.push((node, peer.acked));
                }
            }
            for (node, acked) in behind {
                self.resend(node, acked);
            }
            self.tell(|peer, chosen| peer.chosen < chosen, alive);
            if let Role::Leader(office) = &self.role
                && office.reads.confirmed < office.reads.sent
            {
                let (ballot, round) = (office.ballot, office.reads.sent);
                for peer in self.voters().into_iter().filter(|&peer| alive(peer)) {
                    self.send(peer, Message::Confirm { ballot, round });
                }
            }
        }
        self.check();
    }

    pub(super) fn on_ack(&mut self, from: NodeId, ballot: Ballot, through: Slot, held: Held, gap: bool) {
        let Role::Leader(office) = &mut self.role else { return };
        if office.ballot != ballot || through > office.last() {
            // Another ballot's acknowledgement counts for nothing here, nor does one of slots never proposed.
            return;
        }
        let Some(peer) = office.peers.get_mut(&from) else { return };
        peer.heard = true;
        peer.acked = peer.acked.max(through);
        peer.chosen = peer.chosen.max(held.chosen);
        peer.safe = peer.safe.max(held.safe);
        let behind = gap && peer.rewound != Some(through);
        if behind {
            peer.rewound = Some(through);
        }
        self.count_votes();
        self.update_kept();
        if behind {
            self.resend(from, through);
        }
    }

    pub(super) fn on_confirmed(&mut self, from: NodeId, ballot: Ballot, round: u64) {
        let Role::Leader(office) = &mut self.role else { return };
        if office.ballot == ballot && office.peers.contains_key(&from) {
            let answer = office.reads.answers.entry(from).or_default();
            *answer = round.max(*answer);
            self.count_confirmations();
        }
    }

    /// Proposes one value per slot from the next on; returns the last slot.
    pub(super) fn propose_all(&mut self, values: impl Into<Run>) -> Slot {
        let values = values.into();
        let Role::Leader(office) = &self.role else { unreachable!("only a leader proposes") };
        let (ballot, start, at) = (office.ballot, office.start, office.next);
        let (chosen, kept) = (self.chosen, self.kept);
        let mut slot = at;
        for value in values.iter() {
            let token = self.persist(Record::Accept { slot, ballot, value: value.clone(), chosen });
            self.tail.insert(slot, Entry { ballot, value: value.clone() });
            let Role::Leader(office) = &mut self.role else { unreachable!("nothing above changes the role") };
            office.unsynced.push_back((token, slot));
            slot = slot.next();
            office.next = slot;
        }
        let (configuration, effects) = (self.configuration.number, &mut self.effects);
        let Role::Leader(office) = &mut self.role else { unreachable!("nothing above changes the role") };
        for (&to, peer) in &mut office.peers {
            peer.told = chosen;
            let message = Message::Accept { ballot, start, at, values: values.clone(), chosen, kept };
            effects.push_back(Effect::Send { to, configuration, message, after: None });
        }
        slot.prev()
    }

    /// The last slot proposed so far is the proof that reads wait for.
    pub(super) fn open_office(&mut self) {
        if let Role::Leader(office) = &mut self.role {
            office.proof = office.last();
        }
        self.count_votes();
    }

    /// Counts the votes, ours as far as it is durable.
    pub(super) fn count_votes(&mut self) {
        let (me, durable) = (self.me, self.durable);
        let Role::Leader(office) = &mut self.role else { return };
        while office.unsynced.front().is_some_and(|&(token, _)| token <= durable) {
            if let Some((_, slot)) = office.unsynced.pop_front() {
                office.synced = slot;
            }
        }
        let chosen = self.configuration.quorum.highest_accepted(|node| {
            if node == me { office.synced } else { office.peers.get(&node).map_or(Slot::ZERO, |peer| peer.acked) }
        });
        self.advance_chosen(chosen);
    }

    pub(super) fn update_kept(&mut self) {
        if let Role::Leader(office) = &self.role {
            let kept = office.peers.values().map(|peer| peer.safe).fold(self.safe, Slot::min);
            self.advance_kept(kept);
        }
    }

    fn count_confirmations(&mut self) {
        let me = self.me;
        let Role::Leader(office) = &mut self.role else { return };
        let reads = &office.reads;
        let confirmed = self.configuration.quorum.highest_accepted(|node| {
            Slot(if node == me { reads.sent } else { reads.answers.get(&node).copied().unwrap_or(0) })
        });
        if confirmed.0 > reads.confirmed {
            office.reads.confirmed = confirmed.0;
            self.effects.push_back(Effect::ReadsConfirmed { round: confirmed.0 });
        }
    }

    /// Sends the open slots after `through` again. What is chosen already the voter fetches by itself.
    fn resend(&mut self, to: NodeId, through: Slot) {
        let Role::Leader(office) = &self.role else { return };
        let (ballot, start, last) = (office.ballot, office.start, office.last());
        let at = through.max(self.chosen).next();
        let (chosen, kept) = (self.chosen, self.kept);
        let message = match self.tail.run(at, last, RESEND_BYTES) {
            Some(values) => Message::Accept { ballot, start, at, values: values.into(), chosen, kept },
            None => Message::Watermark { ballot, start, chosen, kept },
        };
        self.send(to, message);
    }

    /// Tells one voter who leads.
    pub(super) fn introduce(&mut self, to: NodeId) {
        let (chosen, kept) = (self.chosen, self.kept);
        if let Role::Leader(office) = &self.role {
            let (ballot, start) = (office.ballot, office.start);
            self.send(to, Message::Watermark { ballot, start, chosen, kept });
        }
    }

    pub(super) fn tell(&mut self, needs: impl Fn(&Peer, Slot) -> bool, alive: &dyn Fn(NodeId) -> bool) {
        let (chosen, kept) = (self.chosen, self.kept);
        let Role::Leader(office) = &mut self.role else { return };
        let (ballot, start) = (office.ballot, office.start);
        let mut untold = Vec::new();
        for (&node, peer) in office.peers.iter_mut().filter(|(node, _)| alive(**node)) {
            if needs(peer, chosen) {
                peer.told = chosen;
                untold.push(node);
            }
        }
        for node in untold {
            self.send(node, Message::Watermark { ballot, start, chosen, kept });
        }
    }
}
