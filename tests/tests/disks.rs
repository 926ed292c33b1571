//! What survives on disk, and what is refused: torn tails, flipped bits, directories that were mixed up.

use client::ReadOptions;
use cluster_tests::storm::{Plan, Storm, land};
use cluster_tests::{Cluster, Operator, Options, disk};
use paxos::NodeId;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use world::{CharacterId, Command, Outcome};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);
const ALL: [NodeId; 3] = [N1, N2, N3];
const LONG: Duration = Duration::from_mins(1);
/// A node that is to refuse its data does so at once.
const REFUSAL: Duration = Duration::from_secs(10);
/// Exit status for this machine's faults.
const MACHINE: i32 = 6;
const PLAN: Plan = Plan { clients: 8, distinct: 600, contested: 100, patience: Duration::from_secs(30) };

#[test]
fn three_nodes_all_killed_one_with_a_torn_log_tail_start_and_have_everything() {
    let mut cluster = Cluster::start("torn", Options::default());
    let after = run_storm(&cluster);
    let ownership = after.ownership();
    let damages: [(&str, Tear); 2] = [
        ("garbage behind the last frame", disk::Segment::append_garbage),
        ("half of the last frame never written", disk::Segment::tear_last_frame),
    ];
    for (what, damage) in damages {
        // Everybody has everything, so that what is torn off one disk is not the only copy but one of a majority's.
        cluster.operator().wait_caught_up(LONG);
        cluster.kill_together(&ALL);
        let segment = disk::newest_segment(&cluster.home(N2));
        damage(&segment);
        println!("{what}: {} frames, torn around byte {}", segment.frames.len(), segment.end);
        for node in ALL {
            cluster.restart(node);
        }
        cluster.wait_ready(&ALL, LONG);
        let operator = cluster.operator();
        operator.wait_caught_up(LONG);
        for node in ALL {
            let owners = operator.owners_at(node, ownership.iter().map(|(field, _)| field));
            let verdict = ownership.verify(&node.to_string(), |field| owners.get(&field).copied());
            verdict.unwrap_or_else(|error| panic!("{what}: {error}"));
        }
    }
    cluster.down();
}

#[test]
fn a_bit_flipped_in_the_middle_of_the_log_stops_that_node_and_no_other() {
    let mut cluster = Cluster::start("flipped", Options::default());
    let ownership = run_storm(&cluster).ownership();
    cluster.kill(N2);
    let segment = disk::newest_segment(&cluster.home(N2));
    let at = segment.flip_a_bit_in_the_middle();
    let damaged = fs::read(&segment.path).expect("the segment is there");
    for attempt in 1..=2 {
        let said = refused(&cluster, N2);
        let file = segment.path.file_name().expect("a file").to_string_lossy().into_owned();
        assert!(said.contains(&file) && said.contains(&format!("byte {at}")), "try {attempt} names no place: {said}");
    }
    assert!(fs::read(&segment.path).expect("the segment is there") == damaged, "a refusal changes nothing on disk");
    let operator = cluster.operator();
    for (field, owner) in ownership.iter().step_by(20) {
        let seen = operator.run(operator.client().field(field, ReadOptions::strong()));
        assert_eq!(seen.unwrap_or_else(|error| panic!("{error}")).field.owner, Some(owner));
    }
    cluster.down();
}

