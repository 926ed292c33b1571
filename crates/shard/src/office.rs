//! The office: standing for it, leading, handing it over, losing it.

use crate::batch::{Batch, Item};
use crate::effect::Effect;
use crate::reads::WaitingRead;
use crate::replica::{Replica, Waiting};
use crate::vantage::Mono;
use paxos::replica::TransferError;
use paxos::{Ballot, Liveness, NodeId, Value};
use wire::{Level, Refusal};
use world::Millis;

/// Slots proposed and not yet applied; what comes meanwhile makes the next batch larger.
const WINDOW: usize = 32;
/// Items in one batch.
const BATCH_ITEMS: usize = 1_024;

impl Replica {
    /// Stands for election.
    pub fn campaign(&mut self, liveness: &mut dyn Liveness) {
        self.paxos.campaign(liveness);
    }

    /// Leaves the office, if it holds it: no quorum can be reached, or the disk stands still. The ballot left.
    pub fn resign(&mut self) -> Option<Ballot> {
        self.paxos.resign().ok()
    }

    /// Hands the office over to `to` as soon as that node holds everything proposed; nothing is proposed meanwhile, and
    /// until `until` at most.
    pub fn transfer(&mut self, to: NodeId, until: Mono) -> Result<(), TransferError> {
        if !self.paxos.is_leader() {
            return Err(TransferError::NotLeader);
        }
        if !self.paxos.configuration().quorum.contains(to) {
            return Err(TransferError::NotAVoter);
        }
        self.handing = Some((to, until));
        Ok(())
    }

    /// Whether it waits for its successor to catch up.
    pub fn is_handing_over(&self) -> bool {
        self.handing.is_some()
    }

    /// Whether it has handed the office over, and its successor has not said yet that it leads: to stand for election now would
    /// take back what was given.
    pub fn yields(&self) -> bool {
        self.yields
    }

    pub(crate) fn hand_over(&mut self, now: Mono) {
        let Some((to, until)) = self.handing else { return };
        match self.paxos.transfer(to) {
            Err(TransferError::Behind { .. } | TransferError::Unheard) if now < until => {}
            result => {
                self.handing = None;
                if result.is_ok() {
                    self.yields = true;
                    self.notice_office();
                }
            }
        }
    }

    /// Whoever led under `ballot` will never again.
    pub fn handle_release(&mut self, ballot: Ballot) {
        self.paxos.handle_release(ballot);
    }

    /// `from` leads this shard in the configuration of this number.
    pub fn fall_behind(&mut self, from: NodeId, number: u64) {
        self.paxos.hear_of_configuration(from, number);
    }

    /// Tells `node` who leads, so that it acknowledges the ballot.
    pub fn remind(&mut self, node: NodeId) {
        self.paxos.remind(node);
    }

    /// `node` has started anew and leads nothing; says whether it was followed here.
    pub fn forget_leader(&mut self, node: NodeId) -> bool {
        self.paxos.forget_leader(node)
    }

    /// Answers everybody whose office is gone, or starts a new one.
    pub(crate) fn notice_office(&mut self) {
        let office = self.paxos.is_leader().then(|| self.paxos.promised());
        // A leader that stands anew, in the next configuration or because it was outbid, keeps its queue meanwhile.
        let stands_anew = self.paxos.is_campaigning();
        if office == self.office {
            if office.is_none() && !stands_anew {
                self.refuse_queue();
            }
            return;
        }
        // What is chosen is answered, whoever leads now.
        self.apply();
        self.office = office;
        self.confirmed = 0;
        self.handing = None;
        self.paying.start_over(office.is_some());
        for (_, waiting) in std::mem::take(&mut self.proposed).into_values() {
            self.depose(waiting);
        }
        if let Some((_, origin)) = self.changing.take() {
            self.refuse(origin, Refusal::Deposed);
        }
        if office.is_none() && !stands_anew {
            self.refuse_queue();
        }
        for read in std::mem::take(&mut self.reads) {
            if read.level == Level::Strong {
                self.refuse(read.origin, self.not_leader());
            } else {
                // What a quorum confirms from here on is another office.
                self.reads.push_back(WaitingRead { ticket: None, ..read });
            }
        }
        if office.is_some() && self.state.genesis().is_none() {
            let genesis = Item::Genesis(Box::new(self.genesis.clone()));
            self.queue.push_front((genesis, Waiting::Nobody));
        }
    }

    fn refuse_queue(&mut self) {
        for (_, waiting) in std::mem::take(&mut self.queue) {
            if let Waiting::Client(origin) = waiting {
                self.refuse(origin, self.not_leader());
            }
        }
    }

    pub(crate) fn propose(&mut self, wall: Millis) {
        // Proposed and not yet applied: so a missing chunk holds back the proposals too, not only the answers.
        while !self.queue.is_empty() && self.paxos.accepts_proposals() && self.proposed.len() < WINDOW {
            let take = self.queue.len().min(BATCH_ITEMS);
            let (items, waiting): (Vec<Item>, Vec<Waiting>) = self.queue.drain(..take).unzip();
            let batch = Batch { time: wall.max(self.state.log_time()), items };
            let bytes = batch.encode();
            let slot = self.paxos.propose(Value::Command(bytes.clone())).expect("leads, as the loop checked");
            self.proposed.insert(slot, (bytes, waiting));
            self.batched = (self.batched.0 + 1, self.batched.1 + take as u64);
            self.effects.push_back(Effect::Proposed { items: take });
        }
    }
}

#[cfg(test)]
mod tests;
