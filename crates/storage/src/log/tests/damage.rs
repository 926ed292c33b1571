//! Torn tails are cut, damage is told: by flipping and cutting the files themselves.

use super::*;
use std::fs;
use std::path::PathBuf;

/// A directory with one segment of these turns, each synced; and where each turn's frame begins, and the end.
fn log_of(turns: &[&[LogRecord]]) -> (Scratch, PathBuf, Vec<usize>) {
    let dir = Scratch::new();
    let mut log = FileLog::create(dir.path(), identity(), SMALL).expect("a new log");
    let mut begins = vec![log.synced as usize];
    for turn in turns {
        log.append(turn).expect("room");
        log.sync().expect("sound");
        begins.push(log.synced as usize);
    }
    let path = log.active().path.clone();
    (dir, path, begins)
}

fn three_turns() -> (Scratch, PathBuf, Vec<usize>) {
    log_of(&[
        &[promise(1, 2), accept(1, 1, 2, 0, text("sid claims 3,4"))],
        &[accept(1, 2, 2, 1, text("scrat claims 3,5")), accept(2, 1, 1, 0, Value::Noop)],
        &[accept(1, 3, 2, 2, text("manny claims 9,9")), accept(1, 4, 2, 2, text("diego claims 9,8"))],
    ])
}

/// Where the records of the frame at `begin` end.
fn end_of_records(bytes: &[u8], begin: usize) -> usize {
    let records = bytes[begin + 12..begin + 16].try_into().expect("4 bytes");
    begin + frame::HEADER + u32::from_le_bytes(records) as usize
}

#[test]
fn a_tail_torn_at_every_byte_of_the_last_frame_is_cut_and_the_log_goes_on() {
    let (_dir, path, begins) = three_turns();
    let whole = fs::read(&path).expect("readable");
    let (last, end) = (begins[2], begins[3]);
    let content = end_of_records(&whole, last);
    for cut in last..end {
        for rest in [0x00, 0xAA] {
            let mut torn = whole.clone();
            torn[cut..end].fill(rest);
            let copy = Scratch::copy_of(path.parent().expect("the log's directory"));
            fs::write(copy.path().join("0000000001.seg"), &torn).expect("writable");
            let (mut log, found) = open(copy.path(), &applied(&[])).expect("a torn tail is normal");
            // Behind the records there is padding, which nobody minds.
            let intact = torn[..content] == whole[..content];
            let slots = if intact { vec![Slot(1), Slot(2), Slot(3), Slot(4)] } else { vec![Slot(1), Slot(2)] };
            assert!(found[&ShardId(1)].entries.keys().eq(slots.iter()), "cut at {cut} with {rest:#x}: {found:?}");
            log.append(&[accept(1, 3, 9, 2, text("a new leader's"))]).expect("room");
            log.sync().expect("sound");
            drop(log);
            let (_, found) = open(copy.path(), &applied(&[])).expect("sound");
            assert_eq!(found[&ShardId(1)].entries[&Slot(3)], (ballot(9), text("a new leader's")));
            assert_eq!(found[&ShardId(1)].entries.contains_key(&Slot(4)), intact, "stale frames stay dead");
        }
    }
}

#[test]
fn whole_frames_behind_a_torn_one_of_the_same_sync_are_cut_with_it_and_stay_dead() {
    let dir = Scratch::new();
    let mut log = FileLog::create(dir.path(), identity(), SMALL).expect("a new log");
    log.append(&[accept(1, 1, 1, 0, text("synced"))]).expect("room");
    log.sync().expect("sound");
    let torn = log.synced as usize;
    for slot in 2..=4 {
        log.append(&[accept(1, slot, 1, 0, text("one sync, three frames"))]).expect("room");
    }
    log.sync().expect("sound");
    let path = log.active().path.clone();
    drop(log);
    let mut bytes = fs::read(&path).expect("readable");
    bytes[torn + 40] ^= 1;
    fs::write(&path, &bytes).expect("writable");
    for _ in 0..3 {
        let (_, found) = open(dir.path(), &applied(&[])).expect("a torn tail is normal");
        assert!(found[&ShardId(1)].entries.keys().eq([&Slot(1)]));
    }
}

#[test]
fn a_whole_frame_behind_a_torn_one_does_not_follow_what_is_written_in_its_place() {
    let dir = Scratch::new();
    let mut log = FileLog::create(dir.path(), identity(), SMALL).expect("a new log");
    let (torn, path) = (log.synced as usize, log.active().path.clone());
    log.append(&[accept(1, 1, 1, 0, text(&"t".repeat(100)))]).expect("room");
    log.append(&[accept(1, 2, 1, 0, text("stale"))]).expect("room");
    log.sync().expect("sound");
    drop(log);
    let mut bytes = fs::read(&path).expect("readable");
    bytes[torn + 40] ^= 1;
    fs::write(&path, &bytes).expect("writable");
    let (mut log, _) = open(dir.path(), &applied(&[])).expect("a torn tail is normal");
    // With the empty frame of opening, this one ends exactly where the stale one begins.
    log.append(&[accept(1, 1, 1, 0, text(&"n".repeat(100 - frame::size(0))))]).expect("room");
    log.sync().expect("sound");
    drop(log);
    let (_, found) = open(dir.path(), &applied(&[])).expect("sound");
    assert!(found[&ShardId(1)].entries.keys().eq([&Slot(1)]), "{found:?}");
}

