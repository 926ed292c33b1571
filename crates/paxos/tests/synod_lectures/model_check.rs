//! Every interleaving of a small Synod: two proposers, three acceptors, four ballots, any loss, repetition and order.
//!
//! The network is the set of all messages ever sent, and a step delivers any of them once more: what is never delivered
//! was lost, what is delivered twice was repeated (as in Lamport's TLA+ specification of Paxos). Two reductions lose no
//! outcome: a proposer hears the promises of a quorum in one step (hearing one promise is visible to nobody), and refusals
//! are not sent (to be refused is to give up, and a proposer may give up at any time here). The number of ballots is
//! bounded, so the state space is finite; it is visited depth first, each state once (by 128-bit fingerprint).

use paxos::{
    Ballot, NodeId, QuorumSystem,
    synod::{Acceptor, AcceptorState, Message, Proposal, Proposer},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
};

/// What to break, to see that the check sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Broken {
    Nothing,
    /// Proposers insist on their own wish.
    OwnValue,
    /// Proposers take the value of the lowest ballot reported instead of the highest.
    LowestBallot,
    /// One acceptor, once, comes back with an empty disk.
    Amnesia,
    /// Acceptors take what they have promised not to.
    Promise,
}

/// Proposers' wishes: 1 and 2.
type Value = u8;

/// A message and, if it is an answer, the acceptor it comes from. (A proposer's is for all acceptors.)
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Envelope {
    from: Option<u32>,
    message: Message<Value>,
}

/// Numbers every message that can be, so that a set of messages is a word.
#[derive(Default)]
struct Messages {
    numbers: BTreeMap<Envelope, u32>,
    all: Vec<Envelope>,
}

impl Messages {
    fn bit(&mut self, envelope: Envelope) -> u128 {
        let next = u32::try_from(self.all.len()).expect("few messages");
        let number = *self.numbers.entry(envelope.clone()).or_insert(next);
        if number == next {
            assert!(number < u128::BITS, "more kinds of messages than bits");
            self.all.push(envelope);
        }
        1 << number
    }

    fn of(&self, set: u128) -> impl Iterator<Item = &Envelope> {
        self.all.iter().enumerate().filter(move |(number, _)| set >> number & 1 == 1).map(|(_, envelope)| envelope)
    }
}

#[derive(Clone)]
struct State {
    proposers: [Rc<Proposer<Value>>; 2],
    /// How many rounds have been opened, or skipped.
    rounds: usize,
    acceptors: [Acceptor<Value>; 3],
    may_forget: bool,
    sent: u128,
}

impl State {
    fn fingerprint(&self) -> u128 {
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            (salt, self.rounds, self.may_forget, self.sent, &self.acceptors).hash(&mut hasher);
            self.proposers.each_ref().map(|p| (p.ballot(), p.proposed())).hash(&mut hasher);
            hasher.finish()
        };
        u128::from(half(1)) << 64 | u128::from(half(2))
    }
}

struct Check {
    quorums: QuorumSystem,
    /// Whose round 1, 2, ... is.
    owners: &'static [u32],
    broken: Broken,
    messages: Messages,
    stack: Vec<State>,
    seen: BTreeSet<u128>,
}

#[derive(Debug)]
struct Report {
    states: usize,
    /// How many of them had a value chosen.
    decided: usize,
    /// Everything sent on the way to two chosen values.
    violation: Option<Vec<Envelope>>,
}

impl Check {
    fn run(owners: &'static [u32], broken: Broken) -> Report {
        let quorums = QuorumSystem::majority((1..=3).map(NodeId)).expect("valid");
        let first = State {
            proposers: [1, 2].map(|node| Rc::new(Proposer::new(NodeId(node), quorums.clone(), Ballot::ZERO))),
            rounds: 0,
            acceptors: [1, 2, 3].map(|_| Acceptor::new(AcceptorState::default())),
            may_forget: broken == Broken::Amnesia,
            sent: 0,
        };
        let (messages, stack, seen) = (Messages::default(), vec![], BTreeSet::new());
        let mut check = Self { quorums, owners, broken, messages, stack, seen };
        check.visit(first);
        let mut report = Report { states: 0, decided: 0, violation: None };
        while let Some(state) = check.stack.pop() {
            report.states += 1;
            let chosen = check.chosen(&state);
            report.decided += usize::from(!chosen.is_empty());
            if chosen.len() > 1 {
                report.violation = Some(check.messages.of(state.sent).cloned().collect());
                return report;
            }
            check.successors(&state);
        }
        report
    }

    /// Visits `state` later, unless it was seen. Messages that nobody would heed any more are taken out first, so that
    /// states that differ only by them are one.
    fn visit(&mut self, mut state: State) {
        let floor = state.acceptors.iter().map(|acceptor| acceptor.state().promised).min().expect("three acceptors");
        let promises_count = !state.may_forget && self.broken != Broken::Promise;
        for (number, envelope) in self.messages.all.iter().enumerate() {
            let stale = match &envelope.message {
                Message::Promise { ballot, .. } => {
                    let proposer = &state.proposers[ballot.node.0 as usize - 1];
                    proposer.ballot() != Some(*ballot) || proposer.proposed().is_some()
                }
                Message::Prepare { ballot } | Message::Accept(Proposal { ballot, .. }) => {
                    promises_count && *ballot < floor
                }
                Message::Accepted(_) | Message::Refused { .. } => false,
            };
            if stale {
                state.sent &= !(1 << number);
            }
        }
        if self.seen.insert(state.fingerprint()) {
            self.stack.push(state);
        }
    }

