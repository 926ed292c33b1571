//! `icefarm admin top`: how busy the nodes are, look after look.

use crate::admin::{ask_nodes, ask_shards};
use crate::exit::{Exit, Failure};
use crate::play::Session;
use crate::stdout;
use crate::words;
use client::{NodeState, NodeStatus, Shards};
use paxos::NodeId;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use wire::{NodeFigures, NodeReport};

/// To the upper left corner; what is below goes once the new picture stands.
const HOME: &str = "\x1b[H";
const CLEAR_BELOW: &str = "\x1b[J";

/// One look at every node.
struct Look {
    at: Instant,
    nodes: Vec<NodeStatus>,
    shards: Shards,
}

impl Look {
    async fn take(session: &Session<'_>) -> Result<Self, Failure> {
        let (nodes, shards) = tokio::join!(ask_nodes(session, "admin top"), ask_shards(session, "admin top"));
        Ok(Self { at: Instant::now(), nodes: nodes?, shards: shards? })
    }
}

/// What a node did between two looks, each second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rates {
    commands: f64,
    reads: f64,
    refusals: f64,
    syncs: f64,
    log_bytes: f64,
    cpu_percent: f64,
}

impl Rates {
    /// Nothing, if the node was started in between.
    fn between(before: &NodeReport, now: &NodeReport, passed: Duration) -> Self {
        if before.pid != now.pid || passed.is_zero() {
            return Self::default();
        }
        #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
        let rate = |of: fn(&NodeFigures) -> u64| {
            of(&now.figures).saturating_sub(of(&before.figures)) as f64 / passed.as_secs_f64()
        };
        Self {
            commands: rate(|figures| figures.commands),
            reads: rate(|figures| figures.reads),
            refusals: rate(|figures| figures.refusals),
            syncs: rate(|figures| figures.syncs),
            log_bytes: rate(|figures| figures.log_bytes),
            // Milliseconds a second.
            cpu_percent: rate(|figures| figures.cpu_ms) / 10.0,
        }
    }
}

/// Looks every so often, for so many rounds or until interrupted. On a terminal each picture takes the place of the last.
pub async fn run(session: &Session<'_>, every: Duration, rounds: Option<u32>) -> Result<(), Failure> {
    let mut before = Look::take(session).await?;
    let redraws = std::io::stdout().is_terminal() && !session.globals.json;
    if redraws {
        stdout::text("\x1b[2J")?;
    }
    // A look may take as long as a node is silent.
    let look = async || {
        tokio::time::sleep(every).await;
        Look::take(session).await
    };
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|error| Failure::new(Exit::Machine, format!("cannot listen for signals: {error}")))?;
    let mut round = 0;
    while rounds.is_none_or(|rounds| round < rounds) {
        round += 1;
        let now = tokio::select! {
            now = look() => now?,
            _ = interrupt.recv() => return Ok(()),
        };
        let rates = rates(&before, &now);
        let listened = if session.globals.json {
            stdout::json_line(&object(&now, &rates))?
        } else {
            let picture = picture(&now, &rates);
            stdout::heard(&if redraws {
                format!("{HOME}{}{CLEAR_BELOW}", to_line_ends(&picture))
            } else {
                picture + "\n"
            })?
        };
        if !listened {
            return Ok(());
        }
        before = now;
    }
    Ok(())
}

fn rates(before: &Look, now: &Look) -> BTreeMap<NodeId, Rates> {
    let passed = now.at - before.at;
    let reports = |look: &Look| -> BTreeMap<NodeId, NodeReport> {
        let report = |node: &NodeStatus| match &node.state {
            NodeState::Up(report) => Some((node.entry.id, (**report).clone())),
            NodeState::Down(_) => None,
        };
        look.nodes.iter().filter_map(report).collect()
    };
    let earlier = reports(before);
    let of = |(node, now): (NodeId, NodeReport)| {
        (node, earlier.get(&node).map(|before| Rates::between(before, &now, passed)).unwrap_or_default())
    };
    reports(now).into_iter().map(of).collect()
}

/// Each line's old rest goes with it.
fn to_line_ends(picture: &str) -> String {
    picture.replace('\n', "\x1b[K\n")
}

