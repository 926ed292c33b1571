//! Requests under faults, played call for call: no clock, no network.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod behind;
mod bounds;
mod bunches;
mod commands;
mod play;
mod reads;
mod routing;
mod unknown;
