//! What every log owes, checked on the files and on the double.

use super::*;

/// Runs each test on both.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod in_files {
            $(#[test] fn $name() { super::$name(&mut super::OnDisk::new(super::SMALL)); })*
        }
        mod in_memory {
            $(#[test] fn $name() { super::$name(&mut super::Memory(super::MemoryLog::new())); })*
        }
    };
}

on_both! {
    a_new_log_is_empty
    what_was_synced_comes_back_and_the_last_record_of_a_slot_wins
    what_was_not_synced_is_lost_with_power
    checkpointed_slots_are_not_returned_but_can_be_read
    a_gap_between_checkpoint_and_watermark_is_refused
    a_gap_above_the_watermark_is_normal
    reading_gives_one_value_at_least_and_stops_at_the_limit_and_at_a_gap
    what_was_just_appended_can_be_read
    a_released_slot_is_not_read
    a_failed_sync_poisons_until_the_restart
    a_full_disk_refuses_loses_nothing_and_goes_on
    compaction_keeps_promises_watermarks_and_needed_slots
    a_flipped_bit_is_damage_when_read_and_at_the_restart
    a_shard_with_a_checkpoint_and_no_records_starts_behind_it
    a_shard_that_was_left_begins_anew
}

fn a_shard_that_was_left_begins_anew(backend: &mut dyn Backend) {
    let old = [promise(1, 3), accept(1, 7, 3, 6, text("sid")), accept(1, 8, 3, 7, text("scrat")), promise(2, 9)];
    backend.log().append(&old).expect("room");
    let left = LogRecord { shard: ShardId(1), record: Record::Retire };
    backend.log().append(&[left, accept(1, 1, 5, 0, text("again"))]).expect("room");
    backend.log().sync().expect("sound");
    assert_eq!(backend.log().read(ShardId(1), Slot(7), 100).expect("sound"), [], "what was before counts no more");
    for _ in 0..2 {
        let found = backend.crash(&applied(&[])).expect("no gap, for nothing is missing");
        let one = &found[&ShardId(1)];
        assert_eq!((one.promised, one.chosen, one.applied), (ballot(5), Slot(0), Slot(0)));
        assert!(one.entries.keys().eq([&Slot(1)]), "{one:?}");
        assert_eq!(found[&ShardId(2)].promised, ballot(9));
    }
}

fn a_new_log_is_empty(backend: &mut dyn Backend) {
    assert_eq!(backend.log().read(ShardId(1), Slot(1), 100).expect("sound"), []);
    backend.log().sync().expect("nothing to do");
    assert_eq!(backend.crash(&applied(&[])).expect("sound"), Found::new());
    assert_eq!(backend.log().compact(0).expect("nothing to do"), Compaction::default());
}

fn what_was_synced_comes_back_and_the_last_record_of_a_slot_wins(backend: &mut dyn Backend) {
    let first = [promise(1, 3), accept(1, 1, 3, 0, text("sid")), accept(1, 2, 3, 1, text("scrat")), promise(2, 9)];
    let second = [accept(1, 2, 5, 1, text("scrat again")), learn(2, 1, Value::Noop), accept(1, 3, 5, 2, Value::Noop)];
    backend.log().append(&first).expect("room");
    backend.log().append(&second).expect("room");
    backend.log().sync().expect("sound");
    let found = backend.crash(&applied(&[])).expect("sound");
    let one = Recovered {
        promised: ballot(5),
        applied: Slot(0),
        since: Slot(0),
        chosen: Slot(2),
        entries: BTreeMap::from([
            (Slot(1), (ballot(3), text("sid"))),
            (Slot(2), (ballot(5), text("scrat again"))),
            (Slot(3), (ballot(5), Value::Noop)),
        ]),
        first: Slot(1),
        floor: 0,
    };
    let two = Recovered {
        promised: ballot(9),
        chosen: Slot(1),
        entries: BTreeMap::from([(Slot(1), (Ballot::ZERO, Value::Noop))]),
        ..Recovered::fresh()
    };
    assert_eq!(found, Found::from([(ShardId(1), one), (ShardId(2), two)]));
}

fn what_was_not_synced_is_lost_with_power(backend: &mut dyn Backend) {
    backend.log().append(&[accept(1, 1, 1, 0, text("kept"))]).expect("room");
    backend.log().sync().expect("sound");
    backend.log().append(&[accept(1, 2, 7, 1, text("lost"))]).expect("room");
    let found = backend.crash(&applied(&[])).expect("sound");
    assert_eq!(found[&ShardId(1)].promised, ballot(1));
    assert_eq!(found[&ShardId(1)].entries.keys().collect::<Vec<_>>(), [&Slot(1)]);
    assert_eq!(backend.log().read(ShardId(1), Slot(1), 100).expect("sound"), [text("kept")]);
}

