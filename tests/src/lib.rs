//! Harness for tests that cross crates: real node processes on this machine, real QUIC, real disk, real `kill -9`.
//!
//! | module | what for |
//! |---|---|
//! | [`cluster`] | found, start, kill, stop, restart; nothing outlives its test |
//! | [`program`] | one child process, with what it says |
//! | [`cli`] | the command line as scripts use it: exit status and JSON |
//! | [`operator`] | the SDK for tests that are not asynchronous themselves: reports, and what each replica holds |
//! | [`storm`] | many clients claiming at once, and what they were told |
//! | [`http`] | the little HTTP that asking a node needs |
//! | [`viewer`] | somebody at a gateway's WebSocket, message by message |
//! | [`raw`] | a client that says what no SDK would |
//! | [`scratch`] | directories that go with their test, unless it failed |
//! | [`disk`] | damage to a node's files |
//! | [`network`] | a network of a cluster's own, whose links can be cut |
//! | [`small_disk`] | a disk of a node's own that can be filled up |
//! | [`wait`] | every wait is for a condition, with a deadline |
//!
//! Clusters share two cores, so a process runs one at a time: [`Cluster::start`](cluster::Cluster::start) waits its turn.
//! Files of a test that failed are kept, and their place is printed.

pub mod cli;
pub mod cluster;
pub mod disk;
pub mod http;
pub mod network;
pub mod operator;
pub mod program;
pub mod raw;
pub mod scratch;
pub mod small_disk;
pub mod storm;
pub mod viewer;
pub mod wait;

pub use cli::{Answer, Cli};
pub use cluster::{Cluster, Options};
pub use network::Network;
pub use operator::Operator;
pub use program::Program;
pub use scratch::Scratch;
pub use small_disk::SmallDisk;
pub use wait::until;
