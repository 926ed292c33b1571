//! What cannot be meant.

use super::*;
use cluster_tests::viewer::Viewer;

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
