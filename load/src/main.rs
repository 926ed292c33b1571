//! `icefarm-load`: what the system does, measured from outside.
//!
//! It starts a cluster of real node processes on this machine, claims land through the SDK as fast as a closed loop of a
//! given depth allows, checks every answer, and puts beside the result what nothing can beat here: an echo over the same
//! transport, and the same bytes appended and synced.

mod claims;
mod cluster;
mod floors;
mod process;
mod report;
mod slow_disk;

use clap::{Args, Parser, Subcommand};
use cluster::Cluster;
use report::{ClaimsReport, Run};
use std::path::PathBuf;
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

/// Exit status of [`WrongAnswer`].
const WRONG: u8 = 1;
/// Exit status where the cluster is not available.
const UNAVAILABLE: u8 = 4;
/// Exit status for everything that this machine is the cause of.
const MACHINE: u8 = 6;

/// Measure a cluster of Ice Age Farmland on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "icefarm-load",
    version,
    after_help = "\
Examples:
  icefarm-load bench-claims                                 everything, about two minutes
  icefarm-load bench-claims --in-flight 4096 --json         one depth, one object on stdout
  icefarm-load fill --fields 1000000                        memory of a million fields
  icefarm-load bench-slow-disk                              p99 of claims with one slow disk among three
  icefarm-load idle                                         what a cluster costs that does nothing

Exit status: 0 done; 1 wrong answers; 2 wrong usage; 4 the cluster does not answer; 6 this machine."
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Durable claims per second, beside what the machine could do at best
    BenchClaims(BenchArgs),
    /// What one slow disk, of a node that leads nothing, costs everybody
    BenchSlowDisk(SlowDiskArgs),
    /// Fill a world and show the memory it takes
    Fill(FillArgs),
    /// Memory and CPU of a cluster that does nothing
    Idle(IdleArgs),
}

#[derive(Debug, Args)]
struct Common {
    /// Print one JSON object on stdout
    #[arg(long)]
    json: bool,
    /// Where the cluster's data goes; must not exist [default: a directory that is deleted afterwards]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct BenchArgs {
    #[command(flatten)]
    common: Common,
    /// Claims in flight, one run each
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 1_024, 4_096])]
    in_flight: Vec<usize>,
    /// Fields claimed in each chunk visited, one round of runs each
    #[arg(long, value_delimiter = ',', default_values_t = [32, 1], value_parser = clap::value_parser!(u32).range(1..=64))]
    per_chunk: Vec<u32>,
    /// Seconds measured in each run, after one of warm-up
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

#[derive(Debug, Args)]
struct SlowDiskArgs {
    #[command(flatten)]
    common: Common,
    /// Pairs of runs
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How much longer a sync takes, in milliseconds
    #[arg(long, default_value_t = 20)]
    delay_ms: u64,
    /// Claims in flight
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Seconds measured in each run, after one of warm-up
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

#[derive(Debug, Args)]
struct FillArgs {
    #[command(flatten)]
    common: Common,
    /// Fields to claim
    #[arg(long, default_value_t = 1_000_000)]
    fields: u64,
    /// Fields claimed in each chunk visited
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=64))]
    per_chunk: u32,
}

#[derive(Debug, Args)]
struct IdleArgs {
    #[command(flatten)]
    common: Common,
    /// Seconds to watch
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

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
        Verb::Fill(args) => fill(&args).await,
        Verb::Idle(args) => idle(&args).await,
    }
}

async fn bench(args: &BenchArgs) -> Result<(), Failure> {
    let cluster = Cluster::start(args.common.data.clone())?;
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
    let cluster = Cluster::start(args.common.data.clone())?;
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
    let cluster = Cluster::start(args.common.data.clone())?;
    let client = cluster.connect().await?;
    let before = cluster.snapshot(&client).await?;
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let after = cluster.snapshot(&client).await?;
    report::print_memory(args.common.json, &format!("idle for {} s", args.seconds), &after, Some(&before))?;
    client.close().await;
    cluster.stop()
}
