//! `icefarm admin repair`: a node whose disk was wiped gets everything back from the others, and votes again.
//!
//! Such a node has forgotten its promises, so the others do not heed it. In each of its shards it is added anew, in the life that
//! its disk has now and in the place of what it was, and promoted once it has everything. What is left to do is seen from the
//! cluster alone, shard by shard: so it can be interrupted at any moment, and said again.

use crate::exit::{Exit, Failure};
use crate::play::Session;
use crate::replica::{LOOK_EVERY, change};
use crate::stdout;
use client::{NodeState, ShardStatus};
use json::Problem;
use paxos::NodeId;
use placement::ShardId;
use serde_json::{Value, json};
use tokio::time::Instant;
use wire::Change;

/// What is left to do in one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Task {
    shard: ShardId,
    steps: Vec<Change>,
}

/// Repairs `node`, or only says how.
pub async fn run(session: &Session<'_>, node: NodeId, dry_run: bool) -> Result<(), Failure> {
    let tasks = tasks(session, node).await?;
    if !dry_run {
        for (done, task) in tasks.iter().enumerate() {
            for &step in &task.steps {
                let doing = format!("[{}/{}] {}", done + 1, tasks.len(), describe(step, task.shard));
                change(session, &doing, task.shard, step).await.map_err(|failure| {
                    failure.hint(format!("say it again: `icefarm admin repair {node}` goes on where it stopped"))
                })?;
            }
            if !session.globals.json {
                eprintln!("[{}/{}] shard {}: {node} is back", done + 1, tasks.len(), task.shard);
            }
        }
    }
    report(session, node, dry_run, &tasks)
}

fn report(session: &Session<'_>, node: NodeId, dry_run: bool, tasks: &[Task]) -> Result<(), Failure> {
    if session.globals.json {
        let outcome = if dry_run { "ok" } else { "changed" };
        let shards: Vec<Value> = tasks
            .iter()
            .map(|task| json!({ "shard": task.shard.0, "steps": task.steps.iter().map(word).collect::<Vec<_>>() }))
            .collect();
        return stdout::json(&json!({ "outcome": outcome, "node": node.to_string(), "shards": shards }));
    }
    if dry_run {
        let line = |task: &Task| {
            let steps: Vec<&str> = task.steps.iter().map(word).collect();
            format!("shard {}: {}\n", task.shard, steps.join(", "))
        };
        let lines: String = tasks.iter().map(line).collect();
        return stdout::text(&format!("{lines}{} shards to repair on {node}\n", tasks.len()));
    }
    stdout::text(&format!("{node}: {} shards repaired\n", tasks.len()))
}

