//! `race`: Ice Age Farmland beside its peers, on one machine, in one run.
//!
//! Each round starts every peer anew, alone on the machine, gives all of them the same work at the same depths, and stops it
//! again; the order turns from round to round. What counts are medians over the rounds, and ratios within a round. Servers'
//! and client's CPU are counted apart: whoever drives a peer is a process of its own.
//!
//! | module | what it holds |
//! |---|---|
//! | `cli` | what may be typed |
//! | `work` | who runs, and what they do |
//! | `serve` | a peer's server processes, with the settings that are best for it |
//! | `drive` | a peer's client: so many operations in flight, every answer checked |
//! | `meter`, `process` | what is counted, and what the kernel says of processes |
//! | `floors` | what nothing can beat here |
//! | `cores` | consensus libraries alone, in one thread |
//! | `rounds` | everything in turn |
//! | `profile` | where the time of a claim goes |
//! | `report` | medians, ratios, goals: as a table, as JSON, as a page |

mod cli;
mod cores;
mod drive;
mod floors;
mod meter;
mod process;
mod profile;
mod report;
mod rounds;
mod serve;
mod work;

use clap::Parser;
use cli::{Cli, Verb};
use std::process::ExitCode;

/// What went wrong, in a sentence.
pub type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let ended = match cli.verb {
        Verb::Run(args) => runtime.block_on(rounds::run(&args)),
        Verb::Show(args) => report::show(&args),
        Verb::Profile(args) => runtime.block_on(profile::run(&args)),
        Verb::Paths(args) => runtime.block_on(profile::paths::run(&args)),
        Verb::Drive(task) => runtime.block_on(drive::run(&task)),
        Verb::Floor(task) => runtime.block_on(floors::run(&task)),
        Verb::Core(task) => cores::run(&task),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failed(&failure),
    }
}

fn failed(failure: &Failure) -> ExitCode {
    eprintln!("race: {failure}");
    ExitCode::FAILURE
}