#[test]
fn a_segment_that_was_another_one_shows_nothing_of_it_wherever_it_is_torn() {
    let (dir, disk) = (Scratch::new(), TestDisk::default());
    let mut log = FileLog::create_on(Arc::new(disk.clone()), dir.path(), identity(), SMALL).expect("a new log");
    let mut slot = 0;
    let mut until = |log: &mut FileLog, segment| {
        while log.active().number < segment {
            slot += 1;
            log.append(&[accept(9, slot, 1, slot - 1, text(&"former".repeat(10)))]).expect("room");
            log.sync().expect("sound");
        }
        slot
    };
    let released = until(&mut log, 3);
    log.release(ShardId(9), Slot(released));
    assert_eq!(log.compact(0).expect("room").dropped_segments, 2);
    until(&mut log, 4);
    assert_eq!(disk.made(), 3, "the fourth is made of one of the first");
    let path = log.active().path.clone();
    let before = fs::read(&path).expect("readable");
    let begin = log.synced as usize;
    log.append(&[accept(1, 1, 2, 0, text("sid claims 3,4"))]).expect("room");
    log.append(&[accept(1, 2, 2, 1, text("scrat claims 3,5"))]).expect("room");
    log.sync().expect("sound");
    let (end, after) = (log.synced as usize, fs::read(&path).expect("readable"));
    drop(log);
    let known = applied(&[(9, released)]);
    let second = begin + frame::size(end_of_records(&after, begin) - begin - frame::HEADER);
    for cut in begin..=end {
        // What of the last write did not reach the disk is as it was when the file was another segment.
        let mut torn = after.clone();
        torn[cut..].copy_from_slice(&before[cut..]);
        let copy = Scratch::copy_of(dir.path());
        let copied = segment::path_of(copy.path(), 4);
        fs::write(&copied, &torn).expect("writable");
        for start in 0..2 {
            let (mut log, found) = open(copy.path(), &known).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
            let slots = found.get(&ShardId(1)).map_or(0, |found| found.entries.len());
            let whole = [end_of_records(&after, begin), end_of_records(&after, second)];
            assert_eq!(slots, whole.iter().filter(|end| cut >= **end).count(), "cut at {cut}, start {start}");
            log.append(&[promise(5, start + 1)]).expect("room");
            log.sync().expect("sound");
        }
    }
}

#[test]
fn a_flip_of_any_bit_before_the_last_frame_is_reported_with_file_and_offset() {
    let (_dir, path, begins) = three_turns();
    let whole = fs::read(&path).expect("readable");
    let copy = Scratch::copy_of(path.parent().expect("the log's directory"));
    let copied = copy.path().join("0000000001.seg");
    for &begin in &begins[..2] {
        for byte in begin..end_of_records(&whole, begin) {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[byte] ^= 1 << bit;
                fs::write(&copied, &flipped).expect("writable");
                let error = open(copy.path(), &applied(&[])).err().expect("damage");
                let LogError::Damaged { file, offset, .. } = &error else { panic!("byte {byte} bit {bit}: {error}") };
                assert_eq!((file, *offset), (&copied, begin as u64), "byte {byte} bit {bit}");
                assert!(fs::read(&copied).expect("readable") == flipped, "nothing was changed");
            }
        }
    }
}

#[test]
fn after_a_restart_a_flip_in_what_was_the_last_frame_is_damage() {
    let (dir, path, begins) = three_turns();
    drop(open(dir.path(), &applied(&[])).expect("sound"));
    let mut bytes = fs::read(&path).expect("readable");
    bytes[begins[2] + 50] ^= 4;
    fs::write(&path, &bytes).expect("writable");
    assert!(
        matches!(open(dir.path(), &applied(&[])), Err(LogError::Damaged { offset, .. }) if offset == begins[2] as u64)
    );
}

/// A log of several segments.
fn several() -> (Scratch, u32) {
    let dir = Scratch::new();
    let mut log = FileLog::create(dir.path(), identity(), SMALL).expect("a new log");
    for slot in 1..=100 {
        log.append(&[accept(1, slot, 1, slot - 1, text(&"x".repeat(100)))]).expect("room");
        log.sync().expect("sound");
    }
    let last = log.active().number;
    assert!(last > 3);
    (dir, last)
}

