//! What answers do.
//!
//! Invariant: an answer counts only if its label is that of an attempt at this very part, sent to this very node, that has
//! not been answered yet. So duplicates, and answers to operations that have ended, change nothing.

use crate::attempt::index_of;
use crate::bunch::is_bunch;
use crate::op::{Applied, Failure, Reason, Success, wants_leader};
use crate::proto::{Body, ClientProto, Parts, Place, State};
use crate::slab::Key;
use crate::split::{self, Told};
use crate::timers::Now;
use paxos::NodeId;
use wire::{Answer, AnswerBody, Query, Receipt, Refusal};

/// Hints followed without a pause: enough to find a leader through an old one, too few for a loop to do harm.
const MAX_HOPS: u32 = 3;

impl ClientProto {
    /// What `node` sent.
    pub fn handle_answers(&mut self, now: Now, node: NodeId, answers: Vec<Answer>) {
        self.at(now);
        self.nodes.heard(self.now, node);
        for answer in answers {
            if is_bunch(answer.id) {
                self.answer_bunch(node, answer);
            } else {
                self.answer(node, answer);
            }
        }
    }

    pub(crate) fn answer(&mut self, node: NodeId, answer: Answer) {
        let Some((key, _)) = self.parts.at(index_of(answer.id)) else { return };
        let part = self.parts.get_mut(key).expect("seen just now");
        let sent = match part.state {
            State::Flying { label, node: at, sent } if label == answer.id && at == node => Some(sent),
            _ => None,
        };
        let open = part.past.open.iter().position(|attempt| *attempt == (answer.id, node));
        match (sent, open) {
            // Settled until we know better; whoever handles it decides how the part goes on.
            (Some(_), _) => part.state = State::Ready,
            (None, Some(open)) => _ = part.past.open.swap_remove(open),
            (None, None) => return,
        }
        let is_current = sent.is_some();
        let learns = is_current && part.asks_leader();
        let waits_for_nothing = !matches!(part.body, Body::Read { query: Query::Changes { .. }, .. });
        match answer.body {
            AnswerBody::Applied { outcome, receipt } if part.is_command() => {
                let op = part.op;
                self.session.saw(receipt.shard, receipt.slot);
                if learns {
                    self.leads(key, receipt.node);
                }
                self.finish(op, Ok(Success::Command { outcome, receipt }));
            }
            AnswerBody::Read { reply, receipt } => {
                let told = if let Body::Read { query, .. } = &part.body { split::told(query, reply) } else { None };
                let Some(told) = told else { return self.nonsense(key, node, is_current) };
                self.session.saw(receipt.shard, receipt.slot);
                match sent {
                    Some(_) if learns => self.leads(key, receipt.node),
                    Some(sent) if waits_for_nothing => {
                        self.nodes.measured(node, self.now.since(sent));
                        self.second_looks.earn();
                    }
                    _ => {}
                }
                self.gather(key, told, receipt);
            }
            AnswerBody::Changed if matches!(part.body, Body::Change(_)) => {
                let op = part.op;
                self.finish(op, Ok(Success::Changed));
            }
            AnswerBody::Node(report) if matches!(part.body, Body::Node) => {
                let op = part.op;
                self.finish(op, Ok(Success::Node(report)));
            }
            AnswerBody::Shards(reports) if matches!(part.body, Body::Shards) => {
                let op = part.op;
                self.finish(op, Ok(Success::Shards(reports)));
            }
            AnswerBody::Refused(refusal) if is_current => self.refused(key, node, refusal),
            AnswerBody::Refused(refusal) => self.refused_late(key, &refusal),
            _ => self.nonsense(key, node, is_current),
        }
    }

    /// Not an answer to what was asked: a node that says so may have done anything.
    fn nonsense(&mut self, key: Key, node: NodeId, is_current: bool) {
        let part = self.parts.get_mut(key).expect("the caller has seen it");
        part.past.lost = true;
        part.past.avoid = Some(node);
        if is_current {
            self.stumble(key, Reason::Timeout, 0);
        }
    }

