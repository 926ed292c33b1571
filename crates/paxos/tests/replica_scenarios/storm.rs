//! Whole clusters of replicas under a random schedule, with everything that may happen to them: messages are lost,
//! repeated, reordered and late, nodes crash with what was not durable, several lead at once. After every step the
//! [`Ledger`] holds what they say against what their disks hold; then the weather clears and they must come to the same
//! log, with everything in it that was ever shown.
//!
//! Each seed draws its own weights (swarm testing; Groce and others 2012), so that some runs crash all the time and others
//! never, and its own kind of cluster.

use crate::{
    broken::Broken,
    happening::{Happening, Seen, WEIGHTS},
    ledger::{Ledger, Violation},
    machine::{Event, LogRead, Loss, Machine},
    random::Random,
    show,
};
use bytes::Bytes;
use paxos::{Ballot, Configuration, Message, NodeId, QuorumSystem, Slot, Value};
use std::{collections::BTreeSet, fmt::Write as _};

/// No more messages are in flight at once: others are lost.
const FLYING: usize = 48;

/// One run.
pub struct Storm {
    machines: Vec<Machine>,
    flying: Vec<(NodeId, NodeId, u64, Message)>,
    /// Who wants a snapshot of whom.
    wanted: Vec<(NodeId, NodeId)>,
    reading: Vec<(NodeId, LogRead)>,
    leading: BTreeSet<NodeId>,
    /// What is sent to these and from these arrives later, if at all.
    isolated: BTreeSet<NodeId>,
    ledger: Ledger,
    random: Random,
    broken: Broken,
    weights: Vec<(Happening, u32)>,
    proposed: u64,
    seen: Seen,
    /// Everything that happened, if wanted.
    pub trace: Option<String>,
}

impl Storm {
    pub fn new(seed: u64, broken: Broken) -> Self {
        let mut random = Random(seed);
        let nodes = |count: u32| (1..=count).map(NodeId);
        let quorum = match random.below(8) {
            0 => QuorumSystem::majority(nodes(5)),
            1 => QuorumSystem::flexible(nodes(4), 3, 2),
            2 => QuorumSystem::weighted([(NodeId(1), 2), (NodeId(2), 1), (NodeId(3), 1), (NodeId(4), 1)], 3),
            _ => QuorumSystem::majority(nodes(3)),
        };
        let quorum = quorum.expect("each of them meets");
        // Some have nodes that do not vote at first.
        let count = quorum.voters().len().max(if random.below(3) == 0 { 5 } else { 0 });
        let mut machines: Vec<Machine> =
            (0..count).map(node).map(|node| Machine::new(node, broken.quorum_at(node, &quorum))).collect();
        for machine in &mut machines {
            machine.answers_early = broken == Broken::AnswersBeforeDurable;
        }
        let weights = WEIGHTS.iter().map(|(what, weights)| (*what, weights[random.below(4)])).collect();
        Self {
            machines,
            flying: Vec::new(),
            wanted: Vec::new(),
            reading: Vec::new(),
            leading: BTreeSet::new(),
            isolated: BTreeSet::new(),
            ledger: Ledger::new(quorum),
            random,
            broken,
            weights,
            proposed: 0,
            seen: Seen::default(),
            trace: None,
        }
    }

    /// `steps` steps of bad weather.
    pub fn blow(&mut self, steps: u64) -> Result<(), Violation> {
        (0..steps).try_for_each(|_| {
            self.seen.steps += 1;
            self.step()
        })
    }

