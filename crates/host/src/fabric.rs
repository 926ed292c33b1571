//! Node liveness: one probe per pair of nodes and interval, whatever the number of shards.
//!
//! A node *hears* another while the other has answered a probe that was sent within the time-out: so both directions of the
//! link work. Each probe also says whom its sender hears; so everybody can tell whether a leader still reaches a quorum,
//! and whether a node that is silent here is heard by others. A node whose boot count changes has started anew and leads
//! nothing of what it led.
//!
//! Nothing in this module is needed for safety. What travels with the same probes is: [`crate::support`] and
//! [`crate::freshness`].

use crate::clock::{Mono, Now};
use paxos::{Incarnation, NodeId, QuorumSystem};
use std::collections::{BTreeMap, BTreeSet};
use wire::peer::Word;
use world::Millis;

/// A node is not asked out of turn more often than this, in microseconds.
const ASK_EVERY: u64 = 5_000;

/// What this node knows of another.
#[derive(Debug, Default)]
struct Peer {
    /// When the last probe was sent that it answered.
    heard: Option<Mono>,
    boot: Option<u64>,
    /// The last word it said, counted by itself.
    word: u64,
    hears: BTreeSet<NodeId>,
    /// Its wall clock, and when it said so.
    wall: Option<(Millis, Mono)>,
    /// From the last probe that it answered to its answer.
    round_trip: Option<u64>,
    /// When it was last asked.
    asked: Option<Mono>,
    /// Which life of its disk speaks.
    incarnation: Option<Incarnation>,
}

/// All pairs of which this node is one half.
#[derive(Debug)]
pub struct Fabric {
    me: NodeId,
    boot: u64,
    started: Mono,
    probe_every: u64,
    timeout: u64,
    peers: BTreeMap<NodeId, Peer>,
    seq: u64,
    words: u64,
    /// When the probes of the last time-out were sent; an answer to an older one shows nothing any more.
    sent: BTreeMap<u64, Mono>,
    next_probe: Mono,
    /// Whom this node heard when it last looked.
    hears: BTreeSet<NodeId>,
}

/// What a look at the fabric showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Who is heard, or whom somebody hears, is not what it was.
    pub view: bool,
    /// Nodes that have started anew.
    pub restarted: Vec<NodeId>,
    /// Nodes that are heard again.
    pub back: Vec<NodeId>,
}

impl Fabric {
    /// The fabric of node `me`, in its `boot`-th life. Times in microseconds. Its probes have numbers behind `first_probe`, which
    /// is drawn: no number is ever used twice, not even with another disk, on which starts count from one again. An answer to a
    /// probe of an earlier life must not pass for one to a probe of this.
    pub fn new(
        me: NodeId,
        boot: u64,
        peers: impl IntoIterator<Item = NodeId>,
        (probe_every, timeout): (u64, u64),
        first_probe: u64,
        now: Mono,
    ) -> Self {
        Self {
            me,
            boot,
            started: now,
            probe_every,
            timeout,
            peers: peers.into_iter().filter(|&node| node != me).map(|node| (node, Peer::default())).collect(),
            seq: first_probe,
            words: 0,
            sent: BTreeMap::new(),
            next_probe: now,
            hears: BTreeSet::new(),
        }
    }

    /// The number of the probe to send to every peer, if it is time.
    pub fn poll_probe(&mut self, now: Mono) -> Option<u64> {
        if now < self.next_probe {
            return None;
        }
        self.next_probe = now.plus(self.probe_every);
        for peer in self.peers.values_mut() {
            peer.asked = Some(now);
        }
        Some(self.number(now))
    }

    /// The number of a probe to send to `node` out of turn, unless it was asked a moment ago.
    pub fn ask(&mut self, now: Mono, node: NodeId) -> Option<u64> {
        let peer = self.peers.get_mut(&node)?;
        if peer.asked.is_some_and(|at| now.since(at) < ASK_EVERY) {
            return None;
        }
        peer.asked = Some(now);
        Some(self.number(now))
    }

