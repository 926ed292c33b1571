//! People who watch busy land through one node's gateway: what they cost it, and how late they are told.
//!
//! The land is 512 × 512 fields, of which one player has 64 in every chunk; so many of these get a new price each second, and the
//! price is the moment at which it was asked for: whoever sees it knows how long that took.

use crate::bench::report::figure;
use crate::cli::ViewersArgs;
use crate::cluster::{Cluster, Shape, Usage};
use crate::{Failure, NoAnswer, WrongAnswer, bulk};
use client::{Client, Job, Success};
use futures_util::{SinkExt, StreamExt};
use hdrhistogram::Histogram;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::{Error as Refused, Message};
use world::{Acorns, CharacterId, ChunkId, Command, FieldId, Outcome, PlayerName};

/// Chunks along each side of the land.
const CHUNKS: u32 = 8;
/// Its north-west chunk.
const FROM: (u32, u32) = (480, 124);
/// Fields owned in each chunk: as many as one player may have.
const OWNED: usize = 64;
/// A price counts tenths of milliseconds, and begins anew after so many.
const WRAPS: u64 = 1_000_000;
/// Viewers that connect at a time.
const AT_ONCE: usize = 64;
/// A gateway that lets nobody in just now is asked again after so long.
const LIMITED: Duration = Duration::from_millis(100);
/// Between two pings, as a page does it.
const PING: Duration = Duration::from_secs(2);

/// What all viewers have seen since the last look.
#[derive(Debug)]
struct Seen {
    begun: Instant,
    bytes: u64,
    messages: u64,
    /// Changes, one for each viewer that was told.
    changes: u64,
    /// From asked for to seen, in tenths of milliseconds.
    late: Histogram<u64>,
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    view: String,
    viewers: usize,
    /// Memory of the node, per viewer.
    kib_per_viewer: f64,
    /// What a viewer was sent to begin with.
    first_kib: f64,
    /// CPU of the node while nothing changes, in cores.
    idle_cores: f64,
    /// Bytes that a viewer is sent each second then.
    idle_bytes_per_s: f64,
    /// Changes each second, and how many of them a viewer sees.
    changes_per_s: f64,
    seen_per_s: f64,
    /// CPU of the node then, in cores.
    busy_cores: f64,
    /// Bytes for each change that a viewer sees, without what it is sent when nothing changes.
    bytes_per_change: f64,
    /// From asked for (claim's way through the majority included) to seen.
    p50_ms: f64,
    p99_ms: f64,
    /// From applied on the node to handed to the network: 99 of 100 took at most so long (the histogram's next bound).
    delivered_p99_ms: Option<f64>,
}

/// The verb.
pub async fn bench(args: &ViewersArgs) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for scale in [1, 2] {
        let view = (args.width * scale, args.height * scale);
        eprintln!("viewers: {} of {} x {} fields", args.viewers, view.0, view.1);
        // A cluster of its own for each: memory that was used once is not given back.
        rows.push(LocalSet::new().run_until(measure(args, view)).await?);
    }
    if args.common.json {
        println!("{}", serde_json::to_string(&rows)?);
    } else {
        print(&rows);
    }
    Ok(())
}

