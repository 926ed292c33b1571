//! HTTP, as game servers use it.

use super::*;
use cluster_tests::until;

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

/// With the certificate that the node shows other nodes: a browser would not take it, but whoever knows it does.
#[test]
fn with_a_certificate_the_public_address_speaks_tls_and_nothing_else() {
    let mut cluster = Cluster::prepare("gateway-tls", SMALL);
    cluster.found();
    for node in cluster.nodes() {
        let files = "tls_certificate = \"keys/node.crt\"\ntls_key = \"keys/node.key\"";
        cluster.configure(node, &[&format!("allow_origins = [\"*\"]\n{files}")]);
    }
    // It asks each node over TLS whether it is ready, and takes no other certificate.
    cluster.up();
    let addr = cluster.http(N1);
    let said = cluster.up_process().stdout();
    assert!(said.contains(&format!("https://{addr}/console")), "{said}");
    assert!(ask(&addr, "GET /readyz", &[], None).is_err(), "without TLS nobody is answered");
    cluster.down();
}
