//! One machine's disk: a log and pages that take their time, lose what was not synced when power fails, and stall.
//!
//! Jobs of one kind are done in order. Beside the stores this keeps the observer's own account of
//! which value lies where, because the checkers must not rely on what they check.

use crate::clock::Time;
use crate::random::Random;
use crate::sabotage::Sabotage;
use bytes::Bytes;
use host::{LogRead, PartRead, RecoveredShard, Write};
use paxos::{Record, Recovered, Slot, Value};
use placement::{ShardId, ShardMap};
use shard::{Cut, Stored};
use std::collections::{BTreeMap, VecDeque};
use storage::{Checkpointed, Log, LogError, LogRecord, Membership, MemoryLog, MemoryPages, Pages, PagesError};
use wire::peer::PartOf;
use world::ChunkId;
use world::land::PageKey;
use xxhash_rust::xxh3::xxh3_64;

/// Catch-up reads this many bytes at a time.
const READ_BYTES: usize = 64 << 10;
/// A part of a checkpoint for another node: small, so that a small world's takes several.
const PART_BYTES: usize = 700;
/// The first byte of a chunk's page key: chunks stay on the disk until somebody needs them.
const CHUNK_TAG: u8 = 1;

/// How fast a disk is, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// A sync takes at least this.
    pub sync: u64,
    /// And up to this more.
    pub jitter: u64,
    /// A checkpoint or a chunk takes so many times as long.
    pub pages: u64,
}

/// What the log is to do.
#[derive(Debug)]
enum LogJob {
    Write(Write),
    Read(LogRead),
}

/// What the pages are to do.
#[derive(Debug)]
enum PageJob {
    Cut(ShardId, Cut),
    Load(ShardId, ChunkId),
    ReadPart(PartRead),
    Stage(PartOf),
    Join(ShardId, u64),
    Leave(ShardId, u64),
}

/// A job that is done.
#[derive(Debug)]
pub enum Done {
    /// This write is durable.
    Written(u64),
    /// These values were in the log.
    Read(LogRead, Vec<Value>),
    /// This checkpoint is durable.
    Checkpointed(ShardId, Slot),
    /// This chunk's page.
    Chunk(ShardId, ChunkId, Option<Bytes>),
    /// A part of a checkpoint for another node.
    PartRead(PartRead, Option<PartOf>),
    /// A part of another node's checkpoint is put aside.
    Staged(ShardId, bool),
    /// Another node's checkpoint is in place.
    Installed(ShardId, Option<Stored>),
    /// The shard is joined.
    Joined(ShardId, u64),
    /// What was stored of the shard is gone.
    Left(ShardId),
}

/// What a power failure did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Records that were handed in and not durable.
    pub unsynced: usize,
    /// Of those, how many reached the disk all the same: the first ones.
    pub survived: usize,
}

/// A disk failed in a way nobody asked it to: a bug in the simulator or in the stores' doubles.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The log's.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The pages'.
    #[error(transparent)]
    Pages(#[from] PagesError),
}

/// Where a shard's values are, with their hashes.
#[derive(Clone, Debug, Default)]
struct Account {
    /// Handed in.
    written: BTreeMap<Slot, (u64, Value)>,
    /// Durable in the log.
    durable: BTreeMap<Slot, (u64, Value)>,
    /// Durable in the checkpoint, up to here.
    checkpointed: Slot,
}

/// A disk, with everything that outlives its machine's process.
#[derive(Debug)]
pub struct Disk {
    log: MemoryLog,
    pages: MemoryPages,
    log_jobs: VecDeque<LogJob>,
    page_jobs: VecDeque<PageJob>,
    /// When the sync under way is over.
    sync_ends: Time,
    /// And the next one, if anything waits for it.
    next_sync_ends: Option<Time>,
    pages_free_at: Time,
    /// Until then it does nothing.
    pub stalled_until: Time,
    /// How fast it is.
    pub speed: Speed,
    accounts: BTreeMap<ShardId, Account>,
}

