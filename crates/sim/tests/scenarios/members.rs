//! Members that change while players claim.

use crate::support::*;
use bytes::Bytes;
use paxos::{Message, NodeId, Value};
use sim::clock::{MS, SECOND, Time};
use sim::cluster::Cluster;
use sim::fault::Fault;
use sim::meddle::Fate;
use sim::plan::Plan;
use sim::run::run;
use std::sync::{Arc, Mutex};
use wire::Change;
use wire::peer::PeerMessage;

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
fn five_nodes_no_change_leaves_the_shard_to_voters_of_whom_too_few_are_heard() {
    let mut cluster = cluster_of(Plan { players: 5, ..Plan::quiet(7, 5, 3, 1) });
    cluster.ask_for(N1, SHARD, Change::Add(N4));
    cluster.run_for(2 * SECOND);
    let before = cluster.judge.configuration(SHARD).expect("it has one");
    assert!(before.standbys.contains(&N4), "{before:?}");
    cluster.crash(N3);
    cluster.crash(N4);
    cluster.run_for(2 * SECOND);
    let refused = cluster.stats.cannot_change;
    // n4 has everything, but nobody has it; and without n2 only n1 would be there.
    for change in [Change::Promote(N4), Change::Replace { old: N3, new: N4 }, Change::Remove(N2)] {
        cluster.ask_for(N1, SHARD, change);
        cluster.run_for(SECOND);
    }
    assert_eq!(cluster.stats.cannot_change, refused + 3);
    assert_eq!(cluster.judge.configuration(SHARD), Some(before));
    // The dead one may go.
    cluster.ask_for(N1, SHARD, Change::Remove(N3));
    cluster.run_for(SECOND);
    assert!(!cluster.judge.configuration(SHARD).expect("it has one").contains(N3));
    calm_and_check(&mut cluster);
}

/// So many parts of a checkpoint have been read for n4, which the shard's log does not suffice for; the last is on its way.
fn a_snapshot_under_way(parts: u64) -> Cluster {
    let plan = Plan { players: 5, checkpoint_bytes: 200, pressed: true, ..Plan::quiet(7, 5, 3, 1) };
    let mut cluster = cluster_of(plan);
    for nth in 0..60 {
        let field = field(&cluster, nth);
        must_claim(&mut cluster, 0, field);
    }
    cluster.run_for(SECOND);
    // Parts come slowly to n4, so that something can happen between two of them.
    cluster.meddler.frames(|_, to, frame| {
        let is_part = frame.messages.iter().any(|message| matches!(message, PeerMessage::Part(_)));
        if to == N4 && is_part { Fate::Late(100 * MS) } else { Fate::Pass }
    });
    cluster.ask_for(N1, SHARD, Change::Add(N4));
    let before = cluster.stats.parts;
    assert!(cluster.run_until(10 * SECOND, |cluster| cluster.stats.parts >= before + parts), "it comes in parts");
    cluster
}

#[test]
fn five_nodes_a_snapshot_that_power_interrupts_goes_on_where_it_was() {
    let mut cluster = a_snapshot_under_way(2);
    cluster.crash(N4);
    let (installed, part_way) = (cluster.stats.installed, cluster.stats.from_staged);
    cluster.start(N4);
    assert_eq!(cluster.stats.from_staged, part_way + 1, "what had come is still there");
    cluster.meddler.stop();
    assert!(cluster.run_until(20 * SECOND, |cluster| cluster.stats.installed > installed));
    calm_and_check(&mut cluster);
}

#[test]
fn five_nodes_a_snapshot_whose_giver_is_out_of_reach_for_long_goes_on_where_it_was() {
    let mut cluster = a_snapshot_under_way(1);
    cluster.run_for(50 * MS);
    cluster.meddler.frames(|from, to, _| if from == N4 || to == N4 { Fate::Lose } else { Fate::Pass });
    // Long enough for n4 to give up, and not for the giver.
    cluster.run_for(20 * SECOND);
    let asked: Arc<Mutex<Vec<Option<Bytes>>>> = Arc::default();
    let seen = Arc::clone(&asked);
    cluster.meddler.frames(move |_, _, frame| {
        let after = |message: &PeerMessage| match message {
            PeerMessage::Pull { after, .. } => Some(after.clone()),
            _ => None,
        };
        seen.lock().expect("sound").extend(frame.messages.iter().filter_map(after));
        Fate::Pass
    });
    let installed = cluster.stats.installed;
    assert!(cluster.run_until(20 * SECOND, |cluster| cluster.stats.installed > installed));
    let asked = asked.lock().expect("sound").clone();
    assert!(!asked.is_empty() && asked.iter().all(Option::is_some), "{asked:?}");
    calm_and_check(&mut cluster);
}

/// (Seed 21,119,293: the giver's disk was replaced, so that it knew nothing of the shard.)
#[test]
fn five_nodes_a_snapshot_whose_giver_has_left_the_shard_comes_from_another_soon() {
    let mut cluster = a_snapshot_under_way(1);
    cluster.run_for(50 * MS);
    // n1 gives, and is heard, and nothing more of the checkpoint passes between the two until it has left.
    cluster.meddler.frames(|from, to, frame| {
        let is_of_it = |message: &PeerMessage| matches!(message, PeerMessage::Pull { .. } | PeerMessage::Part(_));
        let lost = [from, to] == [N1, N4] || [from, to] == [N4, N1];
        if lost && frame.messages.iter().any(is_of_it) { Fate::Lose } else { Fate::Pass }
    });
    cluster.ask_for(N1, SHARD, Change::Lead(N2));
    assert!(cluster.run_until(SECOND, |cluster| leader(cluster) == Some(N2)));
    cluster.ask_for(N2, SHARD, Change::Remove(N1));
    assert!(cluster.run_until(5 * SECOND, |cluster| cluster.paxos(N1, SHARD).is_none()), "n1 leaves");
    let installed = cluster.stats.installed;
    cluster.meddler.stop();
    // It is asked once more at the most, and says that it has nothing.
    assert!(cluster.run_until(4 * SECOND, |cluster| cluster.stats.installed > installed), "n4 waits for n1");
    calm_and_check(&mut cluster);
}

