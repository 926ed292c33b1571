//! A closed loop of distinct claims: so many in flight, the next one when an answer has come.

use crate::{Failure, WrongAnswer, bulk};
use bytes::Bytes;
use client::{Client, Job, Success};
use hdrhistogram::Histogram;
use placement::ShardId;
use std::time::{Duration, Instant};
use wire::{ClientId, Envelope, Request, RequestBody, RequestNo};
use world::grid::{CHUNK, CHUNKS};
use world::{CharacterId, ChunkId, Command, Deed, FieldId, Millis, Outcome, PlayerName, TerrainMap};

/// As long as names get, so that a claim has its full size.
const PLAYER: &str = "a-player-whose-name-has-32-bytes";
/// Not counted, while connections and batches find their size.
const WARM_UP: Duration = Duration::from_secs(1);
/// Steps from one chunk to the next; coprime to the number of chunks, so that none comes twice.
const STRIDE: u64 = 7_919;

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

/// Where fresh fields come from: every chunk is visited once.
#[derive(Debug)]
pub struct Land {
    terrain: TerrainMap,
    chunk: u64,
    fields: Vec<FieldId>,
}

impl Land {
    /// All of the world's.
    pub fn new(client: &Client) -> Self {
        Self { terrain: *client.terrain(), chunk: 0, fields: Vec::new() }
    }

    /// So many fields, 32 of each chunk.
    pub fn take(&mut self, count: usize) -> Vec<FieldId> {
        std::iter::repeat_with(|| self.next(32)).take(count).collect()
    }

    /// A field that nobody has had, of which there are so many in each chunk.
    pub fn next(&mut self, per_chunk: u32) -> FieldId {
        loop {
            if let Some(field) = self.fields.pop() {
                return field;
            }
            self.chunk = (self.chunk + STRIDE) % (u64::from(CHUNKS) * u64::from(CHUNKS));
            let (cx, cy) = (self.chunk % u64::from(CHUNKS), self.chunk / u64::from(CHUNKS));
            let chunk = u32::try_from(cx).and_then(|cx| Ok((cx, u32::try_from(cy)?)));
            let Ok(Ok(chunk)) = chunk.map(|(cx, cy)| ChunkId::new(cx, cy)) else { continue };
            let offsets = 0..u16::try_from(CHUNK * CHUNK).unwrap_or(u16::MAX);
            let fields = offsets.filter_map(|offset| chunk.field(offset));
            let claimable = fields.filter(|field| self.terrain.at(*field).claimable());
            self.fields = claimable.take(per_chunk as usize).collect();
        }
    }
}

/// Claims with `depth` in flight. Every answer must say that the field is the claimant's: anything else ends the run.
pub async fn closed_loop(
    client: &Client,
    land: &mut Land,
    per_chunk: u32,
    depth: usize,
    until: Until,
) -> Result<Outcomes, Failure> {
    // A new round begins with chunks of its own.
    land.fields.clear();
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
