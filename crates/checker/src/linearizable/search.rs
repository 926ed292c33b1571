//! The search for an order.

use super::Model;
use crate::history::{At, Operation};
use std::collections::BTreeSet;

/// The furthest that any attempt came.
pub(super) struct Stuck<State> {
    /// Operations in the order tried, by index into the history.
    pub order: Vec<usize>,
    /// The state after them.
    pub state: State,
}

/// The beginning or end of an operation in time, as a node of a doubly linked list.
#[derive(Clone, Copy)]
struct Event {
    operation: usize,
    /// Of an invocation: where its return is, if it has one. `None` in a return.
    kind: Kind,
    previous: usize,
    next: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Ends,
    Invoke { answer: Option<usize> },
    Return,
}

/// Stands before the first and after the last event.
const ENDS: usize = 0;

/// What has not been ordered yet, by time. Taking an operation out and putting the last one back cost a few writes.
struct Timeline(Vec<Event>);

impl Timeline {
    /// Everything that was invoked before or at `until`; what returned later is open. At equal times invocations come
    /// first: what touches counts as concurrent.
    fn new<Op, Ret>(operations: &[Operation<Op, Ret>], until: At) -> Self {
        let mut points = vec![];
        for (index, operation) in operations.iter().enumerate() {
            if operation.invoked > until || operation.withdrawn {
                continue;
            }
            points.push((operation.invoked, false, index));
            if let Some(at) = answered(operation, until) {
                points.push((at, true, index));
            }
        }
        points.sort_unstable();
        let count = points.len();
        let mut events = vec![Event { operation: usize::MAX, kind: Kind::Ends, previous: count, next: 1 }];
        let mut invoked_at = vec![ENDS; operations.len()];
        for (position, (_, returns, operation)) in (1..).zip(points) {
            let kind = if returns {
                events[invoked_at[operation]].kind = Kind::Invoke { answer: Some(position) };
                Kind::Return
            } else {
                invoked_at[operation] = position;
                Kind::Invoke { answer: None }
            };
            events.push(Event { operation, kind, previous: position - 1, next: position + 1 });
        }
        events[count].next = ENDS;
        Self(events)
    }

    fn unlink(&mut self, at: usize) {
        let Event { previous, next, .. } = self.0[at];
        self.0[previous].next = next;
        self.0[next].previous = previous;
    }

    fn relink(&mut self, at: usize) {
        let Event { previous, next, .. } = self.0[at];
        self.0[previous].next = at;
        self.0[next].previous = at;
    }

    fn take(&mut self, at: usize) {
        self.unlink(at);
        if let Kind::Invoke { answer: Some(answer) } = self.0[at].kind {
            self.unlink(answer);
        }
    }

    /// Undoes the last [`take`](Self::take) that was not undone.
    fn put_back(&mut self, at: usize) {
        if let Kind::Invoke { answer: Some(answer) } = self.0[at].kind {
            self.relink(answer);
        }
        self.relink(at);
    }
}

/// When `operation` was answered, if not after `until`.
pub(super) fn answered<Op, Ret>(operation: &Operation<Op, Ret>, until: At) -> Option<At> {
    operation.returned.as_ref().map(|&(at, _)| at).filter(|&at| at <= until)
}

/// One operation taken, and what to restore if that was a mistake.
struct Taken<State> {
    at: usize,
    before: State,
    /// It fits and changes nothing: there is no need to try anything else here.
    free: bool,
}

/// A set of operations.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Set(Vec<u64>);

impl Set {
    fn flip(&mut self, operation: usize) {
        self.0[operation / 64] ^= 1 << (operation % 64);
    }
}

/// Looks for an order of everything that returned until then. `Err` says how far the best attempt came.
pub(super) fn search<M: Model>(
    model: &M,
    operations: &[Operation<M::Op, M::Ret>],
    until: At,
) -> Result<(), Stuck<M::State>> {
    let mut timeline = Timeline::new(operations, until);
    let mut left = operations.iter().filter(|operation| answered(operation, until).is_some()).count();
    let mut state = model.initial();
    let mut ordered = Set(vec![0; operations.len().div_ceil(64)]);
    let mut met: BTreeSet<(Set, M::State)> = BTreeSet::new();
    let mut path: Vec<Taken<M::State>> = vec![];
    let mut best: Option<(usize, Stuck<M::State>)> = None;
    let step = |state: &M::State, index: usize| {
        let operation = &operations[index];
        let ret = operation.returned.as_ref().filter(|(at, _)| *at <= until).map(|(_, ret)| ret);
        let next = model.step(state, &operation.op, ret)?;
        let same = next == *state;
        // An open operation that does nothing here is better kept for later.
        (ret.is_some() || !same).then_some((next, same))
    };
    // Where to look on; ENDS: from the beginning, after a step forward.
    let mut at = ENDS;
    loop {
        if left == 0 {
            return Ok(());
        }
        if at == ENDS {
            if let Some(free) = first_free(&timeline, |index| step(&state, index).is_some_and(|(_, same)| same)) {
                timeline.take(free);
                ordered.flip(timeline.0[free].operation);
                path.push(Taken { at: free, before: state.clone(), free: true });
                left -= 1;
                continue;
            }
            at = timeline.0[ENDS].next;
        }
        let event = timeline.0[at];
        if let Kind::Invoke { answer } = event.kind {
            if let Some((next, _)) = step(&state, event.operation) {
                ordered.flip(event.operation);
                if met.insert((ordered.clone(), next.clone())) {
                    timeline.take(at);
                    path.push(Taken { at, before: std::mem::replace(&mut state, next), free: false });
                    left -= usize::from(answer.is_some());
                    at = ENDS;
                    continue;
                }
                ordered.flip(event.operation);
            }
            at = event.next;
            continue;
        }
        // A return that nothing left can go before: this attempt is stuck.
        if best.as_ref().is_none_or(|(fewest, _)| left < *fewest) {
            let order = path.iter().map(|taken| timeline.0[taken.at].operation).collect();
            best = Some((left, Stuck { order, state: state.clone() }));
        }
        loop {
            let Some(taken) = path.pop() else {
                let (_, stuck) = best.expect("set just above at the latest");
                return Err(stuck);
            };
            timeline.put_back(taken.at);
            let event = timeline.0[taken.at];
            ordered.flip(event.operation);
            left += usize::from(matches!(event.kind, Kind::Invoke { answer: Some(_) }));
            state = taken.before;
            if !taken.free {
                at = timeline.0[taken.at].next;
                break;
            }
        }
    }
}

/// The first answered operation that may come next, fits, and changes nothing.
fn first_free(timeline: &Timeline, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let mut at = timeline.0[ENDS].next;
    loop {
        let event = timeline.0[at];
        match event.kind {
            Kind::Invoke { answer: Some(_) } if fits(event.operation) => return Some(at),
            Kind::Invoke { .. } => at = event.next,
            Kind::Return | Kind::Ends => return None,
        }
    }
}
