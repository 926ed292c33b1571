//! The gateway of real nodes: HTTP as game servers use it, and the WebSocket without an SDK.

use cluster_tests::http::{Reply, ask};
use cluster_tests::viewer::Viewer;
use cluster_tests::{Cluster, Options, until};
use paxos::NodeId;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const SMALL: Options = Options { nodes: 3, shards: 8 };
const LONG: Duration = Duration::from_secs(30);
const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);
/// Claimable land, and a view of it that touches four chunks.
const VIEW: (u32, u32, u32, u32) = (30_930, 8_160, 70, 60);

fn field(nth: u32) -> (u32, u32) {
    (30_930 + nth, 8_190)
}

/// One node's API, as one player.
struct Api {
    addr: String,
    token: Option<String>,
}

impl Api {
    fn of(cluster: &Cluster, node: NodeId) -> Self {
        Self { addr: cluster.http(node), token: None }
    }

    /// As a new player.
    fn enter(cluster: &Cluster, node: NodeId, name: &str) -> Self {
        let api = Self::of(cluster, node);
        let entered = api.post("/v1/players", &json!({"name": name})).expect(201);
        assert_eq!((&entered["outcome"], &entered["player"]["name"]), (&json!("registered"), &json!(name)));
        Self { token: entered["token"].as_str().map(str::to_owned), ..api }
    }

    fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), &[], None)
    }

    fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask(&format!("POST {path}"), &[], Some(&body.to_string()))
    }

    /// A command on a field.
    fn give(&self, (x, y): (u32, u32), command: &str, body: &Value) -> Reply {
        self.post(&format!("/v1/fields/{x}/{y}/{command}"), body)
    }

    fn ask(&self, line: &str, headers: &[(&str, &str)], body: Option<&str>) -> Reply {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut all: Vec<(&str, &str)> = headers.to_vec();
        if let Some(bearer) = &bearer {
            all.push(("Authorization", bearer));
        }
        ask(&self.addr, line, &all, body).unwrap_or_else(|error| panic!("{error}"))
    }
}

#[test]
fn http_does_what_the_command_line_does_with_the_same_objects() {
    let mut cluster = Cluster::start("gateway-http", SMALL);
    let (scrat, sid) = (Api::enter(&cluster, N1, "scrat"), Api::enter(&cluster, N2, "sid"));
    let cli = cluster.cli();

    let claimed = scrat.give(field(0), "claim", &json!({"character": "mammoth"})).expect(200);
    assert_eq!((&claimed["outcome"], &claimed["field"]["owner"]), (&json!("claimed"), &json!("scrat")));
    let lost = sid.give(field(0), "claim", &json!({"character": "sloth"})).expect(409);
    assert_eq!((&lost["reason"], &lost["owner"]), (&json!("already_owned"), &json!("scrat")));
    for (command, body, outcome) in [
        ("plant", json!({"crop": "lichen"}), "planted"),
        ("tend", json!({}), "tended"),
        ("build", json!({"building": "igloo"}), "built"),
        ("offer", json!({"price": 25}), "offered"),
        ("offer", json!({"price": null}), "offered"),
    ] {
        assert_eq!(scrat.give(field(0), command, &body).expect(200)["outcome"], outcome);
    }
    let harvested = until("it is ripe", LONG, || {
        let reply = scrat.give(field(0), "harvest", &json!({}));
        if reply.status == 200 { Ok(reply.expect(200)) } else { Err(reply.body) }
    });
    assert_eq!((&harvested["outcome"], &harvested["acorns"]), (&json!("harvested"), &json!(2)));

    let (x, y) = field(0);
    let read = sid.get(&format!("/v1/fields/{x}/{y}?read=strong")).expect(200);
    assert_eq!(read["field"], cli.json(&format!("field {x},{y}"), 0)["field"]);
    let view = sid.get(&format!("/v1/view?x={x}&y={y}&w=8&h=4&read=strong")).expect(200);
    let printed = cli.json(&format!("view {x},{y} --size 8x4 --read strong"), 0);
    assert_eq!((&view["view"], &view["fields"]), (&printed["view"], &printed["fields"]));
    assert_eq!(sid.get("/v1/rules").expect(200)["rules"], cli.json("rules", 0)["rules"]);
    let land = sid.get("/v1/players/scrat/land?read=strong").expect(200);
    assert_eq!(land["chunks"], json!([{"x": x / 64 * 64, "y": y / 64 * 64, "fields": 1}]));
    until("the harvest has arrived", LONG, || {
        let player = sid.get("/v1/players/scrat?read=strong").expect(200)["player"].clone();
        let arrived = player["acorns"] == 102 && player["pending"] == 0 && player["fields"] == 1;
        if arrived { Ok(()) } else { Err(player.to_string()) }
    });
    assert_eq!(scrat.give(field(0), "abandon", &json!({})).expect(200)["outcome"], "abandoned");
    assert_eq!(sid.get("/v1/players/scrat/land?read=strong").expect(200)["chunks"], json!([]));
    cluster.down();
}

