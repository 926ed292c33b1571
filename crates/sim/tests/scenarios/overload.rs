//! More than a cluster can do: it says so, loses nothing of what it took, and hurts nobody who asks for something else.

use crate::support::*;
use client_proto::{Failure, OpId, Options, Read, Reason, Success};
use placement::ShardId;
use sim::clock::{MS, SECOND};
use sim::cluster::Cluster;
use sim::plan::Plan;
use sim::player::Intent;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, atomic};
use wire::Level;
use wire::peer::PeerMessage;
use world::{Command, FieldId, Rect};

/// A cluster whose clients have much under way at a time, and patience.
fn busy_cluster(nodes: u32, shards: u32) -> Cluster {
    let patience = std::time::Duration::from_mins(1);
    let options = Options { max_in_flight: 1 << 16, request_timeout: patience, ..Options::default() };
    // What is sent first comes first, as in a stream.
    cluster_of(Plan { players: nodes as usize, options, jitter: 1, ..Plan::quiet(7, nodes, 3, shards) })
}

/// The slots at which so many commands of one player were done, in the order in which they were given.
fn slots(cluster: &mut Cluster, count: usize) -> Vec<u64> {
    let ops = cluster.begin_all(0, (0..count).map(|_| Intent::Do(Command::Register)));
    let slot = |result: Result<Success, Failure>| match result {
        Ok(Success::Command { receipt, .. }) => receipt.slot.0,
        other => panic!("{other:?}"),
    };
    results(cluster, 0, &ops).into_iter().map(slot).collect()
}

/// What comes of all of these, within a minute.
fn results(cluster: &mut Cluster, player: usize, ops: &[OpId]) -> Vec<Result<Success, Failure>> {
    let mut came = Vec::new();
    for _ in 0..600 {
        cluster.run_for(100 * MS);
        sound(cluster);
        let next = ops[came.len()..].iter().map_while(|op| cluster.result(player, *op)).cloned();
        came.extend(next.collect::<Vec<_>>());
        if came.len() == ops.len() {
            break;
        }
    }
    assert_eq!(came.len(), ops.len(), "the others wait for ever");
    came
}

