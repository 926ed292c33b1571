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
    let met = |nodes: &Nodes, node| {
        let own = nodes.told.iter().filter(|(told, _)| *told == node);
        own.flat_map(|(_, turn)| turn.meetings.iter().map(|(met, _)| met.0)).collect::<Vec<_>>()
    };
    assert_eq!(met(&nodes, N1), [2, 3, 1], "each once, and itself when all have met it");
    let mut alone = Nodes::tuned((1, 1, 1), |config| config.met.clear());
    alone.pass(SECOND);
    assert!(alone.host(N1).is_founded() && alone.host(N1).is_ready());
}
