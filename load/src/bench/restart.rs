//! How soon a full world serves again.

use crate::Failure;
use crate::bench::claims::{self, Until};
use crate::cli::RestartArgs;
use crate::cluster::{Cluster, Shape};
use crate::crowd::fresh::FreshLand;

/// Claims made after the clean stop, so that there is something to replay after the other one.
const MORE: u64 = 100_000;

/// Fills a world, stops it cleanly, starts it, claims more, kills everything, starts it.
pub async fn bench(args: &RestartArgs) -> Result<(), Failure> {
    let mut cluster = Cluster::start(args.common.data.clone(), Shape::default())?;
    let client = cluster.connect().await?;
    let mut land = FreshLand::new(*client.terrain(), 0);
    eprintln!("claiming {} fields", args.fields);
    claims::closed_loop(&client, &mut land, 32, 4_096, Until::Count(args.fields)).await?;
    client.close().await;
    cluster.stop_all()?;
    let clean = cluster.up_again()?;
    let client = cluster.connect().await?;
    claims::closed_loop(&client, &mut land, 32, 4_096, Until::Count(MORE)).await?;
    cluster.kill_all()?;
    client.close().await;
    let killed = cluster.up_again()?;
    cluster.stop()?;
    let (clean, killed) = (clean.as_secs_f64(), killed.as_secs_f64());
    if args.common.json {
        println!("{}", serde_json::json!({ "fields": args.fields, "clean_s": clean, "killed_s": killed }));
    } else {
        println!("three nodes with {} fields serve claims again", args.fields);
        println!("  {clean:.2} s after they were started, having been stopped cleanly");
        println!("  {killed:.2} s after they were started, having been killed (-9) after {MORE} more claims");
    }
    Ok(())
}