    /// A peer asks: what the question itself showed.
    pub fn on_probe(&mut self, now: Mono, from: NodeId, word: &Word) -> Changes {
        self.learn(now, from, word)
    }

    /// A peer answers probe `seq`: when that was sent, unless that is forgotten or a late word of an earlier life.
    pub fn on_heard(&mut self, now: Mono, from: NodeId, seq: u64, word: &Word) -> (Option<Mono>, Changes) {
        let mut changes = self.learn(now, from, word);
        let sent = self.sent.get(&seq).copied();
        let peer = self.peers.get_mut(&from).filter(|peer| peer.boot == Some(word.boot));
        if let (Some(sent), Some(peer)) = (sent, peer) {
            peer.heard = peer.heard.max(Some(sent));
            peer.round_trip = Some(now.since(sent));
            changes.merge(self.look(now));
            return (Some(sent), changes);
        }
        (None, changes)
    }

    /// What this node says about itself with every probe and answer.
    pub fn word(&mut self, now: Now) -> Word {
        self.words += 1;
        Word { number: self.words, wall: now.wall, boot: self.boot, hears: self.hears.iter().copied().collect() }
    }

    /// Notices who has fallen silent, or has come back.
    pub fn look(&mut self, now: Mono) -> Changes {
        let hears: BTreeSet<NodeId> = self.peers.keys().copied().filter(|&node| self.hears(now, node)).collect();
        let back: Vec<NodeId> = hears.difference(&self.hears).copied().collect();
        let view = hears != self.hears;
        self.hears = hears;
        Changes { view, restarted: Vec::new(), back }
    }

    /// Whether `node` has answered of late. A node always hears itself.
    pub fn hears(&self, now: Mono, node: NodeId) -> bool {
        node == self.me || self.peers.get(&node).and_then(|p| p.heard).is_some_and(|at| now.since(at) <= self.timeout)
    }

    /// Whether `node` is to be counted out: silent for a whole time-out, counted from our own start if it never spoke.
    pub fn suspects(&self, now: Mono, node: NodeId) -> bool {
        let last = self.peers.get(&node).and_then(|peer| peer.heard).unwrap_or(self.started);
        node != self.me && now.since(last) > self.timeout
    }

    /// Whether `node`, as a leader, is heard here and hears a quorum of `quorum`.
    pub fn healthy(&self, now: Mono, node: NodeId, quorum: &QuorumSystem) -> bool {
        if node == self.me {
            return quorum.accept_quorum_where(|voter| self.hears(now, voter))
                && quorum.prepare_quorum_where(|voter| self.hears(now, voter));
        }
        self.hears(now, node)
            && self
                .peers
                .get(&node)
                .is_some_and(|peer| quorum.accept_quorum_where(|voter| voter == node || peer.hears.contains(&voter)))
    }

    /// What the clocks of this node and of those it hears say in the middle; the lower of two.
    pub fn median_wall(&self, now: Now) -> Millis {
        let heard = self.peers.iter().filter(|(node, _)| self.hears.contains(node));
        let walls = heard.filter_map(|(_, peer)| peer.wall.map(|(wall, at)| wall.plus(now.mono.since(at) / 1_000)));
        let mut walls: Vec<Millis> = walls.chain([now.wall]).collect();
        walls.sort_unstable();
        walls[(walls.len() - 1) / 2]
    }

    /// Which of its starts `node` spoke in last.
    pub fn boot(&self, node: NodeId) -> Option<u64> {
        self.peers.get(&node)?.boot
    }

    /// How long the last answered probe of `node` was under way, there and back, in microseconds.
    pub fn round_trip(&self, node: NodeId) -> Option<u64> {
        self.peers.get(&node)?.round_trip
    }

