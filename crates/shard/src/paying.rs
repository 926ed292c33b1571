//! Payments between shards: a harvest's acorns on their way from the field's shard to the player's.
//!
//! The outbox and the inbox are part of the replicated state (`world::land`); here is who carries what, and when. Only
//! leaders do; what got lost is sent again at a later retry, so many payments at each: a shard that cannot take any for hours
//! must not keep those busy that owe it much.

use crate::batch::Item;
use crate::effect::Effect;
use crate::replica::{QUEUE, Replica, Waiting};
use paxos::NodeId;
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet};
use world::land::Payment;
use world::{Bucket, Command, PlayerName, WorldSeed};

/// Payments sent again at each retry.
const WINDOW: usize = 1_024;

/// Where a payment comes from, and whose it is.
type Channel = (Bucket, PlayerName);

/// What is under way.
#[derive(Debug, Default)]
pub(crate) struct Paying {
    /// The payment that was sent last, where one is under way.
    sent: BTreeMap<Channel, u64>,
    /// Where another may be due.
    changed: BTreeSet<Channel>,
    /// It is time to send some again, whatever was sent.
    again: bool,
    /// The last of those that were.
    cursor: Option<Channel>,
    /// Payments of other shards that are queued or proposed here.
    receiving: BTreeSet<(Bucket, PlayerName, u64)>,
    /// Confirmed payments of this shard whose end is queued or proposed here.
    settling: BTreeSet<(Bucket, PlayerName, u64)>,
}

impl Paying {
    /// An office begins or ends.
    pub fn start_over(&mut self, leads: bool) {
        *self = Self { again: leads, ..Self::default() };
    }

    /// A leader applies a batch with these.
    pub fn note<'a>(&mut self, seed: WorldSeed, items: impl Iterator<Item = &'a Item>) {
        for item in items {
            self.changed.extend(paid_through(seed, item));
            if let Item::Settle { bucket, player, seq } = item {
                self.settling.remove(&(*bucket, *player, *seq));
            }
        }
    }

    /// What is unconfirmed is sent again.
    pub fn retry(&mut self) {
        self.again = true;
    }

    /// The payments to send now. `after` gives so many of those in flight behind a channel, `at` that of one channel.
    fn due(
        &mut self,
        after: impl Fn(Option<Channel>, usize) -> Vec<Payment>,
        at: impl Fn(Channel) -> Option<Payment>,
    ) -> Vec<Payment> {
        let mut due = Vec::new();
        if std::mem::take(&mut self.again) {
            due = after(self.cursor, WINDOW);
            // Once the end is reached, from the beginning again.
            let last = due.last().filter(|_| due.len() == WINDOW);
            self.cursor = last.map(|payment| (payment.from, payment.player));
            self.sent.extend(due.iter().map(|payment| ((payment.from, payment.player), payment.seq)));
        }
        for channel in std::mem::take(&mut self.changed) {
            match at(channel) {
                Some(payment) => {
                    if self.sent.insert(channel, payment.seq) != Some(payment.seq) {
                        due.push(payment);
                    }
                }
                None => _ = self.sent.remove(&channel),
            }
        }
        due
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
        let new = |settling: &mut BTreeSet<_>| settling.insert((bucket, player, seq));
        if self.paxos.is_leader() && expected && self.queue.len() < QUEUE && new(&mut self.paying.settling) {
            self.queue.push_back((Item::Settle { bucket, player, seq }, Waiting::Nobody));
        }
    }

    /// Whether any payment of this leader waits for its confirmation.
    pub(crate) fn owes(&self) -> bool {
        self.is_in_office() && self.state.land().is_some_and(|land| land.payments().next().is_some())
    }

    /// Sends what is due and not under way, and some of what is.
    pub(crate) fn pay(&mut self) {
        if !self.is_in_office() {
            return;
        }
        let Some(land) = self.state.land() else { return };
        let due = self.paying.due(
            |after, count| land.payments_after(after).take(count).collect(),
            |(from, player)| land.payment(from, player),
        );
        self.effects.extend(due.into_iter().map(|payment| Effect::Pay { payment }));
    }
}

/// Where applying it may make a payment due.
fn paid_through(seed: WorldSeed, item: &Item) -> Option<Channel> {
    match item {
        Item::Client(envelope) => match envelope.command {
            Command::Harvest { field } => Some((Bucket::of_chunk(seed, field.chunk()), envelope.player)),
            _ => None,
        },
        Item::Settle { bucket, player, .. } => Some((*bucket, *player)),
        Item::Genesis(_) | Item::Receive(_) => None,
    }
}

#[cfg(test)]
mod tests;
