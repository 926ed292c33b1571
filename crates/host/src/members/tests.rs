//! Joining, leaving, coming back with another disk, being founded.

use super::*;
use crate::tests::{MS, N1, N2, N3, Nodes, SECOND};
use wire::{AnswerBody, Change, RequestBody};

const SHARD: ShardId = ShardId(1);
const N4: NodeId = NodeId(4);

fn change(nodes: &mut Nodes, change: Change) -> AnswerBody {
    let leader = nodes.leader(SHARD).unwrap();
    let id = nodes.ask(leader, RequestBody::Change { shard: SHARD, change });
    nodes.pass(SECOND);
    nodes.answer(id).cloned().unwrap_or_else(|| panic!("{change:?} is not answered"))
}

fn memberships(nodes: &Nodes, node: NodeId) -> Vec<(ShardId, Membership)> {
    let own = nodes.told.iter().filter(|(told, _)| *told == node);
    own.flat_map(|(_, turn)| turn.memberships.iter().copied()).collect()
}

fn number(nodes: &mut Nodes, node: NodeId) -> Option<u64> {
    nodes.host(node).replica(SHARD).map(|replica| replica.paxos().configuration().number)
}

/// Four nodes, three of which vote in the one shard; who does not.
fn with_an_outsider() -> (Nodes, NodeId) {
    let mut nodes = Nodes::serving_by((4, 1, 3));
    let voters = nodes.host(N1).config.map.get(SHARD).unwrap().voters.clone();
    let outsider = [N1, N2, N3, N4].into_iter().find(|node| !voters.contains(node)).unwrap();
    (nodes, outsider)
}

#[test]
fn a_node_joins_when_it_is_added_and_leaves_when_it_is_removed_and_may_come_again() {
    let (mut nodes, outsider) = with_an_outsider();
    assert!(nodes.host(outsider).replica(SHARD).is_none());
    assert_eq!(change(&mut nodes, Change::Add(outsider)), AnswerBody::Changed);
    assert_eq!(
        (number(&mut nodes, outsider), memberships(&nodes, outsider)),
        (Some(1), vec![(SHARD, Membership::Joined(1))])
    );
    assert_eq!(change(&mut nodes, Change::Remove(outsider)), AnswerBody::Changed);
    assert_eq!(number(&mut nodes, outsider), None);
    let told = memberships(&nodes, outsider);
    assert_eq!(told[1..], [(SHARD, Membership::Left(2))]);
    let gone = |(node, turn): &(NodeId, crate::Turn)| {
        *node == outsider && turn.releases.contains(&(SHARD, Slot(u64::MAX - 1)))
    };
    assert_eq!(nodes.told.iter().filter(|told| gone(told)).count(), 1, "nothing of it stays in the log");
    assert_eq!(change(&mut nodes, Change::Add(outsider)), AnswerBody::Changed);
    assert_eq!(memberships(&nodes, outsider)[2..], [(SHARD, Membership::Joined(3))]);
    let replica = nodes.host(outsider).replica(SHARD).unwrap();
    assert_eq!(replica.paxos().floor(), 3, "of what came before it knows nothing");
    let restless: Vec<_> = nodes.hosts.iter().map(Host::restless).collect();
    assert_eq!(restless, [None; 4], "everybody knows");
}

#[test]
fn a_voter_that_is_replaced_leaves_once_the_others_have_gone_on() {
    let (mut nodes, outsider) = with_an_outsider();
    change(&mut nodes, Change::Add(outsider));
    let leader = nodes.leader(SHARD).unwrap();
    let old = [N1, N2, N3, N4].into_iter().find(|node| ![leader, outsider].contains(node)).unwrap();
    assert_eq!(change(&mut nodes, Change::Replace { old, new: outsider }), AnswerBody::Changed);
    assert_eq!(number(&mut nodes, old), None);
    assert_eq!(memberships(&nodes, old), [(SHARD, Membership::Left(2))]);
    assert_eq!(nodes.host(old).leaderless(), 0, "it waits for nobody");
    assert!(nodes.hosts.iter().all(Host::is_ready));
    // And everybody's map shows it.
    for host in &nodes.hosts {
        let info = host.config.map.get(SHARD).unwrap();
        assert!(info.voters.contains(&outsider) && !info.voters.contains(&old) && info.configuration == 2);
    }
}

