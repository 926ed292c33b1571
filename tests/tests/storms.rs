//! Real load, real failure: `kill -9` in the middle of a storm of claims. What was acknowledged is there afterwards, with
//! the same owner at every replica.

use cluster_tests::storm::{Aftermath, Plan, Storm};
use cluster_tests::{Cluster, Operator, Options};
use paxos::NodeId;
use std::time::{Duration, Instant};

/// 10,000 claims that nobody disputes and 2,000 fields that two clients want, by 64 clients.
const PLAN: Plan = Plan { clients: 64, distinct: 10_000, contested: 2_000, patience: Duration::from_secs(50) };
/// The figure is 3 s.
const RESUME: Duration = Duration::from_secs(15);
/// For everything that only has to end.
const LONG: Duration = Duration::from_mins(1);

#[test]
fn ten_thousand_claims_leader_killed_and_restarted() {
    let mut cluster = Cluster::start("storm-leader", Options::default());
    let operator = cluster.operator();
    let storm = Storm::begin(cluster.profile(), PLAN);
    storm.wait_percent(30, LONG);
    let (victim, led) = operator.busiest();
    assert!(led.len() > 64 / 4, "{victim} leads most shards, and these are only {}", led.len());
    cluster.kill(victim);
    let killed = Instant::now();
    storm.wait_percent(70, LONG);
    cluster.restart(victim);
    cluster.wait_ready(&[victim], LONG);
    let ready = killed.elapsed();
    let after = storm.end(PLAN);

    let (shard, pause) = after.longest_pause(killed, &led, |receipt| receipt.node != victim);
    println!(
        "{victim} led {} shards; claims resumed {pause:?} after its end (shard {} was last), it was ready again after {ready:?}",
        led.len(),
        shard.0
    );
    tell(&after);
    assert!(pause < RESUME, "claims resumed only after {pause:?}");
    let caught_up = every_replica_has(&cluster, &operator, &after);
    println!("every replica had caught up {caught_up:?} after the storm's end");
    cluster.down();
}

#[test]
fn ten_thousand_claims_all_three_nodes_killed_at_once_and_restarted() {
    let mut cluster = Cluster::start("storm-all", Options::default());
    let nodes: Vec<NodeId> = cluster.nodes().collect();
    let storm = Storm::begin(cluster.profile(), PLAN);
    storm.wait_percent(40, LONG);
    cluster.kill_together(&nodes);
    let before = storm.answered();
    for node in &nodes {
        cluster.restart(*node);
    }
    let restarted = Instant::now();
    cluster.wait_ready(&nodes, LONG);
    let ready = restarted.elapsed();
    let after = storm.end(PLAN);

    let operator = cluster.operator();
    let shards = operator.shards().shards.iter().map(|shard| shard.shard).collect();
    let (shard, pause) = after.longest_pause(restarted, &shards, |_| true);
    println!(
        "all killed after {before} answers; ready {ready:?} after the restart, the last shard ({}) served claims after {pause:?}",
        shard.0
    );
    tell(&after);
    assert!(pause < RESUME, "claims resumed only after {pause:?}");
    every_replica_has(&cluster, &operator, &after);
    cluster.down();
    cluster.up();
    let operator = cluster.operator();
    every_replica_has(&cluster, &operator, &after);
    cluster.down();
}

