//! What comes in, and when the next look at the clock is due.

use super::*;
use crate::tests::{MS, N1, N2, N3, Nodes, SECOND, at};
use wire::{AnswerBody, Level, Query, RequestBody};

const SHARD: ShardId = ShardId(1);

#[test]
fn three_nodes_elect_a_leader_serve_and_come_to_rest() {
    let mut nodes = Nodes::serving(3, 4);
    let leader = nodes.leader(SHARD).unwrap();
    let (register, look) = (nodes.register(leader, SHARD), nodes.look(leader, SHARD, Level::Strong));
    nodes.settle();
    assert!(matches!(nodes.answer(register), Some(AnswerBody::Applied { .. })), "{:?}", nodes.answers);
    assert!(matches!(nodes.answer(look), Some(AnswerBody::Read { .. })), "{:?}", nodes.answers);
    let leads: Vec<usize> = nodes.hosts.iter().map(Host::leads).collect();
    assert_eq!((leads.iter().sum::<usize>(), nodes.hosts[0].leaderless()), (4, 0), "{leads:?}");
    assert_eq!(nodes.host(N1).replicas().count(), 4);
    assert_eq!(nodes.host(N1).heard().iter().collect::<Vec<_>>(), [&N2, &N3]);
}

/// Three nodes with one shard, a moment behind their last probes; who leads it, and who follows.
fn one_shard() -> (Nodes, NodeId, NodeId) {
    let mut nodes = Nodes::serving(3, 1);
    nodes.pass(100 * MS);
    let leader = nodes.leader(SHARD).unwrap();
    let follower = if leader == N2 { N3 } else { N2 };
    (nodes, leader, follower)
}

#[test]
fn what_nobody_has_heard_is_repeated_after_as_long_as_between_two_probes() {
    let (mut nodes, leader, _) = one_shard();
    nodes.cut_off = [N1, N2, N3].into();
    let asked = nodes.now;
    nodes.register(leader, SHARD);
    nodes.pass(150 * MS);
    assert_eq!(nodes.host(leader).restless(), Some(SHARD));
    assert_eq!(nodes.host(leader).next_tick(), asked.plus(250 * MS));
    nodes.cut_off.clear();
    nodes.pass(100 * MS - 1);
    assert!(nodes.host(leader).restless().is_some());
    nodes.pass(SECOND);
    assert_eq!((nodes.host(leader).restless(), nodes.answer(1).is_some()), (None, true));
}

#[test]
fn a_watermark_that_nothing_carries_along_leaves_after_a_moment() {
    let (mut nodes, leader, follower) = one_shard();
    nodes.register(leader, SHARD);
    nodes.settle();
    let applied = |nodes: &mut Nodes, node| nodes.host(node).replica(SHARD).unwrap().applied();
    let slot = applied(&mut nodes, leader);
    assert_eq!(applied(&mut nodes, follower), slot.prev());
    assert_eq!(nodes.host(leader).next_tick(), nodes.now.plus(5 * MS));
    nodes.pass(5 * MS - 1);
    assert_eq!(applied(&mut nodes, follower), slot.prev());
    nodes.pass(1);
    assert_eq!(applied(&mut nodes, follower), slot);
}

#[test]
fn who_waits_for_news_or_for_a_change_is_looked_at_in_time() {
    let (mut nodes, leader, follower) = one_shard();
    nodes.cut_off = [leader].into();
    let bounded = nodes.look(follower, SHARD, Level::Bounded(1));
    nodes.settle();
    assert_eq!(nodes.host(follower).next_tick(), nodes.now.plus(25 * MS));
    let early = at(nodes.now.plus(10 * MS));
    nodes.host(follower).handle_tick(early);
    assert_eq!(nodes.host(follower).next_tick(), nodes.now.plus(25 * MS), "whatever else it was woken for");
    nodes.pass(25 * MS);
    assert_eq!(nodes.host(follower).next_tick(), nodes.now.plus(25 * MS), "it waits on");
    nodes.pass(225 * MS - 1);
    assert_eq!(nodes.answer(bounded), None);
    nodes.pass(1);
    assert!(matches!(nodes.answer(bounded), Some(AnswerBody::Refused(_))), "{:?}", nodes.answers);

    let (mut nodes, _, follower) = one_shard();
    let rect = world::Rect::new(world::FieldId::new(0, 0).unwrap(), 2, 2).unwrap();
    let query =
        Query::Changes { rect, seen: Some(nodes.host(follower).replica(SHARD).unwrap().applied()), wait_ms: 40 };
    let watch =
        nodes.ask(follower, RequestBody::Read { shard: SHARD, query, level: Level::Eventual, after: Slot::ZERO });
    nodes.settle();
    assert_eq!(nodes.host(follower).next_tick(), nodes.now.plus(40 * MS));
    nodes.pass(40 * MS);
    assert!(matches!(nodes.answer(watch), Some(AnswerBody::Read { .. })), "{:?}", nodes.answers);
}

