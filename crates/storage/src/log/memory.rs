//! The log's double in memory: keeps records as they are, and fails when told to.

use super::{Checkpointed, Compaction, Laggard, Log, LogError, LogRecord, LogStats, index};
use paxos::{Record, Recovered, Slot, Value};
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet};
use std::{io, path::PathBuf};

/// A log in memory with the crash behaviour of a disk, for simulation and tests. It outlives the node that uses it: a
/// simulated restart is [`MemoryLog::crash`], then [`MemoryLog::recover`].
///
/// It never blocks: a disk that stalls is a caller that delays [`Log::sync`]. It has one segment, so that every shard
/// with slots in it is a laggard, and [`Log::compact`] drops exactly what was released.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    /// What is on the simulated disk: all records of a shard folded, nothing counted as applied.
    durable: BTreeMap<ShardId, Recovered>,
    /// Appended, not synced.
    pending: Vec<LogRecord>,
    released: BTreeMap<ShardId, Slot>,
    flipped: BTreeSet<(ShardId, Slot)>,
    full: bool,
    fail_sync: bool,
    poisoned: bool,
    stats: LogStats,
}

impl MemoryLog {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records a crash now could lose.
    pub fn unsynced(&self) -> usize {
        self.pending.len()
    }

    /// Power is lost: of the records appended since the last sync, the first `survivors` reached the disk.
    pub fn crash(&mut self, survivors: usize) {
        self.pending.truncate(survivors);
        self.settle();
        self.released.clear();
        self.poisoned = false;
        self.fail_sync = false;
        self.stats = LogStats::default();
    }

    /// What a restart finds, given how far each shard is checkpointed; as [`super::FileLog::open`].
    pub fn recover(&mut self, known: &Checkpointed) -> Result<BTreeMap<ShardId, Recovered>, LogError> {
        let Checkpointed { applied, bases, left } = known;
        if let Some((_, slot)) = self.flipped.first() {
            return Err(damaged(*slot));
        }
        self.settle();
        let mut found = BTreeMap::new();
        let shards: BTreeSet<_> = self.durable.keys().chain(applied.keys()).collect();
        for shard in shards.into_iter().filter(|shard| !left.contains(shard)) {
            let applied = applied.get(shard).copied().unwrap_or_default();
            let base = bases.get(shard).copied().unwrap_or_default();
            let mut recovered = index::starting_at(applied);
            if let Some(held) = self.durable.get(shard) {
                recovered.promised = held.promised;
                recovered.chosen = held.chosen.max(applied);
                recovered.entries = held.entries.range(applied.next()..).map(|(s, e)| (*s, e.clone())).collect();
                recovered.first = index::first_held(applied, base, |slot| held.entries.contains_key(&slot));
            }
            index::check_no_gap(&place(), *shard, &recovered)?;
            found.insert(*shard, recovered);
        }
        Ok(found)
    }

    /// From now on the disk has no space (or has again).
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// The next [`Log::sync`] fails.
    pub fn fail_next_sync(&mut self) {
        self.fail_sync = true;
    }

    /// A bit flips in what the disk holds for `slot`: reading it, and every recovery, reports damage. False if the disk
    /// does not hold the slot.
    pub fn flip(&mut self, shard: ShardId, slot: Slot) -> bool {
        let held = self.durable.get(&shard).is_some_and(|held| held.entries.contains_key(&slot));
        held && self.flipped.insert((shard, slot))
    }

    fn settle(&mut self) {
        for LogRecord { shard, record } in self.pending.drain(..) {
            if record == Record::Retire {
                self.released.remove(&shard);
            }
            self.durable.entry(shard).or_default().fold(record);
        }
    }

    fn check(&self) -> Result<(), LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned { dir: place(), why: "injected failure".to_owned() });
        }
        Ok(())
    }
}

impl Log for MemoryLog {
    fn append(&mut self, records: &[LogRecord]) -> Result<(), LogError> {
        self.check()?;
        if self.full {
            return Err(LogError::Full { path: place(), bytes: 0 });
        }
        self.stats.records += records.len() as u64;
        self.pending.extend_from_slice(records);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), LogError> {
        self.check()?;
        if self.fail_sync {
            self.poisoned = true;
            return Err(LogError::Io { doing: "sync", path: place(), source: io::Error::other("injected failure") });
        }
        if !self.pending.is_empty() {
            self.settle();
            self.stats.syncs += 1;
        }
        Ok(())
    }

    fn read(&mut self, shard: ShardId, from: Slot, max_bytes: usize) -> Result<Vec<Value>, LogError> {
        self.check()?;
        if self.released.get(&shard).is_some_and(|through| from <= *through) {
            return Ok(Vec::new());
        }
        let mut recent = BTreeMap::new();
        for pending in self.pending.iter().filter(|pending| pending.shard == shard) {
            if let Record::Accept { slot, value, .. } | Record::Learn { slot, value } = &pending.record {
                recent.insert(*slot, value);
            }
        }
        let held = self.durable.get(&shard);
        let (mut values, mut bytes, mut slot) = (Vec::new(), 0, from);
        while bytes < max_bytes || values.is_empty() {
            let durable = || held.and_then(|held| held.entries.get(&slot)).map(|(_, value)| value);
            let Some(value) = recent.get(&slot).copied().or_else(durable) else { break };
            if self.flipped.contains(&(shard, slot)) {
                return Err(damaged(slot));
            }
            if !values.is_empty() && bytes + value.len() > max_bytes {
                break;
            }
            bytes += value.len();
            values.push(value.clone());
            slot = slot.next();
        }
        Ok(values)
    }

    fn release(&mut self, shard: ShardId, through: Slot) {
        let released = self.released.entry(shard).or_default();
        *released = through.max(*released);
    }

    /// There are no segments: whatever is released goes.
    fn compact(&mut self, _keep: u64) -> Result<Compaction, LogError> {
        self.check()?;
        for (shard, through) in &self.released {
            if let Some(held) = self.durable.get_mut(shard) {
                held.entries = held.entries.split_off(&through.next());
            }
            self.flipped.retain(|(flipped, slot)| flipped != shard || slot > through);
        }
        Ok(Compaction::default())
    }

    fn laggards(&self) -> Vec<Laggard> {
        let mut laggards = Vec::new();
        for (shard, held) in &self.durable {
            let released = self.released.get(shard).copied().unwrap_or_default();
            let pinned = held.entries.range(released.next()..);
            let bytes = pinned.clone().map(|(_, (_, value))| value.len() as u64).sum();
            laggards.extend(pinned.last().map(|(slot, _)| Laggard { shard: *shard, through: *slot, bytes }));
        }
        laggards.sort_by_key(|laggard| std::cmp::Reverse(laggard.bytes));
        laggards
    }

    fn stats(&self) -> LogStats {
        LogStats { segments: 1, ..self.stats }
    }
}

fn place() -> PathBuf {
    PathBuf::from("memory")
}

fn damaged(slot: Slot) -> LogError {
    LogError::Damaged { file: place(), offset: slot.0, what: "an injected flip (the offset is the slot)" }
}
