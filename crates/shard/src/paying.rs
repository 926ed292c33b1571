//! Payments between shards: a harvest's acorns on their way from the field's shard to the player's.
//!
//! The outbox and the inbox are part of the replicated state (`world::land`); here is who carries what, and when. Only
//! leaders do; what got lost is sent again at the next retry.

use crate::batch::Item;
use crate::effect::Effect;
use crate::replica::{QUEUE, Replica, Waiting};
use paxos::NodeId;
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet};
use world::land::Payment;
use world::{Bucket, Command, PlayerName};

/// What is under way.
#[derive(Debug, Default)]
pub(crate) struct Paying {
    /// Payments sent, and not to be sent again before the next retry.
    sent: BTreeMap<(Bucket, PlayerName), u64>,
    /// Some may be due that were not sent.
    due: bool,
    /// Payments of other shards that are queued or proposed here.
    receiving: BTreeSet<(Bucket, PlayerName, u64)>,
}

impl Paying {
    /// An office begins or ends.
    pub fn start_over(&mut self, leads: bool) {
        *self = Self { due: leads, ..Self::default() };
    }

    /// A leader has applied a batch with these.
    pub fn note<'a>(&mut self, mut items: impl Iterator<Item = &'a Item>) {
        self.due |= items.any(moves_acorns);
    }

    /// Whether anything waits for its confirmation.
    pub fn is_waiting(&self) -> bool {
        !self.sent.is_empty()
    }

    /// Everything unconfirmed is sent again.
    pub fn retry(&mut self) {
        self.sent.clear();
        self.due = true;
    }

    /// A payment has been taken in.
    pub fn received(&mut self, payment: &Payment) {
        self.receiving.remove(&(payment.from, payment.player, payment.seq));
    }
}

impl Replica {
    /// A payment from shard `shard`, brought by `node`. Only a leader takes it; the payer comes again.
    pub fn handle_payment(&mut self, node: NodeId, shard: ShardId, payment: Payment) {
        if self.state.land().is_some_and(|land| land.has_received(&payment)) {
            self.effects.push_back(Effect::Paid { node, shard, payment });
        } else if self.paxos.is_leader()
            && self.queue.len() < QUEUE
            && self.paying.receiving.insert((payment.from, payment.player, payment.seq))
        {
            self.queue.push_back((Item::Receive(payment), Waiting::Payer { node, shard, payment }));
        }
    }

    /// A payment of this shard has arrived.
    pub fn handle_paid(&mut self, bucket: Bucket, player: PlayerName, seq: u64) {
        let expected = self.paying.sent.get(&(bucket, player)) == Some(&seq);
        if self.paxos.is_leader() && expected && self.queue.len() < QUEUE {
            self.queue.push_back((Item::Settle { bucket, player, seq }, Waiting::Nobody));
        }
    }

    /// Sends every payment that is due and not under way.
    pub(crate) fn pay(&mut self) {
        if !std::mem::take(&mut self.paying.due) || !self.is_in_office() {
            return;
        }
        let Some(land) = self.state.land() else { return };
        let mut sent = BTreeMap::new();
        for payment in land.payments() {
            let channel = (payment.from, payment.player);
            if self.paying.sent.get(&channel) != Some(&payment.seq) {
                self.effects.push_back(Effect::Pay { payment });
            }
            sent.insert(channel, payment.seq);
        }
        self.paying.sent = sent;
    }
}

/// Whether applying it may make a payment due.
fn moves_acorns(item: &Item) -> bool {
    match item {
        Item::Client(envelope) => matches!(envelope.command, Command::Harvest { .. }),
        Item::Settle { .. } => true,
        Item::Genesis(_) | Item::Receive(_) => false,
    }
}
