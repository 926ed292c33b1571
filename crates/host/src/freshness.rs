//! Freshness: how a replica that does not lead can prove how old its state is at most.
//!
//! A leader's answer to a probe tells, for every shard that it leads under a lease valid at that moment, how far it is chosen
//! ([`Covers`]). Whoever asked at its own moment p, and has applied that far, knows: *everything acknowledged before p is here*
//! ([`Freshness`]). The bound is `now - p` on the asker's own clock, for all those shards at once; nothing is sent for a
//! shard that stands still. A node asks itself too: a leader whose lease has ended knows how old its state is by then.

use crate::clock::Mono;
use paxos::{NodeId, Slot};
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::peer::Cover;

/// What a shard must still apply before a later proof counts; beyond that many the proofs in the middle are forgotten.
const PENDING: usize = 16;

/// The leader's half: what this node covers, and since which version.
#[derive(Debug)]
pub struct Covers {
    first: u64,
    version: u64,
    shards: BTreeMap<ShardId, (u64, Option<Slot>)>,
    by_version: BTreeMap<u64, ShardId>,
    /// Who has been told of a shard, and so must hear when it may count on it no more.
    told: BTreeSet<(ShardId, NodeId)>,
}

impl Covers {
    /// Nothing is covered yet, in this node's `boot`-th life.
    pub fn new(boot: u64) -> Self {
        let first = boot << 32;
        Self { first, version: first, shards: BTreeMap::new(), by_version: BTreeMap::new(), told: BTreeSet::new() }
    }

    /// `shard` is covered up to this slot, or not at all.
    pub fn set(&mut self, shard: ShardId, covered: Option<Slot>) {
        match self.shards.get(&shard) {
            Some(&(_, before)) if before == covered => return,
            None if covered.is_none() => return,
            Some(&(version, _)) => _ = self.by_version.remove(&version),
            None => {}
        }
        self.version += 1;
        self.shards.insert(shard, (self.version, covered));
        self.by_version.insert(self.version, shard);
    }

    /// Somebody may begin to follow `shard` who was not told of it so far: it counts as changed.
    pub fn renew(&mut self, shard: ShardId) {
        if let Some(&(version, covered)) = self.shards.get(&shard) {
            self.by_version.remove(&version);
            self.version += 1;
            self.shards.insert(shard, (self.version, covered));
            self.by_version.insert(self.version, shard);
        }
    }

    /// The shards that are, or have been, covered.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> {
        self.shards.keys().copied()
    }

    /// For `node`, which knows everything up to version `known`: what has changed of the shards in which it takes part. Where
    /// it does no more, the shard is not covered for it.
    pub fn since(&mut self, node: NodeId, known: u64, takes_part: impl Fn(ShardId) -> bool) -> Cover {
        // What it knows of an earlier life it must forget.
        let since = if known < self.first || known > self.version { 0 } else { known };
        let mut changed = Vec::new();
        for &shard in self.by_version.range(since + 1..).map(|(_, shard)| shard) {
            if takes_part(shard) {
                self.told.insert((shard, node));
                changed.push((shard, self.shards[&shard].1));
            } else if self.told.contains(&(shard, node)) {
                changed.push((shard, None));
            }
        }
        Cover { since, version: self.version, changed }
    }
}

/// What this node knows of a shard that another leads.
#[derive(Debug, Default)]
struct Shard {
    /// Who covers it, if anybody does.
    by: Option<NodeId>,
    /// Moments that count once so much is applied, ascending. The last one is as far as its leader's last word goes.
    pending: VecDeque<(Slot, Mono)>,
    /// Proven, whatever the leader says later.
    proven: Option<Mono>,
}

/// The asker's half.
#[derive(Debug, Default)]
pub struct Freshness {
    /// For each leader's node: its version, and when its last answer was asked for.
    nodes: BTreeMap<NodeId, (u64, Mono)>,
    shards: BTreeMap<ShardId, Shard>,
}

