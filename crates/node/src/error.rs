//! Why a node could not start, or had to stop.

use crate::config::ConfigError;
use storage::{DataError, LogError, PagesError};
use transport::{IdentityError, TransportError};
use world::land::PageError;

/// Why a node could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its keys.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Its checkpoints.
    #[error(transparent)]
    Pages(#[from] PagesError),
    /// Its log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A chunk's page that cannot be read.
    #[error("a chunk in the checkpoints: {0}")]
    Page(#[from] PageError),
    /// Its network.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Its HTTP port.
    #[error(transparent)]
    Http(#[from] gateway::BindError),
    /// Its gateway.
    #[error(transparent)]
    Gateway(#[from] gateway::StartError),
    /// What the stores hold cannot be used.
    #[error(transparent)]
    Host(#[from] host::HostError),
    /// The machine refused something small.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// A thread is gone.
    #[error("the {0} thread ended unexpectedly: look for a panic above")]
    Thread(&'static str),
}
