//! What a claim costs in the SDK: `cargo test --release -p client --test sdk cost -- --ignored --nocapture`.

use crate::nodes::*;
use client::{Client, Options};
use std::sync::mpsc;
use std::time::Instant;
use tokio::task::JoinSet;
use world::{CharacterId, Command, FieldId};

const CLAIMS: u32 = 400_000;
const IN_FLIGHT: u32 = 4_096;

/// What this thread has computed so far, in seconds.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn field(n: u32) -> FieldId {
    FieldId::new(n % 1_000_000, 500_000 + n / 1_000_000).unwrap()
}

/// The nodes on a thread of their own, so that what is measured on the test's thread is the SDK, with its share of QUIC.
fn cluster_elsewhere() -> (client::Profile, tokio::sync::oneshot::Sender<()>) {
    let (profile_in, profile) = mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let cluster = Cluster::start();
            profile_in.send(cluster.profile()).unwrap();
            let _ = stopped.await;
        });
    });
    (profile.recv().unwrap(), stop)
}

#[tokio::test]
#[ignore = "prints figures"]
async fn cost_of_a_claim_through_a_pipeline() {
    let (profile, _stop) = cluster_elsewhere();
    let client = Client::connect(profile, Options::default()).await.unwrap();
    let scrat = client.player("scrat").unwrap().name();
    let (submitter, mut completions) = client.pipeline(IN_FLIGHT as usize);
    let (begin, before) = (Instant::now(), cpu());
    let feeding = tokio::spawn(async move {
        for n in 0..CLAIMS {
            let command = Command::Claim { field: field(n), character: CharacterId(0) };
            submitter.submit(scrat, command, n.into()).await.unwrap();
        }
    });
    let mut done = 0;
    let claims = usize::try_from(CLAIMS).unwrap();
    let mut batch = Vec::new();
    while done < claims {
        done += completions.recv_many(&mut batch).await;
        batch.clear();
    }
    feeding.await.unwrap();
    report(begin, before);
}

#[tokio::test]
#[ignore = "prints figures"]
async fn cost_of_a_claim_with_a_task_for_each_caller() {
    let (profile, _stop) = cluster_elsewhere();
    let client = Client::connect(profile, Options::default()).await.unwrap();
    let (begin, before) = (Instant::now(), cpu());
    let mut tasks = JoinSet::new();
    for caller in 0..IN_FLIGHT {
        let scrat = client.player("scrat").unwrap();
        tasks.spawn(async move {
            for n in (caller..CLAIMS).step_by(IN_FLIGHT as usize) {
                scrat.claim(field(n), CharacterId(0)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    report(begin, before);
}

fn report(begin: Instant, before: f64) {
    let per_claim = 1e6 / f64::from(CLAIMS);
    let (wall, cpu) = (begin.elapsed().as_secs_f64(), cpu() - before);
    println!("{:.0} claims/s; SDK thread: {:.2} us of CPU a claim", f64::from(CLAIMS) / wall, cpu * per_claim);
}
