//! Acorns neither appear nor vanish: what must add up, within one land and over all of a world's.

use super::{Land, Payment};
use crate::Acorns;
use serde::{Deserialize, Serialize};

/// One land's running totals.
///
/// Invariants, in every state: `wallets = granted + received` and `harvested = settled + in_flight + accruing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// In the wallets now.
    pub wallets: Acorns,
    /// Ever granted to players who registered here.
    pub granted: Acorns,
    /// Ever received into wallets here.
    pub received: Acorns,
    /// Ever harvested on this land.
    pub harvested: Acorns,
    /// Harvested here, and known to have been received.
    pub settled: Acorns,
    /// In the outboxes here, offered. The player's shard may have received it already.
    pub in_flight: Acorns,
    /// In the outboxes here, waiting for the payment before.
    pub accruing: Acorns,
}

impl Totals {
    /// Whether one land's acorns add up.
    pub fn check(&self) -> Result<(), Imbalance> {
        let pairs = [
            ("wallets = granted + received", sum([self.wallets]), sum([self.granted, self.received])),
            (
                "harvested = settled + in flight + accruing",
                sum([self.harvested]),
                sum([self.settled, self.in_flight, self.accruing]),
            ),
        ];
        balance(pairs)
    }
}

/// Acorns that came from nowhere, or went nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{law} does not hold: {left} against {right} acorns")]
pub struct Imbalance {
    /// What should be.
    pub law: &'static str,
    /// Its left side.
    pub left: u128,
    /// Its right side.
    pub right: u128,
}

/// Whether the acorns of a whole world add up: `wallets + outboxes = granted + harvested`, where a payment that its
/// receiver has and its source does not know of counts once.
///
/// `lands` are all of the world's, each once, each as new as any of its replicas.
pub fn audit(lands: &[&Land]) -> Result<Totals, Imbalance> {
    let (mut wallets, mut outboxes, mut granted, mut harvested) = (0, 0, 0, 0);
    let mut world = Totals::default();
    for land in lands {
        let totals = land.totals();
        totals.check()?;
        wallets += sum([totals.wallets]);
        granted += sum([totals.granted]);
        harvested += sum([totals.harvested]);
        outboxes += sum([totals.accruing]);
        let received = |payment: &Payment| lands.iter().any(|land| land.has_received(payment));
        outboxes += sum(land.payments().filter(|payment| !received(payment)).map(|payment| payment.amount));
        world = add(&world, &totals);
    }
    balance([("wallets + outboxes = granted + harvested", wallets + outboxes, granted + harvested)])?;
    Ok(world)
}

fn add(a: &Totals, b: &Totals) -> Totals {
    use super::ledger::plus;
    Totals {
        wallets: plus(a.wallets, b.wallets),
        granted: plus(a.granted, b.granted),
        received: plus(a.received, b.received),
        harvested: plus(a.harvested, b.harvested),
        settled: plus(a.settled, b.settled),
        in_flight: plus(a.in_flight, b.in_flight),
        accruing: plus(a.accruing, b.accruing),
    }
}

fn sum(acorns: impl IntoIterator<Item = Acorns>) -> u128 {
    acorns.into_iter().map(|acorns| u128::from(acorns.0)).sum()
}

fn balance<const N: usize>(laws: [(&'static str, u128, u128); N]) -> Result<(), Imbalance> {
    let broken = laws.into_iter().find(|(_, left, right)| left != right);
    broken.map_or(Ok(()), |(law, left, right)| Err(Imbalance { law, left, right }))
}