async fn measure(args: &ViewersArgs, view: (u32, u32)) -> Result<Row, Failure> {
    let cluster = Cluster::start(args.common.data.clone(), Shape::default())?;
    let client = cluster.connect().await?;
    let (player, fields) = settle(&client).await?;
    let http = client.nodes().await?.into_iter().next().ok_or("a cluster without nodes")?.entry.http;
    let seen = Rc::new(RefCell::new(Seen {
        begun: Instant::now(),
        bytes: 0,
        messages: 0,
        changes: 0,
        late: Histogram::new(3)?,
        problem: None,
    }));

    let before = cluster.snapshot(&client).await?;
    let mut viewers = JoinSet::new();
    for first in (0..args.viewers).step_by(AT_ONCE) {
        let many = AT_ONCE.min(args.viewers - first);
        let mut coming = JoinSet::new();
        for nth in first..first + many {
            coming.spawn_local(open(http.clone(), nth, view));
        }
        while let Some(socket) = coming.join_next().await {
            viewers.spawn_local(watch(socket??, seen.clone()));
        }
    }
    quiet(&seen).await?;
    let first = take(&seen)?;
    let with = cluster.snapshot(&client).await?;
    let memory = |usage: &Usage| usage.nodes.first().map_or(0, |(_, bytes, _)| *bytes);
    let cpu = |usage: &Usage| usage.nodes.first().map_or(0.0, |(_, _, seconds)| *seconds);

    let time = Duration::from_secs(args.seconds);
    tokio::time::sleep(time).await;
    let idle = take(&seen)?;
    let rested = cluster.snapshot(&client).await?;

    let delivered = delivery(&http).await?;
    let begun = seen.borrow().begun;
    let changed = change(&client, player, &fields, args.rate, time, begun).await?;
    let busy = take(&seen)?;
    let worked = cluster.snapshot(&client).await?;
    let delivered = quantile(&delivered, &delivery(&http).await?, 0.99);
    viewers.shutdown().await;
    client.close().await;
    cluster.stop()?;

    let (many, seconds) = (figure(args.viewers as u64), time.as_secs_f64());
    let idle_bytes_per_s = figure(idle.bytes) / many / seconds;
    let at_rest = idle_bytes_per_s * many * seconds;
    Ok(Row {
        view: format!("{}x{}", view.0, view.1),
        viewers: args.viewers,
        kib_per_viewer: figure(memory(&with).saturating_sub(memory(&before))) / 1024.0 / many,
        first_kib: figure(first.bytes) / 1024.0 / many,
        idle_cores: (cpu(&rested) - cpu(&with)) / seconds,
        idle_bytes_per_s,
        changes_per_s: figure(changed) / seconds,
        seen_per_s: figure(busy.changes) / many / seconds,
        busy_cores: (cpu(&worked) - cpu(&rested)) / seconds,
        bytes_per_change: (figure(busy.bytes) - at_rest) / figure(busy.changes.max(1)),
        p50_ms: figure(busy.late.value_at_quantile(0.5)) / 10.0,
        p99_ms: figure(busy.late.value_at_quantile(0.99)) / 10.0,
        delivered_p99_ms: delivered.map(|seconds| seconds * 1e3),
    })
}

/// One player claims its fields in all of the land.
async fn settle(client: &Client) -> Result<(PlayerName, Vec<FieldId>), Failure> {
    let player: PlayerName = "painter".parse()?;
    client.player(player.as_str())?.register().await?;
    let mut fields = Vec::new();
    for (cx, cy) in (0..CHUNKS * CHUNKS).map(|nth| (FROM.0 + nth % CHUNKS, FROM.1 + nth / CHUNKS)) {
        let chunk = ChunkId::new(cx, cy)?;
        let here = (0..4_096).filter_map(|offset| chunk.field(offset));
        fields.extend(here.filter(|field| client.terrain().at(*field).claimable()).step_by(13).take(OWNED));
    }
    let claims = fields
        .iter()
        .map(|field| (Job::Do(player, Command::Claim { field: *field, character: CharacterId(0) }), *field));
    bulk::run(client, 256, claims, |field, success, _| done(field, success)).await?;
    Ok((player, fields))
}

fn done(field: FieldId, success: &Success) -> Result<(), Failure> {
    match success {
        Success::Command { outcome: Outcome::Done { field: view, .. }, .. } if view.field == field => Ok(()),
        other => Err(WrongAnswer(format!("{field} is the painter's, and was answered {other:?}")).into()),
    }
}

/// A viewer's socket, once it has said what it sees.
type Socket = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

