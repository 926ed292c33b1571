//! Players who view land, and watch it change, as the SDK's watch does: one question after the other to each shard, each naming the slot
//! up to which everything was seen.

use crate::cluster::Cluster;
use crate::judge::{PlayerNo, Sight};
use crate::player::Intent;
use client_proto::{Read, Success};
use paxos::Slot;
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet};
use wire::Level;
use world::{FieldId, Rect};

/// How wide and how high watched land is: it lies in some chunks, and in as many shards.
const SIZE: (u32, u32) = (60, 24);
/// How often a watcher turns elsewhere when it might, in a million.
const RESTLESS: u32 = 30_000;
/// How often it views what it watches besides, in a million.
const CURIOUS: u32 = 400_000;

/// What one player watches.
#[derive(Clone, Debug)]
pub struct Watch {
    rect: Rect,
    level: Level,
    /// What was seen of each shard that has a part of it; nothing before the watch has begun.
    seen: BTreeMap<ShardId, Slot>,
    /// Shards with a question under way; `None`: the first question.
    asked: BTreeSet<Option<ShardId>>,
}

impl Cluster {
    /// A player whose turn has come looks after its watch, if it is one who watches.
    pub(crate) fn look_around(&mut self, number: PlayerNo) {
        if number >= self.plan.watchers {
            return;
        }
        if self.players[number].watch.is_none() || self.random.chance(RESTLESS) {
            let near = *self.random.pick(&self.hot);
            let level = *self.random.pick(&[Level::Eventual, Level::Eventual, Level::Session, Level::Bounded(1_000)]);
            self.players[number].watch = Watch::near(near, level);
        }
        if let Some(Watch { rect, .. }) = self.players[number].watch
            && self.random.chance(CURIOUS)
        {
            let level = *self.random.pick(&[Level::Eventual, Level::Eventual, Level::Strong, Level::Session]);
            self.enqueue_op(number, Intent::Ask(Read::View(rect), level, None), None);
        }
        self.ask_on(number);
    }

    /// Asks whatever is not asked, with the next flush.
    fn ask_on(&mut self, number: PlayerNo) {
        let Some(watch) = &self.players[number].watch else { return };
        let level = watch.level;
        for (shard, read) in watch.questions() {
            let started = self.enqueue_op(number, Intent::Ask(read, level, None), None).is_some();
            if let Some(watch) = self.players[number].watch.as_mut().filter(|_| started) {
                watch.asked.insert(shard);
            }
        }
    }

    /// A question was answered, or will not be.
    pub(crate) fn watched(&mut self, number: PlayerNo, read: Read, answer: Option<&Success>) {
        let (rect, shard, seen) = match read {
            Read::View(rect) => {
                let Some(Success::View { fields, receipts }) = answer else { return };
                self.stats.viewed += 1;
                return self.judge.saw_land(self.now, rect, Sight::View, &fields.unpack(), receipts);
            }
            Read::Watch(rect) => (rect, None, None),
            Read::Changes { rect, shard, seen, .. } => (rect, Some(shard), Some(seen)),
            _ => return,
        };
        let watch = self.players[number].watch.as_mut().filter(|watch| watch.rect == rect);
        let still = watch.map(|watch| watch.asked.remove(&shard)).is_some();
        let Some(Success::View { fields, receipts }) = answer else { return };
        self.stats.watched += 1;
        self.stats.changes_watched += if seen.is_some() { fields.len() as u64 } else { 0 };
        self.judge.saw_land(self.now, rect, Sight::Watch(seen), &fields.unpack(), receipts);
        if let Some(watch) = self.players[number].watch.as_mut().filter(|_| still) {
            watch.seen.extend(receipts.iter().map(|receipt| (receipt.shard, receipt.slot)));
            if self.is_playing() {
                self.ask_on(number);
            }
        }
    }
}

impl Watch {
    fn near(field: FieldId, level: Level) -> Option<Self> {
        let corner = FieldId::new(field.x().saturating_sub(SIZE.0 / 2), field.y().saturating_sub(SIZE.1 / 2));
        let rect = Rect::new(corner.ok()?, SIZE.0, SIZE.1).ok()?;
        Some(Self { rect, level, seen: BTreeMap::new(), asked: BTreeSet::new() })
    }

    fn questions(&self) -> Vec<(Option<ShardId>, Read)> {
        let rect = self.rect;
        let mut open: Vec<(Option<ShardId>, Read)> = self
            .seen
            .iter()
            .map(|(&shard, &seen)| (Some(shard), Read::Changes { shard, rect, seen, wait: true }))
            .collect();
        if open.is_empty() {
            open.push((None, Read::Watch(rect)));
        }
        open.retain(|(shard, _)| !self.asked.contains(shard));
        open
    }
}
