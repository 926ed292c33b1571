//! `icefarm up` and its nodes as processes: who stops whom, who tells what, and what is still there afterwards.

use cluster_tests::program::{self, Program};
use cluster_tests::{Cli, Cluster, Options, http, until};
use paxos::NodeId;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const SMALL: Options = Options { nodes: 3, shards: 8 };
/// For what takes a second or two.
const LONG: Duration = Duration::from_secs(30);

#[test]
fn sigterm_stops_everything_and_up_again_goes_on_with_everything() {
    let mut cluster = Cluster::start("again", Options::default());
    let cli = cluster.cli();
    let quic = |cluster: &Cluster| cluster.profile().nodes.iter().map(|node| node.quic.clone()).collect::<Vec<_>>();
    let before = quic(&cluster);
    for x in 30_980..30_985 {
        cli.json(&format!("claim {x},8190 --as scrat"), 0);
    }
    let planted = cli.json("plant 30980,8190 lichen --as scrat", 0);
    let pids: Vec<u32> = cluster.nodes().map(|node| cluster.pid(node)).collect();
    println!("stopped in {:?}", cluster.down());
    assert!(pids.iter().all(|pid| !program::is_running(*pid)));
    assert!(cluster.nodes().all(|node| !cluster.home(node).join("pid").exists()), "pid files go with their processes");
    println!("up again in {:?}", cluster.up());
    assert_eq!(quic(&cluster), before, "QUIC ports are chosen once");
    assert!(cluster.nodes().all(|node| !pids.contains(&cluster.pid(node))));
    let kept = cli.json("field 30980,8190", 0);
    assert_eq!(kept["field"], planted["field"]);
    assert_eq!(cli.json("view 30980,8190 --size 5x1", 0)["fields"].as_array().map(Vec::len), Some(5));
    assert_eq!(cli.json("player scrat", 0)["player"]["fields"], 5);
    cluster.down();
}

#[test]
fn a_node_that_was_killed_honours_the_support_that_it_has_forgotten() {
    let mut cluster = Cluster::prepare("forgotten", SMALL);
    cluster.found();
    // For so long n2 promises to leave nobody; n3 promises a second.
    cluster.configure(N2, &["election_timeout_ms = 6000"]);
    cluster.up();
    let led_by_n1 = cluster.operator().shards().shards.iter().filter(|shard| shard.leader == Some(N1)).count();
    assert!(led_by_n1 > 0, "n1 leads nothing: this shows nothing");
    cluster.kill_together(&[N1, N2]);
    let begin = Instant::now();
    cluster.restart(N2);
    cluster.wait_ready(&[N2], LONG);
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(6), "n1's shards have another leader after {took:?}");
    cluster.down();
}

#[test]
fn sigterm_also_stops_a_node_that_was_restarted_by_hand_and_one_that_is_stopped_in_its_tracks() {
    let mut cluster = Cluster::start("stubborn", SMALL);
    cluster.kill(N1);
    cluster.restart(N1);
    cluster.wait_ready(&[N1], LONG);
    cluster.pause(N2);
    // `down` itself asserts the ten seconds of the contract, and that no process is left.
    println!("stopped in {:?} with a node that hears no signal but SIGKILL", cluster.down());
}

#[test]
fn a_node_that_is_stopped_leaves_its_offices_to_the_next_voters_at_once() {
    let mut cluster = Cluster::prepare("leaving", SMALL);
    cluster.found();
    for node in cluster.nodes() {
        cluster.configure(node, &["election_timeout_ms = 20000"]);
    }
    cluster.up();
    let operator = cluster.operator();
    let (leaver, offices) = operator.busiest();
    program::signal(cluster.pid(leaver), Signal::TERM);
    // Whoever waited for the leaver to stand again, or to be missed, would wait for ten seconds.
    until("others lead its shards", Duration::from_secs(8), || {
        let shards = operator.shards().shards;
        let left = |shard: &&client::ShardStatus| offices.contains(&shard.shard);
        let lead = shards.iter().filter(left).map(|shard| shard.leader).collect::<Vec<_>>();
        let led = lead.iter().all(|leader| leader.is_some_and(|leader| leader != leaver));
        if led { Ok(()) } else { Err(format!("led by {lead:?}")) }
    });
    cluster.down();
}