fn checkpointed_slots_are_not_returned_but_can_be_read(backend: &mut dyn Backend) {
    let slots: Vec<_> = (3..=9).map(|slot| accept(1, slot, 1, slot - 1, text(&slot.to_string()))).collect();
    backend.log().append(&slots).expect("room");
    backend.log().sync().expect("sound");
    let found = backend.crash(&applied(&[(1, 7)])).expect("sound");
    let found = &found[&ShardId(1)];
    assert_eq!((found.applied, found.chosen, found.first), (Slot(7), Slot(8), Slot(3)));
    assert_eq!(found.entries.keys().collect::<Vec<_>>(), [&Slot(8), &Slot(9)]);
    let read = backend.log().read(ShardId(1), Slot(4), 3).expect("sound");
    assert_eq!(read, [text("4"), text("5"), text("6")]);
}

fn a_gap_between_checkpoint_and_watermark_is_refused(backend: &mut dyn Backend) {
    backend.log().append(&[accept(7, 5, 1, 3, text("a")), accept(7, 6, 1, 5, text("b"))]).expect("room");
    backend.log().sync().expect("sound");
    let error = backend.crash(&applied(&[(7, 2)])).expect_err("slots 3 and 4 are nowhere");
    let LogError::Gap { shard, applied: checkpoint, missing, chosen, .. } = error else { panic!("{error}") };
    assert_eq!((shard, checkpoint, missing, chosen), (ShardId(7), Slot(2), Slot(3), Slot(5)));
    backend.crash(&applied(&[(7, 4)])).expect("everything above 4 is there");
}

fn a_gap_above_the_watermark_is_normal(backend: &mut dyn Backend) {
    backend.log().append(&[accept(1, 1, 1, 0, text("a")), accept(1, 4, 1, 1, text("d"))]).expect("room");
    backend.log().sync().expect("sound");
    let found = backend.crash(&applied(&[])).expect("accepts may come out of order");
    assert_eq!(found[&ShardId(1)].entries.keys().collect::<Vec<_>>(), [&Slot(1), &Slot(4)]);
    assert_eq!(found[&ShardId(1)].chosen, Slot(1));
}

fn reading_gives_one_value_at_least_and_stops_at_the_limit_and_at_a_gap(backend: &mut dyn Backend) {
    let mut records: Vec<_> = (1..=5).map(|slot| accept(1, slot, 1, 0, text("0123456789"))).collect();
    records.push(accept(1, 7, 1, 0, Value::Noop));
    backend.log().append(&records).expect("room");
    backend.log().sync().expect("sound");
    let mut count = |from, bytes| backend.log().read(ShardId(1), Slot(from), bytes).expect("sound").len();
    assert_eq!(count(1, 0), 1);
    assert_eq!(count(1, 9), 1);
    assert_eq!(count(1, 29), 2);
    assert_eq!(count(1, 30), 3);
    assert_eq!(count(3, 1000), 3, "stops before slot 6");
    assert_eq!(count(6, 1000), 0);
    assert_eq!(count(7, 1000), 1);
}

fn what_was_just_appended_can_be_read(backend: &mut dyn Backend) {
    backend.log().append(&[accept(1, 1, 1, 0, text("old")), accept(1, 2, 1, 0, text("two"))]).expect("room");
    backend.log().sync().expect("sound");
    backend.log().append(&[accept(1, 1, 2, 0, text("new")), learn(2, 1, text("other"))]).expect("room");
    assert_eq!(backend.log().read(ShardId(1), Slot(1), 100).expect("sound"), [text("new"), text("two")]);
    assert_eq!(backend.log().read(ShardId(2), Slot(1), 100).expect("sound"), [text("other")]);
}

fn a_released_slot_is_not_read(backend: &mut dyn Backend) {
    let records: Vec<_> = (1..=5).map(|slot| accept(1, slot, 1, slot - 1, text("x"))).collect();
    backend.log().append(&records).expect("room");
    backend.log().sync().expect("sound");
    backend.log().release(ShardId(1), Slot(3));
    backend.log().release(ShardId(1), Slot(2));
    assert_eq!(backend.log().read(ShardId(1), Slot(3), 100).expect("sound"), []);
    assert_eq!(backend.log().read(ShardId(1), Slot(4), 100).expect("sound").len(), 2);
}

fn a_failed_sync_poisons_until_the_restart(backend: &mut dyn Backend) {
    backend.log().append(&[promise(1, 1)]).expect("room");
    backend.log().sync().expect("sound");
    backend.log().append(&[promise(1, 2)]).expect("room");
    backend.fail_next_sync();
    assert!(matches!(backend.log().sync(), Err(LogError::Io { .. })));
    assert!(backend.log().sync().is_err_and(|error| error.is_poisoned()), "the next sync must not succeed");
    assert!(backend.log().append(&[promise(1, 3)]).is_err_and(|error| error.is_poisoned()));
    assert!(backend.log().read(ShardId(1), Slot(1), 1).is_err_and(|error| error.is_poisoned()));
    assert!(backend.log().compact(0).is_err_and(|error| error.is_poisoned()));
    let found = backend.crash(&applied(&[])).expect("the disk works again");
    assert_eq!(found[&ShardId(1)].promised, ballot(1), "what was acknowledged is there");
    backend.log().append(&[promise(1, 4)]).expect("room");
    backend.log().sync().expect("usable again");
}

