//! A stage for plays: proposers, acceptors and learners that do what a script tells them, and a transcript.
//!
//! A play is a text. Lines that begin with `>` are stage directions, `#` explains, all others are what must happen:
//!
//! ```text
//! > p1 prepare 1 Sid at a1 a2        p1 opens ballot 1 wishing for Sid; the prepare reaches a1, then a2
//! p1 -> a1 prepare 1
//! a1 -> p1 promise 1 (none)
//! ```
//!
//! | direction | meaning |
//! |---|---|
//! | `p1 prepare N VALUE at a1 ...` | phase 1 in round N, reaching these acceptors; answers come back at once |
//! | `p1 accept at a1 ...` | phase 2 with what p1 has proposed |
//! | `a1 repeat` | a1 tells all learners again what it accepted |
//! | `l1 ask l2` | l1 asks l2 what is chosen |
//! | `X crash`, `X restart` | X stops; X comes back with what was durable |
//! | `a1 crash-on-write` | a1 will stop at its next message, before the answer is durable |
//! | `a1 restart amnesiac` | a1 comes back with an empty disk (which must never happen) |
//!
//! Rounds in plays are unique, so a ballot is shown by its round alone.

use paxos::{
    Ballot, NodeId, QuorumSystem,
    synod::{Acceptor, AcceptorState, Answer, Learner, Message, Prepare, Proposal, Proposer},
};
use std::{collections::BTreeMap, fmt::Write};

type Value = String;

/// A role that may be down, with its disk.
struct Actor<Role, Disk> {
    role: Option<Role>,
    disk: Disk,
}

/// The stage.
pub struct Play {
    quorums: QuorumSystem,
    proposers: BTreeMap<u32, Actor<Proposer<Value>, Ballot>>,
    acceptors: BTreeMap<u32, Actor<Acceptor<Value>, AcceptorState<Value>>>,
    learners: BTreeMap<u32, Actor<Learner<Value>, ()>>,
    crash_on_write: Option<u32>,
    transcript: String,
}

/// Two proposers and one learner; more than half of `acceptors` are a quorum.
pub fn with_majority_of(acceptors: u32) -> Play {
    Play::new(QuorumSystem::majority((1..=acceptors).map(NodeId)).expect("majorities always meet"), 2, 1)
}

/// Three acceptors, one proposer, several learners.
pub fn with_learners(learners: u32) -> Play {
    Play::new(QuorumSystem::majority((1..=3).map(NodeId)).expect("majorities always meet"), 1, learners)
}

/// Weights 2, 1, 1, 1, of which 3 are a quorum.
pub fn with_weight_two_for_a1_of_four() -> Play {
    let weights = [(NodeId(1), 2), (NodeId(2), 1), (NodeId(3), 1), (NodeId(4), 1)];
    Play::new(QuorumSystem::weighted(weights, 3).expect("3 + 3 > 5"), 2, 1)
}

/// Any four promise, any two choose.
pub fn with_four_to_prepare_and_two_to_accept_of_five() -> Play {
    Play::new(QuorumSystem::flexible((1..=5).map(NodeId), 4, 2).expect("4 + 2 > 5"), 2, 1)
}

impl Play {
    /// Each voter of `quorums` is an acceptor.
    fn new(quorums: QuorumSystem, proposers: u32, learners: u32) -> Self {
        let proposer = |n| Proposer::new(NodeId(n), quorums.clone(), Ballot::ZERO);
        let acceptor = || Acceptor::new(AcceptorState::default());
        Self {
            proposers: (1..=proposers).map(|n| (n, Actor { role: Some(proposer(n)), disk: Ballot::ZERO })).collect(),
            acceptors: (quorums.voters().iter())
                .map(|node| (node.0, Actor { role: Some(acceptor()), disk: AcceptorState::default() }))
                .collect(),
            learners: (1..=learners)
                .map(|n| (n, Actor { role: Some(Learner::new(quorums.clone())), disk: () }))
                .collect(),
            quorums,
            crash_on_write: None,
            transcript: String::new(),
        }
    }

