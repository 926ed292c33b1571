//! What people script against: verbs, exit statuses, the shape of every JSON object, messages that help.

use client::Profile;
use cluster_tests::cli::{Answer, run};
use cluster_tests::{Cli, Cluster, Options, Scratch, program, until};
use paxos::NodeId;
use placement::{ShardId, ShardMap};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use transport::{Subject, Token, TokenKey};
use world::rules::World;
use world::{Bucket, ChunkId, FieldId, Millis, Rect, Terrain};

const SMALL: Options = Options { nodes: 3, shards: 8 };
const LONG: Duration = Duration::from_secs(30);

const FIELD: [&str; 10] =
    ["character", "claimable", "crop", "owner", "price", "structures", "terrain", "version", "x", "y"];

#[test]
fn every_verb_of_a_player_has_its_status_and_its_object() {
    let mut cluster = Cluster::prepare("verbs", SMALL);
    let world = edited_world(cluster.folder(), "ripens_after = \"20s\"", "ripens_after = \"5s\"");
    cluster.up_with(&["--world", &world.to_string_lossy()]);
    let cli = cluster.cli();

    let claimed = cli.json("claim 30980,8190 --as scrat", 0);
    assert_keys(&claimed, &["field", "outcome", "receipt"]);
    assert_field(&claimed["field"]);
    assert_receipt(&claimed["receipt"], "strong");
    let expected = json!({"x": 30980, "y": 8190, "terrain": "tundra", "claimable": true, "owner": "scrat",
        "character": "squirrel", "crop": null, "structures": [], "price": null, "version": 1});
    assert_eq!((&claimed["outcome"], &claimed["field"]), (&json!("claimed"), &expected));

    let lost = cli.json("claim 30980,8190 --as sid", 3);
    assert_keys(&lost, &["outcome", "owner", "reason", "receipt"]);
    assert_eq!((&lost["outcome"], &lost["reason"], &lost["owner"]), words("rejected", "already_owned", "scrat"));
    assert_receipt(&lost["receipt"], "strong");
    assert_eq!(cli.json("claim 30980,8190 --as scrat", 3)["reason"], "already_owned", "one's own field too");
    let _ = cli.words("claim 30980,8190 --as sid").expect(3).says(&["30980,8190", "scrat"]);

    let planted = cli.json("plant 30980,8190 lichen --as scrat", 0);
    assert_eq!(planted["outcome"], "planted");
    assert_keys(&planted["field"]["crop"], &["name", "planted_ms", "ripe_ms"]);
    assert_eq!(planted["field"]["crop"]["name"], "lichen");
    assert_eq!(ripening(&planted), 4_500, "five seconds, less a squirrel's tenth");
    assert_eq!(cli.json("plant 30980,8190 lichen --as scrat", 3)["reason"], "already_planted");
    let early = cli.json("harvest 30980,8190 --as scrat", 3);
    assert_eq!(early["reason"], "not_ripe");
    assert_eq!(early["ripe_ms"], planted["field"]["crop"]["ripe_ms"]);
    assert_eq!(cli.json("harvest 30980,8190 --as sid", 3)["reason"], "not_owner");
    let tended = cli.json("tend 30980,8190 --as scrat", 0);
    assert_eq!(tended["outcome"], "tended");
    assert!(ripening(&tended) < 4_500, "{tended}");
    assert_eq!(cli.json("tend 30980,8190 --as scrat", 3)["reason"], "already_tended");

    let built = cli.json("build 30980,8190 totem --as scrat", 0);
    assert_eq!((&built["outcome"], &built["field"]["structures"]), (&json!("built"), &json!(["totem"])));
    assert_eq!(cli.json("build 30980,8190 totem --as scrat", 3)["reason"], "already_built");
    let offered = cli.json("offer 30980,8190 250 --as scrat", 0);
    assert_eq!((&offered["outcome"], &offered["field"]["price"]), (&json!("offered"), &json!(250)));
    assert_eq!(cli.json("offer 30980,8190 none --as scrat", 0)["field"]["price"], Value::Null);
    assert_eq!(cli.json("offer 30980,8190 1000001 --as scrat", 3)["reason"], "price_too_high");

    let harvested = until("the lichen is ripe", LONG, || {
        let answer = cli.words("harvest 30980,8190 --as scrat --json");
        if answer.status == Some(0) { Ok(answer.json()) } else { Err(answer.stderr) }
    });
    assert_eq!((&harvested["outcome"], &harvested["field"]["crop"]), (&json!("harvested"), &Value::Null));
    let acorns = harvested["acorns"].as_u64().expect("a harvest says what it brought");
    let player = until("the acorns arrive", LONG, || {
        let player = cli.json("player scrat", 0);
        if player["player"]["acorns"] == 100 + acorns { Ok(player) } else { Err(player.to_string()) }
    });
    assert_keys(&player["player"], &["acorns", "fields", "name", "pending"]);
    assert_eq!(player["player"], json!({"name": "scrat", "acorns": 100 + acorns, "pending": 0, "fields": 1}));

    assert_eq!(cli.json("abandon 30980,8190 --as scrat", 0)["outcome"], "abandoned");
    let free = cli.json("field 30980,8190", 0);
    assert_keys(&free, &["field", "outcome", "receipt"]);
    assert_eq!((&free["outcome"], &free["field"]["owner"]), (&json!("ok"), &Value::Null));
    assert!(free["field"]["version"].as_u64() > Some(1), "versions never begin again: {free}");
    assert_eq!(cli.json("abandon 30980,8190 --as scrat", 3)["reason"], "not_owner");
    let lake = first(&cluster, Terrain::Lake);
    assert_eq!(cli.json(&format!("claim {lake} --as scrat"), 3)["reason"], "not_claimable");
    cluster.down();
}

