//! Disks that fill up, fail, rot, and are replaced.

use crate::support::*;
use paxos::{Incarnation, NodeId};
use sim::clock::{MS, SECOND};
use sim::disk::Speed;
use sim::network::index;
use sim::plan::Plan;
use wire::{Change, Level};

/// Nodes n1 to n5; shard 1 begins at n1, n2 and n3.
fn five() -> sim::cluster::Cluster {
    cluster_of(Plan { players: 5, ..Plan::quiet(7, 5, 3, 1) })
}

/// Says a change to whoever leads until the observer sees that it was made.
fn change(cluster: &mut sim::cluster::Cluster, change: Change, made: impl Fn(&paxos::Configuration) -> bool) {
    for _ in 0..100 {
        if made(&cluster.judge.configuration(SHARD).expect("it has one")) {
            return;
        }
        if let Some(leader) = leader(cluster) {
            cluster.ask_for(leader, SHARD, change);
        }
        cluster.run_for(200 * MS);
        sound(cluster);
    }
    panic!("{change:?} was never made");
}

fn replace(cluster: &mut sim::cluster::Cluster, old: NodeId, new: NodeId) {
    change(cluster, Change::Add(new), |configuration| configuration.contains(new));
    change(cluster, Change::Replace { old, new }, |configuration| configuration.quorum.contains(new));
}

fn incarnation(cluster: &sim::cluster::Cluster, node: NodeId) -> Incarnation {
    cluster.machines[index(node)].incarnation
}

