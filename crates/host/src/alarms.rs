//! When which shard wants to be stepped again, though nothing comes for it.

use crate::clock::Mono;
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet};

/// At most one moment for each shard.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    at: BTreeMap<ShardId, Mono>,
    due: BTreeSet<(Mono, ShardId)>,
}

impl Alarms {
    /// From now on `shard` is due at that moment, or never.
    pub fn set(&mut self, shard: ShardId, at: Option<Mono>) {
        let before = match at {
            Some(at) => self.at.insert(shard, at),
            None => self.at.remove(&shard),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.due.remove(&(before, shard));
        }
        if let Some(at) = at {
            self.due.insert((at, shard));
        }
    }

    /// The first moment.
    pub fn next(&self) -> Option<Mono> {
        self.due.first().map(|&(at, _)| at)
    }

    /// A shard whose moment has come; it is due no more.
    pub fn poll_due(&mut self, now: Mono) -> Option<ShardId> {
        let &(at, shard) = self.due.first()?;
        if at > now {
            return None;
        }
        self.set(shard, None);
        Some(shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shard_is_due_once_at_the_last_moment_set() {
        let mut alarms = Alarms::default();
        alarms.set(ShardId(1), Some(Mono(10)));
        alarms.set(ShardId(2), Some(Mono(5)));
        alarms.set(ShardId(1), Some(Mono(20)));
        alarms.set(ShardId(3), Some(Mono(7)));
        alarms.set(ShardId(3), None);
        assert_eq!((alarms.next(), alarms.poll_due(Mono(4))), (Some(Mono(5)), None));
        assert_eq!((alarms.poll_due(Mono(5)), alarms.poll_due(Mono(30))), (Some(ShardId(2)), Some(ShardId(1))));
        assert_eq!((alarms.poll_due(Mono(30)), alarms.next()), (None, None));
    }
}