#[test]
fn reads_say_what_they_are_worth_and_drawings_have_no_colours_in_a_pipe() {
    let mut cluster = Cluster::prepare("reads", SMALL);
    let (seed, nodes) = (World::ice_age().seed, cluster.nodes().collect::<Vec<NodeId>>());
    let map = ShardMap::initial(SMALL.shards, &nodes, 3).expect("as `up` makes it");
    let shard = |chunk: ChunkId| map.shard_of(Bucket::of_chunk(seed, chunk)).shard;
    let looked_at = Rect::new("30960,8180".parse().expect("a field"), 64, 32).expect("a view");
    let here: BTreeSet<ShardId> = looked_at.chunks().map(shard).collect();
    let elsewhere = (0..).find_map(|x| FieldId::new(x * 64, 0).ok().filter(|at| !here.contains(&shard(at.chunk()))));
    let elsewhere = elsewhere.expect("a view of a few chunks is not on all eight shards");
    let policy =
        format!("[[reads]]\nshards = [{0}, {0}]\nlevel = \"bounded:700\"\n\n[rules]", shard(elsewhere.chunk()));
    let world = edited_world(cluster.folder(), "[rules]", &policy);
    cluster.up_with(&["--world", &world.to_string_lossy()]);
    let cli = cluster.cli();
    for verb in ["field", "view"] {
        let answer = cli.json(&format!("{verb} {elsewhere}"), 0);
        let receipts = answer["receipts"].as_array().cloned().unwrap_or_else(|| vec![answer["receipt"].clone()]);
        let own = receipts.iter().find(|receipt| receipt["shard"] == shard(elsewhere.chunk()).0);
        assert_receipt(own.expect("from the shard that was asked"), "bounded:700");
        assert_receipt(&cli.json(&format!("field {elsewhere} --read strong"), 0)["receipt"], "strong");
    }
    cli.json("claim 30980,8190 --as scrat --character mammoth", 0);
    assert_receipt(&cli.json("field 30980,8190", 0)["receipt"], "strong");
    until("every replica has it", LONG, || {
        let found = cluster.nodes().find_map(|node| {
            let read = cli.json(&format!("field 30980,8190 --read eventual --from {node}"), 0);
            assert_eq!(read["receipt"]["node"], node.to_string());
            assert_receipt(&read["receipt"], "eventual");
            (read["field"]["owner"] != "scrat").then(|| read.to_string())
        });
        found.map_or(Ok(()), Err)
    });
    for level in ["session", "bounded:500", "bounded:50"] {
        for node in cluster.nodes() {
            let read = cli.json(&format!("field 30980,8190 --read {level} --from {node}"), 0);
            assert_eq!(read["receipt"]["node"], node.to_string());
            assert_receipt(&read["receipt"], level);
            assert!(level == "session" || read["receipt"]["bound_ms"].as_u64() <= level[8..].parse().ok(), "{read}");
        }
    }

    // What no other can prove, the leader can.
    assert_eq!(cli.json("field 30980,8190 --read bounded:0", 0)["receipt"]["bound_ms"], 0);

    let view = cli.json("view 30960,8180 --size 40x20", 0);
    assert_keys(&view, &["fields", "outcome", "receipts", "view"]);
    assert_eq!(view["view"], json!({"x": 30960, "y": 8180, "w": 40, "h": 20}));
    let fields = view["fields"].as_array().expect("a list");
    assert_eq!(fields.len(), 1, "owned ones only: {view}");
    assert_field(&fields[0]);
    let receipts = view["receipts"].as_array().expect("a list");
    for receipt in receipts {
        assert_receipt(receipt, "eventual");
    }
    let mut shards: Vec<u64> = receipts.iter().filter_map(|receipt| receipt["shard"].as_u64()).collect();
    shards.dedup();
    assert_eq!(shards.len(), receipts.len(), "one receipt per shard: {view}");
    assert_eq!(cli.json("view 30960,8180", 0)["view"], json!({"x": 30960, "y": 8180, "w": 64, "h": 32}));
    assert_eq!(cli.json("view 0,0 --size 256x257", 2)["outcome"], "invalid");

    let drawn = cli.words("view 30960,8180 --size 40x20 --as scrat").expect(0).stdout;
    assert!(!drawn.contains('\u{1b}'), "a pipe gets no colours: {drawn:?}");
    assert!(drawn.contains("8190") && drawn.contains("30960") && drawn.contains("tundra"), "{drawn}");
    let row = drawn.lines().find(|line| line.trim_start().starts_with("8190")).expect("a line for each row");
    assert_eq!(row.chars().rev().nth(19), Some('M'), "scrat's mammoth, the 21st of 40: {row:?}");

    assert_eq!(cli.json("player nobody-at-all", 3)["reason"], "no_such_player");
    let rules = cli.json("rules", 0);
    for (table, entry) in [("characters", "squirrel"), ("crops", "lichen"), ("buildings", "igloo")] {
        let entries = rules["rules"][table].as_array().unwrap_or_else(|| panic!("no {table} in {rules}"));
        assert!(entries.iter().any(|each| each["name"] == entry), "{table}");
    }

    let nodes = cli.json("admin nodes", 0);
    let nodes = nodes["nodes"].as_array().expect("a list");
    assert_eq!(nodes.len(), 3);
    for (node, id) in nodes.iter().zip(cluster.nodes()) {
        for key in ["node", "region", "pid", "state", "leads", "replicas", "quic", "http", "data"] {
            assert!(node.get(key).is_some(), "no {key} in {node}");
        }
        assert_eq!((&node["node"], &node["pid"]), (&json!(id.to_string()), &json!(cluster.pid(id))));
        assert_eq!((&node["state"], &node["replicas"]), (&json!("up"), &json!(8)));
    }
    let shards = cli.json("admin shards", 0);
    let shards = shards["shards"].as_array().expect("a list");
    assert_eq!(shards.len(), 8);
    for shard in shards {
        for key in ["shard", "buckets", "leader", "ballot", "voters", "standbys", "chosen", "applied"] {
            assert!(shard.get(key).is_some(), "no {key} in {shard}");
        }
        assert_eq!(shard["voters"], json!(["n1", "n2", "n3"]));
        let applied = shard["applied"].as_object().expect("by node");
        assert_eq!(applied.keys().collect::<Vec<_>>(), ["n1", "n2", "n3"]);
    }
    let first = shards[0]["shard"].to_string();
    assert_eq!(cli.json(&format!("admin shard {first}"), 0)["shard"]["shard"], shards[0]["shard"]);
    cli.json("admin shard 4000000", 2);
    cli.json("admin status", 0);
    for verb in ["field 30980,8190", "player scrat", "rules", "admin status", "admin nodes", "admin shards"] {
        let said = cli.words(verb).expect(0).stdout;
        assert!(!said.is_empty() && !said.contains('\u{1b}'), "{verb}: {said:?}");
    }
    cluster.down();
}

