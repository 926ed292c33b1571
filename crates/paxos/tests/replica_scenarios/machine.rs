//! A replica with the disk it was promised: what an embedder owes, and what a crash takes.

use paxos::{
    Ballot, Configuration, Effect, Message, NodeId, QuorumSystem, Record, Recovered, Replica, Slot, Token, Value,
    replica::ReadTicket,
};
use std::collections::VecDeque;

/// What a step of a replica led to, beside writes.
#[derive(Debug)]
pub enum Event {
    /// This may leave: everything it waited for is durable.
    Sent { to: NodeId, configuration: u64, message: Message },
    /// The state machine took the next chosen value.
    Applied { slot: Slot, value: Value },
    /// This read may be answered now.
    Answered { ticket: ReadTicket, shown: Slot },
    /// This node has a snapshot of what the log of another does not go back to: [`Machine::install`] may follow.
    WantSnapshot { from: NodeId },
    /// The log was read for a peer that lags; [`Machine::hand_log_read`] must follow.
    LogRead(LogRead),
}

/// What the log held when a replica asked for it.
#[derive(Debug)]
pub struct LogRead {
    pub to: NodeId,
    pub after: Slot,
    pub through: Slot,
    values: Vec<Value>,
}

/// What is lost when a machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// What was not durable, but for the first `kept` records: those had reached the disk, and nobody knew.
    Unsynced { kept: usize },
    /// Only some of what was not durable: a later record can survive an earlier one. (Broken.)
    Holes { kept: u64 },
    /// Everything. (Broken: the disk was wiped, and the node came back under its old name.)
    Everything,
    /// What was not durable, and all memory of promises: only what was accepted is still there. (Broken.)
    Promises,
}

/// One node: a replica while it is up, its log, its checkpoint, and what waits for the disk.
pub struct Machine {
    id: NodeId,
    /// As of what is applied.
    configuration: Configuration,
    replica: Option<Replica>,
    log: Vec<Record>,
    unsynced: VecDeque<(Token, Record)>,
    waiting: VecDeque<(Token, NodeId, u64, Message)>,
    durable: Token,
    checkpoint: (Slot, Configuration),
    applied: Slot,
    confirmed: u64,
    first: Configuration,
    /// Messages do not wait for the disk. (Broken.)
    pub answers_early: bool,
    /// Reads that wait, each with what had been shown when it began.
    reads: Vec<(ReadTicket, Slot)>,
}

impl Machine {
    /// A node that never was.
    pub fn new(id: NodeId, quorum: QuorumSystem) -> Self {
        let configuration = Configuration::first(quorum);
        Self {
            id,
            replica: Some(Replica::new(id, configuration.clone(), Recovered::fresh())),
            checkpoint: (Slot::ZERO, configuration.clone()),
            first: configuration.clone(),
            configuration,
            log: Vec::new(),
            unsynced: VecDeque::new(),
            waiting: VecDeque::new(),
            durable: Token(0),
            applied: Slot::ZERO,
            confirmed: 0,
            answers_early: false,
            reads: Vec::new(),
        }
    }

    /// The replica, while the node is up.
    pub fn replica(&self) -> Option<&Replica> {
        self.replica.as_ref()
    }

    /// The replica, to be stepped; [`Machine::settle`] must follow.
    pub fn replica_mut(&mut self) -> Option<&mut Replica> {
        self.replica.as_mut()
    }

    /// Begins a read and asks for its confirmation at once. It may miss nothing up to `shown`.
    pub fn read(&mut self, shown: Slot) -> Option<ReadTicket> {
        let replica = self.replica.as_mut()?;
        let ticket = replica.begin_read().ok()?;
        replica.ask_confirmation();
        self.reads.push((ticket, shown));
        Some(ticket)
    }

    /// How far the state machine is.
    pub fn applied(&self) -> Slot {
        self.applied
    }

    /// Whether a record waits for the disk.
    pub fn is_writing(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// The records that wait for the disk.
    pub fn unsynced(&self) -> impl Iterator<Item = &Record> {
        self.unsynced.iter().map(|(_, record)| record)
    }

    /// Takes everything the replica wants done: appends, sends what may leave, applies what is chosen.
    pub fn settle(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let Some(replica) = self.replica.as_mut() else { return events };
        loop {
            if let Some(effect) = replica.poll_effect() {
                match effect {
                    Effect::Persist { record, token } => {
                        self.unsynced.push_back((token, record));
                    }
                    Effect::Send { to, configuration, message, after: Some(token) }
                        if token > self.durable && !self.answers_early =>
                    {
                        self.waiting.push_back((token, to, configuration, message));
                    }
                    Effect::Send { to, configuration, message, .. } => {
                        events.push(Event::Sent { to, configuration, message });
                    }
                    Effect::WantSnapshot { from } => events.push(Event::WantSnapshot { from }),
                    Effect::ReadLog { to, after, through } => {
                        let values = read_log(self.log.iter().chain(self.unsynced.iter().map(|(_, r)| r)), after);
                        events.push(Event::LogRead(LogRead { to, after, through, values }));
                    }
                    Effect::ReadsConfirmed { round } => self.confirmed = self.confirmed.max(round),
                }
            } else if let Some((slot, value)) = replica.poll_chosen() {
                self.applied = slot;
                if let Value::Stop(next) = &value {
                    self.configuration = (**next).clone();
                }
                events.push(Event::Applied { slot, value });
            } else {
                break;
            }
        }
        if !replica.is_leader() {
            self.reads.clear();
            self.confirmed = 0;
        }
        let (confirmed, applied) = (self.confirmed, self.applied);
        let answered = self.reads.extract_if(.., |(ticket, _)| ticket.round <= confirmed && ticket.index <= applied);
        events.extend(answered.map(|(ticket, shown)| Event::Answered { ticket, shown }));
        events
    }

    /// Makes the next `count` records durable and says which they were; what waited for them leaves with the next
    /// [`Machine::settle`].
    pub fn sync(&mut self, count: usize) -> (Vec<Record>, Vec<Event>) {
        let mut synced = Vec::new();
        for (token, record) in self.unsynced.drain(..count.min(self.unsynced.len())) {
            self.durable = token;
            self.log.push(record.clone());
            synced.push(record);
        }
        let events = self.announce(self.durable);
        (synced, events)
    }

    /// Tells the replica that everything is durable while it is not. (Broken.)
    pub fn pretend_synced(&mut self) -> Vec<Event> {
        let token = self.unsynced.back().map_or(self.durable, |&(token, _)| token);
        self.announce(token)
    }

    fn announce(&mut self, token: Token) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some((_, to, configuration, message)) = self.waiting.pop_front_if(|(after, ..)| *after <= token) {
            events.push(Event::Sent { to, configuration, message });
        }
        if let Some(replica) = self.replica.as_mut() {
            replica.handle_persisted(token);
        }
        events.extend(self.settle());
        events
    }

