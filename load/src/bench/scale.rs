//! What a claim costs as everything grows: with more active shards, more voters, more land that is owned already.

use crate::Failure;
use crate::bench::claims::{Outcomes, Until, closed_loop};
use crate::bench::report::figure;
use crate::cli::ScaleArgs;
use crate::cluster::{Cluster, Shape, Usage};
use crate::crowd::fresh::FreshLand;
use client::Client;
use serde::Serialize;
use std::time::Duration;

/// Claims under way while land is filled up.
const FILLING: usize = 4_096;

/// One size of one thing.
#[derive(Debug, Serialize)]
struct Row {
    /// What grows: shards, voters or fields.
    grows: &'static str,
    /// How large it is.
    size: u64,
    claims_per_s: f64,
    p99_ms: f64,
    /// CPU seconds for 1,000 claims, servers together, and of this client.
    servers_cpu: f64,
    client_cpu: f64,
    /// All of the CPU for a claim, to the first row of its kind.
    to_first: f64,
    syncs_per_claim: f64,
    resident_mb: f64,
}

/// Measures all three.
pub async fn bench(args: &ScaleArgs) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for &shards in &args.shards {
        eprintln!("{shards} shards");
        let cluster = Cluster::start(None, Shape { shards, ..Shape::default() })?;
        let client = cluster.connect().await?;
        rows.push(from_cold(args, &cluster, &client, ("shards", u64::from(shards))).await?);
        end(cluster, client).await?;
    }
    for &voters in &args.voters {
        eprintln!("{voters} voters");
        let cluster = Cluster::start(None, Shape { nodes: voters, voters, ..Shape::default() })?;
        let client = cluster.connect().await?;
        rows.push(from_cold(args, &cluster, &client, ("voters", u64::from(voters))).await?);
        end(cluster, client).await?;
    }
    let cluster = Cluster::start(args.common.data.clone(), Shape::default())?;
    let client = cluster.connect().await?;
    let (mut land, mut owned) = (land(&client), 0);
    let mut sizes = args.fields.clone();
    sizes.sort_unstable();
    for fields in sizes {
        eprintln!("{fields} fields");
        let missing = fields.saturating_sub(owned);
        if missing > 0 {
            owned += closed_loop(&client, &mut land, args.per_chunk, FILLING, Until::Count(missing)).await?.all_claims;
        }
        let row = measure(args, &cluster, &client, &mut land, ("fields", fields)).await?;
        owned += row.1;
        rows.push((row.0, 0));
    }
    end(cluster, client).await?;
    let mut rows: Vec<Row> = rows.into_iter().map(|(row, _)| row).collect();
    let all: Vec<(&'static str, f64)> = rows.iter().map(|row| (row.grows, row.servers_cpu + row.client_cpu)).collect();
    for (row, (grows, cpu)) in rows.iter_mut().zip(&all) {
        let first = all.iter().find(|(other, _)| other == grows).map_or(*cpu, |(_, first)| *first);
        row.to_first = cpu / first;
    }
    if args.common.json {
        println!("{}", serde_json::json!({ "in_flight": args.in_flight, "per_chunk": args.per_chunk, "rows": rows }));
    } else {
        print(args, &rows);
    }
    Ok(())
}

fn land(client: &Client) -> FreshLand {
    FreshLand::new(*client.terrain(), 0)
}

async fn end(cluster: Cluster, client: Client) -> Result<(), Failure> {
    client.close().await;
    cluster.stop()
}

/// With a new cluster. So many claims come before that its logs are as long as they get, and land is checkpointed as fast as
/// it is claimed.
async fn from_cold(
    args: &ScaleArgs,
    cluster: &Cluster,
    client: &Client,
    what: (&'static str, u64),
) -> Result<(Row, u64), Failure> {
    let mut land = land(client);
    closed_loop(client, &mut land, args.per_chunk, FILLING, Until::Count(args.warm_up)).await?;
    measure(args, cluster, client, &mut land, what).await
}

/// A closed loop on fresh land; says also how many fields it claimed.
async fn measure(
    args: &ScaleArgs,
    cluster: &Cluster,
    client: &Client,
    land: &mut FreshLand,
    (grows, size): (&'static str, u64),
) -> Result<(Row, u64), Failure> {
    let before = cluster.snapshot(client).await?;
    let until = Until::Time(Duration::from_secs(args.seconds));
    let outcome: Outcomes = closed_loop(client, land, args.per_chunk, args.in_flight as usize, until).await?;
    let after = cluster.snapshot(client).await?;
    let thousands = figure(outcome.all_claims.max(1)) / 1e3;
    let spent = |of: fn(&Usage) -> f64| (of(&after) - of(&before)) / thousands;
    let resident = after.nodes.iter().map(|(_, bytes, _)| *bytes).max().unwrap_or_default();
    let row = Row {
        grows,
        size,
        claims_per_s: figure(outcome.claims) / outcome.time.as_secs_f64(),
        p99_ms: figure(outcome.latency.value_at_quantile(0.99)) / 1e3,
        servers_cpu: spent(Usage::server_cpu),
        client_cpu: spent(|usage| usage.client_cpu),
        to_first: 1.0,
        syncs_per_claim: figure(after.syncs - before.syncs) / 1e3 / thousands,
        resident_mb: figure(resident) / 1e6,
    };
    Ok((row, outcome.all_claims))
}

fn print(args: &ScaleArgs, rows: &[Row]) {
    println!("durable claims, {} in flight, {} a chunk; CPU seconds for 1,000 claims", args.in_flight, args.per_chunk);
    println!(
        "{:<7} {:>10} {:>10} {:>9} {:>9} {:>9} {:>9} {:>12} {:>9}",
        "", "", "claims/s", "p99 ms", "servers", "client", "to first", "syncs/claim", "MB/node"
    );
    for row in rows {
        println!(
            "{:<7} {:>10} {:>10.0} {:>9.2} {:>9.4} {:>9.4} {:>9.2} {:>12.4} {:>9.0}",
            row.grows,
            row.size,
            row.claims_per_s,
            row.p99_ms,
            row.servers_cpu,
            row.client_cpu,
            row.to_first,
            row.syncs_per_claim,
            row.resident_mb
        );
    }
}
