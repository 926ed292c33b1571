//! Exactly once: which client's requests were answered, and how.
//!
//! A client numbers its commands and says with each which is its lowest number without an answer; what is below may be
//! forgotten here. So a retry, on whatever leader, hears the first answer, and the table stays as small as what clients
//! have under way.
//!
//! A client that falls silent is forgotten after [`RETENTION_MS`] of log time. That is safe because every command carries
//! a deadline at most [`MAX_DEADLINE_MS`] ahead of log time: whatever still comes from it then is too old to be applied,
//! and too old to say that it never was. A full table refuses; it never evicts.

use crate::answers::Outcomes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use wire::{ClientId, Envelope, RequestNo};
use world::{Millis, Outcome};

/// How long a silent client is remembered, in log time.
pub const RETENTION_MS: u64 = 600_000;
/// How far ahead of log time a deadline may be.
pub const MAX_DEADLINE_MS: u64 = 120_000;
const _: () =
    assert!(MAX_DEADLINE_MS + ACTIVITY_GRAIN_MS < RETENTION_MS, "a forgotten client's commands must have expired");

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
    /// It may have been answered before; that is no longer known.
    Forgotten,
    /// Its deadline has passed, and it never was and never will be applied.
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
    outcomes: Outcomes,
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
            if let Some(outcome) = answers.outcomes.get(envelope.number) {
                return Verdict::Repeat(outcome.clone());
            }
            if envelope.number < answers.floor {
                return Verdict::Forgotten;
            }
            // What the client will not ask for again makes room.
            let oldest = answers.outcomes.oldest();
            if answers.outcomes.len() >= MAX_ANSWERS && oldest.is_some_and(|oldest| oldest >= envelope.floor) {
                return Verdict::Full;
            }
        } else if self.clients.len() >= MAX_CLIENTS {
            return Verdict::Full;
        }
        if envelope.number < envelope.floor {
            Verdict::Forgotten
        } else if now >= envelope.deadline.plus(RETENTION_MS - MAX_DEADLINE_MS - ACTIVITY_GRAIN_MS) {
            // It may have been applied and then forgotten with its client.
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
            Answers { floor: RequestNo(0), active: now, outcomes: Outcomes::default() }
        });
        if now.0 >= answers.active.0 + ACTIVITY_GRAIN_MS {
            self.by_activity.remove(&(answers.active, envelope.client));
            self.by_activity.insert((now, envelope.client));
            answers.active = now;
        }
        answers.floor = answers.floor.max(envelope.floor);
        answers.outcomes.forget_below(answers.floor);
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

#[cfg(test)]
mod tests {
    use super::*;
    use world::{Acorns, Command, PlayerView};

    fn envelope(number: u64, floor: u64, deadline: u64) -> Envelope {
        Envelope {
            client: ClientId(1),
            number: RequestNo(number),
            floor: RequestNo(floor),
            deadline: Millis(deadline),
            player: "scrat".parse().unwrap(),
            command: Command::Register,
        }
    }

    fn outcome(acorns: u64) -> Outcome {
        let player = PlayerView { name: "scrat".parse().unwrap(), acorns: Acorns(acorns) };
        Outcome::Registered { player, new: true }
    }

    #[test]
    fn a_retry_hears_the_first_answer_however_late() {
        let mut requests = Requests::default();
        let first = envelope(1, 1, 1_000);
        assert_eq!(requests.judge(&first, Millis(0)), Verdict::Fresh);
        requests.record(&first, Millis(0), outcome(7));
        assert_eq!(requests.judge(&first, Millis(999_999)), Verdict::Repeat(outcome(7)));
    }

    #[test]
    fn what_the_client_will_not_ask_again_is_forgotten_and_never_applied_again() {
        let mut requests = Requests::default();
        requests.record(&envelope(1, 1, 1_000), Millis(0), outcome(7));
        requests.record(&envelope(2, 2, 1_000), Millis(0), outcome(8));
        assert_eq!(requests.judge(&envelope(1, 1, 1_000), Millis(0)), Verdict::Forgotten);
        // A number below its own floor makes no sense, and is not applied either.
        assert_eq!(requests.judge(&envelope(2, 3, 1_000), Millis(0)), Verdict::Repeat(outcome(8)));
        assert_eq!(Requests::default().judge(&envelope(2, 3, 1_000), Millis(0)), Verdict::Forgotten);
    }

    #[test]
    fn a_full_list_of_answers_makes_room_by_what_the_client_asks_for_no_more() {
        let mut requests = Requests::default();
        let most = MAX_ANSWERS as u64;
        for number in 1..=most {
            requests.record(&envelope(number, 1, 1_000), Millis(0), outcome(7));
        }
        assert_eq!(requests.judge(&envelope(most + 1, 1, 1_000), Millis(0)), Verdict::Full);
        assert_eq!(requests.judge(&envelope(most + 1, 2, 1_000), Millis(0)), Verdict::Fresh);
        requests.record(&envelope(most + 1, 2, 1_000), Millis(0), outcome(8));
        assert_eq!(requests.judge(&envelope(most + 2, 2, 1_000), Millis(0)), Verdict::Full);
        assert_eq!(requests.judge(&envelope(1, 1, 1_000), Millis(0)), Verdict::Forgotten);
    }

