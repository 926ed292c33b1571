//! What went wrong with a part so far. Nothing, nearly always: then it takes no room.

use crate::op::Reason;
use paxos::NodeId;
use std::ops::{Deref, DerefMut};

/// A part's misadventures; made when the first of them is written down.
#[derive(Debug, Default)]
pub(crate) struct Past(Option<Box<Misadventures>>);

/// See [`Past`].
#[derive(Debug)]
pub(crate) struct Misadventures {
    /// Earlier attempts that may yet take effect, and where.
    pub open: Vec<(u64, NodeId)>,
    /// Attempts that nobody will ever answer for may have taken effect.
    pub lost: bool,
    /// Attempts that timed out.
    pub timeouts: usize,
    /// The first replica did not show it at once, and so another was asked.
    pub looked: bool,
    /// Pauses so far; each makes the next longer.
    pub pauses: u32,
    /// Hints followed since the last pause.
    pub hops: u32,
    /// Where a hint says to go next.
    pub hint: Option<NodeId>,
    /// Who was of no use just now.
    pub avoid: Option<NodeId>,
    /// Why it has no answer yet.
    pub trouble: Option<Reason>,
    pub missing: Vec<NodeId>,
    pub retry_after_ms: u64,
}

static NONE: Misadventures = Misadventures {
    open: Vec::new(),
    lost: false,
    timeouts: 0,
    looked: false,
    pauses: 0,
    hops: 0,
    hint: None,
    avoid: None,
    trouble: None,
    missing: Vec::new(),
    retry_after_ms: 0,
};

impl Deref for Past {
    type Target = Misadventures;

    fn deref(&self) -> &Misadventures {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for Past {
    fn deref_mut(&mut self) -> &mut Misadventures {
        self.0.get_or_insert_with(|| Box::new(Misadventures { open: Vec::new(), missing: Vec::new(), ..NONE }))
    }
}
