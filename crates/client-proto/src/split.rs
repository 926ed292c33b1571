//! Reads of several shards: one part for each, gathered into one answer.

use crate::op::{Read, Success};
use crate::proto::{Body, Place};
use crate::routes::Routes;
use crate::shown::Shown;
use crate::slab::Key;
use paxos::NodeId;
use placement::ShardId;
use std::collections::BTreeMap;
use std::time::Duration;
use wire::{Holdings, Level, Query, Receipt, Reply, Rows};
use world::{Block, Bucket, Census, ChunkId, FieldView, PlayerView, WorldSeed};

/// A read whose answer comes in parts, and what they have brought so far.
#[derive(Debug)]
pub(crate) struct Gathering {
    read: Read,
    level: Option<Level>,
    from: Option<NodeId>,
    parts: Vec<Key>,
    /// Parts that are not answered.
    left: usize,
    fields: Vec<Rows>,
    player: Option<PlayerView>,
    holdings: Holdings,
    chunks: Vec<(ChunkId, u16)>,
    cells: BTreeMap<u16, Census>,
    receipts: Vec<Receipt>,
}

/// What must be asked to answer a read.
pub(crate) enum Split {
    /// This, and the answer is the read's.
    One(Place, Body),
    /// All these, and the answers are to be gathered.
    Many(Vec<(Place, Body)>),
    NoSuchShard(ShardId),
    /// The shard has no part of the rectangle: it would answer with nothing, which is not so.
    NotThere(ShardId),
}

/// What must be asked where to answer `read`, at this level or the usual one of the shard; of a watch, each answer waits for
/// `wait` if need be.
pub(crate) fn split(seed: WorldSeed, routes: &Routes, read: Read, level: Option<Level>, wait: Duration) -> Split {
    let part = |bucket, query| {
        let level = level.or_else(|| routes.row(bucket).read).unwrap_or(read.usual_level());
        (Place::Bucket(bucket), Body::Read { query, level })
    };
    let alone = |bucket, query| {
        let (place, body) = part(bucket, query);
        Split::One(place, body)
    };
    match read {
        Read::Field(field) => alone(Bucket::of_chunk(seed, field.chunk()), Query::Field(field)),
        Read::Wallet(player) => alone(Bucket::of_player(seed, &player), Query::Player(player)),
        Read::View(rect) | Read::Watch(rect) => {
            let mut rows: Vec<usize> = rect.chunks().map(|chunk| routes.index(Bucket::of_chunk(seed, chunk))).collect();
            rows.sort_unstable();
            rows.dedup();
            let query = match read {
                Read::View(_) => Query::View(rect),
                _ => Query::Changes { rect, seen: None, wait_ms: 0 },
            };
            Split::Many(rows.into_iter().map(|row| part(routes.rows()[row].first, query.clone())).collect())
        }
        Read::Changes { shard, rect, seen, wait: waits } => {
            let wait_ms = if waits { u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) } else { 0 };
            let is_part = |chunk| routes.row(Bucket::of_chunk(seed, chunk)).shard == shard;
            match routes.rows().iter().find(|row| row.shard == shard) {
                Some(row) if rect.chunks().any(is_part) => {
                    alone(row.first, Query::Changes { rect, seen: Some(seen), wait_ms })
                }
                Some(_) => Split::NotThere(shard),
                None => Split::NoSuchShard(shard),
            }
        }
        Read::Player(player) => {
            let wallet = part(Bucket::of_player(seed, &player), Query::Player(player));
            let land = routes.rows().iter().map(|row| part(row.first, Query::Holdings(player)));
            Split::Many(std::iter::once(wallet).chain(land).collect())
        }
        Read::Estate(player) => {
            Split::Many(routes.rows().iter().map(|row| part(row.first, Query::Estate(player))).collect())
        }
        Read::Census(block) => {
            let rows = holders(seed, routes, block);
            Split::Many(rows.into_iter().map(|row| part(routes.rows()[row].first, Query::Census(block))).collect())
        }
    }
}