/// Waits until the others have heard `node`, for only then do they know which life of its disk it has; then says what is left
/// to do.
async fn tasks(session: &Session<'_>, node: NodeId) -> Result<Vec<Task>, Failure> {
    let doing = format!("repairing {node}");
    let begin = Instant::now();
    loop {
        let nodes = session.client.nodes().await.map_err(|error| session.explain(&doing, None, &error))?;
        let hears_it = |report: &wire::NodeReport| report.node == node || report.hears.contains(&node);
        let state = nodes.iter().find(|status| status.entry.id == node).map(|status| &status.state);
        let why = match state {
            None => {
                return Err(Failure::new(Exit::Usage, format!("{doing}: there is no such node"))
                    .hint("`icefarm admin nodes` lists them"));
            }
            Some(NodeState::Down(why)) => format!("it does not answer: {why}"),
            Some(NodeState::Up(_)) => {
                let deaf = nodes.iter().filter_map(|status| match &status.state {
                    NodeState::Up(report) if !hears_it(report) => Some(report.node),
                    _ => None,
                });
                match deaf.min() {
                    None => break,
                    Some(deaf) => format!("{deaf} does not hear it"),
                }
            }
        };
        if begin.elapsed() >= session.globals.timeout {
            return Err(Failure::new(Exit::Unavailable, format!("{doing}: {why}"))
                .hint(format!("start it: icefarm node --config DATA/{node}/node.toml"))
                .with_problem(Problem::unavailable("no", "not_connected", &[node], 1_000)));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let shards = session.client.shards().await.map_err(|error| session.explain(&doing, None, &error))?;
    let mut tasks = Vec::new();
    for status in &shards.shards {
        if status.leader.is_none() {
            return Err(Failure::new(Exit::Unavailable, format!("{doing}: shard {} has no leader", status.shard))
                .hint("a majority of its voters must be up: see `icefarm admin status`")
                .with_problem(Problem::unavailable("no", "no_leader", &[], 1_000)));
        }
        if status.leader.is_some_and(|leader| !status.replicas.contains_key(&leader)) {
            return Err(Failure::new(
                Exit::Unavailable,
                format!("{doing}: the leader of shard {} did not say who its members are", status.shard),
            )
            .hint("try again")
            .with_problem(Problem::unavailable("no", "not_connected", &[], 1_000)));
        }
        let steps = steps(node, status);
        if !steps.is_empty() {
            tasks.push(Task { shard: status.shard, steps });
        }
    }
    Ok(tasks)
}

/// What is left to do in a shard. An even number of voters says that a change was left half-way: this one, interrupted. (Who is
/// no member was none before: a member that has lost its disk is added in the place of what it was, at once.)
fn steps(node: NodeId, status: &ShardStatus) -> Vec<Change> {
    let leader = status.leader.and_then(|leader| status.replicas.get(&leader));
    let heeded = leader.is_none_or(|leader| !leader.unheeded.contains(&node));
    let (votes, listens) = (status.voters.contains(&node), status.standbys.contains(&node));
    let short = status.voters.len().is_multiple_of(2);
    match (votes, listens, heeded) {
        (true, _, false) => vec![Change::Add(node), Change::Promote(node)],
        (false, true, false) if short => vec![Change::Add(node), Change::Promote(node)],
        (false, true, false) => vec![Change::Add(node)],
        (false, true, true) if short => vec![Change::Promote(node)],
        _ => vec![],
    }
}

fn word(step: &Change) -> &'static str {
    match step {
        Change::Remove(_) => "remove",
        Change::Add(_) => "add",
        Change::Promote(_) => "promote",
        Change::Replace { .. } => "replace",
        Change::Lead(_) => "lead",
    }
}

fn describe(step: Change, shard: ShardId) -> String {
    format!("shard {shard}: {}", word(&step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use paxos::{Ballot, Slot};
    use std::collections::BTreeMap;
    use wire::ReplicaReport;

    const N1: NodeId = NodeId(1);
    const N3: NodeId = NodeId(3);

    fn status(voters: &[u32], standbys: &[u32], unheeded: &[u32]) -> ShardStatus {
        let nodes = |ids: &[u32]| ids.iter().copied().map(NodeId).collect::<Vec<_>>();
        let leader = ReplicaReport {
            shard: ShardId(1),
            buckets: (0, 9),
            leader: Some(N1),
            ballot: Ballot::ZERO,
            voters: nodes(voters),
            standbys: nodes(standbys),
            unheeded: nodes(unheeded),
            configuration: 0,
            chosen: Slot(1),
            applied: Slot(1),
            checkpointed: Slot(1),
            fields: 0,
        };
        ShardStatus {
            shard: ShardId(1),
            buckets: (0, 9),
            leader: Some(N1),
            ballot: Ballot::ZERO,
            voters: nodes(voters),
            standbys: nodes(standbys),
            chosen: Slot(1),
            fields: 0,
            replicas: BTreeMap::from([(N1, leader)]),
        }
    }

    #[test]
    fn whatever_step_it_was_interrupted_at_the_rest_is_what_is_left() {
        let (add, promote) = (Change::Add(N3), Change::Promote(N3));
        assert_eq!(steps(N3, &status(&[1, 2, 3], &[], &[3])), [add, promote]);
        assert_eq!(steps(N3, &status(&[1, 2], &[3], &[])), [promote]);
        assert_eq!(steps(N3, &status(&[1, 2, 3], &[], &[])), []);
    }

    #[test]
    fn a_disk_wiped_again_half_way_and_a_standby_are_repaired_too_and_others_shards_left_alone() {
        let (add, promote) = (Change::Add(N3), Change::Promote(N3));
        assert_eq!(steps(N3, &status(&[1, 2], &[3], &[3])), [add, promote]);
        assert_eq!(steps(N3, &status(&[1, 2, 4], &[3], &[3])), [add]);
        assert_eq!(steps(N3, &status(&[1, 2, 4], &[3], &[])), []);
        assert_eq!(steps(N3, &status(&[1, 2, 4], &[], &[])), []);
        assert_eq!(
            steps(N3, &status(&[1, 2, 4, 5], &[], &[])),
            [],
            "an even number is no reason to vote where it never did"
        );
    }
}
