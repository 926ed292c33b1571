//! Acorns on their way: an exactly-once outbox per bucket and player, and the wallets they go to.
//!
//! A harvest earns on the *channel* from its field's bucket to its player. A channel has at most one payment in flight,
//! numbered from 1; what is earned meanwhile accrues and goes out as the next one. The payment is offered to the
//! player's shard again and again until that shard says it has it ([`Outbox::settle`]); the wallet remembers the last
//! number it took from each bucket ([`Purses::receive`]) and takes no number twice. Both ends are replicated state, so
//! messages between them may be lost, doubled or late.
//!
//! Channels go with their bucket and purses with their player, so a split moves both whole. Numbers are never forgotten.

use crate::{Acorns, Bucket, PlayerName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// A payment in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Payment {
    /// The bucket of the land that earned it.
    pub from: Bucket,
    /// Whose wallet it goes to.
    pub player: PlayerName,
    /// Counts the payments from this bucket to this player, from 1.
    pub seq: u64,
    /// How much.
    pub amount: Acorns,
}

/// One bucket's debt to one player.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Channel {
    /// Of the payment in flight, or of the last one.
    pub(super) seq: u64,
    pub(super) in_flight: Acorns,
    pub(super) accruing: Acorns,
}

impl Channel {
    /// Both parts.
    pub(super) fn owed(&self) -> Acorns {
        plus(self.in_flight, self.accruing)
    }

    pub(super) fn payment(&self, from: Bucket, player: PlayerName) -> Payment {
        Payment { from, player, seq: self.seq, amount: self.in_flight }
    }
}

/// The source's side.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    channels: BTreeMap<(Bucket, PlayerName), Channel>,
    /// Those with a payment in flight.
    unsettled: BTreeSet<(Bucket, PlayerName)>,
}

impl Outbox {
    pub(super) fn earn(&mut self, from: Bucket, player: PlayerName, amount: Acorns) {
        let channel = self.channels.entry((from, player)).or_default();
        if channel.in_flight == Acorns::ZERO {
            channel.seq += 1;
            channel.in_flight = amount;
            self.unsettled.insert((from, player));
        } else {
            channel.accruing = plus(channel.accruing, amount);
        }
    }

    /// The player's shard has payment `seq`. Gives what has thereby left this outbox, `None` if that is old news.
    pub(super) fn settle(&mut self, from: Bucket, player: PlayerName, seq: u64) -> Option<Acorns> {
        let channel = self.channels.get_mut(&(from, player))?;
        if channel.seq != seq || channel.in_flight == Acorns::ZERO {
            return None;
        }
        let settled = channel.in_flight;
        channel.in_flight = std::mem::take(&mut channel.accruing);
        if channel.in_flight == Acorns::ZERO {
            self.unsettled.remove(&(from, player));
        } else {
            channel.seq += 1;
        }
        Some(settled)
    }

    /// Those in flight behind a channel, or all.
    pub(super) fn payments(&self, after: Option<(Bucket, PlayerName)>) -> impl Iterator<Item = Payment> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.unsettled.range((from, Bound::Unbounded)).map(|key| self.channels[key].payment(key.0, key.1))
    }

    pub(super) fn channel(&self, from: Bucket, player: PlayerName) -> Option<&Channel> {
        self.channels.get(&(from, player))
    }

    /// Puts back what a page held; says whether the place was free.
    pub(super) fn restore(&mut self, from: Bucket, player: PlayerName, channel: Channel) -> bool {
        if channel.in_flight != Acorns::ZERO {
            self.unsettled.insert((from, player));
        }
        self.channels.insert((from, player), channel).is_none()
    }

    pub(super) fn entries(&self) -> usize {
        self.channels.len()
    }
}

/// One player's wallet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Purse {
    /// Whether the player entered the world; acorns may come before it does.
    pub(super) registered: bool,
    pub(super) wallet: Acorns,
    /// The last payment taken from each bucket, by bucket.
    pub(super) taken: Vec<(Bucket, u64)>,
}

impl Purse {
    pub(super) fn last_taken(&self, from: Bucket) -> u64 {
        self.taken.binary_search_by_key(&from, |entry| entry.0).map_or(0, |at| self.taken[at].1)
    }

    pub(super) fn in_order(&self) -> bool {
        self.taken.windows(2).all(|pair| pair[0].0 < pair[1].0) && self.taken.iter().all(|entry| entry.1 > 0)
    }
}

/// The players' side.
#[derive(Clone, Debug, Default)]
pub(super) struct Purses {
    players: BTreeMap<PlayerName, Purse>,
}

impl Purses {
    pub(super) fn get(&self, player: &PlayerName) -> Option<&Purse> {
        self.players.get(player)
    }

    /// Brings the player in with `grant`; false if it was in already.
    pub(super) fn register(&mut self, player: &PlayerName, grant: Acorns) -> bool {
        let purse = self.players.entry(*player).or_default();
        let new = !purse.registered;
        if new {
            purse.registered = true;
            purse.wallet = plus(purse.wallet, grant);
        }
        new
    }

    /// Takes a payment; false if it was taken before (or never sent).
    pub(super) fn receive(&mut self, payment: &Payment) -> bool {
        if payment.seq == 0 {
            // Numbers begin at 1: nobody ever sent this.
            return false;
        }
        let purse = self.players.entry(payment.player).or_default();
        match purse.taken.binary_search_by_key(&payment.from, |entry| entry.0) {
            Ok(at) if payment.seq <= purse.taken[at].1 => return false,
            Ok(at) => purse.taken[at].1 = payment.seq,
            Err(at) => purse.taken.insert(at, (payment.from, payment.seq)),
        }
        purse.wallet = plus(purse.wallet, payment.amount);
        true
    }

    /// Puts back what a page held; says whether the place was free.
    pub(super) fn restore(&mut self, player: PlayerName, purse: Purse) -> bool {
        self.players.insert(player, purse).is_none()
    }

    pub(super) fn entries(&self) -> usize {
        self.players.len()
    }
}

/// The sum; at 2^64 it stops. (A world file's numbers are capped so low that no game comes near.)
pub(super) fn plus(a: Acorns, b: Acorns) -> Acorns {
    Acorns(a.0.saturating_add(b.0))
}

/// The difference; at nothing it stops.
pub(super) fn minus(a: Acorns, b: Acorns) -> Acorns {
    Acorns(a.0.saturating_sub(b.0))
}