impl Disk {
    /// An empty one.
    pub fn new(speed: Speed) -> Self {
        Self {
            log: MemoryLog::new(),
            pages: MemoryPages::new(),
            log_jobs: VecDeque::new(),
            page_jobs: VecDeque::new(),
            sync_ends: Time(0),
            next_sync_ends: None,
            pages_free_at: Time(0),
            stalled_until: Time(0),
            speed,
            accounts: BTreeMap::new(),
        }
    }

    /// Takes a write; says when it is done.
    pub fn write(&mut self, now: Time, random: &mut Random, write: Write) -> Time {
        for (shard, record) in &write.records {
            if let Some((slot, hash, value)) = value_of(record) {
                self.accounts.entry(*shard).or_default().written.insert(slot, (hash, value.clone()));
            }
        }
        self.log_jobs.push_back(LogJob::Write(write));
        self.log_time(now, random)
    }

    /// Takes a question to the log; says when it is answered.
    pub fn read(&mut self, now: Time, random: &mut Random, read: LogRead) -> Time {
        self.log_jobs.push_back(LogJob::Read(read));
        self.log_time(now, random)
    }

    /// Takes a checkpoint; says when it is done.
    pub fn cut(&mut self, now: Time, random: &mut Random, shard: ShardId, cut: Cut) -> Time {
        self.page_jobs.push_back(PageJob::Cut(shard, cut));
        self.page_time(now, random)
    }

    /// Takes a question for a chunk; says when it is answered.
    pub fn load(&mut self, now: Time, random: &mut Random, shard: ShardId, chunk: ChunkId) -> Time {
        self.page_jobs.push_back(PageJob::Load(shard, chunk));
        self.page_time(now, random)
    }

    /// Takes any other job of the pages; says when it is done.
    pub fn read_part(&mut self, now: Time, random: &mut Random, read: PartRead) -> Time {
        self.page_jobs.push_back(PageJob::ReadPart(read));
        self.page_time(now, random)
    }

    /// Takes a part of another node's checkpoint.
    pub fn stage(&mut self, now: Time, random: &mut Random, part: PartOf) -> Time {
        self.page_jobs.push_back(PageJob::Stage(part));
        self.page_time(now, random)
    }

    /// This node joins a shard.
    pub fn join(&mut self, now: Time, random: &mut Random, shard: ShardId, number: u64) -> Time {
        self.page_jobs.push_back(PageJob::Join(shard, number));
        self.page_time(now, random)
    }

    /// This node has left a shard.
    pub fn leave(&mut self, now: Time, random: &mut Random, shard: ShardId, number: u64) -> Time {
        self.page_jobs.push_back(PageJob::Leave(shard, number));
        self.page_time(now, random)
    }

    /// The log may forget.
    pub fn release(&mut self, shard: ShardId, through: Slot) -> Result<(), DiskError> {
        self.log.release(shard, through);
        self.log.compact()?;
        Ok(())
    }

    /// Does the log's next job.
    pub fn finish_log(&mut self) -> Result<Option<Done>, DiskError> {
        Ok(match self.log_jobs.pop_front() {
            None => None,
            Some(LogJob::Write(Write { id, records })) => {
                self.append(records)?;
                self.log.sync()?;
                Some(Done::Written(id))
            }
            Some(LogJob::Read(read)) => {
                let values = self.log.read(read.shard, read.after.next(), READ_BYTES)?;
                Some(Done::Read(read, values))
            }
        })
    }

