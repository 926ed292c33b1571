//! What will happen, in the order of time; what happens at one moment, in the order it was planned.

use crate::clock::Time;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// The future.
#[derive(Debug)]
pub struct Agenda<E> {
    heap: BinaryHeap<Planned<E>>,
    planned: u64,
}

#[derive(Debug)]
struct Planned<E> {
    at: Time,
    nth: u64,
    event: E,
}

impl<E> Agenda<E> {
    /// Nothing is planned.
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new(), planned: 0 }
    }

    /// `event` shall happen at `at`.
    pub fn plan(&mut self, at: Time, event: E) {
        self.planned += 1;
        self.heap.push(Planned { at, nth: self.planned, event });
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|planned| planned.at)
    }

    /// What happens next.
    pub fn pop(&mut self) -> Option<(Time, E)> {
        self.heap.pop().map(|planned| (planned.at, planned.event))
    }
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Ord for Planned<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives its greatest first.
        (other.at, other.nth).cmp(&(self.at, self.nth))
    }
}

impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Planned<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_first_and_at_one_moment_as_planned() {
        let mut agenda = Agenda::new();
        for (at, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            agenda.plan(Time(at), what);
        }
        assert_eq!(agenda.next_at(), Some(Time(1)));
        let order: String = std::iter::from_fn(|| agenda.pop()).map(|(_, what)| what).collect();
        assert_eq!(order, "abcd");
    }
}
