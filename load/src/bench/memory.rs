//! What memory and CPU a cluster takes that is full, or idle.

use crate::Failure;
use crate::bench::{claims, report};
use crate::cli::{FillArgs, IdleArgs};
use crate::cluster::{Cluster, Shape};
use crate::crowd::fresh::FreshLand;
use std::time::Duration;

/// A cluster has come to rest so long after its start.
const SETTLE: Duration = Duration::from_secs(5);

/// A full world.
pub async fn fill(args: &FillArgs) -> Result<(), Failure> {
    let cluster = Cluster::start(args.common.data.clone(), Shape::default())?;
    let client = cluster.connect().await?;
    let mut land = FreshLand::new(*client.terrain(), 0);
    let until = claims::Until::Count(args.fields);
    let outcome = claims::closed_loop(&client, &mut land, args.per_chunk, 4_096, until).await?;
    let usage = cluster.snapshot(&client).await?;
    report::print_memory(args.common.json, &format!("{} fields claimed", outcome.claims), &usage, None)?;
    client.close().await;
    cluster.stop()
}

/// A cluster that does nothing.
pub async fn idle(args: &IdleArgs) -> Result<(), Failure> {
    let shape = Shape { shards: args.shards, ..Shape::default() };
    let cluster = Cluster::start(args.common.data.clone(), shape)?;
    let client = cluster.connect().await?;
    // What a start leaves to do is no idling.
    tokio::time::sleep(SETTLE).await;
    let (before, frames) = (cluster.snapshot(&client).await?, cluster.peer_frames(&client).await?);
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let (after, frames) = (cluster.snapshot(&client).await?, cluster.peer_frames(&client).await? - frames);
    let frames = report::figure(frames) / Duration::from_secs(args.seconds).as_secs_f64();
    let what =
        format!("{} idle shards, {} s: {frames:.1} frames a second between all nodes", args.shards, args.seconds);
    report::print_memory(args.common.json, &what, &after, Some(&before))?;
    client.close().await;
    cluster.stop()
}
