//! All replicas of one node, pure: the turn, timers, node liveness, routing.
//!
//! # What a driver owes
//!
//! 1. It hands in everything that has arrived (`handle_*`), then calls [`Host::finish_turn`] and carries out the
//!    [`Turn`]: frames first, then the releases, then the write, then the rest. Behind the write it sends what
//!    [`Host::take_answers`] gives, asked with the time of that moment.
//!    The moment given to [`Host::finish_turn`] is read after everything handed in had arrived.
//! 2. Writes become durable in the order of their ids; then [`Host::handle_written`]. The next turn need not wait.
//! 3. Frames may be lost, repeated, reordered and late. Peers are who the transport says they are.
//! 4. It calls [`Host::handle_tick`] at [`Host::next_tick`] or later.
//! 5. A failed write ends the node: nothing is to be handed in any more.
//!
//! The clock that runs timers is monotonic and need not agree with anybody's; the wall clock only stamps log entries.
//!
//! | module | what it holds |
//! |---|---|
//! | `alarms` | when a shard wants to be stepped though nothing comes for it |
//! | `answers` | what clients are answered, if it is still true |
//! | [`clock`] | the two clocks as values |
//! | [`config`] | what a node starts from |
//! | [`fabric`] | one probe per pair of nodes and interval: who is there, whom it hears |
//! | [`support`] | what nodes promise each other so that a leader may answer alone |
//! | [`lease`] | which leaders here may, and until when |
//! | [`freshness`] | how old the state of the others can be at most |
//! | [`election`] | when a leaderless shard's replica stands, and how long it waits after a failure |
//! | `memory` | cold chunks leave, so that a world may outgrow its nodes' memory |
//! | `loads` | chunks that are read from the store, so many at a time |
//! | [`members`] | replicas come and go; which life of a disk may speak |
//! | `snapshots` | checkpoints on their way from node to node |
//! | `liaison` | the words between nodes: probes, answers, promises |
//! | `leadership` | what the fabric's news mean for the shards |
//! | `onlooking` | what this node's own gateway looks at, and is told |
//! | `routing` | who is to answer: a client, another shard |
//! | `writing` | a write under way, and what waits for it |
//! | `tally` | a figure of each replica, and their sum |
//! | [`turn`] | what a turn wants done |
//! | `survey` | what a node looks like from outside |
//! | [`host`] | the node: what comes in |
//! | `stepping` | the turn's end: what goes out |

mod alarms;
mod answers;
pub mod clock;
pub mod config;
mod cutting;
pub mod election;
pub mod fabric;
pub mod freshness;
pub mod host;
mod leadership;
pub mod lease;
mod liaison;
mod loads;
pub mod members;
mod memory;
mod onlooking;
mod routing;
mod snapshots;
mod stepping;
pub mod support;
mod survey;
mod tally;
#[cfg(test)]
mod tests;
pub mod turn;
mod writing;

pub use clock::{Mono, Now};
pub use config::{HostConfig, HostError, RecoveredShard};
pub use host::Host;
pub use snapshots::MAX_SERVED;
pub use survey::{PeerSurvey, ShardSurvey, Survey};
pub use turn::{LogRead, PartRead, Turn, Write};
