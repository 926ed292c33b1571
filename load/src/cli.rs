//! What may be typed.

use crate::bench::paths::Path;
use crate::profile::{MAX_PLAYERS, Period, Rate};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Measure a cluster of Ice Age Farmland: let players loose on it, or time one thing.
#[derive(Debug, Parser)]
#[command(
    name = "icefarm-load",
    version,
    after_help = "\
Examples:
  icefarm-load run load/profiles/village.toml               an ordinary day, on a cluster of its own
  icefarm-load run load/profiles/contest.toml --cluster icefarm-data/client.toml --duration 30s
  icefarm-load run load/profiles/village.toml --find-knee 20    the highest rate with p99 under 20 ms
  icefarm-load compare before after                         two reports side by side
  icefarm-load bench-claims                                 everything, about two minutes
  icefarm-load bench-claims --in-flight 4096 --json         one depth, one object on stdout
  icefarm-load fill --fields 1000000                        memory of a million fields
  icefarm-load bench-slow-disk                              p99 of claims with one slow disk among three
  icefarm-load bench-reads                                  reads with and without a lease
  icefarm-load bench-failover --shards 4096                 a dead node's shards, each timed
  icefarm-load soak                                         twelve million commands
  icefarm-load idle                                         what a cluster costs that does nothing
  icefarm-load partitions                                   how hash, range and round-robin spread a city

Exit status: 0 done; 1 wrong answers; 2 wrong usage; 3 less than the profile asks for;
4 the cluster does not answer; 6 this machine."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Let the players of a profile loose on a cluster; write report.json and report.html
    Run(RunArgs),
    /// Two reports side by side
    Compare(CompareArgs),
    /// Durable claims per second, beside what the machine could do at best
    BenchClaims(BenchArgs),
    /// What a claim costs with more shards, more voters and more land that is owned
    BenchScale(ScaleArgs),
    /// What one slow disk, of a node that leads nothing, costs everybody
    BenchSlowDisk(SlowDiskArgs),
    /// Strong reads under lease beside confirmed and eventual ones, and an echo
    BenchReads(ReadsArgs),
    /// People who watch busy land through one node's WebSocket: memory, CPU, bytes, and how late they are told
    BenchViewers(ViewersArgs),
    /// Kill the node that leads most, and see when each of its shards serves claims again
    BenchFailover(FailoverArgs),
    /// How soon a full world serves after a clean stop, and after every node was killed
    BenchRestart(RestartArgs),
    /// Move a large replica to another node under load
    BenchRebuild(RebuildArgs),
    /// Claim, plant, harvest and abandon the same land over and over: do disk and memory level off?
    Soak(SoakArgs),
    /// Fill a world and show the memory it takes
    Fill(FillArgs),
    /// Memory and CPU of a cluster that does nothing
    Idle(IdleArgs),
    /// The hot pure paths alone: nanoseconds, and instructions held against committed ones
    Paths(PathsArgs),
    /// Hash, range and round-robin under the same cities: balance, fan-out, and moves when a node joins
    Partitions(PartitionsArgs),
}

