//! What replicas of one shard say to each other.
//!
//! | message | from, to | says |
//! |---|---|---|
//! | [`Message::Canvass`] | would-be candidate, voters | would you join a ballot of mine? (changes nothing) |
//! | [`Message::Canvassed`] | voter, asker | yes, or no: I follow that leader |
//! | [`Message::Prepare`] | candidate, voters | phase 1a for all slots above `chosen` |
//! | [`Message::TakeOver`] | leader, its chosen successor | I have left the office: stand |
//! | [`Message::Promise`] | voter, candidate | phase 1b |
//! | [`Message::Accept`] | leader, voters | phase 2a for a run of slots |
//! | [`Message::Ack`] | voter, leader | phase 2b, cumulative |
//! | [`Message::Refuse`] | voter, anyone | I have promised a higher ballot |
//! | [`Message::Watermark`] | leader, voters | so far is chosen |
//! | [`Message::Fetch`], [`Message::Learn`] | replica, replica | catch-up: give me what is chosen after `after`; here it is |
//! | [`Message::Ahead`] | anyone, who speaks of an earlier configuration | there is more: ask me |
//! | [`Message::Trimmed`] | replica, who fetches | my log does not go back so far: take a snapshot |
//! | [`Message::Confirm`], [`Message::Confirmed`] | leader, voters | is my ballot still the highest you know? yes |

use crate::{Ballot, Configuration, Slot};
use bytes::Bytes;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use std::iter::Chain;
use std::ops::Deref;
use std::{fmt, option, vec};

/// What a slot may hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// Nothing: fills a gap that a former leader left, or proves that a new one leads.
    Noop,
    /// The embedder's bytes; Paxos never looks inside.
    Command(Bytes),
    /// The last slot of a configuration; the one named governs everything behind.
    Stop(Box<Configuration>),
}

impl Value {
    /// How many bytes it carries.
    pub fn len(&self) -> usize {
        match self {
            Self::Noop => 0,
            Self::Command(bytes) => bytes.len(),
            Self::Stop(configuration) => configuration.encode().len(),
        }
    }

    /// Whether it carries none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A slot that a voter has accepted, as phase 1 reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Where.
    pub slot: Slot,
    /// Under which ballot.
    pub ballot: Ballot,
    /// What.
    pub value: Value,
}

/// One message between two replicas of a shard. The transport knows the sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Would you promise a ballot of mine? Answering changes nothing, so that a node nobody needs raises no ballot.
    Canvass {
        /// The ballot it would use, unless it hears of a higher one.
        ballot: Ballot,
    },
    /// The answer to [`Message::Canvass`].
    Canvassed {
        /// The ballot that was asked about.
        ballot: Ballot,
        /// The highest this voter has promised.
        promised: Ballot,
        /// `None`: yes. Otherwise the ballot of a living leader that this voter follows.
        leader: Option<Ballot>,
    },
    /// Phase 1a: promise me this, and report what you have accepted after `chosen`.
    Prepare {
        /// The candidate's ballot.
        ballot: Ballot,
        /// The candidate knows and holds all slots up to here.
        chosen: Slot,
        /// The ballot whose leader has handed over to the candidate: nobody needs to protect it any more.
        released: Option<Ballot>,
    },
    /// I have left the office that I held under this ballot, and will never hold it again: stand, without asking around.
    TakeOver {
        /// The ballot released.
        ballot: Ballot,
    },
    /// Phase 1b. Sent once the promise is durable.
    Promise {
        /// The ballot promised.
        ballot: Ballot,
        /// This voter knows and holds everything up to here, so a candidate must not propose there.
        chosen: Slot,
        /// The log before this slot is gone.
        first: Slot,
        /// Everything accepted above both watermarks, by slot.
        accepted: Vec<Accepted>,
    },
    /// Phase 2a for the slots `at`, `at + 1`, ...
    Accept {
        /// The leader's ballot.
        ballot: Ballot,
        /// The first slot this ballot proposed anything at.
        start: Slot,
        /// The slot of the first value.
        at: Slot,
        /// What is proposed, slot by slot.
        values: Run,
        /// The leader's watermark.
        chosen: Slot,
        /// Every voter holds everything up to here durably: nobody will ever ask for it again.
        kept: Slot,
    },
    /// Phase 2b, cumulative: each slot from this ballot's first through `through` is durably accepted here *under this
    /// ballot*, or durably known here to be chosen.
    Ack {
        /// The ballot.
        ballot: Ballot,
        /// The last slot this speaks for.
        through: Slot,
        /// This replica knows and holds everything chosen up to here.
        chosen: Slot,
        /// And even after a crash it would know that everything up to here is chosen: it never asks for that again.
        safe: Slot,
        /// Something before the last message is missing here: go on after `through`.
        gap: bool,
    },
    /// I have promised `promised`, which is higher than yours.
    Refuse {
        /// The ballot refused.
        ballot: Ballot,
        /// The ballot promised.
        promised: Ballot,
    },
    /// So far is chosen. A replica counts only what it accepted under this very ballot, and fetches the rest.
    Watermark {
        /// The leader's ballot.
        ballot: Ballot,
        /// The first slot this ballot proposed anything at.
        start: Slot,
        /// All slots up to here are chosen.
        chosen: Slot,
        /// As in [`Message::Accept`].
        kept: Slot,
    },
    /// Catch-up: what is chosen after this slot?
    Fetch {
        /// The asker holds everything up to here.
        after: Slot,
    },
    /// Chosen values for `at`, `at + 1`, ...
    Learn {
        /// The slot of the first value.
        at: Slot,
        /// What was chosen, slot by slot.
        values: Vec<Value>,
        /// The sender knows everything chosen up to here: ask on if this is further.
        chosen: Slot,
    },
    /// You speak of a configuration that has been stopped. Everything up to here is chosen, and here.
    Ahead {
        /// The sender holds everything up to here.
        chosen: Slot,
    },
    /// What you fetch is not in this log any more.
    Trimmed {
        /// The first slot that is.
        first: Slot,
    },
    /// Is this still the highest ballot you have promised?
    Confirm {
        /// The leader's ballot.
        ballot: Ballot,
        /// Counts this leader's questions.
        round: u64,
    },
    /// It is.
    Confirmed {
        /// The ballot.
        ballot: Ballot,
        /// The question answered.
        round: u64,
    },
}

