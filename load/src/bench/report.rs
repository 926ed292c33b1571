//! The figures, for people and for scripts.

#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use crate::Failure;
use crate::bench::claims::Outcomes;
use crate::bench::floors::Floor;
use crate::cluster::Usage;
use serde::Serialize;
use std::fmt;

/// One run of the closed loop.
#[derive(Debug, Serialize)]
pub struct Run {
    in_flight: usize,
    per_chunk: u32,
    claims_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    cpu_s_per_1000: Cpu,
    syncs_per_claim: f64,
    log_bytes_per_claim: f64,
    resident_mb: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Cpu {
    servers: f64,
    client: f64,
}

impl Run {
    /// From what was counted before and after. (Usage covers the warm-up too, so it is divided by all claims.)
    pub fn new(in_flight: usize, per_chunk: u32, outcome: &Outcomes, before: &Usage, after: &Usage) -> Self {
        let ms = |quantile| outcome.latency.value_at_quantile(quantile) as f64 / 1e3;
        let all = outcome.all_claims.max(1) as f64;
        Self {
            in_flight,
            per_chunk,
            claims_per_s: outcome.claims as f64 / outcome.time.as_secs_f64(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            cpu_s_per_1000: Cpu {
                servers: (after.server_cpu() - before.server_cpu()) * 1e3 / all,
                client: (after.client_cpu - before.client_cpu) * 1e3 / all,
            },
            syncs_per_claim: after.syncs.saturating_sub(before.syncs) as f64 / all,
            log_bytes_per_claim: after.log_bytes.saturating_sub(before.log_bytes) as f64
                / all
                / after.nodes.len().max(1) as f64,
            resident_mb: after.nodes.iter().map(|(_, bytes, _)| megabytes(*bytes)).collect(),
        }
    }
}

/// Everything of one `bench-claims`.
#[derive(Debug, Serialize)]
pub struct ClaimsReport {
    claims: Vec<Run>,
    echo: Vec<Floor>,
    append_sync: Vec<Floor>,
    request_bytes: usize,
    /// One claim at a time: its median over the medians of one echo and one sync.
    one_at_a_time_over_floor: Option<f64>,
    /// How much of this machine's CPU other programs used meanwhile, 0 to 1.
    others_cpu: f64,
}

/// Where other programs use more of the CPU than this, waiting for a turn hides what is measured.
const QUIET: f64 = 0.1;

impl ClaimsReport {
    /// Puts it together.
    pub fn new(
        claims: Vec<Run>,
        echo: Vec<Floor>,
        append_sync: Vec<Floor>,
        request_bytes: usize,
        others_cpu: f64,
    ) -> Self {
        let one = claims.iter().find(|run| run.in_flight == 1).map(|run| run.p50_ms);
        let floor = |floors: &[Floor]| floors.iter().find(|floor| floor.depth == 1).map(|floor| floor.p50_ms);
        let one_at_a_time_over_floor = match (one, floor(&echo), floor(&append_sync)) {
            (Some(one), Some(echo), Some(sync)) => Some(one / (echo + sync)),
            _ => None,
        };
        Self { claims, echo, append_sync, request_bytes, one_at_a_time_over_floor, others_cpu }
    }
}

impl fmt::Display for ClaimsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "durable claims, three node processes, one client process, TLS")?;
        writeln!(
            f,
            "{:>9} {:>9} {:>10} {:>8} {:>8} {:>8} {:>12} {:>11} {:>11} {:>9} {:>8}",
            "in flight",
            "per chunk",
            "claims/s",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "CPU s/1000",
            "client",
            "syncs/claim",
            "log B",
            "MB/node"
        )?;
        for run in &self.claims {
            let memory = run.resident_mb.iter().copied().fold(0.0, f64::max);
            writeln!(
                f,
                "{:>9} {:>9} {:>10.0} {:>8.2} {:>8.2} {:>8.2} {:>12.4} {:>11.4} {:>11.4} {:>9.0} {:>8.0}",
                run.in_flight,
                run.per_chunk,
                run.claims_per_s,
                run.p50_ms,
                run.p99_ms,
                run.p999_ms,
                run.cpu_s_per_1000.servers,
                run.cpu_s_per_1000.client,
                run.syncs_per_claim,
                run.log_bytes_per_claim,
                memory
            )?;
        }
        writeln!(
            f,
            "a claim's request has {} bytes; log B: bytes written to one node's log for each claim",
            self.request_bytes
        )?;
        for (title, floors) in
            [("coalesced QUIC echo, 128 B", &self.echo), ("append + sync, 100 B each", &self.append_sync)]
        {
            writeln!(f, "\n{title}")?;
            for floor in floors {
                writeln!(
                    f,
                    "{:>9} {:>20.0}/s {:>8.3} {:>8.3}",
                    floor.depth, floor.per_second, floor.p50_ms, floor.p99_ms
                )?;
            }
        }
        if let Some(ratio) = self.one_at_a_time_over_floor {
            writeln!(f, "\none claim at a time: its p50 is {ratio:.2} times that of (one echo + one sync)")?;
        }
        let others = self.others_cpu * 1e2;
        writeln!(f, "other programs used {others:.0} % of this machine's CPU meanwhile")?;
        if self.others_cpu > QUIET {
            writeln!(
                f,
                "that is too much: floors and latencies are mostly waiting for a turn; measure again when it is quiet"
            )?;
        }
        Ok(())
    }
}

/// Memory of every node, and CPU since `before`.
pub fn print_memory(json: bool, what: &str, usage: &Usage, before: Option<&Usage>) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Row<'a> {
        node: &'a str,
        resident_mb: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        cpu_s: Option<f64>,
    }
    let nodes: Vec<Row<'_>> = (usage.nodes.iter())
        .map(|(node, bytes, cpu)| {
            let earlier = before.and_then(|before| before.nodes.iter().find(|(other, ..)| other == node));
            Row { node, resident_mb: megabytes(*bytes), cpu_s: earlier.map(|(_, _, before)| cpu - before) }
        })
        .collect();
    if json {
        println!("{}", serde_json::json!({ "what": what, "nodes": serde_json::to_value(&nodes)? }));
        return Ok(());
    }
    println!("{what}");
    for node in &nodes {
        let cpu = node.cpu_s.map(|cpu| format!(", {cpu:.2} s of CPU")).unwrap_or_default();
        println!("  {}: {:.0} MB{cpu}", node.node, node.resident_mb);
    }
    Ok(())
}

/// A count as a figure.
pub fn figure(count: u64) -> f64 {
    count as f64
}

/// The one in the middle; 0 of none.
pub fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// The median of the rounds' ratios, since what disturbs a round disturbs both of its runs.
pub fn ratio<T>(these: &[T], those: &[T], of: fn(&T) -> f64) -> f64 {
    median(these.iter().zip(those).map(|(this, that)| of(this) / of(that)))
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
