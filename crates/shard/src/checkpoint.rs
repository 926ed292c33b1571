//! How far the state is durable: cuts on their way to the pages, another node's checkpoint in the place of this one's, and
//! what the log need not hold any more.

use crate::replica::Replica;
use crate::state::{Cut, RestoreError, State, Stored};
use paxos::{Configuration, NodeId, Slot};
use world::Land;

/// What a replica knows of its checkpoint.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    /// It holds everything up to here, durably.
    durable: Slot,
    /// What the log need not hold any more.
    released: Slot,
    /// The slot of a cut that is being written.
    cutting: Option<Slot>,
    /// Another node's checkpoint is being put in the place of this one's: nothing is applied or cut meanwhile.
    pub installing: bool,
    /// Bytes applied since the last cut.
    pub uncut_bytes: usize,
}

impl Checkpoint {
    pub fn at(durable: Slot) -> Self {
        Self { durable, released: Slot::ZERO, cutting: None, installing: false, uncut_bytes: 0 }
    }

    /// Whether the pages are about to change.
    fn is_changing(&self) -> bool {
        self.cutting.is_some() || self.installing
    }
}

impl Replica {
    /// Everything up to here is in the durable checkpoint.
    pub fn checkpointed(&self) -> Slot {
        self.checkpoint.durable
    }

    /// Bytes of log applied since the last cut.
    pub fn uncut_bytes(&self) -> usize {
        self.checkpoint.uncut_bytes
    }

    /// A cut at what is applied, if anything changed since the last and none is being written.
    pub fn take_cut(&mut self) -> Option<Cut> {
        if self.checkpoint.is_changing() || self.applied <= self.checkpoint.durable {
            return None;
        }
        self.checkpoint.cutting = Some(self.applied);
        self.checkpoint.uncut_bytes = 0;
        Some(self.state.cut(self.applied))
    }

    /// A cut up to `slot` is durable.
    pub fn handle_checkpointed(&mut self, slot: Slot) {
        assert!(slot <= self.applied, "checkpointed {slot} but applied {}", self.applied);
        let checkpoint = &mut self.checkpoint;
        checkpoint.durable = checkpoint.durable.max(slot);
        checkpoint.cutting = checkpoint.cutting.filter(|&cutting| cutting > slot);
        self.paxos.handle_checkpointed(slot);
    }

    /// Another node's checkpoint is complete and about to take the place of this one's. `false`: not now, a cut of this one's
    /// is being written.
    pub fn begin_install(&mut self) -> bool {
        self.checkpoint.installing = self.checkpoint.cutting.is_none();
        self.checkpoint.installing
    }

    /// It does not come to that.
    pub fn end_install(&mut self) {
        self.checkpoint.installing = false;
    }

    /// Goes on from the checkpoint of `from`, which is in place, durably.
    pub fn install(&mut self, from: NodeId, stored: &Stored) -> Result<(), RestoreError> {
        self.checkpoint.installing = false;
        if stored.slot <= self.applied {
            return Ok(());
        }
        self.state = State::restore(stored)?;
        self.applied = stored.slot;
        self.checkpoint.durable = stored.slot;
        self.checkpoint.uncut_bytes = 0;
        self.held = None;
        self.loading.clear();
        self.watching.restart(stored.slot);
        self.views.clear();
        let first = || Configuration::first(self.paxos.quorum().clone());
        let configuration = self.state.configuration().cloned().unwrap_or_else(first);
        self.paxos.install(from, stored.slot, configuration, self.state.since());
        Ok(())
    }

    /// The log may forget everything up to here: the checkpoint holds it, and so does everybody else, or whoever does not is
    /// given a snapshot.
    pub fn released(&self) -> Slot {
        self.checkpoint.released
    }

    /// Moves [`Replica::released`] on, no further than `needed`; as far as the checkpoint goes if `pressed`, where others still
    /// lack it.
    pub fn release(&mut self, pressed: bool, needed: Option<Slot>) {
        let durable = self.checkpoint.durable;
        let to = if pressed { durable } else { durable.min(self.paxos.kept()) };
        let to = needed.map_or(to, |needed| to.min(needed));
        self.checkpoint.released = self.checkpoint.released.max(to);
        self.paxos.trim(self.checkpoint.released);
    }

    /// What its chunks in memory weigh, and views of them that are ready, in bytes.
    pub fn chunk_bytes(&self) -> usize {
        self.state.land().map_or(0, Land::chunk_bytes) + self.views.bytes()
    }

    /// Drops chunks that nobody has used lately, until about so many bytes are free; says how many have left. None while a
    /// cut is being written: what was changed is not durable yet. Views go first: they are soon packed again.
    pub fn cool(&mut self, bytes: usize) -> usize {
        let bytes = bytes.saturating_sub(self.views.bytes());
        self.views.clear();
        if self.checkpoint.is_changing() { 0 } else { self.state.cool(bytes) }
    }
}
