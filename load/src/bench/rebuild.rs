//! A large replica moves to another node, while claims go on at half the rate they could.

use crate::bench::claims::{self, Until};
use crate::bench::report::figure;
use crate::bulk;
use crate::cli::RebuildArgs;
use crate::cluster::{Cluster, Shape};
use crate::crowd::fresh::FreshLand;
use crate::{Failure, NoAnswer, WrongAnswer};
use client::{Client, Job, Success};
use paxos::NodeId;
use placement::ShardId;
use std::time::{Duration, Instant};
use wire::Change;
use world::{CharacterId, Command, Deed, FieldId, Outcome, PlayerName};

const SHARD: ShardId = ShardId(1);
/// Who goes, and who comes.
const OLD: NodeId = NodeId(3);
const NEW: NodeId = NodeId(4);
/// How long the highest rate, and the rate before the move, are measured.
const TIME: Duration = Duration::from_secs(8);
/// How long the move may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// Between two looks at how far the move has come.
const LOOK: Duration = Duration::from_millis(200);
/// Players who share a chunk; each claims one field there.
const NEIGHBOURS: u32 = 512;
/// Between two words about how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Claims that may be under way at half load.
const DEPTH: usize = 2_048;

/// Fills one shard, measures, moves a replica of it.
pub async fn bench(args: &RebuildArgs) -> Result<(), Failure> {
    let shape = Shape { nodes: 4, voters: 3, shards: 1, ..Shape::default() };
    let cluster = Cluster::start(args.common.data.clone(), shape)?;
    let client = cluster.connect().await?;
    let mut land = FreshLand::new(*client.terrain(), 0);
    settle(&client, &mut land, args.fields).await?;
    let highest = claims::closed_loop(&client, &mut land, 64, 4_096, Until::Time(TIME)).await?;
    let highest = figure(highest.claims) / highest.time.as_secs_f64();
    let rate = highest / 2.0;
    eprintln!("at most {highest:.0} claims a second; half of that from now on");
    let before = paced(&client, &mut land, rate, async |begin| begin.elapsed() >= TIME).await?;
    let bytes_before = cluster.snapshot_bytes(&client).await?;
    client.change(SHARD, Change::Add(NEW)).await?;
    let mover = client.clone();
    let moving = Instant::now();
    let move_it = tokio::spawn(async move {
        // It is refused for as long as the new one lacks anything.
        while let Err(error) = mover.change(SHARD, Change::Replace { old: OLD, new: NEW }).await {
            if moving.elapsed() > PATIENCE || !matches!(error, client::Error::Unavailable { .. }) {
                return Err(error);
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(moving.elapsed())
    });
    let during = paced(&client, &mut land, rate, async |_| move_it.is_finished()).await?;
    let took = move_it.await??.as_secs_f64();
    let bytes = cluster.snapshot_bytes(&client).await? - bytes_before;
    let read = client.shards().await?;
    let voters = read.shards.first().map(|shard| shard.voters.clone()).unwrap_or_default();
    if !voters.contains(&NEW) || voters.contains(&OLD) {
        return Err(
            WrongAnswer(format!("{NEW} should vote in the place of {OLD}, but the voters are {voters:?}")).into()
        );
    }
    client.close().await;
    cluster.stop()?;
    let megabytes = figure(bytes) / 1e6;
    if args.common.json {
        println!(
            "{}",
            serde_json::json!({
                "fields": args.fields, "snapshot_mb": megabytes, "seconds": took, "mb_per_s": megabytes / took,
                "highest_per_s": highest, "before_per_s": before, "during_per_s": during, "kept": during / before,
            })
        );
    } else {
        println!("a replica with {} fields moved from {OLD} to {NEW} in {took:.1} s", args.fields);
        println!("  {megabytes:.0} MB of checkpoint, {:.0} MB/s", megabytes / took);
        println!("  {before:.0} claims a second before, {during:.0} meanwhile: {:.2} times", during / before);
    }
    Ok(())
}

/// Claims so many fields, those of a chunk for several players: land that is lived in.
async fn settle(client: &Client, land: &mut FreshLand, fields: u64) -> Result<(), Failure> {
    eprintln!("claiming {fields} fields");
    // As long as names get, so that a field has its full size.
    let names: Vec<PlayerName> =
        (0..NEIGHBOURS).map(|nth| format!("{nth:03}-settler-whose-name-has-32-b").parse()).collect::<Result<_, _>>()?;
    let (mut chunk, mut nth) = (None, 0);
    let claims = std::iter::repeat_with(|| {
        let field = land.next(NEIGHBOURS);
        nth = if chunk.replace(field.chunk()) == Some(field.chunk()) { nth + 1 } else { 0 };
        let character = CharacterId(0);
        Job::Do(names[nth], Command::Claim { field, character })
    });
    let claims = claims.zip(0_u64..).take(usize::try_from(fields)?);
    let mut told = Instant::now();
    bulk::run(client, 4_096, claims, |nth, success, taken| {
        if taken.ended - told > TELL_EVERY {
            told = taken.ended;
            eprintln!("  {nth} of {fields}");
        }
        match success {
            Success::Command { outcome: Outcome::Done { deed: Deed::Claimed, .. }, .. } => Ok(()),
            other => Err(WrongAnswer(format!("a free field was claimed: {other:?}")).into()),
        }
    })
    .await
}

/// Claims at `rate` a second until `enough`; says how many a second were done.
async fn paced(
    client: &Client,
    land: &mut FreshLand,
    rate: f64,
    enough: impl AsyncFn(Instant) -> bool,
) -> Result<f64, Failure> {
    let player: PlayerName = "a-player-whose-name-has-32-bytes".parse()?;
    let (submitter, mut completions) = client.pipeline(DEPTH);
    let begin = Instant::now();
    let (mut submitted, mut answered) = (0_u64, 0_u64);
    let mut done = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(2));
    while !enough(begin).await {
        tick.tick().await;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is positive and small")]
        let due = (begin.elapsed().as_secs_f64() * rate) as u64;
        // Behind the pace, no more are under way than the pipeline is deep: what is missed then is missed.
        while submitted < due && submitted - answered < DEPTH as u64 {
            let field: FieldId = land.next(64);
            submitter.submit(player, Command::Claim { field, character: CharacterId(0) }, submitted).await?;
            submitted += 1;
        }
        if submitted > answered {
            done.clear();
            completions.recv_many(&mut done).await;
            answered += done.len() as u64;
            for completion in &done {
                match &completion.result {
                    Ok(Success::Command { outcome: Outcome::Done { deed: Deed::Claimed, .. }, .. }) => {}
                    Ok(other) => return Err(WrongAnswer(format!("a free field was claimed: {other:?}")).into()),
                    Err(failure) => return Err(NoAnswer(failure.to_string()).into()),
                }
            }
        }
    }
    Ok(figure(answered) / begin.elapsed().as_secs_f64())
}
