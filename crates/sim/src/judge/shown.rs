//! What land was shown as, held against the log once it is known so far.

use super::Judge;
use crate::clock::Time;
use crate::sites::SEED;
use paxos::Slot;
use placement::ShardId;
use wire::Receipt;
use world::{Bucket, FieldView, Rect};

/// How land is looked at.
#[derive(Clone, Copy, Debug)]
pub enum Sight {
    /// What is owned there now.
    View,
    /// What has changed behind a slot, or ever.
    Watch(Option<Slot>),
}

/// What somebody was shown of one shard.
#[derive(Debug)]
pub(super) struct Shown {
    shard: ShardId,
    rect: Rect,
    sight: Sight,
    slot: Slot,
    fields: Vec<FieldView>,
}

impl Judge {
    /// Somebody who watches or views `rect` is shown something.
    pub fn saw_land(&mut self, time: Time, rect: Rect, sight: Sight, fields: &[FieldView], receipts: &[Receipt]) {
        for receipt in receipts {
            let here = |view: &&FieldView| {
                self.map.shard_of(Bucket::of_chunk(SEED, view.field.chunk())).shard == receipt.shard
            };
            let (shard, slot, fields) = (receipt.shard, receipt.slot, fields.iter().filter(here).cloned().collect());
            self.early.push(Shown { shard, rect, sight, slot, fields });
        }
        self.check_shown(time);
    }

    /// Holds against the log what was shown of the land, as far as the log is known.
    pub(super) fn check_shown(&mut self, time: Time) {
        let known = |shown: &mut Shown| self.applied.get(&shown.shard).copied().unwrap_or_default() >= shown.slot;
        let shown: Vec<Shown> = self.early.extract_if(.., known).collect();
        for Shown { shard, rect, sight, slot, fields } in shown {
            let (checker, checked) = match sight {
                Sight::View => ("views", self.watches.viewed(shard, rect, slot, &fields)),
                Sight::Watch(seen) => ("watches", self.watches.answered(shard, rect, seen, slot, &fields)),
            };
            if let Err(broken) = checked {
                self.object(time, checker, broken);
            }
        }
    }
}