    /// Which life of `node`'s disk speaks at present, if it is heard.
    pub fn incarnation(&self, node: NodeId) -> Option<Incarnation> {
        self.peers.get(&node).filter(|_| self.hears.contains(&node))?.incarnation
    }

    /// `node` speaks as this life of its disk. With another disk it has started anew too, and counts its starts and words
    /// from the beginning.
    pub fn note_incarnation(&mut self, node: NodeId, incarnation: Incarnation) -> Changes {
        let Some(peer) = self.peers.get_mut(&node) else { return Changes::default() };
        let before = peer.incarnation.replace(incarnation);
        if before.is_none_or(|before| before == incarnation) {
            return Changes::default();
        }
        (peer.boot, peer.word) = (None, 0);
        peer.hears.clear();
        Changes { view: true, restarted: vec![node], back: Vec::new() }
    }

    /// The peers heard when it was last looked.
    pub fn heard(&self) -> &BTreeSet<NodeId> {
        &self.hears
    }

    /// When something here next depends on the clock.
    pub fn next_tick(&self) -> Mono {
        let silent = self.hears.iter().filter_map(|node| self.peers.get(node)?.heard).min();
        silent.map_or(self.next_probe, |at| self.next_probe.min(at.plus(self.timeout + 1)))
    }

    fn number(&mut self, now: Mono) -> u64 {
        self.seq += 1;
        self.sent.insert(self.seq, now);
        while self.sent.first_key_value().is_some_and(|(_, &sent)| now.since(sent) > self.timeout) {
            self.sent.pop_first();
        }
        self.seq
    }

    fn learn(&mut self, now: Mono, from: NodeId, word: &Word) -> Changes {
        let Some(peer) = self.peers.get_mut(&from) else { return Changes::default() };
        let restarted = peer.boot.is_some_and(|boot| boot < word.boot);
        if peer.boot.is_some_and(|boot| (boot, peer.word) > (word.boot, word.number)) {
            // A late word, perhaps from an earlier life.
            return Changes::default();
        }
        (peer.boot, peer.word) = (Some(word.boot), word.number);
        peer.wall = Some((word.wall, now));
        let hears: BTreeSet<NodeId> = word.hears.iter().copied().collect();
        let view = hears != peer.hears || restarted;
        peer.hears = hears;
        Changes { view, restarted: if restarted { vec![from] } else { Vec::new() }, back: Vec::new() }
    }
}

