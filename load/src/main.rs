//! `icefarm-load`: what the system does, measured from outside.
//!
//! `run` lets the players of a profile loose on a cluster and says what came of it; `bench-...` measure one thing each. All of
//! them go through the SDK like any other program, and check every answer.
//!
//! | module | what it holds |
//! |---|---|
//! | `cli` | what may be typed |
//! | `profile` | what a run does, as people write it down |
//! | `crowd` | the players: where they live, what they do next, what they know (pure) |
//! | `truth` | what answers are held against (pure) |
//! | `run` | players, time and a cluster brought together |
//! | `show`, `report` | while it runs, and afterwards |
//! | `bench` | one measurement each |
//! | `cluster`, `process`, `bulk` | node processes, what the kernel says of them, closed loops of anything |

mod bench;
mod bulk;
mod cli;
mod cluster;
mod crowd;
mod play;
mod process;
mod profile;
mod report;
mod run;
mod show;
mod truth;

use clap::Parser;
use cli::{Cli, Verb};
use std::process::ExitCode;

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

/// What was asked for makes no sense, whatever the cluster's state.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Everything was true, and not good enough: less than the profile asks for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Missed(pub String);

/// Exit status of [`WrongAnswer`].
const WRONG: u8 = 1;
/// Exit status of [`Usage`].
const USAGE: u8 = 2;
/// Exit status of [`Missed`].
const MISSED: u8 = 3;
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
        failure if failure.is::<Usage>() => USAGE,
        failure if failure.is::<Missed>() => MISSED,
        _ if unavailable => UNAVAILABLE,
        _ => MACHINE,
    };
    ExitCode::from(status)
}

async fn run(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Run(args) => play::run(&args).await,
        Verb::Compare(args) => report::compare::run(&args),
        Verb::BenchClaims(args) => bench::claims::bench(&args).await,
        Verb::BenchScale(args) => bench::scale::bench(&args).await,
        Verb::BenchSlowDisk(args) => bench::slow_disk::bench(&args).await,
        Verb::BenchReads(args) => bench::reads::bench(&args).await,
        Verb::BenchViewers(args) => bench::viewers::bench(&args).await,
        Verb::BenchFailover(args) => bench::failover::bench(&args).await,
        Verb::BenchRestart(args) => bench::restart::bench(&args).await,
        Verb::BenchRebuild(args) => bench::rebuild::bench(&args).await,
        Verb::Soak(args) => bench::soak::run(&args).await,
        Verb::Fill(args) => bench::memory::fill(&args).await,
        Verb::Idle(args) => bench::memory::idle(&args).await,
        Verb::Paths(args) => bench::paths::run(&args),
        Verb::Partitions(args) => bench::partitions::run(&args),
    }
}
