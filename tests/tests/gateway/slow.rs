//! Viewers who read nothing, or say too much.

use super::*;
use client::Client;
use cluster_tests::http;
use cluster_tests::storm::land;
use cluster_tests::viewer::Viewer;
use std::collections::BTreeMap;
use world::{CharacterId, FieldId};

/// Over a narrow pipe, while a viewer reads nothing, more changes than find room anywhere on the way to it.
#[test]
fn a_viewer_that_reads_nothing_is_told_less_of_it_and_in_the_end_the_same() {
    const ROUNDS: usize = 96;
    let mut cluster = Cluster::start("gateway-slow", SMALL);
    let operator = cluster.operator();
    let fields = land(operator.client().terrain(), 320, 20);
    let (x, y) = fields.iter().map(|field| (field.x() / 64 * 64, field.y() / 64 * 64)).min().expect("there are some");
    let chunks = 16;
    let view = (x, y, 64 * chunks, 64);
    let mut slow = Viewer::narrow(&cluster.http(N1), "a-viewer-who-is-slow");
    let (mut quick, _) = Viewer::welcomed(&cluster.http(N1), "a-viewer-who-is-quick", None);
    slow.look(view, &json!([]));
    quick.look(view, &json!([]));
    let before = memory(&cluster, N1);
    let all_are_owned = |viewer: &Viewer| {
        fields.iter().all(|field| viewer.owner(field.x().into(), field.y().into()).as_deref() == Some("the-last"))
    };
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| operator.run(churn(operator.client(), &fields, ROUNDS)));
        quick.until("all has changed hands for the last time", all_are_owned);
        busy.join().expect("all of it was done");
    });
    let grown = memory(&cluster, N1).saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes more");
    let (_, figures) = http::get(&cluster.http(N1), "/metrics").expect("it answers");
    let held_back =
        figures.lines().find_map(|line| line.strip_prefix("icefarm_gateway_held_back_total ")?.parse().ok());
    assert!(held_back > Some(0_u64), "it never was behind: {held_back:?}");

    slow.until("the end of it is seen", all_are_owned);
    assert_eq!(versions(&slow), versions(&quick));
    assert!(slow.partial < quick.partial, "{} frames, and {} for the quick", slow.partial, quick.partial);
    assert_eq!(quick.whole, quick.land.len(), "who reads is never shown the whole again");
    cluster.down();
}

/// Each chunk's fields come and go again and again, and in the end are those of `the-last`.
async fn churn(client: &Client, fields: &[FieldId], rounds: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for chunk in 0..16 {
        // (Neighbours in the list lie in different chunks.)
        let fields: Vec<FieldId> = fields.iter().skip(chunk).step_by(16).copied().collect();
        let player = client.player(&format!("churner-{chunk}")).expect("a name");
        let last = client.player("the-last").expect("a name");
        tasks.spawn(async move {
            for _ in 0..rounds {
                for field in &fields {
                    player.claim(*field, CharacterId(0)).await.unwrap_or_else(|error| panic!("{field}: {error}"));
                }
                for field in &fields {
                    player.abandon(*field).await.unwrap_or_else(|error| panic!("{field}: {error}"));
                }
            }
            for field in fields {
                last.claim(field, CharacterId(0)).await.unwrap_or_else(|error| panic!("{field}: {error}"));
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("it did not panic");
    }
}

/// The version of each field that was told.
fn versions(viewer: &Viewer) -> BTreeMap<((u64, u64), u64), u64> {
    let chunks = viewer.land.iter();
    chunks
        .flat_map(|(at, chunk)| chunk.fields.iter().map(|(offset, (version, _))| ((*at, *offset), *version)))
        .collect()
}

/// Who only talks is not listened to for ever, and holds nobody up.
#[test]
fn a_viewer_that_says_too_much_is_heard_later_and_others_at_once() {
    let mut cluster = Cluster::start("gateway-loud", SMALL);
    let (mut loud, _) = Viewer::welcomed(&cluster.http(N1), "a-viewer-who-is-loud", None);
    let before = memory(&cluster, N1);
    let far = |nth: u32| json!({"type": "look", "id": 1, "level": 0, "x": nth * 1_024, "y": 0, "w": 1_024, "h": 512});
    let said = loud.say_until_nobody_listens(&[far(0), far(1), far(2), far(3)]);
    assert!(said > 512, "{said}");

    let scrat = Api::enter(&cluster, N2, "scrat");
    let (mut calm, _) = Viewer::welcomed(&cluster.http(N1), "a-viewer-who-is-calm", None);
    calm.look(VIEW, &json!([]));
    for nth in 0..50 {
        scrat.give(field(nth), "claim", &json!({"character": "sloth"})).expect(200);
        calm.until("it is seen", |viewer| viewer.owner(30_930 + u64::from(nth), 8_190).is_some());
    }
    let grown = memory(&cluster, N1).saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes for one who only talks");
    // And when it listens, it hears that it went too far.
    let early = loop {
        if let Some(message) = loud.hear()
            && message["type"] == "problem"
        {
            break message;
        }
    };
    assert_eq!(early["problem"]["type"], "urn:icefarm:problem:too-many-requests");
    assert!(early["problem"]["retry_after_ms"].as_u64() > Some(0), "{early}");
    cluster.down();
}

/// What a node's process holds, in bytes.
fn memory(cluster: &Cluster, node: NodeId) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", cluster.pid(node))).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux tells");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}
