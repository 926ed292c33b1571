//! What viewers see as it changes, wherever they are.

use super::*;
use cluster_tests::until;
use cluster_tests::viewer::Viewer;
use std::collections::BTreeSet;

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
