//! Reads of several shards: one part for each, gathered into one answer.

use crate::op::{Read, Success};
use crate::proto::{Body, Part, Place};
use crate::routes::Routes;
use paxos::NodeId;
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

/// What must be asked where to answer `read`.
pub(crate) fn split(seed: WorldSeed, routes: &Routes, read: Read, level: Level, from: Option<NodeId>) -> Vec<Part> {
    let part = |bucket, query| Part::new(Place::Bucket(bucket), from, Body::Read { query, level });
    match read {
        Read::Field(field) => vec![part(Bucket::of_chunk(seed, field.chunk()), Query::Field(field))],
        Read::Wallet(player) => vec![part(Bucket::of_player(seed, &player), Query::Player(player))],
        Read::View(rect) => {
            let mut rows: Vec<usize> = rect.chunks().map(|chunk| routes.index(Bucket::of_chunk(seed, chunk))).collect();
            rows.sort_unstable();
            rows.dedup();
            rows.into_iter().map(|row| part(routes.rows()[row].first, Query::View(rect))).collect()
        }
        Read::Player(player) => {
            let wallet = part(Bucket::of_player(seed, &player), Query::Player(player));
            let land = routes.rows().iter().map(|row| part(row.first, Query::Holdings(player)));
            std::iter::once(wallet).chain(land).collect()
        }
    }
}

/// How many parts that will be, at most.
pub(crate) fn parts(routes: &Routes, read: Read) -> usize {
    match read {
        Read::Field(_) | Read::Wallet(_) => 1,
        Read::View(rect) => rect.chunks().count().min(routes.rows().len()),
        Read::Player(_) => routes.rows().len() + 1,
    }
}

/// Whether `reply` is one to `query` at all.
pub(crate) fn fits(query: &Query, reply: &Reply) -> bool {
    matches!(
        (query, reply),
        (Query::Field(_), Reply::Field(_))
            | (Query::View(_), Reply::View(_))
            | (Query::Player(_), Reply::Player(_))
            | (Query::Holdings(_), Reply::Holdings(_))
    )
}

/// The answer to a read of one part.
pub(crate) fn single(reply: Reply, receipt: Receipt) -> Option<Success> {
    match reply {
        Reply::Field(field) => Some(Success::Field { field, receipt }),
        Reply::Player(player) => Some(Success::Wallet { player, receipt }),
        Reply::View(_) | Reply::Holdings(_) => None,
    }
}

impl Gathered {
    pub fn add(&mut self, reply: Reply, receipt: Receipt) {
        self.receipts.push(receipt);
        match reply {
            Reply::View(fields) => self.fields.extend(fields),
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
            Read::View(_) | Read::Field(_) => {
                // Two shards show one field only while it moves from one to the other; the newer version is the truth.
                self.fields.sort_by(|a, b| a.field.cmp(&b.field).then(b.version.cmp(&a.version)));
                self.fields.dedup_by_key(|field| field.field);
                Success::View { fields: self.fields, receipts: self.receipts }
            }
        }
    }
}
