//! Two runs side by side.

use super::Report;
use crate::cli::CompareArgs;
use crate::{Failure, Usage};
use serde::Serialize;

/// One figure of both.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    a: Option<f64>,
    b: Option<f64>,
    /// Of b to a.
    ratio: Option<f64>,
}

/// Prints the figures of both, and their ratios.
pub fn run(args: &CompareArgs) -> Result<(), Failure> {
    let read = |path| Report::read(path).map_err(|error| Failure::from(Usage(error.to_string())));
    let (a, b) = (read(&args.a)?, read(&args.b)?);
    let rows = rows(&a, &b);
    if args.json {
        println!("{}", serde_json::json!({ "a": a.command, "b": b.command, "rows": serde_json::to_value(&rows)? }));
        return Ok(());
    }
    println!("A: {}\nB: {}", a.command, b.command);
    if a.profile != b.profile || a.hardware.cpu != b.hardware.cpu || a.hardware.cores != b.hardware.cores {
        println!("(not the same profile on the same machine: the ratios say little)");
    }
    println!("{:<26} {:>14} {:>14} {:>9}", "", "A", "B", "B / A");
    let cell = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    for Row { what, a, b, ratio } in &rows {
        println!("{what:<26} {:>14} {:>14} {:>9}", cell(*a), cell(*b), cell(*ratio));
    }
    Ok(())
}

fn rows(a: &Report, b: &Report) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |what: String, of: &dyn Fn(&Report) -> Option<f64>| {
        let (a, b) = (of(a), of(b));
        let ratio = a.zip(b).filter(|(a, _)| *a != 0.0).map(|(a, b)| b / a);
        rows.push(Row { what, a, b, ratio });
    };
    row("answered a second".to_owned(), &|report| Some(report.throughput_per_s));
    let mut words: Vec<&String> = a.latency_ms.keys().chain(b.latency_ms.keys()).collect();
    words.sort();
    words.dedup();
    for word in words {
        row(format!("{word} p50 ms"), &|report| report.latency_ms.get(word).map(|latency| latency.p50));
        row(format!("{word} p99 ms"), &|report| report.latency_ms.get(word).map(|latency| latency.p99));
        row(format!("{word} p99.9 ms"), &|report| report.latency_ms.get(word).map(|latency| latency.p999));
    }
    #[allow(clippy::cast_precision_loss, reason = "counts for people")]
    let count = |count: u64| Some(count as f64);
    row("unanswered".to_owned(), &|report| count(report.errors.values().sum()));
    row("retries".to_owned(), &|report| count(report.retries));
    row("wrong answers".to_owned(), &|report| count(report.wrong_answers));
    row("stale share".to_owned(), &|report| report.staleness_ms.as_ref().map(|staleness| staleness.stale_share));
    row("staleness p99 ms".to_owned(), &|report| report.staleness_ms.as_ref().map(|staleness| staleness.p99));
    row("servers CPU s per 1,000".to_owned(), &|report| report.cpu_s_per_1000.servers);
    row("generator CPU s per 1,000".to_owned(), &|report| Some(report.cpu_s_per_1000.client));
    row("syncs per claim".to_owned(), &|report| report.syncs_per_claim);
    rows
}