#[test]
fn what_cannot_be_done_is_a_problem_that_says_what_is_wrong() {
    let mut cluster = Cluster::start("gateway-problems", SMALL);
    let scrat = Api::enter(&cluster, N1, "scrat");
    let nobody = Api::of(&cluster, N1);
    let liar = Api { token: Some("00ff".to_owned()), ..Api::of(&cluster, N1) };
    let claim = json!({"character": "mammoth"});

    assert_eq!(nobody.give(field(1), "claim", &claim).problem(401), "no-token");
    assert_eq!(liar.give(field(1), "claim", &claim).problem(401), "bad-token");
    assert_eq!(nobody.post("/v1/players", &json!({"name": "scrat"})).expect(409)["reason"], "name_taken");
    for (body, wrong) in [(json!({"name": ""}), "name"), (json!({"name": 5}), "string"), (json!({}), "name")] {
        let reply = nobody.post("/v1/players", &body);
        assert_eq!(reply.problem(400), "bad-request");
        assert!(reply.body.contains(wrong), "{reply:?}");
    }
    let unknown = scrat.give(field(1), "claim", &json!({"character": "dodo"}));
    assert_eq!(unknown.problem(400), "unknown-entry");
    assert!(unknown.body.contains("dodo") && unknown.body.contains("snow-owl"), "{unknown:?}");
    for path in [
        "/v1/fields/1000000/0",
        "/v1/fields/-1/0",
        "/v1/fields/0/0?read=perhaps",
        "/v1/fields/0/0?reed=strong",
        "/v1/view?x=0&y=0&w=0&h=5",
        "/v1/players/a%20?read=x",
        "/v1/players/a/land?after=x",
    ] {
        assert_eq!(nobody.get(path).problem(400), "bad-request", "{path}");
    }
    assert_eq!(nobody.get("/v1/view?x=0&y=0&w=1000&h=1000").problem(413), "too-large");
    assert_eq!(nobody.get("/v1/players/nobody-yet").problem(404), "no-such-player");
    assert_eq!(nobody.get("/v2/fields").problem(404), "no-such-path");
    assert_eq!(nobody.ask("DELETE /v1/rules", &[], None).problem(405), "method-not-allowed");
    assert_eq!(scrat.ask("POST /v1/fields/5/5/claim", &[], Some("{not json")).problem(400), "bad-request");
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(1 << 20));
    assert_eq!(nobody.ask("POST /v1/players", &[], Some(&large)).problem(413), "too-large");
    let key = [("Idempotency-Key", "x".repeat(65))];
    let key: Vec<_> = key.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(scrat.ask("POST /v1/fields/5/5/claim", &key, Some("{}")).problem(400), "bad-request");
    assert_eq!(nobody.get("/v1/ws").problem(400), "bad-request");
    cluster.down();
}

