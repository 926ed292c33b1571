//! Watches a run from outside, sees everything at once, and says what was broken first.

mod shown;

use crate::clock::Time;
use crate::machine::Machine;
use crate::network::index;
use checker::sessions::Reached;
use checker::{Acknowledged, Agreement, At, FieldModel, FieldOp, FieldRet, History, Ownership, Sessions, Watches};
use host::Mono;
use paxos::{Configuration, NodeId, QuorumSystem, Slot, Value};
use placement::{ShardId, ShardMap};
use shard::state::{Effected, State};
use shard::{Batch, Item};
use shown::Shown;
pub use shown::Sight;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use wire::{Answer, AnswerBody, ClientId, Level, Receipt, RequestNo};
use world::land::Totals;
use world::{Deed, FieldId, Millis, Outcome};

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{property} at {at}: {what}")]
pub struct Violation {
    /// Which promise.
    pub property: &'static str,
    /// When it was seen.
    pub at: Time,
    /// What was seen.
    pub what: String,
}

/// A client, by number.
pub type PlayerNo = usize;

/// What is compared of two replicas' states at one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    log_time: Millis,
    totals: Totals,
    owned: u64,
}

/// A command of which its client never heard.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// Who asked, as the log knows it.
    pub client: ClientId,
    /// Its number.
    pub number: RequestNo,
    /// The field it was about.
    pub field: FieldId,
    /// Where the field's history has it.
    pub id: checker::OpId,
}

/// What is known of harvests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Harvests {
    /// Acorns of harvests that were answered.
    pub answered: u128,
    /// Harvests of which nobody knows.
    pub unknown: u128,
}

/// The observer.
#[derive(Debug)]
pub struct Judge {
    map: ShardMap,
    agreement: Agreement,
    prints: BTreeMap<(ShardId, Slot), (NodeId, Print)>,
    /// How far each shard was seen applied anywhere.
    applied: BTreeMap<ShardId, Slot>,
    /// Where the configuration of each shard began: its last stop.
    configured: BTreeMap<ShardId, Slot>,
    /// What was done to each field.
    pub fields: BTreeMap<FieldId, History<FieldOp, FieldRet>>,
    /// The claims nobody else competes for.
    pub ownership: Ownership,
    /// The first answer to each command.
    answers: BTreeMap<(PlayerNo, RequestNo), Outcome>,
    /// Every shard's state, by the log alone.
    shadows: BTreeMap<ShardId, State>,
    /// When and how each command was decided, by the log alone.
    decided: BTreeMap<(ClientId, RequestNo), (Time, Outcome)>,
    /// Commands that a client was told will never be applied.
    expired: BTreeSet<(PlayerNo, RequestNo)>,
    /// The commands of which their clients never heard.
    open: Vec<Open>,
    /// What was acknowledged when.
    acknowledged: Acknowledged,
    /// What every client has seen and written.
    sessions: Sessions,
    watches: Watches,
    /// What watches were shown and is not held against the log yet: a replica that was the first to apply so much may have left
    /// in the same turn, and another must come so far first.
    early: Vec<Shown>,
    /// Changes of a shard's members that were chosen.
    pub stops: u64,
    /// Receipts checked.
    pub receipts: u64,
    /// Reads held against their session.
    pub reads: u64,
    /// Harvests.
    pub harvests: Harvests,
    /// What was broken first.
    pub violation: Option<Violation>,
}

impl Judge {
    /// Has seen nothing.
    pub fn new(map: ShardMap) -> Self {
        Self {
            map,
            agreement: Agreement::new(),
            prints: BTreeMap::new(),
            applied: BTreeMap::new(),
            configured: BTreeMap::new(),
            fields: BTreeMap::new(),
            ownership: Ownership::new(),
            answers: BTreeMap::new(),
            shadows: BTreeMap::new(),
            decided: BTreeMap::new(),
            expired: BTreeSet::new(),
            open: Vec::new(),
            acknowledged: Acknowledged::default(),
            sessions: Sessions::default(),
            watches: Watches::default(),
            early: Vec::new(),
            stops: 0,
            receipts: 0,
            reads: 0,
            harvests: Harvests::default(),
            violation: None,
        }
    }

    /// `property` does not hold.
    pub fn object(&mut self, at: Time, property: &'static str, what: impl fmt::Display) {
        if self.violation.is_none() {
            self.violation = Some(Violation { property, at, what: what.to_string() });
        }
    }

