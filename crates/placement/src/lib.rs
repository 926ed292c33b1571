//! Which shard holds what, and which nodes hold which shard.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cluster`] | which cluster all this is about |
//! | [`map`] | shard ids and the shard map: bucket ranges and voters |
//! | [`partition`] | how chunks spread over shards: hash, range, round robin |
//! | [`region`] | regions and the round-trip times between them, read from `maps/regions/*.toml` |

pub mod cluster;
pub mod map;
pub mod partition;
pub mod region;

pub use cluster::{ClusterId, ClusterIdError};
pub use map::{ShardId, ShardInfo, ShardMap};
pub use partition::{Balance, Partitioner};
pub use region::{RegionName, Regions};
