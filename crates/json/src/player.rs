//! Players, and what is theirs.

use crate::Receipt;
use client::{EstateRead, PlayerRead};
use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;

/// `player`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct PlayerAnswer {
    outcome: &'static str,
    player: Player,
    receipts: Vec<Receipt>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
struct Player {
    name: String,
    #[ts(type = "number")]
    acorns: u64,
    #[ts(type = "number")]
    pending: u64,
    #[ts(type = "number")]
    fields: u64,
}

impl PlayerAnswer {
    /// What was read; `None`: there is no such player.
    pub fn new(read: &PlayerRead) -> Option<Self> {
        let player = read.player?;
        let (name, acorns) = (player.name.to_string(), player.acorns.0);
        let (pending, fields) = (read.holdings.pending.0, read.holdings.fields);
        let receipts = read.receipts.iter().map(Receipt::from).collect();
        Some(Self { outcome: "ok", player: Player { name, acorns, pending, fields }, receipts })
    }
}

/// A player that has entered the world, or was there before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct Registered {
    outcome: &'static str,
    player: Newcomer,
    /// Whether it was not there before.
    new: bool,
    /// Who has it plays as this player. A secret.
    token: String,
    receipt: Receipt,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
struct Newcomer {
    name: String,
    #[ts(type = "number")]
    acorns: u64,
}

impl Registered {
    /// With the token that was made for it.
    pub fn new(registered: &client::Registered, token: String) -> Self {
        let player = Newcomer { name: registered.player.name.to_string(), acorns: registered.player.acorns.0 };
        Self { outcome: "registered", player, new: registered.new, token, receipt: (&registered.receipt).into() }
    }
}

/// Where a player has land.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct EstateAnswer {
    outcome: &'static str,
    /// Chunks with fields of the player's, row by row.
    chunks: Vec<EstateChunk>,
    /// Ask again with this as `after`: there are more. `null`: these are all.
    next: Option<String>,
    receipts: Vec<Receipt>,
}

/// A chunk in which a player has land.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
struct EstateChunk {
    /// Its north-west field.
    x: u32,
    y: u32,
    /// How many of its fields are the player's.
    fields: u16,
}

impl EstateAnswer {
    /// At most `most` chunks behind `after`.
    pub fn new(read: &EstateRead, after: Option<u32>, most: usize) -> Self {
        let rest = read.chunks.iter().filter(|(chunk, _)| after.is_none_or(|after| chunk.pack() > after));
        let mut rest = rest.peekable();
        let mut chunks = Vec::new();
        let mut last = None;
        while let Some((chunk, fields)) = rest.next_if(|_| chunks.len() < most) {
            let corner = chunk.field(0).expect("the first field of a chunk is on the grid");
            chunks.push(EstateChunk { x: corner.x(), y: corner.y(), fields: *fields });
            last = Some(chunk.pack());
        }
        let next = rest.peek().and(last).map(|last| last.to_string());
        Self { outcome: "ok", chunks, next, receipts: read.receipts.iter().map(Receipt::from).collect() }
    }
}
