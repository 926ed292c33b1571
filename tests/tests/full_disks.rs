//! Disks that fill up under load: refused with a clear error, cleaned up by the node itself where that helps, and gone on with
//! when there is space; nothing acknowledged is lost.

use cluster_tests::cluster::MOMENT;
use cluster_tests::storm::{Plan, Storm};
use cluster_tests::{Cluster, Options, SmallDisk, http, until};
use paxos::NodeId;
use std::fs;
use std::time::{Duration, Instant};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);
const LONG: Duration = Duration::from_mins(1);
/// More than is claimed before a full disk is met: a node first writes what it has room for.
const ENDLESS: Plan = Plan { clients: 32, distinct: 60_000, contested: 5_000, patience: Duration::from_secs(50) };
/// So many claims touch every shard.
const SOME: usize = 1_500;
/// Room for what a node of these tests needs, and a little more.
const DISK: u64 = 24 << 20;
/// Checkpoints early, and small segments, so that little load does what much would otherwise.
const SMALL: [&str; 2] = ["segment_mib = 1", "checkpoint_kib = 64"];

/// A cluster, not started, whose node `node` has a small disk of its own. `None`: that is not permitted here.
fn cluster_with_small_disk(name: &str, nodes: u32, node: NodeId) -> Option<(Cluster, SmallDisk)> {
    let cluster = Cluster::prepare(name, Options { nodes, shards: 8 });
    cluster.found();
    cluster.configure(node, &SMALL);
    let disk = SmallDisk::mount(&cluster.home(node).join("data"), DISK)?;
    Some((cluster, disk))
}

/// Waits until the node says that its disk is full, to whoever balances load, to Prometheus and in its log.
fn wait_full(cluster: &Cluster, node: NodeId) {
    let addr = cluster.http(node);
    let told = until("the node says that its disk is full", LONG, || match http::get(&addr, "/readyz")? {
        (503, body) if body.contains("\"disk\"") => Ok(body),
        (status, body) => Err(format!("{status} {body}")),
    });
    let data = cluster.home(node).join("data").display().to_string();
    assert!(told.contains(&data) && told.contains("free space"), "{told}");
    let (_, figures) = http::get(&addr, "/metrics").expect("it answers");
    assert!(figures.lines().any(|line| line == "icefarm_disk_full 1"), "{figures}");
    assert!(log_says(cluster, node, "the disk is full"));
}

fn log_says(cluster: &Cluster, node: NodeId, what: &str) -> bool {
    let logs = fs::read_dir(cluster.home(node).join("logs")).expect("a folder");
    logs.filter_map(|log| fs::read_to_string(log.expect("listed").path()).ok()).any(|text| text.contains(what))
}

/// n2 leads a third of the shards when its disk fills up. It leaves every office, the others serve its shards, and with space
/// it catches up.
#[test]
fn a_leader_whose_disk_fills_up_gives_way_and_comes_back_when_there_is_space() {
    let Some((mut cluster, disk)) = cluster_with_small_disk("full-leader", 3, N2) else { return };
    cluster.up();
    let operator = cluster.operator();
    let led = operator.shards().shards.into_iter().filter(|shard| shard.leader == Some(N2));
    let led = led.map(|shard| shard.shard).collect();
    let storm = Storm::begin(cluster.profile(), ENDLESS);
    storm.wait_more(SOME, LONG);
    disk.fill_but(0);
    let filled = Instant::now();
    wait_full(&cluster, N2);
    println!("n2 says that its disk is full {:?} after it was, {} claims answered", filled.elapsed(), storm.answered());
    storm.wait_more(SOME, LONG);
    storm.wind_down();
    let after = storm.end(ENDLESS);
    // It serves what it has room for, and then nothing: the others are waited for since then.
    let served = after.claims.iter().filter(|claim| claim.receipt.node == N2).map(|claim| claim.answered);
    let last = served.max().map_or(filled, |last| last.max(filled));
    let (shard, pause) = after.longest_pause(last, &led, |receipt| receipt.node != N2);
    println!(
        "what n2 led was served by others {pause:?} later (shard {} was last); the slowest claim took {:?}",
        shard.0,
        after.slowest()
    );
    assert!(pause < MOMENT, "the others took over only after {pause:?}");
    assert!(after.slowest() < MOMENT, "a claim took {:?}", after.slowest());
    let leads = operator.shards().shards.iter().filter(|shard| shard.leader == Some(N2)).count();
    assert_eq!(leads, 0, "n2 leads without a disk");
    after.is_at(&operator, [N1, N3].into_iter());

    disk.clear();
    cluster.wait_ready(&[N2], LONG);
    operator.wait_caught_up(LONG);
    after.is_at(&operator, [N2].into_iter());
    cluster.down();
}

