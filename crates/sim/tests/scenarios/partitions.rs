//! Networks cut in two, in chains and in stars.

use crate::support::*;
use client_proto::{Applied, Failure, Reason};
use paxos::NodeId;
use placement::ShardId;
use sim::clock::SECOND;
use sim::meddle::Fate;
use sim::network::Cut;
use sim::plan::Plan;
use std::collections::BTreeMap;
use wire::Level;

const ELECTION_TIMEOUT: u64 = SECOND;

#[test]
fn three_nodes_one_apart_the_majority_claims_on_the_minority_refuses_strong_and_serves_eventual_then_all_agree() {
    let mut cluster = cluster(3);
    let (old, new) = (field(&cluster, 0), field(&cluster, 1));
    must_claim(&mut cluster, 0, old);
    cluster.run_for(SECOND);
    cluster.network.cut(&Cut::Sides(vec![N1]));
    cluster.run_for(3 * SECOND);
    // The leader was n1; the others have another by now.
    must_claim(&mut cluster, 1, new);
    let strong = read(&mut cluster, 0, old, Level::Strong, None);
    match result(&mut cluster, 0, strong, 20) {
        Err(Failure::Unavailable { applied: Applied::No, reason: Reason::NoQuorum, missing, .. }) => {
            assert_eq!(missing, [N2, N3]);
        }
        other => panic!("the minority answered a strong read with {other:?}"),
    }
    let third = field(&cluster, 2);
    let claimed = claim(&mut cluster, 0, third);
    let refused = result(&mut cluster, 0, claimed, 20);
    assert!(matches!(refused, Err(Failure::Unavailable { .. })), "{refused:?}");
    let eventual = read(&mut cluster, 0, old, Level::Eventual, Some(N1));
    let here = name(&cluster, 0);
    assert_eq!(owner(result(&mut cluster, 0, eventual, 5)), Some(here));
    let unseen = read(&mut cluster, 0, new, Level::Eventual, Some(N1));
    assert_eq!(owner(result(&mut cluster, 0, unseen, 5)), None, "what the majority did cannot have come here");
    calm_and_check(&mut cluster);
    let strong = read(&mut cluster, 0, new, Level::Strong, None);
    let there = name(&cluster, 1);
    assert_eq!(owner(result(&mut cluster, 0, strong, 5)), Some(there));
}

#[test]
fn five_nodes_in_a_star_the_hub_alone_reaches_a_quorum_and_leads_within_four_election_time_outs() {
    for hub in (1..=5).map(NodeId) {
        let mut cluster = cluster(5);
        cluster.network.cut(&Cut::Star(hub));
        let led = cluster.run_until(4 * ELECTION_TIMEOUT, |cluster| {
            cluster.paxos(hub, SHARD).is_some_and(paxos::Replica::is_leader) && leader(cluster) == Some(hub)
        });
        sound(&mut cluster);
        assert!(led, "{hub} does not lead");
        let (player, field) = (hub.0 as usize - 1, field(&cluster, 0));
        must_claim(&mut cluster, player, field);
        calm_and_check(&mut cluster);
    }
}

/// What holds for one shard holds for all of a node's at once.
#[test]
fn five_nodes_in_a_star_the_hub_leads_256_shards_within_four_election_time_outs() {
    let mut cluster = cluster_of(Plan { players: 5, ..Plan::quiet(7, 5, 5, 256) });
    let shards: Vec<ShardId> = cluster.map.shards().iter().map(|info| info.shard).collect();
    assert_eq!(shards.len(), 256);
    cluster.network.cut(&Cut::Star(N3));
    let begin = cluster.now;
    let mut led = BTreeMap::new();
    let all = cluster.run_until(4 * ELECTION_TIMEOUT, |cluster| {
        for &shard in &shards {
            if cluster.leader(shard) == Some(N3) {
                led.entry(shard).or_insert(cluster.now.since(begin));
            }
        }
        led.len() == shards.len()
    });
    sound(&mut cluster);
    println!("the hub led the last of them after {:?} us", led.values().max());
    assert!(all, "it leads {} of them", led.len());
    calm_and_check(&mut cluster);
}