/// The values of consecutive slots. It is mostly one, which takes no allocation of its own. Encoded as a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// Of one slot.
    One([Value; 1]),
    /// Of none, or of several.
    Many(Vec<Value>),
}

impl Deref for Run {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        match self {
            Self::One(value) => value,
            Self::Many(values) => values,
        }
    }
}

impl FromIterator<Value> for Run {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (Some(only), None) => Self::One([only]),
            (first, second) => Self::Many(first.into_iter().chain(second).chain(values).collect()),
        }
    }
}

impl From<Vec<Value>> for Run {
    fn from(values: Vec<Value>) -> Self {
        <[Value; 1]>::try_from(values).map_or_else(Self::Many, Self::One)
    }
}

impl IntoIterator for Run {
    type Item = Value;
    type IntoIter = Chain<option::IntoIter<Value>, vec::IntoIter<Value>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self {
            Self::One([value]) => (Some(value), Vec::new()),
            Self::Many(values) => (None, values),
        };
        one.into_iter().chain(many)
    }
}

impl Serialize for Run {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;

        impl<'de> Visitor<'de> for Values {
            type Value = Run;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("values of consecutive slots")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Run, A::Error> {
                let Some(first) = values.next_element()? else { return Ok(Run::Many(Vec::new())) };
                let Some(second) = values.next_element()? else { return Ok(Run::One([first])) };
                let mut run = vec![first, second];
                while let Some(next) = values.next_element()? {
                    run.push(next);
                }
                Ok(Run::Many(run))
            }
        }

        deserializer.deserialize_seq(Values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NodeId, QuorumSystem};

    #[test]
    fn run_is_encoded_as_the_sequence_of_its_values() {
        let value = |nth: usize| Value::Command(Bytes::from(vec![7; nth]));
        for count in [0, 1, 2, 5] {
            let values: Vec<Value> = (0..count).map(value).collect();
            let run: Run = values.iter().cloned().collect();
            assert_eq!(matches!(run, Run::One(_)), count == 1);
            assert_eq!(run, Run::from(values.clone()));
            let bytes = rmp_serde::to_vec(&run).expect("values have a MessagePack form");
            assert_eq!(bytes, rmp_serde::to_vec(&values).expect("so have these"));
            assert_eq!(rmp_serde::from_slice::<Run>(&bytes).expect("and back"), run);
            assert!(rmp_serde::from_slice::<Run>(&bytes[..bytes.len() - 1]).is_err(), "cut short");
            assert_eq!((run.len(), run.into_iter().collect::<Vec<_>>()), (count, values));
        }
    }

    #[test]
    fn values_are_as_long_as_what_they_carry() {
        let next = Configuration::first(QuorumSystem::majority([NodeId(1)]).expect("one voter"));
        let lengths = [
            (Value::Noop, 0),
            (Value::Command(Bytes::new()), 0),
            (Value::Command(Bytes::from_static(b"claim")), 5),
            (Value::Stop(Box::new(next.clone())), next.encode().len()),
        ];
        for (value, length) in lengths {
            assert_eq!((value.len(), value.is_empty()), (length, length == 0), "{value:?}");
        }
    }
}
