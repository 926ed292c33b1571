//! What travels: between a client and a node ([`client`]), and between two nodes ([`peer`]), how it becomes bytes
//! ([`codec`]), and what a client keeps of it ([`session`]). Within one process: what a node tells its gateway ([`news`]).
//!
//! One frame is one length-prefixed MessagePack value. Between nodes structs are arrays and payloads raw bytes, since
//! there are millions of them; the greeting has named fields, so that two versions can still tell each other what they
//! are. Every size is checked before anything is decoded.

pub mod client;
pub mod codec;
pub mod consistency;
pub mod news;
pub mod peer;
mod rows;
pub mod session;

pub use client::{
    Answer, AnswerBody, Change, ClientId, Envelope, Greeting, Hello, Holdings, NodeFigures, NodeReport, Query, Refusal,
    ReplicaReport, Reply, Request, RequestBody, RequestNo, Welcome,
};
pub use consistency::Receipt;
pub use news::News;
pub use placement::{Level, NotALevel};
pub use rows::{RowError, Rows};
pub use session::{NotASession, Session};
