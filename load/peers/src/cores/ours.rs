//! Our own replica.

use super::{Command, Core};
use bytes::Bytes;
use paxos::local::Local;
use paxos::{NodeId, Value};

/// What becomes a slot.
#[derive(Clone, Copy, Debug)]
pub enum Slots {
    /// All commands that are proposed together: so do the nodes.
    OneATurn,
    /// Each command.
    OneEach,
}

/// Three replicas; the first leads.
#[derive(Debug)]
pub struct Ours {
    local: Local,
    slots: Slots,
}

const LEADER: NodeId = NodeId(1);

impl Ours {
    pub fn new(slots: Slots) -> Self {
        let local = Local::new([LEADER, NodeId(2), NodeId(3)]).expect("majorities of three meet");
        Self { local, slots }
    }
}

impl Core for Ours {
    fn propose(&mut self, commands: usize) {
        let mut propose = |bytes: Vec<u8>| {
            self.local.propose(Value::Command(Bytes::from(bytes))).expect("nobody else has stood for office");
        };
        match self.slots {
            Slots::OneATurn => propose(vec![7; commands * size_of::<Command>()]),
            Slots::OneEach => (0..commands).for_each(|_| propose(vec![7; size_of::<Command>()])),
        }
    }

    fn turn(&mut self) -> usize {
        let mut decided = 0;
        self.local.turn(|node, _, value| {
            if node == LEADER {
                decided += value.len() / size_of::<Command>();
            }
        });
        decided
    }
}