fn picture(look: &Look, rates: &BTreeMap<NodeId, Rates>) -> String {
    let up = rates.len();
    let led = look.shards.shards.iter().filter(|status| status.leader.is_some()).count();
    let sum = |of: fn(&Rates) -> f64| whole(rates.values().map(of).sum());
    let mut text = format!(
        "{up} of {} nodes up, {led} of {} shards have a leader; a second: {} commands, {} reads, {} refusals\n\n",
        look.nodes.len(),
        look.shards.shards.len(),
        sum(|rates| rates.commands),
        sum(|rates| rates.reads),
        sum(|rates| rates.refusals),
    );
    let heading = [
        "node",
        "leads",
        "leases",
        "replicas",
        "commands/s",
        "reads/s",
        "refusals/s",
        "syncs/s",
        "queued",
        "lag",
        "clients",
        "cpu %",
        "memory",
        "chunks",
        "log written/s",
        "log on disk",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for node in &look.nodes {
        let id = node.entry.id.to_string();
        rows.push(match &node.state {
            NodeState::Up(report) => {
                let (rates, figures) = (rates.get(&node.entry.id).copied().unwrap_or_default(), &report.figures);
                vec![
                    id,
                    report.leads.to_string(),
                    figures.leases.to_string(),
                    report.replicas.to_string(),
                    whole(rates.commands),
                    whole(rates.reads),
                    whole(rates.refusals),
                    whole(rates.syncs),
                    words::thousands(figures.queued),
                    words::thousands(figures.lag),
                    words::thousands(figures.clients),
                    format!("{:.0}", rates.cpu_percent),
                    words::bytes(figures.memory_bytes),
                    words::bytes(figures.chunk_bytes),
                    words::bytes(rounded(rates.log_bytes)),
                    words::bytes(figures.log_size_bytes),
                ]
            }
            NodeState::Down(why) => vec![id, format!("down: {why}")],
        });
    }
    text.push_str(&words::table(&rows));
    text
}

fn object(look: &Look, rates: &BTreeMap<NodeId, Rates>) -> Value {
    let nodes: Vec<Value> = look
        .nodes
        .iter()
        .map(|node| match &node.state {
            NodeState::Up(report) => {
                let (rates, figures) = (rates.get(&node.entry.id).copied().unwrap_or_default(), &report.figures);
                json!({
                    "node": node.entry.id.to_string(),
                    "state": "up",
                    "leads": report.leads,
                    "leases": figures.leases,
                    "replicas": report.replicas,
                    "commands_per_s": rounded(rates.commands),
                    "reads_per_s": rounded(rates.reads),
                    "refusals_per_s": rounded(rates.refusals),
                    "syncs_per_s": rounded(rates.syncs),
                    "queued": figures.queued,
                    "lag": figures.lag,
                    "clients": figures.clients,
                    "cpu_percent": rounded(rates.cpu_percent),
                    "memory_bytes": figures.memory_bytes,
                    "chunk_bytes": figures.chunk_bytes,
                    "log_bytes_per_s": rounded(rates.log_bytes),
                    "log_size_bytes": figures.log_size_bytes,
                })
            }
            NodeState::Down(why) => json!({ "node": node.entry.id.to_string(), "state": "down", "why": why }),
        })
        .collect();
    let leaderless = look.shards.shards.iter().filter(|status| status.leader.is_none());
    json!({ "nodes": nodes, "shards": { "total": look.shards.shards.len(), "leaderless": leaderless.count() } })
}

fn whole(rate: f64) -> String {
    words::thousands(rounded(rate))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are small and never negative")]
fn rounded(rate: f64) -> u64 {
    rate.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(pid: u32, commands: u64, cpu_ms: u64) -> NodeReport {
        NodeReport {
            node: NodeId(1),
            region: "local".into(),
            pid,
            quic: String::new(),
            http: String::new(),
            data: String::new(),
            version: String::new(),
            leads: 1,
            replicas: 1,
            hears: Vec::new(),
            figures: NodeFigures { commands, cpu_ms, ..NodeFigures::default() },
        }
    }

    #[test]
    fn rates_are_of_what_was_done_in_between_and_none_over_a_restart() {
        let rates = Rates::between(&report(7, 100, 50), &report(7, 1_100, 1_050), Duration::from_secs(2));
        assert_eq!((rates.commands, rates.cpu_percent), (500.0, 50.0));
        assert_eq!(Rates::between(&report(7, 100, 50), &report(8, 20, 5), Duration::from_secs(2)), Rates::default());
    }
}