    /// Good weather until everybody has the same log, the last proposal in it. Says what was seen.
    pub fn clear_up(&mut self) -> Result<Seen, Violation> {
        self.weights = vec![(Happening::Deliver, 1)];
        self.flying.clear();
        self.reading.clear();
        self.isolated.clear();
        for index in 0..self.machines.len() {
            if self.machines[index].replica().is_none() {
                self.machines[index].restart();
                self.settle(index)?;
            }
        }
        let shown = self.ledger.shown();
        let mut last: Option<(Ballot, Slot)> = None;
        for round in 0..60 {
            self.calm()?;
            let leads = |machine: &Machine| machine.replica().filter(|r| r.is_leader()).map(paxos::Replica::promised);
            let offices =
                self.machines.iter().enumerate().filter_map(|(index, machine)| Some((leads(machine)?, index)));
            match (offices.max(), last) {
                (None, _) => {
                    let members = self.members();
                    let index = members[round % members.len()];
                    self.note(|| format!("calm: n{} campaigns", index + 1));
                    self.with(index, |replica| replica.campaign(&mut paxos::liveness::nobody))?;
                }
                (Some((ballot, _)), Some((proposed, slot))) if proposed == ballot => {
                    if self.members().iter().all(|index| self.machines[*index].applied() >= slot) {
                        assert!(slot > shown, "what was shown, up to {shown}, is no longer there");
                        self.seen.chosen = self.ledger.prefix().0;
                        self.seen.stops = self.ledger.configurations() as u64 - 1;
                        return Ok(self.seen);
                    }
                }
                (Some((ballot, index)), _) => last = self.propose(index)?.map(|slot| (ballot, slot)),
            }
            for index in 0..self.machines.len() {
                self.with(index, |replica| {
                    replica.handle_retry(&|_| true);
                    replica.flush_watermark(&|_| true);
                })?;
            }
        }
        panic!("the weather is fine, and they come to no end");
    }

    /// Who takes part, as the last configuration that anybody knows has it.
    fn members(&self) -> Vec<usize> {
        let known = self.machines.iter().filter_map(|machine| Some(machine.replica()?.configuration()));
        let last = known.max_by_key(|configuration| configuration.number);
        last.map_or_else(Vec::new, |last| last.members().map(|member| member.0 as usize - 1).collect())
    }

    /// Delivers and syncs everything.
    fn calm(&mut self) -> Result<(), Violation> {
        for _ in 0..10_000 {
            for index in 0..self.machines.len() {
                if self.machines[index].is_writing() {
                    self.sync(index, usize::MAX)?;
                }
            }
            if let Some((node, read)) = self.reading.pop() {
                self.hand(node, read)?;
            } else if let Some((to, from)) = self.wanted.pop() {
                self.install(to, from)?;
            } else if self.flying.is_empty() {
                return Ok(());
            } else {
                self.deliver(0, false)?;
            }
        }
        panic!("they never stop talking");
    }

