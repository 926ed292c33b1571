//! The pages as tables of redb, and what is done to them in one transaction.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format`, `identity` | 4 bytes; cluster, incarnation and node |
//! | `heads` | shard | xxh3, slot, generation, head |
//! | `pages` | shard (4 bytes, big-endian), generation, key | xxh3, page |
//! | `staged` | shard | slot of a checkpoint that is coming from another node |
//! | `members` | shard | 0 (left) or 1 (joined), and the number of the configuration |
//!
//! A shard's pages have one of two generations; a checkpoint from another node is gathered in the other one, and becomes
//! the shard's by changing its head.
//!
//! Each value carries a checksum of itself and its key. Commits save the allocator's state, so that a crash leaves nothing to
//! repair.

use super::{Cut, PagesError, Part};
use bytes::Bytes;
use paxos::Slot;
use placement::ShardId;
use redb::{Database, Durability, ReadTransaction, ReadableTable, TableDefinition};
use std::ops::Bound;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const HEADS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("heads");
pub(super) const PAGES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("pages");
pub(super) const STAGED: TableDefinition<'_, u32, u64> = TableDefinition::new("staged");
pub(super) const MEMBERS: TableDefinition<'_, u32, (u8, u64)> = TableDefinition::new("members");
/// The layout told above.
pub(super) const FORMAT: u32 = 3;

/// A checkpoint's head as it is stored.
pub(super) struct Head {
    pub slot: Slot,
    pub generation: u8,
    /// The slot of the last checkpoint that came from another node, and of which this one goes on.
    pub base: Slot,
    pub rest: Bytes,
}

impl Head {
    pub fn read(shard: ShardId, stored: &[u8]) -> Option<Self> {
        let (slot, rest) = unsealed(&shard.0.to_be_bytes(), stored)?.split_first_chunk::<8>()?;
        let (&generation, rest) = rest.split_first()?;
        let (base, head) = rest.split_first_chunk::<8>()?;
        let [slot, base] = [slot, base].map(|slot| Slot(u64::from_le_bytes(*slot)));
        Some(Self { slot, generation, base, rest: Bytes::copy_from_slice(head) })
    }

    pub fn sealed(&self, shard: ShardId) -> Vec<u8> {
        let (slot, base) = (self.slot.0.to_le_bytes(), self.base.0.to_le_bytes());
        sealed(&shard.0.to_be_bytes(), &[&slot, &[self.generation], &base, &self.rest])
    }
}

/// A checkpoint that stays as it was.
pub(super) struct Held {
    pub shard: ShardId,
    pub slot: Slot,
    pub head: Bytes,
    pub generation: u8,
    pub transaction: ReadTransaction,
}

impl Held {
    /// As [`Pages::part`]; `None` if a page is damaged.
    pub fn part(&self, after: Option<&[u8]>, max_bytes: usize) -> Result<Option<Part>, redb::Error> {
        let (first, end) = whole(self.shard, self.generation);
        let from = after.map(|key| full_key(self.shard, self.generation, key));
        let from = from.as_ref().map_or(Bound::Included(first.as_slice()), |from| Bound::Excluded(from.as_slice()));
        let table = self.transaction.open_table(PAGES)?;
        let (mut pages, mut bytes) = (Vec::new(), 0);
        for entry in table.range::<&[u8]>((from, Bound::Excluded(end.as_slice())))? {
            let (key, value) = entry?;
            let Some(page) = unsealed(key.value(), value.value()) else { return Ok(None) };
            let size = key.value().len() + page.len();
            if !pages.is_empty() && bytes + size > max_bytes {
                return Ok(Some(Part { head: self.head.clone(), pages, last: false }));
            }
            bytes += size;
            let key = Bytes::copy_from_slice(key.value().get(5..).unwrap_or_default());
            pages.push((key, Bytes::copy_from_slice(page)));
        }
        Ok(Some(Part { head: self.head.clone(), pages, last: true }))
    }
}

/// Commits, or says why the cuts are refused.
pub(super) fn commit(database: &Database, cuts: &[Cut]) -> Result<Option<PagesError>, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        let mut heads = transaction.open_table(HEADS)?;
        let mut pages = transaction.open_table(PAGES)?;
        let mut staged = transaction.open_table(STAGED)?;
        for cut in cuts {
            let shard = cut.shard;
            let stored = heads.get(shard.0)?.and_then(|head| Head::read(shard, head.value()));
            if let Some(stored) = stored.as_ref().map(|head| head.slot).filter(|stored| *stored > cut.slot) {
                return Ok(Some(PagesError::Backwards { shard, stored, cut: cut.slot }));
            }
            let (generation, base) = stored.map_or((0, Slot::ZERO), |head| (head.generation, head.base));
            let head = Head { slot: cut.slot, generation, base, rest: cut.head.clone() };
            heads.insert(shard.0, head.sealed(shard).as_slice())?;
            let worthless = staged.get(shard.0)?.is_some_and(|slot| slot.value() <= cut.slot.0);
            if worthless {
                staged.remove(shard.0)?;
                clear(&mut pages, shard, 1 - generation.min(1))?;
            }
            for (key, value) in &cut.pages {
                let key = full_key(shard, generation, key);
                match value {
                    Some(value) => pages.insert(key.as_slice(), sealed(&key, &[value]).as_slice())?,
                    None => pages.remove(key.as_slice())?,
                };
            }
        }
    }
    transaction.commit()?;
    Ok(None)
}

