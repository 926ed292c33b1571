//! Elections: canvass, phase 1, and what a new leader proposes first.

use super::{NotLeader, Office, Replica, Role, Token, TransferError};
use crate::{Accepted, Ballot, Liveness, Message, NodeId, Record, Slot, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A canvass that somebody declined is repeated so often.
const REPEATS: u32 = 4;

/// Asking around before raising the ballot.
#[derive(Debug)]
pub(super) struct Canvass {
    ballot: Ballot,
    yes: BTreeSet<NodeId>,
    /// Somebody follows a healthy leader.
    declined: bool,
    /// How often the question was repeated.
    repeated: u32,
}

/// Phase 1 under way.
#[derive(Debug)]
pub(super) struct Candidacy {
    ballot: Ballot,
    /// The ballot whose leader handed over.
    released: Option<Ballot>,
    /// Our own promise counts from here.
    durable_at: Token,
    promises: BTreeMap<NodeId, PromiseSeen>,
}

#[derive(Debug)]
struct PromiseSeen {
    chosen: Slot,
    accepted: Vec<Accepted>,
}

impl Replica {
    /// Stands for election, unless it leads already: asks the voters whether they would join, and only then raises the
    /// ballot. Asking again starts over.
    pub fn campaign(&mut self, liveness: &mut dyn Liveness) {
        if self.is_leader() || !self.is_member() {
            return;
        }
        let ballot = self.highest.next_in(self.configuration.number, self.me);
        if !self.votes() {
            // Who does not vote asks all the same: whoever leads introduces itself, and if its configuration is history, it
            // is told so.
            for voter in self.voters() {
                self.send(voter, Message::Canvass { ballot });
            }
            return;
        }
        self.role = Role::Canvassing(Canvass { ballot, yes: BTreeSet::from([self.me]), declined: false, repeated: 0 });
        for peer in self.voters() {
            self.send(peer, Message::Canvass { ballot });
        }
        self.count_canvass(liveness);
        self.check();
    }

    /// Leaves the office without naming a successor (the host saw that it has no quorum). The ballot left will never be
    /// led under again: voters may be told ([`Replica::handle_release`]).
    pub fn resign(&mut self) -> Result<Ballot, NotLeader> {
        let Role::Leader(office) = &self.role else { return Err(NotLeader) };
        let ballot = office.ballot;
        self.role = Role::Follower;
        self.following = None;
        Ok(ballot)
    }

    /// Hands the office over to `to`, which must hold everything proposed so far. From here on this replica leads no more.
    pub fn transfer(&mut self, to: NodeId) -> Result<(), TransferError> {
        let Role::Leader(office) = &self.role else { return Err(TransferError::NotLeader) };
        let ballot = office.ballot;
        if to == self.me || !self.quorum().contains(to) {
            return Err(TransferError::NotAVoter);
        }
        match office.lag(to) {
            None => return Err(TransferError::Unheard),
            Some(slots @ 1..) => return Err(TransferError::Behind { slots }),
            Some(0) => {}
        }
        self.role = Role::Follower;
        self.following = None;
        self.send(to, Message::TakeOver { ballot });
        self.check();
        Ok(())
    }

    /// `node` has started anew (its boot count changed): whatever it led, it leads no more. Nobody waits for it from here on;
    /// but the news may be late, and what is forgotten be led by its new life. So an embedder that makes leases of
    /// acknowledgements voids those given so far, and goes on protecting ([`Liveness::protects`]) while any may be used. Says
    /// whether anything of `node`'s was followed here: if not, nothing was acknowledged since it was forgotten last.
    pub fn forget_leader(&mut self, node: NodeId) -> bool {
        let followed = self.following.is_some_and(|following| following.ballot.node == node);
        if followed {
            self.following = None;
        }
        followed
    }

    pub(super) fn on_canvass(&mut self, from: NodeId, ballot: Ballot, liveness: &dyn Liveness) {
        if !self.quorum().contains(from) {
            return self.introduce(from);
        }
        let leader = self.leader().filter(|leader| leader.node != from && liveness.healthy(leader.node, self.quorum()));
        let leader = leader.or_else(|| (!self.may_leave(from, liveness)).then_some(self.promised));
        let promised = self.promised;
        self.send(from, Message::Canvassed { ballot, promised, leader });
        if leader.is_some_and(|leader| leader.node == self.me) {
            // It does not know us: perhaps it has just started, and an idle leader would never say a word.
            self.introduce(from);
        }
    }

    pub(super) fn on_canvassed(
        &mut self,
        from: NodeId,
        ballot: Ballot,
        promised: Ballot,
        leader: Option<Ballot>,
        liveness: &mut dyn Liveness,
    ) {
        self.highest = self.highest.max(promised);
        let Role::Canvassing(canvass) = &mut self.role else { return };
        if canvass.ballot != ballot {
            return;
        }
        if leader.is_some() {
            canvass.declined = true;
        } else {
            canvass.yes.insert(from);
            self.count_canvass(liveness);
        }
    }

    /// The leader has chosen this replica for its successor.
    pub(super) fn on_take_over(&mut self, from: NodeId, ballot: Ballot, liveness: &mut dyn Liveness) {
        // Late, after it was elected again or another was: then there is nothing to take over.
        if ballot.node == from && ballot == self.promised && self.is_following() {
            self.handle_release(ballot);
            self.stand(Some(ballot), liveness);
        }
    }

    pub(super) fn on_promise(&mut self, from: NodeId, ballot: Ballot, chosen: Slot, accepted: Vec<Accepted>) {
        let Role::Candidate(candidacy) = &mut self.role else { return };
        if candidacy.ballot == ballot {
            candidacy.promises.insert(from, PromiseSeen { chosen, accepted });
            self.count_promises();
        }
    }

    /// Somebody has promised a higher ballot. A leader's followers would join it again, so it goes through phase 1 with a
    /// still higher one at once; what it loses is two round trips. A candidate leaves it to the host's back-off.
    pub(super) fn on_refuse(&mut self, ballot: Ballot, promised: Ballot) {
        self.highest = self.highest.max(promised);
        match &self.role {
            Role::Candidate(candidacy) if candidacy.ballot == ballot => {
                self.role = Role::Follower;
                self.following = None;
            }
            Role::Leader(office) if office.ballot == ballot => self.stand_again(),
            _ => {}
        }
    }

    /// Sends again what a lost message may have kept from the voters.
    pub(super) fn retry_candidacy(&mut self, alive: &dyn Fn(NodeId) -> bool) {
        let peers = self.voters();
        let (ballot, released, missing): (Ballot, Option<Ballot>, Vec<NodeId>) = match &mut self.role {
            // Who declines may only not have noticed yet that the leader is gone; after a while it is to be believed,
            // and the host's back-off decides when to ask again.
            Role::Canvassing(canvass) if canvass.declined && canvass.repeated >= REPEATS => {
                self.role = Role::Follower;
                return;
            }
            Role::Canvassing(canvass) => {
                canvass.repeated += 1;
                let ballot = canvass.ballot;
                for peer in peers {
                    if alive(peer) {
                        self.send(peer, Message::Canvass { ballot });
                    }
                }
                return;
            }
            Role::Candidate(candidacy) => {
                let missing = peers.into_iter().filter(|peer| !candidacy.promises.contains_key(peer));
                (candidacy.ballot, candidacy.released, missing.collect())
            }
            Role::Follower | Role::Leader(_) => return,
        };
        let chosen = self.chosen;
        for peer in missing.into_iter().filter(|&peer| alive(peer)) {
            self.send_after(peer, Message::Prepare { ballot, chosen, released });
        }
    }

    fn count_canvass(&mut self, liveness: &mut dyn Liveness) {
        let Role::Canvassing(canvass) = &self.role else { return };
        if self.configuration.quorum.is_prepare_quorum(&canvass.yes) {
            self.stand(None, liveness);
        }
    }

    /// Stands, unless this voter itself has promised a leader's node not to join anybody yet.
    fn stand(&mut self, released: Option<Ballot>, liveness: &mut dyn Liveness) {
        if self.may_leave(self.me, liveness) {
            self.leave(self.me, liveness);
            self.prepare(released);
        }
    }

    /// A leader whose ballot was outbid: its own voters follow no other, and it protects none but itself.
    pub(super) fn stand_again(&mut self) {
        self.prepare(None);
    }

    /// Phase 1a under a ballot above every one heard of.
    fn prepare(&mut self, released: Option<Ballot>) {
        let ballot = self.highest.next_in(self.configuration.number, self.me);
        self.promise(ballot);
        let durable_at = self.persist(Record::Promise { ballot });
        self.following = None;
        self.role = Role::Candidate(Candidacy { ballot, released, durable_at, promises: BTreeMap::new() });
        let chosen = self.chosen;
        for peer in self.voters() {
            self.send_after(peer, Message::Prepare { ballot, chosen, released });
        }
    }

    /// Takes office once a prepare quorum has promised and everything it knows chosen is here.
    pub(super) fn count_promises(&mut self) {
        let Role::Candidate(candidacy) = &self.role else { return };
        let mut promised: BTreeSet<NodeId> = candidacy.promises.keys().copied().collect();
        if self.durable >= candidacy.durable_at {
            promised.insert(self.me);
        }
        if !self.configuration.quorum.is_prepare_quorum(&promised) {
            return;
        }
        let furthest = candidacy.promises.iter().max_by_key(|(_, promise)| promise.chosen);
        if let Some((&node, promise)) = furthest
            && promise.chosen > self.chosen
        {
            let target = promise.chosen;
            return self.fetch(node, target);
        }
        let (ballot, start) = (candidacy.ballot, self.chosen.next());
        let mut open = self.open_slots(candidacy);
        if let Some(stop) = open.iter().position(|value| matches!(value, Value::Stop(_))) {
            open.truncate(stop + 1);
        }
        self.role = Role::Leader(Office::new(ballot, start, &self.peers()));
        self.catchup = None;
        // What phase 1 reported, gaps filled, and behind it a value of our own: once that is chosen, so is all before. Behind a
        // stop nothing may be, and nothing needs to.
        if let Some(Value::Stop(_)) = open.last() {
            self.propose_all(open);
            self.note_stop();
        } else {
            open.push(Value::Noop);
            self.propose_all(open);
        }
        self.open_office();
    }

    /// What must be proposed again, from the first open slot on: for each slot the value accepted under the highest
    /// ballot (Paxos Made Simple, P2c), a no-op where nobody reported one.
    fn open_slots(&self, candidacy: &Candidacy) -> Vec<Value> {
        let mut best: BTreeMap<Slot, Accepted> = BTreeMap::new();
        let own = self.accepted_after(self.chosen);
        let reported = candidacy.promises.values().flat_map(|promise| promise.accepted.iter().cloned());
        for accepted in own.into_iter().chain(reported) {
            let slot = accepted.slot;
            match best.get(&slot) {
                Some(held) if held.ballot >= accepted.ballot => {
                    assert!(
                        held.ballot != accepted.ballot || held.value == accepted.value,
                        "two values for slot {slot} under ballot {}",
                        held.ballot
                    );
                }
                _ => {
                    best.insert(slot, accepted);
                }
            }
        }
        let Some((&last, _)) = best.last_key_value() else { return Vec::new() };
        (self.chosen.0 + 1..=last.0)
            .map(|slot| best.remove(&Slot(slot)).map_or(Value::Noop, |accepted| accepted.value))
            .collect()
    }
}
