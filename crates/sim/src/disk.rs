//! One machine's disk: a log and pages that take their time, and fail in every way that the product must live with. They
//! stall, are full, fail a sync, rot, and lose what was not synced when power fails.
//!
//! Jobs of one kind are done in order; those that wait for space let pass what only reads, as the node's threads do.

use crate::clock::Time;
use crate::ledger::Ledger;
use crate::random::Random;
use crate::sabotage::Sabotage;
use bytes::Bytes;
use host::{LogRead, PartRead, RecoveredShard, Write};
use paxos::{Record, Recovered, Slot, Value};
use placement::{Membership, ShardId, ShardMap};
use shard::{Cut, Stored};
use std::collections::{BTreeMap, VecDeque};
use storage::{Checkpointed, Log, LogError, LogRecord, MemoryLog, MemoryPages, Pages, PagesError};
use wire::peer::PartOf;
use world::ChunkId;
use world::land::PageKey;

/// Catch-up reads this many bytes at a time.
const READ_BYTES: usize = 64 << 10;
/// A part of a checkpoint for another node: small, so that a small world's takes several.
const PART_BYTES: usize = 700;

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
    LetGo(ShardId),
    Stage(PartOf),
    Memberships(Vec<(ShardId, Membership)>),
}

impl PageJob {
    fn is_write(&self) -> bool {
        !matches!(self, Self::Load(..) | Self::ReadPart(_) | Self::LetGo(_))
    }
}

/// What came of a job.
#[derive(Debug)]
pub enum Done {
    /// There was none.
    Nothing,
    /// Nothing can be done before there is space: to be tried again.
    Full,
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
    /// These shards are joined, or left: then what was stored of them is gone.
    Moved(Vec<(ShardId, Membership)>),
}

/// What a power failure did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Records that were handed in and not durable.
    pub unsynced: usize,
    /// Of those, how many reached the disk all the same: the first ones.
    pub survived: usize,
    /// A frame reached it in part, and is cut when the log is opened.
    pub torn_frame: bool,
}

/// Why a store is out of use. Damage and failed syncs come only when planned; everything else is a bug.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Nobody knows what is on the disk.
    #[error("a sync failed")]
    Sync,
    /// The log's.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The pages'.
    #[error(transparent)]
    Pages(#[from] PagesError),
}

impl DiskError {
    /// Whether the disk holds something else than it once confirmed.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Log(LogError::Damaged { .. }) | Self::Pages(PagesError::Damaged { .. }))
    }

    /// Whether it is the disk's fault and not the product's.
    pub fn is_planned(&self) -> bool {
        self.is_damage() || matches!(self, Self::Sync)
    }
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
    /// It has no space left.
    pub full: bool,
    /// Writes for which there is room all the same: the reserve has given way to them.
    pub reserve: u32,
    /// The next sync will fail.
    pub failing: bool,
    /// What the observer knows to be on it.
    pub ledger: Ledger,
}

