//! The load generator against real clusters: what it reports, what it finds, what it refuses.

use cluster_tests::program::{self, Program};
use cluster_tests::{Cluster, Options, cli, until};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const SMALL: Options = Options { nodes: 3, shards: 8 };
/// For what takes a few seconds.
const LONG: Duration = Duration::from_mins(1);

/// A village that is small and busy.
const VILLAGE: &str = r#"
about = "A test."
[players]
count = 300
homes = "cities"
cities = 3
connections = 2
[arrival]
rate = 1_000
[mix]
claim = 3
farm = 5
look = 3
visit = 6
watch = 0.2
abandon = 0.3
contest = 1
[contest]
fields = 16
[reads]
visit = "bounded:500"
[run]
warm_up = "1s"
duration = "4s"
"#;

/// `icefarm-load run` on `cluster`, with this profile.
fn run(cluster: &Cluster, profile: &str, more: &[&str]) -> Command {
    let file = cluster.folder().join("profile.toml");
    fs::write(&file, profile).expect("ours");
    let mut command = Command::new(program::built("icefarm-load"));
    command.arg("run").arg(&file).arg("--cluster").arg(cluster.profile_file());
    if !more.contains(&"--out") {
        command.arg("--out").arg(cluster.folder().join("report"));
    }
    command.args(more);
    command
}

fn report(cluster: &Cluster) -> Value {
    let text = fs::read_to_string(cluster.folder().join("report/report.json")).expect("it was written");
    serde_json::from_str(&text).expect("it is JSON")
}

fn has(folder: &Path, name: &str, words: &[&str]) {
    let text = fs::read_to_string(folder.join(name)).expect("it was written");
    for word in words {
        assert!(text.contains(word), "{name} has no '{word}'");
    }
}

#[test]
fn players_play_on_while_a_node_dies_and_everything_they_are_told_is_true() {
    let mut cluster = Cluster::start("load-village", SMALL);
    let faults = "[[faults]]\nat = \"1s\"\ndo = \"kill\"\nnode = \"n2\"\n[[faults]]\nat = \"2500ms\"\ndo = \"restart\"\nnode = \"n2\"\n";
    let answer = cli::run(&mut run(&cluster, &format!("{VILLAGE}{faults}"), &["--seed", "7"])).expect(0);
    let answer = answer.says(&["kill n2", "restart n2"]);
    assert!(answer.stdout.contains("wrong answers: 0") && answer.stdout.contains("report.html"), "{answer:#?}");
    let report = report(&cluster);
    assert_eq!((&report["seed"], &report["players"], &report["wrong_answers"]), (&7.into(), &300.into(), &0.into()));
    assert!(report["throughput_per_s"].as_f64() > Some(500.0), "{}", report["throughput_per_s"]);
    for kind in ["all", "claim", "plant", "look", "visit", "watch"] {
        let latency = &report["latency_ms"][kind];
        assert!(latency["p50"].as_f64() <= latency["p99"].as_f64() && latency["p99"].is_f64(), "{kind}: {latency}");
    }
    assert!(
        report["staleness_ms"]["p99"].is_f64()
            && report["syncs_per_claim"].is_f64() == report["cpu_s_per_1000"]["servers"].is_f64()
    );
    assert!(report["checked"]["fields"].as_u64() > Some(50), "{}", report["checked"]);
    assert!(report["checked"]["contested_operations"].as_u64() > Some(50), "{}", report["checked"]);
    assert_eq!(report["faults"].as_array().map(Vec::len), Some(2));
    assert!(report["hardware"]["cores"].is_u64() && report["versions"]["n1"].is_string());
    has(&cluster.folder().join("report"), "report.html", &["<svg", "kill n2", "No wrong answer", "--seed 7"]);
    // The same players again would meet their own land.
    let _ = cli::run(&mut run(&cluster, VILLAGE, &["--seed", "7"])).expect(2).says(&["--seed 7", "choose another"]);
    cluster.down();
}

