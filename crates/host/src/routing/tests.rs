//! Who answers, and who is named instead.

use super::*;
use crate::tests::{CONN, N1, N2, N3, Nodes, SECOND};
use paxos::Slot;
use std::collections::BTreeSet;
use world::{FieldId, Rect};

#[test]
fn who_watches_keeps_nobody_from_anything_else() {
    let rect = Rect::new(FieldId::new(0, 0).unwrap(), 2, 2).unwrap();
    let read = |query| RequestBody::Read { shard: ShardId(1), query, level: Level::Eventual, after: Slot::ZERO };
    let watch = |wait_ms| read(Query::Changes { rect, seen: Some(Slot(1)), wait_ms });
    assert!(!is_too_much(&watch(1), WAITING, WATCHING - 1));
    assert!(is_too_much(&watch(1), 0, WATCHING));
    for other in [watch(0), read(Query::View(rect)), read(Query::Changes { rect, seen: None, wait_ms: 1 })] {
        assert!(!is_too_much(&other, WAITING - 1, WATCHING));
        assert!(is_too_much(&other, WAITING, 0));
    }
}

#[test]
fn whoever_is_tried_each_so_many_retries_is_not_always_the_same() {
    for voters in [3, 5, 7] {
        for step in 1..=30 {
            let tried: BTreeSet<usize> = (0..200).map(|nth| scattered(nth * step) % voters).collect();
            assert_eq!(tried.len(), voters, "each {step} of {voters}");
        }
    }
}

const SHARD: ShardId = ShardId(1);

fn refusal(nodes: &mut Nodes, id: u64) -> Option<Refusal> {
    nodes.settle();
    match nodes.answer(id) {
        Some(AnswerBody::Refused(refusal)) => Some(refusal.clone()),
        _ => None,
    }
}

#[test]
fn only_a_leader_decides_and_the_others_say_why_they_cannot() {
    let mut nodes = Nodes::serving(3, 1);
    let leader = nodes.leader(SHARD).unwrap();
    let follower = if leader == N3 { N2 } else { N3 };
    let id = nodes.register(leader, SHARD);
    assert_eq!(refusal(&mut nodes, id), None);
    let id = nodes.register(follower, SHARD);
    assert_eq!(refusal(&mut nodes, id), Some(Refusal::NotLeader { leader: Some(leader) }));
    for level in [Level::Eventual, Level::Bounded(1_000)] {
        let id = nodes.look(follower, SHARD, level);
        assert_eq!(refusal(&mut nodes, id), None, "{level:?}");
    }
    let id = nodes.look(follower, SHARD, Level::Strong);
    assert_eq!(refusal(&mut nodes, id), Some(Refusal::NotLeader { leader: Some(leader) }));

    nodes.cut_off = [leader].into();
    nodes.pass(SECOND + 250_000);
    let id = nodes.register(leader, SHARD);
    let missing = [N1, N2, N3].into_iter().filter(|node| *node != leader).collect();
    assert_eq!(refusal(&mut nodes, id), Some(Refusal::NoQuorum { missing }));
    let now = nodes.now();
    nodes.host(leader).handle_disk_full(now, true);
    let id = nodes.register(leader, SHARD);
    assert_eq!(refusal(&mut nodes, id), Some(Refusal::DiskFull));
}

#[test]
fn while_an_election_is_due_nobody_is_named() {
    let mut nodes = Nodes::serving(3, 1);
    // It was asked a moment ago, and is not asked again at once.
    nodes.pass(100_000);
    let leader = nodes.leader(SHARD).unwrap();
    let follower = if leader == N3 { N2 } else { N3 };
    let now = nodes.now();
    nodes.host(leader).step_down(now);
    nodes.settle();
    for node in [leader, follower] {
        let id = nodes.register(node, SHARD);
        assert_eq!(refusal(&mut nodes, id), Some(Refusal::NotLeader { leader: None }), "{node}");
    }
}

