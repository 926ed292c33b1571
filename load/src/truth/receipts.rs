//! Receipts: is an answer as fresh as it says, and as it was asked to be?
//!
//! Whatever was acknowledged before a read was sent had to be in a strong read's answer; what was acknowledged before that,
//! less the receipt's bound, in any answer that has one. Slots tell: of each shard, the highest acknowledged so far is kept,
//! with the moment at which that was heard. So it is also known how stale an answer was in truth, as far as this generator's own
//! writes show it.

use crate::crowd::Wrong;
use checker::{Acknowledged, At};
use std::time::Duration;
use wire::{Level, Receipt};

/// What was acknowledged longer ago is remembered only as "long ago": no bound is larger but where nothing can be proven.
const MEMORY: Duration = Duration::from_mins(1);

/// How old an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// Something acknowledged was missing since then; zero: nothing was.
    pub missed: Duration,
    /// What the receipt said.
    pub bound: Option<Duration>,
}

/// Everything that was acknowledged.
#[derive(Debug, Default)]
pub struct Receipts {
    acknowledged: Acknowledged,
    /// What each connection was shown: its session goes on from there.
    sessions: Vec<Acknowledged>,
}

impl Receipts {
    /// Of so many connections.
    pub fn new(connections: usize) -> Self {
        Self { acknowledged: Acknowledged::default(), sessions: vec![Acknowledged::default(); connections] }
    }

    /// A command was answered.
    pub fn command(&mut self, connection: usize, receipt: &Receipt, now: Duration) {
        self.acknowledged.note(receipt.shard, receipt.slot, at(now));
        self.sessions[connection].note(receipt.shard, receipt.slot, at(now));
    }

    /// A read that asked for `level` was sent and has been answered.
    pub fn read(
        &mut self,
        connection: usize,
        level: Level,
        receipt: &Receipt,
        sent: Duration,
        now: Duration,
    ) -> Result<Age, Wrong> {
        let bound = receipt.bound_ms.map(Duration::from_millis);
        let promised = match (level, bound) {
            (Level::Strong, _) => Some(Duration::ZERO),
            (Level::Bounded(ms), Some(bound)) if bound <= Duration::from_millis(ms) => Some(bound),
            (Level::Bounded(ms), _) => {
                return Err(Wrong(format!("a read asked to be {ms} ms stale at most: {receipt:?}")));
            }
            (Level::Session | Level::Eventual, bound) => bound,
        };
        if let Some(promised) = promised {
            let since = at(sent.saturating_sub(promised));
            let unsound = |unsound: checker::receipts::Unsound| Wrong(format!("{receipt:?} for {level}: {unsound}"));
            self.acknowledged.check(receipt.shard, receipt.slot, since).map_err(unsound)?;
        }
        if level == Level::Session {
            let behind = |unsound: checker::receipts::Unsound| Wrong(format!("{receipt:?} for a session: {unsound}"));
            self.sessions[connection].check(receipt.shard, receipt.slot, at(sent)).map_err(behind)?;
        }
        let missed = self.acknowledged.missed(receipt.shard, receipt.slot, at(sent));
        if level == Level::Strong {
            // Others that ask from now on must see as much.
            self.acknowledged.note(receipt.shard, receipt.slot, at(now));
        }
        self.sessions[connection].note(receipt.shard, receipt.slot, at(now));
        let missed = missed.map_or(Duration::ZERO, |since| sent.saturating_sub(Duration::from_micros(since.0)));
        Ok(Age { missed, bound })
    }

    /// Forgets what no answer is held against any more.
    pub fn prune(&mut self, now: Duration) {
        let moment = at(now.saturating_sub(MEMORY));
        self.acknowledged.forget_before(moment);
        for session in &mut self.sessions {
            session.forget_before(moment);
        }
    }
}

fn at(time: Duration) -> At {
    At(u64::try_from(time.as_micros()).expect("five hundred thousand years"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use paxos::{NodeId, Slot};
    use placement::ShardId;

    fn receipt(slot: u64, level: Level, bound_ms: Option<u64>) -> Receipt {
        Receipt { shard: ShardId(1), node: NodeId(2), slot: Slot(slot), level, bound_ms }
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Slot 5 was acknowledged to connection 0 at 100 ms, slot 6 at 200 ms.
    fn receipts() -> Receipts {
        let mut receipts = Receipts::new(2);
        receipts.command(0, &receipt(5, Level::Strong, Some(0)), ms(100));
        receipts.command(0, &receipt(6, Level::Strong, Some(0)), ms(200));
        receipts
    }

    fn read(connection: usize, level: Level, slot: u64, bound_ms: Option<u64>, sent: u64) -> Result<Age, Wrong> {
        receipts().read(connection, level, &receipt(slot, level, bound_ms), ms(sent), ms(sent + 10))
    }

    #[test]
    fn a_strong_read_shows_what_was_acknowledged_before_it_was_sent() {
        assert!(read(1, Level::Strong, 6, Some(0), 250).is_ok());
        assert!(read(1, Level::Strong, 5, Some(0), 150).is_ok());
        assert!(read(1, Level::Strong, 5, Some(0), 250).is_err());
    }

    #[test]
    fn what_a_strong_read_showed_others_see_too() {
        let mut receipts = receipts();
        receipts.read(0, Level::Strong, &receipt(9, Level::Strong, Some(0)), ms(300), ms(310)).unwrap();
        let old = receipt(8, Level::Strong, Some(0));
        assert!(receipts.read(1, Level::Strong, &old, ms(305), ms(320)).is_ok(), "it was sent before");
        assert!(receipts.read(1, Level::Strong, &old, ms(311), ms(320)).is_err());
    }

    #[test]
    fn a_bound_holds_and_is_no_larger_than_was_asked_for() {
        assert!(read(1, Level::Bounded(100), 5, Some(60), 250).is_ok(), "6 came within the bound");
        assert!(read(1, Level::Bounded(100), 5, Some(40), 250).is_err(), "6 came before");
        assert!(read(1, Level::Bounded(100), 6, Some(101), 250).is_err(), "more than was asked for");
        assert!(read(1, Level::Bounded(100), 6, None, 250).is_err(), "nothing was proven");
        assert!(read(1, Level::Eventual, 0, None, 250).is_ok(), "nothing is promised");
        assert!(read(1, Level::Eventual, 5, Some(10), 250).is_err(), "a promise nobody asked for is one all the same");
    }

    #[test]
    fn a_session_sees_what_it_has_seen_and_no_other_session_must() {
        assert!(read(0, Level::Session, 5, None, 250).is_err());
        assert!(read(0, Level::Session, 6, None, 250).is_ok());
        assert!(read(0, Level::Session, 5, None, 150).is_ok(), "it was sent before");
        assert!(read(1, Level::Session, 5, None, 250).is_ok());
    }

    #[test]
    fn an_answer_is_as_old_as_the_first_that_it_lacks() {
        assert_eq!(read(1, Level::Eventual, 5, None, 250).unwrap().missed, ms(50));
        assert_eq!(read(1, Level::Eventual, 4, None, 250).unwrap().missed, ms(150));
        assert_eq!(read(1, Level::Eventual, 6, Some(700), 250).unwrap(), Age { missed: ms(0), bound: Some(ms(700)) });
    }

    #[test]
    fn what_is_long_ago_is_forgotten_and_still_counts() {
        let mut receipts = receipts();
        receipts.prune(MEMORY + ms(300));
        let old = receipt(5, Level::Strong, Some(0));
        assert!(receipts.read(1, Level::Strong, &old, MEMORY + ms(300), MEMORY + ms(310)).is_err());
    }
}
