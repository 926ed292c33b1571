//! The histories of some contested fields, whole, so that it can be checked in the end that each was one object all along.

use checker::{At, FieldModel, FieldOp, FieldRet, History, check};
use std::time::Duration;
use world::{FieldId, Outcome, PlayerName};

/// Fields whose histories are kept.
const FIELDS: usize = 256;
/// Operations that are kept of each: what is behind them is not looked at.
const LONGEST: usize = 2_000;

/// What was done to some contested fields.
#[derive(Debug)]
pub struct Histories {
    fields: Vec<FieldId>,
    histories: Vec<History<FieldOp, FieldRet>>,
}

/// An operation of one of them.
#[derive(Clone, Copy, Debug)]
pub struct Noted {
    place: usize,
    op: checker::OpId,
}

impl Histories {
    /// Of the first of these fields.
    pub fn new(contested: &[FieldId]) -> Self {
        let fields: Vec<FieldId> = contested.iter().take(FIELDS).copied().collect();
        Self { histories: vec![History::new(); fields.len()], fields }
    }

    /// The fields.
    pub fn fields(&self) -> &[FieldId] {
        &self.fields
    }

    /// A player asks for something; `None` where nothing is kept.
    pub fn asked(&mut self, place: usize, player: u32, op: FieldOp, now: Duration) -> Option<Noted> {
        let history = self.histories.get_mut(place)?;
        (history.len() < LONGEST).then(|| Noted { place, op: history.invoke(u64::from(player), op, at(now)) })
    }

    /// It was answered.
    pub fn answered(&mut self, noted: Noted, outcome: &Outcome, now: Duration) {
        if let Some(history) = self.unfinished(noted) {
            history.answer(noted.op, FieldRet::from(outcome), at(now));
        }
    }

    /// It was certainly not done.
    pub fn withdrawn(&mut self, noted: Noted) {
        if let Some(history) = self.unfinished(noted) {
            history.withdraw(noted.op);
        }
    }

    /// What is not in a full history any more may show in the answers to its last operations: they stay open.
    fn unfinished(&mut self, noted: Noted) -> Option<&mut History<FieldOp, FieldRet>> {
        let history = &mut self.histories[noted.place];
        (history.len() < LONGEST).then_some(history)
    }

    /// Looks at all of them; says how many operations there were, and the first field that was not one object.
    pub fn check(&self) -> (usize, Option<String>) {
        let operations = self.histories.iter().map(History::len).sum();
        let wrong = self.fields.iter().zip(&self.histories).find_map(|(field, history)| {
            check(&FieldModel, history).err().map(|violation| format!("{field} was not one object:\n{violation}"))
        });
        (operations, wrong)
    }

    /// A strong read in the end.
    pub fn seen(&mut self, field: FieldId, owner: Option<PlayerName>, version: u32, sent: Duration, now: Duration) {
        let Some(history) = self.fields.iter().position(|other| *other == field).map(|at| &mut self.histories[at])
        else {
            return;
        };
        if history.len() < LONGEST {
            let op = history.invoke(u64::MAX, FieldOp::Read, at(sent));
            history.answer(op, FieldRet::Is { owner, version }, at(now));
        }
    }
}

fn at(time: Duration) -> At {
    At(u64::try_from(time.as_micros()).expect("five hundred thousand years"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::{Deed, FieldView, Rejection, Terrain};

    fn name(text: &str) -> PlayerName {
        PlayerName::new(text).unwrap()
    }

    fn field() -> FieldId {
        FieldId::new(1, 1).unwrap()
    }

    fn claimed(owner: &str, version: u32) -> Outcome {
        let (terrain, structures) = (Terrain::Pine, Vec::new());
        let owner = Some(name(owner));
        let field =
            FieldView { field: field(), terrain, owner, character: None, crop: None, structures, price: None, version };
        Outcome::Done { deed: Deed::Claimed, field }
    }

    fn claim(histories: &mut Histories, player: u32, who: &str, at: u64, outcome: &Outcome) {
        let noted = histories.asked(0, player, FieldOp::Claim(name(who)), Duration::from_millis(at)).unwrap();
        histories.answered(noted, outcome, Duration::from_millis(at + 1));
    }

    #[test]
    fn two_winners_are_found_and_one_is_not() {
        let mut histories = Histories::new(&[field()]);
        claim(&mut histories, 1, "sid", 10, &claimed("sid", 1));
        let lost = Outcome::Rejected(Rejection::AlreadyOwned { field: field(), owner: name("sid") });
        claim(&mut histories, 2, "scrat", 20, &lost);
        histories.seen(field(), Some(name("sid")), 1, Duration::from_millis(30), Duration::from_millis(31));
        assert_eq!(histories.check(), (3, None));
        claim(&mut histories, 2, "scrat", 40, &claimed("scrat", 2));
        let (operations, wrong) = histories.check();
        assert_eq!(operations, 4);
        assert!(wrong.is_some_and(|wrong| wrong.starts_with("1,1 was not one object")));
    }

    #[test]
    fn a_full_history_does_not_blame_its_last_operations() {
        let mut histories = Histories::new(&[field()]);
        claim(&mut histories, 1, "sid", 10, &claimed("sid", 1));
        let ms = Duration::from_millis;
        for nth in 0..LONGEST as u64 - 1 {
            let noted = histories.asked(0, 2, FieldOp::Work(name("sid")), ms(20 + nth)).unwrap();
            let Outcome::Done { field, .. } = claimed("sid", 1) else { unreachable!() };
            histories.answered(noted, &Outcome::Done { deed: Deed::Built, field }, ms(20 + nth));
        }
        assert!(histories.asked(0, 3, FieldOp::Claim(name("scrat")), ms(9_000)).is_none());
        assert_eq!(histories.check(), (LONGEST, None));
    }
}
