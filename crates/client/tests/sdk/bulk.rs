use crate::nodes::*;
use client::{Client, Options, RequestOptions, Success};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use tokio::task::JoinSet;
use world::{CharacterId, Command, FieldId, Outcome};

const CLAIMS: usize = 4_096;

fn fields(count: usize) -> Vec<FieldId> {
    let first = land(0);
    let fields = (0..).map(|n| FieldId::new(first.x() + n % 500, first.y() + n / 500).unwrap());
    fields.take(count).collect()
}

/// Claims thousands of fields, each from a task of its own; says in how many frames they came.
async fn thousands_at_once() -> usize {
    let cluster = Cluster::start();
    let client = Client::connect(cluster.profile(), Options::default()).await.unwrap();
    let mut tasks = JoinSet::new();
    for field in fields(CLAIMS) {
        let scrat = client.player("scrat").unwrap();
        tasks.spawn(async move { scrat.claim(field, CharacterId(0)).await.unwrap().field.field });
    }
    let claimed: BTreeSet<FieldId> = tasks.join_all().await.into_iter().collect();
    assert_eq!(claimed.len(), CLAIMS);
    assert_eq!(cluster.world().commands.load(Ordering::Relaxed), CLAIMS as u64, "each applied once");
    client.close().await;
    usize::try_from(cluster.world().frames.load(Ordering::Relaxed)).unwrap()
}

#[tokio::test]
async fn thousands_at_once_on_one_thread_share_frames() {
    let frames = thousands_at_once().await;
    assert!(frames < CLAIMS / 8, "{frames} frames: what comes together goes together");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_at_once_on_several_threads_are_each_applied_once() {
    // How many share a frame is up to how the threads run.
    assert!(thousands_at_once().await <= CLAIMS);
}

#[tokio::test]
async fn every_tag_of_a_pipeline_comes_back_once_and_no_more_than_its_depth_are_under_way() {
    let cluster = Cluster::start();
    // Less room than the pipeline is deep: the rest waits in line.
    let requests = RequestOptions { max_in_flight: 10, ..RequestOptions::default() };
    let client = Client::connect(cluster.profile(), Options { requests, ..Options::default() }).await.unwrap();
    let scrat = client.player("scrat").unwrap().name();
    let (submitter, mut completions) = client.pipeline(64);
    let feeding = tokio::spawn(async move {
        for (tag, field) in fields(2_000).into_iter().enumerate() {
            let command = Command::Claim { field, character: CharacterId(0) };
            submitter.submit(scrat, command, tag as u64).await.unwrap();
        }
    });
    let mut seen = BTreeSet::new();
    let mut batch = Vec::new();
    while seen.len() < 2_000 {
        let count = completions.recv_many(&mut batch).await;
        assert!(count <= 64, "{count}");
        for completion in batch.drain(..) {
            assert!(matches!(completion.result, Ok(Success::Command { outcome: Outcome::Done { .. }, .. })));
            assert!(seen.insert(completion.tag));
        }
    }
    feeding.await.unwrap();
}

#[tokio::test]
async fn a_pipeline_that_is_not_emptied_takes_no_more_than_its_depth() {
    let cluster = Cluster::start();
    let client = Client::connect(cluster.profile(), Options::default()).await.unwrap();
    let scrat = client.player("scrat").unwrap().name();
    let (submitter, mut completions) = client.pipeline(2);
    let register = |tag| submitter.submit(scrat, Command::Register, tag);
    register(1).await.unwrap();
    register(2).await.unwrap();
    // Both are answered before a call that goes through after them.
    client.player("sid").unwrap().register().await.unwrap();
    let third = register(3);
    tokio::pin!(third);
    let waits = std::future::poll_fn(|context| std::task::Poll::Ready(third.as_mut().poll(context).is_pending())).await;
    assert!(waits, "two are neither under way nor received");
    completions.recv().await;
    third.await.unwrap();
}
