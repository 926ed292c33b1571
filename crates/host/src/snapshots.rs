//! Checkpoints on their way from node to node, in parts, asked for one by one.
//!
//! Who lacks more than another's log goes back to asks for that one's checkpoint, part after part, one more while one is
//! being stored: so it comes no faster than it can be stored, and what is stored need not come again, after a lost
//! connection or a restart. The sender holds the checkpoint as it was when the first part was asked for, and its log behind
//! it, until the receiver has had time to go on from there. The parts travel beside everything else.

use crate::clock::Mono;
use crate::host::Host;
use crate::turn::PartRead;
use bytes::Bytes;
use paxos::{NodeId, Slot};
use placement::ShardId;
use shard::{Replica, RestoreError, Stored};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::peer::{Frame, PartOf, PeerMessage};

/// Checkpoints that come in at a time; others wait.
const MAX_PULLS: usize = 2;
/// Parts being read for others at a time; who asks beyond that asks again.
const MAX_READS: usize = 8;
/// Checkpoints given to others at a time; who asks beyond that begins later. A store must be able to hold so many: one that gives
/// way to another before it was read to its end would be begun anew for ever.
pub const MAX_SERVED: usize = 4;
/// Who has not asked on for so long, in microseconds, keeps nobody else waiting.
const SERVED_FOR: u64 = 3 * PATIENCE;
/// A part that has not come by then is asked for again, in microseconds.
const PATIENCE: u64 = 2_000_000;
/// A part that cannot be stored is tried again after this, in microseconds.
const BUSY: u64 = 10_000;
/// So often; then another checkpoint may have this one's place until whoever needs it asks again.
const ATTEMPTS: u32 = 3;

/// One checkpoint that comes in.
#[derive(Debug)]
struct Pull {
    from: NodeId,
    /// Which checkpoint, and the last of its keys that has come; `None`: nothing yet.
    slot: Option<Slot>,
    after: Option<Bytes>,
    /// Whether anything has come since it began here.
    moved: bool,
    /// When the next part is to be asked for, or was.
    at: Mono,
    attempts: u32,
    step: Step,
    /// Whether a part is being stored.
    storing: bool,
    /// The next, if it has come already, and when it may be stored.
    arrived: Option<PartOf>,
    store_at: Mono,
}

/// One that came in part.
#[derive(Debug)]
struct Staged {
    slot: Slot,
    /// The last key.
    after: Bytes,
    /// Who gave it, if it shall be asked for the rest before others.
    from: Option<NodeId>,
}

/// One checkpoint that is given to another node, or was a moment ago.
#[derive(Clone, Copy, Debug)]
struct Served {
    /// When the last part was asked for.
    last: Mono,
    /// Which checkpoint, once the first part was read.
    slot: Option<Slot>,
    done: bool,
}

/// What becomes of the next part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is to be asked for.
    Due,
    Asked,
    /// One waits here, or the last one has come.
    Enough,
}

impl Pull {
    /// Asks at once.
    fn new(from: NodeId, staged: Option<Staged>) -> Self {
        let (slot, after) = staged.map(|staged| (staged.slot, staged.after)).unzip();
        let at = Mono(0);
        Self {
            from,
            slot,
            after,
            moved: false,
            at,
            attempts: 0,
            step: Step::Due,
            storing: false,
            arrived: None,
            store_at: at,
        }
    }

    /// Whether a part that has come can be tried to store, and when.
    fn storable(&self) -> Option<Mono> {
        (!self.storing && self.arrived.is_some()).then_some(self.store_at)
    }

