//! `sim`: plays clusters under faults, many seeds at a time.

use clap::Parser;
use sim::campaign::{self, Campaign};
use std::process::ExitCode;

/// Play whole clusters under faults and hold them against what is promised.
///
/// Each seed is one cluster of 3 to 5 nodes with its own mix of crashes, partitions, pauses, slow disks, crooked clocks
/// and a bad network, and with clients that claim, farm and look, for at least 30 simulated seconds. The same seeds give
/// the same digest on every machine and any number of threads.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Examples:
  sim --seeds 1000                     a thousand clusters
  sim --from 4711 --seeds 1 --trace    one of them again, message by message

Exit status: 0 all promises kept; 1 one was broken (what, when and how to see it again is printed); 2 wrong usage."
)]
struct Arguments {
    /// How many seeds to play
    #[arg(long, value_name = "N", default_value_t = 100)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    from: u64,
    /// Print every message and what came of it (with many seeds, that is a lot)
    #[arg(long)]
    trace: bool,
    /// Threads; as many as there are cores if not given
    #[arg(long, value_name = "J")]
    jobs: Option<usize>,
}

fn main() -> ExitCode {
    let Arguments { seeds, from, trace, jobs } = Arguments::parse();
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = if trace { 1 } else { jobs.unwrap_or_else(cores) };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match campaign::perform(&Campaign { seeds, from, jobs, traced: trace }, &mut out) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("sim: nobody reads what it has to say: {error}");
            ExitCode::from(1)
        }
    }
}
