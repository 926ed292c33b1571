//! What a replica may say of itself at one moment, as its node knows it.

use paxos::Slot;

/// Microseconds on a clock that never steps back and runs while the machine sleeps; where it began means nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// This moment and `micros` more.
    #[must_use]
    pub fn plus(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds since `earlier`; 0 if that is later.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where a replica stands when it is stepped.
pub struct Vantage<'a> {
    /// The moment: everything handed in before came earlier.
    pub now: Mono,
    /// Until when this replica, a leader, holds a lease.
    pub lease: Option<Mono>,
    /// The latest moment of which is known that everything acknowledged before it is here, once so much is applied.
    pub proven: &'a dyn Fn(Slot) -> Option<Mono>,
}

impl Vantage<'_> {
    /// Nothing is known: no lease, no proof.
    pub fn blind(now: Mono) -> Self {
        Self { now, lease: None, proven: &|_| None }
    }

    /// The lease, if it is valid at this moment.
    pub(crate) fn valid_lease(&self) -> Option<Mono> {
        self.lease.filter(|&until| self.now < until)
    }
}
