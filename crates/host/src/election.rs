//! When the replica of a leaderless shard stands for election.
//!
//! Voters are ranked by placement: the first that is not counted out stands at once, the others only after it has had its
//! chance; so a dead node's shards move in one coalesced round instead of a duel each: those that lose their leader at one
//! moment stand at one moment. A failed attempt is repeated after a randomised, doubling delay, which ends the duels that
//! happen all the same.

use crate::clock::Mono;
use placement::ShardId;
use rand_core::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::{BTreeMap, BTreeSet};

/// The longest delay is the time-out times two to this.
const MAX_DOUBLINGS: u32 = 3;

/// The leaderless shards and when each may stand.
#[derive(Debug)]
pub struct Elections {
    timeout: u64,
    rng: Xoshiro256PlusPlus,
    /// What was drawn last, and for which moment.
    drawn: Option<(Mono, u64)>,
    waiting: BTreeMap<ShardId, Waiting>,
    due: BTreeSet<(Mono, ShardId)>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    due: Mono,
    attempts: u32,
}

impl Elections {
    /// None yet; `timeout` in microseconds.
    pub fn new(timeout: u64, rng: Xoshiro256PlusPlus) -> Self {
        Self { timeout, rng, drawn: None, waiting: BTreeMap::new(), due: BTreeSet::new() }
    }

    /// `shard` has no leader; its replica here is the `rank`-th to stand (0: the first). No change if it waits already.
    pub fn lost(&mut self, now: Mono, shard: ShardId, rank: usize) {
        if !self.waiting.contains_key(&shard) {
            let due = now.plus(self.delay(now, rank));
            self.schedule(shard, due, 0);
        }
    }

    /// A quorum answers again: what failed without one counts for nothing.
    pub fn forgive(&mut self, now: Mono, shard: ShardId, rank: usize) {
        if self.waiting.get(&shard).is_some_and(|waiting| waiting.attempts > 0) {
            let due = now.plus(self.delay(now, rank));
            self.schedule(shard, due, 0);
        }
    }

    /// The ranks may have changed: `shard`, which waits, waits for its new rank's turn instead, if that is sooner.
    pub fn rerank(&mut self, now: Mono, shard: ShardId, rank: usize) {
        if let Some(&Waiting { due, attempts: 0 }) = self.waiting.get(&shard) {
            let due = due.min(now.plus(self.delay(now, rank)));
            self.schedule(shard, due, 0);
        }
    }

    /// `shard` has a leader.
    pub fn found(&mut self, shard: ShardId) {
        if let Some(waiting) = self.waiting.remove(&shard) {
            self.due.remove(&(waiting.due, shard));
        }
    }

    /// The shards whose time has come. Each waits again, longer, in case the attempt fails.
    pub fn poll_due(&mut self, now: Mono) -> Vec<ShardId> {
        let mut shards = Vec::new();
        while let Some(&(due, shard)) = self.due.first()
            && due <= now
        {
            let attempts = self.waiting.get(&shard).map_or(0, |waiting| waiting.attempts) + 1;
            let longest = self.timeout << attempts.min(MAX_DOUBLINGS);
            let delay = longest / 4 + self.random(now, longest / 2);
            self.schedule(shard, now.plus(delay), attempts);
            shards.push(shard);
        }
        shards
    }

    /// How many shards have no leader that this node would follow.
    pub fn leaderless(&self) -> usize {
        self.waiting.len()
    }

    /// When the next one is due.
    pub fn next_tick(&self) -> Option<Mono> {
        self.due.first().map(|&(due, _)| due)
    }

    fn delay(&mut self, now: Mono, rank: usize) -> u64 {
        let rank = u64::try_from(rank).unwrap_or(u64::MAX);
        match rank {
            // Time for a candidate that has our promise to say that it leads.
            0 => self.random(now, self.timeout / 16),
            _ => rank.saturating_mul(self.timeout / 2) + self.random(now, self.timeout / 8),
        }
    }

    fn schedule(&mut self, shard: ShardId, due: Mono, attempts: u32) {
        self.found(shard);
        self.waiting.insert(shard, Waiting { due, attempts });
        self.due.insert((due, shard));
    }

