//! A crash at every step that changes the disk: nothing acknowledged is lost, and the log opens and goes on.

use super::*;
use crate::Reserve;
use std::sync::Mutex;

/// What had been acknowledged at some moment.
#[derive(Clone, Default)]
struct Acknowledged {
    /// Shard 1's last synced slot.
    through: u64,
    /// What shard 1 released.
    released: u64,
    /// Shard 2's and 3's promises.
    promised: [u64; 2],
    /// Whether shard 3's one slot is there.
    laggard: bool,
}

struct Moment {
    dir: Scratch,
    acknowledged: Acknowledged,
}

/// Appends, releases and compacts; returns a copy of the directory as it was before each step.
fn moments(lose_unsynced: bool) -> Vec<Moment> {
    let (dir, disk) = (Scratch::new(), TestDisk::default());
    if lose_unsynced {
        disk.lose_unsynced();
    }
    let mut log = FileLog::create_on(Arc::new(disk.clone()), dir.path(), identity(), SMALL).expect("a new log");
    let (now, taken) = (Arc::new(Mutex::new(Acknowledged::default())), Arc::new(Mutex::new(Vec::new())));
    let (hook_now, hook_taken, path) = (Arc::clone(&now), Arc::clone(&taken), dir.path().to_owned());
    disk.before_each_step(move || {
        let acknowledged = hook_now.lock().expect("one thread").clone();
        hook_taken.lock().expect("one thread").push(Moment { dir: Scratch::copy_of(&path), acknowledged });
    });
    let change = |change: &dyn Fn(&mut Acknowledged)| change(&mut now.lock().expect("one thread"));
    log.append(&[promise(2, 11), accept(3, 1, 7, 0, text("a laggard's slot"))]).expect("room");
    log.sync().expect("sound");
    change(&|now| (now.promised, now.laggard) = ([11, 7], true));
    let (mut slot, mut dropped) = (0, 0);
    for turn in 0..60 {
        let records: Vec<_> =
            (1..=4).map(|more| accept(1, slot + more, 1, slot + more - 1, text(&"x".repeat(40)))).collect();
        log.append(&records).expect("room");
        log.sync().expect("sound");
        slot += 4;
        change(&|now| now.through = slot);
        if turn % 20 == 19 {
            // The replica has a durable checkpoint by the time it releases.
            change(&|now| now.released = slot - 2);
            log.release(ShardId(1), Slot(slot - 2));
            dropped += log.compact(0).expect("room").dropped_segments;
        }
    }
    assert!(dropped >= 3, "{dropped} segments dropped");
    assert!(disk.made() < u64::from(log.active().number), "segments are made of those dropped");
    drop(log);
    disk.before_each_step(|| {});
    std::mem::take(&mut *taken.lock().expect("one thread"))
}

fn survives(Moment { dir, acknowledged }: &Moment, step: usize) {
    let checkpoint = applied(&[(1, acknowledged.released)]);
    for round in 0..2 {
        let (mut log, found) =
            open(dir.path(), &checkpoint).unwrap_or_else(|error| panic!("step {step}, start {round}: {error}"));
        let promised = |shard: u32| found.get(&ShardId(shard)).map_or(0, |found| found.promised.round);
        assert!([promised(2), promised(3)] >= acknowledged.promised, "step {step}: promises");
        if acknowledged.laggard {
            assert_eq!(found[&ShardId(3)].entries[&Slot(1)], (ballot(7), text("a laggard's slot")), "step {step}");
        }
        for slot in acknowledged.released + 1..=acknowledged.through {
            assert!(found[&ShardId(1)].entries.contains_key(&Slot(slot)), "step {step}: slot {slot}");
        }
        log.append(&[promise(5, round + 1)]).expect("room");
        log.sync().expect("sound");
        drop(log);
        let (_, found) = open(dir.path(), &checkpoint).expect("sound");
        assert_eq!(found[&ShardId(5)].promised, ballot(round + 1), "step {step}: the log goes on");
    }
}

#[test]
fn killed_before_every_step_of_writing_rolling_and_compacting_nothing_acknowledged_is_lost() {
    let moments = moments(false);
    assert!(moments.len() > 150);
    for (step, moment) in moments.iter().enumerate() {
        survives(moment, step);
    }
}

#[test]
fn without_power_before_every_step_of_writing_rolling_and_compacting_nothing_acknowledged_is_lost() {
    let moments = moments(true);
    assert!(moments.len() > 150);
    for (step, moment) in moments.iter().enumerate() {
        survives(moment, step);
    }
}