#[test]
fn five_nodes_in_a_star_whose_hub_has_the_shortest_log_it_leads_all_the_same_and_nothing_is_lost() {
    let mut cluster = cluster(5);
    // n3 misses a few claims.
    cluster.meddler.frames(
        |_, to, frame| {
            if to == N3 && paxos_of(frame).next().is_some() { Fate::Lose } else { Fate::Pass }
        },
    );
    let fields: Vec<_> = (0..6).map(|nth| field(&cluster, nth)).collect();
    for &field in &fields {
        must_claim(&mut cluster, 0, field);
    }
    assert!(applied(&cluster, N3) < applied(&cluster, N1));
    cluster.network.cut(&Cut::Star(N3));
    cluster.meddler.stop();
    assert!(cluster.run_until(4 * ELECTION_TIMEOUT, |cluster| leader(cluster) == Some(N3)), "n3 does not lead");
    let whose = name(&cluster, 0);
    for field in fields {
        let op = read(&mut cluster, 2, field, Level::Strong, None);
        assert_eq!(owner(result(&mut cluster, 2, op, 5)), Some(whose));
    }
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_in_a_chain_claims_go_on_and_the_leader_changes_once_at_most() {
    for order in [[N1, N2, N3], [N2, N1, N3], [N2, N3, N1]] {
        let mut cluster = cluster(3);
        let before = elections(&cluster);
        cluster.network.cut(&Cut::Chain(order.to_vec()));
        // Whoever is in the middle reaches everybody, so a client near it reaches the leader wherever it is.
        let player = order[1].0 as usize - 1;
        for nth in 0..20 {
            let field = field(&cluster, nth);
            must_claim(&mut cluster, player, field);
            cluster.run_for(SECOND);
        }
        let changes = elections(&cluster) - before;
        assert!(changes <= 1, "{order:?}: {changes} elections in 20 s");
        calm_and_check(&mut cluster);
    }
}

#[test]
fn three_nodes_one_follower_cut_off_for_long_returns_and_the_leader_keeps_its_ballot() {
    let mut cluster = cluster(3);
    let before = ballot(&cluster, N1);
    cluster.network.cut(&Cut::Sides(vec![N3]));
    cluster.run_for(12 * SECOND);
    let claimed = field(&cluster, 0);
    must_claim(&mut cluster, 0, claimed);
    cluster.network.heal();
    cluster.run_for(5 * SECOND);
    sound(&mut cluster);
    assert_eq!(leader(&cluster), Some(N1));
    assert_eq!([N1, N2, N3].map(|node| ballot(&cluster, node)), [before; 3]);
    assert_eq!(applied(&cluster, N3), applied(&cluster, N1), "it has caught up");
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_one_hears_nobody_but_is_heard_the_leader_keeps_its_ballot() {
    let mut cluster = cluster(3);
    let before = ballot(&cluster, N1);
    cluster.network.cut(&Cut::OneWay(N1, N3));
    for nth in 0..5 {
        let field = field(&cluster, nth);
        must_claim(&mut cluster, 1, field);
        cluster.run_for(2 * SECOND);
    }
    assert_eq!((leader(&cluster), ballot(&cluster, N1)), (Some(N1), before));
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_idle_shard_its_leader_cut_off_the_next_command_finds_another() {
    let mut cluster = cluster(3);
    cluster.run_for(30 * SECOND);
    cluster.network.cut(&Cut::Sides(vec![N1]));
    let field = field(&cluster, 0);
    let op = claim(&mut cluster, 1, field);
    let answer = result(&mut cluster, 1, op, 5);
    assert!(is_claimed(&answer), "{answer:?}");
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_idle_nothing_is_said_but_probes() {
    let mut cluster = cluster(3);
    cluster.run_for(2 * SECOND);
    let (messages, writes) = (cluster.stats.messages, cluster.stats.writes);
    cluster.run_for(60 * SECOND);
    assert_eq!((cluster.stats.messages, cluster.stats.writes), (messages, writes));
}

#[test]
fn three_nodes_leader_paused_while_another_is_elected_wakes_up_alone_and_answers_no_strong_read_with_what_was() {
    let mut cluster = cluster(3);
    let field = field(&cluster, 0);
    cluster.network.cut(&Cut::Sides(vec![N1]));
    cluster.pause(N1);
    must_claim(&mut cluster, 1, field);
    // It is the first thing that the old leader finds when it wakes up, before it can notice anything.
    let strong = read(&mut cluster, 0, field, Level::Strong, Some(N1));
    cluster.run_for(SECOND / 10);
    cluster.resume(N1);
    let answer = result(&mut cluster, 0, strong, 20);
    assert!(answer.is_err(), "alone, it cannot know: {answer:?}");
    calm_and_check(&mut cluster);
}
