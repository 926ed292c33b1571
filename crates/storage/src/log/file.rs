//! The log in files.

use super::frame::{self, Context};
use super::index::{Place, ShardState};
use super::record::{self, Content};
use super::segment::{self, Disk, RealDisk, Segment};
use super::{Checkpointed, Compaction, Laggard, Log, LogError, LogOptions, LogRecord, LogStats, compaction, recovery};
use crate::{Identity, Reserve};
use paxos::{Ballot, Record, Recovered, Slot, Value};
use placement::ShardId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// A frame is at most this long, however large the segment: it bounds what one turn may leave in memory.
const MAX_FRAME: usize = 16 << 20;

/// So many segments that were dropped are kept for those to come: under load the checkpoints drop several at once.
const MAX_RETIRED: usize = 4;
/// What file systems read and write as one.
const PAGE: usize = 4 << 10;

/// The log in segment files; its format is told in [`crate::log`].
///
/// # Invariants
///
/// * `buffer` begins at `synced`, the end of what is on disk of the active segment; nothing is ever written before it.
/// * A segment is written to only when the one before it is sealed and synced.
/// * The last part of a segment is kept for [`Log::compact`], so that a log which met a full disk can still give space
///   back.
pub struct FileLog {
    pub(super) dir: PathBuf,
    pub(super) identity: Identity,
    pub(super) options: LogOptions,
    pub(super) disk: Arc<dyn Disk>,
    /// By number; the last is the active one.
    pub(super) segments: BTreeMap<u32, Segment>,
    pub(super) synced: u32,
    pub(super) buffer: Vec<u8>,
    pub(super) spare: Spare,
    /// Segments that were dropped, for those to come.
    pub(super) retired: Vec<Segment>,
    pub(super) reserve: Reserve,
    pub(super) shards: BTreeMap<ShardId, ShardState>,
    pub(super) poisoned: Option<String>,
    pub(super) stats: LogStats,
}

/// The segment made ahead.
pub(super) enum Spare {
    None,
    Making(JoinHandle<Result<Segment, LogError>>),
    Ready(Segment),
}

impl FileLog {
    /// Makes an empty log in `dir`, which must exist and hold none.
    pub fn create(dir: &Path, identity: Identity, options: LogOptions) -> Result<Self, LogError> {
        Self::create_on(Arc::new(RealDisk), dir, identity, options)
    }

    /// Opens the log in `dir`. `known` says how far each shard is checkpointed; what follows that comes back, for every shard
    /// that either store knows. Changes nothing on disk unless it succeeds.
    pub fn open(
        dir: &Path,
        identity: Identity,
        options: LogOptions,
        known: &Checkpointed,
    ) -> Result<(Self, BTreeMap<ShardId, Recovered>), LogError> {
        recovery::open(Arc::new(RealDisk), dir, identity, options, known)
    }

    /// What gives way when the disk is full.
    #[must_use]
    pub fn with_reserve(mut self, reserve: Reserve) -> Self {
        self.reserve = reserve;
        self
    }

