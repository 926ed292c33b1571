//! The acceptor's and the learner's half: promises, votes and watermarks.

use super::{Entry, Following, Replica, Role};
use crate::{Accepted, Ballot, Liveness, Message, NodeId, Record, Run, Slot, Value};

/// What a leader says of the whole log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    /// All slots up to here are chosen.
    pub chosen: Slot,
    /// Every voter holds everything up to here.
    pub kept: Slot,
}

impl Replica {
    pub(super) fn on_prepare(
        &mut self,
        from: NodeId,
        ballot: Ballot,
        chosen: Slot,
        released: Option<Ballot>,
        liveness: &mut dyn Liveness,
    ) {
        if ballot.node != from || ballot < self.promised {
            return self.refuse(from, ballot);
        }
        if let Some(released) = released {
            self.handle_release(released);
        }
        if ballot > self.promised {
            if !self.may_leave(from, liveness) {
                // As if it had been lost: who needs this promise asks again.
                return;
            }
            self.leave(from, liveness);
            self.promise(ballot);
            self.persist(Record::Promise { ballot });
        }
        let above = chosen.max(self.chosen);
        let accepted = self.accepted_after(above);
        let promise = Message::Promise { ballot, chosen: self.chosen, first: self.first, accepted };
        self.send_after(from, promise);
    }

    pub(super) fn on_accept(&mut self, from: NodeId, ballot: Ballot, start: Slot, at: Slot, values: Run, marks: Marks) {
        let Some(following) = self.follow(from, ballot, start) else { return };
        let gap = at > following.through.next();
        if !gap {
            for (slot, value) in (at.0..).map(Slot).zip(values) {
                if !self.tail.has_room(slot) {
                    break;
                }
                self.accept(slot, ballot, value);
            }
        }
        self.learn_watermark(from, marks);
        self.acknowledge(gap);
    }

    pub(super) fn on_watermark(&mut self, from: NodeId, ballot: Ballot, start: Slot, marks: Marks) {
        if self.follow(from, ballot, start).is_some() {
            self.learn_watermark(from, marks);
            self.acknowledge(false);
        }
    }

    pub(super) fn on_confirm(&mut self, from: NodeId, ballot: Ballot, round: u64) {
        if ballot >= self.promised && ballot.node == from {
            self.send(from, Message::Confirmed { ballot, round });
        } else {
            self.refuse(from, ballot);
        }
    }

    /// Joins `ballot`: nothing lower is promised or accepted from here on.
    pub(super) fn promise(&mut self, ballot: Ballot) {
        assert!(ballot > self.promised, "promised {} already, not {ballot}", self.promised);
        self.promised = ballot;
        self.highest = self.highest.max(ballot);
        self.role = Role::Follower;
    }

    /// Everything accepted above `slot`, as phase 1 reports it.
    pub(super) fn accepted_after(&self, slot: Slot) -> Vec<Accepted> {
        self.tail
            .after(slot)
            .map(|(slot, entry)| Accepted { slot, ballot: entry.ballot, value: entry.value.clone() })
            .collect()
    }

    pub(super) fn refuse(&mut self, to: NodeId, ballot: Ballot) {
        let promised = self.promised;
        self.send(to, Message::Refuse { ballot, promised });
    }

    /// Follows `ballot` if it may: the highest promised, or higher. What was accepted under it before a restart counts.
    fn follow(&mut self, from: NodeId, ballot: Ballot, start: Slot) -> Option<Following> {
        if ballot < self.promised || ballot.node != from || from == self.me {
            self.refuse(from, ballot);
            return None;
        }
        if ballot > self.promised {
            // The promise becomes durable with the first accept, or with this record where none comes.
            self.promise(ballot);
            self.persist(Record::Promise { ballot });
        } else if self.is_campaigning() {
            self.role = Role::Follower;
        }
        if self.following.is_none_or(|following| following.ballot != ballot) {
            let mut through = start.prev().max(self.chosen);
            while self.tail.get(through.next()).is_some_and(|entry| entry.ballot == ballot) {
                through = through.next();
            }
            self.following = Some(Following { ballot, start, through });
        }
        self.following
    }

    /// Votes for `value` at `slot`, unless that is history or a repetition.
    fn accept(&mut self, slot: Slot, ballot: Ballot, value: Value) {
        let following = self.following.as_mut().expect("follows the ballot it accepts");
        if slot <= following.through {
            // What was learned may have been chosen under a later ballot than this one: only what stands here under this
            // very ballot must be what the ballot repeats.
            if let Some(held) = self.tail.get(slot).filter(|held| held.ballot == ballot) {
                assert!(held.value == value, "two values for slot {slot} under ballot {ballot}");
            }
            return;
        }
        following.through = slot;
        let chosen = self.chosen;
        self.persist(Record::Accept { slot, ballot, value: value.clone(), chosen });
        self.tail.insert(slot, Entry { ballot, value });
    }

    /// What a leader says is chosen counts here as far as it was accepted here under its ballot.
    fn learn_watermark(&mut self, from: NodeId, Marks { chosen, kept }: Marks) {
        let following = self.following.expect("follows whoever tells it a watermark");
        if following.start <= self.chosen.next() {
            self.advance_chosen(chosen.min(following.through));
        }
        self.advance_kept(kept);
        self.fetch(from, chosen);
    }

    /// Tells the leader how far this voter is, once that is durable.
    pub(super) fn acknowledge(&mut self, gap: bool) {
        // Nobody is followed any more where the watermark was that of a stop.
        let Some(Following { ballot, through, .. }) = self.following else { return };
        if ballot == self.promised {
            let ack = Message::Ack { ballot, through, chosen: self.chosen, safe: self.safe, gap };
            self.send_after(ballot.node, ack);
        }
    }
}