    /// How far anybody has applied `shard`.
    pub fn applied(&self, shard: ShardId) -> Slot {
        self.applied.get(&shard).copied().unwrap_or_default()
    }

    /// What the log's clock shows in `shard`.
    pub fn log_time(&self, shard: ShardId) -> Millis {
        self.shadows.get(&shard).map_or(Millis(0), State::log_time)
    }

    /// A replica of `machines[at]` has applied `shard` from after `before` up to `now_applied`. Says how many of these
    /// slots nobody had applied before.
    pub fn saw_applied(
        &mut self,
        time: Time,
        machines: &[Machine],
        at: usize,
        shard: ShardId,
        before: Slot,
        now_applied: Slot,
    ) -> u64 {
        let machine = &machines[at];
        let mut new = 0;
        if now_applied < before {
            self.object(
                time,
                "agreement",
                format!("{} applied s{shard} back from {before} to {now_applied}", machine.id),
            );
        }
        // What came with another node's checkpoint was never written down here one by one.
        let before = before.max(machine.installed.get(&shard).copied().unwrap_or_default().min(now_applied));
        for slot in (before.0 + 1..=now_applied.0).map(Slot) {
            let Some(&(hash, ref value)) = machine.disk.ledger.written(shard, slot) else {
                let what = format!("{} applied slot {slot} of shard {shard}, which it never wrote down", machine.id);
                self.object(time, "durability", what);
                return new;
            };
            if let Err(disagreement) = self.agreement.observe(machine.id, shard, slot, hash) {
                self.object(time, "agreement", disagreement);
            }
            let first = self.applied.entry(shard).or_default();
            if slot > *first {
                *first = slot;
                new += 1;
                self.check_durable(time, machines, shard, slot, hash);
                self.decide(time, shard, slot, value);
            }
        }
        self.check_shown(time);
        let Some(replica) = machine.host.as_ref().and_then(|host| host.replica(shard)) else { return new };
        if let Some(land) = replica.state().land() {
            let print =
                Print { log_time: replica.state().log_time(), totals: land.totals(), owned: land.owned_fields() };
            let (first, seen) = *self.prints.entry((shard, now_applied)).or_insert((machine.id, print));
            if seen != print {
                let what =
                    format!("after slot {now_applied} of shard {shard} {first} has {seen:?}, {} {print:?}", machine.id);
                self.object(time, "same state", what);
            }
        }
        new
    }

    /// Applies a slot that nobody had applied before to a state of the observer's own.
    fn decide(&mut self, time: Time, shard: ShardId, slot: Slot, value: &Value) {
        let bytes = match value {
            Value::Noop => return,
            Value::Command(bytes) => bytes,
            Value::Stop(next) => {
                self.stops += 1;
                self.configured.insert(shard, slot);
                return self.shadows.entry(shard).or_default().configure(slot, next.clone());
            }
        };
        let batch = match Batch::decode(bytes) {
            Ok(batch) => batch,
            Err(error) => return self.object(time, "codec", error),
        };
        let commands: Vec<Option<(ClientId, RequestNo)>> = batch
            .items
            .iter()
            .map(|item| if let Item::Client(envelope) = item { Some((envelope.client, envelope.number)) } else { None })
            .collect();
        let shadow = self.shadows.entry(shard).or_default();
        let effects = shadow.apply(batch);
        if let Some(land) = shadow.land() {
            for effected in &effects {
                if let Effected::Outcome(Outcome::Done { field, .. }, _) = effected {
                    self.watches.changed(shard, slot, land.field(field.field));
                }
            }
        }
        for (command, effected) in commands.into_iter().zip(effects) {
            if let (Some(command), Effected::Outcome(outcome, _)) = (command, effected) {
                self.decided.entry(command).or_insert((time, outcome));
            }
        }
    }