    /// From the beginning again, at `at`.
    fn start_over(&mut self, at: Mono) {
        (self.slot, self.after, self.arrived) = (None, None, None);
        (self.step, self.at) = (Step::Due, at);
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    pulls: BTreeMap<ShardId, Pull>,
    waiting: VecDeque<(ShardId, NodeId)>,
    /// What the stores hold of those that are not coming in.
    staged: BTreeMap<ShardId, Staged>,
    /// Parts being read for others.
    reading: usize,
    /// Whose checkpoints are given to whom.
    served: BTreeMap<(ShardId, NodeId), Served>,
    /// And for how long after they were asked for, in microseconds.
    kept_for: u64,
    /// When the next part may be asked for, at the rate allowed.
    free_at: Mono,
}

impl Snapshots {
    /// What the stores hold of checkpoints that had not come in as a whole; how long those given to others are kept.
    pub fn new(staged: BTreeMap<ShardId, (Slot, Bytes)>, kept_for: u64) -> Self {
        let staged = staged.into_iter().map(|(shard, (slot, after))| (shard, Staged { slot, after, from: None }));
        Self { staged: staged.collect(), kept_for, ..Self::default() }
    }

    /// When something is next to be done.
    pub fn next_tick(&self) -> Option<Mono> {
        let ask = |pull: &Pull| match pull.step {
            Step::Due => Some(pull.at),
            Step::Asked => Some(pull.at.plus(PATIENCE)),
            Step::Enough => None,
        };
        if self.pulls.len() < MAX_PULLS && !self.waiting.is_empty() {
            return Some(Mono(0));
        }
        let pulls = self.pulls.values().flat_map(|pull| [ask(pull), pull.storable()]).flatten();
        pulls.chain(self.served.values().map(|served| served.last.plus(self.kept_for))).min()
    }

    /// Behind this slot the log of `shard` is needed by whoever takes its checkpoint from here, and will ask for what follows.
    pub fn needed(&self, shard: ShardId) -> Option<Slot> {
        self.served_of(shard).filter_map(|served| served.slot).min()
    }

    fn served_of(&self, shard: ShardId) -> impl Iterator<Item = &Served> {
        let whole = (shard, NodeId(0))..=(shard, NodeId(u32::MAX));
        self.served.range(whole).map(|(_, served)| served)
    }

    /// Forgets whoever has asked for nothing for long; says of which shards nothing is given to anybody any more.
    fn end_serving(&mut self, now: Mono) -> BTreeSet<ShardId> {
        let mut ended = BTreeSet::new();
        self.served.retain(|(shard, _), served| {
            let recent = now.since(served.last) < self.kept_for;
            ended.extend((!recent).then_some(*shard));
            recent
        });
        ended.retain(|shard| self.served_of(*shard).next().is_none());
        ended
    }

    /// How many come in, or wait for their turn.
    pub fn incoming(&self) -> usize {
        self.pulls.len() + self.waiting.len()
    }
}

impl Host {
    /// The replica of `shard` lacks more than `from`'s log goes back to.
    pub(crate) fn want_snapshot(&mut self, shard: ShardId, from: NodeId) {
        let snapshots = &mut self.snapshots;
        if snapshots.pulls.contains_key(&shard) || snapshots.waiting.iter().any(|(waiting, _)| *waiting == shard) {
            return;
        }
        snapshots.waiting.push_back((shard, from));
    }

    /// Begins what waits, as far as there are places.
    fn begin_pulls(&mut self, now: Mono) {
        while self.snapshots.pulls.len() < MAX_PULLS
            && let Some((shard, from)) = self.snapshots.waiting.pop_front()
        {
            let staged = self.snapshots.staged.remove(&shard);
            // Each node has checkpoints of its own: only whoever gave the first part can go on.
            let giver = staged.as_ref().and_then(|staged| staged.from).filter(|&giver| self.fabric.hears(now, giver));
            self.snapshots.pulls.insert(shard, Pull::new(giver.unwrap_or(from), staged));
        }
    }