#[test]
fn a_paused_leader_that_wakes_up_serves_nothing_stale() {
    let mut cluster = Cluster::start("storm-pause", Options::default());
    let operator = cluster.operator();
    let (sleeper, led) = operator.busiest();
    let plan = Plan { clients: 16, distinct: 5_000, contested: 500, ..PLAN };
    let storm = Storm::begin(cluster.profile(), plan);
    storm.wait_percent(30, LONG);
    cluster.pause(sleeper);
    let paused = Instant::now();
    let after = storm.end(plan);
    let (_, pause) = after.longest_pause(paused, &led, |receipt| receipt.node != sleeper);
    tell(&after);
    println!("claims resumed {pause:?} after {sleeper}, leader of {} shards, was stopped", led.len());
    assert!(pause < RESUME, "claims resumed only after {pause:?}");
    let ownership = after.ownership();
    // Asked while it sleeps, so that these are the very first things it sees when it wakes up and still believes to lead.
    let read = client::ReadOptions::strong().from(sleeper);
    let mut reads = tokio::task::JoinSet::new();
    let served = operator.run(async {
        for (field, owner) in ownership.iter().step_by(10) {
            let client = operator.client().clone();
            reads.spawn(async move { (client.field(field, read).await, owner) });
        }
        cluster.go_on(sleeper);
        let mut served = 0;
        while let Some(done) = reads.join_next().await {
            match done.expect("reads do not panic") {
                (Ok(seen), owner) => {
                    served += 1;
                    assert_eq!(seen.field.owner, Some(owner), "a stale answer to a strong read: {seen:?}");
                }
                (Err(client::Error::Unavailable { .. }), _) => {}
                (Err(other), _) => panic!("{other}"),
            }
        }
        served
    });
    println!("{sleeper} answered {served} strong reads when it woke up, none of them stale");
    every_replica_has(&cluster, &operator, &after);
    cluster.down();
}

/// A node that leads nothing is stopped in its tracks: nobody waits for it, nobody takes an office because of it, and it catches
/// up.
#[test]
fn a_paused_follower_hurts_nobody() {
    let mut cluster = Cluster::start("storm-follower", Options::default());
    let operator = cluster.operator();
    let (sleeper, led) = operator.busiest();
    // Whoever comes back leads nothing.
    cluster.kill(sleeper);
    let plan = Plan { clients: 16, distinct: 3_000, contested: 300, ..PLAN };
    let first = Storm::begin(cluster.profile(), plan).end(plan);
    cluster.restart(sleeper);
    cluster.wait_ready(&[sleeper], LONG);
    operator.wait_caught_up(LONG);
    let ballots = |operator: &Operator| -> Vec<paxos::Ballot> {
        operator.shards().shards.iter().map(|shard| shard.ballot).collect()
    };
    let before = ballots(&operator);
    let storm = Storm::begin_beyond(cluster.profile(), plan, first.claims.len());
    storm.wait_percent(20, LONG);
    cluster.pause(sleeper);
    let paused = Instant::now();
    let after = storm.end(plan);
    let (shard, pause) = after.longest_pause(paused, &led, |receipt| receipt.node != sleeper);
    println!("with {sleeper} stopped, each shard served a claim within {pause:?} (shard {} was last)", shard.0);
    tell(&after);
    assert!(pause < RESUME, "shard {} waited for a follower: {pause:?}", shard.0);
    assert!(after.claims.iter().all(|claim| !claim.unknown && claim.receipt.node != sleeper));
    cluster.go_on(sleeper);
    cluster.wait_ready(&[sleeper], LONG);
    operator.wait_caught_up(LONG);
    assert_eq!(ballots(&operator), before, "a follower that slept changed who leads");
    after.is_within(&operator, sleeper);
    cluster.down();
}

fn tell(after: &Aftermath) {
    println!(
        "{} claims answered in {:?}; the slowest took {:?}, {} over 3 s; {} had a try that ended with 'perhaps applied'",
        after.claims.len(),
        after.length(),
        after.slowest(),
        after.slower_than(Duration::from_secs(3)),
        after.unknown()
    );
}

/// Compares what was acknowledged with what every replica holds; says how long they took to catch up.
fn every_replica_has(cluster: &Cluster, operator: &Operator, after: &Aftermath) -> Duration {
    let begin = Instant::now();
    operator.wait_caught_up(LONG);
    let took = begin.elapsed();
    after.is_at(operator, cluster.nodes());
    took
}
