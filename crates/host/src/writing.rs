//! A write under way, and what waits for it.

use crate::clock::Mono;
use paxos::{Message, NodeId, Token};
use placement::ShardId;
use shard::Cut;
use std::collections::BTreeMap;
use wire::peer::PeerMessage;

/// Messages that wait for a write, and what it makes durable.
#[derive(Debug)]
pub(crate) struct Writing {
    pub id: u64,
    /// When it was handed to the disk.
    pub since: Mono,
    pub tokens: Vec<(ShardId, Token)>,
    pub held: Vec<(NodeId, PeerMessage)>,
    /// Where the acknowledgements among them are, once another message is added.
    acks: Option<BTreeMap<(NodeId, ShardId), usize>>,
    /// Checkpoints of what this write, or one before, makes durable.
    pub cuts: Vec<(ShardId, Cut)>,
}

impl Writing {
    /// Write `id`, handed to the disk at `since`.
    pub fn new(id: u64, since: Mono, tokens: Vec<(ShardId, Token)>, held: Vec<(NodeId, PeerMessage)>) -> Self {
        Self { id, since, tokens, held, acks: None, cuts: Vec::new() }
    }

    /// Adds a message that waits; a newer acknowledgement takes the place of an older one, so that what waits for a
    /// stalled disk does not grow.
    pub fn hold(&mut self, (to, message): (NodeId, PeerMessage)) {
        let held = &mut self.held;
        if let Some(shard) = acknowledged(&message) {
            let at = |(at, (to, held)): (usize, &(NodeId, PeerMessage))| Some(((*to, acknowledged(held)?), at));
            let acks = self.acks.get_or_insert_with(|| held.iter().enumerate().filter_map(at).collect());
            if let Some(&older) = acks.get(&(to, shard)) {
                held[older].1 = message;
                return;
            }
            acks.insert((to, shard), held.len());
        }
        held.push((to, message));
    }
}

/// The shard whose slots the message acknowledges, if that is what it does.
fn acknowledged(message: &PeerMessage) -> Option<ShardId> {
    match message {
        PeerMessage::Paxos { shard, message: Message::Ack { .. }, .. } => Some(*shard),
        _ => None,
    }
}

/// Whether what the message asks for needs no space on the disk.
pub(crate) fn is_free_of_writes(message: &PeerMessage) -> bool {
    matches!(message, PeerMessage::Probe(_) | PeerMessage::Heard(_) | PeerMessage::Pull { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use paxos::{Ballot, Slot};

    #[test]
    fn a_newer_ack_takes_the_place_of_the_older_one_of_its_shard_and_nothing_else_is_dropped() {
        let ack = |shard, through| {
            let (ballot, chosen) = (Ballot { round: 1, node: NodeId(1) }, Slot(0));
            let message = Message::Ack { ballot, through: Slot(through), chosen, safe: chosen, gap: false };
            PeerMessage::Paxos { shard: ShardId(shard), configuration: 0, message }
        };
        let message = Message::Refuse { ballot: Ballot::ZERO, promised: Ballot::ZERO };
        let refuse = PeerMessage::Paxos { shard: ShardId(7), configuration: 0, message };
        let mut writing = Writing::new(1, Mono(0), Vec::new(), vec![(NodeId(1), ack(7, 1))]);
        for message in [refuse.clone(), ack(7, 2), refuse.clone()] {
            writing.hold((NodeId(1), message));
        }
        writing.hold((NodeId(1), ack(8, 3)));
        writing.hold((NodeId(2), ack(7, 4)));
        let held: Vec<_> = writing.held.iter().map(|(node, message)| (node.0, message.clone())).collect();
        let expected = [(1, ack(7, 2)), (1, refuse.clone()), (1, refuse), (1, ack(8, 3)), (2, ack(7, 4))];
        assert_eq!(held, expected);
    }
}
