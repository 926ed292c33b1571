//! What is in memory and what is in the store: checkpoints, recovery, loading and evicting chunks.

use super::{
    Changes, Chunk, Land, PageError, PageKey, Totals,
    ledger::{Channel, Purse, plus},
    page::{Page, PageFault},
};
use crate::{Acorns, ChunkId, RuleBook, WorldSeed};
use serde::{Deserialize, Serialize};
use std::ops::Bound;

/// Whether a chunk can be read and changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is in memory, or nobody ever touched it.
    Ready,
    /// It is in the store: load it first.
    Stored,
}

/// What a map's node costs beyond its entries, per entry, when it is three quarters full.
pub(super) const NODE: usize = 16;
/// The most chunks that one call of [`Land::cool`] passes by.
const PASSED_AT_ONCE: usize = 4_096;

/// Writes a page at the end of a buffer.
type Write<'a> = &'a dyn Fn(&mut Vec<u8>);

/// The page of [`PageKey::Head`]: what no other page tells.
#[derive(Serialize, Deserialize)]
struct Head {
    granted: Acorns,
    received: Acorns,
    harvested: Acorns,
    settled: Acorns,
}

impl Land {
    /// The land that a checkpoint holds: its pages in any order (chunks that come along are in memory at once), and the
    /// chunks that are only in the store.
    pub fn restore<B: AsRef<[u8]>>(
        seed: WorldSeed,
        rules: RuleBook,
        pages: impl IntoIterator<Item = (PageKey, B)>,
        stored: impl IntoIterator<Item = ChunkId>,
    ) -> Result<Self, PageError> {
        let mut land = Self::new(seed, rules);
        let mut headed = false;
        for (key, page) in pages {
            let page = page.as_ref();
            let new = match key {
                PageKey::Head => {
                    land.restore_head(page).map_err(refused(key))?;
                    !std::mem::replace(&mut headed, true)
                }
                PageKey::Chunk(id) => {
                    let chunk = Chunk::from_page(id, page, &land.rules).map_err(refused(key))?;
                    land.take_in(id, chunk)
                }
                PageKey::Player(player) => {
                    let purse: Purse = Page::decode(page).map_err(refused(key))?;
                    if !purse.in_order() {
                        return Err(refused(key)(PageFault::Invalid("payments out of order")));
                    }
                    land.totals.wallets = plus(land.totals.wallets, purse.wallet);
                    land.purses.restore(player, purse)
                }
                PageKey::Channel(from, player) => {
                    let channel: Channel = Page::decode(page).map_err(refused(key))?;
                    if channel.seq == 0 || channel.in_flight == Acorns::ZERO && channel.accruing != Acorns::ZERO {
                        return Err(refused(key)(PageFault::Invalid("acorns outside any payment")));
                    }
                    land.totals.in_flight = plus(land.totals.in_flight, channel.in_flight);
                    land.totals.accruing = plus(land.totals.accruing, channel.accruing);
                    land.estates.owe(&player, |pending| plus(pending, channel.owed()));
                    land.outbox.restore(from, player, channel)
                }
                PageKey::Estate(player) => {
                    let chunks: Vec<(ChunkId, u16)> = Page::decode(page).map_err(refused(key))?;
                    let new = land.estates.chunks_of(&player).is_empty();
                    let restored = if new { land.estates.restore(&player, chunks) } else { Some(()) };
                    restored.ok_or_else(|| refused(key)(PageFault::Invalid("land that nobody can have")))?;
                    new
                }
            };
            if !new {
                return Err(PageError::Twice(key));
            }
        }
        land.stored = stored.into_iter().filter(|id| !land.chunks.contains_key(id)).collect();
        land.totals.check()?;
        land.changes = Changes::default();
        Ok(land)
    }

    /// Whether a chunk can be read and changed.
    pub fn readiness(&self, chunk: ChunkId) -> Readiness {
        if self.stored.contains(&chunk) { Readiness::Stored } else { Readiness::Ready }
    }

    /// Somebody needs this chunk, and others: if it is in memory it is not to leave yet.
    pub fn keep(&self, chunk: ChunkId) {
        if let Some(chunk) = self.chunks.get(&chunk) {
            chunk.used.set(true);
        }
    }

    /// Brings a stored chunk into memory. A page that comes twice, or late, changes nothing.
    pub fn load_chunk(&mut self, chunk: ChunkId, page: &[u8]) -> Result<(), PageError> {
        if self.chunks.contains_key(&chunk) {
            return Ok(());
        }
        if !self.stored.contains(&chunk) {
            return Err(PageError::NotStored(chunk));
        }
        let loaded = Chunk::from_page(chunk, page, &self.rules).map_err(refused(PageKey::Chunk(chunk)))?;
        self.stored.remove(&chunk);
        self.take_in(chunk, loaded);
        Ok(())
    }

    /// Drops a chunk from memory, if it is there and nothing in it changed since [`Land::take_changes`]; says whether.
    ///
    /// Only when those changes are durable, since the store's page is all that is left.
    pub fn evict(&mut self, chunk: ChunkId) -> bool {
        if self.changes.chunks.contains(&chunk) {
            return false;
        }
        let Some(evicted) = self.chunks.remove(&chunk) else { return false };
        self.chunk_bytes -= evicted.weight;
        self.stored.insert(chunk);
        true
    }