async fn open(http: String, nth: usize, (w, h): (u32, u32)) -> Result<Socket, String> {
    let words = |error: &dyn fmt::Display| format!("viewer {nth} of {http}: {error}");
    let mut socket = loop {
        let stream = tokio::net::TcpStream::connect(&http).await.map_err(|error| words(&error))?;
        stream.set_nodelay(true).map_err(|error| words(&error))?;
        match tokio_tungstenite::client_async(format!("ws://{http}/v1/ws"), stream).await {
            Ok((socket, _)) => break socket,
            // All viewers have one address, and a gateway lets one address in only so often.
            Err(Refused::Http(answer)) if answer.status().as_u16() == 429 => tokio::time::sleep(LIMITED).await,
            Err(error) => return Err(words(&error)),
        }
    };
    // Spread evenly over the land, all of the view within it.
    let place = u32::try_from(nth).unwrap_or(u32::MAX);
    let (free_x, free_y) = (CHUNKS * 64 - w.min(CHUNKS * 64 - 1), CHUNKS * 64 - h.min(CHUNKS * 64 - 1));
    let (dx, dy) = (place.wrapping_mul(7_919) % free_x, place.wrapping_mul(104_729) % free_y);
    let hello = ToGateway::Hello { protocol: 1, client: format!("viewer-{nth:012}") };
    let look = ToGateway::Look { id: 1, level: 0, x: FROM.0 * 64 + dx, y: FROM.1 * 64 + dy, w, h };
    for message in [hello, look] {
        socket.send(message.encoded()).await.map_err(|error| words(&error))?;
    }
    Ok(socket)
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ToGateway {
    Hello { protocol: u32, client: String },
    Look { id: u32, level: u8, x: u32, y: u32, w: u32, h: u32 },
    Ping { id: u32 },
}

impl ToGateway {
    fn encoded(&self) -> Message {
        Message::Binary(rmp_serde::to_vec_named(self).expect("a message has a form").into())
    }
}

/// Reads what comes until the socket ends.
async fn watch(socket: Socket, seen: Rc<RefCell<Seen>>) {
    let (mut out, mut coming) = socket.split();
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            message = coming.next() => message,
            _ = ping.tick() => {
                if out.send(ToGateway::Ping { id: 1 }.encoded()).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let mut seen = seen.borrow_mut();
        match message {
            Some(Ok(Message::Binary(bytes))) => {
                let now = seen.begun.elapsed();
                seen.bytes += bytes.len() as u64;
                seen.messages += 1;
                // Maps are control; lists are frames.
                if bytes.first().is_some_and(|first| first & 0xf0 == 0x90 || matches!(first, 0xdc | 0xdd)) {
                    match rmp_serde::from_slice::<Vec<Frame>>(&bytes) {
                        Ok(frames) => frames.iter().for_each(|frame| seen.note(frame, now)),
                        Err(error) => seen.problem = Some(format!("a frame cannot be read: {error}")),
                    }
                }
            }
            Some(Ok(Message::Close(why))) => seen.problem = Some(format!("a viewer was sent away: {why:?}")),
            Some(Ok(_)) => {}
            Some(Err(error)) => seen.problem = Some(format!("a viewer lost its connection: {error}")),
            None => return,
        }
    }
}

impl Seen {
    fn note(&mut self, frame: &Frame, now: Duration) {
        let Frame::Changed(prices) = frame else { return };
        let now = u64::try_from(now.as_micros() / 100).unwrap_or(u64::MAX) % WRAPS;
        for price in prices {
            self.changes += 1;
            self.late.saturating_record((now + WRAPS - price) % WRAPS);
        }
    }
}

/// The part of a frame that is looked at.
enum Frame {
    /// The prices of fields that have changed.
    Changed(Vec<u64>),
    Other,
}

impl<'de> Deserialize<'de> for Frame {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Frame;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a frame")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Frame, A::Error> {
                let kind: Option<u8> = parts.next_element()?;
                let mut frame = Frame::Other;
                if kind == Some(0) {
                    parts.next_element::<IgnoredAny>()?;
                    parts.next_element::<IgnoredAny>()?;
                    let whole: Option<bool> = parts.next_element()?;
                    parts.next_element::<IgnoredAny>()?;
                    parts.next_element::<IgnoredAny>()?;
                    let rows: Option<Vec<Row7>> = parts.next_element()?;
                    if whole == Some(false) {
                        frame = Frame::Changed(rows.into_iter().flatten().filter_map(|row| row.6).collect());
                    }
                }
                while parts.next_element::<IgnoredAny>()?.is_some() {}
                Ok(frame)
            }
        }
        deserializer.deserialize_seq(Parts)
    }
}

/// `[offset, version, owner, character, crop, structures, price]`
#[derive(Deserialize)]
struct Row7(IgnoredAny, IgnoredAny, IgnoredAny, IgnoredAny, IgnoredAny, IgnoredAny, Option<u64>);

/// Waits until the viewers have got what they see.
async fn quiet(seen: &Rc<RefCell<Seen>>) -> Result<(), Failure> {
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let bytes = seen.borrow().bytes;
        let problem = seen.borrow().problem.clone();
        if let Some(problem) = problem {
            return Err(NoAnswer(problem).into());
        }
        // What tells how fresh land is comes all the time, and is little.
        if bytes - before < 4 << 20 {
            return Ok(());
        }
        before = bytes;
    }
}

/// What was seen until now; what follows is counted from nothing.
fn take(seen: &Rc<RefCell<Seen>>) -> Result<Seen, Failure> {
    let mut now = seen.borrow_mut();
    if let Some(problem) = &now.problem {
        return Err(NoAnswer(problem.clone()).into());
    }
    let begun = now.begun;
    let fresh = Seen { begun, bytes: 0, messages: 0, changes: 0, late: Histogram::new(3)?, problem: None };
    Ok(std::mem::replace(&mut *now, fresh))
}

