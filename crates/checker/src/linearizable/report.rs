//! A failed search, told so that a person can see the contradiction.

use super::search::{Stuck, answered};
use crate::history::{At, Operation};
use std::fmt::{self, Display, Write};

/// How many of the operations that could be ordered are shown before the place where it got stuck.
const CONTEXT: usize = 4;

/// The most columns of the drawn timeline.
const COLUMNS: usize = 40;

/// A history that fits no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The answer that made it impossible: without it, everything before can be ordered.
    pub culprit: String,
    /// How many operations the best attempt ordered, and how many had to be.
    pub ordered: usize,
    /// How many had been answered by then.
    pub answered: usize,
    /// The object's state after them.
    pub state: String,
    /// The operations around that place, drawn over time, one a line: first those that the best attempt ordered last
    /// (`+`), then those it could not (`?`).
    pub window: Vec<String>,
}

impl std::error::Error for Violation {}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "not linearizable: no order explains {}", self.culprit)?;
        writeln!(f, "the best attempt orders {} of {} answers and leaves {}", self.ordered, self.answered, self.state)?;
        writeln!(f, "(+ ordered, the last ones; ? not; a bar without an end is an open operation)")?;
        self.window.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

pub(super) fn violation<Op: Display, Ret: Display, State: Display>(
    operations: &[Operation<Op, Ret>],
    until: At,
    stuck: &Stuck<State>,
) -> Violation {
    let known = |index: &usize| answered(&operations[*index], until).is_some();
    let relevant = |index: &usize| operations[*index].invoked <= until && !operations[*index].withdrawn;
    let is_culprit = |index: &usize| answered(&operations[*index], until) == Some(until);
    let culprits = (0..operations.len()).filter(is_culprit).map(|index| tell(&operations[index], until));
    let mut rest: Vec<usize> = (0..operations.len()).filter(relevant).filter(|i| !stuck.order.contains(i)).collect();
    rest.sort_by_key(|&index| operations[index].invoked);
    let recent = &stuck.order[stuck.order.len().saturating_sub(CONTEXT)..];
    let shown: Vec<(char, usize)> =
        recent.iter().map(|&index| ('+', index)).chain(rest.iter().map(|&index| ('?', index))).collect();
    Violation {
        culprit: culprits.collect::<Vec<_>>().join(", or "),
        ordered: stuck.order.iter().filter(|index| known(index)).count(),
        answered: (0..operations.len()).filter(known).count(),
        state: stuck.state.to_string(),
        window: draw(operations, until, &shown),
    }
}

fn tell<Op: Display, Ret: Display>(operation: &Operation<Op, Ret>, until: At) -> String {
    let Operation { client, op, invoked, .. } = operation;
    match &operation.returned {
        Some((at, ret)) if *at <= until => format!("client {client}: {op} -> {ret} ({}..{})", invoked.0, at.0),
        _ => format!("client {client}: {op} -> ? ({}..)", invoked.0),
    }
}

/// One line per operation: mark, bar, words. Columns are moments, in order but not to scale.
fn draw<Op: Display, Ret: Display>(
    operations: &[Operation<Op, Ret>],
    until: At,
    shown: &[(char, usize)],
) -> Vec<String> {
    let ends = |index: usize| (operations[index].invoked, answered(&operations[index], until));
    let mut moments: Vec<At> = shown.iter().flat_map(|&(_, i)| [Some(ends(i).0), ends(i).1]).flatten().collect();
    moments.sort_unstable();
    moments.dedup();
    let scale = moments.len().saturating_sub(1).max(1);
    let width = COLUMNS.min(3 * scale);
    let column = |at: At| moments.partition_point(|&moment| moment < at) * width / scale;
    let line = |&(mark, index): &(char, usize)| {
        let (from, to) = ends(index);
        let mut line = format!("  {mark} {}|", " ".repeat(column(from)));
        let end = to.map_or(width, column);
        let _ = match to {
            Some(_) => write!(line, "{}|{}", "-".repeat(end - column(from)), " ".repeat(width - end)),
            None => write!(line, "{} ", "-".repeat(end - column(from))),
        };
        let _ = write!(line, "  {}", tell(&operations[index], until));
        line
    };
    shown.iter().map(line).collect()
}