#[test]
fn a_killed_node_is_reported_with_how_to_restart_it_and_stays_down_until_somebody_does() {
    let mut cluster = Cluster::start("reported", SMALL);
    let cli = cluster.cli();
    cli.json("claim 30980,8190 --as scrat", 0);
    cluster.kill(N2);
    let config = cluster.home(N2).join("node.toml").display().to_string();
    let said = until("up says so", LONG, || {
        let said = cluster.up_process().stderr();
        if said.contains("n2") { Ok(said) } else { Err(format!("it said {said:?}")) }
    });
    assert!(said.contains("SIGKILL") && said.contains(&format!("icefarm node --config {config}")), "{said}");
    let nodes = cli.json("admin nodes", 0);
    assert_eq!((&nodes["nodes"][1]["node"], &nodes["nodes"][1]["state"]), (&"n2".into(), &"down".into()));
    cli.json("claim 30981,8190 --as scrat", 0);
    assert_eq!(cluster.running(N2), None, "nobody restarted it");
    cluster.restart(N2);
    cluster.wait_ready(&[N2], LONG);
    cluster.operator().wait_caught_up(LONG);
    let own = cli.json("field 30981,8190 --read eventual --from n2", 0);
    assert_eq!((&own["field"]["owner"], &own["receipt"]["node"]), (&"scrat".into(), &"n2".into()));
    assert_eq!(cluster.up_process().stderr().matches("has ended").count(), 1, "told once");
    cluster.down();
}

#[test]
fn a_node_and_a_look_at_its_data_wait_a_moment_for_one_that_was_killed_to_let_go() {
    let mut cluster = Cluster::start("let-go", SMALL);
    cluster.kill(N2);
    // Killed, and not gone: as long as a disk is busy with what its process had asked for.
    let hold = || {
        let held = fs::File::open(cluster.home(N2).join("data/LOCK")).expect("every directory has one");
        until("the dead let go", LONG, || held.try_lock().map_err(|error| error.to_string()));
        held
    };
    let waits = "waiting for 5 s whether it lets go";
    let held = hold();
    let home = cluster.home(N2).display().to_string();
    let mut verify = Program::start("icefarm admin verify", cluster.cli().command().args(["admin", "verify", &home]));
    until(
        "it says that it waits",
        LONG,
        || if verify.stderr().contains(waits) { Ok(()) } else { Err(verify.stderr()) },
    );
    drop(held);
    assert_eq!(verify.wait_ended(LONG).code(), Some(0), "{}", verify.stderr());

    let held = hold();
    cluster.restart(N2);
    let logs = cluster.home(N2).join("logs");
    until("it says that it waits", LONG, || {
        let read = |file: fs::DirEntry| fs::read_to_string(file.path()).unwrap_or_default();
        let said: String = fs::read_dir(&logs).expect("it logs").flatten().map(read).collect();
        if said.contains(waits) { Ok(()) } else { Err(said) }
    });
    drop(held);
    cluster.wait_ready(&[N2], LONG);
    cluster.down();
}

#[test]
fn nodes_do_not_outlive_an_up_that_was_killed() {
    let mut cluster = Cluster::start("orphans", SMALL);
    cluster.cli().json("claim 30980,8190 --as scrat", 0);
    cluster.kill_up();
    let begin = Instant::now();
    until("no node is left", LONG, || {
        let left: Vec<NodeId> = cluster.nodes().filter(|node| cluster.running(*node).is_some()).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} run")) }
    });
    println!("the last node ended {:?} after up was killed", begin.elapsed());
    cluster.up();
    assert_eq!(cluster.cli().json("field 30980,8190", 0)["field"]["owner"], "scrat");
    cluster.down();
}

#[test]
fn healthz_says_alive_and_readyz_says_whether_claims_are_served() {
    let mut cluster = Cluster::start("health", SMALL);
    for node in cluster.nodes() {
        let addr = cluster.http(node);
        assert_eq!(http::get(&addr, "/healthz"), Ok((200, "ok\n".to_owned())));
        assert_eq!(http::get(&addr, "/readyz").map(|(status, _)| status), Ok(200));
        assert_eq!(http::get(&addr, "/nowhere").map(|(status, _)| status), Ok(404));
    }
    cluster.kill_together(&[NodeId(2), NodeId(3)]);
    let addr = cluster.http(N1);
    let body = until("the survivor says that it does not serve", LONG, || match http::get(&addr, "/readyz")? {
        (503, body) => Ok(body),
        (status, body) => Err(format!("{status} {body}")),
    });
    assert!(body.contains("urn:icefarm:problem:not-ready") && body.contains("leader"), "{body}");
    assert_eq!(http::get(&addr, "/healthz").map(|(status, _)| status), Ok(200), "alive all the same");
    cluster.restart(N2);
    cluster.wait_ready(&[N1, N2], LONG);
    cluster.down();
}