/// Gives fields new prices, so many a second for so long; how many it were.
async fn change(
    client: &Client,
    player: PlayerName,
    fields: &[FieldId],
    rate: u32,
    time: Duration,
    begun: Instant,
) -> Result<u64, Failure> {
    let mut due = interval(Duration::from_secs(1) / rate.max(1));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let end = Instant::now() + time;
    let mut under_way = JoinSet::new();
    let mut done = 0;
    for nth in 0.. {
        due.tick().await;
        if Instant::now() >= end {
            break;
        }
        // Coprime to the number of fields, so that neighbours do not change together.
        let field = fields[nth * 1_237 % fields.len()];
        let client = client.clone();
        under_way.spawn_local(async move {
            let price = u64::try_from(begun.elapsed().as_micros() / 100).unwrap_or(0) % WRAPS;
            client.player(player.as_str())?.offer(field, Some(Acorns(price))).await
        });
        while let Some(answer) = under_way.try_join_next() {
            answer??;
            done += 1;
        }
    }
    while let Some(answer) = under_way.join_next().await {
        answer??;
        done += 1;
    }
    Ok(done)
}

/// How many deliveries took at most so many seconds, by bound, as the node counts them.
async fn delivery(http: &str) -> Result<Vec<(f64, u64)>, Failure> {
    let page = crate::run::servers::page(http).await?;
    let buckets = page.lines().filter_map(|line| line.strip_prefix("icefarm_gateway_delivery_seconds_bucket{le=\""));
    let bucket = |line: &str| {
        let (bound, count) = line.split_once("\"} ")?;
        Some((if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? }, count.parse().ok()?))
    };
    Ok(buckets.filter_map(bucket).collect())
}

/// The bound under which so great a part of the deliveries between two looks stayed.
fn quantile(before: &[(f64, u64)], after: &[(f64, u64)], part: f64) -> Option<f64> {
    let since = |bound: f64, count: u64| {
        let old = before.iter().find(|(known, _)| known.total_cmp(&bound).is_eq()).map_or(0, |(_, count)| *count);
        count.saturating_sub(old)
    };
    let all = after.last().map(|(bound, count)| since(*bound, *count))?;
    let enough = figure(all) * part;
    after.iter().find(|(bound, count)| all > 0 && figure(since(*bound, *count)) >= enough).map(|(bound, _)| *bound)
}

fn print(rows: &[Row]) {
    println!("viewers of one node's gateway, over 512 x 512 fields");
    for row in rows {
        println!();
        println!("{} viewers, {} fields each", row.viewers, row.view);
        println!("  memory of the node              {:>9.1} KiB a viewer", row.kib_per_viewer);
        println!("  sent to begin with              {:>9.1} KiB a viewer", row.first_kib);
        println!(
            "  while nothing changes           {:>9.2} cores, {:.0} bytes/s a viewer",
            row.idle_cores, row.idle_bytes_per_s
        );
        println!(
            "  with {:>5.0} changes/s            {:>9.2} cores, a viewer sees {:.1} of them a second, {:.0} bytes each",
            row.changes_per_s, row.busy_cores, row.seen_per_s, row.bytes_per_change
        );
        println!("  from asked for to seen          {:>9.1} ms (median), {:.1} ms (p99)", row.p50_ms, row.p99_ms);
        if let Some(ms) = row.delivered_p99_ms {
            println!("  from applied to the network     {ms:>9.1} ms at most (p99)");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_frames_only_prices_of_changes_count() {
        let receipt = (1, "n1", 5, "session", 0);
        let row = |price: Option<u64>| (7, 2, Some(0), Some(0), None::<u8>, Vec::<u8>::new(), price);
        let frames = (
            (0, 480, 124, false, receipt, ["a"], vec![row(Some(9)), row(None), row(Some(1 << 40))]),
            (0, 480, 124, true, receipt, ["a"], vec![row(Some(3))]),
            (2, 5, [receipt]),
        );
        let frames: Vec<Frame> = rmp_serde::from_slice(&rmp_serde::to_vec(&frames).unwrap()).unwrap();
        let prices: Vec<_> = frames
            .iter()
            .filter_map(|frame| if let Frame::Changed(prices) = frame { Some(prices) } else { None })
            .collect();
        assert_eq!(prices, [&vec![9, 1 << 40]]);
    }

    #[test]
    fn a_quantile_is_that_of_what_came_between_two_looks() {
        let before = [(0.01, 100), (0.03, 100), (f64::INFINITY, 100)];
        let after = [(0.01, 150), (0.03, 199), (f64::INFINITY, 200)];
        assert_eq!(quantile(&before, &after, 0.5), Some(0.01));
        assert_eq!(quantile(&before, &after, 0.99), Some(0.03));
        assert_eq!(quantile(&before, &before, 0.99), None);
    }
}
