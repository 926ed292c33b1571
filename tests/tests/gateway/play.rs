//! Commands over a WebSocket.

use super::*;
use cluster_tests::viewer::Viewer;

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