    fn gather(&mut self, key: Key, told: Told, receipt: Receipt) {
        let op_key = self.parts.get(key).expect("the caller has seen it").op;
        let op = self.ops.get_mut(op_key).expect("its operation outlives a part");
        let Parts::Many(gathering) = &mut op.parts else {
            if let Some(success) = split::single(told, receipt) {
                self.finish(op_key, Ok(success));
            }
            return;
        };
        self.parts.remove(key);
        if let Some(success) = gathering.add(told, receipt) {
            self.finish(op_key, Ok(success));
        }
    }

    /// The attempt under way was refused.
    fn refused(&mut self, key: Key, node: NodeId, refusal: Refusal) {
        let part = self.parts.get_mut(key).expect("the caller has seen it");
        let (op, forced, is_command) = (part.op, part.only.is_some(), part.is_command());
        match refusal {
            Refusal::NotLeader { leader: Some(_) } if forced => self.give_up(key, Reason::NotLeader),
            Refusal::Moved { .. } if forced => self.give_up(key, Reason::NoReplica),
            Refusal::NotLeader { leader: hint } | Refusal::Moved { hint, .. } => self.follow(key, node, hint),
            Refusal::Deposed => {
                part.past.lost = true;
                self.follow(key, node, None);
            }
            Refusal::Overloaded { retry_after_ms } => {
                part.past.retry_after_ms = retry_after_ms.min(self.options.request_timeout_ms());
                let at_least = part.past.retry_after_ms;
                self.overloads += 1;
                self.stumble(key, Reason::Overloaded, at_least);
            }
            Refusal::NoQuorum { missing } => {
                part.past.missing = missing;
                part.past.avoid = Some(node);
                self.leads_not(key, node);
                self.stumble(key, Reason::NoQuorum, 0);
            }
            Refusal::DiskFull => {
                if part.past.trouble != Some(Reason::DiskFull) {
                    part.past.missing.clear();
                }
                if !part.past.missing.contains(&node) {
                    part.past.missing.push(node);
                }
                part.past.avoid = Some(node);
                self.leads_not(key, node);
                self.stumble(key, Reason::DiskFull, 0);
            }
            Refusal::TooStale { .. } => self.try_leader(key, node, Reason::TooStale),
            Refusal::Behind { .. } => self.try_leader(key, node, Reason::Behind),
            Refusal::CatchingUp { slots } => self.give_up(key, Reason::CatchingUp(slots)),
            Refusal::ChangeUnderWay => self.stumble(key, Reason::ChangeUnderWay, 0),
            Refusal::NotAllowed { .. } if part.applied() == Applied::Unknown => self.give_up(key, Reason::NotAllowed),
            Refusal::NotAllowed { reason } => self.finish(op, Err(Failure::NotAllowed { reason })),
            Refusal::Invalid { .. } if part.applied() == Applied::Unknown => self.give_up(key, Reason::Invalid),
            Refusal::Invalid { reason } | Refusal::CannotChange { reason } => {
                self.finish(op, Err(Failure::Invalid { reason }));
            }
            Refusal::TooFarAhead { log_time } if part.applied() == Applied::No && is_command => {
                self.nodes.set_time(self.now, log_time);
                self.date_again(key);
            }
            Refusal::Expired { .. } | Refusal::Forgotten if is_command => self.refused_late(key, &refusal),
            Refusal::Expired { .. } | Refusal::TooFarAhead { .. } | Refusal::Forgotten => {
                self.stumble(key, Reason::Timeout, 0);
            }
        }
    }

    /// An attempt was refused: one that had been given up, or with a word about the number as such.
    fn refused_late(&mut self, key: Key, refusal: &Refusal) {
        let part = self.parts.get_mut(key).expect("the caller has seen it");
        match refusal {
            &Refusal::Expired { log_time } if part.is_command() => {
                // The truth about the number, whatever else is open.
                part.past.open.clear();
                part.past.lost = false;
                self.nodes.set_time(self.now, self.nodes.time(self.now).max(log_time));
                self.date_again(key);
            }
            Refusal::Forgotten if part.is_command() => {
                part.past.lost = true;
                self.give_up(key, Reason::Forgotten);
            }
            Refusal::Deposed => part.past.lost = true,
            // This attempt is settled; the one under way goes on.
            _ => {}
        }
    }

