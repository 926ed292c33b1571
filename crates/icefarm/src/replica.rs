//! Changing who holds a shard: each verb asks its leader, waits where something has to come first, and says how far it is.

use crate::cli::ReplicaVerb;
use crate::exit::{Exit, Failure};
use crate::play::Session;
use crate::stdout;
use client::{Error, Reason};
use json::Problem;
use paxos::NodeId;
use placement::ShardId;
use serde_json::json;
use std::io::IsTerminal;
use std::time::Duration;
use tokio::time::Instant;
use wire::Change;

/// How often a node that is catching up is looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Does one of them.
pub async fn run(session: &Session<'_>, verb: ReplicaVerb) -> Result<(), Failure> {
    match verb {
        ReplicaVerb::Add { shard, node } => {
            let doing = format!("adding {node} to shard {shard}");
            change(session, &doing, shard, Change::Add(node)).await?;
            done(session, shard, &format!("{node} gets everything of shard {shard} from now on; it does not vote"))
        }
        ReplicaVerb::Promote { shard, node } => {
            let doing = format!("promoting {node} in shard {shard}");
            change(session, &doing, shard, Change::Promote(node)).await?;
            done(session, shard, &format!("{node} votes in shard {shard}"))
        }
        ReplicaVerb::Remove { shard, node } => {
            let doing = format!("removing {node} from shard {shard}");
            change(session, &doing, shard, Change::Remove(node)).await?;
            done(session, shard, &format!("{node} holds shard {shard} no more"))
        }
        ReplicaVerb::Replace { shard, old, new } => {
            let doing = format!("replacing {old} by {new} in shard {shard}");
            let swap = Change::Replace { old, new };
            // A standby already, or already done: then nothing needs adding.
            if !is_member(session, shard, new).await? {
                change(session, &doing, shard, Change::Add(new)).await?;
            }
            change(session, &doing, shard, swap).await?;
            done(session, shard, &format!("{new} votes in shard {shard} in the place of {old}"))
        }
    }
}

/// Lets `node` lead `shard`, and waits until it does.
pub async fn transfer(session: &Session<'_>, shard: ShardId, node: NodeId) -> Result<(), Failure> {
    let doing = format!("letting {node} lead shard {shard}");
    change(session, &doing, shard, Change::Lead(node)).await?;
    let begin = Instant::now();
    loop {
        let shards = session.client.shards().await.map_err(|error| session.explain(&doing, None, &error))?;
        if shards.shards.iter().any(|status| status.shard == shard && status.leader == Some(node)) {
            return done(session, shard, &format!("{node} leads shard {shard}"));
        }
        if begin.elapsed() >= session.globals.timeout {
            return Err(Failure::new(
                Exit::Unavailable,
                format!("{doing}: it does not, after {:?}", session.globals.timeout),
            )
            .hint(format!("see `icefarm admin shard {shard}`, and say it again"))
            .with_problem(Problem::unavailable("no", "timeout", &[node], 500)));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn is_member(session: &Session<'_>, shard: ShardId, node: NodeId) -> Result<bool, Failure> {
    let shards =
        session.client.shards().await.map_err(|error| session.explain("asking for the shards", None, &error))?;
    let status = shards.shards.iter().find(|status| status.shard == shard);
    Ok(status.is_some_and(|status| status.voters.contains(&node) || status.standbys.contains(&node)))
}

/// Asks for the change until it is made. Who is catching up is waited for as long as it gets anywhere.
pub async fn change(session: &Session<'_>, doing: &str, shard: ShardId, change: Change) -> Result<(), Failure> {
    let (mut least, mut moved) = (u64::MAX, Instant::now());
    let on_terminal = std::io::stderr().is_terminal() && !session.globals.json;
    let clear = |shown: bool| {
        if shown && on_terminal {
            eprint!("\r\x1b[K");
        }
    };
    loop {
        match session.client.change(shard, change).await {
            Ok(()) => {
                clear(least < u64::MAX);
                return Ok(());
            }
            Err(Error::Unavailable { reason: Reason::CatchingUp(slots), .. })
                if moved.elapsed() < session.globals.timeout || slots < least =>
            {
                if slots < least {
                    (least, moved) = (slots, Instant::now());
                    if on_terminal {
                        eprint!("\r{doing}: {slots} slots behind\x1b[K");
                    } else if !session.globals.json {
                        eprintln!("{doing}: {slots} slots behind");
                    }
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Err(error) => {
                clear(least < u64::MAX);
                return Err(session.explain(doing, None, &error));
            }
        }
    }
}

fn done(session: &Session<'_>, shard: ShardId, sentence: &str) -> Result<(), Failure> {
    if session.globals.json {
        return stdout::json(&json!({ "outcome": "changed", "shard": shard.0 }));
    }
    stdout::text(&format!("{sentence}\n"))
}