    /// Every value that some accept quorum has accepted under one ballot.
    fn chosen(&self, state: &State) -> BTreeSet<Value> {
        let mut votes: BTreeMap<&Proposal<Value>, BTreeSet<NodeId>> = BTreeMap::new();
        for envelope in self.messages.of(state.sent) {
            if let (Some(from), Message::Accepted(proposal)) = (envelope.from, &envelope.message) {
                votes.entry(proposal).or_default().insert(NodeId(from));
            }
        }
        votes.into_iter().filter(|(_, voters)| self.quorums.is_accept_quorum(voters)).map(|(p, _)| p.value).collect()
    }

    fn successors(&mut self, state: &State) {
        if let Some(&owner) = self.owners.get(state.rounds) {
            let mut skipped = state.clone();
            skipped.rounds += 1;
            let mut next = skipped.clone();
            let above = Ballot { round: state.rounds as u64, node: NodeId(0) };
            let proposer = Rc::make_mut(&mut next.proposers[owner as usize - 1]);
            let message = proposer.prepare(u8::try_from(owner).expect("1 or 2"), above).message();
            next.sent |= self.messages.bit(Envelope { from: None, message });
            self.visit(next);
            self.visit(skipped);
        }
        for index in 0..3 {
            if state.may_forget {
                let mut next = state.clone();
                next.may_forget = false;
                next.acceptors[index] = Acceptor::new(AcceptorState::default());
                self.visit(next);
            }
        }
        let sent: Vec<Envelope> = self.messages.of(state.sent).cloned().collect();
        for envelope in sent.iter().filter(|envelope| envelope.from.is_none()) {
            (1..=3).for_each(|acceptor| self.deliver(state, &envelope.message, acceptor));
        }
        let promises = || sent.iter().filter(|envelope| matches!(envelope.message, Message::Promise { .. }));
        for first in promises() {
            promises().filter(|&second| second.from > first.from).for_each(|second| self.hear(state, [first, second]));
        }
    }

    /// An acceptor gets a proposer's message.
    fn deliver(&mut self, state: &State, message: &Message<Value>, number: u32) {
        let mut next = state.clone();
        let acceptor = &mut next.acceptors[number as usize - 1];
        let message = match message {
            Message::Prepare { ballot } => acceptor.handle_prepare(*ballot).message,
            Message::Accept(proposal) if self.broken == Broken::Promise => {
                *acceptor =
                    Acceptor::new(AcceptorState { promised: proposal.ballot, accepted: Some(proposal.clone()) });
                Message::Accepted(proposal.clone())
            }
            Message::Accept(proposal) => acceptor.handle_accept(proposal.clone()).message,
            other => panic!("not for acceptors: {other:?}"),
        };
        if !matches!(message, Message::Refused { .. }) {
            next.sent |= self.messages.bit(Envelope { from: Some(number), message });
            self.visit(next);
        }
    }

    /// A proposer gets two promises. (Two of three are a quorum, and a third would not be heard.)
    fn hear(&mut self, state: &State, promises: [&Envelope; 2]) {
        let [first, second] = promises.map(|envelope| match (envelope.from, &envelope.message) {
            (Some(from), Message::Promise { ballot, accepted }) => (NodeId(from), *ballot, accepted.clone()),
            _ => panic!("no promise: {envelope:?}"),
        });
        if first.1 != second.1 {
            return;
        }
        let owner = first.1.node.0;
        let mut next = state.clone();
        let proposer = Rc::make_mut(&mut next.proposers[owner as usize - 1]);
        assert!(proposer.handle_promise(first.0, first.1, first.2.clone()).is_none(), "one is no quorum");
        let Some(mut proposal) = proposer.handle_promise(second.0, second.1, second.2.clone()) else { return };
        match self.broken {
            Broken::OwnValue => proposal.value = u8::try_from(owner).expect("1 or 2"),
            Broken::LowestBallot => {
                let lowest = first.2.into_iter().chain(second.2).min_by_key(|accepted| accepted.ballot);
                proposal.value = lowest.map_or(proposal.value, |accepted| accepted.value);
            }
            Broken::Nothing | Broken::Amnesia | Broken::Promise => {}
        }
        next.sent |= self.messages.bit(Envelope { from: None, message: Message::Accept(proposal) });
        self.visit(next);
    }
}

#[test]
fn two_proposers_three_acceptors_four_ballots_agree_in_every_interleaving() {
    let report = Check::run(&[1, 2, 1, 2], Broken::Nothing);
    assert!(report.violation.is_none(), "{report:#?}");
    println!("{} states, {} decided", report.states, report.decided);
    assert!(report.states > 50_000 && report.decided > 10_000, "the check has hardly looked: {report:?}");
}

#[test]
fn the_check_finds_the_disagreement_when_a_rule_is_broken() {
    let two: &[u32] = &[1, 2];
    let three: &[u32] = &[1, 2, 1];
    for (owners, broken) in
        [(two, Broken::OwnValue), (three, Broken::LowestBallot), (two, Broken::Amnesia), (two, Broken::Promise)]
    {
        let report = Check::run(owners, broken);
        println!("{broken:?}: found after {} states", report.states);
        assert!(report.violation.is_some(), "{broken:?} must let two values be chosen");
    }
}
