//! One seed, from its plan to the verdict.

use crate::cluster::Cluster;
use crate::judge::{Judge, Violation};
use crate::plan::Plan;
use crate::stats::Stats;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which run.
    pub seed: u64,
    /// A number that stands for everything that happened.
    pub digest: u64,
    /// What happened, counted.
    pub stats: Stats,
    /// What was broken: a promise, or an assertion of the product.
    pub failure: Option<String>,
    /// The diagram, if it was wanted.
    pub lines: Vec<String>,
}

thread_local! {
    /// Whether a run goes on in this thread, whose panics belong into its report.
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Plays `plan` to its end. A panic of the product is a failure like any other.
pub fn run(plan: Plan, traced: bool) -> Report {
    quiet_panics();
    let seed = plan.seed;
    let mut cluster = Cluster::new(plan, traced);
    RUNNING.set(true);
    let played = panic::catch_unwind(AssertUnwindSafe(|| cluster.play()));
    RUNNING.set(false);
    let failure = if played.is_ok() {
        cluster.judge.violation.as_ref().map(Violation::to_string)
    } else {
        let what = PANIC.with(|panic| panic.borrow_mut().take());
        Some(format!("an assertion failed at {}: {}", cluster.now, what.unwrap_or_default()))
    };
    let digest = cluster.digest();
    let Judge { stops, receipts, reads, .. } = cluster.judge;
    let stats = Stats { stops, receipts, session_reads: reads, ..cluster.stats };
    Report { seed, digest, stats, failure, lines: cluster.trace.into_lines() }
}

/// A run's panics are told in its report, not on the terminal.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if RUNNING.get() {
                PANIC.with(|panic| *panic.borrow_mut() = Some(info.to_string()));
            } else {
                others(info);
            }
        }));
    });
}
