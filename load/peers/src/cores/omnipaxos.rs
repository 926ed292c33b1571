//! The crate `omnipaxos`, with its own store in memory.

use super::Core;
use omnipaxos::messages::Message;
use omnipaxos::storage::{Entry, NoSnapshot};
use omnipaxos::{ClusterConfig, OmniPaxos, ServerConfig};
use omnipaxos_storage::memory_storage::MemoryStorage;

/// What is decided.
#[derive(Clone, Debug)]
struct Command(#[allow(dead_code, reason = "nobody looks into it")] super::Command);

impl Entry for Command {
    type Snapshot = NoSnapshot;
}

/// The log is trimmed once it is so long, as it would be with checkpoints.
const TRIM: usize = 1 << 16;

/// Three nodes.
pub struct Omni {
    nodes: Vec<OmniPaxos<Command, MemoryStorage<Command>>>,
    letters: Vec<Message<Command>>,
    leader: usize,
    /// By node: how far the log has been read.
    read: [usize; 3],
    trimmed: usize,
}

impl Omni {
    pub fn new() -> Self {
        let nodes = (1..=3)
            .map(|pid| {
                let cluster = ClusterConfig { configuration_id: 1, nodes: vec![1, 2, 3], flexible_quorum: None };
                let server = ServerConfig { pid, ..ServerConfig::default() };
                cluster.build_for_server(server, MemoryStorage::default()).expect("a cluster of three is one")
            })
            .collect();
        let mut omni = Self { nodes, letters: Vec::new(), leader: 0, read: [0; 3], trimmed: 0 };
        let elected = |omni: &Self| omni.nodes[0].get_current_leader().filter(|(_, accepts)| *accepts);
        loop {
            for node in &mut omni.nodes {
                node.tick();
            }
            omni.turn();
            if let Some((leader, _)) = elected(&omni) {
                omni.leader = usize::try_from(leader).expect("one of three") - 1;
                // Everybody has heard of it once nothing is on its way.
                while !omni.letters.is_empty() {
                    omni.turn();
                }
                return omni;
            }
        }
    }

    fn collect(&mut self) {
        for node in &mut self.nodes {
            node.take_outgoing_messages(&mut self.letters);
        }
    }
}

impl Core for Omni {
    fn propose(&mut self, commands: usize) {
        for _ in 0..commands {
            self.nodes[self.leader].append(Command([7; 16])).expect("no reconfiguration is under way");
        }
    }

    fn turn(&mut self) -> usize {
        self.collect();
        for letter in std::mem::take(&mut self.letters) {
            let index = usize::try_from(letter.get_receiver()).expect("one of three") - 1;
            self.nodes[index].handle_incoming(letter);
        }
        self.collect();
        let before = self.read[self.leader];
        for (node, read) in self.nodes.iter().zip(&mut self.read) {
            if node.get_decided_idx() > *read {
                let entries = node.read_decided_suffix(*read);
                *read += entries.map_or(0, |entries| std::hint::black_box(entries).len());
            }
        }
        let everywhere = self.read.into_iter().min().unwrap_or(0);
        if everywhere - self.trimmed >= TRIM && self.nodes[self.leader].trim(Some(everywhere)).is_ok() {
            self.trimmed = everywhere;
        }
        self.read[self.leader] - before
    }
}