pub(super) fn stage(
    database: &Database,
    shard: ShardId,
    slot: Slot,
    after: Option<&[u8]>,
    pages: &[(Bytes, Bytes)],
    durable: bool,
) -> Result<bool, redb::Error> {
    let mut transaction = database.begin_write()?;
    if durable {
        transaction.set_quick_repair(true);
    } else {
        transaction.set_durability(Durability::None)?;
    }
    {
        let generation = other_generation(shard, &transaction.open_table(HEADS)?)?;
        let mut table = transaction.open_table(PAGES)?;
        let before = transaction.open_table(STAGED)?.insert(shard.0, slot.0)?.map(|slot| slot.value());
        if after.is_none() {
            clear(&mut table, shard, generation)?;
        } else {
            let (first, end) = whole(shard, generation);
            let mut range =
                table.range::<&[u8]>((Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice())))?;
            let last = range.next_back().transpose()?.map(|(key, _)| key.value().to_vec());
            if before != Some(slot.0) || last.as_deref().and_then(|key| key.get(5..)) != after {
                return Ok(false);
            }
        }
        for (key, value) in pages {
            let key = full_key(shard, generation, key);
            table.insert(key.as_slice(), sealed(&key, &[value]).as_slice())?;
        }
    }
    transaction.commit()?;
    Ok(true)
}

pub(super) fn install(
    database: &Database,
    shard: ShardId,
    slot: Slot,
    head: &Bytes,
) -> Result<Option<PagesError>, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        let mut heads = transaction.open_table(HEADS)?;
        let stored = heads.get(shard.0)?.and_then(|head| Head::read(shard, head.value()));
        if let Some(stored) = stored.map(|head| head.slot).filter(|stored| *stored > slot) {
            return Ok(Some(PagesError::Backwards { shard, stored, cut: slot }));
        }
        let generation = other_generation(shard, &heads)?;
        let mut pages = transaction.open_table(PAGES)?;
        if transaction.open_table(STAGED)?.remove(shard.0)?.map(|slot| slot.value()) != Some(slot.0) {
            // Nothing was put aside: an empty checkpoint.
            clear(&mut pages, shard, generation)?;
        }
        let head = Head { slot, generation, base: slot, rest: head.clone() };
        heads.insert(shard.0, head.sealed(shard).as_slice())?;
        clear(&mut pages, shard, 1 - generation)?;
    }
    transaction.commit()?;
    Ok(None)
}

/// The generation that the pages of `shard` do not have.
pub(super) fn other_generation(
    shard: ShardId,
    heads: &impl ReadableTable<u32, &'static [u8]>,
) -> Result<u8, redb::Error> {
    let head = heads.get(shard.0)?.and_then(|head| Head::read(shard, head.value()));
    Ok(head.map_or(1, |head| 1 - head.generation.min(1)))
}

pub(super) fn clear(
    pages: &mut redb::Table<'_, &[u8], &[u8]>,
    shard: ShardId,
    generation: u8,
) -> Result<(), redb::Error> {
    let (first, end) = whole(shard, generation);
    pages.retain_in::<&[u8], _>((Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice())), |_, _| false)?;
    Ok(())
}

pub(super) fn full_key(shard: ShardId, generation: u8, key: &[u8]) -> Vec<u8> {
    [&shard.0.to_be_bytes()[..], &[generation], key].concat()
}

/// The keys of a generation of a shard: from the first to before the second.
pub(super) fn whole(shard: ShardId, generation: u8) -> ([u8; 5], [u8; 5]) {
    let [a, b, c, d] = shard.0.to_be_bytes();
    ([a, b, c, d, generation], [a, b, c, d, generation + 1])
}

/// `parts` as one value, behind their checksum.
fn sealed(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut value = vec![0; 8];
    for part in parts {
        value.extend_from_slice(part);
    }
    let checksum = xxh3_64_with_seed(&value[8..], xxh3_64(key));
    value[..8].copy_from_slice(&checksum.to_le_bytes());
    value
}

/// What is behind the checksum, if that is right.
pub(super) fn unsealed<'a>(key: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (checksum, value) = value.split_first_chunk::<8>()?;
    (xxh3_64_with_seed(value, xxh3_64(key)).to_le_bytes() == *checksum).then_some(value)
}
