use crate::nodes::*;
use client::{Client, ConnectError, Error, Options, RequestOptions};
use paxos::NodeId;
use std::time::Duration;
use transport::TokenKey;
use world::CharacterId;

#[tokio::test]
async fn nobody_at_home_is_an_error_that_names_every_address_and_why() {
    let cluster = Cluster::unstarted();
    let error = Client::connect(cluster.profile(), impatient()).await.unwrap_err();
    let text = error.to_string();
    for node in [1, 2, 3].map(NodeId) {
        let tried = format!("{node} at {}: ", cluster.addr(node));
        assert!(text.contains(&tried), "{text}");
    }
    assert!(!error.is_not_allowed());
}

#[tokio::test]
async fn a_token_of_another_cluster_is_not_allowed_and_says_so() {
    let cluster = Cluster::start();
    let profile = cluster.profile_with(&TokenKey::create().unwrap());
    let error = Client::connect(profile, impatient()).await.unwrap_err();
    assert!(error.is_not_allowed(), "{error}");
    assert!(error.to_string().contains("signature"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_is_not_there_is_named() {
    let cluster = Cluster::unstarted();
    let mut profile = cluster.profile();
    profile.ca = cluster.path("lost.pem");
    let error = Client::connect(profile, impatient()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Certificate(_)) && error.to_string().contains("lost.pem"), "{error}");
}

#[tokio::test]
async fn one_node_of_three_is_enough_and_the_others_are_joined_when_they_come() {
    let mut cluster = Cluster::unstarted();
    cluster.start_node(NodeId(3));
    let client = Client::connect(cluster.profile(), impatient()).await.unwrap();
    let scrat = client.player("scrat").unwrap();
    assert_eq!(scrat.claim(land(0), CharacterId(0)).await.unwrap().receipt.node, NodeId(3));
    cluster.start_node(NodeId(1));
    cluster.tell(NodeId(3), Mood::PointsAt(NodeId(1)));
    let mut n = 1;
    loop {
        // Until the new connection stands, commands find no leader.
        match scrat.claim(land(n), CharacterId(0)).await {
            Ok(done) => {
                assert_eq!(done.receipt.node, NodeId(1));
                break;
            }
            Err(Error::Unavailable { .. }) => n += 1,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_cluster_that_is_restarted_under_a_command_still_answers_it() {
    let mut cluster = Cluster::start();
    let options = Options { requests: RequestOptions::default(), ..impatient() };
    let client = Client::connect(cluster.profile(), options).await.unwrap();
    let scrat = client.player("scrat").unwrap();
    scrat.claim(land(0), CharacterId(0)).await.unwrap();
    for node in [1, 2, 3] {
        cluster.stop_node(NodeId(node)).await;
    }
    let during = tokio::spawn(async move { scrat.claim(land(1), CharacterId(0)).await });
    tokio::task::yield_now().await;
    for node in [1, 2, 3] {
        cluster.start_node(NodeId(node));
    }
    assert_eq!(during.await.unwrap().unwrap().field.field, land(1));
}

#[tokio::test]
async fn closing_finishes_what_is_under_way_and_takes_no_more() {
    let cluster = Cluster::start();
    let client = Client::connect(cluster.profile(), Options::default()).await.unwrap();
    let scrat = client.player("scrat").unwrap();
    let (submitter, mut completions) = client.pipeline(100);
    for n in 0..100 {
        let command = world::Command::Claim { field: land(n), character: CharacterId(0) };
        submitter.submit(scrat.name(), command, n as u64).await.unwrap();
    }
    client.close().await;
    let mut done = Vec::new();
    while done.len() < 100 {
        completions.recv_many(&mut done).await;
    }
    assert!(done.iter().all(|completion| completion.result.is_ok()));
    assert_eq!(scrat.claim(land(0), CharacterId(0)).await, Err(Error::Closed));
}

#[tokio::test]
async fn a_client_that_is_dropped_lets_go_of_its_connections() {
    let cluster = Cluster::start();
    let client = Client::connect(cluster.profile(), Options::default()).await.unwrap();
    drop(client);
    let all_gone = async {
        while cluster.clients() > 0 {
            // It polls until the condition holds.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), all_gone).await.unwrap();
}
