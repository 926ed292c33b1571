//! How many reads may be asked of a second replica while the first is still at it. Where a node has died that is all it has
//! left unanswered; where all are slow since they have too much to do, asking twice would only add to it (a retry budget, as
//! in "Handling Overload", Site Reliability Engineering, 2016).

/// For each read that is asked twice so many must have been answered.
const ANSWERED_FOR_ONE: usize = 16;

#[derive(Debug)]
pub(crate) struct SecondLooks {
    /// In shares of one.
    left: usize,
    most: usize,
}

impl SecondLooks {
    /// Enough for `in_flight` at once.
    pub fn new(in_flight: usize) -> Self {
        let most = in_flight * ANSWERED_FOR_ONE;
        Self { left: most, most }
    }

    /// One read was answered.
    pub fn earn(&mut self) {
        self.left = self.most.min(self.left + 1);
    }

    /// Whether one may be asked again; if so that one is spent.
    pub fn spend(&mut self) -> bool {
        let rest = self.left.checked_sub(ANSWERED_FOR_ONE);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }
}