/// Sync number `failing` fails, the node restarts and relies on what it reads; then power is lost. Says whether that sync was the
/// last of its segment.
fn restarted_after_a_failed_sync_and_then_without_power(failing: u32) -> bool {
    let (dir, disk) = (Scratch::new(), TestDisk::default());
    disk.cache();
    let mut log = FileLog::create_on(Arc::new(disk.clone()), dir.path(), identity(), SMALL).expect("a new log");
    disk.fail_sync_after(failing);
    let mut write =
        |slot| log.append(&[accept(1, slot, 1, slot - 1, text(&"x".repeat(40)))]).and_then(|()| log.sync()).is_ok();
    let acknowledged = (1..1_000).take_while(|slot| write(*slot)).count();
    let next = segment::path_of(dir.path(), log.active().number + 1);
    let sealed = log.poisoned.is_some() && next.exists();
    drop(log);
    let reopen = || recovery::open(Arc::new(disk.clone()), dir.path(), identity(), SMALL, &Checkpointed::default());
    let (_, found) = reopen().expect("the disk works again");
    let relied_on = found.get(&ShardId(1)).map(|found| found.entries.clone()).unwrap_or_default();
    assert!(relied_on.len() >= acknowledged, "all that was acknowledged, if no more");
    disk.lose_power();
    let (_, found) = reopen().unwrap_or_else(|error| panic!("sync {failing} failed: {error}"));
    let left = found.get(&ShardId(1)).map(|found| found.entries.clone()).unwrap_or_default();
    assert_eq!(left, relied_on, "sync {failing} failed");
    sealed
}

#[test]
fn what_a_failed_sync_left_in_memory_is_on_disk_before_it_is_relied_on() {
    let sealing = (0..100).filter(|failing| restarted_after_a_failed_sync_and_then_without_power(*failing)).count();
    assert!(sealing > 0, "no segment was full");
}

#[test]
fn a_removal_of_segments_that_a_crash_interrupted_is_finished_at_the_next_start() {
    let moments = moments(false);
    let count = |dir: &Scratch| {
        let files = dir.path().read_dir().expect("there").map(|file| file.expect("there").path());
        files.filter(|path| segment::number_of(path).is_some()).count()
    };
    let before: Vec<usize> = moments.iter().map(|moment| count(&moment.dir)).collect();
    let interrupted: Vec<_> = (1..before.len()).filter(|&step| before[step] < before[step - 1]).collect();
    assert!(!interrupted.is_empty(), "segments are removed one by one");
    let mut finished = 0;
    for step in interrupted {
        let files = count(&moments[step].dir);
        let checkpoint = applied(&[(1, moments[step].acknowledged.released)]);
        let (log, _) = open(moments[step].dir.path(), &checkpoint).expect("sound");
        assert_eq!(log.stats().segments, count(&moments[step].dir) as u64, "step {step}: what is gone is forgotten");
        finished += files - count(&moments[step].dir);
    }
    assert!(finished > 0, "a start removes what was to be removed");
}

#[test]
fn compaction_stops_at_a_segment_that_holds_much_and_names_who_pins_it() {
    let dir = Scratch::new();
    let mut log = FileLog::create(dir.path(), identity(), SMALL).expect("a new log");
    let mut slot = 0;
    while log.stats().segments < 4 {
        slot += 1;
        let turn = [accept(1, slot, 1, slot - 1, text(&"x".repeat(90))), accept(2, slot, 1, slot - 1, text("y"))];
        log.append(&turn).expect("room");
        log.sync().expect("sound");
    }
    assert_eq!(log.compact(0).expect("room"), Compaction::default());
    let laggards = log.laggards();
    assert_eq!(laggards.iter().map(|laggard| laggard.shard).collect::<Vec<_>>(), [ShardId(1), ShardId(2)]);
    log.release(ShardId(1), laggards[0].through);
    let done = log.compact(0).expect("room");
    assert_eq!((done.dropped_segments, done.freed_bytes), (1, 4096), "shard 2's few bytes are written again");
    assert!(done.rewritten_records > 10);
    assert!(log.laggards()[0].through > laggards[0].through, "the next segment's turn");
    assert_eq!(log.read(ShardId(2), Slot(1), 5).expect("sound"), vec![text("y"); 5]);
}

