//! The SDK against nodes played by the test, over real QUIC.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bulk;
mod calls;
mod connections;
mod nodes;
mod profiles;