#[test]
fn a_disk_that_stands_still_for_a_time_out_costs_the_office() {
    let (mut nodes, leader, _) = one_shard();
    nodes.stuck = [leader].into();
    nodes.register(leader, SHARD);
    nodes.settle();
    let since = nodes.now;
    nodes.pass(SECOND - 1);
    assert_eq!((nodes.host(leader).leads(), nodes.host(leader).next_tick()), (1, since.plus(SECOND)));
    nodes.pass(1);
    assert_eq!(nodes.host(leader).leads(), 0);
    nodes.pass(SECOND);
    assert!(nodes.leader(SHARD).is_some_and(|next| next != leader));
}

#[test]
fn whoever_pins_old_log_is_checkpointed_and_under_pressure_left_behind() {
    let (mut nodes, leader, follower) = one_shard();
    nodes.cut_off = [follower].into();
    nodes.register(leader, SHARD);
    nodes.settle();
    let applied = nodes.host(leader).replica(SHARD).unwrap().applied();
    let told = |nodes: &mut Nodes, pressed| {
        nodes.told.clear();
        nodes.host(leader).handle_laggard(SHARD, applied, pressed);
        nodes.settle();
        let own = nodes.told.iter().filter(|(node, _)| *node == leader);
        let (mut cuts, mut releases) = (Vec::new(), Vec::new());
        for (_, turn) in own {
            cuts.extend(turn.cuts.iter().map(|(_, cut)| cut.slot));
            releases.extend(turn.releases.iter().map(|(_, slot)| *slot));
        }
        (cuts, releases)
    };
    assert_eq!(told(&mut nodes, true), (vec![applied], vec![]), "what is not in a checkpoint stays");
    assert_eq!(told(&mut nodes, false), (vec![], vec![]), "the one that is cut off lacks it");
    assert_eq!(told(&mut nodes, true), (vec![], vec![applied]));
}

#[test]
fn a_full_disk_makes_a_node_deaf_and_unready_and_it_can_be_asked_all_the_same() {
    let (mut nodes, leader, _) = one_shard();
    let now = nodes.now();
    nodes.host(leader).handle_disk_full(now, true);
    assert!(nodes.host(leader).is_disk_full() && !nodes.host(leader).is_ready());
    nodes.pass(3 * SECOND);
    let next = nodes.leader(SHARD).unwrap();
    assert!(next != leader && nodes.host(next).heard().contains(&leader), "it still says how it is");
    let applied = |nodes: &mut Nodes, node| nodes.host(node).replica(SHARD).unwrap().applied();
    let before = applied(&mut nodes, leader);
    nodes.register(next, SHARD);
    nodes.pass(SECOND);
    assert!(applied(&mut nodes, next) > before && applied(&mut nodes, leader) == before, "it takes nothing in");
    let look = nodes.look(leader, SHARD, Level::Eventual);
    nodes.settle();
    assert!(matches!(nodes.answer(look), Some(AnswerBody::Read { .. })));
    let now = nodes.now();
    nodes.host(leader).handle_disk_full(now, false);
    nodes.pass(SECOND);
    assert!(nodes.host(leader).is_ready());
}

#[test]
fn a_node_is_ready_when_all_it_holds_is_led_and_all_it_leads_serves() {
    let mut nodes = Nodes::new(3, 4);
    nodes.settle();
    assert!(nodes.hosts.iter().all(|host| !host.is_ready()), "nobody leads yet");
    nodes.pass(3 * SECOND);
    assert!(nodes.hosts.iter().all(Host::is_ready));
    nodes.cut_off = [N1].into();
    nodes.pass(3 * SECOND);
    assert_eq!(nodes.hosts.iter().map(Host::is_ready).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(nodes.host(N1).leaderless(), 4);
}

/// Whether `node` stands for election at any time within so many milliseconds.
fn stands(nodes: &mut Nodes, node: NodeId, ms: u64) -> bool {
    (0..ms / 10).any(|_| {
        nodes.pass(10 * MS);
        nodes.under_way.clear();
        nodes.host(node).replica(SHARD).unwrap().paxos().is_campaigning()
    })
}

#[test]
fn nobody_stands_for_election_who_reaches_no_quorum_or_whose_disk_takes_nothing() {
    let (mut nodes, leader, _) = one_shard();
    nodes.cut_off = [leader].into();
    assert!(!stands(&mut nodes, leader, 4_000), "who is alone");
    let (mut nodes, leader, follower) = one_shard();
    let now = nodes.now();
    nodes.host(follower).handle_disk_full(now, true);
    nodes.cut_off = [leader].into();
    assert!(!stands(&mut nodes, follower, 4_000), "whose disk is full");
    let (mut nodes, leader, follower) = one_shard();
    nodes.stuck = [follower].into();
    nodes.register(leader, SHARD);
    nodes.pass(1_100 * MS);
    nodes.cut_off = [leader].into();
    assert!(!stands(&mut nodes, follower, 4_000), "whose disk stands still");
}
