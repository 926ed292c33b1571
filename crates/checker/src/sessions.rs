//! The four session guarantees (Terry et al. 1994), as slots: what a session has seen and written, it never loses sight of.
//!
//! A session's operations overlap; what one must respect is what was known when it *began*.

use paxos::Slot;
use placement::ShardId;
use std::collections::BTreeMap;

/// Which guarantee is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// A read shows the session's own writes.
    ReadYourWrites,
    /// A read never shows less than an earlier read.
    MonotonicReads,
    /// Writes take effect in the order of the session.
    MonotonicWrites,
    /// A write takes effect after what the session had read.
    WritesFollowReads,
}

/// A session guarantee that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{guarantee:?}: session {session} had reached slot {reached} of shard {shard}, and then was answered from slot {found}"
)]
pub struct Broken {
    /// Which.
    pub guarantee: Guarantee,
    /// Whose.
    pub session: u64,
    /// Where.
    pub shard: ShardId,
    /// How far it had read or written.
    pub reached: Slot,
    /// What it was shown.
    pub found: Slot,
}

/// How far a session had come in each shard at some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    read: BTreeMap<ShardId, Slot>,
    written: BTreeMap<ShardId, Slot>,
}

/// All sessions.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    sessions: BTreeMap<u64, Reached>,
}

impl Sessions {
    /// An operation of `session` begins: what it must respect.
    pub fn begin(&self, session: u64) -> Reached {
        self.sessions.get(&session).cloned().unwrap_or_default()
    }

    /// A read that began after `reached` was answered from `slot` of `shard`.
    pub fn read(&mut self, session: u64, reached: &Reached, shard: ShardId, slot: Slot) -> Result<(), Broken> {
        let known = self.sessions.entry(session).or_default();
        raise(&mut known.read, shard, slot);
        let broken = |guarantee, reached| Broken { guarantee, session, shard, reached, found: slot };
        check(&reached.written, shard, slot).map_err(|at| broken(Guarantee::ReadYourWrites, at))?;
        check(&reached.read, shard, slot).map_err(|at| broken(Guarantee::MonotonicReads, at))
    }

    /// A write that began after `reached` took effect at `slot` of `shard`, or before.
    pub fn write(&mut self, session: u64, reached: &Reached, shard: ShardId, slot: Slot) -> Result<(), Broken> {
        let known = self.sessions.entry(session).or_default();
        raise(&mut known.written, shard, slot);
        let broken = |guarantee, reached| Broken { guarantee, session, shard, reached, found: slot };
        check(&reached.written, shard, slot).map_err(|at| broken(Guarantee::MonotonicWrites, at))?;
        check(&reached.read, shard, slot).map_err(|at| broken(Guarantee::WritesFollowReads, at))
    }
}

fn raise(slots: &mut BTreeMap<ShardId, Slot>, shard: ShardId, slot: Slot) {
    let known = slots.entry(shard).or_default();
    *known = slot.max(*known);
}

fn check(slots: &BTreeMap<ShardId, Slot>, shard: ShardId, slot: Slot) -> Result<(), Slot> {
    slots.get(&shard).filter(|reached| **reached > slot).map_or(Ok(()), |reached| Err(*reached))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ShardId = ShardId(1);
    const B: ShardId = ShardId(2);

    #[test]
    fn each_guarantee_is_named_when_it_is_broken() {
        let mut sessions = Sessions::default();
        let start = sessions.begin(1);
        assert_eq!(sessions.write(1, &start, A, Slot(5)), Ok(()));
        assert_eq!(sessions.read(1, &start, B, Slot(7)), Ok(()));
        let now = sessions.begin(1);
        let guarantee = |result: Result<(), Broken>| result.unwrap_err().guarantee;
        assert_eq!(guarantee(sessions.read(1, &now, A, Slot(4))), Guarantee::ReadYourWrites);
        assert_eq!(guarantee(sessions.read(1, &now, B, Slot(6))), Guarantee::MonotonicReads);
        assert_eq!(guarantee(sessions.write(1, &now, A, Slot(4))), Guarantee::MonotonicWrites);
        assert_eq!(guarantee(sessions.write(1, &now, B, Slot(6))), Guarantee::WritesFollowReads);
    }

    #[test]
    fn what_overlaps_and_what_others_do_binds_nobody() {
        let mut sessions = Sessions::default();
        let start = sessions.begin(1);
        assert_eq!(sessions.read(1, &start, A, Slot(9)), Ok(()));
        assert_eq!(sessions.read(1, &start, A, Slot(3)), Ok(()), "it began before the other was answered");
        let other = sessions.begin(2);
        assert_eq!(sessions.read(2, &other, A, Slot(1)), Ok(()));
        let now = sessions.begin(1);
        assert_eq!(sessions.read(1, &now, A, Slot(9)), Ok(()));
    }
}