#[test]
fn who_was_away_while_it_was_removed_hears_of_it_when_it_is_back() {
    let (mut nodes, outsider) = with_an_outsider();
    change(&mut nodes, Change::Add(outsider));
    nodes.cut_off = [outsider].into();
    change(&mut nodes, Change::Remove(outsider));
    assert_eq!(number(&mut nodes, outsider), Some(1));
    let leader = nodes.leader(SHARD).unwrap();
    assert_eq!(nodes.host(leader).untold.get(&SHARD), Some(&[outsider].into()));
    nodes.cut_off.clear();
    nodes.pass(SECOND);
    assert_eq!(number(&mut nodes, outsider), None);
    assert!(nodes.host(leader).untold.is_empty());
}

#[test]
fn who_is_removed_while_its_disk_stands_still_does_not_join_when_it_goes_on() {
    let (mut nodes, outsider) = with_an_outsider();
    nodes.stuck = [outsider].into();
    change(&mut nodes, Change::Add(outsider));
    change(&mut nodes, Change::Remove(outsider));
    let leader = nodes.leader(SHARD).unwrap();
    assert!(nodes.host(leader).untold.is_empty(), "it has heard of it, and is not told again");
    nodes.stuck.clear();
    nodes.settle();
    assert_eq!(number(&mut nodes, outsider), None, "it would wait for ever for news of what it is no part of");
    assert_eq!(memberships(&nodes, outsider), [(SHARD, Membership::Joined(1)), (SHARD, Membership::Left(2))]);
    assert_eq!(change(&mut nodes, Change::Add(outsider)), AnswerBody::Changed);
    assert_eq!(number(&mut nodes, outsider), Some(3), "it may come again");
}

#[test]
fn a_node_with_another_disk_counts_for_nothing_until_it_is_added_again() {
    let mut nodes = Nodes::serving(3, 2);
    change(&mut nodes, Change::Add(N2));
    nodes.wipe(N3);
    nodes.pass(2 * SECOND);
    for other in [N1, N2] {
        assert_eq!(nodes.host(other).unheeded(SHARD), [N3]);
        assert!(nodes.host(other).disowned().is_none());
    }
    let reports = nodes.ask(N1, RequestBody::Shards);
    nodes.settle();
    let Some(AnswerBody::Shards(reports)) = nodes.answer(reports) else { panic!("{:?}", nodes.answers) };
    assert!(reports.iter().all(|report| report.unheeded == [N3]), "{reports:?}");
    let (shards, by) = nodes.host(N3).disowned().unwrap();
    assert!(shards == 2 && [N1, N2].contains(&by), "{shards} by {by}");
    assert!(!nodes.host(N3).is_ready() && !nodes.host(N3).is_founded());
    assert_eq!(nodes.host(N3).unmet(), [N1, N2], "they know it by another disk");
    // Its votes do not count: with n2 away nothing is decided.
    let leader = nodes.leader(SHARD).unwrap();
    assert_ne!(leader, N3);
    let id = nodes.register(leader, SHARD);
    nodes.cut_off = [if leader == N1 { N2 } else { N1 }].into();
    nodes.pass(500 * MS);
    assert_eq!(nodes.answer(id), None);
    nodes.cut_off.clear();
    nodes.pass(3 * SECOND);
    assert!(nodes.answer(id).is_some());
    assert_eq!(change(&mut nodes, Change::Add(N3)), AnswerBody::Changed);
    assert_eq!(change(&mut nodes, Change::Promote(N3)), AnswerBody::Changed);
    for other in [N1, N2] {
        assert_eq!(nodes.host(other).unheeded(SHARD), []);
    }
    assert_eq!(nodes.host(N3).disowned().map(|(shards, _)| shards), Some(1), "in the other shard nobody has added it");
}

#[test]
fn nodes_that_have_never_met_decide_nothing_before_they_have() {
    let mut nodes = Nodes::tuned((3, 2, 3), |config| config.met.clear());
    nodes.cut_off = [N3].into();
    nodes.pass(3 * SECOND);
    assert!([1, 2].into_iter().all(|shard| nodes.leader(ShardId(shard)).is_none()), "two empty disks found nothing");
    assert_eq!((nodes.host(N1).is_founded(), nodes.host(N1).unmet()), (false, vec![N3]));
    assert!(!nodes.host(N1).is_ready());
    nodes.cut_off.clear();
    nodes.pass(3 * SECOND);
    assert!(nodes.hosts.iter().all(|host| host.is_founded() && host.unmet().is_empty() && host.is_ready()));
    let mut again = Nodes::tuned((3, 2, 3), |config| config.met.clear());
    while !again.hosts.iter().all(Host::is_founded) {
        again.pass(MS);
    }
    again.pass(SECOND / 16);
    assert!(again.hosts.iter().all(Host::is_ready), "nobody waits for longer than it must");
    let met = |nodes: &Nodes, node| {
        let own = nodes.told.iter().filter(|(told, _)| *told == node);
        own.flat_map(|(_, turn)| turn.meetings.iter().map(|(met, _)| met.0)).collect::<Vec<_>>()
    };
    assert_eq!(met(&nodes, N1), [2, 3, 1], "each once, and itself when all have met it");
    let mut alone = Nodes::tuned((1, 1, 1), |config| config.met.clear());
    alone.pass(SECOND);
    assert!(alone.host(N1).is_founded() && alone.host(N1).is_ready());
}

