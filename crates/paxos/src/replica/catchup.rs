//! What is missing here, and who is asked for it.
//!
//! Values that are chosen are the same for all, so they are asked for and given across configurations. Two things make a
//! replica ask: word that more is chosen than it holds (a *catch-up*), and taking part no more, or not yet (an *inquiry*,
//! which goes round the members it knows). After a snapshot its giver is asked first, and with patience: its log goes on
//! where the snapshot ends, while another's may begin later and cost a second snapshot.

use super::{Effect, Entry, Replica, Role};
use crate::{Ballot, Message, NodeId, Record, Slot, Value};

/// One message of a catch-up carries about this many bytes.
const LEARN_BYTES: usize = 256 << 10;
/// How often the giver of a snapshot is asked again in vain before somebody else is: it may be reading from its disk.
const GIVER_WAITS: u32 = 8;

/// A catch-up under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Catchup {
    /// Who is asked.
    from: NodeId,
    /// Who said last that there is more. It may be of a configuration that is not known here.
    guide: NodeId,
    /// How far the log is known to be chosen somewhere.
    pub target: Slot,
    patience: Patience,
}

/// The questions of a replica that takes part no more, or not yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inquiry {
    /// How many there were: each member has its turn.
    turn: usize,
    patience: Patience,
}

/// Counts the looks in a row at which no more was chosen here than at the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Patience {
    chosen: Slot,
    looks: u32,
}

impl Patience {
    fn new(chosen: Slot) -> Self {
        Self { chosen, looks: 0 }
    }

    /// One more look: how many have been in vain by now.
    fn look(&mut self, chosen: Slot) -> u32 {
        self.looks = if self.chosen == chosen { self.looks + 1 } else { 0 };
        self.chosen = chosen;
        self.looks
    }
}

impl Replica {
    /// Whether anything is to be asked for when the time has come to repeat.
    pub(super) fn wants_more(&self) -> bool {
        self.catchup.is_some() || self.asks_on()
    }

    /// Asks `from` for what is chosen up to `target`, unless it is here, or somebody was asked already.
    pub(super) fn fetch(&mut self, from: NodeId, target: Slot) {
        if target <= self.chosen {
            return;
        }
        if let Some(catchup) = self.catchup.as_mut().filter(|catchup| target <= catchup.target) {
            catchup.guide = from;
            return;
        }
        let asked = self.source.unwrap_or(from);
        let patience = Patience::new(self.chosen);
        let before = self.catchup.replace(Catchup { from: asked, guide: from, target, patience });
        if before.is_none() {
            self.ask(asked);
        }
    }

    /// Asks again for what is missing: whoever was asked, or, if it brought nothing since the last look, the next living
    /// member or whoever told of it.
    pub(super) fn retry_catchup(&mut self, alive: &dyn Fn(NodeId) -> bool) {
        let Some(mut catchup) = self.catchup else { return };
        let in_vain = catchup.patience.look(self.chosen);
        let allowed = if self.source == Some(catchup.from) { GIVER_WAITS } else { 0 };
        if in_vain > allowed || !alive(catchup.from) {
            self.source = None;
            let mut members: Vec<NodeId> = self.configuration.members().collect();
            if !members.contains(&catchup.guide) {
                members.push(catchup.guide);
            }
            let at = members.iter().position(|&node| node == catchup.from).unwrap_or(0);
            let mut others = members.iter().cycle().skip(at + 1).take(members.len());
            match others.find(|&&node| node != self.me && alive(node)) {
                Some(&node) => catchup.from = node,
                // Whoever tells a watermark next is asked instead.
                None => return self.catchup = None,
            }
        }
        self.catchup = Some(catchup);
        self.ask(catchup.from);
    }

    /// A former member asks whether it is still needed, a future one for what it must know: every other time the giver of
    /// its snapshot, if there is one, otherwise the members.
    pub(super) fn inquire(&mut self, alive: &dyn Fn(NodeId) -> bool) {
        if !self.asks_on() {
            return;
        }
        let turn = self.inquiry.turn;
        self.inquiry.turn = turn.wrapping_add(1);
        // (The giver is not waited for without end: it may have left.)
        let in_vain = self.inquiry.patience.look(self.chosen);
        if in_vain > 2 * GIVER_WAITS || self.source.is_some_and(|giver| !alive(giver)) {
            self.source = None;
        }
        let nth = match self.source {
            Some(giver) if turn.is_multiple_of(2) => return self.ask(giver),
            Some(_) => turn / 2,
            None => turn,
        };
        let mut members: Vec<NodeId> = self.configuration.members().collect();
        members.retain(|&node| node != self.me && alive(node));
        if !members.is_empty() {
            // Each in its turn: one of them may have left too.
            self.ask(members[nth % members.len()]);
        }
    }