    /// The number of this command will never be applied, for the time it was given: again under a new one.
    fn date_again(&mut self, key: Key) {
        let part = self.parts.get_mut(key).expect("the caller has seen it");
        let Body::Command { number, given, deadline, .. } = &mut part.body else { return };
        if given.is_some() {
            return self.give_up(key, Reason::Expired);
        }
        self.window.close(*number);
        *number = self.window.open();
        *deadline = self.nodes.time(self.now).plus(self.options.request_timeout_ms());
        let op = self.ops.get_mut(part.op).expect("its operation outlives a part");
        op.number = Some(*number);
        self.stumble(key, Reason::Expired, 0);
    }

    /// `node` says that it does not lead, and perhaps who does.
    fn follow(&mut self, key: Key, node: NodeId, hint: Option<NodeId>) {
        self.leads_not(key, node);
        let hint = hint.filter(|hint| *hint != node);
        if let Some(hint) = hint {
            self.leads(key, hint);
        }
        let part = self.parts.get_mut(key).expect("the caller has seen it");
        part.past.avoid = Some(node);
        // A leader that has just fallen silent is still believed in for a while by those who follow it: no use going back.
        match hint.filter(|hint| self.nodes.is_well(self.now, *hint)) {
            Some(hint) if part.past.hops < MAX_HOPS && part.only.is_none() => {
                part.past.hops += 1;
                part.past.hint = Some(hint);
                self.make_ready(key);
            }
            _ => self.stumble(key, Reason::NoLeader, 0),
        }
    }

    /// A replica cannot prove enough. Whoever leads can, if anybody.
    fn try_leader(&mut self, key: Key, node: NodeId, reason: Reason) {
        let part = self.parts.get(key).expect("the caller has seen it");
        if part.only.is_some() {
            return self.give_up(key, reason);
        }
        let Place::Bucket(bucket) = part.place else { return };
        let leader = self.routes.row(bucket).leader.filter(|leader| *leader != node);
        let leader = leader.filter(|leader| self.nodes.is_well(self.now, *leader));
        let part = self.parts.get_mut(key).expect("seen just now");
        part.past.avoid = Some(node);
        part.note(reason);
        match leader {
            Some(leader) if part.past.hops < MAX_HOPS => {
                part.past.hops += 1;
                part.past.hint = Some(leader);
                self.make_ready(key);
            }
            _ => self.stumble(key, reason, 0),
        }
    }

    /// Not now: again after a pause (a report is asked for only once).
    fn stumble(&mut self, key: Key, reason: Reason, at_least_ms: u64) {
        let part = self.parts.get_mut(key).expect("the caller has seen it");
        if part.is_report() {
            self.give_up(key, reason);
            return;
        }
        part.note(reason);
        self.pause(key, at_least_ms, false);
    }

    fn leads(&mut self, key: Key, node: NodeId) {
        if let Some(Place::Bucket(bucket)) = self.parts.get(key).map(|part| part.place) {
            self.routes.row_mut(bucket).leader = Some(node);
        }
    }

    fn leads_not(&mut self, key: Key, node: NodeId) {
        if let Some(Place::Bucket(bucket)) = self.parts.get(key).map(|part| part.place) {
            let row = self.routes.row_mut(bucket);
            row.leader = row.leader.filter(|leader| *leader != node);
        }
    }
}

impl crate::proto::Part {
    /// Whether only the leader can answer it.
    pub(crate) fn asks_leader(&self) -> bool {
        match self.body {
            Body::Command { .. } | Body::Change(_) => true,
            Body::Read { level, .. } => wants_leader(level),
            Body::Node | Body::Shards => false,
        }
    }
}