#[test]
fn what_is_wrong_whatever_the_worlds_state_ends_with_2_and_says_what() {
    let mut cluster = Cluster::start("wrong", SMALL);
    let cli = cluster.cli();
    for (line, said) in [
        ("claim 1000000,0 --as scrat", "1000000"),
        ("claim 5 --as scrat", "5"),
        ("claim -1,5 --as scrat", "-1"),
        ("claim 30980,8190", "--as"),
        ("claim 30980,8190 --as scrat --character gnu", "gnu"),
        ("plant 30980,8190 wheat --as scrat", "wheat"),
        ("build 30980,8190 tower --as scrat", "tower"),
        ("offer 30980,8190 much --as scrat", "much"),
        ("field 30980,8190 --read sometimes", "sometimes"),
        ("field 30980,8190 --from 2", "2"),
        ("field 30980,8190 --from n9", "n9"),
        ("view 30980,8190 --size 8", "8"),
        ("player", "--as"),
        ("tend 30980,8190 --as 123456789012345678901234567890123", "32"),
        ("frobnicate", "frobnicate"),
        ("field 30980,8190 --cluster nowhere.toml", "nowhere.toml"),
    ] {
        let answer = cli.words(&format!("{line} --json")).expect(2).says(&[said]);
        let object = answer.json();
        assert_eq!(object["outcome"], "invalid", "{line}: {object}");
        assert!(object["message"].as_str().is_some_and(|message| !message.is_empty()), "{line}: {object}");
    }
    let not_text = OsString::from_vec(b"scr\xffat".to_vec());
    let line = ["claim", "30980,8190", "--as"].map(OsString::from);
    let _ = cli.run(&[&line[..], &[not_text]].concat()).expect(2);
    let blank = cli.run(&["claim", "30980,8190", "--as", ""]);
    let _ = blank.expect(2);
    assert_eq!(cli.json("field 30980,8190", 0)["field"]["version"], 0, "nothing of all that was done");
    cluster.down();
}