    /// Does the pages' next job.
    pub fn finish_page(&mut self) -> Result<Option<Done>, DiskError> {
        Ok(match self.page_jobs.pop_front() {
            None => None,
            Some(PageJob::Cut(shard, cut)) => {
                let slot = cut.slot;
                self.commit(shard, cut)?;
                Some(Done::Checkpointed(shard, slot))
            }
            Some(PageJob::Load(shard, chunk)) => {
                let page = self.pages.page(shard, &PageKey::Chunk(chunk).to_bytes())?;
                Some(Done::Chunk(shard, chunk, page))
            }
            Some(PageJob::ReadPart(read)) => {
                let PartRead { shard, slot, after, .. } = &read;
                let found = storage::next_part(&mut self.pages, *shard, *slot, after.as_deref(), PART_BYTES)?;
                let found = found.map(|(slot, storage::Part { head, pages, last })| {
                    let after = after.clone();
                    PartOf { shard: *shard, slot, after, head, pages, last }
                });
                Some(Done::PartRead(read, found))
            }
            Some(PageJob::Stage(PartOf { shard, slot, after, head, pages, last })) => {
                let fits = self.pages.stage(shard, slot, after.as_deref(), &pages)?;
                if fits && last {
                    Some(Done::Installed(shard, self.install(shard, slot, &head)?))
                } else {
                    Some(Done::Staged(shard, fits))
                }
            }
            Some(PageJob::Join(shard, number)) => {
                self.pages.set_membership(shard, Membership::Joined(number))?;
                Some(Done::Joined(shard, number))
            }
            Some(PageJob::Leave(shard, number)) => {
                self.pages.set_membership(shard, Membership::Left(number))?;
                self.accounts.remove(&shard);
                Some(Done::Left(shard))
            }
        })
    }

    fn install(&mut self, shard: ShardId, slot: Slot, head: &Bytes) -> Result<Option<Stored>, DiskError> {
        match self.pages.install(shard, slot, head) {
            Err(PagesError::Backwards { .. }) => return Ok(None),
            other => other?,
        }
        let account = self.accounts.entry(shard).or_default();
        account.checkpointed = slot;
        Ok(self.stored(shard)?)
    }

    fn stored(&self, shard: ShardId) -> Result<Option<Stored>, PagesError> {
        Ok(self.pages.load(shard, CHUNK_TAG)?.map(|pages| Stored {
            slot: pages.slot,
            head: pages.head,
            pages: pages.pages,
            chunk_keys: pages.lazy_keys,
        }))
    }

    /// The page of a chunk, at once: for the observer.
    pub fn page(&self, shard: ShardId, chunk: ChunkId) -> Result<Option<Bytes>, DiskError> {
        Ok(self.pages.page(shard, &PageKey::Chunk(chunk).to_bytes())?)
    }

    /// Power fails. Of what was under way some first part survives.
    pub fn crash(&mut self, random: &mut Random, sabotage: Sabotage) -> Result<Loss, DiskError> {
        let jobs = std::mem::take(&mut self.log_jobs);
        let records: Vec<(ShardId, Record)> = jobs
            .into_iter()
            .filter_map(|job| if let LogJob::Write(write) = job { Some(write.records) } else { None })
            .flatten()
            .collect();
        let unsynced = records.len();
        let survived = match random.below(3) {
            0 => 0,
            1 => unsynced,
            _ => random.index(unsynced + 1),
        };
        self.append(records.into_iter().take(survived).collect())?;
        self.log.crash(survived);
        // A commit is all or nothing; its report may be lost all the same.
        if let Some(PageJob::Cut(shard, cut)) = std::mem::take(&mut self.page_jobs).pop_front()
            && random.chance(500_000)
        {
            self.commit(shard, cut)?;
        }
        self.pages.restart();
        // Nobody waits for the dead machine's jobs any more.
        (self.sync_ends, self.next_sync_ends, self.pages_free_at) = (Time(0), None, Time(0));
        if sabotage == Sabotage::Amnesia {
            (self.log, self.pages, self.accounts) = (MemoryLog::new(), MemoryPages::new(), BTreeMap::new());
        }
        for account in self.accounts.values_mut() {
            account.written.clone_from(&account.durable);
        }
        Ok(Loss { unsynced, survived })
    }

