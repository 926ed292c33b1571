//! Changing who takes part: what an operator asks for becomes a stop in the shard's own log.

use crate::effect::Origin;
use crate::replica::Replica;
use crate::vantage::Mono;
use paxos::replica::{StopError, TransferError};
use paxos::{Configuration, Incarnation, NodeId, QuorumSystem, Slot};
use std::collections::BTreeMap;
use wire::{AnswerBody, Change, Refusal};

/// Lives of nodes' disks.
pub type Lives = BTreeMap<NodeId, Incarnation>;

/// A standby may vote once it lacks no more than this many slots: it has them before anybody notices.
const CAUGHT_UP: u64 = 512;

impl Replica {
    /// An operator's request. `lives`: which life of a node's disk is meant, for whoever is to join, if it is heard, and for all
    /// whom the first configuration did not name. `votes`: whose vote can be had just now. A hand-over is tried until `until`.
    pub fn handle_change(
        &mut self,
        origin: Origin,
        change: Change,
        lives: &Lives,
        votes: &dyn Fn(NodeId) -> bool,
        until: Mono,
    ) {
        if !self.paxos.is_leader() {
            return self.refuse(origin, self.not_leader());
        }
        if let Change::Lead(to) = change {
            return match self.lead(to, until) {
                Ok(()) => self.answer(origin, AnswerBody::Changed),
                Err(refusal) => self.refuse(origin, refusal),
            };
        }
        match self.next_configuration(change, lives, votes) {
            Ok(None) => self.answer(origin, AnswerBody::Changed),
            Ok(Some(next)) => match self.paxos.propose_stop(next) {
                Ok(slot) => self.changing = Some((slot, origin)),
                Err(StopError::Stopping) => self.refuse(origin, Refusal::ChangeUnderWay),
                Err(StopError::NotLeader) => self.refuse(origin, self.not_leader()),
            },
            Err(refusal) => self.refuse(origin, refusal),
        }
    }

    fn lead(&mut self, to: NodeId, until: Mono) -> Result<(), Refusal> {
        if to == self.me() {
            return Ok(());
        }
        self.transfer(to, until).map_err(|error| match error {
            TransferError::NotLeader => self.not_leader(),
            TransferError::NotAVoter => cannot(format!("{to} does not vote in it: add and promote it first")),
            TransferError::Behind { slots } => Refusal::CatchingUp { slots },
            TransferError::Unheard => Refusal::CatchingUp { slots: self.paxos.chosen().0 },
        })
    }

    /// What the change leads to; `None` if everything is so already.
    fn next_configuration(
        &self,
        change: Change,
        lives: &Lives,
        votes: &dyn Fn(NodeId) -> bool,
    ) -> Result<Option<Configuration>, Refusal> {
        let now = self.paxos.configuration();
        let mut next = now.clone();
        let mut voters = now.quorum.voters().to_vec();
        match change {
            Change::Add(node) if now.contains(node) && (votes(node) || !lives.contains_key(&node)) => {}
            Change::Add(node) => {
                let life = lives.get(&node).ok_or_else(|| cannot(format!("{node} is not heard: start it first")))?;
                // A member that has lost its disk is one no more; this life of it begins as any other.
                voters.retain(|&voter| voter != node);
                next.standbys.insert(node);
                next.incarnations.insert(node, *life);
            }
            Change::Promote(node) if voters.contains(&node) => {}
            Change::Promote(node) => {
                self.ready_to_vote(node, votes)?;
                next.standbys.remove(&node);
                voters.push(node);
            }
            Change::Remove(node) => {
                next.standbys.remove(&node);
                next.incarnations.remove(&node);
                voters.retain(|&voter| voter != node);
            }
            Change::Replace { old, new } if voters.contains(&new) && !now.contains(old) => {}
            Change::Replace { old, new } => {
                if !voters.contains(&old) {
                    return Err(cannot(format!("{old} does not vote in it")));
                }
                self.ready_to_vote(new, votes)?;
                next.standbys.remove(&new);
                next.incarnations.remove(&old);
                voters.retain(|&voter| voter != old);
                voters.push(new);
            }
            Change::Lead(_) => {}
        }
        if voters != now.quorum.voters() {
            next.quorum = QuorumSystem::majority(voters).map_err(|error| cannot(error.to_string()))?;
            able_to_go_on(&next.quorum, votes)?;
        }
        if next == *now {
            return Ok(None);
        }
        // Who has met whom first is not for ever: disks are replaced, and forget it.
        let unnamed: Vec<NodeId> = next.members().filter(|node| !next.incarnations.contains_key(node)).collect();
        next.incarnations.extend(unnamed.into_iter().filter_map(|node| Some((node, *lives.get(&node)?))));
        Ok(Some(next))
    }

    fn ready_to_vote(&self, node: NodeId, votes: &dyn Fn(NodeId) -> bool) -> Result<(), Refusal> {
        if !self.paxos.configuration().standbys.contains(&node) {
            return Err(cannot(format!("{node} is not a standby of it: add it first")));
        }
        // What it had when it was last heard, it may have no more.
        if !votes(node) {
            return Err(cannot(format!("{node} is not heard: start it first")));
        }
        match self.paxos.lag(node) {
            Some(slots) if slots > CAUGHT_UP => Err(Refusal::CatchingUp { slots }),
            None => Err(Refusal::CatchingUp { slots: self.paxos.chosen().0 }),
            Some(_) => Ok(()),
        }
    }

    /// A stop at `slot` is applied: whoever asked for it hears so.
    pub(crate) fn changed(&mut self, slot: Slot) {
        if let Some((at, origin)) = self.changing.take() {
            if at == slot {
                self.answer(origin, AnswerBody::Changed);
            } else {
                self.changing = Some((at, origin));
            }
        }
    }
}

/// A configuration of which too few answer could never be left again.
fn able_to_go_on(quorum: &QuorumSystem, votes: &dyn Fn(NodeId) -> bool) -> Result<(), Refusal> {
    if quorum.accept_quorum_where(votes) && quorum.prepare_quorum_where(votes) {
        return Ok(());
    }
    let names = |voters: &mut dyn Iterator<Item = &NodeId>| {
        let names: Vec<String> = voters.map(NodeId::to_string).collect();
        names.join(", ")
    };
    Err(cannot(format!(
        "of {}, which would be left to vote, too few are heard to decide anything: first start or replace {}",
        names(&mut quorum.voters().iter()),
        names(&mut quorum.voters().iter().filter(|&&voter| !votes(voter)))
    )))
}

fn cannot(reason: String) -> Refusal {
    Refusal::CannotChange { reason }
}

#[cfg(test)]
mod tests;