#[test]
fn on_a_full_disk_the_reserve_gives_way_for_a_segment_before_anything_is_refused() {
    let (dir, kept) = (Scratch::new(), Scratch::new());
    let (disk, file) = (TestDisk::default(), kept.path().join("RESERVE"));
    let reserve = Reserve::found(&file);
    reserve.resize(4096);
    let log = FileLog::create_on(Arc::new(disk.clone()), dir.path(), identity(), SMALL).expect("a new log");
    let mut log = log.with_reserve(reserve.clone());
    disk.set_full_beside(&file);
    let mut slot = 0;
    let mut append = |log: &mut FileLog| {
        slot += 1;
        log.append(&[accept(1, slot, 1, slot - 1, text(&"x".repeat(50)))])
    };
    while reserve.is_held() {
        append(&mut log).expect("room");
    }
    assert_eq!(log.stats().segments, 2, "what did not fit went into the space that was kept back");
    disk.set_full(true);
    let refused = loop {
        if let Err(error) = append(&mut log) {
            break error;
        }
    };
    assert!(refused.is_full() && log.stats().segments == 2, "{refused}");
}

#[test]
fn what_may_be_kept_is_not_dropped_though_nobody_needs_it() {
    let dir = Scratch::new();
    let mut log = FileLog::create(dir.path(), identity(), SMALL).expect("a new log");
    let mut slot = 0;
    while log.stats().segments < 5 {
        slot += 1;
        log.append(&[accept(1, slot, 1, slot - 1, text(&"x".repeat(50)))]).expect("room");
        log.sync().expect("sound");
    }
    log.release(ShardId(1), Slot(slot));
    let all = log.stats().bytes;
    let mut dropped = |keep| log.compact(keep).expect("room").dropped_segments;
    assert_eq!([dropped(all), dropped(all - 1), dropped(all / 5 * 3), dropped(0)], [0, 1, 1, 2]);
}

#[test]
fn segments_put_aside_for_later_are_given_back_when_the_disk_is_full() {
    let (dir, kept) = (Scratch::new(), Scratch::new());
    let reserve = Reserve::found(&kept.path().join("RESERVE"));
    reserve.resize(4096);
    let disk = TestDisk::default();
    let log = FileLog::create_on(Arc::new(disk.clone()), dir.path(), identity(), SMALL).expect("a new log");
    let mut log = log.with_reserve(reserve.clone());
    let mut slot = 0;
    while log.stats().segments < 4 {
        slot += 1;
        log.append(&[accept(1, slot, 1, slot - 1, text(&"x".repeat(50)))]).expect("room");
        log.sync().expect("sound");
    }
    log.release(ShardId(1), Slot(slot));
    let files = || dir.path().read_dir().expect("there").count();
    assert_eq!((log.compact(0).expect("room").dropped_segments, files()), (3, 4), "three wait for their turn");
    let size = |log: &FileLog| (log.stats().bytes, log.stats().spare_bytes);
    let one = size(&log).0;
    assert_eq!(size(&log), (one, 3 * one), "they take space");
    assert!(reserve.give_way());
    log.compact(0).expect("nothing to drop");
    assert_eq!((files(), size(&log)), (1, (one, 0)));
    assert!(reserve.restore());
}

#[test]
fn a_log_on_a_full_disk_gives_space_back_by_compaction_and_goes_on() {
    let mut backend = OnDisk::new(SMALL);
    let mut slot = 0;
    let mut fill = |backend: &mut OnDisk| loop {
        let record = accept(1, slot + 1, 1, slot, text(&"x".repeat(50)));
        match backend.log().append(&[record]) {
            Ok(()) => slot += 1,
            Err(error) => {
                assert!(error.is_full(), "{error}");
                return slot;
            }
        }
        backend.log().sync().expect("sound");
        if backend.log().stats().segments == 3 {
            backend.set_full(true);
        }
    };
    let last = fill(&mut backend);
    backend.log().release(ShardId(1), Slot(last));
    let done = backend.log().compact(0).expect("its own part of the segment is left to it");
    assert_eq!(done.dropped_segments, 2);
    backend.set_full(false);
    assert_eq!(backend.log().stats().segments, 1);
    let found = backend.crash(&applied(&[(1, last)])).expect("sound");
    assert_eq!((found[&ShardId(1)].promised, found[&ShardId(1)].chosen), (ballot(1), Slot(last)));
}