/// A cluster of one node has nobody who could take over: it says so, also after it was killed, and keeps what it acknowledged.
#[test]
fn one_node_alone_refuses_claims_while_its_disk_is_full_also_after_kill_nine_and_then_goes_on() {
    let Some((mut cluster, disk)) = cluster_with_small_disk("full-alone", 1, N1) else { return };
    cluster.up();
    let operator = cluster.operator();
    let storm = Storm::begin(cluster.profile(), ENDLESS);
    storm.wait_more(SOME, LONG);
    disk.fill_but(0);
    wait_full(&cluster, N1);
    let cli = cluster.cli();
    let refused = || {
        let refused = cli.words("claim 30980,8190 --as scrat --timeout 2s --json").expect(4);
        let told = refused.json();
        assert_eq!((&told["outcome"], &told["applied"]), (&"unavailable".into(), &"no".into()), "{told}");
        assert_eq!((&told["reason"], &told["missing"]), (&"disk_full".into(), &serde_json::json!(["n1"])), "{told}");
        let _ = refused.says(&["space", "n1"]);
    };
    refused();
    assert_eq!(cli.json("field 30980,8190 --read eventual", 0)["field"]["owner"], serde_json::Value::Null);

    // Whoever filled the disk goes on, and takes what the node's reserve has left of it.
    disk.fill_but(0);
    cluster.kill(N1);
    cluster.restart(N1);
    wait_full(&cluster, N1);
    refused();
    disk.clear();
    cluster.wait_ready(&[N1], LONG);
    storm.wait_more(SOME, LONG);
    storm.wind_down();
    let after = storm.end(ENDLESS);
    after.is_at(&operator, [N1].into_iter());
    assert!(log_says(&cluster, N1, "there is space on the disk again"));
    cluster.down();
}

/// n3 is down, so n1 and n2 keep their logs for it, and that fills n1's disk. Nobody frees anything: n1 checkpoints and drops what
/// n3 can get as a checkpoint. Both are needed for every claim, so the storm ends only if n1 goes on.
#[test]
fn a_disk_full_of_log_kept_for_a_dead_node_is_cleaned_up_by_its_own_node() {
    let Some((mut cluster, disk)) = cluster_with_small_disk("full-log", 3, N1) else { return };
    cluster.up();
    cluster.kill(N3);
    // What a few segments take: more than the land itself.
    disk.fill_but(3 << 20);
    let plan = Plan { clients: 64, distinct: 40_000, contested: 0, patience: Duration::from_secs(50) };
    let after = Storm::begin(cluster.profile(), plan).end(plan);
    assert!(log_says(&cluster, N1, "the disk is full"), "the storm was too small to fill the disk");
    assert!(log_says(&cluster, N1, "there is space on the disk again"));
    println!("{} claims; the slowest took {:?}", after.claims.len(), after.slowest());
    let operator = cluster.operator();
    after.is_at(&operator, [N1, N2].into_iter());
    disk.clear();
    cluster.restart(N3);
    cluster.wait_ready(&[N1, N2, N3], LONG);
    operator.wait_caught_up(LONG);
    after.is_at(&operator, [N3].into_iter());
    cluster.down();
}
