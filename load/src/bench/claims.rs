//! A closed loop of distinct claims: so many in flight, the next one when an answer has come.

use crate::bench::floors;
use crate::bench::report::{ClaimsReport, Run};
use crate::cli::BenchArgs;
use crate::cluster::{Cluster, Shape};
use crate::crowd::fresh::FreshLand;
use crate::{Failure, WrongAnswer, bulk, process};
use bytes::Bytes;
use client::{Client, Job, Success};
use hdrhistogram::Histogram;
use placement::ShardId;
use std::time::{Duration, Instant};
use wire::{ClientId, Envelope, Request, RequestBody, RequestNo};
use world::{CharacterId, Command, Deed, FieldId, Millis, Outcome, PlayerName};

/// As long as names get, so that a claim has its full size.
const PLAYER: &str = "a-player-whose-name-has-32-bytes";
/// Not counted, while connections and batches find their size.
const WARM_UP: Duration = Duration::from_secs(1);

/// When a loop ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After the warm-up and this long.
    Time(Duration),
    /// After this many claims; nothing is warm-up.
    Count(u64),
}

/// What a loop did, warm-up left out.
#[derive(Debug)]
pub struct Outcomes {
    /// Claims acknowledged and counted.
    pub claims: u64,
    /// Claims acknowledged with the warm-up.
    pub all_claims: u64,
    /// In this time.
    pub time: Duration,
    /// Microseconds from submission to answer.
    pub latency: Histogram<u64>,
}

/// Claims with `depth` in flight. Every answer must say that the field is the claimant's: anything else ends the run.
pub async fn closed_loop(
    client: &Client,
    land: &mut FreshLand,
    per_chunk: u32,
    depth: usize,
    until: Until,
) -> Result<Outcomes, Failure> {
    // A new round begins with chunks of its own.
    land.leave_chunk();
    let player: PlayerName = PLAYER.parse()?;
    let begun = Instant::now();
    let (warm, end, count) = match until {
        Until::Time(time) => (begun + WARM_UP, Some(begun + WARM_UP + time), usize::MAX),
        Until::Count(count) => (begun, None, usize::try_from(count)?),
    };
    let claims = std::iter::repeat_with(|| {
        let field = land.next(per_chunk);
        (Job::Do(player, Command::Claim { field, character: CharacterId(0) }), field)
    });
    let open = |_: &_| end.is_none_or(|end| Instant::now() < end);
    let mut latency = Histogram::new(3)?;
    let (mut counted, mut all) = (0_u64, 0_u64);
    bulk::run(client, depth, claims.take(count).take_while(open), |field, success, took| {
        match success {
            Success::Command { outcome: Outcome::Done { deed: Deed::Claimed, field: view }, .. }
                if view.field == field && view.owner == Some(player) => {}
            other => return Err(WrongAnswer(format!("{player} claimed the free {field}: {other:?}")).into()),
        }
        all += 1;
        if took.ended >= warm && end.is_none_or(|end| took.ended < end) {
            counted += 1;
            latency.record(u64::try_from(took.time().as_micros())?.max(1))?;
        }
        Ok(())
    })
    .await?;
    let time = end.map_or(begun.elapsed(), |end| end - warm);
    Ok(Outcomes { claims: counted, all_claims: all, time, latency })
}

/// Bytes of one such claim in a request frame.
pub fn wire_bytes() -> usize {
    let envelope = Envelope {
        client: ClientId(u128::MAX),
        number: RequestNo(1 << 20),
        floor: RequestNo(1 << 20),
        deadline: Millis(1 << 40),
        player: PLAYER.parse().expect("32 letters are a name"),
        command: Command::Claim {
            field: FieldId::new(999_999, 999_999).expect("the grid's last field"),
            character: CharacterId(0),
        },
    };
    let request = Request { id: 1 << 20, body: RequestBody::Command { shard: ShardId(64), envelope } };
    let encoded: Bytes = wire::codec::encode(&request);
    encoded.len()
}

/// The verb: closed loops of every depth, and the floors.
pub async fn bench(args: &BenchArgs) -> Result<(), Failure> {
    let cluster = Cluster::start(args.common.data.clone(), Shape::default())?;
    let client = cluster.connect().await?;
    let mut land = FreshLand::new(*client.terrain(), 0);
    let first = cluster.snapshot(&client).await?;
    let (first_busy, first_total) = process::machine_seconds()?;
    let mut runs = Vec::new();
    for &per_chunk in &args.per_chunk {
        for &depth in &args.in_flight {
            eprintln!("claims: {depth} in flight, {per_chunk} a chunk");
            let before = cluster.snapshot(&client).await?;
            let time = Duration::from_secs(args.seconds);
            let outcome = closed_loop(&client, &mut land, per_chunk, depth.max(1), Until::Time(time)).await?;
            let after = cluster.snapshot(&client).await?;
            runs.push(Run::new(depth, per_chunk, &outcome, &before, &after));
        }
    }
    let wire_bytes = wire_bytes();
    let last = cluster.snapshot(&client).await?;
    client.close().await;
    let beside = cluster.beside();
    cluster.stop()?;
    eprintln!("floors: echo, append and sync");
    let mut echoes = Vec::new();
    let mut syncs = Vec::new();
    for &depth in &args.in_flight {
        echoes.push(floors::echo(depth.max(1)).await?);
        syncs.push(floors::append_sync(&beside, depth.max(1))?);
    }
    let (busy, total) = process::machine_seconds()?;
    let own_cpu = process::cpu_seconds(std::process::id())? - first.client_cpu;
    let others = busy - first_busy - own_cpu - (last.server_cpu() - first.server_cpu());
    let others = (others / (total - first_total).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
    let report = ClaimsReport::new(runs, echoes, syncs, wire_bytes, others);
    if args.common.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}
