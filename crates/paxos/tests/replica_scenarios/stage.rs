//! A stage for plays: nodes n1, n2, ... that do what a script tells them, a network stepped by hand, and a transcript.
//!
//! A play is a text. Lines that begin with `>` are stage directions, `#` explains, all others are what must happen:
//!
//! ```text
//! > n1 campaign                      n1 asks around; its messages are now in flight
//! > deliver n1 -> n2                 those to n2 arrive; n2's answers are in flight
//! n1 -> n2 canvass 1.n1
//! ```
//!
//! | direction | meaning |
//! |---|---|
//! | `n1 campaign`, `retry`, `flush`, `resign`, `checkpoint` | what an embedder would call (`flush` tells the watermark) |
//! | `n1 propose A B` | proposes these, one batch each |
//! | `n1 read` | begins a linearizable read and asks for its confirmation |
//! | `n1 forget n2` | n1 has noticed that n2 started anew |
//! | `n1 stop n1 n2 + n3` | proposes the next configuration: voters, and standbys behind the `+` |
//! | `n1 trim` | its log forgets everything that its checkpoint holds |
//! | `n3 installs` | the snapshot that it wanted is in place |
//! | `n1 transfer n2` | n1 hands its office over to n2 |
//! | `n2 protects`, `n2 lets go` | n2 has promised the leader it follows to join nobody else; no more |
//! | `n2 hears the release of 1.n1` | n1 has told that it leads no more under this ballot |
//! | `n1 healthy`, `n1 unhealthy` | whether others hear n1 and see that it hears a quorum (at first nobody is) |
//! | `n1 stall`, `n1 sync` | its disk stops; everything written becomes durable (else at once) |
//! | `n1 crash`, `n1 restart`, `n1 wipe` | stops, comes back, loses its whole disk (which must never happen) |
//! | `n1 elected by n2 n3` | campaigns, and phase 1 reaches only these; phase 2 is in flight |
//! | `n1 takes office` | campaigns, with everything delivered, all unseen |
//! | `deliver`, `lose`, `repeat`, `delay`, `reverse` `[n1 -> n2] [KIND]` | what is in flight on this way (`*`: any) arrives, is lost, arrives but may arrive again, is held up, turns its order |
//! | `deliver` alone | everything, and the answers, until nothing is in flight |
//! | `release` | what was held up is in flight again |
//! | `cut n3`, `cut n1 n2`, `mend` | all that is sent to and from n3, or between the two, is lost; no more |
//! | `quietly ...` | the same without showing messages |
//!
//! The stage sees all disks: a line that begins with `!` says that it found agreement broken.

use crate::{
    ledger::Ledger,
    machine::{Event, Loss, Machine},
    show,
};
use bytes::Bytes;
use paxos::{Ballot, Configuration, Liveness, Message, NodeId, QuorumSystem, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

struct Letter {
    from: NodeId,
    to: NodeId,
    /// The sender's.
    configuration: u64,
    message: Message,
}

/// Which of the messages in flight are meant.
struct Way<'a> {
    from: Option<NodeId>,
    to: Option<NodeId>,
    kind: Option<&'a str>,
}

/// What one node knows of the others, and has promised.
struct Seen<'a> {
    healthy: &'a BTreeSet<NodeId>,
    protects: bool,
}

impl Liveness for Seen<'_> {
    fn healthy(&self, node: NodeId, _: &QuorumSystem) -> bool {
        self.healthy.contains(&node)
    }

    fn protects(&self, _: Ballot, following: bool) -> bool {
        self.protects && following
    }

    fn leave(&mut self, _: Ballot) {
        assert!(!self.protects, "who protects its leader does not leave it");
    }
}

/// The stage.
pub struct Stage {
    machines: BTreeMap<NodeId, Machine>,
    leading: BTreeSet<NodeId>,
    healthy: BTreeSet<NodeId>,
    protecting: BTreeSet<NodeId>,
    stalled: BTreeSet<NodeId>,
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Who wants a snapshot of whom.
    snapshots: BTreeMap<NodeId, NodeId>,
    flying: Vec<Letter>,
    late: Vec<Letter>,
    ledger: Ledger,
    quiet: bool,
    transcript: String,
}

/// More than half of `nodes` are a quorum.
pub fn majority_of(nodes: u32) -> Stage {
    Stage::new(&QuorumSystem::majority((1..=nodes).map(NodeId)).expect("majorities always meet"))
}

/// Three of five nodes vote at first.
pub fn three_of_five() -> Stage {
    let quorum = QuorumSystem::majority((1..=3).map(NodeId)).expect("majorities always meet");
    let mut stage = Stage::new(&quorum);
    stage.machines.extend((4..=5).map(|node| (NodeId(node), Machine::new(NodeId(node), quorum.clone()))));
    stage
}

