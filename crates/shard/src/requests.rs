//! Exactly once: which client's requests were answered, and how.
//!
//! A client numbers its commands and says with each which is its lowest number without an answer; what is below may be
//! forgotten here. So a retry, on whatever leader, hears the first answer, and the table stays as small as what clients
//! have under way.
//!
//! A client that falls silent is forgotten after [`RETENTION_MS`] of log time. That is safe because every command carries
//! a deadline at most [`MAX_DEADLINE_MS`] ahead of log time: whatever still comes from it then has expired. A full table
//! refuses; it never evicts.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use wire::{ClientId, Envelope, RequestNo};
use world::{Millis, Outcome};

/// How long a silent client is remembered, in log time.
pub const RETENTION_MS: u64 = 600_000;
/// How far ahead of log time a deadline may be.
pub const MAX_DEADLINE_MS: u64 = 120_000;
const _: () = assert!(MAX_DEADLINE_MS < RETENTION_MS, "a forgotten client's commands must have expired");

/// How many clients one shard remembers at a time.
const MAX_CLIENTS: usize = 65_536;
/// How many answers it remembers for each.
const MAX_ANSWERS: usize = 16_384;
/// A client's activity is noted no more often than this: it only has to be right to within the retention.
const ACTIVITY_GRAIN_MS: u64 = 10_000;

/// What is to be done with a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Apply it, and record the outcome.
    Fresh,
    /// It was applied; this was the answer.
    Repeat(Outcome),
    /// It was answered, and the client said it would not ask again.
    Forgotten,
    /// Its deadline has passed.
    Expired,
    /// Its deadline is further ahead than the retention allows.
    TooFarAhead,
    /// The table is full.
    Full,
}

/// One client's answers, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Answers {
    floor: RequestNo,
    active: Millis,
    outcomes: BTreeMap<RequestNo, Outcome>,
}

/// The table.
#[derive(Debug, Default)]
pub struct Requests {
    clients: BTreeMap<ClientId, Answers>,
    by_activity: BTreeSet<(Millis, ClientId)>,
    changed: BTreeSet<ClientId>,
}

impl Requests {
    /// Judges a command at log time `now`.
    pub fn judge(&self, envelope: &Envelope, now: Millis) -> Verdict {
        if let Some(answers) = self.clients.get(&envelope.client) {
            if let Some(outcome) = answers.outcomes.get(&envelope.number) {
                return Verdict::Repeat(outcome.clone());
            }
            if envelope.number < answers.floor {
                return Verdict::Forgotten;
            }
            if answers.outcomes.len() >= MAX_ANSWERS {
                return Verdict::Full;
            }
        } else if self.clients.len() >= MAX_CLIENTS {
            return Verdict::Full;
        }
        if envelope.number < envelope.floor {
            Verdict::Forgotten
        } else if now >= envelope.deadline {
            Verdict::Expired
        } else if envelope.deadline > now.plus(MAX_DEADLINE_MS) {
            Verdict::TooFarAhead
        } else {
            Verdict::Fresh
        }
    }

    /// Remembers what came of a command that was [`Verdict::Fresh`].
    pub fn record(&mut self, envelope: &Envelope, now: Millis, outcome: Outcome) {
        let answers = self.clients.entry(envelope.client).or_insert_with(|| {
            self.by_activity.insert((now, envelope.client));
            Answers { floor: RequestNo(0), active: now, outcomes: BTreeMap::new() }
        });
        if now.0 >= answers.active.0 + ACTIVITY_GRAIN_MS {
            self.by_activity.remove(&(answers.active, envelope.client));
            self.by_activity.insert((now, envelope.client));
            answers.active = now;
        }
        if envelope.floor > answers.floor {
            answers.floor = envelope.floor;
            while answers.outcomes.first_key_value().is_some_and(|(&number, _)| number < envelope.floor) {
                answers.outcomes.pop_first();
            }
        }
        answers.outcomes.insert(envelope.number, outcome);
        self.changed.insert(envelope.client);
    }

    /// Forgets the clients that have been silent for the retention.
    pub fn prune(&mut self, now: Millis) {
        while let Some(&(active, client)) = self.by_activity.first()
            && active.plus(RETENTION_MS) <= now
        {
            self.by_activity.pop_first();
            self.clients.remove(&client);
            self.changed.insert(client);
        }
    }

    /// What has changed since the last call: a page for each client, `None` for one forgotten.
    pub fn take_changes(&mut self) -> Vec<(ClientId, Option<Vec<u8>>)> {
        let changed = std::mem::take(&mut self.changed);
        changed
            .into_iter()
            .map(|client| (client, self.clients.get(&client).map(|answers| wire::codec::encode(answers).to_vec())))
            .collect()
    }

    /// Takes a page back in.
    pub fn restore(&mut self, client: ClientId, page: &[u8]) -> Result<(), wire::codec::CodecError> {
        let answers: Answers = wire::codec::decode("client's answers", page)?;
        self.by_activity.insert((answers.active, client));
        self.clients.insert(client, answers);
        Ok(())
    }

    /// How many clients are remembered.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }
}