#[test]
fn five_nodes_a_checkpoint_that_was_given_is_let_go_after_a_while() {
    let mut cluster = a_snapshot_under_way(1);
    cluster.meddler.stop();
    let installed = cluster.stats.installed;
    assert!(cluster.run_until(20 * SECOND, |cluster| cluster.stats.installed > installed));
    let let_go = cluster.stats.let_go;
    cluster.run_for(55 * SECOND);
    assert_eq!(cluster.stats.let_go, let_go, "whoever took it may ask for what follows");
    assert!(cluster.run_until(10 * SECOND, |cluster| cluster.stats.let_go > let_go));
    calm_and_check(&mut cluster);
}

#[test]
fn five_nodes_a_snapshot_comes_no_faster_than_it_may() {
    let time = |snapshot_rate| {
        let plan = Plan { players: 5, checkpoint_bytes: 200, pressed: true, snapshot_rate, ..Plan::quiet(7, 5, 3, 1) };
        let mut cluster = cluster_of(plan);
        for nth in 0..60 {
            let field = field(&cluster, nth);
            must_claim(&mut cluster, 0, field);
        }
        cluster.run_for(SECOND);
        let bytes: Arc<Mutex<usize>> = Arc::default();
        let seen = Arc::clone(&bytes);
        cluster.meddler.frames(move |_, _, frame| {
            for message in &frame.messages {
                if let PeerMessage::Part(part) = message {
                    let size: usize = part.pages.iter().map(|(key, page)| key.len() + page.len()).sum();
                    *seen.lock().expect("sound") += if part.last { 0 } else { size };
                }
            }
            Fate::Pass
        });
        let (installed, begin) = (cluster.stats.installed, cluster.now);
        cluster.ask_for(N1, SHARD, Change::Add(N4));
        assert!(cluster.run_until(60 * SECOND, |cluster| cluster.stats.installed > installed));
        let micros = cluster.now.0 - begin.0;
        calm_and_check(&mut cluster);
        let bytes = *bytes.lock().expect("sound");
        (bytes as u64, micros)
    };
    let (bytes, slowly) = time(200);
    assert!(bytes > 400, "{bytes} bytes before the last part");
    assert!(slowly >= bytes * 5_000, "{bytes} bytes in {slowly} us");
    let (_, fast) = time(1 << 20);
    assert!(fast < slowly / 4, "{fast} us, and {slowly} us when it must be slow");
}

#[test]
fn five_nodes_what_is_so_already_is_not_changed_again() {
    let mut cluster = cluster_of(Plan { players: 5, ..Plan::quiet(7, 5, 3, 1) });
    let number = |cluster: &Cluster| cluster.judge.configuration(SHARD).map_or(0, |configuration| configuration.number);
    cluster.ask_for(N1, SHARD, Change::Add(N4));
    assert!(cluster.run_until(5 * SECOND, |cluster| number(cluster) == 1), "it is added");
    cluster.run_for(2 * SECOND);
    let before = (ballot(&cluster, N1), cluster.stats.stops);
    let so_already = [
        Change::Lead(N1),
        Change::Add(N2),
        Change::Add(N4),
        Change::Promote(N2),
        Change::Remove(NodeId(5)),
        Change::Replace { old: NodeId(5), new: N2 },
    ];
    for change in so_already {
        cluster.ask_for(N1, SHARD, change);
        cluster.run_for(SECOND);
        assert_eq!(
            (ballot(&cluster, N1), cluster.stats.stops, number(&cluster)),
            (before.0, before.1, 1),
            "{change:?}"
        );
    }
    // And what cannot be is not made: only voters are replaced, and lead.
    for change in [Change::Replace { old: N4, new: NodeId(5) }, Change::Lead(N4)] {
        cluster.ask_for(N1, SHARD, change);
        cluster.run_for(SECOND);
        assert_eq!((leader(&cluster), number(&cluster)), (Some(N1), 1), "{change:?}");
    }
    cluster.ask_for(N1, SHARD, Change::Lead(N2));
    assert!(cluster.run_until(SECOND, |cluster| leader(cluster) == Some(N2)), "n2 leads when it is asked to");
    // The new leader has to hear first how far n4 is.
    let field = field(&cluster, 0);
    must_claim(&mut cluster, 0, field);
    cluster.run_for(SECOND);
    cluster.ask_for(N2, SHARD, Change::Replace { old: N1, new: N4 });
    assert!(cluster.run_until(5 * SECOND, |cluster| number(cluster) == 2), "n4 votes in the place of n1");
    let configuration = cluster.judge.configuration(SHARD).expect("it has one").clone();
    assert_eq!(configuration.quorum.voters(), [N2, N3, N4]);
    assert!(configuration.standbys.is_empty() && !configuration.incarnations.contains_key(&N1), "{configuration:?}");
    calm_and_check(&mut cluster);
}