/// Weights 2, 1, 1, 1, of which 3 are a quorum.
pub fn weight_two_for_n1_of_four() -> Stage {
    let weights = [(NodeId(1), 2), (NodeId(2), 1), (NodeId(3), 1), (NodeId(4), 1)];
    Stage::new(&QuorumSystem::weighted(weights, 3).expect("3 + 3 > 5"))
}

/// Any four promise, any two choose.
pub fn four_to_prepare_and_two_to_accept_of_five() -> Stage {
    Stage::new(&QuorumSystem::flexible((1..=5).map(NodeId), 4, 2).expect("4 + 2 > 5"))
}

impl Stage {
    fn new(quorum: &QuorumSystem) -> Self {
        Self {
            machines: quorum.voters().iter().map(|&node| (node, Machine::new(node, quorum.clone()))).collect(),
            leading: BTreeSet::new(),
            healthy: BTreeSet::new(),
            protecting: BTreeSet::new(),
            stalled: BTreeSet::new(),
            cut: BTreeSet::new(),
            snapshots: BTreeMap::new(),
            flying: Vec::new(),
            late: Vec::new(),
            ledger: Ledger::new(quorum.clone()),
            quiet: false,
            transcript: String::new(),
        }
    }

    /// Follows the directions of `script` and compares what happens with the rest of it. Built with `REWRITE_PLAYS`
    /// set in the environment, it writes what happens into the play at `path` instead, for a human to read.
    #[track_caller]
    pub fn perform(mut self, script: &str, path: &str) {
        let mut told = String::new();
        for line in script.lines() {
            let is_direction = line.starts_with('>');
            if is_direction || line.is_empty() || line.starts_with('#') {
                let _ = writeln!(told, "{line}");
            }
            if let Some(direction) = line.strip_prefix('>') {
                self.transcript.clear();
                let words: Vec<&str> = direction.split_whitespace().collect();
                self.direct(&words);
                told.push_str(&self.transcript);
            }
        }
        if option_env!("REWRITE_PLAYS").is_some() {
            std::fs::write(path, told).expect("the play can be written");
            return;
        }
        let lines = |text: &str| text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        assert!(lines(&told) == lines(script), "the play went otherwise:\n\n{told}\nexpected:\n\n{script}");
    }

    fn direct(&mut self, words: &[&str]) {
        match words {
            ["quietly", rest @ ..] => {
                self.quiet = true;
                self.direct(rest);
                self.quiet = false;
            }
            ["deliver"] => self.deliver_everything(),
            ["deliver", way @ ..] => {
                let (chosen, rest) = self.split(&parse_way(way));
                self.flying = rest;
                for letter in chosen {
                    self.arrive(letter);
                }
            }
            ["repeat", way @ ..] => {
                let (chosen, rest) = self.split(&parse_way(way));
                self.flying = rest;
                for Letter { from, to, configuration, message } in chosen {
                    self.flying.push(Letter { from, to, configuration, message: message.clone() });
                    self.arrive(Letter { from, to, configuration, message });
                }
            }
            ["lose", way @ ..] => {
                let (chosen, rest) = self.split(&parse_way(way));
                self.flying = rest;
                assert!(!chosen.is_empty(), "nothing to lose: {}", words.join(" "));
                for Letter { from, to, message, .. } in chosen {
                    self.tell_message(&format!("{from} -> {to} {} (lost)", show::message(&message)));
                }
            }
            ["delay", way @ ..] => {
                let (chosen, rest) = self.split(&parse_way(way));
                self.flying = rest;
                assert!(!chosen.is_empty(), "nothing to delay: {}", words.join(" "));
                self.late.extend(chosen);
            }
            ["reverse", way @ ..] => {
                let (mut chosen, rest) = self.split(&parse_way(way));
                self.flying = rest;
                chosen.reverse();
                self.flying.extend(chosen);
            }
            ["release"] => self.flying.append(&mut self.late),
            ["mend"] => self.cut.clear(),
            ["cut", one] => {
                let (one, all) = (parse(one), self.machines.keys().copied().collect::<Vec<_>>());
                self.cut.extend(all.iter().flat_map(|&other| [(one, other), (other, one)]));
            }
            ["cut", one, other] => self.cut.extend([(parse(one), parse(other)), (parse(other), parse(one))]),
            [node, action @ ..] => self.act(parse(node), action),
            [] => panic!("an empty direction"),
        }
    }

