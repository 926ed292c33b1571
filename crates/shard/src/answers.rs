//! What one client was answered, by the numbers of its requests.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, VecDeque};
use wire::RequestNo;
use world::Outcome;

/// Room for so many is never given back.
const FEW: usize = 32;

/// Outcomes by number. Numbers come nearly in order and leave from the front, and an outcome is large: what is moved for each is
/// one, where a tree moves half a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes(VecDeque<(RequestNo, Outcome)>);

impl Outcomes {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn get(&self, number: RequestNo) -> Option<&Outcome> {
        // (Nearly every question is about a number that is new.)
        let newest = self.0.back().filter(|(newest, _)| number <= *newest)?;
        if newest.0 == number {
            return Some(&newest.1);
        }
        let at = self.0.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(&self.0[at].1)
    }

    /// The lowest number.
    pub fn oldest(&self) -> Option<RequestNo> {
        self.0.front().map(|(number, _)| *number)
    }

    /// A number that has an outcome keeps the new one.
    pub fn insert(&mut self, number: RequestNo, outcome: Outcome) {
        if self.0.back().is_none_or(|(newest, _)| *newest < number) {
            return self.0.push_back((number, outcome));
        }
        match self.0.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(at) => self.0[at].1 = outcome,
            Err(at) => self.0.insert(at, (number, outcome)),
        }
    }

    /// Numbers below `floor` will not be asked for again.
    pub fn forget_below(&mut self, floor: RequestNo) {
        while self.0.pop_front_if(|(number, _)| *number < floor).is_some() {}
        if self.0.len().max(FEW) < self.0.capacity() / 4 {
            self.0.shrink_to(self.0.len() * 2);
        }
    }
}

/// As a map, by number.
impl Serialize for Outcomes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(number, outcome)| (number, outcome)))
    }
}

impl<'de> Deserialize<'de> for Outcomes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(BTreeMap::deserialize(deserializer)?.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::{Acorns, PlayerView};

    fn outcome(acorns: u64) -> Outcome {
        let player = PlayerView { name: "scrat".parse().unwrap(), acorns: Acorns(acorns) };
        Outcome::Registered { player, new: true }
    }

    #[test]
    fn in_whatever_order_numbers_come_it_answers_and_is_stored_as_a_map_of_them() {
        let (mut outcomes, mut map) = (Outcomes::default(), BTreeMap::new());
        let mut number = 1;
        for step in 0..2_000_u64 {
            number = (number * 5 + step) % 257;
            outcomes.insert(RequestNo(number), outcome(step));
            map.insert(RequestNo(number), outcome(step));
            if step % 64 == 63 {
                let floor = RequestNo(number / 2);
                outcomes.forget_below(floor);
                map.retain(|number, _| *number >= floor);
            }
            assert_eq!(outcomes.oldest(), map.keys().next().copied());
            assert_eq!(outcomes.len(), map.len());
            for asked in (0..257).map(RequestNo) {
                assert_eq!(outcomes.get(asked), map.get(&asked));
            }
        }
        assert_eq!(wire::codec::encode(&outcomes), wire::codec::encode(&map));
        let restored: Outcomes = wire::codec::decode("outcomes", &wire::codec::encode(&map)).unwrap();
        assert_eq!(restored, outcomes);
    }

    #[test]
    fn what_a_client_had_under_way_once_takes_no_room_for_ever() {
        let mut outcomes = Outcomes::default();
        for number in 0..10_000 {
            outcomes.insert(RequestNo(number), outcome(1));
        }
        outcomes.forget_below(RequestNo(9_990));
        assert!(outcomes.0.capacity() < 200, "{}", outcomes.0.capacity());
    }
}
