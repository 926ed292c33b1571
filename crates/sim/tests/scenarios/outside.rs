//! What a node shows of itself, and what its driver asks of it beside turns.

use crate::support::*;
use host::Now;
use shard::ConnId;
use sim::clock::{MS, SECOND};
use sim::cluster::Cluster;
use sim::network::{Cut, index};
use sim::plan::Plan;
use wire::{AnswerBody, Level, Query, Refusal, Request, RequestBody};

fn now(cluster: &Cluster, node: paxos::NodeId) -> Now {
    cluster.machines[index(node)].now(cluster.now)
}

fn survey(cluster: &Cluster, node: paxos::NodeId) -> host::Survey {
    let host = cluster.machines[index(node)].host.as_ref().expect("it runs");
    host.survey(now(cluster, node))
}

/// What `node` answers to a question at the moment at which it came, if the answer leaves so much later.
fn answer_after(cluster: &mut Cluster, node: paxos::NodeId, level: Level, micros: u64) -> AnswerBody {
    let (field, now) = (field(cluster, 0), now(cluster, node));
    let host = cluster.machines[index(node)].host.as_mut().expect("it runs");
    let query = Query::Field(field);
    let body = RequestBody::Read { shard: SHARD, query, level, after: paxos::Slot::ZERO };
    host.handle_request(now, ConnId(77), Request { id: 5, body });
    host.finish_turn(now);
    let answers = host.take_answers(now.mono.plus(micros));
    let (_, answers) = answers.into_iter().find(|(conn, _)| *conn == ConnId(77)).expect("it is answered");
    assert_eq!(answers.len(), 1);
    answers.into_iter().next().expect("one").body
}

#[test]
fn three_nodes_an_answer_that_leaves_when_it_may_be_true_no_more_is_a_refusal() {
    let mut cluster = cluster(3);
    let read = |answer: &AnswerBody| matches!(answer, AnswerBody::Read { .. });
    assert!(read(&answer_after(&mut cluster, N1, Level::Strong, 100 * MS)), "the lease still holds");
    let late = answer_after(&mut cluster, N1, Level::Strong, 2 * SECOND);
    assert_eq!(late, AnswerBody::Refused(Refusal::NotLeader { leader: None }));
    let late = answer_after(&mut cluster, N1, Level::Bounded(500), 2 * SECOND);
    assert_eq!(late, AnswerBody::Refused(Refusal::TooStale { bound_ms: None }));
    assert!(read(&answer_after(&mut cluster, N2, Level::Bounded(500), 100 * MS)));
    let late = answer_after(&mut cluster, N2, Level::Bounded(500), 600 * MS);
    assert_eq!(late, AnswerBody::Refused(Refusal::TooStale { bound_ms: None }));
    assert!(read(&answer_after(&mut cluster, N2, Level::Eventual, 600 * MS)), "it promised nothing");
}