#[test]
fn a_command_with_a_key_takes_effect_once_on_whichever_node_it_is_repeated() {
    let mut cluster = Cluster::start("gateway-key", SMALL);
    let one = Api::enter(&cluster, N1, "scrat");
    let other = Api { addr: cluster.http(N2), token: one.token.clone() };
    let (x, y) = field(2);
    let line = format!("POST /v1/fields/{x}/{y}/claim");
    let claim = |api: &Api, key: &str| api.ask(&line, &[("Idempotency-Key", key)], Some("{\"character\":\"mammoth\"}"));

    let told = |reply: &Reply| {
        let done = reply.expect(200);
        (done["outcome"].clone(), done["field"].clone())
    };
    let first = told(&claim(&one, "key-1"));
    assert_eq!(told(&claim(&other, "key-1")), first, "the first answer");
    assert_eq!(one.give(field(2), "abandon", &json!({})).expect(200)["outcome"], "abandoned");
    assert_eq!(told(&claim(&other, "key-1")), first);
    let read = other.get(&format!("/v1/fields/{x}/{y}?read=strong")).expect(200);
    assert_eq!(read["field"]["owner"], Value::Null, "the repetition claimed nothing");
    assert_eq!(claim(&other, "key-2").expect(200)["outcome"], "claimed", "another key is another command");

    // Whoever asks again for a player with the same key gets the token again; anybody else does not.
    let body = "{\"name\":\"manny\"}";
    let enter = |api: &Api, key: &str| api.ask("POST /v1/players", &[("Idempotency-Key", key)], Some(body));
    let (n1, n3) = (Api::of(&cluster, N1), Api::of(&cluster, N3));
    let token = enter(&n1, "secret").expect(201)["token"].clone();
    let again = Api { token: enter(&n3, "secret").expect(201)["token"].as_str().map(str::to_owned), ..n3 };
    assert!(token.is_string());
    assert_eq!(again.give(field(3), "claim", &json!({"character": "sloth"})).expect(200)["field"]["owner"], "manny");
    assert_eq!(enter(&n1, "guessed").expect(409)["reason"], "name_taken");
    cluster.down();
}

#[test]
fn a_viewer_is_told_what_changes_and_nothing_else_and_nothing_twice() {
    let mut cluster = Cluster::start("gateway-live", SMALL);
    let scrat = Api::enter(&cluster, N1, "scrat");
    scrat.give(field(0), "claim", &json!({"character": "mammoth"})).expect(200);
    let (mut viewer, welcome) = Viewer::welcomed(&cluster.http(N2), "a-viewer-of-a-test", None);
    assert_eq!((&welcome["node"], &welcome["player"]), (&json!("n2"), &Value::Null));
    assert_eq!(welcome["nodes"].as_array().map(Vec::len), Some(2));
    viewer.look(VIEW, &json!([]));
    viewer.until("what was there is seen", |viewer| viewer.owner(30_930, 8_190).as_deref() == Some("scrat"));
    assert_eq!(viewer.whole, viewer.land.len(), "each block once");

    for nth in 1..=20 {
        scrat.give(field(nth), "claim", &json!({"character": "mammoth"})).expect(200);
    }
    viewer.until("all is seen", |viewer| (30_931..=30_950).all(|x| viewer.owner(x, 8_190).as_deref() == Some("scrat")));
    assert_eq!(viewer.whole, viewer.land.len(), "and never all of it again");
    assert!(viewer.partial <= 20, "{} frames for 20 claims", viewer.partial);

    // One block further east: only the strip that is new is sent.
    let (before, (x, y, w, h)) = (viewer.whole, VIEW);
    viewer.look((x + 64, y, w, h), &json!([]));
    viewer.until("the strip is there", |viewer| viewer.land.len() > before);
    assert_eq!(viewer.whole, viewer.land.len());
    cluster.down();
}