/// For every verb.
#[derive(Debug, Args)]
pub struct Common {
    /// Print one JSON object on stdout
    #[arg(long)]
    pub json: bool,
    /// Where the cluster's data goes; must not exist [default: a directory that is deleted afterwards]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// `run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What to do: a TOML file; load/profiles has commented ones
    pub profile: PathBuf,
    /// So many players, whatever the profile says
    #[arg(long, value_name = "N")]
    pub players: Option<u32>,
    /// Measure for so long: 30s, 5m
    #[arg(long, value_name = "TIME")]
    pub duration: Option<Period>,
    /// Warm up for so long before
    #[arg(long, value_name = "TIME")]
    pub warm_up: Option<Period>,
    /// Actions in flight, of a closed loop
    #[arg(long, value_name = "N")]
    pub in_flight: Option<usize>,
    /// Actions a second, of an open loop; its ramps keep their proportions
    #[arg(long, value_name = "N")]
    pub rate: Option<Rate>,
    /// Look for the highest rate at which p99 stays under so many milliseconds
    #[arg(long, value_name = "MS")]
    pub find_knee: Option<Rate>,
    /// Where the reports go [default: icefarm-report/PROFILE]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The cluster's client profile [default: ./icefarm-data/client.toml if it is there; otherwise a cluster is started]
    #[arg(long, value_name = "FILE", env = "ICEFARM_CLUSTER")]
    pub cluster: Option<PathBuf>,
    /// Start a cluster, as the profile says, even if one is at ./icefarm-data
    #[arg(long, conflicts_with = "cluster")]
    pub own_cluster: bool,
    /// Where the data of a cluster that is started goes; must not exist [default: a directory that is deleted afterwards]
    #[arg(long, value_name = "DIR", conflicts_with = "cluster")]
    pub data: Option<PathBuf>,
    /// What chance depends on, and who the players are [default: another each time]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Which of several generators that share a run this is, as 2/3; all need the same --seed
    #[arg(long, value_name = "NTH/OF", value_parser = part, default_value = "1/1")]
    pub part: (u32, u32),
    /// Print lines, though this is a terminal
    #[arg(long)]
    pub plain: bool,
    /// Print the report as one JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

fn part(text: &str) -> Result<(u32, u32), String> {
    let numbers = text.split_once('/').and_then(|(nth, of)| Some((nth.parse().ok()?, of.parse().ok()?)));
    match numbers {
        Some((nth, of)) if (1..=of).contains(&nth) && of <= 1_000 => Ok((nth, of)),
        _ => Err(format!("'{text}' is no part: write 1/2 and 2/2, for instance")),
    }
}

/// `compare`
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// One report: its folder, or its report.json
    pub a: PathBuf,
    /// The other
    pub b: PathBuf,
    /// Print one JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

/// `bench-claims`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// For every verb.
    #[command(flatten)]
    pub common: Common,
    /// Claims in flight, one run each
    #[arg(long, value_delimiter = ',', num_args = 1.., default_values_t = [1, 64, 1_024, 4_096])]
    pub in_flight: Vec<usize>,
    /// Fields claimed in each chunk visited, one round of runs each
    #[arg(long, value_delimiter = ',', num_args = 1.., default_values_t = [32, 1], value_parser = clap::value_parser!(u32).range(1..=64))]
    pub per_chunk: Vec<u32>,
    /// Seconds measured in each run, after one of warm-up
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
}

/// `bench-scale`
#[derive(Debug, Args)]
pub struct ScaleArgs {
    /// For every verb.
    #[command(flatten)]
    pub common: Common,
    /// Shards, all of them active
    #[arg(long, value_delimiter = ',', num_args = 1.., default_values_t = [1, 16, 64, 256, 1_024, 4_096])]
    pub shards: Vec<u32>,
    /// Voters of each shard, on as many nodes
    #[arg(long, value_delimiter = ',', num_args = 1.., default_values_t = [3, 5])]
    pub voters: Vec<u32>,
    /// Fields that are owned already
    #[arg(long, value_delimiter = ',', num_args = 1.., default_values_t = [10_000, 100_000, 1_000_000, 10_000_000])]
    pub fields: Vec<u64>,
    /// Claims in flight
    #[arg(long, default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    pub in_flight: u32,
    /// Fields claimed in each chunk visited
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub per_chunk: u32,
    /// Claims before anything is measured of a new cluster: as many as fill a log, so that checkpoints keep pace
    #[arg(long, default_value_t = 4_000_000)]
    pub warm_up: u64,
    /// Seconds measured each time, after one that is not
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
}

/// `bench-slow-disk`
#[derive(Debug, Args)]
pub struct SlowDiskArgs {
    /// For every verb.
    #[command(flatten)]
    pub common: Common,
    /// Pairs of runs
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// How much longer a sync takes, in milliseconds
    #[arg(long, default_value_t = 20)]
    pub delay_ms: u64,
    /// Claims in flight
    #[arg(long, default_value_t = 64)]
    pub in_flight: usize,
    /// Seconds measured in each run, after one of warm-up
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
}

/// `fill`
#[derive(Debug, Args)]
pub struct FillArgs {
    /// For every verb.
    #[command(flatten)]
    pub common: Common,
    /// Fields to claim
    #[arg(long, default_value_t = 1_000_000)]
    pub fields: u64,
    /// Fields claimed in each chunk visited
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub per_chunk: u32,
}

