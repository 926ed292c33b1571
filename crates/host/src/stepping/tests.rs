//! What leaves at the turn's end, and what waits.

use super::*;
use crate::tests::{MS, N1, N2, N3, Nodes, SECOND};
use paxos::Slot;
use wire::Level;

const SHARD: ShardId = ShardId(1);

/// A turn of n1's whose checkpoints nobody writes yet; their shards.
fn cuts(nodes: &mut Nodes) -> Vec<u32> {
    let now = nodes.now();
    nodes.host(N1).finish_turn(now).cuts.iter().map(|(shard, _)| shard.0).collect()
}

#[test]
fn small_checkpoints_are_written_many_at_a_time_and_in_turn() {
    let mut nodes = Nodes::serving(3, 64);
    let done = |nodes: &mut Nodes, shard| {
        let slot = nodes.host(N1).replica(ShardId(shard)).unwrap().applied();
        nodes.host(N1).handle_checkpointed(ShardId(shard), slot);
    };
    assert!(!nodes.host(N1).is_checkpointing());
    nodes.host(N1).checkpoint_all();
    assert!(nodes.host(N1).is_checkpointing());
    assert!(cuts(&mut nodes).into_iter().eq(1..=32));
    assert_eq!(cuts(&mut nodes), [0; 0]);
    done(&mut nodes, 2);
    assert_eq!(cuts(&mut nodes), [33]);
    // A busy one waits until the others have had their turn.
    let leader = nodes.leader(ShardId(2)).unwrap();
    nodes.register(leader, ShardId(2));
    nodes.pass(10 * MS);
    nodes.host(N1).uncut.insert(ShardId(2));
    for shard in [1, 3, 4, 5] {
        done(&mut nodes, shard);
    }
    assert_eq!(cuts(&mut nodes), [34, 35, 36, 37]);
    for shard in 6..=37 {
        done(&mut nodes, shard);
    }
    let last: Vec<u32> = (38..=64).chain([2]).collect();
    assert_eq!(cuts(&mut nodes), last);
    assert!(nodes.host(N1).is_checkpointing());
    for shard in last {
        done(&mut nodes, shard);
    }
    assert_eq!((cuts(&mut nodes), nodes.host(N1).is_checkpointing()), (vec![], false));
}

#[test]
fn a_shard_is_checkpointed_after_so_much_log_once_a_second_or_after_much_more() {
    let mut nodes = Nodes::serving(1, 1);
    let one = {
        nodes.host(N1).checkpoint_all();
        nodes.settle();
        nodes.register(N1, SHARD);
        nodes.settle();
        nodes.host(N1).replica(SHARD).unwrap().uncut_bytes()
    };
    // So much that two requests are enough.
    nodes.host(N1).config.checkpoint_bytes = one + 1;
    nodes.told.clear();
    let after = |nodes: &mut Nodes, requests: usize| {
        for _ in 0..requests {
            nodes.register(N1, SHARD);
            nodes.settle();
        }
        nodes.told.drain(..).map(|(_, turn)| turn.cuts.len()).sum::<usize>()
    };
    nodes.pass(SECOND);
    assert_eq!(after(&mut nodes, 1), 1, "the second");
    assert_eq!(after(&mut nodes, 4), 0, "it was only just cut");
    nodes.pass(SECOND - 1);
    assert_eq!(after(&mut nodes, 1), 0);
    nodes.pass(1);
    assert_eq!(after(&mut nodes, 1), 1);
    assert!((8..=12).contains(&(1..=16).find(|_| after(&mut nodes, 1) == 1).unwrap()), "eight times as much");
}

#[test]
fn a_checkpoint_waits_for_the_log_that_it_is_of() {
    let mut nodes = Nodes::serving(3, 1);
    let leader = nodes.leader(SHARD).unwrap();
    nodes.stuck = [leader].into();
    nodes.register(leader, SHARD);
    nodes.settle();
    nodes.told.clear();
    nodes.host(leader).checkpoint_all();
    nodes.settle();
    let cut = |nodes: &Nodes| nodes.told.iter().any(|(node, turn)| *node == leader && !turn.cuts.is_empty());
    assert!(!cut(&nodes), "its log is not durable yet");
    let write = nodes.host(leader).writing.front().unwrap().id;
    nodes.host(leader).handle_written(write);
    nodes.settle();
    assert!(cut(&nodes));
}

#[test]
fn a_write_that_frees_the_disk_lets_other_shards_go_on() {
    let mut nodes = Nodes::serving(3, 8);
    nodes.pass(100 * MS);
    let led: Vec<ShardId> = (1..=8).map(ShardId).filter(|shard| nodes.leader(*shard) == Some(N1)).collect();
    let [busy, other, ..] = led[..] else { panic!("n1 leads {led:?}") };
    nodes.stuck = [N1].into();
    for nth in 1..=MAX_WRITES {
        assert!(!nodes.host(N1).is_stalled(), "{nth}");
        nodes.register(N1, busy);
        nodes.settle();
    }
    assert!(nodes.host(N1).is_stalled() && nodes.host(N1).stalled.is_empty(), "nobody waits for it");
    let late = [busy, other].map(|shard| nodes.register(N1, shard));
    nodes.settle();
    assert_eq!(nodes.host(N1).stalled, [busy, other].into());
    assert!(late.iter().all(|id| nodes.answer(*id).is_none()));
    let first = nodes.host(N1).writing.front().unwrap().id;
    nodes.host(N1).handle_written(first);
    nodes.settle();
    assert!(late.iter().all(|id| nodes.answer(*id).is_some()));
}

#[test]
fn reads_that_a_turn_has_no_room_for_come_first_in_the_next() {
    let mut nodes = Nodes::serving(1, 4);
    nodes.host(N1).config.turn_fields = 2;
    let asked: Vec<u64> = [1, 1, 1, 2, 2, 3].map(|shard| nodes.look(N1, ShardId(shard), Level::Eventual)).into();
    let answered = |nodes: &mut Nodes| {
        nodes.answers.clear();
        nodes.turn(N1);
        let mut answered: Vec<u64> = nodes.answers.iter().map(|(_, answer)| answer.id).collect();
        answered.sort_unstable();
        answered
    };
    assert_eq!(answered(&mut nodes), asked[..2]);
    assert!(nodes.host(N1).is_cut_short());
    assert_eq!(nodes.host(N1).next_tick(), Mono(0));
    assert_eq!(answered(&mut nodes), asked[3..5], "the next shard, for the first had its turn");
    assert_eq!(answered(&mut nodes), [asked[2], asked[5]]);
    assert!(!nodes.host(N1).is_cut_short());
}

#[test]
fn what_the_log_may_forget_is_told_once() {
    let mut nodes = Nodes::serving(3, 1);
    for _ in 0..3 {
        nodes.register(N1, SHARD);
        nodes.pass(10 * MS);
    }
    nodes.pass(SECOND);
    nodes.told.clear();
    for node in [N1, N2, N3] {
        nodes.host(node).checkpoint_all();
    }
    nodes.pass(2 * SECOND);
    nodes.register(N1, SHARD);
    nodes.pass(2 * SECOND);
    let own = nodes.told.iter().filter(|(node, _)| *node == N1);
    let releases: Vec<Slot> = own.flat_map(|(_, turn)| turn.releases.iter().map(|(_, slot)| *slot)).collect();
    assert!(!releases.is_empty() && releases.is_sorted_by(|a, b| a < b), "{releases:?}");
}