    pub(super) fn create_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: Identity,
        options: LogOptions,
    ) -> Result<Self, LogError> {
        let bytes = options.segment_bytes.clamp(4 << 10, 1 << 30);
        let options = LogOptions { segment_bytes: bytes, ..options };
        let first = segment::create(&*disk, dir, 1, bytes, identity)?;
        Ok(Self::new(disk, dir, identity, options, first))
    }

    /// A log that starts in `first`.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: Identity,
        options: LogOptions,
        first: Segment,
    ) -> Self {
        Self {
            dir: dir.to_owned(),
            identity,
            options,
            disk,
            segments: BTreeMap::from([(first.number, first)]),
            synced: segment::BEGIN,
            buffer: Vec::new(),
            spare: Spare::None,
            retired: Vec::new(),
            reserve: Reserve::default(),
            shards: BTreeMap::new(),
            poisoned: None,
            stats: LogStats::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), LogError> {
        self.poisoned.as_ref().map_or(Ok(()), |why| Err(LogError::Poisoned { dir: self.dir.clone(), why: why.clone() }))
    }

    pub(super) fn active(&self) -> &Segment {
        self.segments.last_key_value().expect("a log has a segment").1
    }

    fn active_mut(&mut self) -> &mut Segment {
        self.segments.last_entry().expect("a log has a segment").into_mut()
    }

    fn context(&self) -> Context {
        Context { incarnation: self.identity.incarnation, segment: self.active().number }
    }

    /// Counts what each segment holds that is needed, once.
    pub(super) fn count_pinned(&mut self) {
        for place in self.shards.values().flat_map(|state| state.slots.places()) {
            if let Some(segment) = self.segments.get_mut(&place.segment) {
                segment.pinned += u64::from(place.len);
            }
        }
    }

    /// Where in the active segment the next frame begins.
    fn end(&self) -> usize {
        self.synced as usize + self.buffer.len()
    }

    /// Bytes at the end of a segment that only compaction uses.
    fn reserve(capacity: u32) -> usize {
        capacity as usize / 32
    }

    /// The largest frame that any segment takes.
    pub(super) fn max_frame(&self) -> usize {
        let bytes = self.options.segment_bytes;
        (bytes as usize - segment::HEADER - Self::reserve(bytes) - frame::size(0)).min(MAX_FRAME)
    }

    /// Makes room for a frame of at most `bytes`: in the active segment, or by going on to the next.
    fn make_room(&mut self, bytes: usize, for_compaction: bool) -> Result<(), LogError> {
        let capacity = self.active().capacity;
        let kept = if for_compaction { 0 } else { Self::reserve(capacity) };
        if self.end() + bytes + frame::size(0) + kept > capacity as usize {
            self.roll()?;
        }
        Ok(())
    }

    /// One frame with what `fill` puts into it (at most `bytes`), which gets the buffer and the offset in the segment
    /// of the buffer's begin.
    pub(super) fn push_frame(
        &mut self,
        bytes: usize,
        for_compaction: bool,
        fill: impl FnOnce(&mut Vec<u8>, u32) -> Vec<Noted>,
    ) -> Result<(), LogError> {
        self.make_room(frame::size(bytes), for_compaction)?;
        let (context, offset) = (self.context(), self.end());
        let start = frame::start(&mut self.buffer);
        let noted = fill(&mut self.buffer, self.synced);
        frame::finish(&mut self.buffer, start, false, offset, self.synced, context);
        debug_assert!(self.buffer.len() - start <= frame::size(bytes), "a frame is no longer than announced");
        for noted in noted {
            self.note(&noted, context.segment);
        }
        Ok(())
    }

    fn note(&mut self, noted: &Noted, segment: u32) {
        let state = self.shards.entry(noted.shard).or_default();
        if noted.retires {
            state.slots.places().for_each(|place| unpin(&mut self.segments, place.segment, place.len.into()));
            state.retire();
        }
        state.note(noted.ballot, noted.chosen, segment);
        if let Some((slot, offset, len)) = noted.slot {
            let (needed, before) = state.note_slot(slot, Place { segment, offset, len });
            if let Some(before) = before {
                unpin(&mut self.segments, before.segment, before.len.into());
            }
            let active = self.active_mut();
            active.pinned += if needed { u64::from(len) } else { 0 };
            active.note_slot(noted.shard, slot);
        }
    }

    /// Goes on to the next segment; the active one is sealed and synced first. Nothing has changed when there is no
    /// space for a next one.
    fn roll(&mut self) -> Result<(), LogError> {
        let next = self.take_spare()?;
        let (context, offset) = (self.context(), self.end());
        let start = frame::start(&mut self.buffer);
        frame::finish(&mut self.buffer, start, true, offset, self.synced, context);
        self.write_out()?;
        self.segments.insert(next.number, next);
        self.synced = segment::BEGIN;
        Ok(())
    }

    fn take_spare(&mut self) -> Result<Segment, LogError> {
        let next = self.active().number + 1;
        let made = match std::mem::replace(&mut self.spare, Spare::None) {
            Spare::Ready(segment) => Some(segment),
            // When making it ahead failed, it is tried once more now: there may be space again.
            Spare::Making(thread) => thread.join().ok().and_then(Result::ok),
            Spare::None => None,
        };
        if let Some(segment) = made {
            return Ok(segment);
        }
        if let Some(retired) = self.retired.pop()
            && let Ok(segment) = segment::recycle(&*self.disk, &self.dir, next, retired, self.identity)
        {
            return Ok(segment);
        }
        let make = || segment::create(&*self.disk, &self.dir, next, self.options.segment_bytes, self.identity);
        match make() {
            Err(error) if error.is_full() && self.reserve.give_way() => make(),
            made => made,
        }
    }

    /// Whether a segment that is dropped may wait for its turn again: a few, and only while there is space enough.
    pub(super) fn keeps(&self, segment: &Segment) -> bool {
        self.retired.len() < MAX_RETIRED && segment.capacity == self.options.segment_bytes && self.reserve.is_held()
    }

    /// Makes the next segment ahead once the active one is half full.
    fn prepare_spare(&mut self) {
        if !matches!(self.spare, Spare::None)
            || self.end() < self.active().capacity as usize / 2
            || !self.disk.in_background()
            // What the reserve gave is not for work to come.
            || !self.reserve.is_held()
        {
            return;
        }
        let (disk, dir, identity) = (Arc::clone(&self.disk), self.dir.clone(), self.identity);
        let (next, bytes) = (self.active().number + 1, self.options.segment_bytes);
        let retired = self.retired.pop();
        let make = move || {
            let recycled = retired.map(|retired| segment::recycle(&*disk, &dir, next, retired, identity));
            // (If that failed: with a new file, or not at all.)
            recycled.and_then(Result::ok).map_or_else(|| segment::create(&*disk, &dir, next, bytes, identity), Ok)
        };
        // Without a thread for it, the segment is made when it is needed.
        if let Ok(thread) = std::thread::Builder::new().name("log-segment".to_owned()).spawn(make) {
            self.spare = Spare::Making(thread);
        }
    }

    /// Writes the buffer and syncs. A failure poisons.
    pub(super) fn write_out(&mut self) -> Result<(), LogError> {
        // Pages are written whole: of one that is not in memory the rest would have to be read first.
        let len = self.buffer.len();
        let end = (self.synced as usize + len).next_multiple_of(PAGE).min(self.active().capacity as usize);
        self.buffer.resize(end - self.synced as usize, 0);
        let segment = self.active();
        let written = segment.file.write_at(&self.buffer, u64::from(self.synced)).and_then(|()| segment.file.sync());
        if let Err(source) = written {
            let path = segment.path.clone();
            self.poisoned = Some(format!("{}: {source}", path.display()));
            return Err(LogError::Io { doing: "write and sync", path, source });
        }
        self.stats.syncs += 1;
        self.stats.written_bytes += len as u64;
        self.synced += u32::try_from(len).expect("within a segment");
        self.buffer.clear();
        Ok(())
    }

    /// The bytes of one record, checked.
    pub(super) fn fetch(&self, shard: ShardId, slot: Slot, place: Place, out: &mut Vec<u8>) -> Result<(), LogError> {
        let segment = self.segments.get(&place.segment).expect("the index names segments that are there");
        out.resize(place.len as usize, 0);
        if place.segment == self.active().number && place.offset >= self.synced {
            let at = (place.offset - self.synced) as usize;
            out.copy_from_slice(&self.buffer[at..at + place.len as usize]);
        } else {
            let failed = |source| LogError::Io { doing: "read", path: segment.path.clone(), source };
            segment.file.read_at(out, u64::from(place.offset)).map_err(failed)?;
        }
        let ours = record::verify(out)
            && record::decode(out).is_some_and(|found| {
                let at = match found.content {
                    Content::Accept { slot, .. } | Content::Learn { slot, .. } => Some(slot),
                    _ => None,
                };
                found.shard == shard && at == Some(slot)
            });
        if !ours {
            let what = "a record is not as it was written";
            return Err(LogError::Damaged { file: segment.path.clone(), offset: u64::from(place.offset), what });
        }
        Ok(())
    }
}

