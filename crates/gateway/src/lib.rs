//! HTTP in front of a node.
//!
//! The gateway never knows what a shard or a ballot is: it asks the node through small traits ([`Readiness`], [`Figures`])
//! and speaks HTTP to the rest of the world. What it serves:
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 as long as the process lives |
//! | `/readyz` | 200 when the node serves claims; 503 and what is missing while it does not |
//! | `/metrics` | the node's figures in Prometheus' text format; `?per=shard` adds a line for each shard and figure |
//!
//! Whatever goes wrong is told as problem details (RFC 9457) with a stable `type`: see [`problem`].
//!
//! Every resource that a stranger could use up has a bound: connections at a time, header bytes and fields, the time to
//! send a header, the time to answer, and the size of a body. See [`Times`] and the constants of [`serve`](mod@serve).

mod health;
pub mod listen;
mod metrics;
pub mod problem;
pub mod serve;

pub use health::{Missing, Readiness};
pub use listen::{BindError, bind};
pub use metrics::{Figures, Rendering};
pub use problem::Problem;
pub use serve::{Times, serve};