impl Freshness {
    /// How much of `node`'s cover is known here.
    pub fn known(&self, node: NodeId) -> u64 {
        self.nodes.get(&node).map_or(0, |&(version, _)| version)
    }

    /// `node` answers what was asked at `asked`. `applied` tells how far each replica here is.
    pub fn learn(&mut self, node: NodeId, asked: Mono, cover: &Cover, applied: impl Fn(ShardId) -> Slot) {
        let (known, before) = self.nodes.get(&node).copied().unwrap_or_default();
        if cover.since == 0 {
            self.forget(node, &applied);
        } else if cover.since > known || cover.version < known || asked < before {
            // A difference to what is not here, or a late word.
            return;
        }
        for &(id, covered) in &cover.changed {
            let shard = self.shards.entry(id).or_default();
            if shard.by == Some(node) {
                shard.settle(applied(id), before);
            } else if let (Some(other), Some(_)) = (shard.by, covered) {
                // Two nodes cannot hold a lease at once, and which of the two words is the later is not known here: the other
                // is asked for all it covers. (That a node does not cover it says nothing about another.)
                let at = self.nodes.get_mut(&other).map_or(Mono(0), |(version, at)| {
                    *version = 0;
                    *at
                });
                shard.settle(applied(id), at);
                shard.leave();
            }
            match covered {
                Some(slot) => shard.cover(node, slot, asked),
                None if shard.by == Some(node) => shard.leave(),
                None => {}
            }
        }
        self.nodes.insert(node, (cover.version, asked));
    }

    /// What `node` covers, it covers no more: it has started anew.
    pub fn forget(&mut self, node: NodeId, applied: impl Fn(ShardId) -> Slot) {
        let Some((_, at)) = self.nodes.remove(&node) else { return };
        for (id, shard) in self.shards.iter_mut().filter(|(_, shard)| shard.by == Some(node)) {
            shard.settle(applied(*id), at);
            shard.leave();
        }
    }

    /// Nothing is known of `shard` any more: its replica here is gone.
    pub fn drop(&mut self, shard: ShardId) {
        self.shards.remove(&shard);
    }

    /// Everything is to be told again from the beginning.
    pub fn ask_anew(&mut self) {
        for (version, _) in self.nodes.values_mut() {
            *version = 0;
        }
    }

    /// The latest moment before which everything acknowledged is in a replica that has applied `applied`.
    pub fn proven(&self, id: ShardId, applied: Slot) -> Option<Mono> {
        let shard = self.shards.get(&id)?;
        let reached = shard.pending.iter().take_while(|(slot, _)| *slot <= applied).last();
        let current = shard.by.filter(|_| shard.pending.back().is_none_or(|(slot, _)| *slot <= applied));
        let live = current.and_then(|node| self.nodes.get(&node)).map(|&(_, at)| at);
        live.or_else(|| reached.map(|&(_, at)| at)).max(shard.proven)
    }
}

impl Shard {
    /// Takes what is proven by now out of what is pending. `at`: when its leader's last answer was asked for.
    fn settle(&mut self, applied: Slot, at: Mono) {
        while let Some((_, moment)) = self.pending.pop_front_if(|(slot, _)| *slot <= applied) {
            self.proven = self.proven.max(Some(moment));
        }
        if self.pending.is_empty() && self.by.is_some() {
            self.proven = self.proven.max(Some(at));
        }
    }

    /// No more news are to be counted on.
    fn leave(&mut self) {
        self.by = None;
        self.pending.clear();
    }