    /// What a starting node finds.
    pub fn recover(&mut self, map: &ShardMap, me: paxos::NodeId) -> Result<Vec<RecoveredShard>, DiskError> {
        let memberships: BTreeMap<ShardId, Membership> = self.pages.memberships()?.into_iter().collect();
        let applied: BTreeMap<ShardId, Slot> = self.pages.shards()?.into_iter().collect();
        let left = self.left()?.into_keys().collect();
        let mut logs = self.log.recover(&Checkpointed { applied, left })?;
        let mut found = Vec::new();
        for info in map.shards() {
            let floor = match memberships.get(&info.shard) {
                Some(Membership::Joined(floor)) => *floor,
                None if info.voters.contains(&me) => 0,
                Some(Membership::Left(_)) | None => continue,
            };
            let stored = self.stored(info.shard)?;
            let recovered = logs.remove(&info.shard).unwrap_or_else(Recovered::fresh);
            let recovered = Recovered { floor, ..recovered };
            let staged = self.pages.staged(info.shard)?.map(|staged| (staged.slot, staged.after));
            found.push(RecoveredShard { info: info.clone(), recovered, stored, staged });
        }
        Ok(found)
    }

    /// The shards that this node has left, and in which configuration.
    pub fn left(&self) -> Result<BTreeMap<ShardId, u64>, PagesError> {
        let left = self.pages.memberships()?.into_iter().filter_map(|(shard, membership)| match membership {
            Membership::Left(number) => Some((shard, number)),
            Membership::Joined(_) => None,
        });
        Ok(left.collect())
    }

    /// What was handed in for `slot`, and its hash.
    pub fn written(&self, shard: ShardId, slot: Slot) -> Option<&(u64, Value)> {
        self.accounts.get(&shard)?.written.get(&slot)
    }

    /// Whether power may fail and `slot` is still there with this value.
    pub fn holds(&self, shard: ShardId, slot: Slot, hash: u64) -> bool {
        self.accounts.get(&shard).is_some_and(|account| {
            slot <= account.checkpointed || account.durable.get(&slot).is_some_and(|held| held.0 == hash)
        })
    }

    fn append(&mut self, records: Vec<(ShardId, Record)>) -> Result<(), DiskError> {
        for (shard, record) in &records {
            if *record == Record::Retire {
                self.accounts.remove(shard);
            }
            if let Some((slot, hash, value)) = value_of(record) {
                self.accounts.entry(*shard).or_default().durable.insert(slot, (hash, value.clone()));
            }
        }
        let records: Vec<LogRecord> = records.into_iter().map(|(shard, record)| LogRecord { shard, record }).collect();
        self.log.append(&records)?;
        Ok(())
    }

    fn commit(&mut self, shard: ShardId, cut: Cut) -> Result<(), DiskError> {
        let account = self.accounts.entry(shard).or_default();
        account.checkpointed = cut.slot;
        // What lies before is never asked for again.
        account.durable = account.durable.split_off(&cut.slot);
        account.written = account.written.split_off(&cut.slot);
        let Cut { slot, head, pages } = cut;
        self.pages.commit(&[storage::Cut { shard, slot, head, pages }])?;
        Ok(())
    }

    /// As the node's driver does it, one sync takes everything that has come while the one before was under way.
    fn log_time(&mut self, now: Time, random: &mut Random) -> Time {
        if now >= self.sync_ends {
            // Whatever was gathered has begun, or is over.
            self.sync_ends = std::mem::take(&mut self.next_sync_ends).unwrap_or(self.sync_ends);
        }
        let took = self.speed.sync + random.below(self.speed.jitter);
        if now >= self.sync_ends {
            self.sync_ends = now.max(self.stalled_until).plus(took);
            return self.sync_ends;
        }
        let start = self.sync_ends.max(self.stalled_until);
        *self.next_sync_ends.get_or_insert(start.plus(took))
    }

    fn page_time(&mut self, now: Time, random: &mut Random) -> Time {
        let start = now.max(self.pages_free_at).max(self.stalled_until);
        self.pages_free_at = start.plus(self.speed.pages * (self.speed.sync + random.below(self.speed.jitter)));
        self.pages_free_at
    }
}

fn value_of(record: &Record) -> Option<(Slot, u64, &Value)> {
    let (slot, value) = match record {
        Record::Promise { .. } | Record::Retire => return None,
        Record::Accept { slot, value, .. } | Record::Learn { slot, value } => (slot, value),
    };
    let hash = match value {
        Value::Noop => 1,
        Value::Command(bytes) => xxh3_64(bytes),
        Value::Stop(next) => xxh3_64(&next.encode()),
    };
    Some((*slot, hash, value))
}