    /// A read of the log is done (of the same incarnation: a crash takes its reads with it).
    pub fn hand_log_read(&mut self, LogRead { to, after, through, values }: LogRead) {
        if let Some(replica) = self.replica.as_mut() {
            replica.handle_log_read(to, after, through, values);
        }
    }

    /// Makes everything applied durable beside the log.
    pub fn take_checkpoint(&mut self) {
        if let Some(replica) = self.replica.as_mut() {
            self.checkpoint = (self.applied, self.configuration.clone());
            replica.handle_checkpointed(self.applied);
        }
    }

    /// Forgets the log up to the checkpoint, whoever may still ask for it.
    pub fn trim(&mut self) {
        let through = self.checkpoint.0;
        self.log.retain(|record| match record {
            Record::Promise { .. } | Record::Retire => true,
            Record::Accept { slot, .. } | Record::Learn { slot, .. } => *slot > through,
        });
        if let Some(replica) = self.replica.as_mut() {
            replica.trim(through);
        }
    }

    /// What the checkpoint holds: up to which slot, and who takes part behind it.
    pub fn snapshot(&self) -> (Slot, Configuration) {
        self.checkpoint.clone()
    }

    /// Takes another node's checkpoint for its own, durably. Older ones are refused.
    pub fn install(&mut self, from: NodeId, (slot, configuration): (Slot, Configuration)) {
        let Some(replica) = self.replica.as_mut().filter(|replica| slot > replica.chosen()) else { return };
        self.checkpoint = (slot, configuration.clone());
        self.configuration = configuration.clone();
        self.applied = slot;
        // (As if the stop were the last slot: nothing is known to be behind it.)
        replica.install(from, slot, configuration, slot);
    }

    /// Stops. The disk keeps what `loss` leaves; what it keeps beyond what was known to be durable is returned.
    pub fn crash(&mut self, loss: Loss) -> Vec<Record> {
        self.replica = None;
        let unsynced = std::mem::take(&mut self.unsynced).into_iter().map(|(_, record)| record);
        let kept: Vec<Record> = match loss {
            Loss::Unsynced { kept } => unsynced.take(kept).collect(),
            Loss::Holes { kept } => unsynced
                .enumerate()
                .filter(|(index, _)| kept >> (index % 64) & 1 == 1)
                .map(|(_, record)| record)
                .collect(),
            Loss::Everything | Loss::Promises => Vec::new(),
        };
        self.log.extend(kept.iter().cloned());
        match loss {
            Loss::Unsynced { .. } | Loss::Holes { .. } => {}
            Loss::Everything => {
                self.log.clear();
                self.checkpoint = (Slot::ZERO, self.first.clone());
            }
            Loss::Promises => self.log.retain(|record| !matches!(record, Record::Promise { .. })),
        }
        self.waiting.clear();
        self.reads.clear();
        self.confirmed = 0;
        self.durable = Token(0);
        (self.applied, self.configuration) = self.checkpoint.clone();
        kept
    }

    /// Comes back with what is on disk.
    pub fn restart(&mut self) {
        let applied = self.checkpoint.0;
        let first = self.log.iter().filter_map(|record| match record {
            Record::Promise { .. } | Record::Retire => None,
            Record::Accept { slot, .. } | Record::Learn { slot, .. } => Some(*slot),
        });
        let first = first.min().map_or(applied.next(), |first| first.min(applied.next()));
        let mut recovered = Recovered { applied, since: applied, chosen: applied, first, ..Recovered::fresh() };
        for record in self.log.iter().cloned() {
            recovered.fold(record);
        }
        self.replica = Some(Replica::new(self.id, self.configuration.clone(), recovered));
    }
}

/// What the log holds for each slot after `after`, up to the first gap. How much of it is chosen only the replica knows.
fn read_log<'a>(records: impl Iterator<Item = &'a Record>, after: Slot) -> Vec<Value> {
    let mut recovered = Recovered::fresh();
    records.for_each(|record| recovered.fold(record.clone()));
    let slots = (after.0 + 1..).map(Slot);
    slots.map_while(|slot| recovered.entries.get(&slot)).map(|(_, value): &(Ballot, Value)| value.clone()).collect()
}
