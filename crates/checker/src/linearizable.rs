//! Linearizability of one object's history (Herlihy and Wing 1990): is there one order of all operations that the object
//! could have executed one by one, in which no operation comes before another that had returned before it was invoked?
//!
//! The search is Wing and Gong's (1993) with Lowe's memory (2017, *Testing for linearizability*): take any operation that
//! nothing unordered precedes, if the model allows its answer; go back when a return cannot be passed; never search on
//! from a configuration (set of operations ordered, state) that was met before. Two observations keep it small:
//!
//! * an answered operation that fits and changes nothing may be taken at once, without a way back: every order that takes
//!   it later also works if it is taken now;
//! * an open operation is worth taking only where it changes the state, and never has to be.
//!
//! The problem is NP-complete (Gibbons and Korach 1997), so time is exponential in the number of *concurrent* operations
//! at worst; hundreds of operations with tens at a time are checked in milliseconds.

mod report;
mod search;

use crate::history::History;
pub use report::Violation;
use std::fmt::Display;

/// A sequential object: what one operation at a time may answer, and what it leaves behind.
pub trait Model {
    /// The object's state.
    type State: Clone + Ord + Display;
    /// What can be asked of it.
    type Op: Display;
    /// What it can answer.
    type Ret: Display;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// The state after `op`, if from `state` it can be answered with `ret`. `ret` is `None` for an open operation: any
    /// answer will do, and what it leaves behind must be the weakest that any answer could.
    fn step(&self, state: &Self::State, op: &Self::Op, ret: Option<&Self::Ret>) -> Option<Self::State>;
}

/// Checks `history`, or returns its shortest part from the beginning that has no order, with the operations around the
/// place where every attempt got stuck.
pub fn check<M: Model>(model: &M, history: &History<M::Op, M::Ret>) -> Result<(), Violation> {
    let operations = history.operations();
    let mut returns: Vec<_> = operations.iter().filter_map(|op| op.returned.as_ref().map(|&(at, _)| at)).collect();
    returns.sort_unstable();
    returns.dedup();
    let Some(&last) = returns.last() else { return Ok(()) };
    if search::search(model, operations, last).is_ok() {
        return Ok(());
    }
    // A part of a linearizable history, cut off at any time, is linearizable, so the first bad cut can be bisected.
    let first_bad = returns.partition_point(|&at| search::search(model, operations, at).is_ok());
    let until = returns[first_bad];
    match search::search(model, operations, until) {
        Ok(()) => unreachable!("this cut was found bad before, and the search is deterministic"),
        Err(stuck) => Err(report::violation(operations, until, &stuck)),
    }
}
