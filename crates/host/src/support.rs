//! Support: what nodes promise each other so that a leader may answer alone.
//!
//! With each answer to a probe a node promises the asker, for [`Support::new`]'s `length` from that moment on its own clock: *I
//! leave no ballot of yours that I follow for another node's, as long as I name this epoch*. Leaving one after the promise has
//! run out ends the epoch for good: from then on another is named, and acknowledgements given under the old one count for
//! nothing. So one number per pair of nodes covers all their shards.
//!
//! The answer says how long that is, for nodes may be told different lengths (an operator changes it one node at a time). The
//! asker counts from when it *sent* the probe, and a little less than that: the clocks of two nodes are never compared, but each
//! is trusted to run at most so much too fast or too slow ([`usable`]).
//!
//! News that the other node has started anew end the epoch too, at once: what was promised while any of its ballots was followed
//! stands until it has run out, for all of them, since nothing tells which of them its new life leads.
//!
//! Who has started anew remembers nothing of this. Its epochs are new ones, and it leaves nobody before the longest promise
//! that it may have given has run out.
//!
//! The idea of supporting nodes instead of leases per group is `CockroachDB`'s (leader leases on store liveness, 2024); there
//! the epoch is the supported store's own. Here the supporter counts it, so that ending one costs one pair of nodes their
//! leases and no other.

use crate::clock::Mono;
use paxos::NodeId;
use std::collections::BTreeMap;
use wire::peer::Epoch;

/// What this node has promised another.
#[derive(Clone, Copy, Debug)]
struct Given {
    epoch: Epoch,
    /// On our clock.
    until: Mono,
    /// The same of what was promised before `node` was last found to have started anew.
    before: Mono,
}

/// All promises of support that this node has given and got.
#[derive(Debug)]
pub struct Support {
    first: Epoch,
    length: u64,
    /// How wrong clocks are at most; `None`: nobody's promise is relied on.
    drift_ppm: Option<u64>,
    /// A promise of an earlier life may stand until then.
    quarantine: Mono,
    given: BTreeMap<NodeId, Given>,
    /// What others have promised this node: the epoch they name, and until when it can be relied on.
    got: BTreeMap<NodeId, (Epoch, Mono)>,
}

/// How much of a promise may be used by somebody whose clock, and whose supporter's clock, is off by up to `drift_ppm`.
pub fn usable(length: u64, drift_ppm: u64) -> u64 {
    let wide =
        u128::from(length) * u128::from(1_000_000_u64.saturating_sub(drift_ppm)) / u128::from(1_000_000 + drift_ppm);
    u64::try_from(wide).expect("not more than the length")
}

impl Support {
    /// In its `boot`-th life, a node that gives support for `length` at a time, trusts all clocks to within `drift_ppm`, and may
    /// have promised something before that stands until `quarantine`.
    pub fn new(boot: u64, length: u64, drift_ppm: u64, quarantine: Mono) -> Self {
        Self {
            first: Epoch(boot << 32),
            length,
            drift_ppm: Some(drift_ppm),
            quarantine,
            given: BTreeMap::new(),
            got: BTreeMap::new(),
        }
    }

    /// From now on no promise to this node counts: its leaders ask a quorum for each read.
    pub fn rely_on_none(&mut self) {
        self.drift_ppm = None;
    }

    /// Promises `node` support from `now` on; the epoch and the length to name.
    pub fn give(&mut self, now: Mono, node: NodeId) -> (Epoch, u64) {
        let (length, until) = (self.length, now.plus(self.length));
        let given = self.given(now, node);
        given.until = given.until.max(until);
        (given.epoch, length)
    }

    /// The epoch under which `node` is supported now.
    pub fn epoch(&self, node: NodeId) -> Epoch {
        self.given.get(&node).map_or(self.first, |given| given.epoch)
    }