/// Writes for which the reserve of a full disk has room.
const RESERVE: u32 = 12;

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
            full: false,
            reserve: 0,
            failing: false,
            ledger: Ledger::default(),
        }
    }

    /// When everything that it was given is done.
    pub fn busy_until(&self) -> Time {
        self.pages_free_at.max(self.next_sync_ends.unwrap_or(self.sync_ends))
    }

    /// Takes a write; says when it is done.
    pub fn write(&mut self, now: Time, random: &mut Random, write: Write) -> Time {
        self.ledger.hand_in(&write.records);
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

    /// No checkpoint of this shard is held for others any more.
    pub fn let_go(&mut self, now: Time, random: &mut Random, shard: ShardId) -> Time {
        self.page_jobs.push_back(PageJob::LetGo(shard));
        self.page_time(now, random)
    }

    /// Takes a part of another node's checkpoint.
    pub fn stage(&mut self, now: Time, random: &mut Random, part: PartOf) -> Time {
        self.page_jobs.push_back(PageJob::Stage(part));
        self.page_time(now, random)
    }

    /// This node joins or has left shards.
    pub fn note_memberships(&mut self, now: Time, random: &mut Random, moves: Vec<(ShardId, Membership)>) -> Time {
        self.page_jobs.push_back(PageJob::Memberships(moves));
        self.page_time(now, random)
    }

    /// The log may forget.
    pub fn release(&mut self, shard: ShardId, through: Slot) -> Result<(), DiskError> {
        self.log.release(shard, through);
        self.log.compact(0)?;
        Ok(())
    }

    /// There is no space left but what is kept back.
    pub fn fill(&mut self) {
        (self.full, self.reserve) = (true, RESERVE);
    }

    fn has_room(&self) -> bool {
        !self.full || self.reserve > 0
    }

    fn take_room(&mut self) {
        if self.full {
            self.reserve -= 1;
        }
    }

    /// Does the log's next job.
    pub fn finish_log(&mut self) -> Result<Done, DiskError> {
        match self.log_jobs.front() {
            Some(LogJob::Write(_)) if !self.has_room() => return Ok(Done::Full),
            Some(LogJob::Write(_)) if self.failing => return Err(DiskError::Sync),
            Some(LogJob::Write(_)) => self.take_room(),
            _ => {}
        }
        Ok(match self.log_jobs.pop_front() {
            None => Done::Nothing,
            Some(LogJob::Write(Write { id, records })) => {
                self.append(records)?;
                self.log.sync()?;
                Done::Written(id)
            }
            Some(LogJob::Read(read)) => {
                let values = self.log.read(read.shard, read.after.next(), READ_BYTES)?;
                Done::Read(read, values)
            }
        })
    }

    /// Does the pages' next job.
    pub fn finish_page(&mut self) -> Result<Done, DiskError> {
        let next = self.page_jobs.iter().position(|job| self.has_room() || !job.is_write());
        let Some(job) = next.and_then(|next| self.page_jobs.remove(next)) else {
            return Ok(if self.page_jobs.is_empty() { Done::Nothing } else { Done::Full });
        };
        if self.failing && job.is_write() {
            return Err(DiskError::Sync);
        }
        if job.is_write() {
            self.take_room();
        }
        Ok(match job {
            PageJob::Cut(shard, cut) => {
                let slot = cut.slot;
                self.commit(shard, cut)?;
                Done::Checkpointed(shard, slot)
            }
            PageJob::Load(shard, chunk) => {
                let page = self.pages.page(shard, &PageKey::Chunk(chunk).to_bytes())?;
                Done::Chunk(shard, chunk, page)
            }
            PageJob::ReadPart(read) => {
                let PartRead { shard, slot, after, .. } = &read;
                let found = storage::next_part(&mut self.pages, *shard, *slot, after.as_deref(), PART_BYTES)?;
                let found = found.map(|(slot, storage::Part { head, pages, last })| {
                    let after = after.clone();
                    PartOf { shard: *shard, slot, after, head, pages, last }
                });
                Done::PartRead(read, found)
            }
            PageJob::LetGo(shard) => {
                self.pages.let_go(shard);
                Done::Nothing
            }
            PageJob::Stage(PartOf { shard, slot, after, head, pages, last }) => {
                let fits = self.pages.stage(shard, slot, after.as_deref(), &pages)?;
                if fits && last {
                    Done::Installed(shard, self.install(shard, slot, &head)?)
                } else {
                    Done::Staged(shard, fits)
                }
            }
            PageJob::Memberships(moves) => {
                self.pages.set_memberships(&moves)?;
                for (shard, _) in moves.iter().filter(|(_, membership)| matches!(membership, Membership::Left(_))) {
                    self.ledger.forget(*shard);
                }
                Done::Moved(moves)
            }
        })
    }

    fn install(&mut self, shard: ShardId, slot: Slot, head: &Bytes) -> Result<Option<Stored>, DiskError> {
        match self.pages.install(shard, slot, head) {
            Err(PagesError::Backwards { .. }) => return Ok(None),
            other => other?,
        }
        self.ledger.install(shard, slot);
        Ok(self.stored(shard)?)
    }

    fn stored(&self, shard: ShardId) -> Result<Option<Stored>, PagesError> {
        Ok(self.pages.load(shard, PageKey::CHUNK_TAG)?.map(|pages| Stored {
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

    /// Power fails, or the process is gone. Of what was under way some first part survives.
    pub fn crash(&mut self, random: &mut Random, sabotage: Sabotage) -> Result<Loss, DiskError> {
        let jobs = std::mem::take(&mut self.log_jobs);
        let frames: Vec<Vec<(ShardId, Record)>> = jobs
            .into_iter()
            .filter_map(|job| if let LogJob::Write(write) = job { Some(write.records) } else { None })
            .collect();
        let unsynced = frames.iter().map(Vec::len).sum();
        let (survivors, torn_frame) = self.survivors(random, frames);
        let survived = survivors.len();
        self.append(survivors)?;
        self.log.crash(survived);
        // A commit is all or nothing; its report may be lost all the same.
        let may_end = !self.failing && self.has_room() && self.page_jobs.front().is_some_and(PageJob::is_write);
        if may_end && random.chance(500_000) {
            self.finish_page()?;
        }
        self.page_jobs.clear();
        self.pages.restart();
        self.failing = false;
        // Nobody waits for the dead machine's jobs any more.
        (self.sync_ends, self.next_sync_ends, self.pages_free_at) = (Time(0), None, Time(0));
        if sabotage == Sabotage::Amnesia {
            (self.log, self.pages, self.ledger) = (MemoryLog::new(), MemoryPages::new(), Ledger::default());
        }
        self.ledger.lose_unsynced();
        Ok(Loss { unsynced, survived, torn_frame })
    }

    /// What recovery would find of frames that were not synced: whole ones, up to the first that is torn. (A turn that does
    /// not fit into its segment is two frames.)
    fn survivors(&self, random: &mut Random, frames: Vec<Vec<(ShardId, Record)>>) -> (Vec<(ShardId, Record)>, bool) {
        if self.full {
            return (Vec::new(), false);
        }
        let whole = match random.below(3) {
            0 => 0,
            1 => frames.len(),
            _ => random.index(frames.len() + 1),
        };
        let torn = whole < frames.len() && random.chance(500_000);
        let mut survivors = Vec::new();
        for (nth, mut records) in frames.into_iter().enumerate().take(whole + 1) {
            if nth == whole {
                let in_first_segment = if torn && random.chance(250_000) { random.index(records.len()) } else { 0 };
                records.truncate(in_first_segment);
            }
            survivors.append(&mut records);
        }
        (survivors, torn)
    }

    /// A bit flips in something that the disk had confirmed, and that a later write knew to be there. Says in what, if it
    /// holds any such thing.
    pub fn rot(&mut self, random: &mut Random) -> Option<String> {
        if random.chance(700_000) {
            let held: Vec<(ShardId, Slot)> = self.ledger.durable().collect();
            let (shard, slot) = *held.get(random.index(held.len()))?;
            return self.log.flip(shard, slot).then(|| format!("slot {slot} of shard {shard} in the log"));
        }
        let shards = self.pages.shards().ok()?;
        let (shard, _) = *shards.get(random.index(shards.len()))?;
        let found = self.pages.load(shard, PageKey::CHUNK_TAG).ok()??;
        let keys: Vec<Bytes> = found.pages.into_iter().map(|(key, _)| key).chain(found.lazy_keys).collect();
        let key = keys.get(random.index(keys.len()))?;
        self.pages.flip(shard, key).then(|| format!("a page of shard {shard} in the checkpoints"))
    }

    /// What a starting node finds.
    pub fn recover(&mut self, map: &ShardMap, me: paxos::NodeId) -> Result<Vec<RecoveredShard>, DiskError> {
        let memberships: BTreeMap<ShardId, Membership> = self.pages.memberships()?.into_iter().collect();
        let applied: BTreeMap<ShardId, Slot> = self.pages.shards()?.into_iter().collect();
        let bases = self.pages.bases()?.into_iter().collect();
        let left = self.left()?.into_keys().collect();
        let mut logs = self.log.recover(&Checkpointed { applied, bases, left })?;
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

    fn append(&mut self, records: Vec<(ShardId, Record)>) -> Result<(), DiskError> {
        self.ledger.persist(&records);
        let records: Vec<LogRecord> = records.into_iter().map(|(shard, record)| LogRecord { shard, record }).collect();
        self.log.append(&records)?;
        Ok(())
    }

    fn commit(&mut self, shard: ShardId, cut: Cut) -> Result<(), DiskError> {
        self.ledger.checkpoint(shard, cut.slot);
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
