//! The pages' double in memory.

use super::{Cut, Pages, PagesError, Part, ShardPages, Staged};
use bytes::Bytes;
use paxos::Slot;
use placement::{Membership, ShardId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::{io, path::PathBuf};

/// Checkpoints in memory, for simulation and tests. A commit is durable when it returns, so a crash needs no method: the
/// store outlives the node that uses it. [`MemoryPages::restart`] is its reopening.
#[derive(Clone, Debug, Default)]
pub struct MemoryPages {
    shards: BTreeMap<ShardId, Checkpoint>,
    memberships: BTreeMap<ShardId, Membership>,
    staged: BTreeMap<ShardId, Checkpoint>,
    /// Gone with a restart.
    /// Held for other nodes, the one read last at the back.
    held: VecDeque<(ShardId, Checkpoint)>,
    flipped: BTreeSet<(ShardId, Bytes)>,
    full: bool,
    fail_commit: bool,
    poisoned: bool,
    commits: u64,
}

#[derive(Clone, Debug, Default)]
struct Checkpoint {
    slot: Slot,
    base: Slot,
    head: Bytes,
    pages: BTreeMap<Bytes, Bytes>,
}

impl MemoryPages {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The node was restarted: a poisoned store is usable again.
    pub fn restart(&mut self) {
        self.poisoned = false;
        self.fail_commit = false;
        self.held.clear();
    }

    /// From now on the disk has no space (or has again).
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// Commits that succeeded.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// The next commit fails, and nothing of it is kept.
    pub fn fail_next_commit(&mut self) {
        self.fail_commit = true;
    }

    /// A bit flips in a page: reading it reports damage, until it is written again. False if there is no such page.
    pub fn flip(&mut self, shard: ShardId, key: &[u8]) -> bool {
        let held = self.shards.get(&shard).is_some_and(|shard| shard.pages.contains_key(key));
        held && self.flipped.insert((shard, Bytes::copy_from_slice(key)))
    }

    fn check(&self) -> Result<(), PagesError> {
        if self.poisoned {
            return Err(PagesError::Poisoned { file: place(), why: "injected failure".to_owned() });
        }
        Ok(())
    }

    fn intact(&self, shard: ShardId, key: &Bytes) -> Result<(), PagesError> {
        if self.flipped.contains(&(shard, key.clone())) {
            return Err(PagesError::Damaged { file: place(), what: format!("page {key:?} of shard {shard}") });
        }
        Ok(())
    }
}

impl Pages for MemoryPages {
    fn commit(&mut self, cuts: &[Cut]) -> Result<(), PagesError> {
        self.check()?;
        let mut slots: BTreeMap<ShardId, Slot> = BTreeMap::new();
        for Cut { shard, slot, .. } in cuts {
            let stored = slots.get(shard).copied().or_else(|| self.shards.get(shard).map(|held| held.slot));
            if let Some(stored) = stored.filter(|stored| stored > slot) {
                return Err(PagesError::Backwards { shard: *shard, stored, cut: *slot });
            }
            slots.insert(*shard, *slot);
        }
        if self.full {
            return Err(PagesError::Full { file: place() });
        }
        if self.fail_commit {
            self.poisoned = true;
            let source = io::Error::other("injected failure");
            return Err(PagesError::Io { doing: "commit a checkpoint to", path: place(), source });
        }
        for cut in cuts {
            if self.staged.get(&cut.shard).is_some_and(|staged| staged.slot <= cut.slot) {
                self.staged.remove(&cut.shard);
            }
            let shard = self.shards.entry(cut.shard).or_default();
            shard.slot = cut.slot;
            shard.head = cut.head.clone();
            for (key, value) in &cut.pages {
                if !self.flipped.is_empty() {
                    self.flipped.remove(&(cut.shard, key.clone()));
                }
                match value {
                    Some(value) => shard.pages.insert(key.clone(), value.clone()),
                    None => shard.pages.remove(key),
                };
            }
        }
        self.commits += 1;
        Ok(())
    }

    fn load(&self, shard: ShardId, lazy: u8) -> Result<Option<ShardPages>, PagesError> {
        self.check()?;
        let Some(held) = self.shards.get(&shard) else { return Ok(None) };
        let mut loaded =
            ShardPages { slot: held.slot, head: held.head.clone(), pages: Vec::new(), lazy_keys: Vec::new() };
        for (key, value) in &held.pages {
            if key.first() == Some(&lazy) {
                loaded.lazy_keys.push(key.clone());
            } else {
                self.intact(shard, key)?;
                loaded.pages.push((key.clone(), value.clone()));
            }
        }
        Ok(Some(loaded))
    }

    fn page(&self, shard: ShardId, key: &[u8]) -> Result<Option<Bytes>, PagesError> {
        self.check()?;
        let Some((key, value)) = self.shards.get(&shard).and_then(|held| held.pages.get_key_value(key)) else {
            return Ok(None);
        };
        self.intact(shard, key)?;
        Ok(Some(value.clone()))
    }

    fn shards(&self) -> Result<Vec<(ShardId, Slot)>, PagesError> {
        self.check()?;
        Ok(self.shards.iter().map(|(shard, held)| (*shard, held.slot)).collect())
    }

    fn bases(&self) -> Result<Vec<(ShardId, Slot)>, PagesError> {
        self.check()?;
        Ok(self.shards.iter().map(|(shard, held)| (*shard, held.base)).collect())
    }

    fn hold(&mut self, shard: ShardId) -> Result<Option<Slot>, PagesError> {
        self.check()?;
        let Some(found) = self.shards.get(&shard) else { return Ok(None) };
        let slot = found.slot;
        self.held.retain(|(of, held)| *of != shard || held.slot != slot);
        if self.held.len() >= super::HELD {
            self.held.pop_front();
        }
        self.held.push_back((shard, found.clone()));
        Ok(Some(slot))
    }

    fn let_go(&mut self, shard: ShardId) {
        self.held.retain(|(of, _)| *of != shard);
    }

    fn part(
        &mut self,
        shard: ShardId,
        slot: Slot,
        after: Option<&[u8]>,
        max_bytes: usize,
    ) -> Result<Option<Part>, PagesError> {
        self.check()?;
        let Some(at) = self.held.iter().position(|(of, held)| *of == shard && held.slot == slot) else {
            return Ok(None);
        };
        let read = self.held.remove(at).expect("found just now");
        self.held.push_back(read);
        let Some((_, held)) = self.held.back() else { return Ok(None) };
        let from = after.map_or(Bound::Unbounded, |key| Bound::Excluded(Bytes::copy_from_slice(key)));
        let mut rest = held.pages.range((from, Bound::Unbounded)).peekable();
        let (mut pages, mut bytes) = (Vec::new(), 0);
        while let Some((key, value)) =
            rest.next_if(|(key, value)| pages.is_empty() || bytes + key.len() + value.len() <= max_bytes)
        {
            self.intact(shard, key)?;
            bytes += key.len() + value.len();
            pages.push((key.clone(), value.clone()));
        }
        Ok(Some(Part { head: held.head.clone(), pages, last: rest.peek().is_none() }))
    }

    fn stage(
        &mut self,
        shard: ShardId,
        slot: Slot,
        after: Option<&[u8]>,
        pages: &[(Bytes, Bytes)],
    ) -> Result<bool, PagesError> {
        self.check()?;
        if self.full {
            return Err(PagesError::Full { file: place() });
        }
        let staged = self.staged.entry(shard).or_default();
        if after.is_none() {
            *staged = Checkpoint { slot, ..Checkpoint::default() };
        } else if staged.slot != slot || staged.pages.last_key_value().map(|(key, _)| &key[..]) != after {
            return Ok(false);
        }
        staged.pages.extend(pages.iter().cloned());
        Ok(true)
    }

    fn staged(&self, shard: ShardId) -> Result<Option<Staged>, PagesError> {
        self.check()?;
        let Some(staged) = self.staged.get(&shard) else { return Ok(None) };
        let last = staged.pages.last_key_value().map(|(key, _)| key.clone());
        Ok(last.map(|after| Staged { slot: staged.slot, after }))
    }

    fn install(&mut self, shard: ShardId, slot: Slot, head: &Bytes) -> Result<(), PagesError> {
        self.check()?;
        if let Some(stored) = self.shards.get(&shard).map(|held| held.slot).filter(|stored| *stored > slot) {
            return Err(PagesError::Backwards { shard, stored, cut: slot });
        }
        if self.full {
            return Err(PagesError::Full { file: place() });
        }
        let staged = self.staged.remove(&shard).filter(|staged| staged.slot == slot).unwrap_or_default();
        self.shards.insert(shard, Checkpoint { slot, base: slot, head: head.clone(), pages: staged.pages });
        self.flipped.retain(|(flipped, _)| *flipped != shard);
        Ok(())
    }

    fn set_memberships(&mut self, memberships: &[(ShardId, Membership)]) -> Result<(), PagesError> {
        self.check()?;
        for &(shard, membership) in memberships {
            self.memberships.insert(shard, membership);
            if matches!(membership, Membership::Left(_)) {
                self.shards.remove(&shard);
                self.staged.remove(&shard);
            }
        }
        Ok(())
    }

    fn memberships(&self) -> Result<Vec<(ShardId, Membership)>, PagesError> {
        self.check()?;
        Ok(self.memberships.iter().map(|(shard, membership)| (*shard, *membership)).collect())
    }
}

fn place() -> PathBuf {
    PathBuf::from("memory")
}
