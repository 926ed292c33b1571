//! What one slow disk costs everybody: claims while a node that leads nothing has a disk as it is, and one whose syncs take
//! longer, in turns.

use crate::Failure;
use crate::bench::claims::{self, Until};
use crate::bench::report::median;
use crate::cli::SlowDiskArgs;
use crate::cluster::{Cluster, Shape};
use crate::crowd::fresh::FreshLand;
use client::Client;
use serde::Serialize;
use std::time::Duration;

/// Who gets the slow disk.
const NODE: &str = "n3";

/// One round: the same load twice.
#[derive(Debug, Serialize)]
struct Round {
    plain_p99_ms: f64,
    slow_p99_ms: f64,
    ratio: f64,
    plain_claims_per_s: f64,
    slow_claims_per_s: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    in_flight: usize,
    sync_delay_ms: u64,
    rounds: Vec<Round>,
    median_ratio: f64,
}

/// Measures so many pairs of runs.
pub async fn bench(args: &SlowDiskArgs) -> Result<(), Failure> {
    let mut cluster = Cluster::start(args.common.data.clone(), Shape::default())?;
    let client = cluster.connect().await?;
    let mut land = FreshLand::new(*client.terrain(), 0);
    let mut rounds = Vec::new();
    for round in 1..=args.rounds {
        // A node that has just started leads nothing; both runs begin like that.
        let (plain_p99_ms, plain_claims_per_s) = run(&mut cluster, &client, &mut land, 0, args).await?;
        let (slow_p99_ms, slow_claims_per_s) = run(&mut cluster, &client, &mut land, args.delay_ms, args).await?;
        let ratio = slow_p99_ms / plain_p99_ms;
        eprintln!("round {round}: p99 {plain_p99_ms:.2} ms, with a slow disk {slow_p99_ms:.2} ms: {ratio:.2} times");
        rounds.push(Round { plain_p99_ms, slow_p99_ms, ratio, plain_claims_per_s, slow_claims_per_s });
    }
    client.close().await;
    cluster.stop()?;
    let median_ratio = median(rounds.iter().map(|round| round.ratio));
    let report = Report { in_flight: args.in_flight, sync_delay_ms: args.delay_ms, rounds, median_ratio };
    if args.common.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

async fn run(
    cluster: &mut Cluster,
    client: &Client,
    land: &mut FreshLand,
    delay_ms: u64,
    args: &SlowDiskArgs,
) -> Result<(f64, f64), Failure> {
    cluster.restart_with(NODE, "sync_delay_ms", delay_ms).await?;
    cluster.wait_led_by_others(client, NODE).await?;
    let time = Until::Time(Duration::from_secs(args.seconds));
    let outcome = claims::closed_loop(client, land, 32, args.in_flight.max(1), time).await?;
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    let (p99, claims) = (outcome.latency.value_at_quantile(0.99) as f64 / 1e3, outcome.claims as f64);
    Ok((p99, claims / outcome.time.as_secs_f64()))
}

fn print(report: &Report) {
    println!(
        "claims, {} in flight; each sync of {NODE}, which leads nothing, as it is and then {} ms longer",
        report.in_flight, report.sync_delay_ms
    );
    println!("{:>6} {:>12} {:>12} {:>8} {:>12} {:>12}", "round", "p99 ms", "slow p99 ms", "times", "claims/s", "slow");
    for (nth, round) in report.rounds.iter().enumerate() {
        println!(
            "{:>6} {:>12.2} {:>12.2} {:>8.2} {:>12.0} {:>12.0}",
            nth + 1,
            round.plain_p99_ms,
            round.slow_p99_ms,
            round.ratio,
            round.plain_claims_per_s,
            round.slow_claims_per_s
        );
    }
    println!("median: {:.2} times", report.median_ratio);
}
