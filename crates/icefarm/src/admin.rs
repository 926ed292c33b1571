//! The operator's verbs.

use crate::cli::AdminVerb;
use crate::exit::{Exit, Failure};
use crate::play::Session;
use crate::repair;
use crate::replica;
use crate::stdout;
use crate::top;
use crate::words;
use client::{NodeState, NodeStatus, ShardStatus, Shards};
use json::Problem;
use paxos::NodeId;
use serde_json::json;
use std::collections::BTreeMap;

/// Does one of the operator's verbs.
pub async fn run(session: &Session<'_>, verb: AdminVerb) -> Result<(), Failure> {
    match verb {
        AdminVerb::Status => status(session).await,
        AdminVerb::Nodes => nodes(session).await,
        AdminVerb::Shards => {
            let shards = ask_shards(session, "admin shards").await?;
            if session.globals.json {
                let rows: Vec<json::Shard> = shards.shards.iter().map(json::Shard::from).collect();
                return stdout::json(&json!({ "shards": rows }));
            }
            warn_missing(&shards);
            stdout::text(&shard_table(&shards.shards))
        }
        AdminVerb::Shard { id } => {
            let shards = ask_shards(session, &format!("admin shard {id}")).await?;
            let Some(status) = shards.shards.iter().find(|status| status.shard == id) else {
                return Err(Failure::new(Exit::Usage, format!("there is no shard {id}"))
                    .hint("`icefarm admin shards` lists them"));
            };
            if session.globals.json {
                return stdout::json(&json!({ "shard": json::Shard::from(status) }));
            }
            warn_missing(&shards);
            stdout::text(&shard_page(status))
        }
        AdminVerb::Top { every, rounds } => top::run(session, every, rounds).await,
        AdminVerb::Replica(verb) => replica::run(session, verb).await,
        AdminVerb::Repair { node, dry_run } => repair::run(session, node, dry_run).await,
        AdminVerb::Verify { .. } => unreachable!("asks no cluster"),
        AdminVerb::TransferLeader { shard, node } => replica::transfer(session, shard, node).await,
    }
}

pub async fn ask_nodes(session: &Session<'_>, doing: &str) -> Result<Vec<NodeStatus>, Failure> {
    session.client.nodes().await.map_err(|error| session.explain(doing, None, &error))
}

pub async fn ask_shards(session: &Session<'_>, doing: &str) -> Result<Shards, Failure> {
    let shards = session.client.shards().await.map_err(|error| session.explain(doing, None, &error))?;
    if shards.shards.is_empty() {
        let missing: Vec<NodeId> = shards.missing.keys().copied().collect();
        return Err(Failure::new(Exit::Unavailable, format!("{doing}: no node answers"))
            .hint("start the nodes, or name another cluster with --cluster")
            .with_problem(Problem::unavailable("no", "not_connected", &missing, 1_000)));
    }
    Ok(shards)
}

