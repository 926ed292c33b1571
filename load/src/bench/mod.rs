//! One measurement each, of one thing, beside what could be had at best: claims and reads against an echo and a sync, and what
//! failures, rebuilds and years cost.
//!
//! | module | what it measures |
//! |---|---|
//! | `claims` | durable claims, a closed loop |
//! | `scale` | claims with more shards, voters and land |
//! | `reads` | with and without a lease |
//! | `viewers` | those who watch land through a gateway |
//! | `failover`, `restart`, `rebuild`, `slow_disk` | what a fault costs, and how soon it is mended |
//! | `soak`, `memory` | whether disk and memory level off, and where |
//! | `partitions` | three ways to lay chunks over shards (nothing is started) |
//! | `paths` | the hot pure paths alone: nanoseconds, and instructions for CI |
//! | `floors` | what nothing can beat here |

pub mod claims;
pub mod failover;
pub mod floors;
pub mod memory;
pub mod partitions;
pub mod paths;
pub mod reads;
pub mod rebuild;
pub mod report;
pub mod restart;
pub mod scale;
pub mod slow_disk;
pub mod soak;
pub mod viewers;