#[test]
fn three_nodes_a_survey_shows_who_leads_who_is_heard_and_who_lags() {
    let mut cluster = cluster_of(Plan { players: 3, checkpoint_bytes: 100, ..Plan::quiet(7, 3, 3, 1) });
    for nth in 0..6 {
        let field = field(&cluster, nth);
        must_claim(&mut cluster, 0, field);
        cluster.run_for(SECOND);
    }
    let (leader, follower) = (survey(&cluster, N1), survey(&cluster, N2));
    assert_eq!((leader.replicas, leader.leads, leader.leaderless, leader.leases, leader.standbys), (1, 1, 0, 1, 0));
    assert_eq!((follower.replicas, follower.leads, follower.leaderless, follower.leases), (1, 0, 0, 0));
    assert_eq!((leader.writes, leader.cuts, leader.disk_full), (0, 0, false));
    assert!(leader.clock_lead_ms.abs() <= 2, "{leader:?}");
    assert!(leader.chunk_bytes > 0 && leader.evicted == 0, "{leader:?}");
    let nodes: Vec<_> = leader.peers.iter().map(|peer| peer.node).collect();
    assert_eq!(nodes, [N2, N3]);
    for peer in &leader.peers {
        assert!(peer.heard && peer.lag == 0, "{peer:?}");
        assert!(peer.round_trip.is_some_and(|micros| (100..50_000).contains(&micros)), "{peer:?}");
        assert!((500 * MS..SECOND).contains(&peer.support), "{peer:?}");
    }
    let [shard] = leader.shards[..] else { panic!("{:?}", leader.shards) };
    assert_eq!(
        (shard.shard, shard.leader, shard.chosen, shard.applied),
        (SHARD, Some(N1), applied(&cluster, N1), shard.chosen)
    );
    assert_eq!((shard.in_flight, shard.queued, shard.waiting_reads, shard.watchers, shard.lag), (0, 0, 0, 0, 0));
    assert!(shard.batches > 0 && shard.batched >= shard.batches);
    assert!((500 * MS..SECOND).contains(&shard.lease), "{shard:?}");
    let [shard] = follower.shards[..] else { panic!("{:?}", follower.shards) };
    assert_eq!((shard.leader, shard.lease, shard.lag, shard.batches), (Some(N1), 0, 0, 0));

    cluster.crash(N3);
    cluster.network.cut(&Cut::Sides(vec![N3]));
    let second = field(&cluster, 7);
    must_claim(&mut cluster, 0, second);
    cluster.run_for(3 * SECOND);
    let leader = survey(&cluster, N1);
    let [heard, silent] = leader.peers[..] else { panic!("{:?}", leader.peers) };
    assert!(heard.heard && !silent.heard && silent.support == 0 && silent.lag > 0 && heard.lag == 0, "{leader:?}");
    assert_eq!(leader.shards[0].lag, silent.lag);
    cluster.start(N3);
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_a_survey_shows_a_stalled_disk_a_full_one_and_a_clock_that_is_off() {
    let mut cluster = cluster(3);
    cluster.machines[index(N2)].clock.wall_ahead_ms = 60_000;
    cluster.run_for(SECOND);
    assert!((59_900..60_100).contains(&survey(&cluster, N2).clock_lead_ms), "{:?}", survey(&cluster, N2));
    assert!(survey(&cluster, N1).clock_lead_ms.abs() <= 2);
    cluster.stall(N1, 700 * MS);
    let contested = field(&cluster, 0);
    let op = claim(&mut cluster, 0, contested);
    cluster.run_for(100 * MS);
    let stalled = survey(&cluster, N1);
    assert!(stalled.writes > 0, "{stalled:?}");
    assert!(is_claimed(&result(&mut cluster, 0, op, 5)));
    cluster.fill(N3);
    let more = field(&cluster, 1);
    must_claim(&mut cluster, 0, more);
    cluster.run_for(SECOND);
    assert!(survey(&cluster, N3).disk_full && !survey(&cluster, N1).disk_full);
    calm_and_check(&mut cluster);
}

#[test]
fn three_nodes_a_clean_stop_checkpoints_everything_and_then_says_so() {
    let mut cluster = cluster_of(Plan { players: 3, ..Plan::quiet(7, 3, 3, 4) });
    let claimed = field(&cluster, 0);
    must_claim(&mut cluster, 0, claimed);
    cluster.run_for(SECOND);
    let is_checkpointing =
        |cluster: &Cluster| cluster.machines[index(N1)].host.as_ref().expect("it runs").is_checkpointing();
    let applied: Vec<_> = survey(&cluster, N1).shards.iter().map(|shard| shard.applied).collect();
    let whole = |cluster: &Cluster| {
        survey(cluster, N1).shards.iter().zip(&applied).all(|(shard, applied)| shard.checkpointed >= *applied)
    };
    assert!(!whole(&cluster) && !is_checkpointing(&cluster), "nobody has asked for it");
    let at = now(&cluster, N1);
    let host = cluster.machines[index(N1)].host.as_mut().expect("it runs");
    host.step_down(at);
    host.checkpoint_all();
    assert!(host.is_checkpointing());
    // Stepping down it asks its peers, so a turn comes by itself.
    assert!(cluster.run_until(5 * SECOND, |cluster| !is_checkpointing(cluster)));
    assert!(whole(&cluster));
    calm_and_check(&mut cluster);
}