async fn nodes(session: &Session<'_>) -> Result<(), Failure> {
    let nodes = ask_nodes(session, "admin nodes").await?;
    if session.globals.json {
        let rows: Vec<json::Node> = nodes.iter().map(json::Node::from).collect();
        return stdout::json(&json!({ "nodes": rows }));
    }
    let heading = ["node", "state", "region", "process", "leads", "replicas", "hears", "QUIC", "HTTP", "data"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for node in &nodes {
        let id = node.entry.id.to_string();
        rows.push(match &node.state {
            NodeState::Up(report) => vec![
                id,
                "up".into(),
                report.region.clone(),
                report.pid.to_string(),
                report.leads.to_string(),
                report.replicas.to_string(),
                words::list(&report.hears),
                report.quic.clone(),
                report.http.clone(),
                report.data.clone(),
            ],
            NodeState::Down(why) => vec![id, "down".into(), node.entry.region.clone(), why.clone()],
        });
    }
    stdout::text(&words::table(&rows))
}

/// How many slots the slowest replica that answers is behind.
fn lag(status: &ShardStatus) -> u64 {
    let slowest = status.replicas.values().map(|report| report.applied.0).min().unwrap_or(0);
    status.chosen.0.saturating_sub(slowest)
}

fn leader(status: &ShardStatus) -> String {
    status.leader.map_or_else(|| "none".to_owned(), |node| node.to_string())
}

fn shard_table(shards: &[ShardStatus]) -> String {
    let heading = ["shard", "buckets", "leader", "ballot", "voters", "chosen", "lag", "fields"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(shards.iter().map(|status| {
        vec![
            status.shard.to_string(),
            format!("{}-{}", status.buckets.0, status.buckets.1),
            leader(status),
            status.ballot.to_string(),
            words::list(&status.voters),
            status.chosen.to_string(),
            lag(status).to_string(),
            words::thousands(status.fields),
        ]
    }));
    words::table(&rows)
}

fn shard_page(status: &ShardStatus) -> String {
    let (first, last) = status.buckets;
    let mut text = format!(
        "shard {}: buckets {first} to {last}, led by {} under ballot {}, {}\n\n",
        status.shard,
        leader(status),
        status.ballot,
        words::count(status.fields, "field"),
    );
    let heading = ["replica", "role", "promised", "chosen", "applied", "checkpointed"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let voters = status.voters.iter().map(|node| (node, if status.leader == Some(*node) { "leader" } else { "voter" }));
    for (node, role) in voters.chain(status.standbys.iter().map(|node| (node, "standby"))) {
        let id = node.to_string();
        rows.push(match status.replicas.get(node) {
            Some(report) => vec![
                id,
                role.into(),
                report.ballot.to_string(),
                report.chosen.to_string(),
                report.applied.to_string(),
                report.checkpointed.to_string(),
            ],
            None => vec![id, "does not answer".into()],
        });
    }
    text.push_str(&words::table(&rows));
    text
}

fn warn_missing(shards: &Shards) {
    for (node, why) in &shards.missing {
        eprintln!("{node} does not answer: {why}");
    }
}

async fn status(session: &Session<'_>) -> Result<(), Failure> {
    let (nodes, shards) = tokio::join!(ask_nodes(session, "admin status"), ask_shards(session, "admin status"));
    let (nodes, shards) = (nodes?, shards?);
    let down: Vec<&NodeStatus> = nodes.iter().filter(|node| matches!(node.state, NodeState::Down(_))).collect();
    let leaderless: Vec<u32> =
        shards.shards.iter().filter(|status| status.leader.is_none()).map(|status| status.shard.0).collect();
    let fields: u64 = shards.shards.iter().map(|status| status.fields).sum();
    let lag = shards.shards.iter().map(lag).max().unwrap_or(0);
    let mut leads: BTreeMap<String, u64> = BTreeMap::new();
    for status in shards.shards.iter().filter(|status| status.leader.is_some()) {
        *leads.entry(leader(status)).or_default() += 1;
    }
    if session.globals.json {
        return stdout::json(&json!({
            "outcome": "ok",
            "nodes": { "up": nodes.len() - down.len(), "down": down.iter().map(|node| node.entry.id.to_string()).collect::<Vec<_>>() },
            "shards": { "total": shards.shards.len(), "leaderless": leaderless, "leads": leads },
            "fields": fields,
            "max_lag": lag,
        }));
    }
    let mut lines = vec![format!("nodes   {} of {} up", nodes.len() - down.len(), nodes.len())];
    for node in &down {
        if let NodeState::Down(why) = &node.state {
            lines.push(format!("        {} is down: {why}", node.entry.id));
        }
    }
    let led: Vec<String> = leads.iter().map(|(node, count)| format!("{node} leads {count}")).collect();
    let (with, total) = (shards.shards.len() - leaderless.len(), shards.shards.len());
    lines.push(format!("shards  {with} of {total} have a leader ({})", led.join(", ")));
    if !leaderless.is_empty() {
        lines.push(format!("        without one: {}", words::list(&leaderless)));
    }
    lines.push(format!("land    {} owned", words::count(fields, "field")));
    lines.push(format!("lag     the slowest replica is {} behind", words::count(lag, "slot")));
    stdout::text(&(lines.join("\n") + "\n"))
}
