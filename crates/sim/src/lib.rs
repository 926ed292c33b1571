//! Whole clusters in one thread under one seed: virtual time, a network that loses, doubles, reorders and cuts, disks
//! that tear, stall, rot, fill up and fail, clocks that drift, machines that crash and pause, an operator, and clients that
//! keep asking.
//!
//! What runs is the product's own code (`host` and `client-proto`); only its surroundings are made up. A run has three
//! parts: faults strike while players claim, farm and look; then everything is mended; then, within a bound, every shard
//! must serve and every replica must be the same. All along an observer who sees everything holds the run against what
//! is promised. A seed and a commit reproduce a run exactly, on any machine and any number of threads.
//!
//! The idea is `FoundationDB`'s and `TigerBeetle`'s; the swarm of fault mixes is Groce's (*Swarm Testing*, 2012).
//!
//! | module | what it holds |
//! |---|---|
//! | [`campaign`] | many seeds on many threads, and what is said about them |
//! | [`run`] | one seed, from its plan to the verdict |
//! | [`plan`], [`fault`] | what a seed plays, and what goes wrong in it |
//! | [`cluster`] | the event loop; its parts are in `serve` and `power` (machines), `play` and `watch` (clients), `ending` (faults and the end) |
//! | [`machine`], [`disk`], [`network`], [`clock`] | what a node stands on |
//! | [`operator`] | whoever replaces broken disks and brings their nodes back |
//! | [`player`], [`sites`] | a client, and where it plays |
//! | [`judge`], [`ledger`] | the observer, and what it knows to be on a disk |
//! | [`meddle`] | a hand in the network, for scenarios that need one message to go astray |
//! | [`sabotage`] | broken surroundings, so that tests see the observer object |
//! | [`trace`], [`stats`], [`coverage`], [`digest`] | what is told of a run, and what a campaign should have met |
//! | [`agenda`], [`random`] | the future, and chance |

pub mod agenda;
pub mod campaign;
pub mod clock;
pub mod cluster;
pub mod coverage;
pub mod digest;
pub mod disk;
mod ending;
pub mod fault;
pub mod judge;
pub mod ledger;
pub mod machine;
pub mod meddle;
pub mod network;
pub mod operator;
pub mod plan;
mod play;
pub mod player;
mod power;
pub mod random;
pub mod run;
pub mod sabotage;
mod serve;
pub mod sites;
pub mod stats;
pub mod trace;
mod watch;
