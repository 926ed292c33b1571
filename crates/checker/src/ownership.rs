//! Ownership: what a player was told is theirs is theirs at every replica, and nobody was told the same of one field.

use std::collections::BTreeMap;
use world::{FieldId, PlayerName};

/// Ownership that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnershipError {
    /// Two players were told that one field is theirs.
    #[error("{field} was acknowledged to {first} and then to {second}")]
    TwoOwners {
        /// Which field.
        field: FieldId,
        /// Who was told first.
        first: PlayerName,
        /// Who was told as well.
        second: PlayerName,
    },
    /// A replica does not have what was acknowledged.
    #[error("{field} was acknowledged to {owner}, but at {replica} {}", match found { Some(found) => format!("it belongs to {found}"), None => "nobody owns it".to_owned() })]
    Lost {
        /// Which field.
        field: FieldId,
        /// Who was told that it is theirs.
        owner: PlayerName,
        /// Which replica says otherwise.
        replica: String,
        /// Whom it names.
        found: Option<PlayerName>,
    },
    /// Two replicas name different owners of a field that nobody was told about (a claim that timed out, for instance).
    #[error("{field}: {first} names {} as its owner, {second} names {}", name(first_owner.as_ref()), name(second_owner.as_ref()))]
    Different {
        /// Which field.
        field: FieldId,
        /// One replica.
        first: String,
        /// Its answer.
        first_owner: Option<PlayerName>,
        /// Another.
        second: String,
        /// Its answer.
        second_owner: Option<PlayerName>,
    },
}

fn name(owner: Option<&PlayerName>) -> String {
    owner.map_or_else(|| "nobody".to_owned(), PlayerName::to_string)
}

/// The claims that were acknowledged and not abandoned since, and what replicas say of them once all is quiet.
#[derive(Clone, Debug, Default)]
pub struct Ownership {
    acknowledged: BTreeMap<FieldId, PlayerName>,
    /// What the first replica that was asked said of each field it was asked about.
    seen: BTreeMap<FieldId, (String, Option<PlayerName>)>,
}

impl Ownership {
    /// Nobody was told anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// `owner` was told that `field` is theirs now.
    pub fn acknowledged(&mut self, field: FieldId, owner: PlayerName) -> Result<(), OwnershipError> {
        match self.acknowledged.insert(field, owner) {
            Some(first) if first != owner => Err(OwnershipError::TwoOwners { field, first, second: owner }),
            _ => Ok(()),
        }
    }

    /// `field` was abandoned, or may have been (a time-out): nothing is claimed about its owner any more.
    pub fn released(&mut self, field: FieldId) {
        self.acknowledged.remove(&field);
    }

    /// How many fields are acknowledged.
    pub fn len(&self) -> usize {
        self.acknowledged.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.acknowledged.is_empty()
    }

    /// The fields to ask every replica about, with the owner acknowledged.
    pub fn iter(&self) -> impl Iterator<Item = (FieldId, PlayerName)> + '_ {
        self.acknowledged.iter().map(|(&field, &owner)| (field, owner))
    }

    /// Checks one replica that has applied everything: `owner_of` says whom it names for a field. Every acknowledged
    /// claim must be there.
    pub fn verify(
        &self,
        replica: &str,
        mut owner_of: impl FnMut(FieldId) -> Option<PlayerName>,
    ) -> Result<(), OwnershipError> {
        for (&field, &owner) in &self.acknowledged {
            let found = owner_of(field);
            if found != Some(owner) {
                return Err(OwnershipError::Lost { field, owner, replica: replica.to_owned(), found });
            }
        }
        Ok(())
    }

    /// Checks that one replica says of `field` what those before it said, acknowledged or not.
    pub fn compare(&mut self, replica: &str, field: FieldId, owner: Option<PlayerName>) -> Result<(), OwnershipError> {
        let (first, first_owner) = self.seen.entry(field).or_insert_with(|| (replica.to_owned(), owner));
        if *first_owner == owner {
            return Ok(());
        }
        let (first, first_owner) = (first.clone(), *first_owner);
        Err(OwnershipError::Different { field, first, first_owner, second: replica.to_owned(), second_owner: owner })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(x: u32) -> FieldId {
        FieldId::new(x, 7).expect("on the grid")
    }

    fn player(text: &str) -> PlayerName {
        PlayerName::new(text).expect("a name")
    }

    #[test]
    fn claims_that_every_replica_has_pass() {
        let mut ownership = Ownership::new();
        for x in 0..100 {
            ownership.acknowledged(field(x), player("sid")).expect("one owner");
        }
        ownership.acknowledged(field(3), player("sid")).expect("a repeated answer to the same player is fine");
        for replica in ["n1", "n2", "n3"] {
            ownership.verify(replica, |_| Some(player("sid"))).expect("all there");
        }
        assert_eq!(ownership.len(), 100);
    }

    #[test]
    fn one_field_acknowledged_to_two_players_is_reported() {
        let mut ownership = Ownership::new();
        ownership.acknowledged(field(1), player("sid")).expect("the first");
        let error = ownership.acknowledged(field(1), player("scrat")).expect_err("the second");
        assert!(error.to_string().ends_with("was acknowledged to sid and then to scrat"), "{error}");
    }

    #[test]
    fn a_released_field_may_be_claimed_by_another() {
        let mut ownership = Ownership::new();
        ownership.acknowledged(field(1), player("sid")).expect("the first");
        ownership.released(field(1));
        ownership.acknowledged(field(1), player("scrat")).expect("free again");
        assert_eq!(ownership.iter().collect::<Vec<_>>(), [(field(1), player("scrat"))]);
    }

    #[test]
    fn a_replica_that_lost_a_claim_or_names_another_owner_is_reported() {
        let mut ownership = Ownership::new();
        ownership.acknowledged(field(1), player("sid")).expect("one owner");
        ownership.acknowledged(field(2), player("sid")).expect("one owner");
        let lost = ownership.verify("n2", |f| (f == field(1)).then(|| player("sid"))).expect_err("field 2 is gone");
        assert!(lost.to_string().ends_with("was acknowledged to sid, but at n2 nobody owns it"), "{lost}");
        let stolen = ownership.verify("n3", |_| Some(player("scrat"))).expect_err("both are");
        assert!(stolen.to_string().ends_with("but at n3 it belongs to scrat"), "{stolen}");
    }

    #[test]
    fn replicas_that_differ_on_an_unacknowledged_field_are_reported() {
        let mut ownership = Ownership::new();
        ownership.compare("n1", field(1), Some(player("sid"))).expect("the first");
        ownership.compare("n2", field(1), Some(player("sid"))).expect("the same");
        let error = ownership.compare("n3", field(1), None).expect_err("different");
        assert!(error.to_string().ends_with("n1 names sid as its owner, n3 names nobody"), "{error}");
    }
}
