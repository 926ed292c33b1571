//! Sees every disk at once and says what is chosen, by definition: what an accept quorum has durably accepted under one
//! ballot. Everything replicas say is held against that.

use paxos::{Ballot, Configuration, Message, NodeId, QuorumSystem, Record, Slot, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// What must never happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// One ballot proposed two values at one slot.
    TwoProposals { slot: Slot, ballot: Ballot },
    /// Quorums chose two values for one slot.
    TwoChosen { slot: Slot, first: (Ballot, Value), second: (Ballot, Value) },
    /// A replica took a slot for chosen, and no quorum had chosen anything there.
    Unchosen { node: NodeId, slot: Slot },
    /// A replica applied something else than what was chosen.
    Applied { node: NodeId, slot: Slot, value: Value },
    /// An acknowledged read would miss `shown`, which some replica had shown before it began.
    StaleRead { node: NodeId, index: Slot, shown: Slot },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = crate::show::value;
        match self {
            Self::TwoProposals { slot, ballot } => write!(f, "two values at {slot} under {ballot}"),
            Self::TwoChosen { slot, first, second } => write!(
                f,
                "two values chosen at {slot}: {} under {}, {} under {}",
                text(&first.1),
                first.0,
                text(&second.1),
                second.0
            ),
            Self::Unchosen { node, slot } => write!(f, "{node} takes {slot} for chosen, which it is not"),
            Self::Applied { node, slot, value } => {
                write!(f, "{node} applies {} at {slot}, which was not chosen there", text(value))
            }
            Self::StaleRead { node, index, shown } => {
                write!(f, "{node} answers a read at {index} that began after {shown} was shown")
            }
        }
    }
}

/// The omniscient log.
#[derive(Debug)]
pub struct Ledger {
    /// Who votes from which slot on, as far as stops are chosen.
    configurations: BTreeMap<Slot, Configuration>,
    proposed: BTreeMap<(Slot, Ballot), Value>,
    votes: BTreeMap<(Slot, Ballot), BTreeSet<NodeId>>,
    chosen: BTreeMap<Slot, (Ballot, Value)>,
    /// Everything up to here is chosen.
    prefix: Slot,
    /// The furthest that any replica ever said to be chosen.
    shown: Slot,
}

impl Ledger {
    pub fn new(quorum: QuorumSystem) -> Self {
        Self {
            configurations: BTreeMap::from([(Slot(1), Configuration::first(quorum))]),
            proposed: BTreeMap::new(),
            votes: BTreeMap::new(),
            chosen: BTreeMap::new(),
            prefix: Slot::ZERO,
            shown: Slot::ZERO,
        }
    }

    /// `record` became durable at `node`.
    pub fn durable(&mut self, node: NodeId, record: &Record) -> Result<(), Violation> {
        let Record::Accept { slot, ballot, value, .. } = record else { return Ok(()) };
        let key = (*slot, *ballot);
        self.proposal(key, value)?;
        let votes = self.votes.entry(key).or_default();
        votes.insert(node);
        self.count(*slot, *ballot)
    }

    /// Whether the votes for `slot` under `ballot` are enough, by the configuration that governs the slot.
    fn count(&mut self, slot: Slot, ballot: Ballot) -> Result<(), Violation> {
        let (_, governing) = self.configurations.range(..=slot).next_back().expect("from slot 1 on");
        let counts = ballot.configuration() == governing.number;
        if !counts || !governing.quorum.is_accept_quorum(&self.votes[&(slot, ballot)]) {
            return Ok(());
        }
        let second = (ballot, self.proposed[&(slot, ballot)].clone());
        let first = self.chosen.entry(slot).or_insert_with(|| second.clone()).clone();
        if first.1 != second.1 {
            return Err(Violation::TwoChosen { slot, first, second });
        }
        while let Some((_, value)) = self.chosen.get(&self.prefix.next()) {
            self.prefix = self.prefix.next();
            let Value::Stop(next) = value else { continue };
            let from = self.prefix.next();
            if self.configurations.insert(from, (**next).clone()).is_none() {
                // What was accepted behind the stop counts by the next configuration.
                self.chosen.split_off(&from);
                let behind: Vec<(Slot, Ballot)> =
                    self.votes.range((from, Ballot::ZERO)..).map(|(key, _)| *key).collect();
                behind.into_iter().try_for_each(|(slot, ballot)| self.count(slot, ballot))?;
            }
        }
        Ok(())
    }

    /// How many configurations there have been.
    pub fn configurations(&self) -> usize {
        self.configurations.len()
    }

    /// `message` was sent.
    pub fn sent(&mut self, message: &Message) -> Result<(), Violation> {
        let Message::Accept { ballot, at, values, .. } = message else { return Ok(()) };
        (at.0..).zip(values.iter()).try_for_each(|(slot, value)| self.proposal((Slot(slot), *ballot), value))
    }

    fn proposal(&mut self, key: (Slot, Ballot), value: &Value) -> Result<(), Violation> {
        let known = self.proposed.entry(key).or_insert_with(|| value.clone());
        if known == value { Ok(()) } else { Err(Violation::TwoProposals { slot: key.0, ballot: key.1 }) }
    }

    /// `node` says that everything up to `slot` is chosen.
    pub fn says_chosen(&mut self, node: NodeId, slot: Slot) -> Result<(), Violation> {
        if slot > self.prefix {
            return Err(Violation::Unchosen { node, slot });
        }
        self.shown = self.shown.max(slot);
        Ok(())
    }

    /// `node` applied `value` at `slot`.
    pub fn applied(&self, node: NodeId, slot: Slot, value: &Value) -> Result<(), Violation> {
        match self.chosen.get(&slot) {
            None => Err(Violation::Unchosen { node, slot }),
            Some((_, chosen)) if chosen == value => Ok(()),
            Some(_) => Err(Violation::Applied { node, slot, value: value.clone() }),
        }
    }

    /// `node` answers a read at `index` that began when `shown` had been shown.
    pub fn answered(node: NodeId, index: Slot, shown: Slot) -> Result<(), Violation> {
        if index < shown { Err(Violation::StaleRead { node, index, shown }) } else { Ok(()) }
    }

    /// The furthest that any replica ever said to be chosen.
    pub fn shown(&self) -> Slot {
        self.shown
    }

    /// Everything up to here is chosen.
    pub fn prefix(&self) -> Slot {
        self.prefix
    }
}
