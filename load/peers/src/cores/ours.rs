//! Our own replica.

use super::{Command, Core};
use bytes::Bytes;
use paxos::liveness::nobody;
use paxos::{Configuration, Effect, Message, NodeId, QuorumSystem, Recovered, Replica, Token, Value};
use std::collections::VecDeque;

/// What becomes a slot.
#[derive(Clone, Copy, Debug)]
pub enum Slots {
    /// All commands that are proposed together: so do the nodes.
    OneATurn,
    /// Each command.
    OneEach,
}

/// Something on its way.
#[derive(Debug)]
struct Letter {
    from: NodeId,
    to: NodeId,
    configuration: u64,
    message: Message,
}

/// Three replicas; the first leads.
#[derive(Debug)]
pub struct Ours {
    replicas: Vec<Replica>,
    letters: VecDeque<Letter>,
    slots: Slots,
}

impl Ours {
    pub fn new(slots: Slots) -> Self {
        let nodes = [NodeId(1), NodeId(2), NodeId(3)];
        let quorum = QuorumSystem::majority(nodes).expect("majorities of three meet");
        let replica = |node| Replica::new(node, Configuration::first(quorum.clone()), Recovered::fresh());
        let mut ours = Self { replicas: nodes.map(replica).into(), letters: VecDeque::new(), slots };
        ours.replicas[0].campaign(&mut nobody);
        while !ours.replicas[0].is_leader() || !ours.letters.is_empty() {
            ours.turn();
        }
        ours
    }

    /// Memory is durable at once.
    fn follow_up(&mut self, index: usize) {
        let replica = &mut self.replicas[index];
        let from = replica.me();
        let mut written: Option<Token> = None;
        loop {
            while let Some(effect) = replica.poll_effect() {
                match effect {
                    Effect::Persist { token, .. } => written = Some(token),
                    Effect::Send { to, configuration, message, .. } => {
                        self.letters.push_back(Letter { from, to, configuration, message });
                    }
                    // Nobody lags, and nobody reads.
                    Effect::ReadLog { .. } | Effect::WantSnapshot { .. } | Effect::ReadsConfirmed { .. } => {}
                }
            }
            match written.take() {
                Some(token) => replica.handle_persisted(token),
                None => return,
            }
        }
    }
}

impl Core for Ours {
    fn propose(&mut self, commands: usize) {
        let mut propose = |bytes: Vec<u8>| {
            self.replicas[0].propose(Value::Command(Bytes::from(bytes))).expect("nobody else has stood for office");
        };
        match self.slots {
            Slots::OneATurn => propose(vec![7; commands * size_of::<Command>()]),
            Slots::OneEach => (0..commands).for_each(|_| propose(vec![7; size_of::<Command>()])),
        }
        self.follow_up(0);
    }

    fn turn(&mut self) -> usize {
        for index in 0..self.replicas.len() {
            self.follow_up(index);
        }
        for _ in 0..self.letters.len() {
            let Some(Letter { from, to, configuration, message }) = self.letters.pop_front() else { break };
            let index = to.0 as usize - 1;
            self.replicas[index].handle_message(from, configuration, message, &mut nobody);
        }
        for index in 0..self.replicas.len() {
            self.follow_up(index);
        }
        let mut decided = 0;
        for (index, replica) in self.replicas.iter_mut().enumerate() {
            while let Some((_, value)) = replica.poll_chosen() {
                if index == 0 {
                    decided += value.len() / size_of::<Command>();
                }
            }
        }
        decided
    }
}
