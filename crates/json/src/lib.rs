//! What programs read: the JSON that the command line prints and HTTP answers with. Its shapes are what scripts rely on.
//!
//! Keys and words never change their meaning; new keys may appear. Times are Unix milliseconds, all integers are below
//! 2^53. What is not known is left out (`bound_ms`); what is known to be nothing is `null`.
//!
//! Each shape says of itself what it is: to OpenAPI by [`ToSchema`](utoipa::ToSchema), to
//! `TypeScript` by [`TS`](ts_rs::TS).

mod cluster;
mod land;
mod player;
mod receipt;
mod refusal;
mod rules;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use cluster::{Cluster, Figures, Node, Shard};
pub use land::{Changed, Crop, Done, Field, FieldAnswer, ViewAnswer};
pub use player::{EstateAnswer, PlayerAnswer, Registered};
pub use receipt::Receipt;
pub use refusal::Problem;
pub use rules::{Rules, RulesAnswer, building_name, character_name, crop_name};