    /// Whether a ballot of `node` must not be left yet. `following`: entries of it were taken in this life, and `node` has not
    /// been found to have started anew since.
    pub fn protects(&self, now: Mono, node: NodeId, following: bool) -> bool {
        let stands = |given: &Given| now < given.before || following && now < given.until;
        now < self.quarantine || self.given.get(&node).is_some_and(stands)
    }

    /// `node` has started anew, as far as is known here, and its ballots are followed no more. But news may come late, and one
    /// of them be of the life it lives: so the epoch ends for all of them, and none is left while a promise that was given
    /// before stands. Not so if none was `followed` since it was last found to have started anew: then nothing was
    /// acknowledged under this epoch, and no lease rests on what was promised under it. (Otherwise a node that starts again
    /// and again, and is never up for long enough to lead, would keep everybody waiting for it for ever.)
    pub fn restarted(&mut self, now: Mono, node: NodeId, followed: bool) {
        let given = self.given(now, node);
        given.epoch = Epoch(given.epoch.0 + 1);
        if followed {
            given.before = given.until;
        }
    }

    fn given(&mut self, now: Mono, node: NodeId) -> &mut Given {
        let epoch = self.first;
        self.given.entry(node).or_insert(Given { epoch, until: now, before: now })
    }

    /// A ballot of `node`, followed and not protected, is left: its epoch ends.
    pub fn end(&mut self, now: Mono, node: NodeId) {
        let given = self.given(now, node);
        assert!(given.until <= now, "a promise to {node} stands until {:?}, now is {now:?}", given.until);
        given.epoch = Epoch(given.epoch.0 + 1);
    }

    /// `node` promises this node support for `length` under `epoch`, in its answer to a probe sent at `sent`. Says whether the
    /// epoch is another than before.
    pub fn got(&mut self, node: NodeId, (epoch, length): (Epoch, u64), sent: Mono) -> bool {
        let until = sent.plus(self.drift_ppm.map_or(0, |drift_ppm| usable(length, drift_ppm)));
        let before = self.got.get(&node).copied();
        self.got.insert(node, before.map_or((epoch, until), |before| before.max((epoch, until))));
        before.is_none_or(|(before, _)| epoch > before)
    }

    /// The epoch of the last promise of `node`, and until when it can be relied on.
    pub fn held(&self, node: NodeId) -> Option<(Epoch, Mono)> {
        self.got.get(&node).copied()
    }

    /// `node` speaks with another disk than before, and counts its epochs anew.
    pub fn forget(&mut self, node: NodeId) {
        self.got.remove(&node);
    }