    fn step(&mut self) -> Result<(), Violation> {
        let total: u32 = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.random.below(total as usize);
        let what = self.weights.iter().find_map(|&(what, weight)| {
            let hit = drawn < weight as usize;
            drawn = drawn.wrapping_sub(weight as usize);
            hit.then_some(what)
        });
        let what = what.expect("the weights sum to the total");
        let index = match what {
            // Only a leader has any use for these.
            Happening::Propose
            | Happening::Read
            | Happening::Resign
            | Happening::Flush
            | Happening::Stop
            | Happening::Transfer
                if !self.leading.is_empty() =>
            {
                let at = self.random.below(self.leading.len());
                self.leading.iter().nth(at).map_or(0, |node| node.0 as usize - 1)
            }
            _ => self.random.below(self.machines.len()),
        };
        let up = self.machines[index].replica().is_some();
        match what {
            Happening::Deliver if !self.flying.is_empty() => {
                // Half of the time in order, so that long runs of messages get through.
                let at = if self.random.below(2) == 0 { 0 } else { self.random.below(self.flying.len()) };
                self.passing(at).map_or(Ok(()), |at| self.deliver(at, false))
            }
            Happening::Repeat if !self.flying.is_empty() => {
                let at = self.random.below(self.flying.len());
                self.passing(at).map_or(Ok(()), |at| self.deliver(at, true))
            }
            Happening::Isolate => {
                self.note(|| format!("n{} is cut off", index + 1));
                self.isolated.insert(node(index));
                Ok(())
            }
            Happening::Mend => {
                if self.isolated.remove(&node(index)) {
                    self.note(|| format!("n{} is heard again", index + 1));
                }
                Ok(())
            }
            Happening::Lose if !self.flying.is_empty() => {
                let at = self.random.below(self.flying.len());
                let (from, to, _, message) = self.flying.remove(at);
                self.note(|| format!("{from} -> {to} {} (lost)", show::message(&message)));
                Ok(())
            }
            Happening::Sync if up && self.machines[index].is_writing() => {
                let count = 1 + self.random.below(4);
                self.sync(index, count)
            }
            Happening::Campaign if up => {
                self.note(|| format!("n{} campaigns", index + 1));
                self.with(index, |replica| replica.campaign(&mut paxos::liveness::nobody))
            }
            Happening::Propose if up => self.propose(index).map(drop),
            Happening::Retry if up => self.with(index, |replica| replica.handle_retry(&|_| true)),
            Happening::Flush if up => self.with(index, |replica| replica.flush_watermark(&|_| true)),
            Happening::Crash if up => {
                self.seen.crashes += 1;
                self.note(|| format!("n{} crashes", index + 1));
                let loss = match self.broken {
                    Broken::Amnesia => Loss::Everything,
                    Broken::ForgottenPromises => Loss::Promises,
                    Broken::HolesOnDisk => Loss::Holes { kept: self.random.next() },
                    _ => Loss::Unsynced { kept: self.random.below(3) },
                };
                let node = node(index);
                for record in self.machines[index].crash(loss) {
                    self.ledger.durable(node, &record)?;
                }
                self.leading.remove(&node);
                self.reading.retain(|(reader, _)| *reader != node);
                Ok(())
            }
            Happening::Restart if !up => {
                self.note(|| format!("n{} restarts", index + 1));
                self.machines[index].restart();
                self.settle(index)
            }
            // (A host's checkpoint follows the log's sync.)
            Happening::Checkpoint if up && !self.machines[index].is_writing() => {
                self.machines[index].take_checkpoint();
                self.settle(index)
            }
            Happening::Read if up => {
                let shown = self.ledger.shown();
                if self.machines[index].read(shown).is_some() {
                    self.note(|| format!("n{} reads", index + 1));
                }
                self.settle(index)
            }
            Happening::Resign if up => self.with(index, |replica| {
                let _ = replica.resign();
            }),
            Happening::Forget if up => {
                let other = node(self.random.below(self.machines.len()));
                self.with(index, |replica| _ = replica.forget_leader(other))
            }
            Happening::Stop if up => self.stop(index),
            Happening::Transfer if up => {
                let to = node(self.random.below(self.machines.len()));
                let mut done = false;
                self.with(index, |replica| done = replica.transfer(to).is_ok())?;
                self.seen.transfers += u64::from(done);
                Ok(())
            }
            Happening::Trim if up && !self.machines[index].is_writing() => {
                self.machines[index].trim();
                Ok(())
            }
            Happening::Install if !self.wanted.is_empty() => {
                let at = self.random.below(self.wanted.len());
                let (to, from) = self.wanted.swap_remove(at);
                self.install(to, from)
            }
            Happening::ReadLog if !self.reading.is_empty() => {
                let at = self.random.below(self.reading.len());
                let (node, read) = self.reading.swap_remove(at);
                self.hand(node, read)
            }
            _ => Ok(()),
        }
    }

    /// The leader at `index` proposes other voters among those who take part, and anybody as a standby.
    fn stop(&mut self, index: usize) -> Result<(), Violation> {
        let Some(replica) = self.machines[index].replica() else { return Ok(()) };
        let mut voters: Vec<NodeId> = replica.configuration().members().collect();
        while voters.len() > 1 && self.random.below(3) == 0 {
            let one = self.random.below(voters.len());
            voters.swap_remove(one);
        }
        let standbys = (0..self.machines.len()).map(node).filter(|node| !voters.contains(node));
        let standbys = standbys.filter(|_| self.random.below(2) == 0).collect();
        let quorum = QuorumSystem::majority(voters).expect("majorities always meet");
        let next = Configuration { standbys, ..Configuration::first(quorum) };
        self.note(|| format!("n{} proposes {}", index + 1, show::configuration(&next)));
        self.with(index, |replica| _ = replica.propose_stop(next))
    }

    /// `from`'s checkpoint, as it is now, becomes `to`'s.
    fn install(&mut self, to: NodeId, from: NodeId) -> Result<(), Violation> {
        let (index, source) = (to.0 as usize - 1, from.0 as usize - 1);
        let snapshot = self.machines[source].snapshot();
        // (A host's snapshot follows the log's sync, as every checkpoint does.)
        if self.machines[index].is_writing() || self.machines[index].replica().is_none() {
            return Ok(());
        }
        self.seen.snapshots += 1;
        self.note(|| format!("{to} installs {from}'s snapshot at {}", snapshot.0));
        self.machines[index].install(from, snapshot);
        self.settle(index)
    }

    /// The first message in flight from `at` on that reaches its receiver.
    fn passing(&self, at: usize) -> Option<usize> {
        let passes = |(from, to, ..): &(NodeId, NodeId, u64, Message)| {
            !self.isolated.contains(from) && !self.isolated.contains(to)
        };
        self.flying[at..].iter().position(passes).map(|found| at + found)
    }