/// A configuration of this number with these voters.
fn configuration(number: u64, voters: &[NodeId]) -> Configuration {
    let first = Configuration::first(QuorumSystem::majority(voters.iter().copied()).unwrap());
    Configuration { number, ..first }
}

#[test]
fn who_is_founded_looks_at_all_its_shards() {
    let mut nodes = Nodes::tuned((3, 2, 3), |config| config.met.clear());
    nodes.settle();
    let host = nodes.host(N1);
    host.handle_met(N2, Incarnation(200));
    assert!(host.touched.is_empty() && !host.is_founded());
    host.handle_met(N1, Incarnation(100));
    assert!(host.touched.len() == 2 && host.is_founded());
}

#[test]
fn only_a_later_part_than_the_one_it_left_makes_a_node_join() {
    let (mut nodes, outsider) = with_an_outsider();
    let joins = |nodes: &mut Nodes, shard, number, message: &Message| {
        let host = nodes.host(outsider);
        host.consider_joining(shard, number, message);
        let joins = host.joining.contains_key(&shard);
        host.joining.clear();
        joins
    };
    let ballot = paxos::Ballot { round: 9, node: N1 };
    let zero = Slot::ZERO;
    let leads = Message::Watermark { ballot, start: zero, chosen: zero, kept: zero };
    let answers = Message::Confirmed { ballot, round: 1 };
    nodes.host(outsider).config.left.insert(SHARD, 4);
    assert!(!joins(&mut nodes, SHARD, 4, &leads) && joins(&mut nodes, SHARD, 5, &leads));
    assert!(!joins(&mut nodes, SHARD, 5, &answers), "it may be a late one");
    assert!(!joins(&mut nodes, ShardId(99), 5, &leads), "there is no such shard");
    nodes.host(outsider).leaving.insert(SHARD);
    assert!(!joins(&mut nodes, SHARD, 5, &leads), "what it had of it must go first");
}

#[test]
fn what_is_to_be_noted_waits_for_what_is_being_noted() {
    let (mut nodes, outsider) = with_an_outsider();
    let now = nodes.now();
    let noted = |nodes: &mut Nodes| nodes.host(outsider).finish_turn(now).memberships;
    assert_eq!(noted(&mut nodes), []);
    let moves = [1, 2, 3].map(|shard| (ShardId(shard), Membership::Left(1)));
    nodes.host(outsider).moves.extend(&moves[..2]);
    assert_eq!(noted(&mut nodes), moves[..2]);
    nodes.host(outsider).moves.extend(&moves[2..]);
    assert_eq!(noted(&mut nodes), []);
    nodes.host(outsider).handle_moved(&moves[..2]);
    assert_eq!(noted(&mut nodes), moves[2..]);
}