/// What the index must know of a record that was put into a frame.
pub(super) struct Noted {
    pub shard: ShardId,
    /// Nothing noted before counts.
    pub retires: bool,
    pub ballot: Ballot,
    pub chosen: Slot,
    /// The slot, where the record is in the segment, and its bytes.
    pub slot: Option<(Slot, u32, u32)>,
}

impl Log for FileLog {
    fn append(&mut self, records: &[LogRecord]) -> Result<(), LogError> {
        self.check()?;
        let max = self.max_frame() - frame::HEADER - frame::ALIGN;
        if let Some(large) = records.iter().find(|record| record::bound(&record.record) > max) {
            return Err(LogError::TooLarge { shard: large.shard, bytes: record::bound(&large.record), max });
        }
        let mut rest = records;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |record: &&LogRecord| {
                bytes += record::bound(&record.record);
                bytes <= max
            };
            let (turn, after) = rest.split_at(rest.iter().take_while(fits).count());
            rest = after;
            let bytes = turn.iter().map(|record| record::bound(&record.record)).sum();
            self.push_frame(bytes, false, |buffer, begin| encode_turn(buffer, begin, turn))?;
            self.stats.records += turn.len() as u64;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), LogError> {
        self.check()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.write_out()?;
        self.prepare_spare();
        Ok(())
    }