/// The rows of the shards that hold a part of `block`. So many chunks as there are shards are looked up; of more, all may.
fn holders(seed: WorldSeed, routes: &Routes, block: Block) -> Vec<usize> {
    let shards = routes.rows().len();
    let (left, top, right, bottom) = block.chunk_bounds();
    let many = u64::from(right - left) * u64::from(bottom - top) > 8 * shards as u64;
    if many {
        return (0..shards).collect();
    }
    let mut rows: Vec<usize> = block.chunks().map(|chunk| routes.index(Bucket::of_chunk(seed, chunk))).collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// How many parts that will be, at most.
pub(crate) fn parts(routes: &Routes, read: Read) -> usize {
    match read {
        Read::Field(_) | Read::Wallet(_) | Read::Changes { .. } => 1,
        Read::View(rect) | Read::Watch(rect) => rect.chunks().count().min(routes.rows().len()),
        Read::Player(_) | Read::Estate(_) | Read::Census(_) => routes.rows().len() + 1,
    }
}

/// What a reply says, unpacked.
#[derive(Debug)]
pub(crate) enum Told {
    Field(FieldView),
    Fields(Rows),
    Player(Option<PlayerView>),
    Holdings(Holdings),
    Estate(Vec<(ChunkId, u16)>),
    Census(Vec<(u16, Census)>),
}

/// What `reply` says to `query`; `None` if it is none to it at all, or cannot be read.
pub(crate) fn told(query: &Query, reply: Reply) -> Option<Told> {
    match (query, reply) {
        (Query::Field(asked), Reply::Field(view)) if *asked == view.field => Some(Told::Field(view)),
        (Query::View(_), Reply::View(rows)) | (Query::Changes { .. }, Reply::Changes(rows)) => {
            rows.checked().ok().map(Told::Fields)
        }
        (Query::Player(_), Reply::Player(player)) => Some(Told::Player(player)),
        (Query::Holdings(_), Reply::Holdings(here)) => Some(Told::Holdings(here)),
        (Query::Estate(_), Reply::Estate(chunks)) => Some(Told::Estate(chunks)),
        (Query::Census(_), Reply::Census(cells)) => Some(Told::Census(cells)),
        _ => None,
    }
}

/// The answer to a read of one part.
pub(crate) fn single(told: Told, receipt: Receipt) -> Option<Success> {
    match told {
        Told::Field(field) => Some(Success::Field { field, receipt }),
        Told::Player(player) => Some(Success::Wallet { player, receipt }),
        Told::Fields(rows) => Some(Success::View { fields: Shown::of(vec![rows]), receipts: vec![receipt] }),
        Told::Holdings(_) | Told::Estate(_) | Told::Census(_) => None,
    }
}

impl Gathering {
    pub fn new(read: Read, level: Option<Level>, from: Option<NodeId>, parts: Vec<Key>) -> Self {
        let left = parts.len();
        Self {
            read,
            level,
            from,
            parts,
            left,
            fields: Vec::new(),
            player: None,
            holdings: Holdings::default(),
            chunks: Vec::new(),
            cells: BTreeMap::new(),
            receipts: Vec::new(),
        }
    }

    /// What was asked, at which level, and of whom.
    pub fn asked(&self) -> (Read, Option<Level>, Option<NodeId>) {
        (self.read, self.level, self.from)
    }

    pub fn parts(&self) -> &[Key] {
        &self.parts
    }

    /// One part is answered. With the last, there is an answer to the read.
    pub fn add(&mut self, told: Told, receipt: Receipt) -> Option<Success> {
        self.receipts.push(receipt);
        match told {
            Told::Fields(rows) => self.fields.push(rows),
            Told::Player(player) => self.player = player,
            Told::Holdings(here) => {
                let Holdings { fields, pending } = &mut self.holdings;
                *fields = fields.saturating_add(here.fields);
                pending.0 = pending.0.saturating_add(here.pending.0);
            }
            Told::Estate(chunks) => self.chunks.extend(chunks),
            Told::Census(cells) => {
                for (offset, census) in cells {
                    *self.cells.entry(offset).or_default() += census;
                }
            }
            // (Nothing that is asked for in parts is answered so.)
            Told::Field(_) => {}
        }
        self.left -= 1;
        (self.left == 0).then(|| self.finish())
    }

    /// Everything in order, whatever order it came in.
    fn finish(&mut self) -> Success {
        let mut receipts = std::mem::take(&mut self.receipts);
        receipts.sort_by_key(|receipt| receipt.shard);
        match self.read {
            Read::Player(_) | Read::Wallet(_) => {
                Success::Player { player: self.player.take(), holdings: self.holdings, receipts }
            }
            Read::Estate(_) => {
                let mut chunks = std::mem::take(&mut self.chunks);
                chunks.sort_unstable();
                Success::Estate { chunks, receipts }
            }
            Read::Census(_) => {
                Success::Census { cells: std::mem::take(&mut self.cells).into_iter().collect(), receipts }
            }
            Read::View(_) | Read::Watch(_) | Read::Changes { .. } | Read::Field(_) => {
                let fields = Shown::of(std::mem::take(&mut self.fields));
                Success::View { fields, receipts }
            }
        }
    }
}