#[test]
fn three_nodes_commands_are_answered_in_the_order_of_their_arrival() {
    let mut cluster = busy_cluster(3, 1);
    cluster.stall(N1, 700 * MS);
    let slots = slots(&mut cluster, 5_000);
    assert!(slots.is_sorted(), "some were overtaken");
    assert_eq!(cluster.stats.overloaded, 0);
    assert!(slots.last() > slots.first(), "they did not all fit into one batch");
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_a_leader_whose_queue_is_full_refuses_loses_nothing_and_serves_all_of_it_in_the_end() {
    let mut cluster = busy_cluster(3, 1);
    cluster.stall(N1, 700 * MS);
    slots(&mut cluster, 24_000);
    let refused = cluster.stats.overloaded;
    assert!(refused > 3_000, "{refused} refusals");
    assert_eq!(leader(&cluster), Some(N1), "that is no reason for another leader");
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_reads_beyond_what_may_wait_are_refused_and_come_again() {
    let mut cluster = busy_cluster(3, 1);
    let field = field(&cluster, 0);
    must_claim(&mut cluster, 0, field);
    cluster.run_for(SECOND);
    // n2 hears nothing of n1 for a while, so a bound can be proven only later.
    cluster.network.cut(&sim::network::Cut::Sides(vec![N2]));
    cluster.run_for(200 * MS);
    // (Fields asked for at one moment would travel in one question.)
    let ask = Intent::Ask(Read::Wallet(name(&cluster, 0)), Level::Bounded(100), Some(N2));
    let ops = cluster.begin_all(1, std::iter::repeat_n(ask, 17_000));
    cluster.run_for(50 * MS);
    let refused = cluster.stats.overloaded;
    assert!(refused > 500, "{refused} refusals");
    cluster.network.heal();
    let (answered, failed): (Vec<_>, Vec<_>) = results(&mut cluster, 1, &ops).into_iter().partition(Result::is_ok);
    let too_stale = |failed: &Result<Success, Failure>| {
        matches!(failed, Err(Failure::Unavailable { reason: Reason::TooStale, .. }))
    };
    assert!(answered.len() > 10_000 && failed.iter().all(too_stale), "{} answered", answered.len());
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_more_land_is_asked_for_than_a_turn_shows_and_all_of_it_is_shown_in_the_end() {
    let mut cluster = busy_cluster(3, 4);
    let field = field(&cluster, 0);
    must_claim(&mut cluster, 0, field);
    // One row of the map, so that it lies in a thousand chunks; each a little further, so that none is ready.
    let ops = cluster.begin_all(
        0,
        (0..300).map(|x| {
            let corner = FieldId::new(x, field.y()).expect("on the grid");
            Intent::Ask(
                Read::View(Rect::new(corner, 65_536, 1).expect("no more than may be")),
                Level::Eventual,
                Some(N1),
            )
        }),
    );
    let shown = results(&mut cluster, 0, &ops);
    let whole = |shown: &Result<Success, Failure>| matches!(shown, Ok(Success::View { fields, .. }) if fields.unpack().iter().any(|shown| shown.field == field));
    assert!(shown.iter().all(whole), "{:?}", shown.iter().find(|shown| !whole(shown)));
    // 300 times 1,024 chunks, a quarter of them in each shard.
    let turns = cluster.stats.cut_short;
    assert!((4..=40).contains(&turns), "{turns} turns had no room for more");
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_a_disk_that_stalls_keeps_nobody_waiting_in_the_shards_of_others() {
    let mut cluster = busy_cluster(3, 8);
    let led = |cluster: &Cluster, shard: u32| cluster.leader(ShardId(shard)).expect("somebody leads");
    let slow = led(&cluster, 1);
    let others: Vec<u32> = (1..=8).filter(|&shard| led(&cluster, shard) != slow).collect();
    assert!(others.len() >= 3, "{others:?}");
    cluster.stall(slow, 600 * MS);
    for nth in 0..10 {
        for &shard in &others {
            let field = cluster.sites[shard as usize - 1].field(100 + nth).expect("there are enough");
            let player = [N1, N2].iter().position(|node| *node != slow).expect("one of them");
            let op = claim(&mut cluster, player, field);
            let soon = cluster.run_until(20 * MS, |cluster| cluster.result(player, op).is_some());
            assert!(soon, "a claim in shard {shard} waits for {slow}'s disk");
        }
    }
    calm_and_check(&mut cluster);
}

/// Counts the messages between replicas from now on.
fn counted(cluster: &mut Cluster) -> Arc<AtomicU64> {
    let count: Arc<AtomicU64> = Arc::default();
    let seen = Arc::clone(&count);
    cluster.meddler.frames(move |_, _, frame| {
        let messages = frame.messages.iter().filter(|message| matches!(message, PeerMessage::Paxos { .. })).count();
        seen.fetch_add(messages as u64, Ordering::Relaxed);
        sim::meddle::Fate::Pass
    });
    count
}

#[test]
fn three_nodes_strong_reads_under_a_lease_cost_no_message_between_replicas() {
    for (support, least, most) in [(SECOND, 0, 0), (MS, 1_000, u64::MAX)] {
        let mut plan = Plan { players: 3, ..Plan::quiet(7, 3, 3, 1) };
        plan.tunings.iter_mut().for_each(|tuning| tuning.support = support);
        let mut cluster = cluster_of(plan);
        let field = field(&cluster, 0);
        must_claim(&mut cluster, 0, field);
        cluster.run_for(SECOND);
        let messages = counted(&mut cluster);
        for _ in 0..1_000 {
            let op = read(&mut cluster, 0, field, Level::Strong, None);
            assert_eq!(owner(result(&mut cluster, 0, op, 5)), Some(name(&cluster, 0)));
        }
        let messages = messages.load(atomic::Ordering::Relaxed);
        assert!(
            (least..=most).contains(&messages),
            "{messages} messages for 1,000 reads with support for {support} us"
        );
        calm_and_check(&mut cluster);
    }
}

#[test]
fn three_nodes_the_shards_of_a_dead_node_are_taken_over_together() {
    let frames = |shards: u32| {
        let mut cluster = busy_cluster(3, shards);
        let dead = cluster.leader(ShardId(1)).expect("somebody leads");
        let led: Vec<u32> = (1..=shards).filter(|&shard| cluster.leader(ShardId(shard)) == Some(dead)).collect();
        let before = cluster.stats.frames;
        cluster.crash(dead);
        let all = |cluster: &Cluster| {
            led.iter().all(|&shard| cluster.leader(ShardId(shard)).is_some_and(|leader| leader != dead))
        };
        assert!(cluster.run_until(3 * SECOND, |cluster| all(cluster)), "they have leaders again");
        let frames = cluster.stats.frames - before;
        calm_and_check(&mut cluster);
        frames
    };
    let (few, many) = (frames(8), frames(256));
    assert!(many < 2 * few, "{few} frames for 8 shards, {many} for 256");
}
