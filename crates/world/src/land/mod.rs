//! One shard's part of the world: the chunks and the players whose buckets it holds.
//!
//! A [`Land`] is a value. [`Land::apply`] changes it, as a pure function of the state, the log's time and a command, so
//! every replica that applies the same log holds the same land. Which buckets it holds is not its business: it keeps
//! what it is given.
//!
//! Its life on a replica:
//!
//! 1. [`Land::new`] at the beginning of the world, or [`Land::restore`] from the pages of a checkpoint;
//! 2. for each entry of the log [`Land::apply`], [`Land::receive`] or [`Land::settle`]; a command's chunk must be
//!    [`Readiness::Ready`] first, else [`Land::load_chunk`] its page;
//! 3. at a checkpoint [`Land::take_changes`], all written as one, and only when that is durable [`Land::cool`]: chunks that
//!    nobody touched lately leave memory.
//!
//! | module | what it holds |
//! |---|---|
//! | `farm` | the rules of one field |
//! | `estate` | who has how much, and where, of all this land |
//! | `ledger` | wallets, and harvests on their way to them |
//! | `audit` | what must add up |
//! | `chunk`, `plot` | fields in memory, compactly |
//! | `page` | fields, wallets and outboxes as bytes |
//!
//! Invariants: a rejection changes nothing; a field's version counts its changes and never goes back, also over
//! abandoning; loading and evicting chunks shows in no answer; [`Totals::check`] holds.

mod audit;
mod chunk;
mod estate;
mod farm;
mod ledger;
mod page;
mod plot;
mod residency;

use crate::{
    Acorns, Block, Bucket, Census, ChunkId, Command, FieldId, FieldView, Millis, Outcome, PlayerName, PlayerView, Rect,
    RuleBook, TerrainMap, WorldSeed, Zoom,
};
pub use audit::{Imbalance, Totals, audit};
use chunk::Chunk;
use estate::Estates;
pub use ledger::Payment;
use ledger::{Outbox, Purses, minus, plus};
pub use page::{PageError, PageFault, PageKey};
pub use residency::Readiness;
use std::collections::{BTreeMap, BTreeSet};

/// One shard's part of the world.
#[derive(Clone, Debug)]
pub struct Land {
    seed: WorldSeed,
    rules: RuleBook,
    terrain: TerrainMap,
    /// In memory. A chunk that is neither here nor in `stored` was never touched.
    chunks: BTreeMap<ChunkId, Chunk>,
    /// Only in the store.
    stored: BTreeSet<ChunkId>,
    /// What the chunks in memory weigh, as of when each came or was last taken for a checkpoint.
    chunk_bytes: usize,
    /// The chunk that was passed by last when cooling.
    hand: Option<ChunkId>,
    purses: Purses,
    outbox: Outbox,
    estates: Estates,
    totals: Totals,
    changes: Changes,
}

/// What has changed since the last checkpoint began.
#[derive(Clone, Debug, Default)]
struct Changes {
    head: bool,
    chunks: BTreeSet<ChunkId>,
    players: BTreeSet<PlayerName>,
    channels: BTreeSet<(Bucket, PlayerName)>,
    estates: BTreeSet<PlayerName>,
}

impl Land {
    /// Land that nobody ever touched.
    pub fn new(seed: WorldSeed, rules: RuleBook) -> Self {
        Self {
            seed,
            rules,
            terrain: TerrainMap::new(seed),
            chunks: BTreeMap::new(),
            stored: BTreeSet::new(),
            chunk_bytes: 0,
            hand: None,
            purses: Purses::default(),
            outbox: Outbox::default(),
            estates: Estates::default(),
            totals: Totals::default(),
            changes: Changes::default(),
        }
    }

    /// What the world grew from.
    pub fn seed(&self) -> WorldSeed {
        self.seed
    }

    /// The rules in force.
    pub fn rules(&self) -> &RuleBook {
        &self.rules
    }

    /// Does what `player` commands, at log time `now`.
    ///
    /// The command's chunk must be [`Readiness::Ready`]: that it is not is a bug in the caller, and stops the program.
    pub fn apply(&mut self, now: Millis, player: &PlayerName, command: &Command) -> Outcome {
        let Some(field) = command.field() else { return self.register(player) };
        match self.farm(farm::Order { field, player: *player, now }, command) {
            Ok(deed) => Outcome::Done { deed, field: self.field(field) },
            Err(rejection) => Outcome::Rejected(rejection),
        }
    }

    /// A field as it is now. Its chunk must be [`Readiness::Ready`].
    pub fn field(&self, field: FieldId) -> FieldView {
        let untouched = || chunk::untouched(field, self.terrain.at(field));
        self.chunk(field.chunk()).map_or_else(untouched, |chunk| chunk.view(field, &self.terrain))
    }

    /// These fields, in this order; quicker than one by one where those of a chunk follow each other.
    pub fn fields(&self, fields: &[FieldId]) -> impl Iterator<Item = FieldView> {
        let runs = fields.chunk_by(|a, b| a.chunk() == b.chunk());
        runs.flat_map(move |run| {
            let chunk = self.chunk(run[0].chunk());
            run.iter().map(move |&field| match chunk {
                Some(chunk) => chunk.view(field, &self.terrain),
                None => chunk::untouched(field, self.terrain.at(field)),
            })
        })
    }

    /// The owned fields inside `rect`, by packed id, of the chunks that `keep` says are this land's. Those must be
    /// [`Readiness::Ready`].
    pub fn fields_in(&self, rect: Rect, keep: impl Fn(ChunkId) -> bool) -> Vec<FieldView> {
        let mut fields = self.touched_in(rect, keep);
        fields.retain(|view| view.owner.is_some());
        fields
    }

