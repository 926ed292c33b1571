//! How sure a read is.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a read asks for: how old what it shows may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Linearizable: it sees everything acknowledged before it was asked.
    Strong,
    /// At most this many milliseconds stale, proven.
    Bounded(u64),
    /// Read your writes, monotonic reads and writes, writes follow reads.
    Session,
    /// Some chosen prefix.
    Eventual,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strong => f.write_str("strong"),
            Self::Bounded(ms) => write!(f, "bounded:{ms}"),
            Self::Session => f.write_str("session"),
            Self::Eventual => f.write_str("eventual"),
        }
    }
}

/// Not a level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a read level: use strong, bounded:MS, session or eventual")]
pub struct NotALevel(pub String);

impl FromStr for Level {
    type Err = NotALevel;

    fn from_str(text: &str) -> Result<Self, NotALevel> {
        match text {
            "strong" => Ok(Self::Strong),
            "session" => Ok(Self::Session),
            "eventual" => Ok(Self::Eventual),
            _ => match text.strip_prefix("bounded:").map(str::parse) {
                Some(Ok(ms)) => Ok(Self::Bounded(ms)),
                _ => Err(NotALevel(text.to_owned())),
            },
        }
    }
}
