//! Opening a log: reading every frame, telling a torn tail from damage, building the index.

use super::file::{FileLog, Spare};
use super::frame::{self, Context, Damage, Ending, Extent};
use super::index::{self, Place, ShardState};
use super::record::{self, Content, Payload};
use super::segment::RealDisk;
use super::segment::{self, Disk, Segment};
use super::{Checkpointed, LogContents, LogError, LogOptions};
use crate::Identity;
use paxos::{Ballot, Record, Recovered, Slot, Value};
use placement::ShardId;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    identity: Identity,
    options: LogOptions,
    known: &Checkpointed,
) -> Result<(FileLog, BTreeMap<ShardId, Recovered>), LogError> {
    let (Listing { numbers, leftovers }, found) = survey(&*disk, dir, identity, known, &mut |_, _| {})?;
    let (dropped, recovered) = (found.dropped, found.recovered);

    // All is well; from here on the disk is changed.
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| LogError::Io { doing: "tidy up", path, source }
    };
    if let Some(Tail { segment, bytes }) = found.tail {
        let segment = found.sealed.get(&segment).unwrap_or(&found.last);
        write_again(segment, bytes).map_err(failed(&segment.path))?;
    }
    let outdated = numbers.iter().filter(|number| **number <= dropped).map(|number| segment::path_of(dir, *number));
    for path in outdated.chain(leftovers) {
        disk.remove(&path).map_err(failed(&path))?;
        disk.sync_dir(dir).map_err(failed(dir))?;
    }
    disk.sync_dir(dir).map_err(failed(dir))?;
    let (last, end) = (found.last, found.end);
    if let Some(until) = found.torn_until {
        let zeros = vec![0; until - end];
        last.file.write_at(&zeros, end as u64).map_err(failed(&last.path))?;
    }
    last.file.sync().map_err(failed(&last.path))?;
    let options = LogOptions { segment_bytes: options.segment_bytes.clamp(4 << 10, 1 << 30), ..options };
    let mut log = FileLog::new(disk, dir, identity, options, last);
    log.segments.extend(found.sealed);
    log.shards = found.shards;
    log.count_pinned();
    log.synced = u32::try_from(end).expect("within a segment");
    log.spare = found.spare.map_or(Spare::None, Spare::Ready);
    // An empty frame, which knows all before it to be on disk: a flip there is damage from now on, not a torn tail.
    if end + 2 * frame::size(0) <= log.active().capacity as usize {
        log.push_frame(0, true, |_, _| Vec::new())?;
        log.write_out()?;
    }
    log.stats = super::LogStats::default();
    Ok((log, recovered))
}

/// Makes durable what is relied on from now on, though it may have been in memory only when the process died. A sync alone does
/// not: one that failed may have left the bytes readable and marked as written ("Can Applications Recover from fsync Failures?",
/// Rebello et al., USENIX ATC 2020), until power is lost.
fn write_again(segment: &Segment, tail: Range<usize>) -> io::Result<()> {
    let mut bytes = vec![0; tail.len()];
    segment.file.read_at(&mut bytes, tail.start as u64)?;
    segment.file.write_at(&bytes, tail.start as u64)?;
    segment.file.sync()
}

/// Reads the log in `dir` of a node that does not run, as a start would, and changes nothing. `progress` hears how many segments
/// of how many are read.
pub fn read(
    dir: &Path,
    identity: Identity,
    known: &Checkpointed,
    mut progress: impl FnMut(u64, u64),
) -> Result<(LogContents, BTreeMap<ShardId, Recovered>), LogError> {
    let (_, found) = survey(&RealDisk, dir, identity, known, &mut progress)?;
    let segments = found.sealed.len() as u64 + 1;
    let contents = LogContents { segments, torn: found.torn_until.is_some(), ..found.contents };
    Ok((contents, found.recovered))
}

