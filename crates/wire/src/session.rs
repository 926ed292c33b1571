//! What a client has seen and written, so that any replica can tell whether it is far enough along for it.
//!
//! One slot for each shard: that is all it takes for the four guarantees of Terry et al. (*Session Guarantees for Weakly
//! Consistent Replicated Data*, 1994). Reads show the session's own writes and never step back, because a replica answers
//! only once it has applied that far; writes follow them, because they go through the shard's log.

use crate::codec;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use paxos::Slot;
use placement::ShardId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use xxhash_rust::xxh3::xxh3_64;

/// The version of the text form, and its first letters.
const MARK: &str = "ice1-";

/// A session's token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Session {
    slots: BTreeMap<ShardId, Slot>,
}

/// Not the text of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotASession {
    /// It does not begin like one.
    #[error("a session begins with '{MARK}'")]
    Mark,
    /// What follows cannot be read.
    #[error("the session's text is damaged or cut off")]
    Damaged,
}

impl Session {
    /// The session has seen `shard` at `slot`.
    pub fn saw(&mut self, shard: ShardId, slot: Slot) {
        let seen = self.slots.entry(shard).or_default();
        *seen = slot.max(*seen);
    }

    /// How far a replica of `shard` must have applied to answer this session.
    pub fn slot(&self, shard: ShardId) -> Slot {
        self.slots.get(&shard).copied().unwrap_or_default()
    }

    /// Takes in what another has seen.
    pub fn merge(&mut self, other: &Self) {
        for (&shard, &slot) in &other.slots {
            self.saw(shard, slot);
        }
    }

    /// How many shards it has seen anything of.
    pub fn shards(&self) -> usize {
        self.slots.len()
    }
}

/// MessagePack and a checksum, in the base64 alphabet of URLs: what one can mail, log and paste.
impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = codec::encode(self).to_vec();
        bytes.extend_from_slice(&check(&bytes));
        write!(f, "{MARK}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Session {
    type Err = NotASession;

    fn from_str(text: &str) -> Result<Self, NotASession> {
        let letters = text.trim().strip_prefix(MARK).ok_or(NotASession::Mark)?;
        let bytes = URL_SAFE_NO_PAD.decode(letters).map_err(|_| NotASession::Damaged)?;
        let (body, sum) = bytes.split_last_chunk().ok_or(NotASession::Damaged)?;
        if check(body) != *sum {
            return Err(NotASession::Damaged);
        }
        codec::decode("session", body).map_err(|_| NotASession::Damaged)
    }
}

fn check(bytes: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = xxh3_64(bytes).to_le_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(slots: &[(u32, u64)]) -> Session {
        let mut session = Session::default();
        for &(shard, slot) in slots {
            session.saw(ShardId(shard), Slot(slot));
        }
        session
    }

    #[test]
    fn a_session_never_steps_back_and_takes_in_others() {
        let mut one = session(&[(1, 9), (1, 7), (3, 2)]);
        one.merge(&session(&[(3, 5), (4, 1), (1, 3)]));
        assert_eq!(one, session(&[(1, 9), (3, 5), (4, 1)]));
        assert_eq!(one.slot(ShardId(2)), Slot::ZERO);
    }

    #[test]
    fn the_text_brings_everything_back_and_is_short() {
        for session in [
            session(&[]),
            session(&[(0, 0), (1, 127), (2, 128), (70_000, u64::MAX), (u32::MAX, 1)]),
            session(&(1..=64).map(|shard| (shard, 1_000_000)).collect::<Vec<_>>()),
        ] {
            let text = session.to_string();
            assert_eq!(text.parse(), Ok(session.clone()), "{text}");
            assert!(text.len() <= MARK.len() + 16 + session.shards() * 19, "{} letters", text.len());
        }
        let usual = session(&(1..=64).map(|shard| (shard, 1_000_000)).collect::<Vec<_>>()).to_string();
        assert!(usual.len() < 560, "64 shards with a million slots each: {} letters", usual.len());
    }

    #[test]
    fn what_is_not_a_session_is_refused_and_nothing_panics() {
        let good = session(&[(1, 300), (9, 5)]).to_string();
        assert_eq!("hello".parse::<Session>(), Err(NotASession::Mark));
        for cut in MARK.len()..good.len() {
            assert_eq!(good[..cut].parse::<Session>(), Err(NotASession::Damaged), "{}", &good[..cut]);
        }
        for at in MARK.len()..good.len() {
            let mut bad = good.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'w' } else { b'A' };
            assert_eq!(String::from_utf8(bad).unwrap().parse::<Session>(), Err(NotASession::Damaged));
        }
        assert_eq!(
            format!("{good}\n").parse::<Session>().unwrap(),
            good.parse().unwrap(),
            "a file ends with a newline"
        );
    }
}
