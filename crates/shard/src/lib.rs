//! One replica of one shard: Paxos decides the order, the world's rules decide what comes of it, and clients hear once.
//!
//! Pure: messages, finished writes, loaded chunks and the wall clock come in as values, [`Effect`]s go out. The host steps
//! a replica once per turn with [`Replica::step`], which makes one batch of everything that came, and applies what is
//! chosen.
//!
//! | module | what it holds |
//! |---|---|
//! | [`batch`] | what a slot of the log carries |
//! | [`requests`] | exactly-once: which requests were answered, and how |
//! | [`state`] | everything that apply reads or writes, and how it becomes a checkpoint |
//! | [`replica`] | the parts put together |
//! | [`effect`] | what a replica wants done |
//! | `checkpoint` | how far the state is durable, and what the log may forget |
//! | `changing` | changing who takes part |
//! | `office` | standing for election, leading, handing over |
//! | `reads` | when a question may be answered, and with what |
//! | `views` | land that many look at, packed |
//! | [`Sight`] | what the gateway of this node looks at, and what it is told |
//! | `watching` | what has changed of late, and who waits to hear of it |
//! | [`vantage`] | what a replica may say of itself at one moment |
//! | `paying` | payments between shards |
//!
//! # Invariants
//!
//! * Nothing but a chosen batch changes [`state::State`], and it changes the same way on every replica.
//! * A command's answer leaves only after its slot is chosen and applied here.
//! * A checkpoint is a cut at one slot of *everything* that apply uses.

mod answers;
pub mod batch;
pub mod changing;
mod checkpoint;
pub mod effect;
mod office;
mod paying;
mod reads;
pub mod replica;
pub mod requests;
mod sight;
pub mod state;
#[cfg(test)]
mod tests;
pub mod vantage;
mod views;
mod watching;

pub use batch::{Batch, Genesis, Item};
pub use effect::{ConnId, Effect, Origin};
pub use replica::Replica;
pub use sight::Sight;
pub use state::{Cut, RestoreError, Stored};
pub use vantage::{Mono, Vantage};