/// Everything that the files say, and whether it fits together.
fn survey(
    disk: &dyn Disk,
    dir: &Path,
    identity: Identity,
    known: &Checkpointed,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Listing, Found), LogError> {
    let listing = list(dir)?;
    let (numbers, applied) = (&listing.numbers, &known.applied);
    let mut found = read_from(disk, dir, identity, numbers, applied, progress)?;
    let dropped = found.dropped;
    let first = numbers.first().copied().unwrap_or(1);
    if first > dropped + 1 {
        return Err(LogError::Missing { file: segment::path_of(dir, dropped + 1) });
    }
    if first <= dropped {
        // A removal was interrupted. What is to go must not be indexed.
        let kept: Vec<u32> = numbers.iter().copied().filter(|number| *number > dropped).collect();
        found = read_from(disk, dir, identity, &kept, applied, progress)?;
    }
    for (shard, slot) in applied {
        found.recovered.entry(*shard).or_insert_with(|| index::starting_at(*slot));
    }
    for shard in &known.left {
        found.recovered.remove(shard);
        if let Some(state) = found.shards.get_mut(shard) {
            state.retire();
        }
    }
    for (shard, recovered) in &mut found.recovered {
        let base = known.bases.get(shard).copied().unwrap_or_default();
        if let Some(state) = found.shards.get(shard) {
            recovered.first = index::first_held(recovered.applied, base, |slot| state.slots.get(slot).is_some());
        }
        index::check_no_gap(dir, *shard, recovered)?;
    }
    Ok((listing, found))
}

struct Listing {
    /// Ascending.
    numbers: Vec<u32>,
    /// Segments that were being made.
    leftovers: Vec<PathBuf>,
}

fn list(dir: &Path) -> Result<Listing, LogError> {
    let failed = |source| LogError::Io { doing: "list", path: dir.to_owned(), source };
    let mut listing = Listing { numbers: Vec::new(), leftovers: Vec::new() };
    for entry in dir.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let Some(number) = segment::number_of(&path) {
            listing.numbers.push(number);
        } else if path.extension().is_some_and(|extension| extension == "tmp") {
            listing.leftovers.push(path);
        }
    }
    listing.numbers.sort_unstable();
    Ok(listing)
}

/// What the segments say.
struct Found {
    recovered: BTreeMap<ShardId, Recovered>,
    shards: BTreeMap<ShardId, ShardState>,
    /// Segments up to this one may be missing.
    dropped: u32,
    /// Counted.
    contents: LogContents,
    /// The sealed ones.
    sealed: BTreeMap<u32, Segment>,
    /// The one being written.
    last: Segment,
    /// Where its next frame goes.
    end: usize,
    /// What to overwrite with zeros from there.
    torn_until: Option<usize>,
    /// What nothing behind it knew to be on disk.
    tail: Option<Tail>,
    /// The one made ahead.
    spare: Option<Segment>,
}

/// A part of a segment.
struct Tail {
    segment: u32,
    bytes: Range<usize>,
}