#[test]
fn a_flip_in_a_segment_that_has_a_successor_is_damage_even_in_its_last_frame() {
    let (dir, last) = several();
    for number in 1..last {
        let path = segment::path_of(dir.path(), number);
        let whole = fs::read(&path).expect("readable");
        let seal = frame::last_used(&whole).expect("sealed") - 8;
        for byte in [frame::HEADER + segment::HEADER + 20, seal, 20] {
            let mut bytes = whole.clone();
            bytes[byte] ^= 1;
            fs::write(&path, &bytes).expect("writable");
            let error = open(dir.path(), &applied(&[])).err().expect("damage");
            assert!(matches!(&error, LogError::Damaged { file, .. } if *file == path), "{error}");
        }
        fs::write(&path, &whole).expect("writable");
    }
    open(dir.path(), &applied(&[])).expect("sound again");
}

#[test]
fn a_segment_that_is_not_there_is_named() {
    let (dir, last) = several();
    for number in 1..=last {
        let copy = Scratch::copy_of(dir.path());
        let path = segment::path_of(copy.path(), number);
        fs::remove_file(&path).expect("there");
        // The one made ahead is not needed, but it shows that there was one before.
        let error = open(copy.path(), &applied(&[])).err().expect("missing");
        assert!(matches!(&error, LogError::Missing { file } if *file == path), "{number}: {error}");
    }
}

#[test]
fn an_unused_segment_that_does_not_follow_the_last_one_is_refused() {
    let (_dir, path, begins) = three_turns();
    let dir = path.parent().expect("the log's directory");
    let stray = segment::create(&segment::RealDisk, dir, 3, 4096, identity()).expect("room");
    let error = open(dir, &applied(&[])).err().expect("where is segment 2?");
    assert!(matches!(error, LogError::Damaged { file, offset, .. } if file == path && offset == begins[3] as u64));
    fs::remove_file(&stray.path).expect("there");
    segment::create(&segment::RealDisk, dir, 2, 4096, identity()).expect("room");
    let (mut log, _) = open(dir, &applied(&[])).expect("segment 2 was made ahead");
    let turn: Vec<_> = (5..100).map(|slot| accept(1, slot, 2, 0, text(&"x".repeat(90)))).collect();
    log.append(&turn).expect("room");
    log.sync().expect("sound");
    drop(log);
    let (_, found) = open(dir, &applied(&[])).expect("sound");
    assert_eq!(found[&ShardId(1)].entries.len(), 99);
}

#[test]
fn an_emptied_log_directory_is_refused() {
    let dir = Scratch::new();
    assert!(matches!(open(dir.path(), &applied(&[])), Err(LogError::Missing { .. })));
}

#[test]
fn the_log_of_another_life_node_or_cluster_is_refused_and_both_are_named() {
    let dir = Scratch::new();
    drop(FileLog::create(dir.path(), identity(), SMALL).expect("a new log"));
    let mine = identity();
    let others = [
        crate::Identity { incarnation: crate::Incarnation(43), ..mine },
        crate::Identity { node: NodeId(2), ..mine },
        crate::Identity { cluster: placement::ClusterId(1), ..mine },
    ];
    for other in others {
        let error = FileLog::open(dir.path(), other, SMALL, &applied(&[]).into()).err().expect("refused");
        let LogError::OtherIdentity { found, expected, .. } = error else { panic!("{error}") };
        assert_eq!((found, expected), (mine, other));
    }
}

#[test]
fn another_format_version_is_told_from_damage() {
    let dir = Scratch::new();
    drop(FileLog::create(dir.path(), identity(), SMALL).expect("a new log"));
    let path = segment::path_of(dir.path(), 1);
    let mut bytes = fs::read(&path).expect("readable");
    bytes[8] = 2;
    fs::write(&path, &bytes).expect("writable");
    assert!(matches!(open(dir.path(), &applied(&[])), Err(LogError::OtherVersion { found: 2, expected: 1, .. })));
}

#[test]
fn a_record_too_large_for_a_segment_is_refused_and_a_large_turn_is_split() {
    let dir = Scratch::new();
    let mut log = FileLog::create(dir.path(), identity(), SMALL).expect("a new log");
    let huge = [promise(1, 5), accept(1, 1, 1, 0, text(&"x".repeat(4096)))];
    assert!(matches!(log.append(&huge), Err(LogError::TooLarge { bytes: 4097.., .. })));
    let turn: Vec<_> = (1..=30).map(|slot| accept(1, slot, 1, 0, text(&"y".repeat(1000)))).collect();
    log.append(&turn).expect("room");
    log.sync().expect("sound");
    drop(log);
    let (log, found) = open(dir.path(), &applied(&[])).expect("sound");
    assert!(found[&ShardId(1)].entries.keys().copied().eq((1..=30).map(Slot)));
    assert_eq!(found[&ShardId(1)].promised, ballot(1), "nothing of the refused turn was taken");
    assert!(log.stats().segments > 3);
}