#[test]
fn who_has_no_replica_names_a_voter() {
    let mut nodes = Nodes::serving_by((4, 4, 3));
    let voters = |nodes: &mut Nodes, shard| nodes.host(N1).config.map.get(shard).unwrap().voters.clone();
    let elsewhere = (1..=4).map(ShardId).find(|shard| !voters(&mut nodes, *shard).contains(&N1)).unwrap();
    let first = voters(&mut nodes, elsewhere)[0];
    for level in [Level::Strong, Level::Eventual] {
        let id = nodes.look(N1, elsewhere, level);
        let Some(Refusal::Moved { hint, .. }) = refusal(&mut nodes, id) else { panic!("{:?}", nodes.answers) };
        assert_eq!(hint, Some(first));
    }
    let nowhere = RequestBody::Change { shard: ShardId(99), change: Change::Lead(N1) };
    let id = nodes.ask(N1, nowhere);
    assert!(matches!(refusal(&mut nodes, id), Some(Refusal::Moved { hint: None, .. })), "{:?}", nodes.answers);
}

#[test]
fn a_node_tells_what_it_is_and_what_it_holds() {
    let mut nodes = Nodes::serving(3, 4);
    let figures = wire::NodeFigures { syncs: 7, ..wire::NodeFigures::default() };
    nodes.host(N2).note_figures(figures);
    let (node, shards) = (nodes.ask(N2, RequestBody::Node), nodes.ask(N2, RequestBody::Shards));
    nodes.settle();
    let Some(AnswerBody::Node(report)) = nodes.answer(node) else { panic!("{:?}", nodes.answers) };
    let leads = nodes.hosts[1].leads();
    assert_eq!((report.node, report.leads as usize, report.replicas), (N2, leads, 4));
    assert_eq!((&report.hears[..], &report.figures), ([N1, N3].as_slice(), &figures));
    let Some(AnswerBody::Shards(reports)) = nodes.answer(shards) else { panic!("{:?}", nodes.answers) };
    assert_eq!(reports.len(), 4);
    assert!(reports.iter().all(|report| report.unheeded.is_empty() && report.voters.len() == 3));
}

#[test]
fn so_many_requests_may_wait_at_a_node_all_shards_together() {
    let mut nodes = Nodes::serving(1, 1);
    let host = nodes.host(N1);
    let read = |id: u64, query| {
        let body = RequestBody::Read { shard: SHARD, query, level: Level::Eventual, after: Slot::ZERO };
        Request { id, body }
    };
    let rect = Rect::new(FieldId::new(0, 0).unwrap(), 2, 2).unwrap();
    let watch = Query::Changes { rect, seen: Some(Slot(u64::MAX)), wait_ms: 1_000 };
    let now = crate::tests::at(crate::clock::Mono(3 * SECOND));
    for id in 1..=WAITING as u64 {
        let query = if id == 2 { watch.clone() } else { Query::View(rect) };
        host.handle_request(now, CONN, read(id, query));
    }
    host.handle_request(now, CONN, read(WAITING as u64 + 1, Query::View(rect)));
    host.handle_request(now, CONN, read(WAITING as u64 + 2, watch));
    nodes.settle();
    let by_node = AnswerBody::Refused(Refusal::Overloaded { retry_after_ms: RETRY_AFTER_MS });
    let refused = nodes.answers.iter().filter(|(_, answer)| answer.body == by_node);
    // Whatever the one replica refused for itself.
    let refused: Vec<u64> = refused.map(|(_, answer)| answer.id).collect();
    assert_eq!(refused, [WAITING as u64 + 1, WAITING as u64 + 2]);
    nodes.answers.clear();
    let id = nodes.look(N1, SHARD, Level::Strong);
    assert_eq!(refusal(&mut nodes, id), None, "the next turn counts anew");
}

#[test]
fn numbers_are_scattered_as_splitmix64_does_at_first() {
    assert_eq!([0, 1, 2].map(scattered), [0, 1_869_096_475, 714_407_103]);
}
