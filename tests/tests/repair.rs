//! A damaged disk, from the first sign to a node that is whole again: what the node says, what an offline look at its data says,
//! and how it gets everything back from the others while they are used.

use cluster_tests::storm::{Plan, Storm};
use cluster_tests::{Cluster, Options, disk, until};
use paxos::NodeId;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);
const LONG: Duration = Duration::from_mins(1);
/// Exit status for this machine's faults.
const MACHINE: i32 = 6;
const SHARDS: u32 = 16;

/// Every file below `folder` and what is in it, but for the lock, which names whoever looks.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if !path.ends_with("LOCK") {
            found.push((path.display().to_string(), fs::read(&path).expect("a file")));
        }
    }
    found.sort();
    found
}

#[test]
fn a_damaged_disk_is_told_wiped_and_repaired_from_the_others_under_a_storm_of_claims() {
    let mut cluster = Cluster::start("repair", Options { nodes: 3, shards: SHARDS });
    let cli = cluster.cli();
    let first = Plan { clients: 16, distinct: 4_000, contested: 200, patience: Duration::from_secs(50) };
    let early = Storm::begin(cluster.profile(), first).end(first);
    let home = cluster.home(N3);
    let path = home.display().to_string();

    let _ = cli.words(&format!("admin verify {path}")).expect(MACHINE).says(&["in use", "pid"]);
    cluster.kill(N3);
    let sound = cli.json(&format!("admin verify {path}"), 0);
    let node = &sound["nodes"][0];
    assert_eq!((&node["node"], &node["sound"]), (&"n3".into(), &true.into()), "{sound}");
    assert_eq!(node["shards"].as_array().map(Vec::len), Some(SHARDS as usize), "{sound}");

    let segment = disk::newest_segment(&home);
    let at = segment.flip_a_bit_in_the_middle();
    let before = contents(&home.join("data"));
    let damaged = cli.json(&format!("admin verify {path}"), MACHINE);
    let node = &damaged["nodes"][0];
    let file = segment.path.display().to_string();
    assert_eq!((&node["sound"], &node["file"]), (&false.into(), &file.as_str().into()), "{damaged}");
    assert_eq!(node["offset"], Value::from(at), "{damaged}");
    let _ = cli.words(&format!("admin verify {path}")).expect(MACHINE).says(&["damaged at byte", "docs/runbook.md"]);
    assert!(contents(&home.join("data")) == before, "looking at it changed something");
    let mut refused = cluster.start_node(N3);
    assert_eq!(refused.wait_ended(LONG).code(), Some(MACHINE));
    assert!(refused.stderr().contains(&format!("byte {at}")), "the node says the same: {}", refused.stderr());

    fs::rename(home.join("data"), home.join("damaged")).expect("the damaged data is put aside");
    let second = Plan { clients: 16, distinct: 12_000, contested: 500, patience: Duration::from_secs(50) };
    let storm = Storm::begin_beyond(cluster.profile(), second, early.claims.len());
    storm.wait_percent(5, LONG);
    cluster.restart(N3);
    let plan = cli.json("admin repair n3 --dry-run", 0);
    assert_eq!(plan["shards"].as_array().map(Vec::len), Some(SHARDS as usize), "{plan}");

    // Interrupted somewhere in the middle, and said again.
    let mut interrupted =
        cluster_tests::Program::start("icefarm admin repair", cli.command().args(["admin", "repair", "n3"]));
    until("a few shards are repaired", LONG, || {
        let said = interrupted.stderr();
        if said.contains("[3/16] shard") { Ok(()) } else { Err(said) }
    });
    interrupted.kill();
    let repaired = cli.json("admin repair n3", 0);
    let left = repaired["shards"].as_array().map_or(0, Vec::len);
    assert!((1..SHARDS as usize).contains(&left), "the second time only the rest: {repaired}");
    println!("{left} shards were left after the interruption, {} claims answered", storm.answered());
    let late = storm.end(second);

    cluster.wait_ready(&[N3], LONG);
    let operator = cluster.operator();
    let all: BTreeSet<NodeId> = cluster.nodes().collect();
    for shard in operator.shards().shards {
        assert_eq!(shard.voters.iter().copied().collect::<BTreeSet<_>>(), all, "shard {}", shard.shard.0);
    }
    assert_eq!(cli.json("admin repair n3", 0)["shards"], serde_json::json!([]), "nothing is left to do");
    operator.wait_caught_up(LONG);
    early.is_within(&operator, N3);
    late.is_within(&operator, N3);
    // Its votes count again.
    cluster.kill(N2);
    until("claims are served without n2", LONG, || {
        let claimed = cli.words("claim 30980,8190 --as scrat");
        if claimed.status == Some(0) { Ok(()) } else { Err(format!("{claimed:?}")) }
    });
}