#[test]
fn every_verb_explains_itself_and_the_examples_in_the_help_work() {
    let mut cluster = Cluster::start("help", SMALL);
    let cli = cluster.cli();
    assert_eq!(cli.words("--version").expect(0).stdout.trim(), format!("icefarm {}", env!("CARGO_PKG_VERSION")));
    let mut examples = Vec::new();
    let mut pending = vec![String::new()];
    let mut verbs = 0;
    while let Some(verb) = pending.pop() {
        let help = cli.words(&format!("{verb} --help")).expect(0).stdout;
        assert!(help.contains("Usage: icefarm"), "{verb}: {help}");
        verbs += 1;
        examples.extend(help.lines().filter_map(example));
        let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        let names = commands.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
        pending.extend(names.filter(|name| *name != "help").map(|name| format!("{verb} {name}")));
    }
    assert!(verbs > 18, "only {verbs} verbs were found");
    // `watch` goes on for ever: `processes.rs` has it.
    let runnable = ["up", "node", "cluster", "completions", "watch"];
    examples.retain(|line| !runnable.contains(&line.split_whitespace().next().unwrap_or_default()));
    // Others have these: they need five nodes, or a node that is down, or go on for ever too.
    let elsewhere = ["admin replica", "admin transfer-leader", "admin verify", "admin repair", "admin top"];
    examples.retain(|line| !elsewhere.iter().any(|verb| line.starts_with(verb)));
    let top = cli.json("admin top --every 200ms --rounds 1", 0);
    let nodes = top["nodes"].as_array().expect("a list");
    let leads: u64 = nodes.iter().filter_map(|node| node["leads"].as_u64()).sum();
    assert_eq!((nodes.len(), leads, &top["shards"]), (3, 8, &json!({ "total": 8, "leaderless": 0 })), "{top}");
    // First what takes land, so that the rest has some.
    examples.sort_by_key(|line| !line.starts_with("claim"));
    assert!(examples.len() > 5, "{examples:?}");
    for example in examples {
        let answer = cli.words(&example);
        // Done, or refused by the rules (the land is taken by another example); never a mistake in the help.
        assert!(matches!(answer.status, Some(0 | 3)), "an example in the help: {answer:#?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(cli.words(&format!("completions {shell}")).expect(0).stdout.contains("icefarm"));
    }
    cluster.down();
}

#[test]
fn two_of_three_nodes_down_claims_are_unavailable_and_name_them() {
    let mut cluster = Cluster::start("minority", SMALL);
    let cli = cluster.cli();
    cli.json("claim 30980,8190 --as scrat", 0);
    cluster.operator().wait_caught_up(LONG);
    cluster.kill_together(&[NodeId(2), NodeId(3)]);
    let answer = until("the survivor knows that it is alone", LONG, || {
        let answer = cli.words("claim 30981,8190 --as scrat --timeout 4s --json");
        assert_eq!(answer.status, Some(4), "{answer:#?}");
        let object = answer.json();
        if object["applied"] == "no" { Ok(answer) } else { Err(object.to_string()) }
    });
    let object = answer.json();
    assert_keys(&object, &["applied", "missing", "outcome", "reason", "retry_after_ms"]);
    assert_eq!((&object["outcome"], &object["missing"]), (&json!("unavailable"), &json!(["n2", "n3"])));
    assert!(object["retry_after_ms"].as_u64().is_some_and(|ms| ms > 0), "{object}");
    let _ = answer.says(&["n2", "n3"]);
    let strong = cli.json("field 30980,8190 --timeout 4s", 4);
    assert_eq!(strong["missing"], json!(["n2", "n3"]));
    let stale = cli.json("field 30980,8190 --read eventual", 0);
    assert_eq!((&stale["field"]["owner"], &stale["receipt"]["node"]), (&json!("scrat"), &json!("n1")));
    let nodes = cli.json("admin nodes --timeout 4s", 0);
    let states: Vec<&Value> = nodes["nodes"].as_array().expect("a list").iter().map(|node| &node["state"]).collect();
    assert_eq!(states, ["up", "down", "down"]);
    cluster.kill(NodeId(1));
    let nobody = cli.json("claim 30981,8190 --as scrat --timeout 4s", 4);
    assert_eq!((&nobody["applied"], &nobody["missing"]), (&json!("no"), &json!(["n1", "n2", "n3"])));

    cluster.nodes().for_each(|node| cluster.restart(node));
    cluster.wait_ready(&[NodeId(1), NodeId(2), NodeId(3)], LONG);
    assert_eq!(cli.json("field 30980,8190", 0)["field"]["owner"], "scrat");
    let refused = cli.json("field 30981,8190", 0)["field"]["owner"].clone();
    println!("the claim that was not answered: owner {refused}");
    cluster.down();
}

#[test]
fn a_token_allows_what_it_says_and_one_of_another_cluster_nothing() {
    let mut cluster = Cluster::start("tokens", SMALL);
    let profile = cluster.profile();
    let cli_with = |name: &str, key: &Path, profile: &Profile, subject| {
        let key = TokenKey::load(key).expect("founded with the cluster");
        let token = key.issue(&Token { cluster: profile.cluster, subject, issued: Millis(0), expires: None });
        let path = cluster.data().join(name);
        Profile { token, ..profile.clone() }.save(&path).expect("a folder of ours");
        Cli::new(&path, cluster.folder())
    };
    let key = cluster.data().join("ca/token.key");
    let sid = Subject::Player("sid".parse().expect("a name"));
    let own = cli_with("sid.toml", &key, &profile, sid);
    own.json("claim 30980,8190 --as sid", 0);
    let refused = own.json("claim 30981,8190 --as scrat", 5);
    assert_eq!(refused["outcome"], "not_allowed");
    assert!(refused["message"].as_str().is_some_and(|why| why.contains("sid")), "{refused}");
    own.json("field 30980,8190", 0);
    assert_eq!(own.json("admin nodes", 5)["outcome"], "not_allowed");
    assert_eq!(own.json("admin shards", 5)["outcome"], "not_allowed");

    let other = cluster.folder().join("other");
    let init = ["cluster", "init", "other", "--node", "127.0.0.1:4401,8081", "--voters", "1"];
    let _ = cluster.cli().run(&init).expect(0);
    let foreign = cli_with("foreign.toml", &other.join("ca/token.key"), &profile, Subject::LocalOperator);
    let answer = foreign.words("field 30980,8190 --json").expect(5);
    assert_eq!(answer.json()["outcome"], "not_allowed");
    let _ = answer.says(&["not this cluster's", "foreign.toml"]);
    cluster.down();
}

#[test]
fn up_refuses_what_this_machine_cannot_give_with_6_and_other_clusters_with_2() {
    let mut cluster = Cluster::start("refusals", Options { nodes: 1, shards: 2 });
    let cli = cluster.cli();
    cli.json("claim 30980,8190 --as scrat", 0);
    let up = |more: &[&str]| run(cluster.up_command().args(more));
    let _ = up(&[]).expect(6).says(&["in use", &data(&cluster)]);
    let _ = up(&["--fresh"]).expect(6).says(&["in use"]);
    cli.json("field 30980,8190", 0);
    cluster.down();

    let up = |more: &[&str]| run(cluster.up_command().args(more));
    for (option, asked, has) in [("--nodes", "3", "1"), ("--shards", "4", "2"), ("--voters", "3", "1")] {
        let _ = up(&[option, asked]).expect(2).says(&[option, asked, has, "--fresh"]);
    }
    let other = edited_world(cluster.folder(), "seed = 20020315", "seed = 7");
    let _ = up(&["--world", &other.to_string_lossy()]).expect(2).says(&["--world", "world.toml"]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = taken.local_addr().expect("bound").to_string();
    let busy = |quic: bool| {
        let mut command = Command::new(program::icefarm());
        command.arg("up").arg("--data").arg(cluster.data());
        run(command.args(["--http", if quic { "127.0.0.1:0" } else { &addr }]))
    };
    let _ = busy(false).expect(6).says(&[&addr, "n1"]);
    let quic = &cluster.profile().nodes[0].quic;
    let socket = UdpSocket::bind(quic).expect("the node has stopped");
    let _ = busy(true).expect(6).says(&[quic, "n1"]);
    drop((socket, taken));

    let version = cluster.home(NodeId(1)).join("data/VERSION");
    let text = fs::read_to_string(&version).expect("a stopped node's");
    fs::write(&version, text.replacen("data 2", "data 9", 1)).expect("ours");
    let _ = up(&[]).expect(6).says(&["VERSION", "format 9"]);
    fs::write(&version, text).expect("ours");
    cluster.up();
    assert_eq!(cli.json("field 30980,8190", 0)["field"]["owner"], "scrat", "nothing of all that lost anything");
    cluster.down();
    cluster.up_with(&["--fresh"]);
    assert_eq!(cluster.cli().json("field 30980,8190", 0)["field"]["owner"], Value::Null, "fresh is fresh");
    cluster.down();
}

#[test]
fn up_refuses_impossible_clusters_and_worlds_before_it_writes_anything() {
    let scratch = Scratch::new("impossible");
    let data = scratch.path().join("data");
    let up = |more: &[&str]| -> Answer {
        let mut command = Command::new(program::icefarm());
        command.arg("up").arg("--data").arg(&data).current_dir(scratch.path());
        run(command.args(more))
    };
    for (options, said) in [
        (["--nodes", "0"], "0"),
        (["--nodes", "many"], "many"),
        (["--shards", "48"], "48"),
        (["--voters", "5"], "5"),
        (["--http", "nowhere"], "nowhere"),
        (["--world", "no-such-world.toml"], "no-such-world.toml"),
    ] {
        let _ = up(&options).expect(2).says(&[said]);
    }
    for (before, after, said) in [
        ("yields = 2\n", "yields = \"two\"\n", "two"),
        ("ripens_after = \"20s\"", "ripens_after = \"soon\"", "soon"),
        ("grows_on = [\"ice\", \"snow\", \"tundra\", \"pine\"]", "grows_on = [\"lava\"]", "lava"),
        ("fields_per_chunk = 64", "fields_per_chunk = 65", "65"),
        ("starting_acorns", "staring_acorns", "staring_acorns"),
        ("[rules]", "[[reads]]\nlevel = 'fresh'\n[rules]", "'fresh'"),
        ("[rules]", "[[reads]]\nshards = [1, 65]\nlevel = \"strong\"\n[rules]", "[1, 65]"),
    ] {
        let world = edited_world(scratch.path(), before, after);
        let text = fs::read_to_string(&world).expect("just written");
        let line = 1 + text.lines().position(|line| line.contains(said)).expect("just put there");
        let place = format!("{}:{line}", world.display());
        let _ = up(&["--world", &world.to_string_lossy()]).expect(2).says(&[&place, said]);
    }
    assert!(!data.exists(), "a refusal leaves nothing behind");
    fs::create_dir(&data).expect("ours");
    fs::write(data.join("letters.txt"), "dear diary").expect("ours");
    let _ = up(&[]).expect(6).says(&["not empty"]);
    let _ = up(&["--fresh"]).expect(6).says(&["not empty"]);
    assert_eq!(fs::read_to_string(data.join("letters.txt")).expect("still there"), "dear diary");
}

fn words(a: &str, b: &str, c: &str) -> (&'static Value, &'static Value, &'static Value) {
    let leak = |text: &str| &*Box::leak(Box::new(json!(text)));
    (leak(a), leak(b), leak(c))
}

fn assert_keys(object: &Value, expected: &[&str]) {
    let object = object.as_object().unwrap_or_else(|| panic!("{object} is no object"));
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, expected);
}

fn assert_field(field: &Value) {
    assert_keys(field, &FIELD);
    assert!(field["structures"].is_array() && field["version"].is_u64() && field["claimable"].is_boolean(), "{field}");
}

fn assert_receipt(receipt: &Value, level: &str) {
    assert_eq!(receipt["level"], level);
    assert!(receipt["shard"].is_u64() && receipt["slot"].is_u64() && receipt["node"].is_string(), "{receipt}");
    match level {
        "strong" => assert_eq!(receipt["bound_ms"], 0),
        _ => assert!(
            receipt.get("bound_ms").is_none_or(Value::is_u64),
            "a bound nobody can prove is left out: {receipt}"
        ),
    }
}

/// From sowing to harvest, in milliseconds.
fn ripening(answer: &Value) -> u64 {
    let crop = &answer["field"]["crop"];
    let at = |key: &str| crop[key].as_u64().unwrap_or_else(|| panic!("no {key} in {answer}"));
    at("ripe_ms") - at("planted_ms")
}

/// The words of an example in a help text, without the program's name, comments and explanations.
fn example(line: &str) -> Option<String> {
    let words = line.strip_prefix("  icefarm ")?;
    let words = words.split('#').next().unwrap_or_default().split("  ").next().unwrap_or_default().trim();
    (!words.is_empty()).then(|| words.to_owned())
}

/// The default world with one change, in a file of its own.
fn edited_world(folder: &Path, before: &str, after: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../maps/worlds/ice-age.toml");
    let text = fs::read_to_string(source).expect("the repository has the world");
    assert!(text.contains(before), "the world has no {before}");
    let path = folder.join("edited.toml");
    fs::write(&path, text.replacen(before, after, 1)).expect("a folder of ours");
    path
}

/// The first field of this terrain on a row.
fn first(cluster: &Cluster, terrain: Terrain) -> FieldId {
    let operator = cluster.operator();
    let row = (0..100_000).map(|x| FieldId::new(x, 8_190).expect("on the grid"));
    let mut found = row.filter(|field| operator.client().terrain().at(*field) == terrain);
    found.next().expect("a row without a lake is a short row")
}

fn data(cluster: &Cluster) -> String {
    cluster.data().display().to_string()
}
