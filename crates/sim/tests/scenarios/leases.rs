//! Leaders that answer alone, and moments at which they must not.

use crate::support::*;
use client_proto::Failure;
use paxos::{Ballot, Message, NodeId};
use sim::clock::{MS, SECOND, Time};
use sim::cluster::Cluster;
use sim::fault::Fault;
use sim::meddle::Fate;
use sim::network::{Cut, index};
use sim::plan::{Plan, Tuning};
use sim::run::run;
use std::cell::Cell;
use std::rc::Rc;
use wire::Level;
use wire::peer::{Frame, PeerMessage};
use world::FieldId;

/// What n1 answers alone, and what n3 might have decided meanwhile, are held against each other.
fn n1_reads_while_n3_claims(cluster: &mut Cluster, contested: FieldId) {
    let _ = read(cluster, 0, contested, Level::Strong, Some(N1));
    let _ = claim(cluster, 2, contested);
    cluster.run_for(75 * MS);
    sound(cluster);
}

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
fn three_nodes_a_hand_over_is_given_up_half_way_and_its_late_prepare_breaks_no_lease() {
    const LATE: u64 = 8 * SECOND;
    for reaches_leader in [false, true] {
        let mut cluster = cluster(3);
        let (old, contested) = (ballot(&cluster, N1), field(&cluster, 0));
        // n3 takes over, with the right to take everybody away from n1's first ballot; but its Prepare takes eight seconds, and
        // whatever else it says of the shard is lost until then.
        let sent = Rc::new(Cell::new(Ballot::ZERO));
        let seen = Rc::clone(&sent);
        cluster.meddler.frames(move |from, to, frame| {
            let prepare = paxos_of(frame).find_map(|message| match message {
                Message::Prepare { ballot, released: Some(released), .. } if *released == old => Some(*ballot),
                _ => None,
            });
            match prepare.filter(|_| from == N3 && (to == N2 || reaches_leader)) {
                Some(ballot) if seen.get() == Ballot::ZERO || seen.get() == ballot => {
                    seen.set(ballot);
                    Fate::Late(LATE)
                }
                _ if from == N3 && paxos_of(frame).next().is_some() => Fate::Lose,
                _ => Fate::Pass,
            }
        });
        let begin = cluster.now;
        assert!(cluster.transfer(SHARD, N3));
        // Nobody hears of a successor, so n1 is elected again, by n2, which supports it from now on.
        assert!(cluster.run_until(6 * SECOND, |cluster| leader(cluster) == Some(N1) && ballot(cluster, N1) > old));
        must_claim(&mut cluster, 0, contested);
        let (anew, late) = (ballot(&cluster, N1), sent.get());
        assert!(late > anew, "{late} would not be heard at all beside {anew}");
        assert!(cluster.now.since(begin) < LATE, "it may have come already");
        // While the Prepare comes, and n3 fights for the field, n1 answers alone.
        while cluster.now.since(begin) < LATE + SECOND {
            n1_reads_while_n3_claims(&mut cluster, contested);
        }
        if !reaches_leader {
            assert_eq!((leader(&cluster), ballot(&cluster, N1), ballot(&cluster, N2)), (Some(N1), anew, anew));
        }
        calm_and_check(&mut cluster);
    }
}