#[test]
fn metrics_count_what_was_done_and_name_each_shard_only_when_asked() {
    let mut cluster = Cluster::start("metrics", SMALL);
    let cli = cluster.cli();
    for x in 30_980..30_985 {
        cli.json(&format!("claim {x},8190 --as scrat"), 0);
    }
    cli.json("claim 30980,8190 --as sid", 3);
    let figures = |cluster: &Cluster, path: &str| -> Vec<String> {
        let texts = cluster.nodes().map(|node| http::get(&cluster.http(node), path).expect("it answers"));
        texts.map(|(status, text)| if status == 200 { text } else { panic!("{status} {text}") }).collect()
    };
    let texts = figures(&cluster, "/metrics");
    let sum = |name: &str| -> u64 {
        let lines = texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix(name));
        lines.map(|rest| rest.trim().parse::<u64>().unwrap_or_else(|_| panic!("{name}{rest}"))).sum()
    };
    // Five claims, and a registration (mostly a repeated one) before each of the six commands.
    assert_eq!(sum("icefarm_commands_total{outcome=\"done\"}"), 11);
    assert_eq!(sum("icefarm_commands_total{outcome=\"rejected\"}"), 1);
    assert_eq!((sum("icefarm_shards_led "), sum("icefarm_replicas ")), (8, 24));
    assert!(sum("icefarm_log_syncs_total ") >= 16, "each command was synced on two nodes");
    assert!(sum("icefarm_log_sync_seconds_count ") > 0);
    assert_eq!(sum("icefarm_peer_heard{peer=\"n1\"}"), 2);
    assert!(texts.iter().all(|text| !text.contains("shard=")));
    let turns = ["icefarm_turn_seconds_count", "icefarm_batch_items_count", "icefarm_clock_lead_seconds"];
    assert!(turns.iter().all(|name| texts.iter().all(|text| text.contains(name))), "{}", texts[0]);
    let each = "leader_node lease_seconds chosen_slot applied_slot checkpointed_slot voter_lag_slots queued_commands \
        waiting_reads watchers in_flight_slots batches batched_commands";
    for text in figures(&cluster, "/metrics?per=shard") {
        for name in each.split_whitespace() {
            let of = format!("icefarm_shard_{name}{{shard=");
            assert_eq!(text.lines().filter(|line| line.starts_with(&of)).count(), 8, "{name}");
        }
    }
    assert_eq!(http::get(&cluster.http(N1), "/metrics?per=field").map(|(status, _)| status), Ok(400));
    cluster.down();
}

#[test]
fn up_prints_a_table_the_way_on_and_ready_on_a_line_of_its_own() {
    let mut cluster = Cluster::start("table", SMALL);
    let said = cluster.up_process().stdout();
    for node in cluster.nodes() {
        let row = said.lines().find(|line| line.starts_with(&node.to_string())).unwrap_or_else(|| panic!("{said}"));
        let entry = cluster.profile().node(node).cloned().expect("the profile has every node");
        for value in [cluster.pid(node).to_string(), entry.quic, entry.http] {
            assert!(row.contains(&value), "no {value} in {row:?}");
        }
        let logs = fs::read_dir(cluster.home(node).join("logs")).expect("the node has a folder for its logs");
        assert!(logs.count() > 0);
    }
    assert_eq!(said.lines().filter(|line| *line == "ready").count(), 1, "{said}");
    assert!(said.contains("claim ") && said.contains("ICEFARM_CLUSTER"), "{said}");
    for secret in ["client.toml", "ca/token.key", "n1/keys/node.key"] {
        let mode = fs::metadata(cluster.data().join(secret)).expect(secret).permissions().mode();
        assert_eq!(mode & 0o077, 0, "{secret} is readable by others");
    }
    cluster.down();
}

#[test]
fn one_node_alone_and_five_with_three_voters_each_serve_claims() {
    for options in [Options { nodes: 1, shards: 4 }, Options { nodes: 5, shards: 16 }] {
        let mut cluster = Cluster::start("sizes", options);
        let cli: Cli = cluster.cli();
        for x in (30_000..31_000).step_by(100) {
            let answer = cli.words(&format!("claim {x},8190 --as scrat --json"));
            assert!(matches!(answer.status, Some(0 | 3)), "{answer:#?}");
        }
        let shards = cli.json("admin shards", 0);
        let voters = |shard: &serde_json::Value| shard["voters"].as_array().map(Vec::len);
        let shards = shards["shards"].as_array().expect("a list");
        assert_eq!(shards.len(), options.shards as usize);
        assert!(shards.iter().all(|shard| voters(shard) == Some(if options.nodes == 1 { 1 } else { 3 })));
        cluster.operator().wait_caught_up(LONG);
        cluster.down();
    }
}

