//! Power that fails, at the worst moments.

use crate::support::*;
use paxos::NodeId;
use sim::clock::{MS, SECOND, Time};
use sim::cluster::Cluster;
use sim::fault::Fault;
use sim::network::Cut;
use sim::plan::Plan;
use sim::run::run;

const ALL: [NodeId; 3] = [N1, N2, N3];

/// Players who act ten times a second each, for twenty seconds, on disks that are slow to sync.
fn storm(seed: u64, script: Vec<(Time, Fault)>) -> Plan {
    let mut plan = Plan::quiet(seed, 3, 3, 2);
    for disk in &mut plan.disks {
        (disk.sync, disk.jitter) = (4_000, 8_000);
    }
    let end = Time(20 * SECOND);
    let script = script.into_iter().chain([(end, Fault::Calm)]).collect();
    Plan { players: 6, hot_fields: 3, act_every: 100 * MS, act_until: end, min_commands: 500, script, ..plan }
}

fn must_be_well(plan: Plan, met: impl FnOnce(&sim::stats::Stats)) {
    let seed = plan.seed;
    let report = run(plan, false);
    assert_eq!(report.failure, None, "seed {seed}");
    met(&report.stats);
}

#[test]
fn all_nodes_lose_power_at_once_under_load_every_acknowledged_claim_is_there_with_the_same_owner() {
    for seed in 0..12 {
        let outages = [3, 7, 11, 15].into_iter().flat_map(|second| {
            let at = Time(second * SECOND + seed * 13 * MS);
            ALL.into_iter().flat_map(move |node| [(at, Fault::Crash(node)), (at.plus(200 * MS), Fault::Start(node))])
        });
        let mut script: Vec<_> = outages.collect();
        script.sort_by_key(|(at, _)| *at);
        must_be_well(storm(seed, script), |stats| {
            assert_eq!(stats.crashes, 12);
            assert!(stats.done > 100, "{stats}");
        });
    }
}

#[test]
fn tails_torn_by_power_failures_are_cut_and_nothing_acknowledged_is_lost() {
    let mut torn = 0;
    for seed in 0..12 {
        let mut script = Vec::new();
        for nth in 0..30 {
            let (at, node) = (Time(SECOND + nth * 600 * MS), ALL[usize::try_from((nth + seed) % 3).unwrap()]);
            script.extend([(at, Fault::Crash(node)), (at.plus(80 * MS), Fault::Start(node))]);
        }
        let mut plan = storm(seed, script);
        plan.act_every = 50 * MS;
        plan.disks.iter_mut().for_each(|disk| disk.sync = 15_000);
        must_be_well(plan, |stats| torn += stats.half_torn);
    }
    assert!(torn >= 5, "only {torn} tails were torn in the middle: this shows nothing");
}

#[test]
fn power_failures_around_checkpoints_and_log_trimming_lose_nothing() {
    let (mut from_checkpoint, mut trimmed, mut loads) = (0, 0, 0);
    for seed in 0..12 {
        let mut script = Vec::new();
        for nth in 0..25 {
            let (at, node) = (Time(SECOND + nth * 700 * MS + seed * 7 * MS), ALL[usize::try_from(nth % 3).unwrap()]);
            script.extend([(at, Fault::Crash(node)), (at.plus(60 * MS), Fault::Start(node))]);
        }
        let plan = Plan { checkpoint_bytes: 400, ..storm(seed, script) };
        must_be_well(plan, |stats| {
            from_checkpoint += stats.from_checkpoint;
            trimmed += stats.releases;
            loads += stats.chunk_loads;
        });
    }
    assert!(from_checkpoint > 100 && trimmed > 100 && loads > 100, "{from_checkpoint} {trimmed} {loads}");
}

#[test]
fn a_node_whose_checkpoint_is_durable_dies_before_its_log_is_trimmed_and_comes_back_whole() {
    // Between what the disk has done and what follows from it there is time to die.
    let mut cluster =
        cluster_of(Plan { players: 3, checkpoint_bytes: 200, turn_delay: 5 * MS, ..Plan::quiet(5, 3, 3, 1) });
    let (before, released) = (cluster.stats.checkpoints, cluster.stats.releases);
    let mut nth = 0;
    loop {
        let field = field(&cluster, nth);
        let op = claim(&mut cluster, 0, field);
        let durable = |cluster: &Cluster| cluster.stats.checkpoints > before;
        cluster.run_until(SECOND, |cluster| durable(cluster) || cluster.result(0, op).is_some());
        if durable(&cluster) {
            break;
        }
        nth += 1;
        assert!(nth < 50, "no checkpoint after {nth} claims");
    }
    assert_eq!(cluster.stats.releases, released, "no log has been trimmed yet");
    for node in ALL {
        cluster.crash(node);
    }
    for node in ALL {
        cluster.start(node);
    }
    let whose = name(&cluster, 0);
    for claimed in 0..nth {
        let field = field(&cluster, claimed);
        let op = read(&mut cluster, 1, field, wire::Level::Strong, None);
        assert_eq!(owner(result(&mut cluster, 1, op, 10)), Some(whose));
    }
    calm_and_check(&mut cluster);
}

#[test]
fn a_leader_whose_disk_stalls_gives_nobody_an_answer_that_power_can_take_back() {
    let mut cluster = cluster(3);
    cluster.stall(N1, 3 * SECOND);
    // Its own vote is stuck on the disk; the others' are enough.
    let claimed = field(&cluster, 0);
    must_claim(&mut cluster, 0, claimed);
    cluster.crash(N1);
    let whose = name(&cluster, 0);
    let op = read(&mut cluster, 1, claimed, wire::Level::Strong, None);
    assert_eq!(owner(result(&mut cluster, 1, op, 10)), Some(whose));
    calm_and_check(&mut cluster);
}

#[test]
fn a_claim_that_reached_no_quorum_before_the_leader_died_alone_is_decided_one_way_for_all() {
    for seed in 0..10 {
        let mut cluster = cluster_of(Plan { players: 3, ..Plan::quiet(seed, 3, 3, 1) });
        cluster.network.cut(&Cut::Sides(vec![N1]));
        let lonely = field(&cluster, 0);
        let op = claim(&mut cluster, 0, lonely);
        cluster.run_for(200 * MS);
        assert_eq!(cluster.result(0, op), None, "n1 alone cannot decide");
        cluster.crash(N1);
        cluster.network.heal();
        let other = claim(&mut cluster, 1, lonely);
        // The first client asks again as soon as it reaches anybody: either may win, but not both, and not neither.
        let won = [(0, op), (1, other)].map(|(player, op)| is_claimed(&result(&mut cluster, player, op, 10)));
        assert_ne!(won[0], won[1]);
        calm_and_check(&mut cluster);
    }
}
