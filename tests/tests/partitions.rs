//! Real links cut, both ways and one way, under a storm of claims: whoever reaches a majority goes on, whoever does not says
//! so, and nobody who comes back disturbs those who were well.

use cluster_tests::storm::{Aftermath, Plan, Storm};
use cluster_tests::{Cluster, Network, Operator, Options, until};
use paxos::{Ballot, NodeId};
use placement::ShardId;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_mins(1);
/// Four election time-outs are 4 s; a machine that is busy with other things may take longer.
const RESUME: Duration = Duration::from_secs(15);
const PLAN: Plan = Plan { clients: 16, distinct: 2_000, contested: 200, patience: Duration::from_secs(50) };

/// A cluster on a network of its own. `None`: that is not permitted here.
fn start(name: &str, nodes: u32) -> Option<Cluster> {
    start_of(name, Options { nodes, shards: 8 })
}

fn start_of(name: &str, options: Options) -> Option<Cluster> {
    let nodes = options.nodes;
    let mut cluster = Cluster::prepare(name, options);
    cluster.found_on(Network::build(nodes)?);
    let all: Vec<NodeId> = cluster.nodes().collect();
    for node in &all {
        cluster.restart(*node);
    }
    cluster.wait_ready(&all, LONG);
    Some(cluster)
}

fn others(cluster: &Cluster, node: NodeId) -> Vec<NodeId> {
    cluster.nodes().filter(|other| *other != node).collect()
}

fn ballots(operator: &Operator) -> BTreeMap<ShardId, Ballot> {
    operator.shards().shards.into_iter().map(|shard| (shard.shard, shard.ballot)).collect()
}

fn led_by(operator: &Operator, node: NodeId) -> BTreeSet<ShardId> {
    let shards = operator.shards().shards.into_iter();
    shards.filter(|shard| shard.leader == Some(node)).map(|shard| shard.shard).collect()
}

/// Everything is well again, and every replica has what was acknowledged.
fn all_agree(cluster: &mut Cluster, after: &Aftermath) {
    let all: Vec<NodeId> = cluster.nodes().collect();
    cluster.wait_ready(&all, LONG);
    let operator = cluster.operator();
    operator.wait_caught_up(LONG);
    after.is_at(&operator, all.into_iter());
}

/// A field of a shard in `led`, as that one node has it; the level, and the exit status that it must have.
fn asked(
    cluster: &Cluster,
    after: &Aftermath,
    led: &BTreeSet<ShardId>,
    level: &str,
    node: NodeId,
    status: i32,
) -> Value {
    let claim = after.claims.iter().find(|claim| led.contains(&claim.receipt.shard)).expect("a claim in each shard");
    cluster.cli().json(&format!("field {} --read {level} --from {node} --timeout 3s", claim.field), status)
}

/// Cuts off the node that leads most, from the others and not from its clients; they go on in its shards. It says that it cannot
/// serve what needs the others, and how old the rest may be. Then all agree.
fn leader_is_cut_off(name: &str, cut: fn(&Network, NodeId, NodeId)) {
    let Some(mut cluster) = start(name, 3) else { return };
    let operator = cluster.operator();
    let (lonely, led) = operator.busiest();
    let storm = Storm::begin(cluster.profile(), PLAN);
    storm.wait_percent(20, LONG);
    for other in others(&cluster, lonely) {
        cut(cluster.network(), lonely, other);
    }
    let begin = Instant::now();
    let after = storm.end(PLAN);
    let (shard, pause) = after.longest_pause(begin, &led, |receipt| receipt.node != lonely);
    println!("what {lonely} led was served by others {pause:?} after it was cut off (shard {} was last)", shard.0);
    assert!(pause < RESUME, "the others took over only after {pause:?}");

    until("it knows that it leads nothing", LONG, || {
        let refused =
            cluster.cli().words(&format!("field {} --read strong --from {lonely} --timeout 3s", after.claims[0].field));
        if refused.status == Some(4) { Ok(()) } else { Err(format!("{refused:?}")) }
    });
    asked(&cluster, &after, &led, "strong", lonely, 4);
    asked(&cluster, &after, &led, "bounded:200", lonely, 4);
    let bound = || asked(&cluster, &after, &led, "eventual", lonely, 0)["receipt"]["bound_ms"].as_u64();
    // It led these shards, so what it last knew was complete then; it is getting older.
    let first = bound();
    until("the bound grows", LONG, || match (first, bound()) {
        (Some(first), Some(later)) if later > first => Ok(()),
        other => Err(format!("{other:?}")),
    });
    cluster.network().heal();
    all_agree(&mut cluster, &after);
}

#[test]
fn three_nodes_the_leader_cut_off_both_ways() {
    leader_is_cut_off("cut-both-ways", Network::cut);
}

#[test]
fn three_nodes_the_leader_hears_the_others_and_they_do_not_hear_it() {
    leader_is_cut_off("cut-one-way", Network::cut_one_way);
}

