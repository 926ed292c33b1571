//! The crate `raft` (raft-rs, of TiKV), with its own store in memory.

use super::Core;
use crate::Failure;
use raft::eraftpb::{ConfState, Message};
use raft::storage::MemStorage;
use raft::{Config, RawNode};
use slog::{Discard, Logger, o};

/// The log is compacted once it is so long.
const COMPACT: u64 = 1 << 16;
/// So many messages of a follower may be on their way.
const IN_FLIGHT: usize = 4_096;

/// Three nodes; the first leads.
pub struct Raft {
    nodes: Vec<RawNode<MemStorage>>,
    letters: Vec<Message>,
    compacted: u64,
}

impl Raft {
    pub fn new() -> Result<Self, Failure> {
        let logger = Logger::root(Discard, o!());
        let mut nodes = Vec::new();
        for id in 1..=3 {
            let config = Config {
                id,
                election_tick: 10,
                heartbeat_tick: 3,
                max_size_per_msg: 1 << 20,
                max_inflight_msgs: IN_FLIGHT,
                // Several proposals become one message to a follower.
                batch_append: true,
                ..Config::default()
            };
            let store = MemStorage::new_with_conf_state(ConfState::from((vec![1, 2, 3], vec![])));
            nodes.push(RawNode::new(&config, store, &logger)?);
        }
        let mut raft = Self { nodes, letters: Vec::new(), compacted: 0 };
        raft.nodes[0].campaign()?;
        while raft.nodes[0].raft.state != raft::StateRole::Leader || !raft.letters.is_empty() {
            raft.turn();
        }
        Ok(raft)
    }

    /// What the documentation asks for after each step; how many commands were committed.
    fn on_ready(node: &mut RawNode<MemStorage>, letters: &mut Vec<Message>) -> usize {
        let mut committed = 0;
        let mut count = |entries: &[raft::eraftpb::Entry]| {
            committed += entries.iter().filter(|entry| !entry.data.is_empty()).count();
        };
        while node.has_ready() {
            let mut ready = node.ready();
            letters.extend(ready.take_messages());
            count(&ready.take_committed_entries());
            let store = node.mut_store().clone();
            store.wl().append(ready.entries()).expect("entries follow each other");
            if let Some(state) = ready.hs() {
                store.wl().set_hardstate(state.clone());
            }
            letters.extend(ready.take_persisted_messages());
            let mut light = node.advance(ready);
            if let Some(commit) = light.commit_index() {
                store.wl().mut_hard_state().commit = commit;
            }
            letters.extend(light.take_messages());
            count(&light.take_committed_entries());
            node.advance_apply();
        }
        committed
    }
}

impl Core for Raft {
    fn propose(&mut self, commands: usize) {
        for _ in 0..commands {
            self.nodes[0].propose(Vec::new(), vec![7; 16]).expect("the leader takes proposals");
        }
    }

    fn turn(&mut self) -> usize {
        let mut decided = Self::on_ready(&mut self.nodes[0], &mut self.letters);
        for letter in std::mem::take(&mut self.letters) {
            let index = usize::try_from(letter.to).expect("one of three") - 1;
            self.nodes[index].step(letter).expect("messages of this cluster make sense");
        }
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let committed = Self::on_ready(node, &mut self.letters);
            decided += if index == 0 { committed } else { 0 };
        }
        let applied = self.nodes.iter().map(|node| node.raft.raft_log.applied).min().unwrap_or(0);
        if applied > self.compacted + COMPACT {
            for node in &mut self.nodes {
                node.mut_store().wl().compact(applied).expect("what is applied may go");
            }
            self.compacted = applied;
        }
        decided
    }
}
