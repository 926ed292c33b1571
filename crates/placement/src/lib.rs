//! Which shard holds what, and which nodes hold which shard.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cluster`] | which cluster all this is about |
//! | [`level`] | how sure a read is |
//! | [`map`] | shard ids and the shard map: bucket ranges and voters |
//! | [`membership`] | whether a node belongs to a shard |
//! | [`partition`] | how chunks spread over shards: hash, range, round robin |
//! | [`policy`] | what a map file says of the shards |
//! | [`region`] | regions and the round-trip times between them, read from `maps/regions/*.toml` |

pub mod cluster;
pub mod level;
pub mod map;
pub mod membership;
pub mod partition;
pub mod policy;
pub mod region;

pub use cluster::{ClusterId, ClusterIdError};
pub use level::{Level, NotALevel};
pub use map::{ShardId, ShardInfo, ShardMap};
pub use membership::Membership;
pub use partition::{Balance, Partitioner};
pub use policy::PolicyError;
pub use region::{RegionName, Regions};