    /// Asks for what is due, and lets go what nobody asks for any more.
    pub(crate) fn tick_snapshots(&mut self, now: Mono) {
        self.turn.let_go.extend(self.snapshots.end_serving(now));
        self.begin_pulls(now);
        let shards: Vec<ShardId> = self.snapshots.pulls.keys().copied().collect();
        for shard in shards {
            let Some(pull) = self.snapshots.pulls.get_mut(&shard) else { continue };
            let storable = pull.storable().is_some_and(|at| now >= at);
            match pull.step {
                Step::Due if now >= pull.at => {
                    pull.step = Step::Asked;
                    pull.at = now;
                    let ask = PeerMessage::Pull { shard, slot: pull.slot, after: pull.after.clone() };
                    self.outgoing.entry(pull.from).or_default().push(ask);
                }
                Step::Asked if now >= pull.at.plus(PATIENCE) => {
                    pull.attempts += 1;
                    pull.step = Step::Due;
                    pull.at = now;
                    if pull.attempts >= ATTEMPTS && !pull.storing {
                        self.give_up(shard);
                    }
                }
                _ => {}
            }
            if storable {
                self.store_part(now, shard);
            }
        }
    }

    /// Nothing comes any more, and all that came is stored.
    fn give_up(&mut self, shard: ShardId) {
        if let Some(Pull { from, slot: Some(slot), after: Some(after), moved, .. }) = self.snapshots.pulls.get(&shard) {
            // Who gave nothing this time is not preferred to others the next.
            let from = moved.then_some(*from);
            self.snapshots.staged.insert(shard, Staged { slot: *slot, after: after.clone(), from });
        }
        self.end_pull(shard);
    }

    fn end_pull(&mut self, shard: ShardId) {
        self.snapshots.pulls.remove(&shard);
        if let Some(replica) = self.shards.get_mut(&shard) {
            replica.end_install();
            self.touched.insert(shard);
        }
    }

    /// Another node asks for the next part of a checkpoint here.
    pub(crate) fn on_pull(
        &mut self,
        now: Mono,
        from: NodeId,
        shard: ShardId,
        slot: Option<Slot>,
        after: Option<Bytes>,
    ) {
        if !self.shards.contains_key(&shard) {
            // It left the shard, perhaps after the first parts: whoever asks begins anew elsewhere, and need not wait to find out.
            self.outgoing.entry(from).or_default().push(PeerMessage::NoPart { shard, slot });
            return;
        }
        let served = &mut self.snapshots.served;
        let busy = served.values().filter(|served| !served.done && now.since(served.last) < SERVED_FOR).count();
        if slot.is_none() && busy >= MAX_SERVED && !served.contains_key(&(shard, from)) {
            self.outgoing.entry(from).or_default().push(PeerMessage::NoPart { shard, slot });
            return;
        }
        served.insert((shard, from), Served { last: now, slot, done: false });
        if self.snapshots.reading < MAX_READS {
            self.snapshots.reading += 1;
            self.turn.part_reads.push(PartRead { shard, to: from, slot, after });
        }
    }

    /// What a [`PartRead`] found; `None`: that checkpoint is not held, or there is none.
    pub fn handle_part_read(&mut self, read: &PartRead, found: Option<PartOf>) {
        self.snapshots.reading = self.snapshots.reading.saturating_sub(1);
        let &PartRead { shard, to, slot, .. } = read;
        match found {
            Some(part) => {
                if let Some(served) = self.snapshots.served.get_mut(&(shard, to)) {
                    (served.slot, served.done) = (Some(part.slot), part.last);
                }
                let (epoch, incarnation) = (self.frame_epoch(to), self.config.incarnation);
                let messages = vec![PeerMessage::Part(Box::new(part))];
                self.turn.bulk.push((to, Frame { epoch, incarnation, messages }));
            }
            None => self.outgoing.entry(to).or_default().push(PeerMessage::NoPart { shard, slot }),
        }
    }