fn read_from(
    disk: &dyn Disk,
    dir: &Path,
    identity: Identity,
    numbers: &[u32],
    applied: &BTreeMap<ShardId, Slot>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Found, LogError> {
    let mut reader = Reader {
        applied,
        recovered: BTreeMap::new(),
        shards: BTreeMap::new(),
        dropped: 0,
        contents: LogContents::default(),
    };
    let (mut sealed, mut bytes, mut tail) = (BTreeMap::new(), Vec::new(), None);
    let mut expected = numbers.first().copied().unwrap_or(1);
    for (index, &number) in numbers.iter().enumerate() {
        if number != expected {
            break;
        }
        expected += 1;
        progress(index as u64, numbers.len() as u64);
        let mut segment = segment::open(disk, dir, number, identity)?;
        let damaged = |damage: Damage| LogError::Damaged {
            file: segment::path_of(dir, number),
            offset: damage.offset as u64,
            what: damage.what,
        };
        read_whole(&segment, &mut bytes)?;
        let context = Context { incarnation: identity.incarnation, segment: number };
        let extent =
            frame::scan(&bytes, segment::HEADER, context, |at, records| reader.frame(&mut segment, at, records));
        let Extent { synced, end, ending } = extent.map_err(damaged)?;
        if synced < end {
            tail = Some(Tail { segment: number, bytes: synced..end });
        }
        let torn_until = match ending {
            Ending::Sealed => {
                sealed.insert(number, segment);
                continue;
            }
            Ending::Clean => None,
            Ending::Torn(until) => Some(until),
        };
        let spare = spare(disk, dir, identity, &numbers[index + 1..], &mut bytes)?;
        let (Ok(spare), true) = (spare, numbers.get(index + 1).is_none_or(|next| *next == expected)) else {
            let what = "the segment ends here without its seal, yet a later one is in use";
            return Err(damaged(Damage { offset: end, what }));
        };
        let Reader { recovered, shards, dropped, contents, .. } = reader;
        return Ok(Found { recovered, shards, dropped, contents, sealed, last: segment, end, torn_until, tail, spare });
    }
    Err(LogError::Missing { file: segment::path_of(dir, expected) })
}

/// Marks that later segments are in use.
struct InUse;

/// The segment made ahead, out of all that follow the one that is not full: at most one, and never written to.
fn spare(
    disk: &dyn Disk,
    dir: &Path,
    identity: Identity,
    later: &[u32],
    bytes: &mut Vec<u8>,
) -> Result<Result<Option<Segment>, InUse>, LogError> {
    let number = match later {
        [] => return Ok(Ok(None)),
        [number] => *number,
        _ => return Ok(Err(InUse)),
    };
    let segment = segment::open(disk, dir, number, identity)?;
    read_whole(&segment, bytes)?;
    let context = Context { incarnation: identity.incarnation, segment: number };
    let extent = frame::scan(bytes, segment::HEADER, context, |_, _| Ok(()));
    let unused = extent.is_ok_and(|extent| extent.end == segment::HEADER && extent.ending == Ending::Clean);
    Ok(if unused { Ok(Some(segment)) } else { Err(InUse) })
}

fn read_whole(segment: &Segment, bytes: &mut Vec<u8>) -> Result<(), LogError> {
    bytes.resize(segment.capacity as usize, 0);
    let failed = |source| LogError::Io { doing: "read", path: segment.path.clone(), source };
    segment.file.read_at(bytes, 0).map_err(failed)
}

/// Folds records, and remembers where they are.
struct Reader<'a> {
    applied: &'a BTreeMap<ShardId, Slot>,
    recovered: BTreeMap<ShardId, Recovered>,
    shards: BTreeMap<ShardId, ShardState>,
    dropped: u32,
    contents: LogContents,
}

impl Reader<'_> {
    fn frame(&mut self, segment: &mut Segment, mut at: usize, mut records: &[u8]) -> Result<(), Damage> {
        self.contents.frames += 1;
        while !records.is_empty() {
            let Some(found) = record::decode(records) else {
                return Err(Damage { offset: at, what: "a valid frame holds a record of an unknown kind" });
            };
            let within = |bytes: usize| u32::try_from(bytes).expect("within a segment");
            let place = Place { segment: segment.number, offset: within(at), len: within(found.len) };
            self.contents.records += 1;
            self.record(segment, found.shard, found.content, place);
            at += found.len;
            records = &records[found.len..];
        }
        Ok(())
    }

    fn record(&mut self, segment: &mut Segment, shard: ShardId, content: Content<'_>, place: Place) {
        if let Content::Dropped { through } = content {
            self.dropped = self.dropped.max(through);
            return;
        }
        let applied = self.applied;
        let recovered = self
            .recovered
            .entry(shard)
            .or_insert_with(|| index::starting_at(applied.get(&shard).copied().unwrap_or_default()));
        let state = self.shards.entry(shard).or_default();
        // Values that the checkpoint has are not kept, so they need not be copied either.
        let owned = |slot: Slot, value: Payload<'_>| if slot > recovered.applied { value.value() } else { Value::Noop };
        let (ballot, chosen, slot) = match content {
            Content::Promise(ballot) => {
                recovered.fold(Record::Promise { ballot });
                (ballot, Slot::ZERO, None)
            }
            Content::Accept { slot, ballot, chosen, value } => {
                let value = owned(slot, value);
                recovered.fold(Record::Accept { slot, ballot, value, chosen });
                (ballot, chosen, Some(slot))
            }
            Content::Learn { slot, value } => {
                let value = owned(slot, value);
                recovered.fold(Record::Learn { slot, value });
                (Ballot::ZERO, slot, Some(slot))
            }
            Content::Keep { ballot, chosen } => {
                recovered.fold(Record::Promise { ballot });
                recovered.chosen = recovered.chosen.max(chosen);
                (ballot, chosen, None)
            }
            Content::Retire => {
                recovered.fold(Record::Retire);
                state.retire();
                return;
            }
            Content::Dropped { .. } => return,
        };
        state.note(ballot, chosen, segment.number);
        if let Some(slot) = slot {
            state.note_slot(slot, place);
            segment.note_slot(shard, slot);
        }
    }
}
