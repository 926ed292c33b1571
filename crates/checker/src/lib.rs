//! Histories and their checkers: what a run of the system showed, held against what it promises.
//!
//! One module per property; each is fed values and answers with the first contradiction, named so that a person can see
//! what went wrong. The simulator and the tests over real processes share them.
//!
//! | module | promise |
//! |---|---|
//! | [`linearizable`] with [`field`] | every answer about one field fits one order of all operations on it, in real time |
//! | [`agreement`] | no two replicas ever apply different values at one slot of one shard |
//! | [`ownership`] | an acknowledged claim is there, with the same owner, at every replica |
//! | [`receipts`] | no answer is older than its receipt says |
//! | [`sessions`] | a session never loses sight of what it has read and written |
//! | [`watches`] | whoever watches land is shown every change of it, once, and nothing else |
//! | [`conservation`] | acorns are neither made nor lost but by the rules |
//!
//! No clock, no randomness, no map with a random order: the same history gives the same report, to the byte.

pub mod agreement;
pub mod conservation;
pub mod field;
pub mod history;
pub mod linearizable;
pub mod ownership;
pub mod receipts;
pub mod sessions;
pub mod watches;

pub use agreement::{Agreement, Disagreement};
pub use field::{FieldModel, FieldOp, FieldRet};
pub use history::{At, History, OpId};
pub use linearizable::{Model, Violation, check};
pub use ownership::Ownership;
pub use receipts::Acknowledged;
pub use sessions::Sessions;
pub use watches::Watches;
