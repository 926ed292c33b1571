//! Receipts: an answer that says it is at most so old *is* at most so old, held against everything that was acknowledged.

use crate::At;
use paxos::Slot;
use placement::ShardId;
use std::collections::BTreeMap;

/// A receipt that promises too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an answer from slot {shown} of shard {shard} says that it holds everything acknowledged before {since:?}, but slot {acknowledged} was, at {at:?}"
)]
pub struct Unsound {
    /// Where.
    pub shard: ShardId,
    /// What the answer shows.
    pub shown: Slot,
    /// Everything acknowledged before is in it, it says.
    pub since: At,
    /// What was acknowledged ...
    pub acknowledged: Slot,
    /// ... by then.
    pub at: At,
}

/// What was acknowledged when: by the answer to a command, or by a strong read that showed it.
#[derive(Clone, Debug, Default)]
pub struct Acknowledged {
    /// For each shard, rising in both.
    shards: BTreeMap<ShardId, Vec<(At, Slot)>>,
}

impl Acknowledged {
    /// Everything up to `slot` of `shard` is acknowledged at `at`. Calls come in the order of time.
    pub fn note(&mut self, shard: ShardId, slot: Slot, at: At) {
        let shard = self.shards.entry(shard).or_default();
        if shard.last().is_none_or(|(_, last)| *last < slot) {
            shard.push((at, slot));
        }
    }

    /// An answer shows `slot` and is said to hold everything acknowledged before `since`.
    pub fn check(&self, shard: ShardId, shown: Slot, since: At) -> Result<(), Unsound> {
        let Some(known) = self.shards.get(&shard) else { return Ok(()) };
        let before = known.partition_point(|(at, _)| *at < since);
        match before.checked_sub(1).map(|last| known[last]) {
            Some((at, acknowledged)) if acknowledged > shown => Err(Unsound { shard, shown, since, acknowledged, at }),
            _ => Ok(()),
        }
    }

    /// When the first of what an answer lacks had been acknowledged, if that was before a moment: since then it was stale.
    pub fn missed(&self, shard: ShardId, shown: Slot, before: At) -> Option<At> {
        let known = self.shards.get(&shard)?;
        let (at, _) = known.get(known.partition_point(|(_, slot)| *slot <= shown))?;
        (*at < before).then_some(*at)
    }

    /// What was acknowledged before a moment counts as acknowledged in one piece, long ago: answers that are held against
    /// moments from then on are judged as before.
    pub fn forget_before(&mut self, moment: At) {
        for known in self.shards.values_mut() {
            let old = known.partition_point(|(at, _)| *at < moment);
            known.drain(..old.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARD: ShardId = ShardId(1);

    #[test]
    fn an_answer_is_held_against_what_was_acknowledged_before_the_moment_it_names() {
        let mut acknowledged = Acknowledged::default();
        for (at, slot) in [(10, 3), (20, 5), (20, 4), (30, 6)] {
            acknowledged.note(SHARD, Slot(slot), At(at));
        }
        assert_eq!(acknowledged.check(SHARD, Slot(5), At(30)), Ok(()), "6 came at that moment, not before");
        let unsound = acknowledged.check(SHARD, Slot(5), At(31)).unwrap_err();
        assert_eq!((unsound.acknowledged, unsound.at), (Slot(6), At(30)));
        assert!(acknowledged.check(SHARD, Slot(2), At(11)).is_err());
        assert_eq!(acknowledged.check(SHARD, Slot(0), At(10)), Ok(()));
        assert_eq!(acknowledged.check(ShardId(9), Slot(0), At(99)), Ok(()));
    }

    #[test]
    fn an_answer_has_been_stale_since_the_first_that_it_lacks_and_what_is_long_ago_is_forgotten() {
        let mut acknowledged = Acknowledged::default();
        for (at, slot) in [(10, 3), (20, 5), (30, 6)] {
            acknowledged.note(SHARD, Slot(slot), At(at));
        }
        let missed = |acknowledged: &Acknowledged, shown| acknowledged.missed(SHARD, Slot(shown), At(25));
        assert_eq!(missed(&acknowledged, 2), Some(At(10)));
        assert_eq!(missed(&acknowledged, 4), Some(At(20)));
        assert_eq!(missed(&acknowledged, 5), None, "6 was acknowledged later");
        assert_eq!(acknowledged.missed(ShardId(9), Slot(0), At(25)), None);
        acknowledged.forget_before(At(25));
        assert_eq!(missed(&acknowledged, 2), Some(At(20)));
        assert!(acknowledged.check(SHARD, Slot(4), At(26)).is_err(), "what was forgotten is not forgiven");
        assert_eq!(acknowledged.check(SHARD, Slot(5), At(26)), Ok(()));
    }
}