    fn act(&mut self, node: NodeId, action: &[&str]) {
        let known = self.ledger.shown();
        let machine = self.machines.get_mut(&node).expect("on stage");
        match action {
            ["protects"] => drop(self.protecting.insert(node)),
            ["lets", "go"] => drop(self.protecting.remove(&node)),
            ["healthy"] => drop(self.healthy.insert(node)),
            ["unhealthy"] => drop(self.healthy.remove(&node)),
            ["stall"] => drop(self.stalled.insert(node)),
            ["sync"] => drop(self.stalled.remove(&node)),
            ["crash"] => {
                let lost: Vec<String> = machine.unsynced().map(show::record).collect();
                machine.crash(Loss::Unsynced { kept: 0 });
                self.leading.remove(&node);
                self.stalled.remove(&node);
                for record in lost {
                    self.tell(&format!("{node} loses {record}"));
                }
            }
            ["wipe"] => {
                machine.crash(Loss::Everything);
                self.leading.remove(&node);
            }
            ["restart"] => machine.restart(),
            ["trim"] => machine.trim(),
            ["installs"] => {
                let from = self.snapshots.remove(&node).expect("it wants a snapshot");
                let snapshot = self.machines[&from].snapshot();
                self.machines.get_mut(&node).expect("on stage").install(from, snapshot);
            }
            ["checkpoint"] => machine.take_checkpoint(),
            ["read"] => {
                let line = match machine.read(known) {
                    Some(ticket) => format!("{node} reads in round {}, at {} or later", ticket.round, ticket.index),
                    None => format!("{node} does not lead"),
                };
                self.tell(&line);
            }
            ["elected", "by", voters @ ..] => {
                self.act(node, &["campaign"]);
                for kind in ["canvass", "canvassed", "prepare", "promise"] {
                    let quiet = self.quiet;
                    self.quiet |= kind.starts_with("canvass");
                    let (letters, rest) = self.split(&Way { from: None, to: None, kind: Some(kind) });
                    self.flying = rest;
                    let ours = |letter: &Letter| {
                        voters.iter().any(|voter| letter.to == parse(voter) || letter.from == parse(voter))
                            && (letter.from == node || letter.to == node)
                    };
                    letters.into_iter().filter(ours).for_each(|letter| self.arrive(letter));
                    self.quiet = quiet;
                }
                return;
            }
            ["takes", "office"] => {
                self.quiet = true;
                self.act(node, &["campaign"]);
                self.deliver_everything();
                self.act(node, &["flush"]);
                self.deliver_everything();
                self.quiet = false;
                return;
            }
            _ => {
                let replica = machine.replica_mut().expect("it is up");
                match action {
                    ["campaign"] => {
                        replica
                            .campaign(&mut Seen { healthy: &self.healthy, protects: self.protecting.contains(&node) });
                    }
                    ["transfer", to] => {
                        let result = replica.transfer(parse(to));
                        if let Err(error) = result {
                            self.tell(&format!("{node} does not hand over to {to}: {error}"));
                        }
                    }
                    ["stop", members @ ..] => {
                        let mut parts = members.split(|word| *word == "+");
                        let voters = parts.next().unwrap_or_default().iter().map(|name| parse(name));
                        let standbys = parts.next().unwrap_or_default().iter().map(|name| parse(name)).collect();
                        let quorum = QuorumSystem::majority(voters).expect("majorities always meet");
                        let next = Configuration { standbys, ..Configuration::first(quorum) };
                        let result = replica.propose_stop(next);
                        if let Err(error) = result {
                            self.tell(&format!("{node} does not stop: {error}"));
                        }
                    }
                    ["hears", "the", "release", "of", ballot] => replica.handle_release(parse_ballot(ballot)),
                    ["retry"] => replica.handle_retry(&|_| true),
                    ["flush"] => replica.flush_watermark(&|_| true),
                    ["resign"] => drop(replica.resign().expect("it leads")),
                    ["forget", other] => _ = replica.forget_leader(parse(other)),
                    ["propose", values @ ..] => {
                        for value in values {
                            let value = Value::Command(Bytes::copy_from_slice(value.as_bytes()));
                            if replica.propose(value).is_err() {
                                let _ = writeln!(self.transcript, "{node} cannot propose anything now");
                                break;
                            }
                        }
                    }
                    _ => panic!("nobody understands the direction: {node} {}", action.join(" ")),
                }
            }
        }
        self.settle(node);
    }

    fn deliver_everything(&mut self) {
        for _ in 0..1_000 {
            if self.flying.is_empty() {
                return;
            }
            let letter = self.flying.remove(0);
            self.arrive(letter);
        }
        panic!("they never stop talking");
    }