    /// Evicts chunks until about so many bytes are free: those that nobody has used since they were last passed by (the
    /// second-chance algorithm). Passes by a few thousand chunks at most; says how many have left.
    ///
    /// Only when all changes that were ever taken are durable.
    pub fn cool(&mut self, bytes: usize) -> usize {
        let enough = self.chunk_bytes.saturating_sub(bytes);
        let mut evicted = 0;
        for _ in 0..self.chunks.len().min(PASSED_AT_ONCE) {
            let behind = (self.hand.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
            let next = self.chunks.range(behind).next().or_else(|| self.chunks.first_key_value());
            let Some((&id, chunk)) = next.filter(|_| self.chunk_bytes > enough) else { break };
            self.hand = Some(id);
            if !chunk.used.replace(false) && self.evict(id) {
                evicted += 1;
            }
        }
        evicted
    }

    /// What the chunks in memory weigh, in bytes; of those that changed, as of the last checkpoint.
    pub fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// A chunk comes into memory; says whether it was not there.
    fn take_in(&mut self, id: ChunkId, chunk: Chunk) -> bool {
        let new = self.chunks.insert(id, chunk).is_none();
        self.weigh(id);
        new
    }

    fn weigh(&mut self, id: ChunkId) {
        if let Some(chunk) = self.chunks.get_mut(&id) {
            chunk.used.set(true);
            let weight = chunk.weigh();
            self.chunk_bytes = self.chunk_bytes - std::mem::replace(&mut chunk.weight, weight) + weight;
        }
    }

    /// The chunks in memory.
    pub fn resident(&self) -> impl Iterator<Item = ChunkId> {
        self.chunks.keys().copied()
    }

    /// Everything that has changed since the last call, by key; `None` is a page to delete.
    pub fn take_changes(&mut self) -> Vec<(PageKey, Option<Vec<u8>>)> {
        let mut pages = Vec::new();
        self.drain_changes(|key, page| pages.push((key, page.map(<[u8]>::to_vec))));
        pages
    }

    /// The same, one after the other, each page in a buffer that the next one overwrites.
    pub fn drain_changes(&mut self, mut take: impl FnMut(PageKey, Option<&[u8]>)) {
        let Changes { head, chunks, players, channels, estates } = std::mem::take(&mut self.changes);
        let mut page = Vec::new();
        let mut take = |key, write: Option<Write<'_>>| {
            page.clear();
            if let Some(write) = write {
                write(&mut page);
            }
            take(key, write.map(|_| &page[..]));
        };
        if head {
            let Totals { granted, received, harvested, settled, .. } = self.totals;
            take(PageKey::Head, Some(&|page| Page::encode(page, &Head { granted, received, harvested, settled })));
        }
        for id in chunks {
            self.weigh(id);
            let chunk = self.chunks.get(&id).expect("a changed chunk is never evicted");
            take(PageKey::Chunk(id), Some(&|page| chunk.to_page(page)));
        }
        for player in players {
            match self.purses.get(&player) {
                Some(purse) => take(PageKey::Player(player), Some(&|page| Page::encode(page, purse))),
                None => take(PageKey::Player(player), None),
            }
        }
        for (from, player) in channels {
            match self.outbox.channel(from, player) {
                Some(channel) => take(PageKey::Channel(from, player), Some(&|page| Page::encode(page, channel))),
                None => take(PageKey::Channel(from, player), None),
            }
        }
        for player in estates {
            match self.estates.chunks_of(&player) {
                [] => take(PageKey::Estate(player), None),
                chunks => take(PageKey::Estate(player), Some(&|page| Page::encode(page, &chunks))),
            }
        }
    }

    /// About how much memory it takes, in bytes: for reports, since it looks at every chunk.
    pub fn heap_bytes(&self) -> usize {
        self.chunks.values().map(Chunk::weigh).sum::<usize>()
            + self.stored.len() * (size_of::<ChunkId>() + NODE)
            + self.purses.entries() * (size_of::<(super::PlayerName, Purse)>() * 4 / 3 + NODE)
            + self.outbox.entries() * (size_of::<(super::PlayerName, Channel)>() * 4 / 3 + NODE)
            + self.estates.heap_bytes()
    }

    /// A chunk that somebody touched.
    pub(super) fn chunk(&self, id: ChunkId) -> Option<&Chunk> {
        let chunk = self.chunks.get(&id);
        assert!(chunk.is_some() || self.readiness(id) == Readiness::Ready, "{id:?} must be loaded before it is read");
        chunk.inspect(|chunk| chunk.used.set(true))
    }

    fn restore_head(&mut self, page: &[u8]) -> Result<(), PageFault> {
        let Head { granted, received, harvested, settled } = Page::decode(page)?;
        self.totals = Totals { granted, received, harvested, settled, ..self.totals };
        Ok(())
    }
}

fn refused(key: PageKey) -> impl Fn(PageFault) -> PageError {
    move |fault| PageError::Refused { key, fault }
}