    fn read(&mut self, shard: ShardId, from: Slot, max_bytes: usize) -> Result<Vec<Value>, LogError> {
        self.check()?;
        let Some(state) = self.shards.get(&shard) else { return Ok(Vec::new()) };
        let (mut values, mut bytes, mut slot, mut record) = (Vec::new(), 0, from, Vec::new());
        while bytes < max_bytes || values.is_empty() {
            let Some(place) = state.slots.get(slot) else { break };
            self.fetch(shard, slot, place, &mut record)?;
            let found = record::decode(&record).expect("checked by fetch");
            let (Content::Accept { value, .. } | Content::Learn { value, .. }) = found.content else { break };
            let len = value.bytes().len();
            if !values.is_empty() && bytes + len > max_bytes {
                break;
            }
            bytes += len;
            values.push(value.value());
            slot = slot.next();
        }
        Ok(values)
    }

    fn release(&mut self, shard: ShardId, through: Slot) {
        let state = self.shards.entry(shard).or_default();
        if through > state.released {
            state.released = through;
            // Neighbours are mostly in the same segment.
            let (mut segment, mut bytes) = (0, 0);
            state.slots.release(through, |place| {
                if place.segment != segment {
                    unpin(&mut self.segments, segment, std::mem::take(&mut bytes));
                    segment = place.segment;
                }
                bytes += u64::from(place.len);
            });
            unpin(&mut self.segments, segment, bytes);
        }
    }

    fn compact(&mut self, keep: u64) -> Result<Compaction, LogError> {
        self.check()?;
        compaction::compact(self, keep)
    }

    fn laggards(&self) -> Vec<Laggard> {
        compaction::laggards(self)
    }

    fn stats(&self) -> LogStats {
        let capacity = |segment: &Segment| u64::from(segment.capacity);
        LogStats {
            segments: self.segments.len() as u64,
            bytes: self.segments.values().map(capacity).sum(),
            spare_bytes: self.retired.iter().map(capacity).sum(),
            ..self.stats
        }
    }
}

impl Drop for FileLog {
    /// Waits for the segment being made, so that nothing writes into the directory any more.
    fn drop(&mut self) {
        if let Spare::Making(thread) = std::mem::replace(&mut self.spare, Spare::None) {
            let _ = thread.join();
        }
    }
}

/// So many bytes of a segment are needed no more.
fn unpin(segments: &mut BTreeMap<u32, Segment>, segment: u32, bytes: u64) {
    if let Some(segment) = segments.get_mut(&segment) {
        segment.pinned -= bytes;
    }
}

fn encode_turn(buffer: &mut Vec<u8>, begin: u32, turn: &[LogRecord]) -> Vec<Noted> {
    let encode = |each: &LogRecord| {
        let at = u32::try_from(buffer.len()).expect("within a segment") + begin;
        let len = u32::try_from(record::encode(buffer, each)).expect("within a segment");
        let nothing = Noted { shard: each.shard, retires: false, ballot: Ballot::ZERO, chosen: Slot::ZERO, slot: None };
        match each.record {
            Record::Promise { ballot } => Noted { ballot, ..nothing },
            Record::Retire => Noted { retires: true, ..nothing },
            Record::Accept { slot, ballot, chosen, .. } => {
                Noted { ballot, chosen, slot: Some((slot, at, len)), ..nothing }
            }
            Record::Learn { slot, .. } => Noted { chosen: slot, slot: Some((slot, at, len)), ..nothing },
        }
    };
    turn.iter().map(encode).collect()
}
