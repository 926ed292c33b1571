//! Leaders that answer alone, and moments at which they must not.

use crate::support::*;
use client_proto::Failure;
use sim::clock::{MS, SECOND, Time};
use sim::fault::Fault;
use sim::network::{Cut, index};
use sim::plan::Plan;
use sim::run::run;
use wire::Level;

#[test]
fn three_nodes_strong_reads_go_on_while_the_leader_hands_over_again_and_again_and_none_is_stale() {
    let (mut transfers, mut reads) = (0, 0);
    for seed in 0..10 {
        let mut plan = Plan { players: 6, hot_fields: 1, act_every: 20 * MS, ..Plan::quiet(seed, 3, 3, 1) };
        let end = Time(15 * SECOND);
        for nth in 0..40 {
            let to = [N1, N2, N3][usize::try_from((nth + seed) % 3).expect("small")];
            plan.script.push((Time(SECOND + nth * 311 * MS), Fault::Transfer(0, to)));
        }
        plan.script.push((end, Fault::Calm));
        let report = run(Plan { act_until: end, ..plan }, false);
        assert_eq!(report.failure, None, "seed {seed}");
        transfers += report.stats.transfers;
        reads += report.stats.reads;
    }
    assert!(transfers > 100 && reads > 2_000, "{transfers} transfers, {reads} reads: this shows nothing");
}

#[test]
fn three_nodes_in_a_chain_the_middle_restarts_with_its_clock_set_back_and_honours_the_support_it_forgot() {
    for seed in 0..20 {
        let mut cluster = cluster_of(Plan { players: 3, ..Plan::quiet(seed, 3, 3, 1) });
        let contested = field(&cluster, 0);
        // n1 leads by the support of n2 alone; n3 hears n2, would like to lead, and is bound by nothing.
        cluster.network.cut(&Cut::Chain(vec![N1, N2, N3]));
        cluster.run_for(3 * SECOND);
        cluster.crash(N2);
        cluster.machines[index(N2)].clock.wall_ahead_ms = -3_600_000;
        cluster.start(N2);
        for _ in 0..20 {
            // What n1 answers alone, and what n3 might have decided meanwhile, are held against each other.
            let _ = read(&mut cluster, 0, contested, Level::Strong, Some(N1));
            let _ = claim(&mut cluster, 2, contested);
            cluster.run_for(75 * MS);
            sound(&mut cluster);
        }
        calm_and_check(&mut cluster);
    }
}

#[test]
fn three_nodes_one_apart_refuses_a_bounded_read_and_the_bound_of_what_it_shows_grows() {
    let mut cluster = cluster(3);
    let old = field(&cluster, 0);
    must_claim(&mut cluster, 0, old);
    cluster.run_for(SECOND);
    cluster.network.cut(&Cut::Sides(vec![N3]));
    cluster.run_for(2 * SECOND);
    let bounded = read(&mut cluster, 2, old, Level::Bounded(500), Some(N3));
    let refused = result(&mut cluster, 2, bounded, 20);
    assert!(matches!(refused, Err(Failure::Unavailable { .. })), "{refused:?}");
    let mut bound = || {
        let op = read(&mut cluster, 2, old, Level::Eventual, Some(N3));
        match result(&mut cluster, 2, op, 5) {
            Ok(client_proto::Success::Field { receipt, .. }) => receipt.bound_ms.expect("it had a proof once"),
            other => panic!("no answer: {other:?}"),
        }
    };
    let (first, second) = (bound(), bound());
    assert!(first >= 2_000 && second >= first, "{first} {second}");
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_a_leader_whose_disk_stalls_for_seconds_gives_way_and_claims_go_on() {
    let mut cluster = cluster(3);
    cluster.stall(N1, 6 * SECOND);
    let first = field(&cluster, 0);
    must_claim(&mut cluster, 0, first);
    let gave_way = cluster.run_until(4 * SECOND, |cluster| matches!(leader(cluster), Some(N2 | N3)));
    assert!(gave_way, "it still leads");
    let second = field(&cluster, 1);
    must_claim(&mut cluster, 1, second);
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_a_follower_whose_disk_stalls_for_seconds_keeps_nobody_waiting() {
    let mut cluster = cluster(3);
    cluster.stall(N3, 6 * SECOND);
    let before = ballot(&cluster, N1);
    for nth in 0..20 {
        let field = field(&cluster, nth);
        let op = claim(&mut cluster, 0, field);
        assert!(cluster.run_until(50 * MS, |cluster| cluster.result(0, op).is_some()), "claim {nth} waits");
    }
    assert_eq!((leader(&cluster), ballot(&cluster, N1)), (Some(N1), before));
    calm_and_check(&mut cluster);
}
