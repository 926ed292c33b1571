//! One SDK instance's outstanding requests, as a pure state machine in the manner of `quinn-proto`: no clock, no network,
//! no task. The SDK drives it with tokio, the simulator with virtual time.
//!
//! # Call order
//!
//! 1. [`ClientProto::handle_welcome`] whenever a connection to a node has been greeted, and
//!    [`ClientProto::handle_disconnected`] when it is gone. Nothing can be started before the first welcome, because the
//!    world's seed and the shard map come with it.
//! 2. `start_*` begins an operation and gives its [`OpId`]; [`ClientProto::handle_answers`] takes what a node sent;
//!    [`ClientProto::handle_timeout`] is to be called once [`ClientProto::next_timeout`] has come.
//! 3. After any of these: [`ClientProto::poll_transmit`] until it is dry (send all requests of one node in one frame),
//!    then [`ClientProto::poll_outcome`] until it is dry, or [`ClientProto::drain_outcomes`]. Every started operation has
//!    exactly one outcome.
//!
//! A request given out by `poll_transmit` must either be handed to that node's connection or be followed by
//! `handle_disconnected`. A connection delivers each request at most once, and delivers nothing after it has been
//! reported as disconnected (what is on its way may still *arrive* at the node); answers may come in any order.
//!
//! # Exactly once, and knowing it
//!
//! Commands are numbered from 1 and a retry keeps its number, so that shards can repeat the first answer. Each *attempt*
//! at a request carries a label of its own, so that a refusal says no about the attempt it answers and about nothing else:
//!
//! * An attempt is *settled* by a refusal after which it can never take effect (`NotLeader`, `Moved`, `Overloaded`,
//!   `NoQuorum`, `NotAllowed`, `Invalid`). One that timed out, that was under way when its connection broke, or whose
//!   leader was `Deposed` is *open*: it may have been applied, or may yet be.
//! * `Applied` is the truth about the number, whichever attempt it answers. `Expired` is too: log time never runs
//!   backwards, so an attempt that is still to be decided will find the deadline passed as well. As long as the operation
//!   has time left, it goes on under a new number, with a deadline by the log's clock, which the refusal names.
//! * A command that ends without either is [`Applied::No`] if every attempt is settled (or none was ever sent), and
//!   [`Applied::Unknown`] otherwise.
//!
//! # The floor
//!
//! Every command carries the lowest number that is still outstanding *here*. A number leaves that window with its
//! operation's outcome, also with an unknown one, although copies may still be on their way. That is safe: a shard refuses
//! what is below the highest floor it has seen, so such a copy is either applied before that (once: then *unknown* was
//! right) or never. And it is needed: otherwise one unknown outcome would make every shard remember all of this client's
//! answers for ever. A command under way is never below its own floor, so its retries always meet the shard's memory.
//!
//! # Bounds
//!
//! [`Options::max_in_flight`] operations, four times as many parts of them, [`Options::max_window`] numbers from the
//! floor to the newest: `start_*` refuses beyond. Back-offs are randomised from the seed given to
//! [`ClientProto::new`]; the same calls give the same results.

mod answer;
mod attempt;
mod bunch;
mod nodes;
mod op;
mod options;
mod past;
mod proto;
mod routes;
mod second;
mod shown;
mod slab;
mod split;
mod timers;
mod window;

pub use nodes::WelcomeError;
pub use op::{Applied, Failure, Given, OpId, Read, Reason, StartError, Success};
pub use options::Options;
pub use proto::ClientProto;
pub use routes::BrokenMap;
pub use shown::Shown;
pub use timers::Now;
