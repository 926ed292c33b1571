//! Replicas of one shard in one thread, with memory for a disk: the least that an embedder does. To read, to try the library out,
//! and to measure what it takes by itself.

use crate::liveness::nobody;
use crate::quorum::QuorumError;
use crate::replica::NotLeader;
use crate::{Configuration, Effect, Message, NodeId, QuorumSystem, Recovered, Replica, Slot, Token, Value};
use std::collections::VecDeque;

/// A few replicas, of which the first leads.
///
/// ```
/// use paxos::{Value, local::Local};
///
/// let mut local = Local::new([1, 2, 3].map(paxos::NodeId))?;
/// local.propose(Value::Command("one acorn".into()))?;
/// let mut decided = Vec::new();
/// while !local.is_quiet() {
///     local.turn(|node, slot, value| decided.push((node, slot, value)));
/// }
/// assert!(decided.iter().any(|(_, _, value)| *value == Value::Command("one acorn".into())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Local {
    replicas: Vec<Replica>,
    letters: VecDeque<Letter>,
}

/// Something on its way.
#[derive(Debug)]
struct Letter {
    from: NodeId,
    to: NodeId,
    configuration: u64,
    message: Message,
}

impl Local {
    /// A majority of these decides. It begins when the first of them leads.
    pub fn new(nodes: impl IntoIterator<Item = NodeId> + Clone) -> Result<Self, QuorumError> {
        let quorum = QuorumSystem::majority(nodes.clone())?;
        let replica = |node| Replica::new(node, Configuration::first(quorum.clone()), Recovered::fresh());
        let mut local = Self { replicas: nodes.into_iter().map(replica).collect(), letters: VecDeque::new() };
        if let Some(first) = local.replicas.first_mut() {
            first.campaign(&mut nobody);
        }
        local.follow_up();
        while !local.is_quiet() {
            local.turn(|_, _, _| {});
        }
        Ok(local)
    }

    /// Has the leader propose something. Nothing is decided before the next turns.
    pub fn propose(&mut self, value: Value) -> Result<Slot, NotLeader> {
        let slot = self.replicas.first_mut().ok_or(NotLeader)?.propose(value)?;
        self.follow_up();
        Ok(slot)
    }

    /// Whether nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        self.letters.is_empty()
    }

    /// Delivers what is on its way now, and tells what each replica has learned to be chosen.
    pub fn turn(&mut self, mut chosen: impl FnMut(NodeId, Slot, Value)) {
        for _ in 0..self.letters.len() {
            let Some(Letter { from, to, configuration, message }) = self.letters.pop_front() else { break };
            if let Some(replica) = self.replicas.iter_mut().find(|replica| replica.me() == to) {
                replica.handle_message(from, configuration, message, &mut nobody);
            }
        }
        self.follow_up();
        for replica in &mut self.replicas {
            while let Some((slot, value)) = replica.poll_chosen() {
                chosen(replica.me(), slot, value);
            }
        }
    }

    /// Does what the replicas want done. Memory is durable at once.
    fn follow_up(&mut self) {
        for replica in &mut self.replicas {
            let from = replica.me();
            loop {
                let mut written: Option<Token> = None;
                while let Some(effect) = replica.poll_effect() {
                    match effect {
                        Effect::Persist { token, .. } => written = Some(token),
                        Effect::Send { to, configuration, message, .. } => {
                            self.letters.push_back(Letter { from, to, configuration, message });
                        }
                        // Nothing is lost, so nobody lags; and nobody reads.
                        Effect::ReadLog { .. } | Effect::WantSnapshot { .. } | Effect::ReadsConfirmed { .. } => {}
                    }
                }
                let Some(token) = written else { break };
                replica.handle_persisted(token);
            }
        }
    }
}