fn a_full_disk_refuses_loses_nothing_and_goes_on(backend: &mut dyn Backend) {
    let record = |slot| [accept(1, slot, 1, 0, text("a claim on a field of some forty bytes"))];
    backend.set_full(true);
    let refused = (1..10_000).find(|slot| match backend.log().append(&record(*slot)) {
        Ok(()) => {
            backend.log().sync().expect("syncing needs no space");
            false
        }
        Err(error) => {
            assert!(error.is_full(), "{error}");
            true
        }
    });
    let refused = refused.expect("a full disk refuses in the end");
    assert!(backend.log().append(&record(refused)).is_err_and(|error| error.is_full()));
    backend.log().sync().expect("still usable");
    backend.log().compact(0).expect("nothing to drop, nothing to fail");
    backend.set_full(false);
    backend.log().append(&record(refused)).expect("there is space again");
    backend.log().sync().expect("sound");
    let found = backend.crash(&applied(&[])).expect("sound");
    assert!(found[&ShardId(1)].entries.keys().copied().eq((1..=refused).map(Slot)));
}

fn compaction_keeps_promises_watermarks_and_needed_slots(backend: &mut dyn Backend) {
    let first = [promise(9, 77), accept(8, 1, 6, 0, text("a laggard's slot")), learn(6, 4, text("idle"))];
    backend.log().append(&first).expect("room");
    let mut slot = 0;
    for _ in 0..40 {
        let turn: Vec<_> =
            (0..5).map(|more| accept(1, slot + more + 1, 3, slot + more, text("twelve bytes"))).collect();
        slot += 5;
        backend.log().append(&turn).expect("room");
        backend.log().sync().expect("sound");
    }
    backend.log().release(ShardId(1), Slot(slot - 1));
    backend.log().release(ShardId(6), Slot(4));
    let before = backend.log().stats().segments;
    let done = backend.log().compact(0).expect("sound");
    assert_eq!(done.dropped_segments, before - backend.log().stats().segments);
    assert_eq!(backend.log().stats().segments, 1);
    assert_eq!(backend.log().read(ShardId(8), Slot(1), 9).expect("sound"), [text("a laggard's slot")]);
    for _ in 0..2 {
        let found = backend.crash(&applied(&[(1, slot - 1), (6, 4)])).expect("sound");
        assert_eq!(found[&ShardId(9)].promised, ballot(77));
        assert_eq!(found[&ShardId(8)].entries[&Slot(1)], (ballot(6), text("a laggard's slot")));
        assert_eq!((found[&ShardId(1)].promised, found[&ShardId(1)].chosen), (ballot(3), Slot(slot - 1)));
        assert!(found[&ShardId(1)].entries.keys().eq([&Slot(slot)]));
        assert_eq!(found[&ShardId(6)].chosen, Slot(4));
    }
}

fn a_flipped_bit_is_damage_when_read_and_at_the_restart(backend: &mut dyn Backend) {
    for slot in 1..=3 {
        backend.log().append(&[accept(1, slot, 1, 0, text("sid"))]).expect("room");
        backend.log().sync().expect("sound");
    }
    backend.flip(1, 2);
    assert_eq!(backend.log().read(ShardId(1), Slot(1), 3).expect("slot 1 is sound"), [text("sid")]);
    assert!(matches!(backend.log().read(ShardId(1), Slot(2), 9), Err(LogError::Damaged { .. })));
    assert!(matches!(backend.crash(&applied(&[])), Err(LogError::Damaged { .. })));
}

fn a_shard_with_a_checkpoint_and_no_records_starts_behind_it(backend: &mut dyn Backend) {
    let found = backend.crash(&applied(&[(3, 12)])).expect("sound");
    let expected = Recovered { applied: Slot(12), chosen: Slot(12), first: Slot(13), ..Recovered::fresh() };
    assert_eq!(found, Found::from([(ShardId(3), expected)]));
}

#[test]
fn what_a_log_held_before_a_checkpoint_from_elsewhere_is_nothing_to_tell() {
    let slots: Vec<_> = (3..=9).map(|slot| accept(1, slot, 1, slot - 1, text(&slot.to_string()))).collect();
    let first = |base| {
        let bases = [(ShardId(1), Slot(base))].into();
        let known = Checkpointed { applied: applied(&[(1, 7)]), bases, ..Checkpointed::default() };
        let scratch = Scratch::new();
        let mut file = FileLog::create(scratch.path(), identity(), SMALL).expect("room");
        let mut memory = MemoryLog::new();
        for log in [&mut file as &mut dyn Log, &mut memory] {
            log.append(&slots).expect("room");
            log.sync().expect("sound");
        }
        drop(file);
        let (_, found) = FileLog::open(scratch.path(), identity(), SMALL, &known).expect("sound");
        let first = found[&ShardId(1)].first;
        assert_eq!(memory.recover(&known).expect("sound")[&ShardId(1)].first, first);
        first
    };
    assert_eq!([0, 2, 5, 7].map(first), [3, 3, 6, 8].map(Slot), "what it accepted need not be what was chosen");
}
