//! A node that leads many shards dies: when does each of them serve claims again?

use crate::bulk;
use crate::cli::FailoverArgs;
use crate::cluster::{Cluster, Shape};
use crate::{Failure, WrongAnswer};
use client::{Client, Job, Success};
use hdrhistogram::Histogram;
use paxos::NodeId;
use placement::{ShardId, ShardMap};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use world::grid::CHUNKS;
use world::{Bucket, CharacterId, ChunkId, Command, Deed, FieldId, Outcome, PlayerName};

/// Kills the node that leads most, and asks each of its shards for a claim at that moment.
pub async fn bench(args: &FailoverArgs) -> Result<(), Failure> {
    let shape = Shape { shards: args.shards, ..Shape::default() };
    let cluster = Cluster::start(args.common.data.clone(), shape)?;
    let client = cluster.connect().await?;
    let mut led: BTreeMap<NodeId, BTreeSet<ShardId>> = BTreeMap::new();
    for status in client.shards().await?.shards {
        if let Some(leader) = status.leader {
            led.entry(leader).or_default().insert(status.shard);
        }
    }
    let (victim, shards) = led.into_iter().max_by_key(|(_, shards)| shards.len()).ok_or("nobody leads anything")?;
    let fields = one_field_each(&client, args.shards, &shards)?;
    let player: PlayerName = "scrat".parse()?;
    eprintln!("{victim} leads {} shards and is killed", shards.len());
    cluster.kill(&victim.to_string())?;
    let killed = Instant::now();
    let claim = |field: &FieldId| Job::Do(player, Command::Claim { field: *field, character: CharacterId(0) });
    let mut latency = Histogram::<u64>::new(3)?;
    let jobs = fields.iter().map(|field| (claim(field), *field));
    bulk::run(&client, fields.len(), jobs, |field, success, _| match success {
        Success::Command { outcome: Outcome::Done { deed: Deed::Claimed, .. }, .. } => {
            latency.record(u64::try_from(killed.elapsed().as_millis())?.max(1))?;
            Ok(())
        }
        other => Err(WrongAnswer(format!("the free {field} was claimed: {other:?}")).into()),
    })
    .await?;
    client.close().await;
    cluster.stop()?;
    let at = |quantile| latency.value_at_quantile(quantile);
    let (p50, p99, max) = (at(0.5), at(0.99), latency.max());
    if args.common.json {
        let shards = shards.len();
        println!("{}", serde_json::json!({ "shards": shards, "p50_ms": p50, "p99_ms": p99, "max_ms": max }));
    } else {
        println!("{} shards lost their leader at once; each served a claim again", shards.len());
        println!("  after (over the shards): p50 {p50} ms, p99 {p99} ms, the last {max} ms");
    }
    Ok(())
}

/// A claimable field of each of `wanted`, of a world of so many shards.
fn one_field_each(client: &Client, shards: u32, wanted: &BTreeSet<ShardId>) -> Result<Vec<FieldId>, Failure> {
    // The buckets alone matter here.
    let map = ShardMap::initial(shards, &[NodeId(1)], 1)?;
    let mut found = BTreeMap::new();
    for nth in 0..u64::from(CHUNKS) * u64::from(CHUNKS) {
        if found.len() == wanted.len() {
            break;
        }
        let (x, y) = (nth % u64::from(CHUNKS), nth / u64::from(CHUNKS));
        let chunk = ChunkId::new(u32::try_from(x)?, u32::try_from(y)?)?;
        let shard = map.shard_of(Bucket::of_chunk(client.seed(), chunk)).shard;
        if wanted.contains(&shard) && !found.contains_key(&shard) {
            let mut fields = (0..4_096).filter_map(|offset| chunk.field(offset));
            if let Some(field) = fields.find(|field| client.terrain().at(*field).claimable()) {
                found.insert(shard, field);
            }
        }
    }
    Ok(found.into_values().collect())
}
