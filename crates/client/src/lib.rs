//! The SDK: talk to a cluster as a player or an operator.
//!
//! ```no_run
//! # async fn tour() -> Result<(), Box<dyn std::error::Error>> {
//! use client::{Client, Options, Profile, ReadOptions};
//! use std::path::Path;
//!
//! let profile = Profile::load(Path::new("icefarm-data/client.toml"))?;
//! let client = Client::connect(profile, Options::default()).await?;
//! let scrat = client.player("scrat")?;
//! scrat.register().await?;
//! let squirrel = client.rules().character_named("squirrel")?;
//! let done = scrat.claim("30980,8190".parse()?, squirrel).await?;
//! println!("{} at version {}", done.field.field, done.field.version);
//! let seen = client.field(done.field.field, ReadOptions::strong()).await?;
//! println!("{:?}", seen.field.owner);
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! One [`Client`] keeps one connection to each node of its [`Profile`], reconnects for ever, finds leaders, follows hints
//! and retries with the same request number, so that a command takes effect once however often it had to be sent. An
//! [`Error::Unavailable`] says whether it may have taken effect. Clones of a client share all of it; a client works on
//! both of tokio's runtimes.
//!
//! What goes to one node at one time goes in one frame, so the more callers there are the cheaper each call becomes. Who
//! needs tens of thousands of commands a second should use a [`Client::pipeline`], which spares a task per command.
//!
//! The protocol itself is in the pure crate `client_proto`; this crate only brings time and the network to it.

mod client;
mod driver;
mod error;
mod link;
mod pipeline;
mod player;
mod profile;
mod profile_file;
mod report;
mod watch;

pub use client::{CensusRead, Client, EstateRead, FieldRead, Options, PlayerRead, ReadOptions, ViewRead};
pub use client_proto::{Applied, Failure, Given, Options as RequestOptions, Read, Reason, Shown, Success};
pub use error::{ConnectError, Error, Tried, WhyNot};
pub use pipeline::{Completion, Completions, Job, Submitter};
pub use player::{Done, Player, Registered};
pub use profile::{NodeEntry, Profile, ProfileError};
pub use report::{NodeState, NodeStatus, ShardStatus, Shards};
pub use watch::{Event, Watch};
