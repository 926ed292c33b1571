//! The numbers of commands under way, and the floor below them.
//!
//! Invariant: every number below `floor` has its outcome, and `floor` itself has not (or has not been given out).

use std::collections::VecDeque;
use wire::RequestNo;

#[derive(Debug)]
pub(crate) struct Window {
    floor: u64,
    /// From the floor upwards: whether the number has its outcome.
    done: VecDeque<bool>,
}

impl Window {
    pub fn new() -> Self {
        Self { floor: 1, done: VecDeque::new() }
    }

    /// The lowest number without an outcome.
    pub fn floor(&self) -> RequestNo {
        RequestNo(self.floor)
    }

    /// How many numbers there are from the floor to the newest.
    pub fn len(&self) -> usize {
        self.done.len()
    }

    /// The next number.
    pub fn open(&mut self) -> RequestNo {
        let number = self.floor + self.done.len() as u64;
        self.done.push_back(false);
        RequestNo(number)
    }

    /// This number has its outcome.
    pub fn close(&mut self, number: RequestNo) {
        let at = usize::try_from(number.0 - self.floor).expect("the window is far smaller");
        debug_assert!(!self.done[at], "{number:?} has one outcome");
        self.done[at] = true;
        while self.done.front() == Some(&true) {
            self.done.pop_front();
            self.floor += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_waits_for_the_oldest_and_then_jumps() {
        let mut window = Window::new();
        let numbers: Vec<_> = (0..4).map(|_| window.open()).collect();
        assert_eq!(numbers, [1, 2, 3, 4].map(RequestNo));
        window.close(RequestNo(2));
        window.close(RequestNo(3));
        assert_eq!((window.floor(), window.len()), (RequestNo(1), 4));
        window.close(RequestNo(1));
        assert_eq!((window.floor(), window.len()), (RequestNo(4), 1));
        window.close(RequestNo(4));
        assert_eq!((window.floor(), window.open()), (RequestNo(5), RequestNo(5)));
    }
}