/// (Seed 21,213,469.) A voter that is told of a restart only after it has followed who restarted must not forget that it does.
#[test]
fn three_nodes_a_leader_that_restarts_is_elected_before_a_voter_hears_of_its_restart_and_its_lease_is_its_own() {
    let mut cluster = cluster(3);
    let (old, contested) = (ballot(&cluster, N1), field(&cluster, 0));
    let probes =
        |frame: &Frame| frame.messages.iter().any(|m| matches!(m, PeerMessage::Probe(_) | PeerMessage::Heard(_)));
    // n1 hears n3, which does not vote, and n2 votes, which does not hear of n1.
    let between = |a: NodeId, b: NodeId, (from, to)| (from, to) == (a, b) || (from, to) == (b, a);
    cluster.meddler.frames(move |from, to, frame| {
        let lost = between(N1, N2, (from, to)) && probes(frame);
        let lost = lost || between(N1, N3, (from, to)) && paxos_of(frame).next().is_some();
        if lost { Fate::Lose } else { Fate::Pass }
    });
    cluster.crash(N1);
    cluster.start(N1);
    assert!(cluster.run_until(5 * SECOND, |cluster| leader(cluster) == Some(N1) && ballot(cluster, N1) > old));
    must_claim(&mut cluster, 0, contested);
    let anew = ballot(&cluster, N1);
    assert_eq!(ballot(&cluster, N2), anew);
    // n2 hears of the restart, n1 not of n2; what n1 says of the shard reaches nobody any more. They elect another
    // leader.
    cluster.meddler.frames(move |from, to, frame| {
        let paxos = (from == N1 || to == N1) && paxos_of(frame).next().is_some();
        let heard = frame.messages.iter().any(|message| matches!(message, PeerMessage::Heard(_)));
        if paxos || to == N1 && from == N2 && heard { Fate::Lose } else { Fate::Pass }
    });
    let another = |cluster: &Cluster| matches!(leader(cluster), Some(N2 | N3)) && ballot(cluster, N2) > anew;
    assert!(cluster.run_until(10 * SECOND, another), "n2 and n3 have a leader of their own");
    // Now n1 hears n2 again, which supports it; but not its ballot.
    cluster.meddler.frames(move |from, to, frame| {
        let paxos = (from == N1 || to == N1) && paxos_of(frame).next().is_some();
        if paxos { Fate::Lose } else { Fate::Pass }
    });
    for _ in 0..20 {
        n1_reads_while_n3_claims(&mut cluster, contested);
    }
    calm_and_check(&mut cluster);
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
            n1_reads_while_n3_claims(&mut cluster, contested);
        }
        calm_and_check(&mut cluster);
    }
}