/// `idle`
#[derive(Debug, Args)]
pub struct IdleArgs {
    /// For every verb.
    #[command(flatten)]
    pub common: Common,
    /// Shards, a power of two
    #[arg(long, default_value_t = 64)]
    pub shards: u32,
    /// Seconds to watch
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
}

/// `bench-viewers`
#[derive(Debug, Args)]
pub struct ViewersArgs {
    /// For every verb.
    #[command(flatten)]
    pub common: Common,
    /// How many watch
    #[arg(long, default_value_t = 2_000)]
    pub viewers: usize,
    /// Fields that each sees, from west to east; the second run has twice as many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub width: u32,
    /// Fields that each sees, from north to south; the second run has twice as many
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub height: u32,
    /// Changes a second, all over 512 x 512 fields
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// Seconds measured at rest, and again with changes
    #[arg(long, default_value_t = 15)]
    pub seconds: u64,
}

/// `bench-reads`
#[derive(Debug, Args)]
pub struct ReadsArgs {
    /// For every verb.
    #[command(flatten)]
    pub common: Common,
    /// Reads in flight, one run each
    #[arg(long, value_delimiter = ',', num_args = 1.., default_values_t = [1, 64, 1_024])]
    pub in_flight: Vec<usize>,
    /// Rounds, each of all kinds; medians count
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Seconds measured in each run, after a half of warm-up
    #[arg(long, default_value_t = 3)]
    pub seconds: u64,
}

/// `bench-failover`
#[derive(Debug, Args)]
pub struct FailoverArgs {
    /// For every verb.
    #[command(flatten)]
    pub common: Common,
    /// Shards, a power of two; three nodes lead a third of them each
    #[arg(long, default_value_t = 4_096)]
    pub shards: u32,
}

/// `bench-restart`
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// For every verb.
    #[command(flatten)]
    pub common: Common,
    /// Fields claimed before
    #[arg(long, default_value_t = 1_000_000)]
    pub fields: u64,
}

/// `bench-rebuild`
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// For every verb.
    #[command(flatten)]
    pub common: Common,
    /// Fields claimed before, all in one shard
    #[arg(long, default_value_t = 24_000_000)]
    pub fields: u64,
}

/// `soak`
#[derive(Debug, Args)]
pub struct SoakArgs {
    /// For every verb.
    #[command(flatten)]
    pub common: Common,
    /// Fields that everything is about
    #[arg(long, default_value_t = 1_000_000)]
    pub fields: u64,
    /// Times that each is claimed, planted, harvested and abandoned
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..))]
    pub rounds: u32,
}

/// `paths`
#[derive(Debug, Args)]
pub struct PathsArgs {
    /// Only this one
    #[arg(long, value_enum)]
    pub path: Option<Path>,
    /// Just do it so many times, for a profiler to watch
    #[arg(long, value_name = "N", requires = "path")]
    pub times: Option<u64>,
    /// The same for so many seconds
    #[arg(long, value_name = "S", requires = "path", conflicts_with = "times")]
    pub seconds: Option<u64>,
    /// Count instructions with valgrind, and compare with this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["times", "seconds", "json"])]
    pub check: Option<PathBuf>,
    /// Count instructions with valgrind, and write this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["times", "seconds", "json", "check", "path"])]
    pub write: Option<PathBuf>,
    /// Print one JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

/// `partitions`
#[derive(Debug, Args)]
pub struct PartitionsArgs {
    /// Players, who live in the cities of the day profile
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PLAYERS)))]
    pub players: u32,
    /// Shards, a power of two
    #[arg(long, default_value_t = 1_024)]
    pub shards: u32,
    /// Nodes, to which the shards are dealt
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub nodes: u32,
    /// Fields of a screen
    #[arg(long, default_value = "240x135", value_name = "WxH", value_parser = size)]
    pub view: (u32, u32),
    /// Who lives where
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where the picture goes
    #[arg(long, default_value = "partitions.svg", value_name = "FILE")]
    pub out: PathBuf,
    /// Print one JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let numbers = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let fits = |(w, h): &(u32, u32)| (1..=4_096).contains(w) && (1..=4_096).contains(h);
    numbers.filter(fits).ok_or_else(|| format!("'{text}' is no size: write 240x135, at most 4096x4096"))
}
