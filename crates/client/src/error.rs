//! What can go wrong.

use client_proto::{Applied, Failure, Reason, WelcomeError};
use paxos::NodeId;
use std::{fmt, io};
use wire::Receipt;
use world::{Rejection, name::NameError};

/// Why an operation gave no answer, or one that nobody likes to hear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The world's rules said no, and nothing changed.
    #[error("{0}")]
    Rejected(Rejection, Receipt),
    /// Nobody could answer in time.
    #[error("{}", unavailable(*applied, *reason, missing, *retry_after_ms))]
    Unavailable {
        /// Whether it may have taken effect.
        applied: Applied,
        /// Why.
        reason: Reason,
        /// Nodes that should have answered and did not.
        missing: Vec<NodeId>,
        /// When asking again may help, in milliseconds.
        retry_after_ms: u64,
    },
    /// The profile's token does not allow that. Not applied.
    #[error("not allowed: {reason}")]
    NotAllowed {
        /// The node's sentence.
        reason: String,
    },
    /// Wrong whatever the world's state. Not applied.
    #[error("invalid: {reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
    /// This client has been closed. A command under way may have been applied.
    #[error("the client has been closed")]
    Closed,
}

fn unavailable(applied: Applied, reason: Reason, missing: &[NodeId], retry_after_ms: u64) -> Failure {
    Failure::Unavailable { applied, reason, missing: missing.to_vec(), retry_after_ms }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable { applied, reason, missing, retry_after_ms } => {
                Self::Unavailable { applied, reason, missing, retry_after_ms }
            }
            Failure::NotAllowed { reason } => Self::NotAllowed { reason },
            Failure::Invalid { reason } => Self::Invalid { reason },
        }
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        Self::Invalid { reason: error.to_string() }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The certificate that the profile names cannot be used.
    #[error("the cluster's certificate cannot be used: {0}")]
    Certificate(#[from] transport::IdentityError),
    /// This machine has no socket for us.
    #[error(transparent)]
    Socket(#[from] transport::TransportError),
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Random(#[from] getrandom::Error),
    /// Not one node took us.
    #[error("no node can be reached: {}", List(.0))]
    Nobody(Vec<Tried>),
}

impl ConnectError {
    /// Whether a node was reached that does not want this client: another token is needed, not another try.
    pub fn is_not_allowed(&self) -> bool {
        let refused =
            |tried: &Tried| matches!(tried.why, WhyNot::Goodbye { version, .. } if version == wire::client::VERSION);
        matches!(self, Self::Nobody(tried) if tried.iter().any(refused))
    }
}

/// A node that was tried in vain.
#[derive(Debug, thiserror::Error)]
#[error("{node} at {addr}: {why}")]
pub struct Tried {
    /// Which.
    pub node: NodeId,
    /// Where, as the profile says.
    pub addr: String,
    /// Why it did not work.
    pub why: WhyNot,
}

/// Why a connection does not stand.
#[derive(Debug, thiserror::Error)]
pub enum WhyNot {
    /// The address has no meaning here.
    #[error("its address cannot be looked up: {0}")]
    Lookup(#[source] io::Error),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] transport::ConnectError),
    /// The node said no to the greeting.
    #[error("refused: {reason} (it speaks version {version}, this client {})", wire::client::VERSION)]
    Goodbye {
        /// The version it speaks.
        version: u32,
        /// Its sentence.
        reason: String,
    },
    /// It greeted with something that makes no sense.
    #[error(transparent)]
    Welcome(#[from] WelcomeError),
    /// The connection broke, or said what is no part of the protocol.
    #[error("the connection ended: {0}")]
    Broken(String),
}

struct List<'a>(&'a [Tried]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, tried) in self.0.iter().enumerate() {
            write!(f, "{}{tried}", if nth == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}