#[test]
fn a_viewer_that_goes_on_at_another_node_has_missed_nothing_and_is_told_only_that() {
    let mut cluster = Cluster::start("gateway-resume", SMALL);
    let scrat = Api::enter(&cluster, N1, "scrat");
    scrat.give(field(0), "claim", &json!({"character": "mammoth"})).expect(200);
    let (mut first, _) = Viewer::welcomed(&cluster.http(N3), "a-viewer-of-a-test", None);
    first.look(VIEW, &json!([]));
    first.until("it is seen", |viewer| viewer.owner(30_930, 8_190).is_some());

    cluster.kill(N3);
    for nth in 1..=5 {
        until("claims are served", LONG, || {
            let reply = scrat.give(field(nth), "claim", &json!({"character": "mammoth"}));
            if matches!(reply.status, 200 | 409) { Ok(()) } else { Err(reply.body) }
        });
    }
    scrat.give(field(0), "abandon", &json!({})).expect(200);

    let (mut second, _) = Viewer::welcomed(&cluster.http(N2), "a-viewer-of-a-test", None);
    second.land = first.land.clone();
    let look = json!({"type": "look", "id": 1, "level": 0, "x": VIEW.0, "y": VIEW.1, "w": VIEW.2, "h": VIEW.3, "have": first.have()});
    second.say(&look);
    let _ = second.control("looking");
    second.until("nothing is missing", |viewer| {
        (30_931..=30_935).all(|x| viewer.owner(x, 8_190).is_some()) && viewer.owner(30_930, 8_190).is_none()
    });
    assert_eq!(second.whole, 0, "it held all of it but what has changed");
    cluster.down();
}

#[test]
fn a_node_without_replicas_shows_the_same_land_and_tells_what_changes() {
    let mut cluster = Cluster::prepare("gateway-afar", Options { nodes: 5, shards: 8 });
    cluster.up_with(&["--voters", "3"]);
    let scrat = Api::enter(&cluster, N1, "scrat");
    for nth in 0..4 {
        scrat.give(field(nth * 7), "claim", &json!({"character": "mammoth"})).expect(200);
    }
    let mut viewers: Vec<Viewer> = cluster
        .nodes()
        .map(|node| Viewer::welcomed(&cluster.http(node), &format!("the-viewer-at-{node}"), None).0)
        .collect();
    for viewer in &mut viewers {
        viewer.look(VIEW, &json!([]));
        viewer.until("all is seen", |viewer| (0..4).all(|nth| viewer.owner(30_930 + nth * 7, 8_190).is_some()));
    }
    scrat.give(field(30), "claim", &json!({"character": "mammoth"})).expect(200);
    for viewer in &mut viewers {
        viewer.until("the change is seen", |viewer| viewer.owner(30_960, 8_190).is_some());
    }
    cluster.down();
}

#[test]
fn from_afar_counts_agree_with_the_fields_and_follow_them() {
    let mut cluster = Cluster::start("gateway-tiles", SMALL);
    let scrat = Api::enter(&cluster, N1, "scrat");
    let places: BTreeSet<(u32, u32)> = (0..25).map(|nth| field(nth * 2)).collect();
    for place in &places {
        scrat.give(*place, "claim", &json!({"character": "mammoth"})).expect(200);
    }
    let expected = |level: u32, places: &BTreeSet<(u32, u32)>| {
        let mut cells = std::collections::BTreeMap::<(u64, u64, u64, u64), u64>::new();
        for (x, y) in places {
            let (cx, cy) = (u64::from(x >> (2 * level)), u64::from(y >> (2 * level)));
            *cells.entry((u64::from(level), cx / 64, cy / 64, cy % 64 * 64 + cx % 64)).or_default() += 1;
        }
        cells
    };
    let told = |viewer: &Viewer, level: u32| {
        let of = viewer.tiles.iter().filter(|((found, ..), _)| *found == u64::from(level));
        let cells = of.flat_map(|((level, bx, by), cells)| {
            cells.iter().filter(|(_, sum)| **sum > 0).map(|(offset, sum)| ((*level, *bx, *by, *offset), *sum))
        });
        cells.collect::<std::collections::BTreeMap<_, _>>()
    };
    let (mut viewer, _) = Viewer::welcomed(&cluster.http(N2), "a-viewer-from-afar", None);
    let mut now = places.clone();
    for level in 1..=7_u32 {
        let cell = |at: u32| (at >> (2 * level)).saturating_sub(20);
        viewer.say(&json!({"type": "look", "id": level, "level": level, "x": cell(30_930), "y": cell(8_190), "w": 60, "h": 40}));
        let _ = viewer.control("looking");
        viewer.until("all are counted", |viewer| told(viewer, level) == expected(level, &now));
        // And one field fewer.
        let gone = *now.iter().next().expect("some are left");
        scrat.give(gone, "abandon", &json!({})).expect(200);
        now.remove(&gone);
        viewer.until("one is counted no more", |viewer| told(viewer, level) == expected(level, &now));
    }
    cluster.down();
}

