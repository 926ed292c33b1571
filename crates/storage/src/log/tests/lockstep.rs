//! The files and the double do the same random things and must say the same.

use super::*;
use crate::scratch::Random;

#[test]
fn files_and_memory_agree_over_random_turns_reads_releases_compactions_and_crashes() {
    let (mut crashes, mut dropped) = (0, 0);
    for seed in 0..60 {
        let (c, d) = run(seed);
        crashes += c;
        dropped += d;
    }
    assert!(crashes > 100 && dropped > 100, "the runs do something: {crashes} crashes, {dropped} segments dropped");
}

/// What a shard's replica would know.
#[derive(Clone, Copy, Default)]
struct Shard {
    next: u64,
    synced: u64,
    released: u64,
    round: u64,
}

fn run(seed: u64) -> (u64, u64) {
    let mut random = Random(seed);
    let (mut disk, mut memory) = (OnDisk::new(SMALL), Memory(MemoryLog::new()));
    let mut shards = [Shard::default(); 4];
    let (mut crashes, mut dropped) = (0, 0);
    for _ in 0..400 {
        check_pinned(disk.file(), seed);
        let id = random.below(4);
        let shard = &mut shards[id as usize];
        match random.below(20) {
            0..=9 => {
                let mut turn = Vec::new();
                for _ in 0..=random.below(6) {
                    shard.round += u64::from(random.below(30) == 0);
                    let again = shard.next > shard.released && random.below(10) == 0;
                    let slot = if again { shard.next } else { shard.next + 1 };
                    shard.next = slot;
                    let value = text(&format!("{seed} {id} {slot} {}", "x".repeat(random.below(60) as usize)));
                    let value = if random.below(10) == 0 { Value::Noop } else { value };
                    turn.push(match random.below(8) {
                        0 => learn(id, slot, value),
                        1 => promise(id, shard.round),
                        _ => accept(id, slot, shard.round, slot - 1, value),
                    });
                    if let Record::Promise { .. } = turn[turn.len() - 1].record {
                        turn.push(accept(id, slot, shard.round, slot - 1, Value::Noop));
                    }
                }
                disk.log().append(&turn).expect("room");
                memory.log().append(&turn).expect("room");
            }
            10..=13 => {
                disk.log().sync().expect("sound");
                memory.log().sync().expect("sound");
                for shard in &mut shards {
                    shard.synced = shard.next;
                }
            }
            14..=15 => {
                let from = Slot(shard.released + 1 + u64::from(random.below(20)));
                let bytes = random.below(300) as usize;
                let read = disk.log().read(ShardId(id), from, bytes).expect("sound");
                assert_eq!(read, memory.log().read(ShardId(id), from, bytes).expect("sound"), "seed {seed}");
            }
            16..=17 => {
                let unreleased = u32::try_from(shard.synced.saturating_sub(shard.released)).expect("few");
                shard.released += u64::from(random.below(unreleased + 1));
                disk.log().release(ShardId(id), Slot(shard.released));
                memory.log().release(ShardId(id), Slot(shard.released));
            }
            18 => {
                dropped += disk.log().compact(0).expect("room").dropped_segments;
                memory.log().compact(0).expect("room");
            }
            _ => {
                crashes += 1;
                // A roll may have synced what no sync was asked for: the double is told how much.
                let applied: Applied = (0..).map(ShardId).zip(shards.iter().map(|s| Slot(s.released))).collect();
                let in_files = disk.crash(&applied).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                let survivors = survivors(&memory.0, &in_files, &applied);
                memory.0.crash(survivors);
                let in_memory = memory.0.recover(&applied.clone().into()).expect("sound");
                for (id, found) in &in_files {
                    let other = &in_memory[id];
                    assert_eq!(
                        (found.promised, found.applied, found.chosen, &found.entries),
                        (other.promised, other.applied, other.chosen, &other.entries),
                        "seed {seed}, shard {id}"
                    );
                    assert!(found.first <= other.first, "seed {seed}: files keep at least what the double keeps");
                    let shard = &mut shards[id.0 as usize];
                    let last = found.entries.last_key_value().map_or(found.applied, |(slot, _)| *slot);
                    (shard.next, shard.synced) = (last.0, last.0);
                }
                for (shard, slot) in applied {
                    disk.log().release(shard, slot);
                    memory.log().release(shard, slot);
                }
            }
        }
    }
    (crashes, dropped)
}

/// Each segment knows how much of it is needed.
fn check_pinned(log: &FileLog, seed: u64) {
    for (number, segment) in &log.segments {
        let needed = log.shards.values().flat_map(|state| state.slots.places());
        let bytes: u64 = needed.filter(|place| place.segment == *number).map(|place| u64::from(place.len)).sum();
        assert_eq!(segment.pinned, bytes, "seed {seed}, segment {number}");
    }
}

/// How many unsynced records the double must keep to have what the files had: some number must do.
fn survivors(memory: &MemoryLog, found: &Found, applied: &Applied) -> usize {
    let same = |survivors: &usize| {
        let mut memory = memory.clone();
        memory.crash(*survivors);
        let other = memory.recover(&applied.clone().into()).expect("sound");
        found.len() == other.len()
            && found.iter().all(|(id, found)| {
                other.get(id).is_some_and(|other| {
                    (found.promised, found.chosen, &found.entries) == (other.promised, other.chosen, &other.entries)
                })
            })
    };
    (0..=memory.unsynced()).find(same).expect("a prefix of the unsynced records survives, and nothing else")
}
