//! A write under way, and what waits for it.

use crate::clock::Mono;
use paxos::{Message, NodeId, Token};
use placement::ShardId;
use shard::Cut;

/// Messages that wait for a write, and what it makes durable.
#[derive(Debug)]
pub(crate) struct Writing {
    pub id: u64,
    /// When it was handed to the disk.
    pub since: Mono,
    pub tokens: Vec<(ShardId, Token)>,
    pub held: Vec<(NodeId, ShardId, Message)>,
    /// Checkpoints of what this write, or one before, makes durable.
    pub cuts: Vec<(ShardId, Cut)>,
}

impl Writing {
    /// Adds a message that waits; a newer acknowledgement takes the place of an older one, so that what waits for a
    /// stalled disk does not grow.
    pub fn hold(&mut self, (to, shard, message): (NodeId, ShardId, Message)) {
        if matches!(message, Message::Ack { .. }) {
            let older = |held: &&mut (NodeId, ShardId, Message)| {
                (held.0, held.1) == (to, shard) && matches!(held.2, Message::Ack { .. })
            };
            if let Some(held) = self.held.iter_mut().find(older) {
                held.2 = message;
                return;
            }
        }
        self.held.push((to, shard, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paxos::{Ballot, Slot};

    #[test]
    fn a_newer_ack_takes_the_place_of_the_older_one_of_its_shard_and_nothing_else_is_dropped() {
        let ack = |through| {
            let (ballot, chosen) = (Ballot { round: 1, node: NodeId(1) }, Slot(0));
            Message::Ack { ballot, through: Slot(through), chosen, safe: chosen, gap: false }
        };
        let refuse = Message::Refuse { ballot: Ballot::ZERO, promised: Ballot::ZERO };
        let mut writing = Writing { id: 1, since: Mono(0), tokens: Vec::new(), held: Vec::new(), cuts: Vec::new() };
        for message in [ack(1), refuse.clone(), ack(2), refuse.clone()] {
            writing.hold((NodeId(1), ShardId(7), message));
        }
        writing.hold((NodeId(1), ShardId(8), ack(3)));
        writing.hold((NodeId(2), ShardId(7), ack(4)));
        let held: Vec<_> =
            writing.held.iter().map(|(node, shard, message)| (node.0, shard.0, message.clone())).collect();
        let expected = [(1, 7, ack(2)), (1, 7, refuse.clone()), (1, 7, refuse), (1, 8, ack(3)), (2, 7, ack(4))];
        assert_eq!(held, expected);
    }
}