    /// What is applied anywhere is chosen, so a quorum must have it where power cannot take it.
    fn check_durable(&mut self, time: Time, machines: &[Machine], shard: ShardId, slot: Slot, hash: u64) {
        let Some(configuration) = self.configuration(shard) else { return };
        // Replicas know of stops before they apply them; and who is a member no more may have left with what it held.
        let replicas = machines.iter().filter_map(|machine| machine.host.as_ref()?.replica(shard));
        let later = replicas.map(|replica| replica.paxos().configuration()).filter(|c| c.number > configuration.number);
        let holds = |configuration: &Configuration, node: NodeId| {
            // A disk that was replaced since has done its part.
            machines[index(node)].ledger(configuration).is_some_and(|ledger| ledger.holds(shard, slot, hash))
        };
        let durable =
            |configuration: &Configuration| configuration.quorum.accept_quorum_where(|node| holds(configuration, node));
        if !durable(&configuration) && !later.into_iter().any(durable) {
            let holders: Vec<NodeId> =
                configuration.quorum.voters().iter().copied().filter(|&node| holds(&configuration, node)).collect();
            let what = format!(
                "slot {slot} of shard {shard} is applied, but durable only at {holders:?} of {:?}",
                configuration.quorum.voters()
            );
            self.object(time, "durability", what);
        }
    }

    /// Who takes part in `shard` behind everything that anybody has applied.
    pub fn configuration(&self, shard: ShardId) -> Option<Configuration> {
        if let Some(configuration) = self.shadows.get(&shard).and_then(State::configuration) {
            return Some(configuration.clone());
        }
        let voters = self.map.get(shard)?.voters.iter().copied();
        QuorumSystem::majority(voters).ok().map(Configuration::first)
    }

    /// The stop that made it so; 0 if there was none.
    pub fn configured(&self, shard: ShardId) -> Slot {
        self.configured.get(&shard).copied().unwrap_or_default()
    }

    /// A node sends an answer.
    pub fn saw_answer(&mut self, time: Time, machine: &Machine, answer: &Answer) {
        let (receipt, level) = match &answer.body {
            AnswerBody::Applied { receipt, .. } => (receipt, Some(Level::Strong)),
            AnswerBody::Read { receipt, .. } => (receipt, None),
            _ => return,
        };
        let applied = machine.host.as_ref().and_then(|host| host.replica(receipt.shard)).map(shard::Replica::applied);
        let sound = receipt.node == machine.id
            // (A replica may leave in the very turn in which it answered.)
            && applied.is_none_or(|applied| receipt.slot <= applied)
            && level.is_none_or(|level| level == receipt.level);
        if !sound {
            self.object(time, "receipts", format!("{} sends {receipt:?} but has applied {applied:?}", machine.id));
        }
        // A strong read shows what was acknowledged before it was asked: its client checks that. Any other's bound is meant
        // as of this moment, on this machine's own clock.
        if let (AnswerBody::Read { .. }, Some(bound)) = (&answer.body, receipt.bound_ms)
            && receipt.level != Level::Strong
        {
            let since = machine.now(time).mono.0.saturating_sub(bound * 1_000);
            self.is_fresh(time, receipt, machine.clock.when(Mono(since)));
        }
        if receipt.level == Level::Strong {
            self.acknowledged.note(receipt.shard, receipt.slot, self::at(time));
        }
    }

    /// The answer with `receipt` must hold everything acknowledged before `since`.
    fn is_fresh(&mut self, time: Time, receipt: &Receipt, since: Time) {
        self.receipts += 1;
        if let Err(unsound) = self.acknowledged.check(receipt.shard, receipt.slot, at(since)) {
            self.object(time, "receipts", format!("{receipt:?}: {unsound}"));
        }
    }

    /// A client begins something: what its session has reached.
    pub fn session(&self, player: PlayerNo) -> Reached {
        self.sessions.begin(player as u64)
    }

    /// A client hears the answer to a command.
    pub fn saw_write(&mut self, time: Time, player: PlayerNo, reached: &Reached, receipt: &Receipt) {
        if let Err(broken) = self.sessions.write(player as u64, reached, receipt.shard, receipt.slot) {
            self.object(time, "sessions", broken);
        }
    }

    /// A client hears what came of a read at `asked` that it began at `begun`, having `reached` so much.
    pub fn saw_receipt(
        &mut self,
        time: Time,
        player: PlayerNo,
        (begun, reached): (Time, &Reached),
        asked: Level,
        receipt: &Receipt,
    ) {
        let within = match asked {
            Level::Strong => receipt.bound_ms == Some(0),
            Level::Bounded(ms) => receipt.bound_ms.is_some_and(|bound| bound <= ms),
            Level::Session | Level::Eventual => true,
        };
        if receipt.level != asked || !within {
            self.object(time, "receipts", format!("a read at level {asked} was answered with {receipt:?}"));
        }
        if asked == Level::Strong {
            self.is_fresh(time, receipt, begun);
        }
        // What else a client reads, it may see more of than its session asks for; but it counts for what follows.
        self.reads += 1;
        let bound = if matches!(asked, Level::Strong | Level::Session) { reached } else { &Reached::default() };
        if let Err(broken) = self.sessions.read(player as u64, bound, receipt.shard, receipt.slot) {
            self.object(time, "sessions", broken);
        }
    }