#[test]
fn data_directories_that_were_mixed_up_are_refused() {
    let mut cluster = Cluster::start("mixed", Options { nodes: 3, shards: 4 });
    run_storm(&cluster);
    let cases: [(&str, Damage); 6] = [
        ("belongs to n1, not to n2", |own, other| copy(other, own)),
        ("n1", |own, other| copy(&other.join("log"), &own.join("log"))),
        ("VERSION", |own, _| fs::remove_file(own.join("VERSION")).expect("it is there")),
        ("format 9", |own, _| edit(&own.join("VERSION"), |text| text.replacen("icefarm data 2", "icefarm data 9", 1))),
        ("VERSION", |own, _| edit(&own.join("VERSION"), |text| text.replacen("boots ", "boots 1", 1))),
        (".seg", |own, _| {
            fs::remove_dir_all(own.join("log")).and_then(|()| fs::create_dir(own.join("log"))).expect("ours");
        }),
    ];
    let running = refused(&cluster, N2);
    let port_or_data = running.contains("in use") && running.contains("stop");
    assert!(port_or_data, "a node that runs already: {running}");
    cluster.down();
    let own = cluster.home(N2).join("data");
    let spare = cluster.folder().join("spare");
    copy(&own, &spare);
    for (expected, damage) in cases {
        damage(&own, &cluster.home(N1).join("data"));
        let said = refused(&cluster, N2);
        assert!(said.contains(expected), "'{expected}' is not in: {said}");
        fs::remove_dir_all(&own).expect("ours");
        copy(&spare, &own);
    }
    // And whole again, it starts.
    cluster.up();
    cluster.down();
}

#[test]
fn a_hundred_thousand_fields_are_served_soon_after_kill_nine() {
    const FIELDS: usize = 100_000;
    let mut cluster = Cluster::start("many", Options::default());
    let operator = cluster.operator();
    let fields = land(operator.client().terrain(), FIELDS, 32);
    let begin = Instant::now();
    operator.run(claim_all(&operator, &fields));
    println!("{FIELDS} fields claimed in {:?}", begin.elapsed());
    drop(operator);
    cluster.kill_together(&ALL);
    let log: u64 = ALL.iter().map(|node| size(&cluster.home(*node).join("data/log"))).sum();
    cluster.down();
    let took = cluster.up();
    println!("serving {took:?} after the start, from {} MiB of log segments over three nodes", log >> 20);
    assert!(took < Duration::from_secs(15), "a restart with {FIELDS} fields took {took:?}");
    let operator = cluster.operator();
    operator.wait_caught_up(LONG);
    let held: u64 = operator.shards().shards.iter().map(|shard| shard.fields).sum();
    assert_eq!(held, FIELDS as u64);
    cluster.down();
}

/// What happens to a log.
type Tear = fn(&disk::Segment);

/// What happens to the data directory, given that of another node.
type Damage = fn(&Path, &Path);

fn run_storm(cluster: &Cluster) -> cluster_tests::storm::Aftermath {
    Storm::begin(cluster.profile(), PLAN).end(PLAN)
}

/// Starts a node that must not start; what it said.
fn refused(cluster: &Cluster, node: NodeId) -> String {
    let mut process = cluster.start_node(node);
    let status = process.wait_ended(REFUSAL);
    let said = process.stderr();
    assert_eq!(status.code(), Some(MACHINE), "{status}: {said}");
    said
}

async fn claim_all(operator: &Operator, fields: &[world::FieldId]) {
    let player = operator.client().player("baron").expect("a name").name();
    let (submitter, mut completions) = operator.client().pipeline(4_096);
    let submit = async {
        for (tag, field) in (0..).zip(fields) {
            let command = Command::Claim { field: *field, character: CharacterId(0) };
            submitter.submit(player, command, tag).await.expect("the client is open");
        }
    };
    let collect = async {
        for _ in fields {
            match completions.recv().await.result {
                Ok(client::Success::Command { outcome: Outcome::Done { .. }, .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::join!(submit, collect);
}

fn edit(path: &Path, change: impl Fn(&str) -> String) {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let changed = change(&text);
    assert_ne!(changed, text, "nothing to change in {}", path.display());
    fs::write(path, changed).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Copies a folder over another, whatever was there.
fn copy(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).expect("ours");
    }
    fs::create_dir(to).expect("ours");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("a folder");
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.and_then(|entry| entry.metadata()).map_or(0, |metadata| metadata.len())).sum()
}