    fn split(&mut self, way: &Way<'_>) -> (Vec<Letter>, Vec<Letter>) {
        std::mem::take(&mut self.flying).into_iter().partition(|letter| {
            way.from.is_none_or(|from| from == letter.from)
                && way.to.is_none_or(|to| to == letter.to)
                && way.kind.is_none_or(|kind| show::message(&letter.message).split(' ').next() == Some(kind))
        })
    }

    fn arrive(&mut self, Letter { from, to, configuration, message }: Letter) {
        let shown = show::message(&message);
        let Some(replica) = self.machines.get_mut(&to).and_then(Machine::replica_mut) else {
            return self.tell_message(&format!("{from} -> {to} {shown} (lost: {to} is down)"));
        };
        let mut seen = Seen { healthy: &self.healthy, protects: self.protecting.contains(&to) };
        replica.handle_message(from, configuration, message, &mut seen);

        self.tell_message(&format!("{from} -> {to} {shown}"));
        self.settle(to);
    }

    /// Lets `node` do what its last step led to, disk included unless it stalls.
    fn settle(&mut self, node: NodeId) {
        let events = self.machines.get_mut(&node).expect("on stage").settle();
        self.happened(node, events);
        while !self.stalled.contains(&node) && self.machines[&node].is_writing() {
            let (records, events) = self.machines.get_mut(&node).expect("on stage").sync(usize::MAX);
            for record in &records {
                let result = self.ledger.durable(node, record);
                self.judge(result);
            }
            self.happened(node, events);
        }
        let Some(replica) = self.machines[&node].replica() else { return };
        let (leads, promised, chosen) = (replica.is_leader(), replica.promised(), replica.chosen());
        let result = self.ledger.says_chosen(node, chosen);
        self.judge(result);
        if leads && self.leading.insert(node) {
            self.tell(&format!("{node} leads {promised}"));
        } else if !leads && self.leading.remove(&node) {
            self.tell(&format!("{node} leads no more"));
        }
    }

    fn happened(&mut self, node: NodeId, events: Vec<Event>) {
        for event in events {
            match event {
                Event::WantSnapshot { from } => {
                    self.tell(&format!("{node} wants a snapshot of {from}'s"));
                    self.snapshots.insert(node, from);
                }
                Event::Sent { to, configuration, message } => {
                    let result = self.ledger.sent(&message);
                    self.judge(result);
                    if !self.cut.contains(&(node, to)) {
                        self.flying.push(Letter { from: node, to, configuration, message });
                    }
                }
                Event::Applied { slot, value } => {
                    self.tell(&format!("{node} applies {slot}={}", show::value(&value)));
                    let result = self.ledger.applied(node, slot, &value);
                    self.judge(result);
                }
                Event::Answered { ticket, shown } => {
                    self.tell(&format!("{node} answers the read of round {}", ticket.round));
                    self.judge(Ledger::answered(node, ticket.index, shown));
                }
                Event::LogRead(read) => {
                    self.tell_message(&format!("{node} reads its log after {} for {}", read.after, read.to));
                    let machine = self.machines.get_mut(&node).expect("on stage");
                    machine.hand_log_read(read);
                    let events = machine.settle();
                    self.happened(node, events);
                }
            }
        }
    }

    fn judge(&mut self, result: Result<(), crate::ledger::Violation>) {
        if let Err(violation) = result {
            self.tell(&format!("! {violation}"));
        }
    }

    fn tell(&mut self, line: &str) {
        let _ = writeln!(self.transcript, "{line}");
    }

    fn tell_message(&mut self, line: &str) {
        if !self.quiet {
            self.tell(line);
        }
    }
}

fn parse(name: &str) -> NodeId {
    name.parse().expect("a name such as n1")
}

fn parse_ballot(text: &str) -> Ballot {
    let (configuration, rest) = text.split_once(':').unwrap_or(("0", text));
    let (round, node) = rest.split_once('.').expect("a ballot such as 1.n1 or 2:1.n1");
    let first = Ballot::ZERO.next_in(configuration.parse().expect("a number"), parse(node));
    Ballot { round: first.round - 1 + round.parse::<u64>().expect("a round"), ..first }
}

fn parse_way<'a>(words: &[&'a str]) -> Way<'a> {
    let (from, to, kind) = match *words {
        [from, "->", to] => (from, to, None),
        [from, "->", to, kind] => (from, to, Some(kind)),
        _ => panic!("not a way: {}", words.join(" ")),
    };
    let end = |name: &str| (name != "*").then(|| parse(name));
    Way { from: end(from), to: end(to), kind }
}
