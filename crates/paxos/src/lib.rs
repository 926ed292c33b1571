//! Paxos as pure state machines: messages, finished writes and timeouts go in, effects come out.
//!
//! Two things live here, and the second is built on the words of the first:
//!
//! * [`synod`]: one decision, as in *Paxos Made Simple* (Lamport 2001), with proposer, acceptor and learner apart.
//! * [`replica`]: Multi-Paxos, a log of decisions: phase 1 once for all open slots, then batched, pipelined phase 2.
//!
//! [`local`] is the smallest embedder there is: a good place to begin reading.
//!
//! # What an embedder owes
//!
//! 1. Records from [`Effect::Persist`] become durable in the order they came; then, and only then, call
//!    [`Replica::handle_persisted`] with the token of the last durable one.
//! 2. A message in [`Effect::Send`] leaves no earlier than its `after` token is durable (`None`: at once). Messages may be
//!    lost, repeated, reordered and late. They must not be altered.
//! 3. Values from [`Replica::poll_chosen`] are applied in the order given.
//! 4. Messages name the number of the configuration they were sent in ([`Effect::Send`]), and come back with it.
//! 5. After a crash, [`Replica::new`] gets what was durable, all of it. A replica whose disk was lost is a new one.
//! 6. Time never matters to agreement (a lease that an embedder builds on [`Liveness`] is its own affair). For liveness, call
//!    [`Replica::handle_retry`] now and then while [`Replica::wants_retry`], and [`Replica::campaign`] when the leader seems gone.

pub mod ballot;
pub mod configuration;
pub mod liveness;
pub mod local;
pub mod message;
pub mod quorum;
pub mod record;
pub mod replica;
pub mod synod;

pub use ballot::{Ballot, NodeId, Slot};
pub use configuration::{Configuration, Incarnation};
pub use liveness::Liveness;
pub use message::{Accepted, Message, Run, Value};
pub use quorum::QuorumSystem;
pub use record::{Record, Recovered};
pub use replica::{Effect, Replica, Token};
