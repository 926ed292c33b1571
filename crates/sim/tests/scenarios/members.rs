//! Members that change while players claim.

use crate::support::*;
use paxos::{Message, NodeId, Value};
use sim::clock::{MS, SECOND, Time};
use sim::fault::Fault;
use sim::meddle::Fate;
use sim::plan::Plan;
use sim::run::run;
use wire::Change;

const N4: NodeId = NodeId(4);

#[test]
fn five_nodes_members_change_in_a_claim_storm_while_one_after_the_other_loses_power_and_nothing_is_lost() {
    let (mut stops, mut joins) = (0, 0);
    for seed in 0..10 {
        let mut plan = Plan { players: 6, hot_fields: 3, act_every: 60 * MS, ..Plan::quiet(seed, 5, 3, 2) };
        let end = Time(20 * SECOND);
        for nth in 0..90_u64 {
            let at = Time(SECOND + nth * 200 * MS);
            plan.script.push((at, Fault::Change(u32::try_from(nth % 2).expect("small"), nth * 7_919 + seed * 104_729)));
        }
        for nth in 0..8 {
            let (at, node) = (Time(2 * SECOND + nth * 2_100 * MS), NodeId(u32::try_from(nth % 5).expect("small") + 1));
            plan.script.extend([(at, Fault::Crash(node)), (at.plus(700 * MS), Fault::Start(node))]);
        }
        plan.script.sort_by_key(|(at, _)| *at);
        plan.script.push((end, Fault::Calm));
        let report = run(Plan { act_until: end, min_commands: 500, ..plan }, false);
        assert_eq!(report.failure, None, "seed {seed}");
        stops += report.stats.stops;
        joins += report.stats.joins;
    }
    assert!(stops > 100 && joins > 20, "{stops} stops, {joins} joins: this shows nothing");
}

#[test]
fn five_nodes_a_change_whose_proposer_dies_half_way_is_made_or_not_and_the_next_one_is() {
    let mut made = 0;
    for after in 0..12 {
        let mut cluster = cluster_of(Plan { players: 5, ..Plan::quiet(after, 5, 3, 1) });
        // The stop reaches nobody, n2 alone, or everybody.
        cluster.meddler.frames(move |from, to, frame| {
            let stop = |message: &Message| matches!(message, Message::Accept { values, .. } if values.iter().any(|value| matches!(value, Value::Stop(_))));
            let lost = after % 3 == 0 || (after % 3 == 1 && to != N2);
            if from == N1 && lost && paxos_of(frame).any(stop) { Fate::Lose } else { Fate::Pass }
        });
        cluster.ask_for(N1, SHARD, Change::Add(N4));
        cluster.run_for(MS);
        cluster.crash(N1);
        cluster.meddler.stop();
        assert!(cluster.run_until(10 * SECOND, |cluster| matches!(leader(cluster), Some(N2 | N3))));
        cluster.run_for(SECOND);
        sound(&mut cluster);
        made += u64::from(cluster.judge.configuration(SHARD).is_some_and(|configuration| configuration.contains(N4)));
        let next = leader(&cluster).expect("somebody leads");
        cluster.ask_for(next, SHARD, Change::Add(NodeId(5)));
        let done = cluster.run_until(5 * SECOND, |cluster| {
            cluster.judge.configuration(SHARD).is_some_and(|configuration| configuration.contains(NodeId(5)))
        });
        assert!(done, "the next change is made");
        let field = field(&cluster, 0);
        must_claim(&mut cluster, 1, field);
        calm_and_check(&mut cluster);
    }
    assert!((4..=8).contains(&made), "{made} of 12: the stop went the same way every time");
}

#[test]
fn five_nodes_of_two_changes_at_once_one_is_made_and_the_other_refused() {
    let mut cluster = cluster_of(Plan { players: 5, ..Plan::quiet(7, 5, 3, 1) });
    let refused = cluster.stats.change_under_way;
    cluster.ask_for(N1, SHARD, Change::Add(N4));
    cluster.ask_for(N1, SHARD, Change::Add(NodeId(5)));
    cluster.run_for(SECOND);
    sound(&mut cluster);
    let configuration = cluster.judge.configuration(SHARD).expect("it has one");
    assert!(configuration.contains(N4) && !configuration.contains(NodeId(5)), "{configuration:?}");
    assert_eq!(cluster.stats.change_under_way, refused + 1);
    calm_and_check(&mut cluster);
}

#[test]
fn five_nodes_a_snapshot_that_power_interrupts_goes_on_where_it_was() {
    let plan = Plan { players: 5, checkpoint_bytes: 200, pressed: true, ..Plan::quiet(7, 5, 3, 1) };
    let mut cluster = cluster_of(plan);
    for nth in 0..60 {
        let field = field(&cluster, nth);
        must_claim(&mut cluster, 0, field);
    }
    cluster.run_for(SECOND);
    // Parts come slowly to n4, so that power can fail between two of them.
    cluster.meddler.frames(|_, to, frame| {
        let is_part = frame.messages.iter().any(|message| matches!(message, wire::peer::PeerMessage::Part(_)));
        if to == N4 && is_part { Fate::Late(100 * MS) } else { Fate::Pass }
    });
    cluster.ask_for(N1, SHARD, Change::Add(N4));
    let parts = |cluster: &sim::cluster::Cluster| cluster.stats.parts;
    let before = parts(&cluster);
    assert!(cluster.run_until(10 * SECOND, |cluster| parts(cluster) >= before + 2), "it comes in parts");
    cluster.crash(N4);
    let (installed, part_way) = (cluster.stats.installed, cluster.stats.from_staged);
    cluster.start(N4);
    assert_eq!(cluster.stats.from_staged, part_way + 1, "what had come is still there");
    cluster.meddler.stop();
    assert!(cluster.run_until(20 * SECOND, |cluster| cluster.stats.installed > installed));
    calm_and_check(&mut cluster);
}
