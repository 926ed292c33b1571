//! Conservation: acorns in wallets, outboxes and intents are those that grants and harvests made.

/// Where acorns come from, and where they are, at one moment that one snapshot can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acorns {
    /// Given to players when they joined.
    pub granted: u128,
    /// Made by harvests.
    pub harvested: u128,
    /// In wallets.
    pub wallets: u128,
    /// On their way from a field's shard to a wallet, not yet received.
    pub outboxes: u128,
    /// Set aside by transactions that are not decided.
    pub intents: u128,
}

/// The sums differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConservationError {
    /// More than there may be: something was paid twice.
    #[error("{by} acorns too many: {found:?}")]
    TooMany {
        /// How many.
        by: u128,
        /// The sums.
        found: Acorns,
    },
    /// Fewer than there must be: something was lost.
    #[error("{by} acorns are missing: {found:?}")]
    Missing {
        /// How many.
        by: u128,
        /// The sums.
        found: Acorns,
    },
}

/// Wallets + outboxes + intents = grants + harvests.
pub fn check(found: Acorns) -> Result<(), ConservationError> {
    let made = found.granted + found.harvested;
    let held = found.wallets + found.outboxes + found.intents;
    match held.cmp(&made) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(ConservationError::TooMany { by: held - made, found }),
        std::cmp::Ordering::Less => Err(ConservationError::Missing { by: made - held, found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAIR: Acorns = Acorns { granted: 1_000, harvested: 50, wallets: 1_020, outboxes: 20, intents: 10 };

    #[test]
    fn acorns_in_wallets_outboxes_and_intents_balance() {
        check(FAIR).expect("balanced");
    }

    #[test]
    fn a_harvest_paid_twice_and_one_lost_on_the_way_are_reported_with_the_amount() {
        let twice = Acorns { wallets: FAIR.wallets + 20, ..FAIR };
        assert_eq!(check(twice), Err(ConservationError::TooMany { by: 20, found: twice }));
        let lost = Acorns { outboxes: 0, ..FAIR };
        assert_eq!(check(lost), Err(ConservationError::Missing { by: 20, found: lost }));
    }
}