#[test]
fn a_run_that_sees_a_wrong_answer_fails_whatever_its_speed() {
    let mut cluster = Cluster::start("load-wrong", SMALL);
    let rush = VILLAGE.replace("fields = 16", "fields = 16\nat = \"30976,8192\"");
    let rush = rush.replace("contest = 1", "contest = 20").replace("\"4s\"", "\"8s\"");
    let mut running = Program::start("icefarm-load", &mut run(&cluster, &rush, &["--seed", "8"]));
    // Somebody gives up, in a player's name, what that player has. To the generator it is land that was lost.
    let cli = cluster.cli();
    until("a player's land is given up behind its back", LONG, || {
        let view = cli.json("view 30976,8192 --size 64x2 --read strong", 0);
        let fields = view["fields"].as_array().cloned().unwrap_or_default();
        let field = fields.first().ok_or("nobody has any yet")?;
        let (x, y, owner) = (&field["x"], &field["y"], field["owner"].as_str().unwrap_or_default());
        let answer = cli.words(&format!("abandon {x},{y} --as {owner}"));
        if answer.status == Some(0) { Ok(()) } else { Err(answer.stderr) }
    });
    assert_eq!(running.wait_ended(LONG).code(), Some(1), "{}", running.stderr());
    let report = report(&cluster);
    assert!(report["wrong_answers"].as_u64() > Some(0), "{report}");
    has(&cluster.folder().join("report"), "report.html", &["WRONG ANSWERS"]);
    assert!(running.stderr().contains("WRONG ANSWER"), "{}", running.stderr());
    cluster.down();
}

#[test]
fn a_run_that_is_interrupted_reports_what_it_has_measured() {
    let mut cluster = Cluster::start("load-interrupted", SMALL);
    let long = VILLAGE.replace("\"4s\"", "\"1h\"");
    let mut running = Program::start("icefarm-load", &mut run(&cluster, &long, &[]));
    until("it measures", LONG, || {
        let said = running.stderr();
        let measured = said.lines().filter(|line| line.contains("/s") && !line.contains("warm-up")).count();
        if measured > 0 { Ok(()) } else { Err(said) }
    });
    running.signal(Signal::INT);
    assert_eq!(running.wait_ended(LONG).code(), Some(0), "{}", running.stderr());
    let report = report(&cluster);
    assert_eq!((&report["interrupted"], &report["wrong_answers"]), (&true.into(), &0.into()));
    assert!(report["duration_s"].as_f64() < Some(60.0) && report["latency_ms"]["all"]["count"].as_u64() > Some(100));
    cluster.down();
}

#[test]
fn less_than_a_profile_asks_for_is_not_enough() {
    let mut cluster = Cluster::start("load-missed", SMALL);
    let pass = "[pass]\nthroughput_per_s = 1_000_000\np99_ms = { claim = 0.001 }\nerrors = 0\n";
    let profile = format!("{VILLAGE}{pass}").replace("\"4s\"", "\"1s\"");
    let words = ["profile asks for", "1000000 were asked for", "p99 of claim", "0.001 were asked for"];
    let _ = cli::run(&mut run(&cluster, &profile, &[])).expect(3).says(&words);
    assert_eq!(report(&cluster)["missed"].as_array().map(Vec::len), Some(2));
    cluster.down();
}

#[test]
fn what_cannot_be_run_is_refused_before_anything_is_started() {
    let cluster = Cluster::prepare("load-refused", SMALL);
    let refused = |profile: &str, more: &[&str], words: &[&str]| {
        let _ = cli::run(&mut run(&cluster, profile, more)).expect(2).says(words);
    };
    refused(
        &VILLAGE.replace("visit = 6", "dance = 6"),
        &[],
        &["profile.toml", "line", "unknown field `dance`", "visit"],
    );
    refused(&VILLAGE.replace("count = 300", "count = 0"), &[], &["players.count = 0", "1 to"]);
    refused(VILLAGE, &["--in-flight", "5"], &["--in-flight", "closed"]);
    refused(VILLAGE, &["--out", "/dev/null/here"], &["/dev/null/here", "no report can be written"]);
    refused(VILLAGE, &[], &["client.toml"]);
}