    /// Follows the directions of `script` and compares the transcript with the rest of it.
    #[track_caller]
    pub fn perform(mut self, script: &str) {
        let mut expected = String::new();
        for line in script.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let _ = writeln!(expected, "{line}");
        }
        for direction in expected.lines().filter_map(|line| line.strip_prefix('>')) {
            let _ = writeln!(self.transcript, ">{direction}");
            let words: Vec<&str> = direction.split_whitespace().collect();
            self.direct(&words);
        }
        assert!(
            self.transcript == expected,
            "the play went otherwise:\n\n{}\nexpected:\n\n{expected}",
            self.transcript
        );
    }

    fn direct(&mut self, words: &[&str]) {
        let (who, action) = words.split_first().expect("a direction names somebody");
        let (kind, number) = parse(who);
        match (kind, action) {
            ('p', ["prepare", round, wish, "at", acceptors @ ..]) => {
                let above = Ballot { round: round.parse::<u64>().expect("a round") - 1, node: NodeId(0) };
                let proposer = self.proposers.get_mut(&number).expect("on stage");
                let prepare: Prepare = proposer.role.as_mut().expect("it is up").prepare((*wish).to_owned(), above);
                proposer.disk = prepare.ballot;
                self.send(number, &prepare.message(), acceptors);
            }
            ('p', ["accept", "at", acceptors @ ..]) => {
                let proposer = self.proposers[&number].role.as_ref().expect("it is up");
                let proposal = proposer.proposed().expect("it has something to propose").clone();
                self.send(number, &Message::Accept(proposal), acceptors);
            }
            ('a', ["repeat"]) => {
                let acceptor = self.acceptors[&number].role.as_ref().expect("it is up");
                let answer = acceptor.repeat().expect("it has accepted something");
                self.tell_learners(number, &answer.message);
            }
            ('l', ["ask", other]) => {
                let known = self.learners[&parse(other).1].role.as_ref().and_then(|l| l.chosen().cloned());
                let shown = known.as_ref().map_or("nothing".to_owned(), |known| known.value.clone());
                let _ = writeln!(self.transcript, "{other} -> {who} chosen {shown}");
                if let Some(known) = known {
                    let learner = self.learners.get_mut(&number).and_then(|l| l.role.as_mut()).expect("it is up");
                    let news = learner.handle_chosen(known);
                    self.learned(number, news);
                }
            }
            ('a', ["crash-on-write"]) => self.crash_on_write = Some(number),
            (_, ["crash"]) => match kind {
                'p' => self.proposers.get_mut(&number).expect("on stage").role = None,
                'a' => self.acceptors.get_mut(&number).expect("on stage").role = None,
                _ => self.learners.get_mut(&number).expect("on stage").role = None,
            },
            ('p', ["restart"]) => {
                let actor = self.proposers.get_mut(&number).expect("on stage");
                actor.role = Some(Proposer::new(NodeId(number), self.quorums.clone(), actor.disk));
            }
            ('a', ["restart", lost @ ..]) => {
                let actor = self.acceptors.get_mut(&number).expect("on stage");
                if lost == ["amnesiac"] {
                    actor.disk = AcceptorState::default();
                }
                actor.role = Some(Acceptor::new(actor.disk.clone()));
            }
            ('l', ["restart"]) => {
                self.learners.get_mut(&number).expect("on stage").role = Some(Learner::new(self.quorums.clone()));
            }
            _ => panic!("nobody understands the direction: {}", words.join(" ")),
        }
    }

    /// Sends to each of `acceptors` in turn, and back.
    fn send(&mut self, proposer: u32, message: &Message<Value>, acceptors: &[&str]) {
        for name in acceptors {
            let number = parse(name).1;
            let sent = show(message);
            let actor = self.acceptors.get_mut(&number).expect("on stage");
            let Some(acceptor) = actor.role.as_mut() else {
                let _ = writeln!(self.transcript, "p{proposer} -> {name} {sent} (lost: {name} is down)");
                continue;
            };
            let _ = writeln!(self.transcript, "p{proposer} -> {name} {sent}");
            let Answer { state, message: answer } = match message.clone() {
                Message::Prepare { ballot } => acceptor.handle_prepare(ballot),
                Message::Accept(proposal) => acceptor.handle_accept(proposal),
                other => panic!("not for acceptors: {other:?}"),
            };
            if self.crash_on_write == Some(number) {
                self.crash_on_write = None;
                actor.role = None;
                let _ = writeln!(self.transcript, "{name} stops before its write is durable");
                continue;
            }
            actor.disk = state;
            self.answer(proposer, number, &answer);
        }
    }

    fn answer(&mut self, proposer: u32, acceptor: u32, answer: &Message<Value>) {
        if matches!(answer, Message::Accepted(_)) {
            return self.tell_learners(acceptor, answer);
        }
        let shown = show(answer);
        let Some(role) = self.proposers.get_mut(&proposer).and_then(|p| p.role.as_mut()) else { return };
        let _ = writeln!(self.transcript, "a{acceptor} -> p{proposer} {shown}");
        match answer.clone() {
            Message::Promise { ballot, accepted } => {
                if let Some(proposal) = role.handle_promise(NodeId(acceptor), ballot, accepted) {
                    let Proposal { ballot, value } = proposal;
                    let _ = writeln!(self.transcript, "p{proposer} may propose {value} in {}", ballot.round);
                }
            }
            Message::Refused { ballot, promised } => {
                if role.handle_refused(ballot, promised) {
                    let _ = writeln!(self.transcript, "p{proposer} gives up {}", ballot.round);
                }
            }
            other => panic!("not for proposers: {other:?}"),
        }
    }

    fn tell_learners(&mut self, acceptor: u32, accepted: &Message<Value>) {
        let Message::Accepted(proposal) = accepted else { panic!("not for learners: {accepted:?}") };
        let shown = show(accepted);
        let up: Vec<u32> = self.learners.iter().filter(|(_, l)| l.role.is_some()).map(|(&n, _)| n).collect();
        let names: Vec<String> = up.iter().map(|n| format!("l{n}")).collect();
        let heard = if names.is_empty() { "nobody".to_owned() } else { names.join(" ") };
        let _ = writeln!(self.transcript, "a{acceptor} -> {heard} {shown}");
        for number in up {
            let learner = self.learners.get_mut(&number).and_then(|l| l.role.as_mut()).expect("it is up");
            let news = learner.handle_accepted(NodeId(acceptor), proposal.clone());
            self.learned(number, news);
        }
    }

    fn learned(&mut self, learner: u32, news: Result<Option<Value>, paxos::synod::Disagreement<Value>>) {
        let _ = match news {
            Ok(None) => Ok(()),
            Ok(Some(value)) => writeln!(self.transcript, "l{learner} learns {value}"),
            Err(broken) => writeln!(
                self.transcript,
                "l{learner} finds agreement broken: {} in {}, {} in {}",
                broken.known.value, broken.known.ballot.round, broken.other.value, broken.other.ballot.round
            ),
        };
    }
}

fn parse(name: &str) -> (char, u32) {
    let mut letters = name.chars();
    let kind = letters.next().expect("a name");
    (kind, letters.as_str().parse().expect("a name such as p1, a2 or l1"))
}

fn show(message: &Message<Value>) -> String {
    match message {
        Message::Prepare { ballot } => format!("prepare {}", ballot.round),
        Message::Promise { ballot, accepted: None } => format!("promise {} (none)", ballot.round),
        Message::Promise { ballot, accepted: Some(p) } => {
            format!("promise {} ({}, {})", ballot.round, p.ballot.round, p.value)
        }
        Message::Accept(p) => format!("accept {} {}", p.ballot.round, p.value),
        Message::Accepted(p) => format!("accepted {} {}", p.ballot.round, p.value),
        Message::Refused { ballot, promised } => format!("refused {} (promised {})", ballot.round, promised.round),
    }
}
