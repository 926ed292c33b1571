use crate::nodes::*;
use client::{Applied, Client, Error, NodeState, Options, ReadOptions, Reason};
use paxos::NodeId;
use std::sync::atomic::Ordering;
use world::{CharacterId, Rect, Rejection};

#[tokio::test]
async fn a_claim_is_done_and_the_loser_hears_who_was_first() {
    let cluster = Cluster::start();
    let client = Client::connect(cluster.profile(), Options::default()).await.unwrap();
    let (scrat, sid) = (client.player("scrat").unwrap(), client.player("sid").unwrap());
    let entered = scrat.register().await.unwrap();
    assert_eq!((entered.player.name, entered.new), (scrat.name(), true));
    let done = scrat.claim(land(0), CharacterId(0)).await.unwrap();
    assert_eq!(done.field.owner, Some(scrat.name()));
    match sid.claim(land(0), CharacterId(0)).await {
        Err(Error::Rejected(Rejection::AlreadyOwned { owner, field }, receipt)) => {
            assert_eq!((owner, field, receipt.shard), (scrat.name(), land(0), done.receipt.shard));
        }
        other => panic!("{other:?}"),
    }
    let seen = client.field(land(0), ReadOptions::strong()).await.unwrap();
    assert_eq!(seen.field.owner, Some(scrat.name()));
    client.close().await;
}

#[tokio::test]
async fn views_players_and_shards_are_put_together_from_all_of_them() {
    let cluster = Cluster::start();
    let client = Client::connect(cluster.profile(), Options::default()).await.unwrap();
    let scrat = client.player("scrat").unwrap();
    let corner = land(0);
    let rect = Rect::new(corner, 400, 1).unwrap();
    let mut mine = Vec::new();
    for field in (0..10).map(|n| land(n * 20)).filter(|field| rect.contains(*field)) {
        scrat.claim(field, CharacterId(0)).await.unwrap();
        mine.push(field);
    }
    assert!(mine.len() > 3);
    let view = client.view(rect, ReadOptions::eventual()).await.unwrap();
    assert_eq!(view.fields.iter().map(|view| view.field).collect::<Vec<_>>(), mine);
    assert!(view.receipts.len() > 1, "several shards");
    let player = client.player_summary("scrat", ReadOptions::strong()).await.unwrap();
    assert_eq!((player.holdings.fields, player.receipts.len()), (mine.len() as u64, 9));
    let shards = client.shards().await.unwrap();
    assert_eq!((shards.shards.len(), shards.missing.len()), (8, 0));
    assert_eq!(shards.shards[0].replicas.len(), 3);
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_before_anything_is_sent() {
    let cluster = Cluster::start();
    let client = Client::connect(cluster.profile(), Options::default()).await.unwrap();
    assert!(matches!(client.player(""), Err(Error::Invalid { .. })));
    let long = "m".repeat(33);
    assert!(matches!(client.player_summary(&long, ReadOptions::strong()).await, Err(Error::Invalid { .. })));
    assert_eq!(cluster.world().frames.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_hint_leads_to_the_leader() {
    let cluster = Cluster::start();
    for node in [1, 2] {
        cluster.tell(NodeId(node), Mood::PointsAt(NodeId(3)));
    }
    let client = Client::connect(cluster.profile(), Options::default()).await.unwrap();
    let done = client.player("scrat").unwrap().claim(land(0), CharacterId(0)).await.unwrap();
    assert_eq!(done.receipt.node, NodeId(3));
}

#[tokio::test]
async fn nodes_that_take_a_command_and_say_nothing_leave_it_unknown() {
    let cluster = Cluster::start();
    for node in [1, 2, 3] {
        cluster.tell(NodeId(node), Mood::Silent);
    }
    let client = Client::connect(cluster.profile(), impatient()).await.unwrap();
    match client.player("scrat").unwrap().claim(land(0), CharacterId(0)).await {
        Err(Error::Unavailable { applied: Applied::Unknown, reason: Reason::Timeout, missing, .. }) => {
            assert!(!missing.is_empty());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_node_that_is_down_is_reported_with_the_reason_and_the_others_with_what_they_say() {
    let mut cluster = Cluster::unstarted();
    cluster.start_node(NodeId(2));
    let client = Client::connect(cluster.profile(), impatient()).await.unwrap();
    let nodes = client.nodes().await.unwrap();
    assert!(matches!(&nodes[1].state, NodeState::Up(report) if report.node == NodeId(2)), "{nodes:?}");
    for down in [0, 2] {
        assert!(matches!(nodes[down].state, NodeState::Down(_)), "{nodes:?}");
    }
    let shards = client.shards().await.unwrap();
    assert_eq!(shards.missing.keys().copied().collect::<Vec<_>>(), [NodeId(1), NodeId(3)]);
}