impl Changes {
    fn merge(&mut self, other: Self) {
        self.view |= other.view;
        self.restarted.extend(other.restarted);
        self.back.extend(other.back);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn fabric(me: u32, boot: u64) -> Fabric {
        Fabric::new(NodeId(me), boot, (1..=3).map(NodeId), (SECOND / 4, SECOND), boot * 1_000, Mono(0))
    }

    fn at(micros: u64, wall: u64) -> Now {
        Now { mono: Mono(micros), wall: Millis(wall) }
    }

    fn quorum() -> QuorumSystem {
        QuorumSystem::majority((1..=3).map(NodeId)).unwrap()
    }

    /// `one` asks, `two` answers.
    fn exchange(one: &mut Fabric, two: &mut Fabric, micros: u64) -> (Changes, Changes) {
        let (me, other) = (one.me, two.me);
        let seq = one.poll_probe(Mono(micros)).expect("it is time");
        let seen = two.on_probe(Mono(micros), me, &one.word(at(micros, 0)));
        let (sent, here) = one.on_heard(Mono(micros), other, seq, &two.word(at(micros, 0)));
        assert_eq!(sent, Some(Mono(micros)));
        (here, seen)
    }

    #[test]
    fn only_an_answer_proves_that_a_node_hears_another() {
        let (mut one, mut two) = (fabric(1, 1), fabric(2, 1));
        let (here, _) = exchange(&mut one, &mut two, 0);
        assert_eq!((here.view, here.back), (true, vec![NodeId(2)]));
        assert!(one.hears(Mono(SECOND), NodeId(2)));
        // n2 was asked, and has asked nobody: it hears nobody.
        assert!(!two.hears(Mono(0), NodeId(1)));
    }

    #[test]
    fn a_silent_node_is_noticed_after_the_time_out() {
        let (mut one, mut two) = (fabric(1, 1), fabric(2, 1));
        exchange(&mut one, &mut two, 0);
        assert!(!one.look(Mono(SECOND)).view);
        assert!(one.next_tick() <= Mono(SECOND + 1));
        assert!(one.look(Mono(SECOND + 1)).view);
        assert!(one.suspects(Mono(SECOND + 1), NodeId(2)));
    }

    #[test]
    fn a_leader_is_healthy_only_while_it_hears_a_quorum_itself() {
        let (mut one, mut two) = (fabric(1, 1), fabric(2, 1));
        exchange(&mut two, &mut one, 0);
        exchange(&mut one, &mut two, 0);
        assert!(one.healthy(Mono(0), NodeId(2), &quorum()), "n2 hears n1: two of three");
        assert!(!one.healthy(Mono(0), NodeId(3), &quorum()), "n3 never spoke");
        // n2 says now that it hears nobody.
        let lonely = Word { number: 99, wall: Millis(0), boot: 1, hears: vec![] };
        assert!(one.on_probe(Mono(1), NodeId(2), &lonely).view);
        assert!(!one.healthy(Mono(1), NodeId(2), &quorum()));
    }

    #[test]
    fn a_new_boot_is_a_restart_and_a_late_word_of_the_old_one_is_nothing() {
        let mut one = fabric(1, 1);
        let word = |boot, number| Word { number, wall: Millis(0), boot, hears: vec![NodeId(1)] };
        assert_eq!(one.on_probe(Mono(0), NodeId(2), &word(3, 50)).restarted, []);
        assert_eq!(one.on_probe(Mono(0), NodeId(2), &word(4, 1)).restarted, [NodeId(2)]);
        assert_eq!(one.on_probe(Mono(0), NodeId(2), &word(3, 51)), Changes::default());
        // Nor does a late answer of the old life count as an answer.
        let seq = one.poll_probe(Mono(0)).expect("it is time");
        assert_eq!(one.on_heard(Mono(1), NodeId(2), seq, &word(3, 52)).0, None);
        assert_eq!(one.on_heard(Mono(1), NodeId(2), seq, &word(4, 2)).0, Some(Mono(0)));
    }

    #[test]
    fn a_new_disk_is_a_restart_although_its_starts_count_from_one_again() {
        let mut one = fabric(1, 1);
        let word = |number| Word { number, wall: Millis(0), boot: 1, hears: vec![NodeId(1)] };
        assert_eq!(one.note_incarnation(NodeId(2), Incarnation(7)), Changes::default());
        assert!(one.on_probe(Mono(0), NodeId(2), &word(50)).view);
        assert_eq!(one.note_incarnation(NodeId(2), Incarnation(8)).restarted, [NodeId(2)]);
        assert!(one.on_probe(Mono(0), NodeId(2), &word(1)).view, "its first word is news");
        assert_eq!(one.note_incarnation(NodeId(2), Incarnation(8)), Changes::default());
    }

    #[test]
    fn an_answer_to_a_probe_of_an_earlier_life_is_none() {
        let (mut before, mut after, mut two) = (fabric(1, 1), fabric(1, 2), fabric(2, 1));
        let seq = before.poll_probe(Mono(0)).expect("it is time");
        after.poll_probe(Mono(0)).expect("it is time");
        assert_eq!(after.on_heard(Mono(1), NodeId(2), seq, &two.word(at(1, 0))).0, None);
    }

    #[test]
    fn a_node_is_asked_out_of_turn_only_now_and_then() {
        let mut one = fabric(1, 1);
        let first = one.ask(Mono(0), NodeId(2)).expect("nobody has asked it");
        assert_eq!(one.ask(Mono(ASK_EVERY - 1), NodeId(2)), None);
        assert_eq!(one.ask(Mono(ASK_EVERY), NodeId(2)), Some(first + 1));
        assert_eq!(one.ask(Mono(ASK_EVERY), NodeId(9)), None, "a stranger");
    }

    #[test]
    fn one_clock_that_jumps_does_not_move_the_median() {
        let (mut one, mut two, mut three) = (fabric(1, 1), fabric(2, 1), fabric(3, 1));
        let hour = 3_600_000;
        let seq = one.poll_probe(Mono(0)).expect("it is time");
        for other in [&mut two, &mut three] {
            one.on_heard(Mono(0), other.me, seq, &other.word(at(0, 5_000)));
        }
        assert_eq!(one.median_wall(at(0, 5_000 + hour)), Millis(5_000));
        // A second later the others' clocks have gone on too.
        assert_eq!(one.median_wall(at(SECOND, 5_000 + hour)), Millis(6_000));
    }

    #[test]
    fn a_node_is_heard_for_a_time_out_and_suspected_behind_it() {
        let (mut one, mut two) = (fabric(1, 1), fabric(2, 1));
        assert!(one.hears(Mono(0), NodeId(1)) && !one.suspects(Mono(u64::MAX), NodeId(1)), "nobody doubts himself");
        assert!(!one.suspects(Mono(SECOND), NodeId(2)), "it may still speak");
        assert!(one.suspects(Mono(SECOND + 1), NodeId(2)));
        exchange(&mut one, &mut two, 3 * SECOND);
        assert!(one.hears(Mono(4 * SECOND), NodeId(2)) && !one.suspects(Mono(4 * SECOND), NodeId(2)));
        assert!(!one.hears(Mono(4 * SECOND + 1), NodeId(2)) && one.suspects(Mono(4 * SECOND + 1), NodeId(2)));
        assert!(!one.hears(Mono(4 * SECOND), NodeId(9)), "a stranger");
    }

    #[test]
    fn it_wakes_for_the_next_probe_and_for_who_falls_silent_before_that() {
        let (mut one, mut two) = (fabric(1, 1), fabric(2, 1));
        assert_eq!(one.next_tick(), Mono(0));
        exchange(&mut one, &mut two, 10);
        assert_eq!((one.next_tick(), one.poll_probe(Mono(SECOND / 4 + 9))), (Mono(SECOND / 4 + 10), None));
        assert!(one.poll_probe(Mono(SECOND / 4 + 10)).is_some());
        // Probes leave late: n2 falls silent before the next.
        one.poll_probe(Mono(SECOND - 5)).unwrap();
        assert_eq!(one.next_tick(), Mono(10 + SECOND + 1));
    }

    #[test]
    fn an_answer_counts_from_its_question_for_a_time_out() {
        let (mut one, mut two) = (fabric(1, 1), fabric(2, 1));
        let first = one.poll_probe(Mono(0)).unwrap();
        let second = one.poll_probe(Mono(SECOND)).unwrap();
        assert_eq!((first, second), (1_001, 1_002));
        let (sent, changes) = one.on_heard(Mono(SECOND), NodeId(2), first, &two.word(at(0, 0)));
        assert_eq!((sent, changes.back, one.round_trip(NodeId(2))), (Some(Mono(0)), vec![NodeId(2)], Some(SECOND)));
        assert_eq!((one.boot(NodeId(2)), one.boot(NodeId(3)), one.heard().len()), (Some(1), None, 1));
        // An older answer does not make it silent.
        one.on_heard(Mono(SECOND), NodeId(2), second, &two.word(at(0, 0)));
        one.on_heard(Mono(SECOND), NodeId(2), first, &two.word(at(0, 0)));
        assert!(one.hears(Mono(2 * SECOND), NodeId(2)));
        one.poll_probe(Mono(SECOND + 1 + SECOND / 4)).unwrap();
        assert_eq!(one.on_heard(Mono(SECOND), NodeId(2), first, &two.word(at(0, 0))).0, None, "it is forgotten");
        assert!(one.on_heard(Mono(SECOND), NodeId(2), second, &two.word(at(0, 0))).0.is_some());
    }

    #[test]
    fn a_disk_is_known_while_its_node_is_heard() {
        let (mut one, mut two) = (fabric(1, 1), fabric(2, 1));
        one.note_incarnation(NodeId(2), Incarnation(7));
        assert_eq!(one.incarnation(NodeId(2)), None);
        exchange(&mut one, &mut two, 0);
        assert_eq!(one.incarnation(NodeId(2)), Some(Incarnation(7)));
        one.look(Mono(SECOND + 1));
        assert_eq!(one.incarnation(NodeId(2)), None);
    }

    #[test]
    fn a_word_is_news_if_it_is_later_and_says_something_else() {
        let mut one = fabric(1, 1);
        let word = |boot, number, hears: &[u32]| {
            let hears = hears.iter().copied().map(NodeId).collect();
            Word { number, wall: Millis(0), boot, hears }
        };
        assert!(one.on_probe(Mono(0), NodeId(2), &word(1, 5, &[3])).view);
        assert!(!one.on_probe(Mono(0), NodeId(2), &word(1, 6, &[3])).view, "nothing else");
        assert!(!one.on_probe(Mono(0), NodeId(2), &word(1, 5, &[])).view, "late");
        assert!(one.on_probe(Mono(0), NodeId(2), &word(1, 6, &[])).view, "the same again may be told otherwise");
        let restart = one.on_probe(Mono(0), NodeId(2), &word(2, 1, &[]));
        assert_eq!((restart.view, restart.restarted), (true, vec![NodeId(2)]));
        assert_eq!(one.on_probe(Mono(0), NodeId(9), &word(1, 1, &[3])), Changes::default(), "a stranger");
    }

    #[test]
    fn a_leader_needs_to_hear_who_can_elect_and_who_can_decide() {
        let (mut one, mut two) = (fabric(1, 1), fabric(2, 1));
        exchange(&mut two, &mut one, 0);
        exchange(&mut one, &mut two, 0);
        // n1 and n2 can decide, and could not elect; or the other way round.
        for (prepare, accept) in [(3, 1), (1, 3)] {
            let quorum = QuorumSystem::flexible((1..=3).map(NodeId), prepare, accept).unwrap();
            assert!(!one.healthy(Mono(0), NodeId(1), &quorum), "{prepare} elect and {accept} decide");
        }
        assert!(one.healthy(Mono(0), NodeId(1), &quorum()));
        assert!(!one.healthy(Mono(SECOND + 1), NodeId(2), &quorum()), "n2 hears a quorum, and is silent here");
    }

    #[test]
    fn the_middle_of_three_clocks_counts_and_the_lower_of_two() {
        let (mut one, mut two, mut three) = (fabric(1, 1), fabric(2, 1), fabric(3, 1));
        let seq = one.poll_probe(Mono(0)).expect("it is time");
        one.on_heard(Mono(0), NodeId(2), seq, &two.word(at(0, 7_000)));
        assert_eq!(one.median_wall(at(0, 5_000)), Millis(5_000));
        assert_eq!(one.median_wall(at(0, 9_000)), Millis(7_000));
        one.on_heard(Mono(0), NodeId(3), seq, &three.word(at(0, 6_000)));
        assert_eq!(one.median_wall(at(0, 5_000)), Millis(6_000));
    }

    #[test]
    fn words_are_counted() {
        let mut one = fabric(1, 4);
        let words = [one.word(at(0, 5)), one.word(at(1, 6))];
        assert_eq!(words.map(|word| (word.number, word.boot, word.wall)), [(1, 4, Millis(5)), (2, 4, Millis(6))]);
    }
}
