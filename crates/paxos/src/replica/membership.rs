//! From one configuration to the next.
//!
//! * Nothing is proposed behind a stop, nor proposed again: what phase 1 shows behind one was never chosen, for whoever
//!   proposed it had another value in the stop's place, and a quorum that had accepted it would have shown that too.
//! * Proposing a stop ends the leader's lease. So once it is chosen, nobody answers alone in the old configuration.
//! * A replica changes over when it knows the stop chosen. A leader stands anew in the next configuration, whose ballots
//!   are all above those of the one before: so no ballot leads in two, and what was accepted behind a stop before it was
//!   known shows itself by its ballot, and is not reported.
//! * A voter of the next configuration holds everything through the stop, for only then does it know that it is one; that
//!   the stop is chosen is in its log before anything that it promises there.

use super::{Replica, Role};
use crate::{Ballot, Configuration, Message, NodeId, Run, Slot, Value};

/// Why a stop was not proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// This replica cannot propose anything.
    #[error("this replica does not lead")]
    NotLeader,
    /// One change at a time.
    #[error("another change of this shard is under way")]
    Stopping,
}

impl Replica {
    /// Proposes the end of this configuration; `next` gets the number behind it. Nothing else is proposed until the next
    /// configuration has a leader.
    pub fn propose_stop(&mut self, next: Configuration) -> Result<Slot, StopError> {
        match &self.role {
            Role::Leader(office) if office.stopping => return Err(StopError::Stopping),
            Role::Leader(_) => {}
            _ => return Err(StopError::NotLeader),
        }
        let next = Configuration { number: self.configuration.number + 1, ..next };
        let slot = self.propose_all(Run::One([Value::Stop(Box::new(next))]));
        self.note_stop();
        self.check();
        Ok(slot)
    }

    /// Whether [`Replica::propose`] would take anything: it leads, and its configuration goes on.
    pub fn accepts_proposals(&self) -> bool {
        matches!(&self.role, Role::Leader(office) if !office.stopping)
    }

    /// Whether this replica votes, or listens.
    pub fn is_member(&self) -> bool {
        self.has_joined() && self.configuration.contains(self.me)
    }

    /// Whether it knows the configuration that it joined with. Before, it only learns, and holds nothing that anybody needs.
    pub fn has_joined(&self) -> bool {
        self.configuration.number >= self.floor
    }

    /// The number of the configuration that it joined with.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Whether this replica votes.
    pub(super) fn votes(&self) -> bool {
        self.has_joined() && self.quorum().contains(self.me)
    }

    /// Whether the configuration without this replica has chosen something: an accept quorum of it holds all that this one
    /// does, and nobody needs it any more.
    pub fn is_dispensable(&self) -> bool {
        self.has_joined() && !self.is_member() && self.beyond_stop
    }

    /// A snapshot of everything up to `slot`, of `from`, is in place and durable; `configuration` governs what is behind,
    /// made by the stop at `since`. What this log holds up to there counts no more. A leader that was elected while the
    /// snapshot was on its way leaves its office: others have chosen what it counts as open, perhaps under a later ballot.
    pub fn install(&mut self, from: NodeId, slot: Slot, configuration: Configuration, since: Slot) {
        if slot <= self.delivered {
            return;
        }
        self.delivered = slot;
        if slot <= self.chosen {
            return self.check();
        }
        if self.is_leader() {
            self.role = Role::Follower;
            self.following = None;
        }
        self.tail.cut(slot);
        self.chosen = slot;
        self.safe = self.safe.max(slot);
        self.first = self.first.max(slot.next());
        if let Some(following) = &mut self.following {
            following.through = following.through.max(slot);
        }
        if configuration.number > self.configuration.number {
            self.enter(configuration);
        }
        self.beyond_stop |= slot > since;
        self.source = (from != self.me).then_some(from);
        if let Some(catchup) = self.catchup.take() {
            // A snapshot of before the stop that was heard of does not tell what follows it, as a log does.
            let more = self.heard_of > self.configuration.number;
            self.fetch(from, if more { catchup.target.max(slot.next()) } else { catchup.target });
        }
        self.count_promises();
        self.check();
    }

    /// The log before this slot is gone.
    pub fn trim(&mut self, through: Slot) {
        self.first = self.first.max(through.next());
    }

    /// Whether `message` can be understood here. Ballots and votes are the business of one configuration; whoever is in an
    /// earlier one is told that there is more, and whoever is in a later one is asked for it.
    pub(super) fn is_common_ground(&mut self, from: NodeId, configuration: u64, message: &Message) -> bool {
        match message {
            // About chosen values, which are the same for all.
            Message::Fetch { .. } | Message::Learn { .. } | Message::Ahead { .. } | Message::Trimmed { .. } => true,
            _ if configuration < self.configuration.number => {
                let chosen = self.chosen;
                self.send(from, Message::Ahead { chosen });
                false
            }
            _ if configuration > self.configuration.number => {
                self.hear_of(from, configuration);
                false
            }
            Message::Canvass { .. } => self.configuration.contains(from) && self.votes(),
            // What only voters say to voters.
            Message::Canvassed { .. }
            | Message::Prepare { .. }
            | Message::Promise { .. }
            | Message::TakeOver { .. }
            | Message::Confirm { .. }
            | Message::Confirmed { .. } => self.quorum().contains(from) && self.votes(),
            // Between members. (A standby that once voted may have promised more than its leader knows.)
            Message::Refuse { .. } | Message::Accept { .. } | Message::Ack { .. } | Message::Watermark { .. } => {
                self.configuration.contains(from) && self.is_member()
            }
        }
    }

    /// The stop of this configuration is chosen here.
    pub(super) fn enter(&mut self, next: Configuration) {
        assert!(next.number > self.configuration.number, "configurations count up");
        let led = self.is_leader();
        if led {
            // So that the others change over before they are asked to promise.
            self.tell(|_, _| true, &|_| true);
        }
        self.configuration = next;
        self.tail.forget_earlier(self.configuration.number, self.chosen);
        self.following = None;
        self.beyond_stop = false;
        self.role = Role::Follower;
        if led && self.votes() {
            self.stand_again();
        }
    }

    /// The last value proposed is a stop.
    pub(super) fn note_stop(&mut self) {
        if let Role::Leader(office) = &mut self.role {
            office.stopping = true;
            office.stop_at = office.next.prev();
        }
    }

    /// The ballot under which this leader may hold a lease; `None` once it leads no more, or has proposed the end of its
    /// configuration.
    pub fn may_lease(&self) -> Option<Ballot> {
        match &self.role {
            Role::Leader(office) if !office.stopping => Some(office.ballot),
            _ => None,
        }
    }
}