#[test]
fn three_nodes_one_disk_full_claims_go_on_and_with_two_full_nothing_is_acknowledged_until_there_is_space() {
    let mut cluster = cluster(3);
    cluster.fill(N2);
    let first = field(&cluster, 0);
    must_claim(&mut cluster, 0, first);
    cluster.fill(N3);
    // What n3 is asked first goes into its reserve; from then on it knows, and is deaf.
    let second = field(&cluster, 1);
    must_claim(&mut cluster, 0, second);
    let before = applied(&cluster, N1);
    let third = field(&cluster, 2);
    let op = claim(&mut cluster, 0, third);
    cluster.run_for(3 * SECOND);
    sound(&mut cluster);
    assert_eq!((cluster.result(0, op), applied(&cluster, N1)), (None, before), "one disk of three took it");
    cluster.clear_space(N2);
    cluster.clear_space(N3);
    assert!(is_claimed(&result(&mut cluster, 0, op, 10)));
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_a_node_that_dies_on_a_full_disk_starts_again_when_there_is_space_and_nothing_is_lost() {
    let mut cluster = cluster(3);
    let whose = name(&cluster, 0);
    let fields: Vec<_> = (0..4).map(|nth| field(&cluster, nth)).collect();
    cluster.fill(N2);
    for &field in &fields {
        must_claim(&mut cluster, 0, field);
    }
    cluster.crash(N2);
    cluster.start(N2);
    cluster.run_for(SECOND);
    let full = cluster.machines[index(N2)].host.as_ref().is_some_and(host::Host::is_disk_full);
    assert!(full, "it runs, and decides nothing");
    cluster.clear_space(N2);
    cluster.crash(N3);
    for field in fields {
        let op = read(&mut cluster, 1, field, Level::Strong, None);
        assert_eq!(owner(result(&mut cluster, 1, op, 10)), Some(whose));
    }
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_a_sync_that_fails_ends_the_leader_which_acknowledges_nothing_any_more() {
    let mut cluster = cluster(3);
    cluster.fail_sync(N1);
    let claimed = field(&cluster, 0);
    let op = claim(&mut cluster, 0, claimed);
    assert!(cluster.run_until(SECOND, |cluster| cluster.machines[index(N1)].host.is_none()));
    assert_eq!(cluster.stats.failed_syncs, 1);
    let answer = result(&mut cluster, 0, op, 10);
    assert!(is_claimed(&answer) && leader(&cluster) != Some(N1), "the others go on: {answer:?}");
    cluster.start(N1);
    calm_and_check(&mut cluster);
    assert!(applied(&cluster, N1) > paxos::Slot::ZERO, "it is back");
}

#[test]
fn three_nodes_a_bit_flipped_on_one_disk_is_damage_the_disk_is_replaced_and_its_node_votes_again() {
    let mut found_at_start = 0;
    for seed in 0..8 {
        let mut cluster = cluster_of(Plan { players: 3, checkpoint_bytes: 600, ..Plan::quiet(seed, 3, 3, 1) });
        for nth in 0..8 {
            let field = field(&cluster, nth);
            must_claim(&mut cluster, 0, field);
        }
        let before = incarnation(&cluster, N2);
        assert!((0..50).any(|_| cluster.rot(N2)), "there is something to rot");
        assert!(!cluster.rot(N3), "that would be one too many");
        cluster.crash(N2);
        cluster.start(N2);
        found_at_start += cluster.stats.damaged_starts;
        calm_and_check(&mut cluster);
        assert_ne!(incarnation(&cluster, N2), before);
        assert_eq!(cluster.stats.wipes, 1);
        let configuration = cluster.judge.configuration(SHARD).expect("it has one");
        assert!(configuration.quorum.contains(N2) && configuration.incarnations[&N2] == incarnation(&cluster, N2));
    }
    assert!(found_at_start >= 3, "only {found_at_start} starts were refused");
}

#[test]
fn three_nodes_a_wiped_node_under_its_old_name_gives_nobody_its_vote_until_it_is_added_again() {
    wiped_and_added_again(cluster(3));
}

#[test]
fn three_nodes_a_wiped_node_of_a_later_configuration_gives_nobody_its_vote_until_it_is_added_again() {
    let mut cluster = cluster(3);
    // Now the shard's own log says which life of n2's disk votes.
    add_again(&mut cluster, N3);
    wiped_and_added_again(cluster);
}

/// Removes it, and makes it a voter again.
fn add_again(cluster: &mut sim::cluster::Cluster, node: NodeId) {
    change(cluster, Change::Remove(node), |configuration| !configuration.contains(node));
    change(cluster, Change::Add(node), |configuration| configuration.contains(node));
    change(cluster, Change::Promote(node), |configuration| configuration.quorum.contains(node));
}

fn wiped_and_added_again(mut cluster: sim::cluster::Cluster) {
    let early = field(&cluster, 0);
    must_claim(&mut cluster, 0, early);
    // Nobody makes up for it: the operator has been sent away.
    cluster.crash(N2);
    cluster.machines[index(N2)].replace_disk();
    cluster.start(N2);
    cluster.run_for(2 * SECOND);
    sound(&mut cluster);
    cluster.crash(N3);
    let before = applied(&cluster, N1);
    let late = field(&cluster, 1);
    let op = claim(&mut cluster, 0, late);
    cluster.run_for(8 * SECOND);
    sound(&mut cluster);
    assert!(!cluster.result(0, op).is_some_and(is_claimed), "n1 and a vote that does not count");
    assert_eq!(applied(&cluster, N1), before);
    cluster.start(N3);
    add_again(&mut cluster, N2);
    cluster.crash(N3);
    let last = field(&cluster, 2);
    must_claim(&mut cluster, 0, last);
    calm_and_check(&mut cluster);
}

#[test]
fn a_shard_that_has_moved_on_is_not_founded_again_by_two_of_its_first_nodes_on_empty_disks() {
    let mut cluster = five();
    let claimed = field(&cluster, 0);
    must_claim(&mut cluster, 0, claimed);
    replace(&mut cluster, N1, NodeId(4));
    replace(&mut cluster, N2, NodeId(5));
    for node in [N1, N2] {
        assert!(cluster.wipe(node), "the shard does not need it");
    }
    // All that these two hear is each other.
    cluster.network.cut(&sim::network::Cut::Sides(vec![N1, N2]));
    for node in [N1, N2] {
        cluster.start(node);
    }
    cluster.run_for(10 * SECOND);
    sound(&mut cluster);
    for node in [N1, N2] {
        assert!(!cluster.paxos(node, SHARD).is_some_and(paxos::Replica::is_leader), "{node} leads what it has lost");
    }
    cluster.network.heal();
    cluster.run_for(5 * SECOND);
    assert!([N1, N2].iter().all(|&node| cluster.paxos(node, SHARD).is_none()), "they have let go of it");
    let whose = name(&cluster, 0);
    let op = read(&mut cluster, 3, claimed, Level::Strong, None);
    assert_eq!(owner(result(&mut cluster, 3, op, 5)), Some(whose));
    calm_and_check(&mut cluster);
}

#[test]
fn a_node_added_again_on_an_empty_disk_and_then_removed_lets_go_of_the_shard() {
    let mut cluster = five();
    assert!(cluster.wipe(N2));
    cluster.start(N2);
    assert!(cluster.run_until(20 * SECOND, |cluster| cluster.operator.business().is_none()), "the operator is at work");
    change(&mut cluster, Change::Add(N2), |configuration| configuration.contains(N2));
    change(&mut cluster, Change::Remove(N2), |configuration| !configuration.contains(N2));
    assert!(cluster.run_until(10 * SECOND, |cluster| cluster.paxos(N2, SHARD).is_none()), "it still holds the shard");
    calm_and_check(&mut cluster);
}

#[test]
fn a_node_that_joins_hears_from_nodes_whose_disks_were_replaced_since_it_met_them() {
    let mut cluster = five();
    let n4 = NodeId(4);
    let claimed = field(&cluster, 0);
    must_claim(&mut cluster, 0, claimed);
    // One after the other gets an empty disk and is brought back; n4, which met the old ones, has no part in it.
    for node in [N1, N2, N3] {
        assert!(cluster.wipe(node), "{node} can be spared");
        cluster.start(node);
        // The operator makes up for it, perhaps by n5.
        let done = |cluster: &sim::cluster::Cluster| cluster.operator.business().is_none();
        assert!(cluster.run_until(60 * SECOND, done), "{:?}", cluster.operator.business());
        let n5 = NodeId(5);
        if cluster.judge.configuration(SHARD).is_some_and(|configuration| configuration.quorum.contains(n5)) {
            change(&mut cluster, Change::Remove(node), |configuration| !configuration.contains(node));
            replace(&mut cluster, n5, node);
        }
        assert!(cluster.judge.configuration(SHARD).is_some_and(|configuration| !configuration.contains(n4)));
    }
    replace(&mut cluster, N2, n4);
    let whose = name(&cluster, 0);
    let op = read(&mut cluster, 3, claimed, Level::Session, Some(n4));
    assert_eq!(owner(result(&mut cluster, 3, op, 5)), Some(whose));
    calm_and_check(&mut cluster);
}

#[test]
fn no_disk_is_replaced_that_a_change_under_way_is_about_to_count_on() {
    // A turn comes a little after what wakes it.
    let mut cluster = cluster_of(Plan { players: 3, turn_delay: 300, ..Plan::quiet(7, 3, 3, 1) });
    let claimed = field(&cluster, 0);
    must_claim(&mut cluster, 0, claimed);
    let leader = leader(&cluster).expect("claims are served");
    let others: Vec<NodeId> = [N1, N2, N3].into_iter().filter(|node| *node != leader).collect();
    assert!(cluster.may_lose(others[1]), "either can be spared so far");
    cluster.ask_for(leader, SHARD, Change::Remove(others[0]));
    // Nothing of it has been written or sent: the two voters that it leaves are to be spared all the same.
    assert!(!cluster.wipe(others[1]), "with it, {leader} alone would be left of two voters");
    assert!(cluster.run_until(5 * SECOND, |cluster| {
        cluster.judge.configuration(SHARD).is_some_and(|configuration| !configuration.contains(others[0]))
    }));
    assert!(!cluster.wipe(others[1]), "now neither");
    calm_and_check(&mut cluster);
}

#[test]
fn patience_begins_when_slow_disks_have_done_what_they_were_about() {
    let slow = Speed { sync: 10 * MS, jitter: 1, pages: 1_000 };
    let mut cluster = cluster_of(Plan { disks: vec![slow; 3], checkpoint_bytes: 1, ..Plan::quiet(7, 3, 3, 1) });
    let claimed = field(&cluster, 0);
    must_claim(&mut cluster, 0, claimed);
    let now = cluster.now;
    cluster.calm();
    let since = cluster.calm_since.expect("all is mended");
    assert!(
        since.since(now) > 5 * SECOND,
        "a checkpoint of 10 s is being written, and {since} is not much after {now}"
    );
    cluster.play();
    sound(&mut cluster);
}
