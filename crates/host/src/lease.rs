//! Leases: which of this node's leaders may answer alone, and until when.
//!
//! A voter counts for a shard's lease once it has acknowledged the leader's ballot in a frame that names the epoch of support
//! which it still gives: from then on it has joined nobody else, and will not before its support has run out. An accept
//! quorum of such voters meets every prepare quorum; so nobody else can lead, nor have anything chosen, while the lease lasts.

use crate::clock::Mono;
use crate::support::Support;
use paxos::{Ballot, NodeId, QuorumSystem, Slot};
use placement::ShardId;
use std::collections::BTreeMap;
use wire::peer::Epoch;

/// Who has acknowledged a ballot, each under its epoch of support.
#[derive(Debug)]
struct Pledges {
    ballot: Ballot,
    by: Vec<(NodeId, Epoch)>,
}

/// The pledges to every shard that this node leads.
#[derive(Debug, Default)]
pub struct Leases {
    pledges: BTreeMap<ShardId, Pledges>,
}

impl Leases {
    /// `voter` has acknowledged `ballot`, in a frame that names `epoch`.
    pub fn pledge(&mut self, shard: ShardId, ballot: Ballot, voter: NodeId, epoch: Epoch) {
        let pledges = self.pledges.entry(shard).or_insert(Pledges { ballot, by: Vec::new() });
        if ballot < pledges.ballot {
            return;
        }
        if ballot > pledges.ballot {
            *pledges = Pledges { ballot, by: Vec::new() };
        }
        match pledges.by.iter_mut().find(|(node, _)| *node == voter) {
            // Frames overtake each other.
            Some((_, before)) => *before = epoch.max(*before),
            None => pledges.by.push((voter, epoch)),
        }
    }

    /// `voter` speaks with another disk than before: what it pledged was another's word, though both count their epochs alike.
    pub fn forget(&mut self, voter: NodeId) {
        for pledges in self.pledges.values_mut() {
            pledges.by.retain(|(node, _)| *node != voter);
        }
    }

    /// This node leads `shard` no more.
    pub fn drop(&mut self, shard: ShardId) {
        self.pledges.remove(&shard);
    }

    /// Until when this node, leading `shard` under `ballot`, may answer alone; `None` if too few have pledged.
    pub fn until(
        &self,
        shard: ShardId,
        ballot: Ballot,
        quorum: &QuorumSystem,
        me: NodeId,
        support: &Support,
    ) -> Option<Mono> {
        let until = quorum.highest_accepted(|voter| {
            if voter == me {
                Slot(u64::MAX)
            } else {
                Slot(self.counted(shard, ballot, voter, support).map_or(0, |at| at.0))
            }
        });
        (until > Slot::ZERO).then_some(Mono(until.0))
    }

    /// Whether a pledge of `voter` is missing or was given under an epoch that has ended.
    pub fn lacks(&self, shard: ShardId, ballot: Ballot, voter: NodeId, support: &Support) -> bool {
        support.held(voter).is_some() && self.counted(shard, ballot, voter, support).is_none()
    }