    /// The same with those that are free again: all fields inside `rect` that anybody ever owned.
    pub fn touched_in(&self, rect: Rect, keep: impl Fn(ChunkId) -> bool) -> Vec<FieldView> {
        let mut views = Vec::new();
        for id in rect.chunks().filter(|id| keep(*id)) {
            if let Some(chunk) = self.chunk(id) {
                chunk.views(id, rect, &self.terrain, &mut views);
            }
        }
        views.sort_unstable_by_key(|view| view.field);
        views
    }

    /// A player whose bucket is this land's, once it has registered.
    pub fn player(&self, name: &PlayerName) -> Option<PlayerView> {
        let purse = self.purses.get(name).filter(|purse| purse.registered)?;
        Some(PlayerView { name: *name, acorns: purse.wallet })
    }

    /// How many fields of this land a player has, and the acorns harvested here that its wallet is not known to have.
    pub fn holdings(&self, player: &PlayerName) -> (u64, Acorns) {
        self.estates.of(player)
    }

    /// The chunks of this land in which a player has fields, and how many in each; by chunk.
    pub fn estate(&self, player: &PlayerName) -> &[(ChunkId, u16)] {
        self.estates.chunks_of(player)
    }

    /// Whose the fields of each cell of `block` are, as far as they are this land's: cells in which somebody has any, in order.
    /// Finer than chunks, the block's chunks must be [`Readiness::Ready`]; a block of fields has none but cells of one field.
    pub fn census(&self, block: Block) -> Vec<(u16, Census)> {
        if block.zoom() >= Zoom::CHUNKS {
            return self.estates.census(block);
        }
        let mut cells = BTreeMap::<u16, Census>::new();
        for id in block.chunks() {
            if let Some(chunk) = self.chunk(id) {
                chunk.owned(id, |field, owner| cells.entry(block.offset(field)).or_default().enter(owner));
            }
        }
        cells.into_iter().collect()
    }

    /// How many fields of this land have an owner.
    pub fn owned_fields(&self) -> u64 {
        self.estates.owned()
    }

    /// All payments in flight from this land: to be offered to their players' shards until settled.
    pub fn payments(&self) -> impl Iterator<Item = Payment> {
        self.outbox.payments(None)
    }

    /// The same in their order, from behind a bucket's to a player.
    pub fn payments_after(&self, after: Option<(Bucket, PlayerName)>) -> impl Iterator<Item = Payment> {
        self.outbox.payments(after)
    }

    /// The one of a bucket's to a player, if there is any.
    pub fn payment(&self, from: Bucket, player: PlayerName) -> Option<Payment> {
        let channel = self.outbox.channel(from, player).filter(|channel| channel.in_flight != Acorns::ZERO);
        channel.map(|channel| channel.payment(from, player))
    }

    /// Takes a payment into a wallet of this land, unless it was taken before. The source may be told either way.
    pub fn receive(&mut self, payment: &Payment) {
        if self.purses.receive(payment) {
            self.totals.wallets = plus(self.totals.wallets, payment.amount);
            self.totals.received = plus(self.totals.received, payment.amount);
            self.changes.head = true;
            self.changes.players.insert(payment.player);
        }
    }

    /// Whether a wallet of this land has taken that payment.
    pub fn has_received(&self, payment: &Payment) -> bool {
        self.purses.get(&payment.player).is_some_and(|purse| payment.seq <= purse.last_taken(payment.from))
    }

    /// The player's shard has that payment: it has left this land, and the next one goes out if anything accrued.
    /// Old news changes nothing.
    pub fn settle(&mut self, from: Bucket, player: &PlayerName, seq: u64) {
        if let Some(amount) = self.outbox.settle(from, *player, seq) {
            let channel = *self.outbox.channel(from, *player).expect("it settled just now");
            let totals = &mut self.totals;
            totals.settled = plus(totals.settled, amount);
            totals.in_flight = plus(minus(totals.in_flight, amount), channel.in_flight);
            totals.accruing = minus(totals.accruing, channel.in_flight);
            self.changes.head = true;
            self.changes.channels.insert((from, *player));
            self.estates.owe(player, |pending| minus(pending, amount));
        }
    }

    /// The acorns of this land. See [`audit()`] for what must add up over a world.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    fn register(&mut self, player: &PlayerName) -> Outcome {
        let grant = self.rules.starting_acorns;
        let new = self.purses.register(player, grant);
        if new {
            self.totals.wallets = plus(self.totals.wallets, grant);
            self.totals.granted = plus(self.totals.granted, grant);
            self.changes.head = true;
            self.changes.players.insert(*player);
        }
        Outcome::Registered { player: self.player(player).expect("it is registered now"), new }
    }

    fn earn(&mut self, from: Bucket, player: PlayerName, amount: Acorns) {
        if amount == Acorns::ZERO {
            // A payment of nothing would never be told from no payment.
            return;
        }
        let before = self.outbox.channel(from, player).copied().unwrap_or_default();
        self.outbox.earn(from, player, amount);
        let after = *self.outbox.channel(from, player).expect("it earned just now");
        let totals = &mut self.totals;
        totals.harvested = plus(totals.harvested, amount);
        totals.in_flight = plus(totals.in_flight, minus(after.in_flight, before.in_flight));
        totals.accruing = plus(totals.accruing, minus(after.accruing, before.accruing));
        self.changes.head = true;
        self.changes.channels.insert((from, player));
        self.estates.owe(&player, |pending| plus(pending, amount));
    }
}

#[cfg(test)]
mod tests;
