//! Scenarios played in the simulator: each is named by its topology, its fault and what must come of it.

mod claims;
mod determinism;
mod disks;
mod leases;
mod members;
mod messages;
mod outside;
mod overload;
mod partitions;
mod power;
mod sabotage;
mod support;
