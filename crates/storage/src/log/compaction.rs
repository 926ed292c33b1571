//! Dropping the oldest segments.
//!
//! The order is what makes it safe: all that is still needed, then the record that names the segments dropped, then a
//! sync, then the removals, oldest first. A tail torn anywhere in between loses the naming record before it loses
//! anything named.

use super::file::{FileLog, Noted};
use super::index::Place;
use super::record::{self, Content, MAX_OVERHEAD};
use super::segment::{self, Segment};
use super::{Compaction, Laggard, Log, LogError};
use paxos::{Ballot, Slot};
use placement::ShardId;

/// Frames of records written again are about this long.
const FRAME: usize = 256 << 10;

pub(super) fn compact(log: &mut FileLog, keep: u64) -> Result<Compaction, LogError> {
    let active = log.active().number;
    let (mut needed, mut through) = (Vec::new(), 0);
    let mut left = log.stats().bytes;
    for (number, segment) in log.segments.range(..active) {
        if left <= keep || segment.pinned > u64::from(log.options.rewrite_bytes) {
            break;
        }
        needed.extend(pinned(log, segment));
        through = *number;
        left -= u64::from(segment.capacity);
    }
    let mut done = Compaction::default();
    if !log.reserve.is_held() {
        // Others need the space more than segments to come.
        for retired in std::mem::take(&mut log.retired) {
            remove(log, &retired)?;
        }
    }
    if through == 0 {
        return Ok(done);
    }
    keep_states(log, through, &mut done)?;
    copy(log, &needed, &mut done)?;
    log.push_frame(MAX_OVERHEAD, true, |buffer, _| {
        record::encode_content(buffer, ShardId(0), Content::Dropped { through });
        Vec::new()
    })?;
    log.write_out()?;

    while let Some(oldest) = log.segments.first_entry().filter(|oldest| *oldest.key() <= through) {
        let segment = oldest.remove();
        done.dropped_segments += 1;
        done.freed_bytes += u64::from(segment.capacity);
        give_up(log, segment)?;
    }
    Ok(done)
}

/// Puts a segment aside for one to come, or removes it.
fn give_up(log: &mut FileLog, segment: Segment) -> Result<(), LogError> {
    if !log.keeps(&segment) {
        return remove(log, &segment);
    }
    let path = segment.path.clone();
    let retired = segment::retire(&*log.disk, &log.dir, segment);
    log.retired.push(retired.map_err(|source| LogError::Io { doing: "put aside", path, source })?);
    Ok(())
}

fn remove(log: &FileLog, segment: &Segment) -> Result<(), LogError> {
    let failed = |source| LogError::Io { doing: "remove", path: segment.path.clone(), source };
    log.disk.remove(&segment.path).and_then(|()| log.disk.sync_dir(&log.dir)).map_err(failed)
}

pub(super) fn laggards(log: &FileLog) -> Vec<Laggard> {
    let active = log.active().number;
    let Some((_, oldest)) = log.segments.range(..active).next() else { return Vec::new() };
    let mut laggards: Vec<Laggard> = Vec::new();
    for (shard, slot, place) in pinned(log, oldest) {
        let bytes = u64::from(place.len);
        match laggards.last_mut().filter(|last| last.shard == shard) {
            Some(last) => {
                last.through = last.through.max(slot);
                last.bytes += bytes;
            }
            None => laggards.push(Laggard { shard, through: slot, bytes }),
        }
    }
    laggards.sort_by_key(|laggard| std::cmp::Reverse(laggard.bytes));
    laggards
}

/// The slots whose last record is in `segment` and that somebody still needs, shard by shard.
fn pinned<'a>(log: &'a FileLog, segment: &'a Segment) -> impl Iterator<Item = (ShardId, Slot, Place)> + 'a {
    segment.slots.iter().flat_map(|(shard, (low, high))| {
        let state = log.shards.get(shard);
        let within = state.map(|state| state.slots.within((*low).max(state.released.next()), *high, segment.number));
        within.into_iter().flatten().map(|(slot, place)| (*shard, slot, place))
    })
}

/// Writes promise and watermark again for every shard whose newest witness is in a segment that goes.
fn keep_states(log: &mut FileLog, through: u32, done: &mut Compaction) -> Result<(), LogError> {
    let goes = |witness: u32| (1..=through).contains(&witness);
    let states = log.shards.iter().filter(|(_, state)| goes(state.promised_in) || goes(state.chosen_in));
    let states: Vec<(ShardId, Ballot, Slot)> = states.map(|(shard, s)| (*shard, s.promised, s.chosen)).collect();
    for states in states.chunks(FRAME / MAX_OVERHEAD) {
        log.push_frame(states.len() * MAX_OVERHEAD, true, |buffer, _| {
            let keep = |&(shard, ballot, chosen): &(ShardId, Ballot, Slot)| {
                done.rewritten_bytes += record::encode_content(buffer, shard, Content::Keep { ballot, chosen }) as u64;
                Noted { shard, retires: false, ballot, chosen, slot: None }
            };
            states.iter().map(keep).collect()
        })?;
        done.rewritten_records += states.len() as u64;
    }
    Ok(())
}

/// Writes the records of slots again, byte for byte.
fn copy(log: &mut FileLog, needed: &[(ShardId, Slot, Place)], done: &mut Compaction) -> Result<(), LogError> {
    let mut rest = needed;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |(_, _, place): &&(ShardId, Slot, Place)| {
            let first = bytes == 0;
            bytes += place.len as usize;
            first || bytes <= FRAME.min(log.max_frame() / 2)
        };
        let (turn, after) = rest.split_at(rest.iter().take_while(fits).count());
        rest = after;
        let (mut records, mut one, mut noted) = (Vec::new(), Vec::new(), Vec::new());
        for (shard, slot, place) in turn {
            log.fetch(*shard, *slot, *place, &mut one)?;
            let (ballot, chosen) = match record::decode(&one).map(|found| found.content) {
                Some(Content::Accept { ballot, chosen, .. }) => (ballot, chosen),
                _ => (Ballot::ZERO, *slot),
            };
            let at = u32::try_from(records.len()).expect("within a segment");
            noted.push(Noted { shard: *shard, retires: false, ballot, chosen, slot: Some((*slot, at, place.len)) });
            records.extend_from_slice(&one);
        }
        done.rewritten_records += turn.len() as u64;
        done.rewritten_bytes += records.len() as u64;
        log.push_frame(records.len(), true, |buffer, begin| {
            let base = begin + u32::try_from(buffer.len()).expect("within a segment");
            buffer.extend_from_slice(&records);
            for (_, at, _) in noted.iter_mut().filter_map(|noted| noted.slot.as_mut()) {
                *at += base;
            }
            noted
        })?;
    }
    Ok(())
}