    /// A part has come.
    pub(crate) fn on_part(&mut self, now: Mono, from: NodeId, part: PartOf) {
        let (shard, slot) = (part.shard, part.slot);
        let Some(pull) = self.snapshots.pulls.get_mut(&shard) else { return };
        let expected = pull.step == Step::Asked && pull.from == from && pull.after == part.after;
        if !expected || pull.slot.is_some_and(|begun| begun != slot) {
            return;
        }
        let lacks = |replica: &Replica| slot > replica.applied() && !replica.paxos().is_leader();
        if !self.shards.get(&shard).is_some_and(lacks) {
            // It has caught up by itself meanwhile, or leads: then its log has all that it lacks.
            return self.end_pull(shard);
        }
        pull.slot = Some(slot);
        (pull.moved, pull.attempts) = (true, 0);
        pull.after = part.pages.last().map(|(key, _)| key.clone()).or_else(|| part.after.clone());
        let bytes: usize = part.pages.iter().map(|(key, page)| key.len() + page.len()).sum();
        let takes = (bytes as u64).saturating_mul(1_000_000) / self.config.snapshot_rate.max(1);
        self.snapshots.free_at = self.snapshots.free_at.max(now).plus(takes);
        pull.arrived = Some(part);
        pull.step = Step::Enough;
        if !pull.storing {
            self.store_part(now, shard);
        }
    }

    /// The next part that has come is stored.
    fn store_part(&mut self, now: Mono, shard: ShardId) {
        let free_at = self.snapshots.free_at;
        let Some(pull) = self.snapshots.pulls.get_mut(&shard) else { return };
        let Some(part) = pull.arrived.take() else { return };
        let replica = self.shards.get_mut(&shard);
        if part.last && !replica.is_some_and(Replica::begin_install) {
            // Its own checkpoint is being written.
            pull.arrived = Some(part);
            pull.store_at = now.plus(BUSY);
            return;
        }
        pull.storing = true;
        if !part.last {
            (pull.step, pull.at) = (Step::Due, free_at);
        }
        self.turn.stagings.push(part);
    }

    /// The sender holds that checkpoint no more, or has none.
    pub(crate) fn on_no_part(&mut self, now: Mono, from: NodeId, shard: ShardId, slot: Option<Slot>) {
        let Some(pull) = self.snapshots.pulls.get_mut(&shard) else { return };
        if pull.from != from || pull.step != Step::Asked || pull.slot != slot {
            return;
        }
        if slot.is_none() {
            return self.end_pull(shard);
        }
        pull.start_over(now);
    }

    /// A part is stored, and more will follow; or it does not fit what is there, and everything begins anew.
    pub fn handle_staged(&mut self, shard: ShardId, fits: bool) {
        let at = self.snapshots.free_at;
        let Some(pull) = self.snapshots.pulls.get_mut(&shard).filter(|pull| pull.storing) else { return };
        pull.storing = false;
        // What waits is stored at the next tick.
        pull.store_at = Mono(0);
        if !fits {
            pull.start_over(at);
            if let Some(replica) = self.shards.get_mut(&shard) {
                replica.end_install();
                self.touched.insert(shard);
            }
        }
    }

    /// This node leaves `shard`: nothing more of it is to come.
    pub(crate) fn forget_pull(&mut self, shard: ShardId) {
        self.snapshots.pulls.remove(&shard);
        self.snapshots.staged.remove(&shard);
        self.snapshots.waiting.retain(|(waiting, _)| *waiting != shard);
    }

    /// The whole checkpoint is in place, durably, and this is what it holds; `None` if it was refused as too old.
    pub fn handle_installed(&mut self, shard: ShardId, stored: Option<&Stored>) -> Result<(), RestoreError> {
        let from = self.snapshots.pulls.get(&shard).map_or(self.config.me, |pull| pull.from);
        if let (Some(replica), Some(stored)) = (self.shards.get_mut(&shard), stored) {
            replica.install(from, stored)?;
            self.touched.insert(shard);
        }
        self.end_pull(shard);
        Ok(())
    }

    /// How many checkpoints come in from other nodes, or wait for their turn.
    pub fn incoming_snapshots(&self) -> usize {
        self.snapshots.incoming()
    }
}

#[cfg(test)]
mod tests;