#[test]
fn a_viewer_plays_over_its_socket_and_a_repetition_elsewhere_hears_the_first_answer() {
    let mut cluster = Cluster::start("gateway-play", SMALL);
    let scrat = Api::enter(&cluster, N1, "scrat");
    let claim = json!({"type": "command", "id": 9, "number": 1, "floor": 1, "do": "claim", "x": 30_930, "y": 8_190, "character": "mammoth"});
    let (mut viewer, welcome) = Viewer::welcomed(&cluster.http(N1), "one-instance-of-a-page", scrat.token.as_deref());
    assert_eq!(welcome["player"], "scrat");
    viewer.say(&claim);
    let answer = viewer.control("answer");
    assert_eq!(
        (&answer["id"], &answer["number"], &answer["result"]["outcome"]),
        (&json!(9), &json!(1), &json!("claimed"))
    );

    let (mut elsewhere, _) = Viewer::welcomed(&cluster.http(N2), "one-instance-of-a-page", scrat.token.as_deref());
    elsewhere.say(&claim);
    let again = elsewhere.control("answer");
    assert_eq!((&again["id"], &again["number"]), (&answer["id"], &answer["number"]));
    for key in ["outcome", "field"] {
        assert_eq!(again["result"][key], answer["result"][key]);
    }
    let (mut another, _) = Viewer::welcomed(&cluster.http(N3), "another-instance-of-it", scrat.token.as_deref());
    another.say(&claim);
    assert_eq!(another.control("answer")["result"]["reason"], "already_owned", "its number 1 is another command");
    another.say(&json!({"type": "field", "id": 10, "x": 30_930, "y": 8_190}));
    assert_eq!(another.control("answer")["result"]["field"]["owner"], "scrat");
    another.say(&json!({"type": "ping", "id": 11}));
    assert!(another.control("pong")["time_ms"].as_u64() > Some(1_600_000_000_000));
    cluster.down();
}

