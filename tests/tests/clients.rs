//! Clients that do not do their part: they read late, or never, or are dead. What waits for them is bounded, their place is
//! taken back, and nobody else notices.

use client::ReadOptions;
use cluster_tests::program::{Program, signal};
use cluster_tests::raw::Raw;
use cluster_tests::{Cluster, Operator, Options, http, until};
use paxos::{NodeId, Slot};
use rustix::process::Signal;
use std::time::{Duration, Instant};
use wire::client::MAX_FIELDS;
use wire::codec::{decode, encode};
use wire::{Answer, AnswerBody, Level, Query, Reply, Request, RequestBody};
use world::FieldId;

/// Connections that are there all the time: the operator's, and that of the node's own gateway.
const ALWAYS: u64 = 2;
const SMALL: Options = Options { nodes: 1, shards: 1 };
const N1: NodeId = NodeId(1);
const LONG: Duration = Duration::from_secs(40);
/// Requests in a frame.
const TOGETHER: u64 = 100;
/// What may wait for one client, with what the network's windows hold, is 32 MiB at most; memory is measured roughly.
const ROOM: u64 = 48 << 20;

fn field() -> FieldId {
    FieldId::new(30_980, 8_190).expect("on the grid")
}

/// The `nth` frame of questions, each about as many fields as it may be.
fn questions(nth: u64) -> Vec<Request> {
    let question = |id| {
        let query = Query::Fields(vec![field(); MAX_FIELDS]);
        let shard = placement::ShardId(1);
        Request { id, body: RequestBody::Read { shard, query, level: Level::Eventual, after: Slot::ZERO } }
    };
    (nth * TOGETHER..(nth + 1) * TOGETHER).map(question).collect()
}

/// What the node says of itself.
fn figure(cluster: &Cluster, name: &str) -> u64 {
    until(name, LONG, || {
        let (_, text) = http::get(&cluster.http(N1), "/metrics")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|figure| figure.parse().ok()).ok_or(text)
    })
}

async fn assert_serves(operator: &Operator) {
    let begin = Instant::now();
    let read = operator.client().field(field(), ReadOptions::strong()).await;
    assert!(read.is_ok(), "after {:?}: {read:?}", begin.elapsed());
}

#[test]
fn a_client_that_never_reads_is_told_and_disconnected_and_the_others_are_served_meanwhile() {
    let mut cluster = Cluster::start("clients-deaf", SMALL);
    let (operator, profile) = (cluster.operator(), cluster.profile());
    let memory = figure(&cluster, "process_resident_memory_bytes");
    operator.run(async {
        let mut deaf = Raw::welcomed(&profile, &profile.nodes[0]).await;
        let mut asked = 0;
        while figure(&cluster, "icefarm_slow_clients_total") == 0 {
            assert!(asked < 2_000, "{asked} frames of questions, and what is to be sent still has a place");
            for _ in 0..5 {
                deaf.frame(&encode(&questions(asked))).await;
                asked += 1;
            }
            assert_serves(&operator).await;
        }
        let reason = deaf.until_closed().await;
        println!("after {} questions: {reason}", asked * TOGETHER);
        assert!(reason.contains("read"), "it is told why: {reason}");
        assert_serves(&operator).await;
    });
    let grown = figure(&cluster, "process_resident_memory_bytes").saturating_sub(memory);
    assert!(grown < ROOM, "{grown} bytes more for a client that does not read");
    until("its place is free", LONG, || match figure(&cluster, "icefarm_client_connections") {
        ALWAYS => Ok(()),
        found => Err(format!("{found} connections")),
    });
    cluster.down();
}

#[test]
fn a_client_that_reads_late_gets_everything() {
    let mut cluster = Cluster::start("clients-late", SMALL);
    let (operator, profile) = (cluster.operator(), cluster.profile());
    operator.run(async {
        let mut late = Raw::welcomed(&profile, &profile.nodes[0]).await;
        let before = figure(&cluster, "icefarm_reads_total");
        let frames = 10;
        for nth in 0..frames {
            late.frame(&encode(&questions(nth))).await;
        }
        let all = frames * TOGETHER;
        until("all of it is answered and waits", LONG, || match figure(&cluster, "icefarm_reads_total") - before {
            answered if answered >= all => Ok(()),
            answered => Err(format!("{answered} of {all} are answered")),
        });
        let mut next = 0;
        while next < all {
            let answers: Vec<Answer> = decode("list of answers", &late.read().await).expect("answers");
            for answer in answers {
                let AnswerBody::Read { reply: Reply::Fields(rows), .. } = answer.body else { panic!("{answer:?}") };
                assert_eq!((answer.id, rows.len()), (next, MAX_FIELDS));
                next += 1;
            }
        }
        assert_serves(&operator).await;
    });
    assert_eq!(figure(&cluster, "icefarm_slow_clients_total"), 0);
    cluster.down();
}

/// One is killed and says nothing any more; another is only stopped, and its machine takes what it is sent.
#[test]
fn dead_clients_lose_their_places_and_their_watches_and_the_others_are_served_meanwhile() {
    let mut cluster = Cluster::start("clients-dead", SMALL);
    let (cli, operator) = (cluster.cli(), cluster.operator());
    let watch = || Program::start("watch", cli.command().args(["watch", "30960,8180", "--json"]));
    let (mut killed, stopped) = (watch(), watch());
    until("both watch", LONG, || match figure(&cluster, "icefarm_watchers") {
        0 => Err("nobody watches".to_owned()),
        _ if figure(&cluster, "icefarm_client_connections") < ALWAYS + 2 => Err("one has not come".to_owned()),
        _ => Ok(()),
    });
    let begin = Instant::now();
    killed.kill();
    signal(stopped.pid(), Signal::STOP);
    let mut claims = 0_u32;
    until("their places are free", LONG, || {
        // What they watch changes, so there is something to be sent.
        let claimed = cli.words(&format!("claim {},8190 --as scrat", 30_960 + claims % 40));
        claims += 1;
        assert!(matches!(claimed.status, Some(0 | 3)), "{claimed:?}");
        match (figure(&cluster, "icefarm_client_connections"), figure(&cluster, "icefarm_watchers")) {
            (ALWAYS, 0) => Ok(()),
            (connections, watchers) => Err(format!("{connections} connections, {watchers} watchers")),
        }
    });
    println!("their places were free {:?} after they had died; {claims} claims meanwhile", begin.elapsed());
    operator.run(assert_serves(&operator));
    signal(stopped.pid(), Signal::CONT);
    cluster.down();
}
