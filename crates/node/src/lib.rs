//! The driver of one node: it turns the host's effects into disk writes and frames.
//!
//! One task owns the [`host::Host`] and takes turns; one thread owns the log, another the checkpoints. The driver decides
//! nothing about the protocol: it carries things to and from the host in the order that the host's documentation asks for.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | `node.toml` |
//! | [`clients`] | who is connected, and what they may ask |
//! | [`log_thread`], [`page_thread`] | the two stores, each behind a bounded queue |
//! | [`driver`] | a node: opening it, its turns, its end |
//! | `clock` | the machine's clocks |
//! | `ready` | what `/readyz` tells |
//! | `inspection` | looking at the data of a node that does not run |
//! | `error` | why a node could not start, or had to stop |
//! | `telemetry` | what is counted and measured |

pub mod clients;
mod clock;
pub mod config;
pub mod driver;
mod error;
mod inspection;
pub mod log_thread;
pub mod page_thread;
mod ready;
mod telemetry;

pub use config::{ConfigError, NodeConfig, NodeFile};
pub use driver::{LET_GO, Node};
pub use error::NodeError;
pub use inspection::inspect;