    /// The same for everything that is decided at one moment.
    fn random(&mut self, now: Mono, below: u64) -> u64 {
        let bits = match self.drawn {
            Some((moment, bits)) if moment == now => bits,
            _ => self.rng.next_u64(),
        };
        self.drawn = Some((now, bits));
        bits.checked_rem(below).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::SeedableRng;

    const SECOND: u64 = 1_000_000;
    const SHARD: ShardId = ShardId(1);

    fn elections() -> Elections {
        Elections::new(SECOND, Xoshiro256PlusPlus::seed_from_u64(7))
    }

    #[test]
    fn the_first_in_rank_stands_soon_and_the_second_only_after_it_had_its_chance() {
        let mut elections = elections();
        elections.lost(Mono(0), SHARD, 0);
        elections.lost(Mono(0), ShardId(2), 1);
        assert_eq!(elections.poll_due(Mono(SECOND / 16)), [SHARD]);
        assert_eq!(elections.poll_due(Mono(SECOND / 2 - 1)), []);
        assert_eq!(elections.poll_due(Mono(SECOND / 2 + SECOND / 8)), [ShardId(2)]);
    }

    #[test]
    fn shards_that_lose_their_leader_at_one_moment_stand_at_one_moment_and_again_if_that_fails() {
        let mut elections = elections();
        let shards: Vec<ShardId> = (1..=100).map(ShardId).collect();
        let mut dues = BTreeSet::new();
        for moment in 0..10 {
            let now = Mono(moment * 100 * SECOND);
            for shard in &shards {
                elections.lost(now, *shard, 1);
            }
            for _ in 0..3 {
                let due = elections.next_tick().expect("they wait");
                dues.insert(due.since(now));
                assert_eq!(elections.poll_due(due), shards);
            }
            for shard in &shards {
                elections.found(*shard);
            }
        }
        assert!(dues.len() > 20, "other moments, other delays: {dues:?}");
    }

    #[test]
    fn a_failed_attempt_waits_longer_each_time_but_never_beyond_a_bound() {
        let mut elections = elections();
        elections.lost(Mono(0), SHARD, 0);
        let (mut now, mut waits) = (Mono(0), Vec::new());
        for _ in 0..12 {
            let due = elections.next_tick().expect("it waits until it has a leader");
            waits.push(due.since(now));
            now = due;
            assert_eq!(elections.poll_due(now), [SHARD]);
        }
        assert!(waits[1] >= SECOND / 2, "{waits:?}");
        assert!(waits[3..].iter().all(|&wait| (2 * SECOND..=6 * SECOND).contains(&wait)), "{waits:?}");
    }

    /// The least and the most of what is drawn at very many moments, in 64ths of the time-out.
    fn range(wait: impl Fn(&mut Elections, Mono) -> u64) -> (u64, u64) {
        let mut elections = elections();
        let waits: Vec<u64> = (0..2_000).map(|moment| wait(&mut elections, Mono(moment * 100 * SECOND))).collect();
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        (least * 64 / SECOND, most * 64 / SECOND)
    }

    #[test]
    fn each_rank_stands_half_a_time_out_behind_the_one_before() {
        let wait = |rank| {
            range(|elections, now| {
                elections.found(SHARD);
                elections.lost(now, SHARD, rank);
                elections.next_tick().unwrap().since(now)
            })
        };
        assert_eq!([wait(0), wait(1), wait(2), wait(4)], [(0, 3), (32, 39), (64, 71), (128, 135)]);
    }

    #[test]
    fn what_fails_is_tried_again_after_twice_as_long_three_times() {
        let wait = |attempt| {
            range(|elections, mut now| {
                elections.found(SHARD);
                elections.lost(now, SHARD, 0);
                for _ in 0..attempt {
                    now = elections.next_tick().unwrap();
                    assert_eq!(elections.poll_due(now), [SHARD]);
                }
                elections.next_tick().unwrap().since(now)
            })
        };
        assert_eq!([wait(1), wait(2), wait(3), wait(4)], [(32, 95), (64, 191), (128, 383), (128, 383)]);
    }

    #[test]
    fn a_shard_waits_for_the_better_of_its_ranks_until_it_has_stood() {
        let mut elections = elections();
        elections.lost(Mono(0), SHARD, 2);
        let first = elections.next_tick();
        elections.lost(Mono(0), SHARD, 0);
        elections.forgive(Mono(5), SHARD, 0);
        elections.rerank(Mono(5), SHARD, 3);
        assert_eq!((elections.next_tick(), elections.leaderless()), (first, 1), "none of this is news");
        elections.rerank(Mono(5), SHARD, 0);
        let second = elections.next_tick().unwrap();
        assert!(second < Mono(5 + SECOND / 16));
        elections.poll_due(second);
        let third = elections.next_tick();
        elections.rerank(second, SHARD, 0);
        assert_eq!(elections.next_tick(), third, "who has stood waits longer, whatever its rank");
        elections.lost(Mono(0), ShardId(2), 0);
        assert_eq!(elections.leaderless(), 2);
    }

    #[test]
    fn a_shard_that_has_a_leader_does_not_stand() {
        let mut elections = elections();
        elections.lost(Mono(0), SHARD, 0);
        elections.found(SHARD);
        assert_eq!((elections.poll_due(Mono(u64::MAX)), elections.leaderless()), (vec![], 0));
    }

    #[test]
    fn what_failed_without_a_quorum_is_forgiven_when_one_answers() {
        let mut elections = elections();
        elections.lost(Mono(0), SHARD, 0);
        let mut now = Mono(0);
        for _ in 0..5 {
            now = elections.next_tick().expect("it waits");
            elections.poll_due(now);
        }
        elections.forgive(now, SHARD, 0);
        assert_eq!(elections.poll_due(now.plus(SECOND / 16)), [SHARD]);
    }
}
