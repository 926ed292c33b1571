//! What clients are answered at the end of a turn.

use crate::clock::Mono;
use shard::ConnId;
use std::collections::BTreeMap;
use wire::{Answer, AnswerBody, Level, Refusal};

/// Lists that are kept for later turns.
const KEPT: usize = 8;
/// Longer ones are not: a crowd that has come once may come no more. (A node's usual turn, with some thousands in flight, stays
/// below this; making such a list anew in each turn was a tenth of a leader's time, most of it in page faults.)
const KEPT_LEN: usize = 8 << 10;

/// Of each connection, what is to be answered on it.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    of: BTreeMap<ConnId, Vec<Answer>>,
    /// Which of them hold no longer than that: on a connection, the so-and-so-many-th.
    until: Vec<(ConnId, usize, Mono)>,
    spare: Vec<Vec<Answer>>,
}

impl Answers {
    /// One more; what it says holds `until` then.
    pub fn push(&mut self, conn: ConnId, answer: Answer, until: Option<Mono>) {
        let spare = &mut self.spare;
        let list = self.of.entry(conn).or_insert_with(|| spare.pop().unwrap_or_default());
        self.until.extend(until.map(|until| (conn, list.len(), until)));
        list.push(answer);
    }

    /// All of them, leaving at `now`: what is true no longer is refused.
    pub fn take(&mut self, now: Mono) -> Vec<(ConnId, Vec<Answer>)> {
        for (conn, at, _) in self.until.drain(..).filter(|&(_, _, until)| now >= until) {
            if let Some(answer) = self.of.get_mut(&conn).and_then(|list| list.get_mut(at)) {
                answer.body = AnswerBody::Refused(too_late(&answer.body));
            }
        }
        self.until.shrink_to(KEPT_LEN);
        std::mem::take(&mut self.of).into_iter().collect()
    }

    /// A list that has been sent: a later turn's answers may lie in it.
    pub fn reuse(&mut self, mut list: Vec<Answer>) {
        if list.capacity() > KEPT_LEN {
            return;
        }
        list.clear();
        self.spare.push(list);
        if self.spare.len() > KEPT {
            // The longest are last, and taken first.
            self.spare.sort_by_key(Vec::capacity);
            self.spare.remove(0);
        }
    }
}

/// What is said instead of an answer that was true, and may be so no more.
fn too_late(body: &AnswerBody) -> Refusal {
    match body {
        AnswerBody::Read { receipt, .. } if matches!(receipt.level, Level::Bounded(_)) => {
            Refusal::TooStale { bound_ms: None }
        }
        _ => Refusal::NotLeader { leader: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnId = ConnId(1);
    const TWO: ConnId = ConnId(2);

    fn answer(id: u64) -> Answer {
        Answer { id, body: AnswerBody::Changed }
    }

    #[test]
    fn each_connection_has_its_answers_in_order_and_those_that_hold_no_longer_are_refused() {
        let mut answers = Answers::default();
        answers.push(TWO, answer(1), None);
        answers.push(ONE, answer(2), Some(Mono(10)));
        answers.push(TWO, answer(3), Some(Mono(11)));
        answers.push(TWO, answer(4), Some(Mono(10)));
        let refused = |id| Answer { id, body: AnswerBody::Refused(Refusal::NotLeader { leader: None }) };
        let taken = answers.take(Mono(10));
        assert_eq!(taken, [(ONE, vec![refused(2)]), (TWO, vec![answer(1), answer(3), refused(4)])]);
        assert_eq!(answers.take(Mono(0)), []);
    }

    #[test]
    fn a_list_that_was_sent_is_filled_again_and_the_longest_but_not_too_long_ones_are_kept() {
        let mut answers = Answers::default();
        answers.push(ONE, answer(1), Some(Mono(5)));
        let (_, mut list) = answers.take(Mono(0)).remove(0);
        list.reserve(1_000);
        let capacity = list.capacity();
        answers.reuse(list);
        answers.push(TWO, answer(2), None);
        let taken = answers.take(Mono(9));
        assert_eq!(taken, [(TWO, vec![answer(2)])], "nothing is left of what it held");
        assert_eq!(taken[0].1.capacity(), capacity);
        answers.reuse(Vec::with_capacity(KEPT_LEN + 1));
        assert_eq!(answers.spare.len(), 0);
        for length in [5, 300, 7].into_iter().chain(10..10 + KEPT) {
            answers.reuse(Vec::with_capacity(length));
        }
        let kept: Vec<usize> = answers.spare.iter().map(Vec::capacity).collect();
        assert_eq!((kept.len(), kept.last(), kept.iter().min()), (KEPT, Some(&300), Some(&11)));
    }
}
