//! What may be typed.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

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
  icefarm-load bench-reads                                  reads with and without a lease
  icefarm-load bench-failover --shards 4096                 a dead node's shards, each timed
  icefarm-load soak                                         twelve million commands
  icefarm-load idle                                         what a cluster costs that does nothing

Exit status: 0 done; 1 wrong answers; 2 wrong usage; 4 the cluster does not answer; 6 this machine."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Durable claims per second, beside what the machine could do at best
    BenchClaims(BenchArgs),
    /// What one slow disk, of a node that leads nothing, costs everybody
    BenchSlowDisk(SlowDiskArgs),
    /// Strong reads under lease beside confirmed and eventual ones, and an echo
    BenchReads(ReadsArgs),
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

/// `bench-claims`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// For every verb.
    #[command(flatten)]
    pub common: Common,
    /// Claims in flight, one run each
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 1_024, 4_096])]
    pub in_flight: Vec<usize>,
    /// Fields claimed in each chunk visited, one round of runs each
    #[arg(long, value_delimiter = ',', default_values_t = [32, 1], value_parser = clap::value_parser!(u32).range(1..=64))]
    pub per_chunk: Vec<u32>,
    /// Seconds measured in each run, after one of warm-up
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

/// `bench-reads`
#[derive(Debug, Args)]
pub struct ReadsArgs {
    /// For every verb.
    #[command(flatten)]
    pub common: Common,
    /// Reads in flight, one run each
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 1_024])]
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
