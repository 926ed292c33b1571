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
//! | `own_gateway` | starting the gateway, and what it is told of the land that it looks at |
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
mod own_gateway;
pub mod page_thread;
mod ready;
mod telemetry;

pub use config::{ConfigError, NodeConfig, NodeFile};
pub use driver::{LET_GO, Node};
pub use error::NodeError;
pub use gateway::{GATEWAY_TOKEN, PLAYERS_KEY};
pub use inspection::inspect;
