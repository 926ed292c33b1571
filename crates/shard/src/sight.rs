//! What a node's own gateway looks at, and what a replica tells it: changes as they are applied, of that land alone.
//!
//! A replica keeps nothing for it but the changes that it remembers anyway ([`watching`](crate::watching)); whoever carries
//! the news says how far it has been told. If that is further back than is remembered, the news is that one must look anew.

use crate::replica::Replica;
use crate::vantage::Vantage;
use paxos::Slot;
use std::collections::BTreeSet;
use wire::{Level, News, Receipt, news::Changes};
use world::{Block, FieldId, Zoom};

/// The blocks somebody looks at.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    blocks: BTreeSet<Block>,
    /// How many of each level there are: most changes lie in sight of no more than one or two levels.
    levels: [usize; Zoom::MOST as usize + 1],
}

impl Sight {
    /// From now on this one too. Says whether that is new.
    pub fn look(&mut self, block: Block) -> bool {
        let new = self.blocks.insert(block);
        self.levels[usize::from(block.zoom().level())] += usize::from(new);
        new
    }

    /// No more. Says whether it was looked at.
    pub fn look_away(&mut self, block: Block) -> bool {
        let was = self.blocks.remove(&block);
        self.levels[usize::from(block.zoom().level())] -= usize::from(was);
        was
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// How many are.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    fn sees(&self, zoom: Zoom, field: FieldId) -> bool {
        self.levels[usize::from(zoom.level())] > 0 && self.blocks.contains(&Block::of(zoom, field))
    }

    fn sees_from_afar(&self, field: FieldId) -> bool {
        Zoom::all().skip(1).any(|zoom| self.sees(zoom, field))
    }
}

impl Replica {
    /// What has been applied behind `told` and is in sight; nothing if nothing is.
    pub fn news(&self, sight: &Sight, told: Slot) -> Option<News> {
        let land = self.state.land().filter(|_| self.applied > told)?;
        let news = |changes| News { shard: self.shard, slot: self.applied, changes };
        let Some(behind) = self.watching.behind(told) else { return Some(news(None)) };
        let (mut fields, mut shifts) = (BTreeSet::new(), Vec::new());
        for change in behind {
            if sight.sees(Zoom::FIELDS, change.field) {
                fields.insert(change.field);
            }
            if let Some(shift) = change.shift
                && sight.sees_from_afar(change.field)
            {
                shifts.push((change.field, shift));
            }
        }
        if fields.is_empty() && shifts.is_empty() {
            return None;
        }
        // What was changed a moment ago is in memory still; if not, whoever looks asks for it.
        if fields.iter().any(|field| self.state.is_stored(field.chunk())) {
            return Some(news(None));
        }
        let fields = fields.into_iter().map(|field| land.field(field)).collect();
        Some(news(Some(Changes { fields, shifts })))
    }

    /// What an eventual read would be worth at this moment.
    pub fn freshness(&self, vantage: &Vantage<'_>) -> Receipt {
        let (bound, _) = self.bound(vantage);
        self.receipt(Level::Eventual, bound.map(|micros| micros.div_ceil(1_000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_looked_at_once_and_then_no_more() {
        let mut sight = Sight::default();
        let field = FieldId::new(500, 300).unwrap();
        let (near, far) = (Block::of(Zoom::FIELDS, field), Block::of(Zoom::CHUNKS, field));
        assert!(sight.is_empty() && !sight.look_away(near));
        assert_eq!((sight.look(near), sight.look(near), sight.look(far)), (true, false, true));
        assert!(sight.sees(Zoom::FIELDS, field) && sight.sees_from_afar(field));
        let beside = FieldId::new(512, 300).unwrap();
        assert!(!sight.sees(Zoom::FIELDS, beside) && sight.sees_from_afar(beside), "another chunk of the same block");
        assert_eq!((sight.look_away(near), sight.look_away(near), sight.len()), (true, false, 1));
        assert!(!sight.sees(Zoom::FIELDS, field));
    }
}
