//! What may be typed.

use crate::cores::Library;
use crate::floors::Floor;
use crate::work::{Peer, Work};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Ice Age Farmland beside etcd, ZooKeeper, Redis and PostgreSQL, and its consensus beside that of others.
#[derive(Debug, Parser)]
#[command(
    name = "race",
    version,
    after_help = "\
Examples:
  race run --icefarm target/release/icefarm                everything, five rounds: half an hour
  race run --icefarm ... --rounds 1 --seconds 1            a first look
  race run --icefarm ... --peers ours,redis --works claims --in-flight 1024
  race show icefarm-race/race.json                         the table and the page once more
  race profile --icefarm target/release/icefarm            where the time of a claim goes: load/PERFORMANCE.md
  race paths --load target/release/icefarm-load            flame graphs of the hot pure paths

The servers are those of the machine's packages: etcd, ZooKeeper (with Java), Redis, PostgreSQL. `cargo xtask race` installs
them and builds everything."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Everything in turn; a table, race.json and race.html
    Run(RunArgs),
    /// The table and the page of a race.json
    Show(ShowArgs),
    /// Where the time of a claim goes: CPU, system calls and flame graphs of leader and follower; rewrites the figures of
    /// PERFORMANCE.md
    Profile(ProfileArgs),
    /// A flame graph of each of the hot pure paths: consensus, game, codec, terrain
    Paths(PathsArgs),
    /// One peer's client at one depth; prints what it measured as JSON
    #[command(hide = true)]
    Drive(Task),
    /// One floor at one depth
    #[command(hide = true)]
    Floor(FloorTask),
    /// One library at one depth
    #[command(hide = true)]
    Core(CoreTask),
}

/// `run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The program that runs our nodes
    #[arg(long, value_name = "FILE")]
    pub icefarm: PathBuf,
    /// Rounds; medians count
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rounds: u32,
    /// Seconds measured each time, after one of warm-up
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: u64,
    /// Who runs
    #[arg(long, value_delimiter = ',', num_args = 1.., value_enum, default_values_t = Peer::ALL)]
    pub peers: Vec<Peer>,
    /// What they do
    #[arg(long, value_delimiter = ',', num_args = 1.., value_enum, default_values_t = Work::ALL)]
    pub works: Vec<Work>,
    /// Only at these depths [default: each work's own]
    #[arg(long, value_delimiter = ',', num_args = 1.., value_name = "N")]
    pub in_flight: Vec<usize>,
    /// Without floors
    #[arg(long)]
    pub no_floors: bool,
    /// Without the consensus libraries
    #[arg(long)]
    pub no_cores: bool,
    /// Where race.json and race.html go
    #[arg(long, default_value = "icefarm-race", value_name = "DIR")]
    pub out: PathBuf,
    /// Where the servers' data goes: on the disk that is measured [default: the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// `show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// What `run` has written
    pub file: PathBuf,
}

/// `profile`
#[derive(Debug, Args)]
pub struct ProfileArgs {
    /// The program that runs our nodes
    #[arg(long, value_name = "FILE")]
    pub icefarm: PathBuf,
    /// Claims in flight
    #[arg(long, default_value_t = 8_192)]
    pub in_flight: usize,
    /// Seconds of each measurement, after some of warm-up
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Where PERFORMANCE.md is, and flame graphs go
    #[arg(long, default_value = "load", value_name = "DIR")]
    pub out: PathBuf,
    /// What `race run` has written: its goals go into PERFORMANCE.md too
    #[arg(long, value_name = "FILE")]
    pub race: Option<PathBuf>,
    /// What `bench scale --json` has printed: the same
    #[arg(long, value_name = "FILE")]
    pub scale: Option<PathBuf>,
    /// Where the servers' data goes: on the disk that is measured [default: the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// `paths`
#[derive(Debug, Args)]
pub struct PathsArgs {
    /// The load generator, which can go these paths
    #[arg(long, value_name = "FILE")]
    pub load: PathBuf,
    /// Seconds of each
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Where they go
    #[arg(long, default_value = "icefarm-race", value_name = "DIR")]
    pub out: PathBuf,
}

/// `drive`
#[derive(Clone, Debug, Args)]
pub struct Task {
    /// Whose client
    #[arg(long, value_enum)]
    pub peer: Peer,
    /// What it does
    #[arg(long, value_enum)]
    pub work: Work,
    /// Operations under way at a time
    #[arg(long)]
    pub in_flight: usize,
    /// Seconds measured, after one of warm-up
    #[arg(long)]
    pub seconds: u64,
    /// Where the servers are, as the peer writes it
    #[arg(long)]
    pub at: String,
    /// Their processes: with what these have started, they are what the servers' CPU is counted of
    #[arg(long, value_delimiter = ',', num_args = 1..)]
    pub servers: Vec<u32>,
    /// The how many-th task of these servers this is: each has keys of its own
    #[arg(long)]
    pub nth: u64,
}

/// `floor`
#[derive(Clone, Debug, Args)]
pub struct FloorTask {
    /// Which
    #[arg(long, value_enum)]
    pub floor: Floor,
    /// Messages under way at a time, or records in one write
    #[arg(long)]
    pub in_flight: usize,
    /// Seconds measured
    #[arg(long)]
    pub seconds: u64,
    /// Where files go
    #[arg(long)]
    pub data: PathBuf,
}

/// `core`
#[derive(Clone, Debug, Args)]
pub struct CoreTask {
    /// Which
    #[arg(long, value_enum)]
    pub library: Library,
    /// Commands under way at a time
    #[arg(long)]
    pub in_flight: usize,
    /// Seconds measured
    #[arg(long)]
    pub seconds: u64,
}
