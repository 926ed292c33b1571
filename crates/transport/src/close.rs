//! Why connections end, in words that reach the other side.

use crate::alert;
use quinn::{ConnectionError, VarInt};
use std::fmt;

/// The code that travels with a close; the sentence beside it is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// This side stops.
    Shutdown,
    /// The same peer connected again.
    Replaced,
    /// A frame over the limit, or bytes that are no frame.
    BadFrame,
    /// The certificate does not allow what was asked for.
    NotAllowed,
    /// It did not read what was sent to it.
    TooSlow,
    /// The layer above asked for it.
    Requested,
    /// The two sides speak no common version.
    Version,
    /// No more connections here.
    Full,
}

impl CloseCode {
    const ALL: [Self; 8] = [
        Self::Shutdown,
        Self::Replaced,
        Self::BadFrame,
        Self::NotAllowed,
        Self::TooSlow,
        Self::Requested,
        Self::Version,
        Self::Full,
    ];

    pub(crate) fn on_the_wire(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    fn from_wire(code: VarInt) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.on_the_wire() == code)
    }
}

/// Why a connection is no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Closed {
    /// The other side's code, where it was the other side and it gave a known one.
    pub code: Option<CloseCode>,
    /// A sentence for a person.
    pub reason: String,
}

impl Closed {
    pub(crate) fn because(reason: impl Into<String>) -> Self {
        Self { code: None, reason: reason.into() }
    }

    pub(crate) fn ended_by_peer() -> Self {
        Self::because("the other side has finished")
    }
}

impl From<&ConnectionError> for Closed {
    fn from(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => {
                let said = String::from_utf8_lossy(&close.reason);
                Self {
                    code: CloseCode::from_wire(close.error_code),
                    reason: format!("closed by the other side: {said}"),
                }
            }
            ConnectionError::TimedOut => Self::because("nothing heard from the other side for the idle time-out"),
            ConnectionError::Reset => Self::because("the other side has forgotten this connection (it was restarted)"),
            ConnectionError::LocallyClosed => Self::because("closed on this side"),
            ConnectionError::TransportError(failed) => {
                Self::because(alert::found_here(failed.code, &failed.to_string()))
            }
            ConnectionError::ConnectionClosed(close) => {
                Self::because(alert::found_there(close.error_code, &close.to_string()))
            }
            other => Self::because(other.to_string()),
        }
    }
}

impl From<ConnectionError> for Closed {
    fn from(error: ConnectionError) -> Self {
        Self::from(&error)
    }
}

/// Closes with a code and a sentence. What is not yet sent is lost.
pub(crate) fn close(connection: &quinn::Connection, code: CloseCode, reason: &dyn fmt::Display) {
    connection.close(code.on_the_wire(), reason.to_string().as_bytes());
}