#[test]
fn nonsense_closes_that_socket_alone_and_says_why() {
    let mut cluster = Cluster::start("gateway-nonsense", SMALL);
    let http = cluster.http(N1);
    let (mut calm, _) = Viewer::welcomed(&http, "somebody-who-behaves", None);
    let hello = json!({"type": "hello", "protocol": 1, "client": "somebody-who-does-not"});
    let closes = |say: &dyn Fn(&mut Viewer), code: u16, word: &str| {
        let mut viewer = Viewer::silent(&http);
        say(&mut viewer);
        let (found, reason, goodbye) = viewer.closed();
        assert_eq!(found, code, "{reason} {goodbye}");
        assert!(reason.contains(word) && goodbye["title"].is_string(), "'{word}' in {reason} {goodbye}");
    };
    closes(&|viewer| viewer.say(&json!({"type": "ping", "id": 1})), 1008, "hello");
    closes(&|viewer| viewer.say_bytes(vec![0xc1; 40]), 1002, "not a message");
    closes(&|viewer| viewer.say_text("hello"), 1003, "text");
    closes(&|viewer| viewer.say(&json!({"type": "hello", "protocol": 2, "client": "x".repeat(20)})), 1008, "protocol");
    closes(&|viewer| viewer.say(&json!({"type": "hello", "protocol": 1, "client": "x"})), 1008, "client");
    let token = json!({"type": "hello", "protocol": 1, "client": "x".repeat(20), "token": "00"});
    closes(&|viewer| viewer.say(&token), 1008, "token");
    let large = |viewer: &mut Viewer| {
        viewer.say(&hello);
        let _ = viewer.control("welcome");
        viewer.say_bytes(vec![0xc1; 20 << 10]);
    };
    closes(&large, 1009, "16384");
    let stubborn = |viewer: &mut Viewer| {
        viewer.say(&hello);
        for _ in 0..16 {
            viewer.say_bytes(vec![0xc1; 4]);
        }
    };
    closes(&stubborn, 1002, "not a message");

    for (message, word) in [
        (json!({"type": "hello", "protocol": 1, "client": "x".repeat(20)}), "already"),
        (json!({"type": "look", "id": 1, "level": 8, "x": 0, "y": 0, "w": 1, "h": 1}), "level"),
        (json!({"type": "look", "id": 1, "level": 0, "x": 0, "y": 0, "w": 0, "h": 1}), "nothing"),
        (json!({"type": "look", "id": 1, "level": 0, "x": 1_000_000, "y": 0, "w": 1, "h": 1}), "off the grid"),
        (json!({"type": "look", "id": 1, "level": 0, "x": 0, "y": 0, "w": 2_000, "h": 1}), "1024"),
        (json!({"type": "look", "id": 1, "level": 0, "x": 0, "y": 0, "w": 1_024, "h": 1_024}), "128"),
        (json!({"type": "look", "id": 1, "level": 0, "x": 0, "y": 0, "w": 1, "h": 1, "read": "perhaps"}), "perhaps"),
        (json!({"type": "field", "id": 1, "x": 0, "y": 1_000_000}), "off the grid"),
        (json!({"type": "command", "id": 1, "number": 1, "floor": 1, "do": "claim", "x": 0, "y": 0}), "token"),
        (json!({"type": "dance"}), "dance"),
    ] {
        calm.say(&message);
        let problem = calm.control("problem");
        assert!(problem["problem"].to_string().contains(word), "'{word}' in {problem}");
    }
    calm.say(&json!({"type": "ping", "id": 7}));
    assert_eq!(calm.control("pong")["id"], 7);
    cluster.down();
}

/// Random bytes, and messages of the protocol with random bytes in them.
#[test]
fn ten_thousand_broken_messages_break_nothing() {
    let mut cluster = Cluster::start("gateway-broken", SMALL);
    let http = cluster.http(N1);
    let look =
        json!({"type": "look", "id": 1, "level": 0, "x": 30_930, "y": 8_190, "w": 64, "h": 64, "have": [[1, 2, 3, 4]]});
    let good = rmp_serde::to_vec_named(&look).expect("it has a form");
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = move |sides: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(dice >> 33).unwrap_or(0) % sides
    };
    for _ in 0..625 {
        let (mut viewer, _) = Viewer::welcomed(&http, "somebody-who-is-broken", None);
        for _ in 0..16 {
            let mut bytes = good.clone();
            for _ in 0..=roll(4) {
                let at = roll(bytes.len());
                bytes[at] = u8::try_from(roll(256)).unwrap_or(0);
            }
            bytes.truncate(1 + roll(bytes.len()));
            viewer.say_bytes(bytes);
        }
        // However it took them, it says something to the last.
        while viewer.hear_or_end().is_some_and(|message| message["type"] != "problem" && message["type"] != "looking") {
        }
    }
    let (mut calm, _) = Viewer::welcomed(&http, "somebody-who-behaves", None);
    calm.look(VIEW, &json!([]));
    assert_eq!(calm.land.len(), 4);
    cluster.down();
}
