//! The report as a page: one file, no script, nothing fetched from anywhere.

use super::plots::{Axes, Series, at_quantiles, over_time};
use super::{Report, SecondRow};
use crate::Failure;
use crate::show::grouped;
use std::fmt::Write;

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2328; margin: 2rem auto; max-width: 900px; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
table { border-collapse: collapse; margin: .6rem 0; } td, th { padding: .2rem .9rem .2rem 0; text-align: right; }
th { font-weight: 600; border-bottom: 1px solid #d0d7de; } td:first-child, th:first-child { text-align: left; }
.good { color: #1a7f37; } .bad { color: #b3261e; font-weight: 600; } .dim { color: #656d76; }
code { background: #f6f8fa; padding: .15rem .35rem; border-radius: 4px; word-break: break-all; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0; }
.tile { border: 1px solid #d0d7de; border-radius: 8px; padding: .6rem 1rem; min-width: 8rem; }
.tile b { display: block; font-size: 1.35rem; } svg { max-width: 100%; height: auto; }";

/// The page.
pub fn page(report: &Report) -> Result<String, Failure> {
    let mut page = String::new();
    write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>{} · icefarm-load</title><style>{STYLE}</style><h1>{}</h1><p>{}</p><p class=dim>{} players, {:.1} s measured \
         behind {:.0} s of warm-up, seed {}</p>",
        escaped(&report.profile),
        escaped(&report.profile),
        escaped(&report.about),
        grouped(report.players.into()),
        report.duration_s,
        report.warm_up_s,
        report.seed
    )?;
    verdict(&mut page, report)?;
    tiles(&mut page, report)?;
    latencies(&mut page, report)?;
    pictures(&mut page, report)?;
    counts(&mut page, report)?;
    origin(&mut page, report)?;
    Ok(page)
}

fn verdict(page: &mut String, report: &Report) -> Result<(), Failure> {
    let checked = report.checked;
    if report.wrong_answers == 0 {
        write!(
            page,
            "<p class=good>No wrong answer. Every one was held against what the generator knew; in the end {} fields were \
             read again, and an order was found for {} operations on contested fields.</p>",
            grouped(checked.fields as u64),
            grouped(checked.contested_operations as u64)
        )?;
    } else {
        write!(
            page,
            "<p class=bad>{} WRONG ANSWERS. The figures below are worth nothing.</p><ul>",
            report.wrong_answers
        )?;
        for sentence in &report.wrong {
            write!(page, "<li><pre>{}</pre>", escaped(sentence))?;
        }
        page.push_str("</ul>");
    }
    for missed in &report.missed {
        write!(page, "<p class=bad>Missed: {}</p>", escaped(missed))?;
    }
    if report.saturated {
        write!(
            page,
            "<p class=bad>The generator could not keep up (it began {:.1} ms late, p99): this measures it, not the \
             cluster.</p>",
            report.generator_late_p99_ms
        )?;
    }
    if report.interrupted {
        page.push_str("<p class=bad>Ended early.</p>");
    }
    Ok(())
}

fn tiles(page: &mut String, report: &Report) -> Result<(), Failure> {
    page.push_str("<div class=tiles>");
    let mut tile = |name: &str, value: String| write!(page, "<div class=tile><b>{value}</b>{name}</div>");
    let all = report.latency_ms.get("all");
    let (p50, p99) = all.map_or((0.0, 0.0), |all| (all.p50, all.p99));
    let unanswered: u64 = report.errors.values().sum();
    tile("answered a second", grouped(super::rounded(report.throughput_per_s)))?;
    tile("p50", format!("{p50:.2} ms"))?;
    tile("p99", format!("{p99:.2} ms"))?;
    tile("unanswered", grouped(unanswered))?;
    if let Some(staleness) = &report.staleness_ms {
        tile("of weaker reads stale", format!("{:.2} %", staleness.stale_share * 1e2))?;
    }
    if let Some(servers) = report.cpu_s_per_1000.servers {
        tile("CPU s per 1,000, servers", format!("{servers:.4}"))?;
    }
    page.push_str("</div>");
    Ok(())
}

fn latencies(page: &mut String, report: &Report) -> Result<(), Failure> {
    page.push_str(
        "<h2>Latency</h2><p class=dim>Milliseconds from when a player was due to act, whether or not the generator or the \
         cluster was ready for it.</p><table><tr><th><th>count<th>p50<th>p99<th>p99.9<th>max</tr>",
    );
    for (word, latency) in &report.latency_ms {
        write!(
            page,
            "<tr><td>{word}<td>{}<td>{:.2}<td>{:.2}<td>{:.2}<td>{:.2}</tr>",
            grouped(latency.count),
            latency.p50,
            latency.p99,
            latency.p999,
            latency.max
        )?;
    }
    page.push_str("</table>");
    Ok(())
}

fn pictures(page: &mut String, report: &Report) -> Result<(), Failure> {
    #[allow(clippy::cast_precision_loss, reason = "seconds of a run")]
    let line = |of: fn(&SecondRow) -> f64| -> Vec<(f64, f64)> {
        let seconds = report.seconds.iter().enumerate();
        seconds.map(|(nth, second)| (nth as f64 + 1.0 - report.warm_up_s, of(second))).collect()
    };
    let mut picture = |title: &str, svg: String| write!(page, "<h2>{title}</h2>{svg}");
    #[allow(clippy::cast_precision_loss, reason = "for a picture")]
    let done = vec![
        Series { name: "answered", points: line(|second| second.done as f64) },
        Series { name: "unanswered", points: line(|second| second.errors as f64) },
    ];
    let axes = Axes { x: "seconds", y: "a second", log: false };
    picture("Throughput over time", over_time(report, &axes, &done)?)?;
    let times = [
        Series { name: "p50", points: line(|second| second.p50_ms) },
        Series { name: "p99", points: line(|second| second.p99_ms) },
        Series { name: "p99.9", points: line(|second| second.p999_ms) },
    ];
    let axes = Axes { x: "seconds", y: "ms", log: true };
    picture("Latency over time", over_time(report, &axes, &times)?)?;
    picture("Latency distribution", at_quantiles("ms", "all", &report.quantiles)?)?;
    if report.staleness_ms.is_some() {
        let stale = [Series { name: "stale", points: line(|second| second.stale_share * 1e2) }];
        let axes = Axes { x: "seconds", y: "% of weaker reads", log: false };
        picture("Stale share over time", over_time(report, &axes, &stale)?)?;
        picture("Staleness distribution", at_quantiles("ms stale", "weaker reads", &report.staleness_quantiles)?)?;
    }
    Ok(())
}

fn counts(page: &mut String, report: &Report) -> Result<(), Failure> {
    page.push_str("<h2>What else was counted</h2><table>");
    let mut row = |name: &str, value: String| write!(page, "<tr><td>{}<td>{value}</tr>", escaped(name));
    for (reason, count) in &report.errors {
        row(&format!("unanswered: {reason}"), grouped(*count))?;
    }
    for (word, count) in &report.rejected {
        row(&format!("rejected by the rules: {word}"), grouped(*count))?;
    }
    row("attempts repeated since a node was overloaded", grouped(report.retries))?;
    if let Some(syncs) = report.syncs_per_claim {
        row("syncs per claim, all servers", format!("{syncs:.5}"))?;
    }
    row("generator's CPU s per 1,000", format!("{:.4}", report.cpu_s_per_1000.client))?;
    row("generator began late, p99", format!("{:.3} ms", report.generator_late_p99_ms))?;
    row("generator's memory for each player", format!("{} B", report.bytes_per_player))?;
    if let Some(staleness) = &report.staleness_ms {
        row(
            "staleness p50 / p99 / max",
            format!("{:.1} / {:.1} / {:.1} ms", staleness.p50, staleness.p99, staleness.max),
        )?;
        if let Some(bound) = staleness.bound_p99 {
            row("bound in receipts, p99", format!("{bound:.1} ms"))?;
        }
    }
    for mark in &report.faults {
        row(&format!("at {:.1} s", mark.at_s), escaped(&mark.what))?;
    }
    page.push_str("</table>");
    Ok(())
}

fn origin(page: &mut String, report: &Report) -> Result<(), Failure> {
    let hardware = &report.hardware;
    let versions: Vec<String> = report.versions.iter().map(|(what, version)| format!("{what} {version}")).collect();
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let memory = hardware.memory_bytes as f64 / f64::from(1_u32 << 30);
    write!(
        page,
        "<h2>Where, and how again</h2><p>{} × {}, {memory:.0} GiB, Linux {}; {}. Servers and generator shared it.</p>\
         <p><code>{}</code></p></html>",
        hardware.cores,
        escaped(&hardware.cpu),
        escaped(&hardware.kernel),
        escaped(&versions.join(", ")),
        escaped(&report.command)
    )?;
    Ok(())
}

/// As text in a page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