/// Of five nodes only n3 is in touch with the others; each of them reaches it alone.
#[test]
fn five_nodes_only_one_of_which_reaches_a_majority_leads_everything() {
    let Some(mut cluster) = start("cut-star", 5) else { return };
    let middle = NodeId(3);
    let storm = Storm::begin(cluster.profile(), PLAN);
    storm.wait_percent(20, LONG);
    let rim = others(&cluster, middle);
    for (nth, one) in rim.iter().enumerate() {
        for other in &rim[nth + 1..] {
            cluster.network().cut(*one, *other);
        }
    }
    let begin = Instant::now();
    let after = storm.end(PLAN);
    let operator = cluster.operator();
    let all: BTreeSet<ShardId> = operator.shards().shards.into_iter().map(|shard| shard.shard).collect();
    let (shard, pause) = after.longest_pause(begin, &all, |receipt| receipt.node == middle);
    println!("{middle} served every shard {pause:?} after the others had lost each other (shard {} was last)", shard.0);
    assert!(pause < RESUME, "only after {pause:?}");
    cluster.network().heal();
    all_agree(&mut cluster, &after);
}

/// The same with so many shards that each cannot have claims of its own: who leads them is asked.
#[test]
fn five_nodes_only_one_of_which_reaches_a_majority_leads_a_thousand_shards_soon() {
    let Some(cluster) = start_of("cut-wide-star", Options { nodes: 5, shards: 1_024 }) else { return };
    let (middle, operator) = (NodeId(3), cluster.operator());
    let rim = others(&cluster, middle);
    let begin = Instant::now();
    for (nth, one) in rim.iter().enumerate() {
        for other in &rim[nth + 1..] {
            cluster.network().cut(*one, *other);
        }
    }
    until("it leads everything", RESUME, || match led_by(&operator, middle).len() {
        1_024 => Ok(()),
        led => Err(format!("it leads {led}")),
    });
    println!("{middle} led 1,024 shards {:?} after the first link was cut", begin.elapsed());
}

/// n1 and n3 reach each other only through n2, as far as they reach each other at all. Some leader is found for every shard, and
/// stays.
#[test]
fn three_nodes_in_a_chain_go_on_and_no_leader_flaps() {
    let Some(mut cluster) = start("cut-chain", 3) else { return };
    let operator = cluster.operator();
    let storm = Storm::begin(cluster.profile(), PLAN);
    storm.wait_percent(20, LONG);
    cluster.network().cut(NodeId(1), NodeId(3));
    let after = storm.end(PLAN);
    // Whoever led through a node that it lost sight of has given way by now, or stays.
    until("every shard is led", LONG, || {
        let leaderless = operator.shards().shards.iter().filter(|shard| shard.leader.is_none()).count();
        if leaderless == 0 { Ok(()) } else { Err(format!("{leaderless} are not")) }
    });
    let before = ballots(&operator);
    let probes = rounds(&cluster, 12);
    assert_eq!(ballots(&operator), before, "leaders changed within {probes} rounds of probes");
    cluster.network().heal();
    all_agree(&mut cluster, &after);
}

/// A node whose link is unplugged for a while raised no ballot meanwhile, and raises none when it is back.
#[test]
fn a_node_that_was_unplugged_comes_back_and_no_leader_changes() {
    let Some(mut cluster) = start("unplugged", 3) else { return };
    let operator = cluster.operator();
    let (lonely, led) = operator.busiest();
    let storm = Storm::begin(cluster.profile(), PLAN);
    storm.wait_percent(20, LONG);
    cluster.network().unplug(lonely);
    let begin = Instant::now();
    let after = storm.end(PLAN);
    let (_, pause) = after.longest_pause(begin, &led, |receipt| receipt.node != lonely);
    assert!(pause < RESUME, "the others took over only after {pause:?}");
    // It is away for as long as it would stand again and again, had it a mind to.
    rounds(&cluster, 12);
    let before = ballots(&operator);
    cluster.network().plug_in(lonely);
    all_agree(&mut cluster, &after);
    rounds(&cluster, 4);
    assert_eq!(ballots(&cluster.operator()), before, "{lonely} disturbed leaders that were well");
    assert_eq!(led_by(&operator, lonely), BTreeSet::new());
}

/// Waits until some node that answers has sent so many more rounds of probes: its peers' clock, not ours. Says how many.
fn rounds(cluster: &Cluster, count: u64) -> u64 {
    let sent = || {
        let figures = cluster.nodes().find_map(|node| {
            let (status, text) = cluster_tests::http::get(&cluster.http(node), "/metrics").ok()?;
            (status == 200).then_some((node, text))
        });
        let (_, text) = figures.expect("some node answers");
        let frames = text.lines().filter_map(|line| line.strip_prefix("icefarm_peer_frames_sent_total{"));
        frames.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).max().unwrap_or(0)
    };
    let first = sent();
    until("probes are sent", LONG, || {
        let more = sent().saturating_sub(first);
        if more >= 2 * count { Ok(count) } else { Err(format!("{more} frames")) }
    })
}