    fn ask(&mut self, node: NodeId) {
        let after = self.chosen;
        self.send(node, Message::Fetch { after });
    }

    /// Whether it takes part no more, or not yet, and must ask for what follows.
    fn asks_on(&self) -> bool {
        !self.has_joined() || !self.is_member() && !self.beyond_stop
    }

    pub(super) fn on_fetch(&mut self, from: NodeId, after: Slot) {
        if after >= self.chosen {
            // Who asks on from there holds what is before.
            return self.fetch(from, after);
        }
        let chosen = self.chosen;
        if after.next() < self.first {
            let first = self.first;
            return self.send(from, Message::Trimmed { first });
        }
        if let Some(values) = self.tail.run(after.next(), chosen, LEARN_BYTES) {
            self.send(from, Message::Learn { at: after.next(), values, chosen });
        } else {
            self.effects.push_back(Effect::ReadLog { to: from, after, through: chosen });
        }
    }

    /// Values read for [`Effect::ReadLog`], with its `after` and `through`. What was chosen *when the read was asked for*
    /// counts, not what is chosen now: the log may have held another ballot's value then.
    pub fn handle_log_read(&mut self, to: NodeId, after: Slot, through: Slot, values: Vec<Value>) {
        let known = usize::try_from(through.0.saturating_sub(after.0)).unwrap_or(usize::MAX);
        let values: Vec<Value> = values.into_iter().take(known).collect();
        if !values.is_empty() {
            let chosen = self.chosen;
            self.send(to, Message::Learn { at: after.next(), values, chosen });
        }
    }

    pub(super) fn on_learn(&mut self, from: NodeId, at: Slot, values: Vec<Value>, chosen: Slot) {
        // A leader has all it may count chosen; what lies beyond its own proposals is a successor's.
        if at > self.chosen.next() || self.is_leader() {
            return;
        }
        let before = self.chosen;
        for (slot, value) in (at.0..).map(Slot).zip(values) {
            if slot <= self.chosen {
                self.assert_same(slot, &value);
                continue;
            }
            // What is chosen is delivered without any of these, and makes room.
            if self.tail.is_full() && self.chosen > self.delivered {
                break;
            }
            self.persist(Record::Learn { slot, value: value.clone() });
            self.tail.insert(slot, Entry { ballot: Ballot::ZERO, value });
            self.advance_chosen(slot);
        }
        if self.chosen == before {
            // A repetition: somebody else is asking on.
            return;
        }
        if chosen > self.chosen {
            self.catchup = None;
            self.fetch(from, chosen);
        }
        if self.following.is_some() {
            self.acknowledge(false);
        }
        self.count_promises();
    }

    /// A chosen slot never changes: `slot` is chosen here, and `value` was chosen where it comes from.
    fn assert_same(&self, slot: Slot, value: &Value) {
        if let Some(entry) = self.tail.get(slot) {
            assert!(entry.value == *value, "two values for slot {slot}: agreement is broken");
        }
    }

    pub(super) fn on_trimmed(&mut self, from: NodeId, first: Slot) {
        if first <= self.chosen.next() {
            return;
        }
        // Nobody trims what it has not chosen.
        self.beyond_stop = true;
        // Whoever is asked now, and no other: what one said who was asked before may come when another's log goes on already.
        let asked = match self.catchup {
            Some(catchup) => catchup.from == from,
            None => !self.has_joined() && self.source.is_none_or(|giver| giver == from),
        };
        if asked {
            self.effects.push_back(Effect::WantSnapshot { from });
        }
    }

    /// `from` is known to be in the configuration of this number. If that is later than this one, it is asked for what is
    /// missing here.
    pub fn hear_of_configuration(&mut self, from: NodeId, number: u64) {
        if number > self.configuration.number {
            self.hear_of(from, number);
        }
        self.check();
    }

    pub(super) fn hear_of(&mut self, from: NodeId, number: u64) {
        self.heard_of = self.heard_of.max(number);
        let target = self.chosen.next();
        self.fall_behind(from, target);
    }

    /// `from`, in the configuration of this number, has chosen more than was known where it was spoken to.
    pub(super) fn on_ahead(&mut self, from: NodeId, configuration: u64, chosen: Slot) {
        if configuration > self.configuration.number {
            self.heard_of = self.heard_of.max(configuration);
            self.fall_behind(from, chosen);
        } else if !self.is_leader() {
            // A late answer: this replica has come into that configuration meanwhile. What it has pledged there stands.
            self.fetch(from, chosen);
        }
    }

    /// This configuration is history, somebody says who holds everything up to `target`. Whatever office this replica had or
    /// sought in it is worth nothing.
    fn fall_behind(&mut self, from: NodeId, target: Slot) {
        self.role = Role::Follower;
        self.following = None;
        self.fetch(from, target);
    }
}