#[test]
fn a_watch_tells_every_change_once_although_the_node_it_asks_is_killed() {
    let mut cluster = Cluster::prepare("watch", Options { nodes: 3, shards: 8 });
    cluster.up();
    let cli = cluster.cli();
    cli.json("claim 30980,8190 --as scrat", 0);
    let mut watch = Program::start("watch", cli.command().args(["watch", "30960,8180", "--json"]));
    let lines = |watch: &Program| -> Vec<Value> {
        let said = watch.stdout();
        // What ends without a newline is not all of it.
        let whole = said.rfind('\n').map_or("", |end| &said[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
    };
    let wait_for = |watch: &Program, count: usize| {
        until(&format!("{count} lines"), LONG, || {
            let lines = lines(watch);
            if lines.len() >= count { Ok(lines) } else { Err(format!("{lines:?} {}", watch.stderr())) }
        })
    };
    let view = &wait_for(&watch, 1)[0];
    assert_eq!((&view["outcome"], &view["fields"][0]["owner"]), (&json!("ok"), &json!("scrat")));

    cli.json("claim 30981,8190 --as sid", 0);
    let lines_now = wait_for(&watch, 2);
    assert_eq!(lines_now[1]["event"], "changed");
    assert_eq!((&lines_now[1]["field"]["x"], &lines_now[1]["field"]["owner"]), (&json!(30981), &json!("sid")));
    assert_eq!(lines_now[1]["receipt"]["level"], "eventual");

    // Whichever node it asks: each is killed and comes back, and the land goes on changing.
    let mut expected = 2;
    for node in cluster.nodes() {
        cluster.kill(node);
        for word in ["abandon", "claim"] {
            cli.json(&format!("{word} 30981,8190 --as sid --timeout 30s"), 0);
            expected += 1;
            wait_for(&watch, expected);
        }
        cluster.restart(node);
        cluster.wait_ready(&cluster.nodes().collect::<Vec<_>>(), LONG);
    }
    let versions = |lines: &[Value]| -> Vec<u64> {
        lines[1..].iter().map(|line| line["field"]["version"].as_u64().expect("a number")).collect()
    };
    assert_eq!(versions(&lines(&watch)), [1, 2, 3, 4, 5, 6, 7], "each once, in order");

    watch.signal(Signal::INT);
    assert_eq!(watch.wait_ended(LONG).code(), Some(0), "{}", watch.stderr());
}

#[test]
fn a_session_file_remembers_what_was_seen_and_says_what_is_wrong_with_it() {
    let mut cluster = Cluster::start("sessions", SMALL);
    let cli = cluster.cli();
    let file = cluster.folder().join("seen.session");
    let session = format!("--session {}", file.display());
    for x in 30_980..30_985 {
        cli.json(&format!("claim {x},8190 --as scrat {session}"), 0);
        for node in cluster.nodes() {
            // Whichever is asked has to wait until it has seen as much.
            let read = cli.json(&format!("field {x},8190 --read session --from {node} {session}"), 0);
            assert_eq!(
                (&read["field"]["owner"], &read["receipt"]["node"]),
                (&json!("scrat"), &json!(node.to_string())),
                "{read}"
            );
        }
    }
    let kept = fs::read_to_string(&file).expect("it was written");
    let [token, own] = kept.lines().collect::<Vec<_>>()[..] else { panic!("a token and the cluster: {kept}") };
    fs::write(&file, format!("{token}\n{}\n", own.replace(|digit| digit != '0', "1"))).expect("ours");
    let _ = cli.words(&format!("field 30980,8190 {session}")).expect(2).says(&[
        "of another cluster",
        own,
        "remove the file",
    ]);
    fs::write(&file, format!("{token}\n")).expect("ours");
    cli.json(&format!("field 30980,8190 {session}"), 0);
    fs::write(&file, "no session").expect("ours");
    let _ = cli.words(&format!("field 30980,8190 {session}")).expect(2).says(&["seen.session", "remove the file"]);
    assert_eq!(fs::read_to_string(&file).expect("still there"), "no session", "whose file it is, we do not know");
    let nowhere = format!("--session {}", cluster.folder().join("no/such/folder").display());
    let _ = cli.words(&format!("field 30980,8190 {nowhere}")).expect(6).says(&["no/such/folder", "--session"]);
    cluster.down();
}