    fn propose(&mut self, index: usize) -> Result<Option<Slot>, Violation> {
        self.proposed += 1;
        let value = Value::Command(Bytes::from(format!("v{}", self.proposed)));
        let mut slot = None;
        self.with(index, |replica| slot = replica.propose(value).ok())?;
        if let Some(slot) = slot {
            self.note(|| format!("n{} proposes at {slot}", index + 1));
        }
        Ok(slot)
    }

    fn with(&mut self, index: usize, step: impl FnOnce(&mut paxos::Replica)) -> Result<(), Violation> {
        if let Some(replica) = self.machines[index].replica_mut() {
            step(replica);
        }
        self.settle(index)
    }

    fn deliver(&mut self, at: usize, again: bool) -> Result<(), Violation> {
        let (from, to, configuration, message) = if again { self.flying[at].clone() } else { self.flying.remove(at) };
        let index = to.0 as usize - 1;
        self.note(|| format!("{from} -> {to} {}", show::message(&message)));
        let healthy = self.random.below(4) == 0;
        let Some(replica) = self.machines[index].replica_mut() else { return Ok(()) };
        self.seen.learns += u64::from(matches!(message, Message::Learn { .. }));
        self.seen.gaps += u64::from(matches!(message, Message::Ack { gap: true, .. }));
        let (from, message) = self.broken.forge(from, message, replica);
        let own = replica.configuration().number;
        let configuration = if self.broken == Broken::AnyConfiguration { own } else { configuration };
        replica.handle_message(from, configuration, message, &mut |_: NodeId, _: &paxos::QuorumSystem| healthy);
        if self.broken == Broken::PretendsDurable {
            let events = self.machines[index].pretend_synced();
            self.happened(index, events)?;
        }
        self.settle(index)
    }

    fn hand(&mut self, node: NodeId, mut read: LogRead) -> Result<(), Violation> {
        self.seen.log_reads += 1;
        self.note(|| format!("{node} has read its log after {} for {}", read.after, read.to));
        if self.broken == Broken::LogReadBeyondChosen {
            read.through = Slot(u64::MAX);
        }
        let index = node.0 as usize - 1;
        self.machines[index].hand_log_read(read);
        self.settle(index)
    }

    fn sync(&mut self, index: usize, count: usize) -> Result<(), Violation> {
        let (records, events) = self.machines[index].sync(count);
        for record in &records {
            self.note(|| format!("n{} has written {}", index + 1, show::record(record)));
            self.ledger.durable(node(index), record)?;
        }
        self.happened(index, events)?;
        self.settle(index)
    }

    fn settle(&mut self, index: usize) -> Result<(), Violation> {
        let events = self.machines[index].settle();
        self.happened(index, events)?;
        let node = node(index);
        let Some(replica) = self.machines[index].replica() else { return Ok(()) };
        if !replica.is_leader() {
            self.leading.remove(&node);
        } else if self.leading.insert(node) {
            self.seen.offices += 1;
            let ballot = replica.promised();
            self.note(|| format!("{node} leads {ballot}"));
        }
        let chosen = self.machines[index].replica().map_or(Slot::ZERO, paxos::Replica::chosen);
        self.ledger.says_chosen(node, chosen)
    }

    fn happened(&mut self, index: usize, events: Vec<Event>) -> Result<(), Violation> {
        let node = node(index);
        for event in events {
            match event {
                Event::WantSnapshot { from } => self.wanted.push((node, from)),
                Event::Sent { to, configuration, message } => {
                    self.ledger.sent(&message)?;
                    if self.flying.len() == FLYING {
                        let lost = self.random.below(FLYING);
                        self.flying.remove(lost);
                    }
                    self.flying.push((node, to, configuration, message));
                }
                Event::Applied { slot, value } => {
                    self.note(|| format!("{node} applies {slot}={}", show::value(&value)));
                    self.ledger.applied(node, slot, &value)?;
                }
                Event::Answered { ticket, shown } => {
                    self.seen.reads += 1;
                    Ledger::answered(node, ticket.index, shown)?;
                }
                Event::LogRead(read) => self.reading.push((node, read)),
            }
        }
        Ok(())
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{}", line());
        }
    }
}

fn node(index: usize) -> NodeId {
    NodeId(u32::try_from(index).expect("few nodes") + 1)
}