#[test]
fn three_nodes_one_apart_refuses_a_bounded_read_and_the_bound_of_what_it_shows_grows() {
    // n1 led, and has never heard of anybody else who did.
    for (player, apart) in [(0, N1), (2, N3)] {
        let mut cluster = cluster(3);
        let old = field(&cluster, 0);
        must_claim(&mut cluster, 0, old);
        cluster.run_for(SECOND);
        cluster.network.cut(&Cut::Sides(vec![apart]));
        cluster.run_for(4 * SECOND);
        let bounded = read(&mut cluster, player, old, Level::Bounded(500), Some(apart));
        let refused = result(&mut cluster, player, bounded, 20);
        assert!(matches!(refused, Err(Failure::Unavailable { .. })), "{refused:?}");
        let bound = |cluster: &mut Cluster| {
            let op = read(cluster, player, old, Level::Eventual, Some(apart));
            match result(cluster, player, op, 5) {
                Ok(client_proto::Success::Field { receipt, .. }) => receipt.bound_ms.expect("it had a proof once"),
                other => panic!("no answer: {other:?}"),
            }
        };
        let first = bound(&mut cluster);
        cluster.run_for(SECOND);
        let second = bound(&mut cluster);
        assert!((2_000..30_000).contains(&first) && second >= first + 1_000, "{apart}: {first} {second}");
        calm_and_check(&mut cluster);
    }
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

#[test]
fn three_nodes_a_leader_that_supports_for_longer_than_the_others_relies_on_no_more_than_they_promise() {
    let mut cluster = cluster(3);
    let contested = field(&cluster, 0);
    // An operator shortens the times of one node after the other, and has not come to n1 yet.
    for (node, time) in [(N1, 3 * SECOND), (N2, SECOND / 2), (N3, SECOND / 2)] {
        cluster.machines[index(node)].tuning = Tuning { election_timeout: time, support: time, leases: true };
        cluster.crash(node);
        cluster.start(node);
        cluster.run_for(5 * SECOND);
    }
    assert!(cluster.transfer(SHARD, N1) || leader(&cluster) == Some(N1));
    cluster.run_for(SECOND);
    assert_eq!(leader(&cluster), Some(N1));
    cluster.network.cut(&Cut::Sides(vec![N1]));
    for _ in 0..40 {
        n1_reads_while_n3_claims(&mut cluster, contested);
    }
    assert!(leader(&cluster).is_some_and(|leader| leader != N1), "n2 and n3 have gone on");
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_without_leases_a_bounded_read_is_proven_by_a_quorum() {
    let mut cluster = cluster(3);
    let claimed = field(&cluster, 0);
    for node in [N1, N2, N3] {
        cluster.machines[index(node)].tuning.leases = false;
        cluster.crash(node);
        cluster.start(node);
        cluster.run_for(3 * SECOND);
    }
    must_claim(&mut cluster, 0, claimed);
    for player in 0..3 {
        let op = read(&mut cluster, player, claimed, Level::Bounded(100), None);
        assert_eq!(owner(result(&mut cluster, player, op, 2)), Some(name(&cluster, 0)));
    }
    // Where no quorum can be asked, nothing is proven.
    let leader = leader(&cluster).expect("somebody leads");
    cluster.network.cut(&Cut::Sides(vec![leader]));
    let op = read(&mut cluster, index(leader), claimed, Level::Bounded(100), Some(leader));
    let Err(Failure::Unavailable { .. }) = result(&mut cluster, index(leader), op, 10) else {
        panic!("it was answered")
    };
    calm_and_check(&mut cluster);
}

#[test]
fn five_nodes_a_member_with_a_new_disk_counts_for_leases_again_and_then_nothing_is_repeated() {
    let mut cluster = cluster_of(Plan { players: 5, ..Plan::quiet(7, 5, 3, 1) });
    // Its old disk has seen more starts than the new one will.
    for _ in 0..3 {
        cluster.crash(N3);
        cluster.start(N3);
        cluster.run_for(2 * SECOND);
    }
    assert!(cluster.wipe(N3));
    cluster.run_for(SECOND);
    cluster.start(N3);
    let votes = |cluster: &Cluster| {
        let configuration = cluster.judge.configuration(SHARD).expect("it has one");
        configuration.quorum.voters().len() == 3
            && cluster.machines.iter().all(|machine| machine.is_genuine(&configuration))
    };
    assert!(cluster.run_until(20 * SECOND, votes), "{:?}", cluster.judge.configuration(SHARD));
    cluster.run_for(2 * SECOND);
    let restless = |cluster: &Cluster| {
        cluster.machines.iter().find_map(|machine| machine.host.as_ref().and_then(host::Host::restless))
    };
    assert_eq!(restless(&cluster), None, "everybody counts for everybody's leases");
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_a_leader_cut_off_takes_a_voters_new_disk_for_nobody_who_has_pledged_anything() {
    // n1 leads, and is slow to notice that it reaches nobody.
    let mut plan = Plan { players: 3, ..Plan::quiet(7, 3, 3, 1) };
    plan.tunings[index(N1)].election_timeout = 20 * SECOND;
    let mut cluster = cluster_of(plan);
    let contested = field(&cluster, 0);
    assert_eq!(leader(&cluster), Some(N1));
    cluster.network.cut(&Cut::Sides(vec![N1]));
    assert!(cluster.run_until(5 * SECOND, |cluster| leader(cluster) != Some(N1)), "n2 and n3 go on");
    must_claim(&mut cluster, 2, contested);
    // n2 is the same node to n1, in its first life, and counts its epochs as it did before.
    assert!(cluster.wipe(N2));
    cluster.start(N2);
    cluster.network.heal();
    cluster.network.cut(&Cut::Chain(vec![N1, N2, N3]));
    for _ in 0..20 {
        n1_reads_while_n3_claims(&mut cluster, contested);
    }
    calm_and_check(&mut cluster);
}
