//! Consensus alone: three nodes in one thread, nothing but memory, commands of 16 bytes.
//!
//! No disk, no network, no encoding: what is left is what a library itself takes to get a command decided on all three. Each
//! is driven as its own documentation says, with its own memory store, and each carries messages by value.

mod omnipaxos;
mod openraft;
mod ours;
mod raft;

use crate::Failure;
use crate::cli::CoreTask;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What is decided: no bytes of it matter.
pub type Command = [u8; 16];

/// The share of the time that is not counted.
const WARM_UP: f64 = 0.2;
/// Asking the clock costs as much as a command: it is asked once for so many turns.
const TURNS: u32 = 16;

/// A library under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Library {
    /// Ours as the nodes drive it: what has arrived in a turn becomes one slot
    Ours,
    /// Ours with one slot for each command
    OursSlotEach,
    /// `omnipaxos`
    Omnipaxos,
    /// `raft`, of TiKV
    Raft,
    /// `openraft`
    Openraft,
}

impl Library {
    /// All of them, ours first.
    pub const ALL: [Self; 5] = [Self::Ours, Self::OursSlotEach, Self::Omnipaxos, Self::Raft, Self::Openraft];

    /// Commands in flight that it is measured with.
    pub const DEPTHS: [usize; 3] = [1, 64, 1_024];

    /// As it is shown.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::OursSlotEach => "ours, a slot each",
            Self::Omnipaxos => "omnipaxos",
            Self::Raft => "raft",
            Self::Openraft => "openraft",
        }
    }
}

/// Measures one and prints it.
pub fn run(task: &CoreTask) -> Result<(), Failure> {
    let per_s = measure(task.library, task.in_flight, Duration::from_secs(task.seconds))?;
    println!("{}", serde_json::json!({ "per_s": per_s }));
    Ok(())
}

/// Three nodes that lead nowhere but to each other.
trait Core {
    /// Proposes so many commands at the leader.
    fn propose(&mut self, commands: usize);
    /// Carries what is on its way; how many more commands the leader has decided.
    fn turn(&mut self) -> usize;
}

/// Commands decided a second, with so many in flight.
fn measure(library: Library, in_flight: usize, time: Duration) -> Result<f64, Failure> {
    match library {
        Library::Ours => Ok(rate(&mut ours::Ours::new(ours::Slots::OneATurn), in_flight, time)),
        Library::OursSlotEach => Ok(rate(&mut ours::Ours::new(ours::Slots::OneEach), in_flight, time)),
        Library::Omnipaxos => Ok(rate(&mut omnipaxos::Omni::new(), in_flight, time)),
        Library::Raft => Ok(rate(&mut raft::Raft::new()?, in_flight, time)),
        Library::Openraft => openraft::rate(in_flight, time),
    }
}

fn rate(core: &mut impl Core, in_flight: usize, time: Duration) -> f64 {
    let mut meter = Meter::new(time);
    let mut free = in_flight;
    while meter.is_open() {
        for _ in 0..TURNS {
            if free > 0 {
                core.propose(free);
            }
            free = core.turn();
            meter.add(free);
        }
    }
    meter.rate()
}

/// Counts what is decided behind the warm-up.
#[derive(Debug)]
struct Meter {
    warm: Instant,
    end: Instant,
    /// When counting began, and how many had been decided.
    from: Option<(Instant, u64)>,
    decided: u64,
}

impl Meter {
    fn new(time: Duration) -> Self {
        let begin = Instant::now();
        Self { warm: begin + time.mul_f64(WARM_UP), end: begin + time, from: None, decided: 0 }
    }

    fn add(&mut self, decided: usize) {
        self.decided += decided as u64;
    }

    fn is_open(&mut self) -> bool {
        let now = Instant::now();
        if self.from.is_none() && now >= self.warm {
            self.from = Some((now, self.decided));
        }
        now < self.end
    }

    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    fn rate(&self) -> f64 {
        let (from, before) = self.from.unwrap_or((self.warm, 0));
        (self.decided - before) as f64 / from.elapsed().as_secs_f64()
    }
}