    fn counted(&self, shard: ShardId, ballot: Ballot, voter: NodeId, support: &Support) -> Option<Mono> {
        let pledges = self.pledges.get(&shard).filter(|pledges| pledges.ballot == ballot)?;
        let (_, pledged) = pledges.by.iter().find(|(node, _)| *node == voter)?;
        support.held(voter).filter(|(epoch, _)| epoch == pledged).map(|(_, until)| until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARD: ShardId = ShardId(1);
    const ME: NodeId = NodeId(1);
    const BALLOT: Ballot = Ballot { round: 4, node: ME };

    fn until(leases: &Leases, support: &Support) -> Option<Mono> {
        leases.until(SHARD, BALLOT, &QuorumSystem::majority((1..=5).map(NodeId)).unwrap(), ME, support)
    }

    /// n2 and n3 support n1 until 1,100, and have acknowledged this ballot.
    fn pledged(ballot: Ballot) -> (Leases, Support) {
        let (mut leases, mut support) = (Leases::default(), Support::new(1, 1_000, 0, Mono(0)));
        for node in [2, 3] {
            support.got(NodeId(node), (Epoch(9), 1_000), Mono(100));
            leases.pledge(SHARD, ballot, NodeId(node), Epoch(9));
        }
        (leases, support)
    }

    #[test]
    fn a_lease_lasts_as_long_as_a_quorum_that_has_pledged_supports() {
        let (mut leases, mut support) = (Leases::default(), Support::new(1, 1_000, 0, Mono(0)));
        for (node, sent) in [(2, 100), (3, 300), (4, 200)] {
            support.got(NodeId(node), (Epoch(9), 1_000), Mono(sent));
        }
        leases.pledge(SHARD, BALLOT, NodeId(2), Epoch(9));
        assert_eq!(until(&leases, &support), None, "two of five");
        leases.pledge(SHARD, BALLOT, NodeId(3), Epoch(9));
        assert_eq!(until(&leases, &support), Some(Mono(1_100)), "until the first of the three stops");
        leases.pledge(SHARD, BALLOT, NodeId(4), Epoch(9));
        assert_eq!(until(&leases, &support), Some(Mono(1_200)));
    }

    #[test]
    fn an_ended_epoch_voids_the_pledge_until_it_is_given_again() {
        let quorum = QuorumSystem::majority((1..=3).map(NodeId)).unwrap();
        let (mut leases, mut support) = (Leases::default(), Support::new(1, 1_000, 0, Mono(0)));
        support.got(NodeId(2), (Epoch(9), 1_000), Mono(100));
        leases.pledge(SHARD, BALLOT, NodeId(2), Epoch(9));
        let until = |leases: &Leases, support: &Support| leases.until(SHARD, BALLOT, &quorum, ME, support);
        assert!(until(&leases, &support).is_some());
        support.got(NodeId(2), (Epoch(10), 1_000), Mono(200));
        assert_eq!(until(&leases, &support), None);
        assert!(leases.lacks(SHARD, BALLOT, NodeId(2), &support));
        leases.pledge(SHARD, BALLOT, NodeId(2), Epoch(9));
        assert_eq!(until(&leases, &support), None, "an acknowledgement of before");
        leases.pledge(SHARD, BALLOT, NodeId(2), Epoch(10));
        assert_eq!(until(&leases, &support), Some(Mono(1_200)));
    }

    #[test]
    fn a_voter_with_another_disk_has_pledged_nothing() {
        let (mut leases, support) = pledged(BALLOT);
        assert!(until(&leases, &support).is_some());
        leases.forget(NodeId(2));
        assert_eq!(until(&leases, &support), None);
        assert!(leases.lacks(SHARD, BALLOT, NodeId(2), &support) && !leases.lacks(SHARD, BALLOT, NodeId(3), &support));
    }

    #[test]
    fn pledges_to_one_ballot_are_none_to_the_next() {
        let (mut leases, support) = pledged(Ballot { round: 3, node: ME });
        assert_eq!(until(&leases, &support), None);
        leases.pledge(SHARD, BALLOT, NodeId(2), Epoch(9));
        assert_eq!(until(&leases, &support), None, "the old ones are forgotten");
        leases.pledge(SHARD, Ballot { round: 3, node: ME }, NodeId(3), Epoch(9));
        leases.pledge(SHARD, BALLOT, NodeId(3), Epoch(9));
        assert_eq!(until(&leases, &support), Some(Mono(1_100)), "a late one to an old ballot changes nothing");
    }

    #[test]
    fn with_the_office_go_the_pledges() {
        let (mut leases, support) = pledged(BALLOT);
        leases.drop(SHARD);
        assert!(until(&leases, &support).is_none() && leases.pledges.is_empty());
    }
}