    fn cover(&mut self, node: NodeId, slot: Slot, asked: Mono) {
        self.by = Some(node);
        if self.pending.len() == PENDING {
            self.pending.remove(PENDING / 2);
        }
        self.pending.push_back((slot, asked));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N2: NodeId = NodeId(2);
    const N3: NodeId = NodeId(3);
    const A: ShardId = ShardId(1);
    const B: ShardId = ShardId(2);

    /// A leader and one who asks it, with nothing between them.
    struct Pair {
        covers: Covers,
        fresh: Freshness,
        applied: BTreeMap<ShardId, Slot>,
    }

    impl Pair {
        fn new() -> Self {
            Self { covers: Covers::new(1), fresh: Freshness::default(), applied: BTreeMap::new() }
        }

        fn ask(&mut self, at: u64) {
            let cover = self.covers.since(N2, self.fresh.known(N2), |_| true);
            self.hear(at, &cover);
        }

        fn hear(&mut self, at: u64, cover: &Cover) {
            let applied = self.applied.clone();
            self.fresh.learn(N2, Mono(at), cover, |id| applied.get(&id).copied().unwrap_or_default());
        }

        fn proven(&self, shard: ShardId, applied: u64) -> Option<u64> {
            self.fresh.proven(shard, Slot(applied)).map(|at| at.0)
        }
    }

    #[test]
    fn what_is_applied_as_far_as_the_leader_had_chosen_is_as_fresh_as_the_question() {
        let mut pair = Pair::new();
        pair.covers.set(A, Some(Slot(5)));
        pair.ask(100);
        assert_eq!(pair.proven(A, 4), None);
        assert_eq!(pair.proven(A, 5), Some(100));
        assert_eq!(pair.proven(B, 5), None, "nobody speaks for it");
    }

    #[test]
    fn a_shard_that_stands_still_stays_fresh_without_a_word() {
        let mut pair = Pair::new();
        pair.covers.set(A, Some(Slot(5)));
        pair.ask(100);
        let cover = pair.covers.since(N2, pair.fresh.known(N2), |_| true);
        assert_eq!(cover.changed, []);
        pair.hear(200, &cover);
        assert_eq!(pair.proven(A, 5), Some(200));
        assert_eq!(pair.proven(A, 4), None);
    }

    #[test]
    fn what_is_said_again_and_what_was_never_covered_are_no_news() {
        let mut covers = Covers::new(1);
        covers.set(B, None);
        assert_eq!(covers.shards().count(), 0);
        covers.set(A, Some(Slot(5)));
        let known = covers.since(N2, 0, |_| true).version;
        covers.set(A, Some(Slot(5)));
        covers.set(B, None);
        let cover = covers.since(N2, known, |_| true);
        assert_eq!((cover.version, cover.changed), (known, vec![]));
    }

    #[test]
    fn a_replica_that_lags_keeps_the_proof_it_has_reached() {
        let mut pair = Pair::new();
        for (at, slot) in [(100, 5), (200, 6), (300, 7)] {
            pair.covers.set(A, Some(Slot(slot)));
            pair.ask(at);
        }
        assert_eq!((5..=7).map(|slot| pair.proven(A, slot)).collect::<Vec<_>>(), [Some(100), Some(200), Some(300)]);
        pair.applied.insert(A, Slot(6));
        pair.covers.set(A, Some(Slot(9)));
        pair.ask(400);
        assert_eq!((pair.proven(A, 6), pair.proven(A, 8), pair.proven(A, 9)), (Some(200), Some(300), Some(400)));
        pair.ask(500);
        assert_eq!((pair.proven(A, 6), pair.proven(A, 9)), (Some(200), Some(500)));
    }

    #[test]
    fn a_shard_that_leaves_cover_grows_old_from_the_last_proof() {
        let mut pair = Pair::new();
        pair.covers.set(A, Some(Slot(5)));
        pair.covers.set(B, Some(Slot(1)));
        pair.applied.extend([(A, Slot(5)), (B, Slot(1))]);
        pair.ask(100);
        pair.ask(150);
        pair.covers.set(A, None);
        pair.ask(200);
        pair.ask(300);
        assert_eq!((pair.proven(A, 5), pair.proven(B, 1)), (Some(150), Some(300)));
    }

    #[test]
    fn an_answer_relative_to_what_is_not_known_here_proves_nothing() {
        let mut pair = Pair::new();
        pair.covers.set(A, Some(Slot(5)));
        pair.ask(100);
        let late = pair.covers.since(N2, pair.fresh.known(N2), |_| true);
        pair.covers.set(A, None);
        pair.ask(200);
        // Asked before, answered before, come after: A had not left cover then.
        pair.hear(150, &late);
        assert_eq!(pair.proven(A, 5), None, "it was never settled before it left");
        pair.fresh = Freshness::default();
        let ahead = pair.covers.since(N2, pair.covers.version, |_| true);
        pair.hear(300, &ahead);
        assert_eq!(pair.fresh.known(N2), 0, "a difference to what is not here");
    }

    #[test]
    fn a_difference_to_an_older_version_is_as_good_if_nothing_is_missing() {
        let mut pair = Pair::new();
        pair.covers.set(A, Some(Slot(5)));
        pair.ask(100);
        let old = pair.fresh.known(N2);
        pair.covers.set(B, Some(Slot(3)));
        pair.ask(200);
        // Sent before the last answer was acknowledged: a wide area's round trip is longer than the interval.
        pair.covers.set(B, None);
        let wide = pair.covers.since(N2, old, |_| true);
        pair.hear(300, &wide);
        assert_eq!((pair.proven(A, 5), pair.proven(B, 3)), (Some(300), None));
    }

    #[test]
    fn a_leader_that_started_anew_covers_nothing_of_what_it_did() {
        let mut pair = Pair::new();
        pair.covers.set(A, Some(Slot(5)));
        pair.applied.insert(A, Slot(5));
        pair.ask(100);
        pair.covers = Covers::new(2);
        pair.covers.set(B, Some(Slot(1)));
        pair.ask(200);
        assert_eq!((pair.proven(A, 5), pair.proven(B, 1)), (Some(100), Some(200)));
    }

    #[test]
    fn what_another_does_not_cover_changes_nothing_and_where_two_do_the_former_is_asked_for_everything() {
        let mut pair = Pair::new();
        pair.covers.set(A, Some(Slot(5)));
        pair.applied.insert(A, Slot(5));
        pair.ask(100);
        let mut others = Covers::new(7);
        let hear = |fresh: &mut Freshness, others: &mut Covers, at| {
            let cover = others.since(N3, fresh.known(N3), |_| true);
            fresh.learn(N3, Mono(at), &cover, |_| Slot(5));
        };
        // n3 led it before n2 did, and says so late.
        others.set(B, Some(Slot(1)));
        others.set(A, Some(Slot(4)));
        others.set(A, None);
        hear(&mut pair.fresh, &mut others, 150);
        pair.ask(200);
        assert_eq!(pair.proven(A, 5), Some(200));
        // Its word that it leads comes later still; n2, which stands still, covers it again with its next answer but one.
        others.set(A, Some(Slot(4)));
        hear(&mut pair.fresh, &mut others, 250);
        assert_eq!(pair.fresh.known(N2), 0);
        pair.ask(300);
        others.set(A, None);
        hear(&mut pair.fresh, &mut others, 350);
        pair.ask(400);
        assert_eq!(pair.proven(A, 5), Some(400));
    }

    #[test]
    fn a_new_leader_elsewhere_takes_over_the_proof() {
        let mut pair = Pair::new();
        pair.covers.set(A, Some(Slot(5)));
        pair.applied.insert(A, Slot(5));
        pair.ask(100);
        let mut others = Covers::new(7);
        others.set(A, Some(Slot(8)));
        pair.fresh.learn(N3, Mono(150), &others.since(N2, 0, |_| true), |_| Slot(5));
        pair.covers.set(A, None);
        pair.ask(200);
        assert_eq!((pair.proven(A, 5), pair.proven(A, 8)), (Some(100), Some(150)));
    }

    #[test]
    fn a_replica_that_comes_anew_relies_on_nothing_that_was_told_before() {
        let mut pair = Pair::new();
        pair.covers.set(A, Some(Slot(5)));
        pair.applied.insert(A, Slot(5));
        pair.ask(100);
        pair.fresh.drop(A);
        pair.applied.insert(A, Slot(0));
        pair.ask(200);
        assert_eq!(pair.proven(A, 5), None);
        pair.fresh.ask_anew();
        pair.ask(300);
        assert_eq!((pair.proven(A, 4), pair.proven(A, 5)), (None, Some(300)));
    }

    #[test]
    fn who_takes_part_no_more_is_told_not_to_count_on_the_shard() {
        let mut pair = Pair::new();
        pair.covers.set(A, Some(Slot(5)));
        pair.applied.insert(A, Slot(5));
        pair.ask(100);
        pair.covers.renew(A);
        let removed = pair.covers.since(N2, pair.fresh.known(N2), |_| false);
        pair.hear(200, &removed);
        pair.ask(300);
        assert_eq!(pair.proven(A, 5), Some(100), "what was proven stays so, and grows old");
        assert_eq!(pair.covers.since(NodeId(9), 0, |_| false).changed, [], "a stranger is told nothing");
    }

    #[test]
    fn a_shard_is_told_to_whoever_begins_to_follow_it() {
        let mut pair = Pair::new();
        pair.covers.set(A, Some(Slot(5)));
        let cover = pair.covers.since(N2, 0, |_| false);
        pair.hear(100, &cover);
        pair.ask(200);
        assert_eq!(pair.proven(A, 5), None, "it did not concern it");
        pair.covers.renew(A);
        pair.ask(300);
        assert_eq!(pair.proven(A, 5), Some(300));
    }

    #[test]
    fn many_proofs_that_wait_are_thinned_out_and_stay_true() {
        let mut pair = Pair::new();
        for step in 1..=100 {
            pair.covers.set(A, Some(Slot(step)));
            pair.ask(step * 10);
        }
        assert!(pair.fresh.shards[&A].pending.len() <= PENDING);
        for applied in 1..=100 {
            assert!(pair.proven(A, applied).is_none_or(|at| at <= applied * 10));
        }
        assert_eq!(pair.proven(A, 100), Some(1_000));
    }

    #[test]
    fn of_many_proofs_that_wait_one_in_the_middle_goes() {
        let mut pair = Pair::new();
        let all = PENDING as u64;
        let learn = |pair: &mut Pair, step| {
            pair.covers.set(A, Some(Slot(step)));
            pair.ask(step * 10);
        };
        for step in 1..=all {
            learn(&mut pair, step);
        }
        for applied in 1..=all {
            assert_eq!(pair.proven(A, applied), Some(applied * 10), "there is room for {all}");
        }
        learn(&mut pair, all + 1);
        assert_eq!(
            (pair.proven(A, 1), pair.proven(A, all), pair.proven(A, all + 1)),
            (Some(10), Some(all * 10), Some(all * 10 + 10))
        );
        assert_eq!(pair.proven(A, all / 2 + 1), Some(all / 2 * 10), "the next best is");
    }

    #[test]
    fn a_late_word_of_a_leader_is_none_and_two_of_one_moment_are_two() {
        let mut pair = Pair::new();
        assert_eq!(Covers::new(3).since(N2, 3 << 32, |_| true).since, 3 << 32, "nothing is new since the beginning");
        pair.covers.set(A, Some(Slot(5)));
        pair.ask(200);
        let known = pair.fresh.known(N2);
        // An earlier question that was answered later.
        pair.covers.set(B, Some(Slot(1)));
        pair.ask(100);
        assert_eq!((pair.fresh.known(N2), pair.proven(A, 5), pair.proven(B, 1)), (known, Some(200), None));
        // What it said before it said this.
        let before = Cover { since: known - 1, version: known - 1, changed: vec![(A, Some(Slot(4)))] };
        pair.hear(300, &before);
        assert_eq!((pair.fresh.known(N2), pair.proven(A, 4)), (known, None));
        pair.ask(200);
        assert_eq!((pair.fresh.known(N2), pair.proven(B, 1)), (known + 1, Some(200)));
    }
}