    #[test]
    fn a_deadline_holds_on_the_log_s_clock_and_may_not_lie_beyond_the_retention() {
        let requests = Requests::default();
        assert_eq!(requests.judge(&envelope(1, 1, 500), Millis(499)), Verdict::Fresh);
        assert_eq!(requests.judge(&envelope(1, 1, 500), Millis(500)), Verdict::Expired);
        assert_eq!(requests.judge(&envelope(1, 1, MAX_DEADLINE_MS), Millis(0)), Verdict::Fresh);
        assert_eq!(requests.judge(&envelope(1, 1, MAX_DEADLINE_MS + 1), Millis(0)), Verdict::TooFarAhead);
    }

    #[test]
    fn a_silent_client_is_forgotten_only_when_everything_of_it_has_expired() {
        let mut requests = Requests::default();
        let late = envelope(1, 1, MAX_DEADLINE_MS);
        requests.record(&late, Millis(0), outcome(7));
        requests.prune(Millis(RETENTION_MS - 1));
        assert_eq!(requests.clients(), 1);
        requests.prune(Millis(RETENTION_MS));
        assert_eq!(requests.clients(), 0);
        assert_eq!(requests.judge(&late, Millis(RETENTION_MS)), Verdict::Forgotten, "it was applied");
    }

    #[test]
    fn nothing_that_may_have_been_applied_is_said_to_have_expired_however_far_the_clock_jumps() {
        for applied_at in [0, MAX_DEADLINE_MS - 1] {
            for jump in (0..2 * RETENTION_MS).step_by(1_000) {
                let mut requests = Requests::default();
                requests.record(&envelope(1, 1, MAX_DEADLINE_MS), Millis(0), outcome(6));
                requests.record(&envelope(2, 1, MAX_DEADLINE_MS), Millis(applied_at), outcome(7));
                let now = Millis(applied_at + jump);
                requests.prune(now);
                let verdict = requests.judge(&envelope(2, 1, MAX_DEADLINE_MS), now);
                assert!(matches!(verdict, Verdict::Repeat(_) | Verdict::Forgotten), "{now}: {verdict:?}");
            }
        }
    }

    #[test]
    fn pages_bring_everything_back_and_name_who_was_forgotten() {
        let mut requests = Requests::default();
        requests.record(&envelope(1, 1, 1_000), Millis(0), outcome(7));
        let pages = requests.take_changes();
        assert_eq!(requests.take_changes(), []);
        let mut restored = Requests::default();
        for (client, page) in &pages {
            restored.restore(*client, page.as_ref().expect("it was not forgotten")).unwrap();
        }
        assert_eq!(restored.judge(&envelope(1, 1, 1_000), Millis(0)), Verdict::Repeat(outcome(7)));
        requests.prune(Millis(RETENTION_MS));
        assert_eq!(requests.take_changes(), [(ClientId(1), None)]);
        assert!(restored.restore(ClientId(2), b"no page").is_err());
    }

    #[test]
    fn a_full_table_refuses_strangers_and_serves_whom_it_knows_until_somebody_is_forgotten() {
        let from = |client| Envelope { client: ClientId(client), ..envelope(1, 1, 1_000) };
        let mut requests = Requests::default();
        let most = MAX_CLIENTS as u128;
        for client in 1..=most {
            requests.record(&from(client), Millis(0), outcome(7));
        }
        assert_eq!(requests.judge(&from(most + 1), Millis(0)), Verdict::Full);
        assert_eq!(requests.judge(&envelope(2, 1, 1_000), Millis(0)), Verdict::Fresh);
        requests.prune(Millis(RETENTION_MS));
        let later = Envelope { deadline: Millis(RETENTION_MS + 1), ..from(most + 1) };
        assert_eq!(requests.judge(&later, Millis(RETENTION_MS)), Verdict::Fresh);
    }

    #[test]
    fn what_a_client_does_a_moment_later_is_not_worth_noting() {
        let mut requests = Requests::default();
        for (number, at) in [(1, 0), (2, ACTIVITY_GRAIN_MS - 1)] {
            requests.record(&envelope(number, 1, ACTIVITY_GRAIN_MS), Millis(at), outcome(7));
        }
        requests.prune(Millis(RETENTION_MS));
        assert_eq!(requests.clients(), 0);
    }

    #[test]
    fn a_client_that_goes_on_is_remembered_from_what_it_did_last() {
        let mut requests = Requests::default();
        requests.record(&envelope(1, 1, 1_000), Millis(0), outcome(7));
        // Too soon to be noted.
        requests.record(&envelope(2, 1, ACTIVITY_GRAIN_MS), Millis(ACTIVITY_GRAIN_MS - 1), outcome(8));
        requests.prune(Millis(RETENTION_MS - 1));
        assert_eq!(requests.clients(), 1);
        requests.record(&envelope(3, 1, 2 * ACTIVITY_GRAIN_MS), Millis(ACTIVITY_GRAIN_MS), outcome(9));
        requests.prune(Millis(RETENTION_MS + ACTIVITY_GRAIN_MS - 1));
        assert_eq!(requests.clients(), 1);
        requests.prune(Millis(RETENTION_MS + ACTIVITY_GRAIN_MS));
        assert_eq!(requests.clients(), 0);
    }
}