    /// Whether a promise of an earlier life may still stand.
    pub fn in_quarantine(&self, now: Mono) -> bool {
        now < self.quarantine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N2: NodeId = NodeId(2);

    fn support() -> Support {
        Support::new(3, 1_000, 10_000, Mono(0))
    }

    #[test]
    fn a_promise_protects_while_it_lasts_and_only_what_is_followed() {
        let mut support = support();
        support.give(Mono(10), N2);
        assert!(support.protects(Mono(1_009), N2, true));
        assert!(!support.protects(Mono(1_010), N2, true));
        assert!(!support.protects(Mono(11), N2, false));
        assert!(!support.protects(Mono(11), NodeId(3), true));
    }

    #[test]
    fn an_ended_epoch_never_comes_back_not_even_after_a_restart() {
        let mut support = support();
        let (first, _) = support.give(Mono(10), N2);
        support.end(Mono(1_010), N2);
        let (second, _) = support.give(Mono(1_011), N2);
        assert!(second > first);
        assert_eq!(support.epoch(N2), second);
        assert!(Support::new(4, 1_000, 0, Mono(0)).epoch(N2) > second);
    }

    #[test]
    fn a_restart_ends_the_epoch_and_what_was_promised_before_stands_for_what_is_followed_no_more() {
        let mut support = support();
        let (first, _) = support.give(Mono(10), N2);
        support.restarted(Mono(400), N2, true);
        let (second, _) = support.give(Mono(500), N2);
        assert!(second > first);
        assert!(support.protects(Mono(1_009), N2, false), "promised under the first epoch");
        assert!(!support.protects(Mono(1_010), N2, false));
        assert!(support.protects(Mono(1_499), N2, true));
        support.end(Mono(1_500), N2);
        assert!(support.epoch(N2) > second);
        // What was acknowledged before the first promise must not count under it either.
        let (n3, named) = (NodeId(3), support.epoch(NodeId(3)));
        support.restarted(Mono(0), n3, true);
        assert!(support.give(Mono(0), n3).0 > named && !support.protects(Mono(0), n3, false));
    }

    #[test]
    fn who_starts_again_and_again_is_not_waited_for_longer_than_was_promised_while_it_was_followed() {
        let mut support = support();
        let (mut last, _) = support.give(Mono(10), N2);
        support.restarted(Mono(400), N2, true);
        for life in 1..10 {
            let (epoch, _) = support.give(Mono(400 * life), N2);
            assert!(epoch > last, "what was acknowledged before counts under no later promise");
            last = epoch;
            support.restarted(Mono(400 * life + 50), N2, false);
        }
        assert!(support.protects(Mono(1_009), N2, false) && !support.protects(Mono(1_010), N2, false));
    }

    #[test]
    #[should_panic(expected = "a promise to n2 stands")]
    fn a_standing_promise_cannot_be_ended() {
        let mut support = support();
        support.give(Mono(10), N2);
        support.end(Mono(1_009), N2);
    }

    #[test]
    fn a_node_that_has_started_anew_leaves_nobody_before_its_old_promises_have_run_out() {
        let support = Support::new(2, 1_000, 0, Mono(5_000));
        assert!(support.protects(Mono(4_999), N2, false));
        assert!(!support.protects(Mono(5_000), N2, false));
    }

    #[test]
    fn support_is_relied_on_from_the_question_for_less_than_was_promised() {
        let mut support = support();
        assert!(support.got(N2, (Epoch(7), 1_000), Mono(100)));
        assert!(!support.got(N2, (Epoch(7), 1_000), Mono(400)));
        assert_eq!(support.held(N2), Some((Epoch(7), Mono(400 + 980))));
        // A late answer to an early question changes nothing, nor does an old epoch.
        support.got(N2, (Epoch(7), 1_000), Mono(200));
        support.got(N2, (Epoch(6), 1_000), Mono(900));
        assert_eq!(support.held(N2), Some((Epoch(7), Mono(400 + 980))));
        // It has come back with a shorter time than this node's own.
        assert!(support.got(N2, (Epoch(8), 100), Mono(500)));
        assert_eq!(support.held(N2), Some((Epoch(8), Mono(500 + 98))));
    }

    #[test]
    fn nothing_is_relied_on_where_clocks_are_not_trusted() {
        let mut support = support();
        support.rely_on_none();
        support.got(N2, (Epoch(7), 1_000), Mono(100));
        assert_eq!(support.held(N2), Some((Epoch(7), Mono(100))));
    }

    #[test]
    fn a_node_with_another_disk_counts_for_leases_again_though_it_counts_its_epochs_anew() {
        let mut support = support();
        support.got(N2, (Epoch(5 << 32), 1_000), Mono(100));
        support.forget(N2);
        assert_eq!(support.held(N2), None);
        assert!(support.got(N2, (Epoch(1 << 32), 1_000), Mono(200)));
        assert_eq!(support.held(N2), Some((Epoch(1 << 32), Mono(200 + 980))));
    }

    #[test]
    fn two_clocks_that_drift_apart_by_the_margin_agree_that_the_user_stops_first() {
        let (length, ppm) = (1_000_000, 10_000);
        // The supporter's clock runs fast, so its promise ends early; the user's runs slow.
        let promised_for = length * 1_000_000 / (1_000_000 + ppm);
        let used_for = usable(length, ppm) * 1_000_000 / (1_000_000 - ppm);
        assert!(used_for <= promised_for, "{used_for} {promised_for}");
        assert!(used_for > promised_for - 10, "no more is given away than needed: {used_for} {promised_for}");
    }
}
