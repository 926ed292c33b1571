//! Duelling proposers (*Paxos Made Simple*, section 2.4): progress is not guaranteed, and back-off gives it.

use paxos::{
    Ballot, NodeId, QuorumSystem,
    synod::{Acceptor, AcceptorState, Learner, Message, Proposer},
};
use std::collections::BTreeMap;

/// When something arrives: at which tick, prepares before everything else (the duellists' bad luck), then in order.
type When = (u64, u8, u64);

enum Event {
    /// A proposer tries (again).
    Try(u32),
    ToAcceptor {
        acceptor: u32,
        proposer: u32,
        message: Message<u32>,
    },
    ToProposer {
        proposer: u32,
        acceptor: u32,
        message: Message<u32>,
    },
}

struct Duel {
    now: u64,
    count: u64,
    events: BTreeMap<When, Event>,
    prepared: u64,
}

impl Duel {
    fn after(&mut self, ticks: u64, event: Event) {
        let late = !matches!(event, Event::ToAcceptor { message: Message::Prepare { .. }, .. });
        self.count += 1;
        self.events.insert((self.now + ticks, u8::from(late), self.count), event);
    }

    fn broadcast(&mut self, proposer: u32, message: &Message<u32>) {
        for acceptor in 1..=3 {
            self.after(1, Event::ToAcceptor { acceptor, proposer, message: message.clone() });
        }
    }
}

/// Two proposers, three acceptors, every message takes one tick. p1 starts at 0, p2 when p1 is about to propose. After
/// its n-th refusal a proposer waits `wait(proposer, n)` ticks. Returns how many ballots it took, `None` if after `limit`
/// ballots nothing is chosen.
fn duel(limit: u64, mut wait: impl FnMut(u32, u32) -> u64) -> Option<u64> {
    let quorums = QuorumSystem::majority((1..=3).map(NodeId)).expect("valid");
    let mut proposers = [1, 2].map(|node| Proposer::new(NodeId(node), quorums.clone(), Ballot::ZERO));
    let mut refusals = [0; 2];
    let mut acceptors = [1, 2, 3].map(|_| Acceptor::new(AcceptorState::default()));
    let mut learner = Learner::new(quorums);
    let mut duel = Duel { now: 0, count: 0, events: BTreeMap::new(), prepared: 0 };
    duel.after(0, Event::Try(1));
    duel.after(2, Event::Try(2));
    while let Some(((now, _, _), event)) = duel.events.pop_first() {
        duel.now = now;
        match event {
            Event::Try(_) if duel.prepared == limit => return None,
            Event::Try(node) => {
                duel.prepared += 1;
                let message = proposers[node as usize - 1].prepare(node, Ballot::ZERO).message();
                duel.broadcast(node, &message);
            }
            Event::ToAcceptor { acceptor, proposer, message } => {
                let role = &mut acceptors[acceptor as usize - 1];
                let message = match message {
                    Message::Prepare { ballot } => role.handle_prepare(ballot).message,
                    Message::Accept(proposal) => role.handle_accept(proposal).message,
                    other => panic!("not for acceptors: {other:?}"),
                };
                if let Message::Accepted(proposal) = message {
                    let news = learner.handle_accepted(NodeId(acceptor), proposal).expect("agreement");
                    if news.is_some() {
                        return Some(duel.prepared);
                    }
                } else {
                    duel.after(1, Event::ToProposer { proposer, acceptor, message });
                }
            }
            Event::ToProposer { proposer, acceptor, message } => {
                let index = proposer as usize - 1;
                let role = &mut proposers[index];
                match message {
                    Message::Promise { ballot, accepted } => {
                        if let Some(proposal) = role.handle_promise(NodeId(acceptor), ballot, accepted) {
                            duel.broadcast(proposer, &Message::Accept(proposal));
                        }
                    }
                    Message::Refused { ballot, promised } => {
                        if role.handle_refused(ballot, promised) {
                            refusals[index] += 1;
                            duel.after(wait(proposer, refusals[index]), Event::Try(proposer));
                        }
                    }
                    other => panic!("not for proposers: {other:?}"),
                }
            }
        }
    }
    unreachable!("a proposer that is refused tries again, one that is not gets its value chosen")
}

#[test]
fn two_proposers_without_back_off_refuse_each_other_for_as_long_as_we_watch() {
    assert_eq!(duel(10_000, |_, _| 0), None);
}

#[test]
fn two_proposers_with_random_back_off_end_their_duel_soon_under_every_seed() {
    let mut worst = 0;
    for seed in 0..1_000u64 {
        let mut state = seed;
        // Up to 2^n ticks after the n-th refusal, from a small generator (splitmix64).
        let rounds = duel(100, |_, refusals| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = state;
            bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            (bits ^ bits >> 31) % (1 << refusals.min(6))
        });
        worst = worst.max(rounds.unwrap_or_else(|| panic!("seed {seed}: no end within 100 ballots")));
    }
    assert!(worst > 2, "some duel must have been one");
}
