//! Reads of several shards: one part for each, gathered into one answer.

use crate::op::{Read, Success};
use crate::proto::{Body, Part, Place};
use crate::routes::Routes;
use paxos::NodeId;
use std::time::Duration;
use wire::{Holdings, Level, Query, Receipt, Reply};
use world::{Bucket, FieldView, PlayerView, WorldSeed};

/// What the parts of one read have brought so far.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    fields: Vec<FieldView>,
    player: Option<PlayerView>,
    holdings: Holdings,
    receipts: Vec<Receipt>,
}

/// What must be asked where to answer `read`, at this level or the usual one of the shard; of a watch, each answer waits for
/// `wait` if need be: one part, and the others. Nothing: no such shard.
pub(crate) fn split(
    seed: WorldSeed,
    routes: &Routes,
    read: Read,
    level: Option<Level>,
    from: Option<NodeId>,
    wait: Duration,
) -> Option<(Part, Vec<Part>)> {
    let alone = |part| Some((part, Vec::new()));
    let part = |bucket, query| {
        let level = level.or_else(|| routes.row(bucket).read).unwrap_or(read.usual_level());
        Part::new(Place::Bucket(bucket), from, Body::Read { query, level })
    };
    match read {
        Read::Field(field) => alone(part(Bucket::of_chunk(seed, field.chunk()), Query::Field(field))),
        Read::Wallet(player) => alone(part(Bucket::of_player(seed, &player), Query::Player(player))),
        Read::View(rect) | Read::Watch(rect) => {
            let mut rows: Vec<usize> = rect.chunks().map(|chunk| routes.index(Bucket::of_chunk(seed, chunk))).collect();
            rows.sort_unstable();
            rows.dedup();
            let query = match read {
                Read::View(_) => Query::View(rect),
                _ => Query::Changes { rect, seen: None, wait_ms: 0 },
            };
            let mut parts = rows.into_iter().map(|row| part(routes.rows()[row].first, query.clone()));
            Some((parts.next()?, parts.collect()))
        }
        Read::Changes { shard, rect, seen } => {
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            let row = routes.rows().iter().find(|row| row.shard == shard);
            alone(part(row?.first, Query::Changes { rect, seen: Some(seen), wait_ms }))
        }
        Read::Player(player) => {
            let wallet = part(Bucket::of_player(seed, &player), Query::Player(player));
            let land = routes.rows().iter().map(|row| part(row.first, Query::Holdings(player)));
            Some((wallet, land.collect()))
        }
    }
}

/// How many parts that will be, at most.
pub(crate) fn parts(routes: &Routes, read: Read) -> usize {
    match read {
        Read::Field(_) | Read::Wallet(_) | Read::Changes { .. } => 1,
        Read::View(rect) | Read::Watch(rect) => rect.chunks().count().min(routes.rows().len()),
        Read::Player(_) => routes.rows().len() + 1,
    }
}

/// Whether `reply` is one to `query` at all.
pub(crate) fn fits(query: &Query, reply: &Reply) -> bool {
    if let (Query::Field(asked), Reply::Field(view)) = (query, reply) {
        return *asked == view.field;
    }
    matches!(
        (query, reply),
        (Query::View(_), Reply::View(_))
            | (Query::Changes { .. }, Reply::Changes(_))
            | (Query::Player(_), Reply::Player(_))
            | (Query::Holdings(_), Reply::Holdings(_))
    )
}

/// The answer to a read of one part.
pub(crate) fn single(reply: Reply, receipt: Receipt) -> Option<Success> {
    match reply {
        Reply::Field(field) => Some(Success::Field { field, receipt }),
        Reply::Player(player) => Some(Success::Wallet { player, receipt }),
        Reply::Changes(fields) => Some(Success::View { fields, receipts: vec![receipt] }),
        Reply::View(_) | Reply::Fields(_) | Reply::Holdings(_) => None,
    }
}

impl Gathered {
    pub fn add(&mut self, reply: Reply, receipt: Receipt) {
        self.receipts.push(receipt);
        match reply {
            Reply::View(fields) | Reply::Changes(fields) | Reply::Fields(fields) => self.fields.extend(fields),
            Reply::Player(player) => self.player = player,
            Reply::Holdings(here) => {
                let Holdings { fields, pending } = &mut self.holdings;
                *fields = fields.saturating_add(here.fields);
                pending.0 = pending.0.saturating_add(here.pending.0);
            }
            Reply::Field(field) => self.fields.push(field),
        }
    }

    /// Everything in order, whatever order it came in.
    pub fn finish(mut self, read: Read) -> Success {
        self.receipts.sort_by_key(|receipt| receipt.shard);
        match read {
            Read::Player(_) | Read::Wallet(_) => {
                Success::Player { player: self.player, holdings: self.holdings, receipts: self.receipts }
            }
            Read::View(_) | Read::Watch(_) | Read::Changes { .. } | Read::Field(_) => {
                // Two shards show one field only while it moves from one to the other; the newer version is the truth.
                self.fields.sort_by(|a, b| a.field.cmp(&b.field).then(b.version.cmp(&a.version)));
                self.fields.dedup_by_key(|field| field.field);
                Success::View { fields: self.fields, receipts: self.receipts }
            }
        }
    }
}