#[test]
fn who_takes_part_is_told_to_those_who_do_not_once_it_has_changed() {
    let (mut nodes, outsider) = with_an_outsider();
    let leader = nodes.leader(SHARD).unwrap();
    let member = [N1, N2, N3, N4].into_iter().find(|node| ![leader, outsider].contains(node)).unwrap();
    let untold = |nodes: &mut Nodes, node| {
        let host = nodes.host(leader);
        host.tell_again(node);
        let untold = host.untold.get(&SHARD).is_some_and(|nodes| nodes.contains(&node));
        host.untold.clear();
        untold
    };
    // As if it had just become so.
    let noticed = |nodes: &mut Nodes, node| {
        let now = nodes.now();
        let host = nodes.host(node);
        host.members.remove(&SHARD);
        host.note_members(now, SHARD);
        let untold = host.untold.contains_key(&SHARD);
        host.untold.clear();
        untold
    };
    assert!(!noticed(&mut nodes, leader) && !untold(&mut nodes, outsider), "everybody knows how it began");
    change(&mut nodes, Change::Add(outsider));
    change(&mut nodes, Change::Remove(outsider));
    assert!(noticed(&mut nodes, leader) && !noticed(&mut nodes, member), "who leads tells");
    let version = |nodes: &mut Nodes| nodes.host(leader).covers.since(member, 0, |_| true).version;
    let (before, now) = (version(&mut nodes), nodes.now());
    nodes.host(leader).note_members(now, SHARD);
    assert_eq!(version(&mut nodes), before, "that is known");
    assert!(untold(&mut nodes, outsider) && !untold(&mut nodes, member));
    // One that has forgotten it asks whoever it began with, and is told better.
    nodes.wipe(outsider);
    assert_eq!(nodes.host(outsider).config.map.get(SHARD).unwrap().configuration, 0);
    nodes.pass(2 * SECOND);
    assert_eq!(nodes.host(outsider).config.map.get(SHARD).unwrap().configuration, 2);
    // Who does not lead tells nobody.
    assert!(nodes.host(member).untold.is_empty());
}

#[test]
fn news_of_a_shard_that_a_node_has_no_part_in_are_remembered_as_having_left() {
    let (mut nodes, outsider) = with_an_outsider();
    let leader = nodes.leader(SHARD).unwrap();
    let left = |nodes: &mut Nodes, node, number, voters: &[NodeId]| {
        nodes.host(node).on_members(leader, SHARD, &configuration(number, voters));
        nodes.host(node).config.left.get(&SHARD).copied()
    };
    let others: Vec<NodeId> = [N1, N2, N3, N4].into_iter().filter(|node| *node != outsider).collect();
    assert_eq!(left(&mut nodes, outsider, 5, &others), Some(5));
    assert_eq!(left(&mut nodes, outsider, 4, &others), Some(5), "late");
    assert_eq!(left(&mut nodes, outsider, 6, &[outsider, leader]), Some(5), "it is to join");
    assert_eq!(left(&mut nodes, leader, 7, &[outsider]), None, "it has a replica, which must hear of it");
    assert!(nodes.host(leader).replica(SHARD).is_some());
}

#[test]
fn who_leaves_takes_its_unwritten_checkpoints_along() {
    let mut nodes = Nodes::serving(3, 2);
    let leader = nodes.leader(SHARD).unwrap();
    nodes.stuck = [leader].into();
    nodes.register(leader, SHARD);
    nodes.settle();
    nodes.host(leader).checkpoint_all();
    nodes.settle();
    let cuts = |nodes: &mut Nodes| {
        let host = nodes.host(leader);
        let waiting = host.writing.iter().flat_map(|writing| writing.cuts.iter().map(|(shard, _)| *shard));
        (waiting.collect::<Vec<_>>(), host.cutting.len())
    };
    assert_eq!(cuts(&mut nodes), (vec![SHARD, ShardId(2)], 2));
    nodes.host(leader).leave(SHARD, 3);
    assert_eq!(cuts(&mut nodes), (vec![ShardId(2)], 1));
}

#[test]
fn who_hears_that_it_is_no_member_leaves_if_it_never_took_part_and_asks_if_it_did() {
    let tell = |nodes: &mut Nodes, node, number, voters: &[NodeId]| {
        nodes.host(node).on_members(N1, SHARD, &configuration(number, voters));
        nodes.host(node).replica(SHARD).is_some()
    };
    // It was to join in configuration 3.
    let (mut nodes, outsider) = with_an_outsider();
    let others: Vec<NodeId> = [N1, N2, N3, N4].into_iter().filter(|node| *node != outsider).collect();
    nodes.host(outsider).joined(SHARD, 3);
    assert!(tell(&mut nodes, outsider, 2, &others), "that was before");
    assert!(tell(&mut nodes, outsider, 3, &[outsider, N1]), "it is to take part");
    assert!(!tell(&mut nodes, outsider, 3, &others));
    // Its disk was emptied: what it has is nothing.
    let mut nodes = Nodes::serving(3, 1);
    nodes.wipe(N3);
    assert!(tell(&mut nodes, N3, 5, &[N1, N3]) && !tell(&mut nodes, N3, 5, &[N1, N2]));
    // It votes, and must learn first what has been decided.
    assert!(tell(&mut nodes, N2, 5, &[N1, N3]) && nodes.host(N2).touched.contains(&SHARD));
}
