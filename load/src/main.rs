//! `icefarm-load`: what the system does, measured from outside.
//!
//! It starts a cluster of real node processes on this machine, claims land through the SDK as fast as a closed loop of a
//! given depth allows, checks every answer, and puts beside the result what nothing can beat here: an echo over the same
//! transport, and the same bytes appended and synced.

//!
//! | module | what it holds |
//! |---|---|
//! | `cli` | what may be typed |
//! | `cluster` | the node processes |
//! | `claims`, `bulk` | closed loops: of fresh claims, of anything |
//! | `floors` | what nothing can beat here |
//! | `reads`, `failover`, `restart`, `rebuild`, `slow_disk`, `soak` | one measurement each |
//! | `process`, `report` | what the kernel says; tables and objects |

mod bulk;
mod claims;
mod cli;
mod cluster;
mod failover;
mod floors;
mod process;
mod reads;
mod rebuild;
mod report;
mod restart;
mod slow_disk;
mod soak;

use clap::Parser;
use cli::{BenchArgs, Cli, FillArgs, IdleArgs, Verb};
use cluster::{Cluster, Shape};
use report::{ClaimsReport, Run};
use std::process::ExitCode;
use std::time::Duration;

/// What went wrong, in a sentence.
pub type Failure = Box<dyn std::error::Error>;

/// The cluster answered, and the answer is not true. Nothing worse can happen here.
#[derive(Debug, thiserror::Error)]
#[error("wrong answer: {0}")]
pub struct WrongAnswer(pub String);

/// The cluster did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub String);

/// A cluster has come to rest so long after its start.
const SETTLE: Duration = Duration::from_secs(5);
/// Exit status of [`WrongAnswer`].
const WRONG: u8 = 1;
/// Exit status where the cluster is not available.
const UNAVAILABLE: u8 = 4;
/// Exit status for everything that this machine is the cause of.
const MACHINE: u8 = 6;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One thread for the load: so its CPU is counted apart from the servers', which are processes of their own.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(run(cli.verb)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failed(&failure),
    }
}

fn failed(failure: &Failure) -> ExitCode {
    eprintln!("icefarm-load: {failure}");
    let unavailable = failure.is::<NoAnswer>() || failure.is::<client::Error>() || failure.is::<client::ConnectError>();
    let status = match failure {
        failure if failure.is::<WrongAnswer>() => WRONG,
        _ if unavailable => UNAVAILABLE,
        _ => MACHINE,
    };
    ExitCode::from(status)
}

async fn run(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::BenchClaims(args) => bench(&args).await,
        Verb::BenchSlowDisk(args) => slow_disk::bench(&args).await,
        Verb::BenchReads(args) => reads::bench(&args).await,
        Verb::BenchFailover(args) => failover::bench(&args).await,
        Verb::BenchRestart(args) => restart::bench(&args).await,
        Verb::BenchRebuild(args) => rebuild::bench(&args).await,
        Verb::Soak(args) => soak::run(&args).await,
        Verb::Fill(args) => fill(&args).await,
        Verb::Idle(args) => idle(&args).await,
    }
}

async fn bench(args: &BenchArgs) -> Result<(), Failure> {
    let cluster = Cluster::start(args.common.data.clone(), Shape::default())?;
    let client = cluster.connect().await?;
    let mut land = claims::Land::new(&client);
    let first = cluster.snapshot(&client).await?;
    let (first_busy, first_total) = process::machine_seconds()?;
    let mut runs = Vec::new();
    for &per_chunk in &args.per_chunk {
        for &depth in &args.in_flight {
            eprintln!("claims: {depth} in flight, {per_chunk} a chunk");
            let before = cluster.snapshot(&client).await?;
            let time = Duration::from_secs(args.seconds);
            let outcome =
                claims::closed_loop(&client, &mut land, per_chunk, depth.max(1), claims::Until::Time(time)).await?;
            let after = cluster.snapshot(&client).await?;
            runs.push(Run::new(depth, per_chunk, &outcome, &before, &after));
        }
    }
    let wire_bytes = claims::wire_bytes();
    let last = cluster.snapshot(&client).await?;
    client.close().await;
    let beside = cluster.beside();
    cluster.stop()?;
    eprintln!("floors: echo, append and sync");
    let mut echoes = Vec::new();
    let mut syncs = Vec::new();
    for &depth in &args.in_flight {
        echoes.push(floors::echo(depth.max(1)).await?);
        syncs.push(floors::append_sync(&beside, depth.max(1))?);
    }
    let (busy, total) = process::machine_seconds()?;
    let own_cpu = process::cpu_seconds(std::process::id())? - first.client_cpu;
    let others = busy - first_busy - own_cpu - (last.server_cpu() - first.server_cpu());
    let others = (others / (total - first_total).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
    let report = ClaimsReport::new(runs, echoes, syncs, wire_bytes, others);
    if args.common.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

async fn fill(args: &FillArgs) -> Result<(), Failure> {
    let cluster = Cluster::start(args.common.data.clone(), Shape::default())?;
    let client = cluster.connect().await?;
    let mut land = claims::Land::new(&client);
    let until = claims::Until::Count(args.fields);
    let outcome = claims::closed_loop(&client, &mut land, args.per_chunk, 4_096, until).await?;
    let usage = cluster.snapshot(&client).await?;
    report::print_memory(args.common.json, &format!("{} fields claimed", outcome.claims), &usage, None)?;
    client.close().await;
    cluster.stop()
}

async fn idle(args: &IdleArgs) -> Result<(), Failure> {
    let shape = Shape { shards: args.shards, ..Shape::default() };
    let cluster = Cluster::start(args.common.data.clone(), shape)?;
    let client = cluster.connect().await?;
    // What a start leaves to do is no idling.
    tokio::time::sleep(SETTLE).await;
    let (before, frames) = (cluster.snapshot(&client).await?, cluster.peer_frames(&client).await?);
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let (after, frames) = (cluster.snapshot(&client).await?, cluster.peer_frames(&client).await? - frames);
    let frames = report::figure(frames) / Duration::from_secs(args.seconds).as_secs_f64();
    let what =
        format!("{} idle shards, {} s: {frames:.1} frames a second between all nodes", args.shards, args.seconds);
    report::print_memory(args.common.json, &what, &after, Some(&before))?;
    client.close().await;
    cluster.stop()
}