    /// At most one machine may answer alone at a time.
    pub fn saw_leases(&mut self, time: Time, machines: &[Machine], at: usize) {
        let holds = |machine: &Machine, shard| {
            let lease = machine.host.as_ref().and_then(|host| host.lease_until(shard));
            lease.is_some_and(|until| machine.now(time).mono < until)
        };
        let machine = &machines[at];
        let led = machine.leads.keys().copied().filter(|&shard| holds(machine, shard));
        let both = led.filter_map(|shard| {
            let other = machines.iter().find(|other| other.id != machine.id && holds(other, shard))?;
            Some(format!("{} and {} both hold the lease of shard {shard}", machine.id, other.id))
        });
        if let Some(what) = both.into_iter().next() {
            self.object(time, "leases", what);
        }
    }

    /// A client hears the answer to a command. Says whether it heard one before.
    pub fn saw_outcome(&mut self, time: Time, player: PlayerNo, number: RequestNo, outcome: &Outcome) -> bool {
        match self.answers.get(&(player, number)) {
            Some(first) if first == outcome => true,
            Some(first) => {
                let what = format!("client {player} heard {first:?} and then {outcome:?} for its request {}", number.0);
                self.object(time, "exactly once", what);
                true
            }
            None => {
                if let Outcome::Done { deed: Deed::Harvested(acorns), .. } = outcome {
                    self.harvests.answered += u128::from(acorns.0);
                }
                self.answers.insert((player, number), outcome.clone());
                false
            }
        }
    }

    /// A client hears that this command has expired.
    pub fn saw_expired(&mut self, player: PlayerNo, number: RequestNo) {
        self.expired.insert((player, number));
    }

    /// A client never heard of this command.
    pub fn left_open(&mut self, open: Open) {
        self.open.push(open);
    }

    /// Tells the histories what clients never heard, but the log says: what came of a command and when, or that no log holds
    /// it. (Orders are sought in time exponential in what is left open.)
    pub fn resolve_open(&mut self) {
        for Open { client, number, field, id } in std::mem::take(&mut self.open) {
            let Some(history) = self.fields.get_mut(&field) else { continue };
            match self.decided.get(&(client, number)) {
                Some((time, outcome)) => history.answer(id, FieldRet::from(outcome), at(*time)),
                None => history.withdraw(id),
            }
        }
    }

    /// What clients heard must be what the log says.
    pub fn check_answers(&mut self, time: Time, client_of: impl Fn(PlayerNo) -> ClientId) {
        let differs = self.answers.iter().find_map(|(&(player, number), heard)| {
            let decided = self.decided.get(&(client_of(player), number)).map(|(_, outcome)| outcome);
            (decided != Some(heard)).then(|| {
                format!(
                    "client {player} heard {heard:?} for its request {}, but by the log it is {decided:?}",
                    number.0
                )
            })
        });
        let undead = self.expired.iter().find_map(|&(player, number)| {
            let (_, outcome) = self.decided.get(&(client_of(player), number))?;
            Some(format!("client {player}'s request {} has expired, but by the log it is {outcome:?}", number.0))
        });
        if let Some(what) = differs.or(undead) {
            self.object(time, "exactly once", what);
        }
        if let Some(shown) = self.early.pop() {
            self.object(time, "watches", format!("what was shown is in nobody's log: {shown:?}"));
        }
    }

    /// Whether that command was answered.
    pub fn is_answered(&self, player: PlayerNo, number: RequestNo) -> bool {
        self.answers.contains_key(&(player, number))
    }

    /// Every field's history must have an order.
    pub fn check_fields(&mut self, time: Time) {
        let broken = self.fields.iter().find_map(|(field, history)| {
            let violation = checker::check(&FieldModel, history).err()?;
            Some(format!("{field}: {violation}"))
        });
        if let Some(what) = broken {
            self.object(time, "linearizability", what);
        }
    }
}

/// The observer's time, as the checkers take it.
pub fn at(time: Time) -> At {
    At(time.0)
}
