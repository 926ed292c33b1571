//! What a turn wants done.

use crate::config::HostError;
use bytes::Bytes;
use paxos::{Incarnation, Message, NodeId, Record, Slot, Value};
use placement::{Membership, ShardId};
use shard::Cut;
use wire::News;
use wire::peer::{Epoch, Frame, PartOf, PeerMessage};
use world::ChunkId;

/// Everything a turn wants done: frames, releases and the write in this order, the rest in any. For answers, which leave behind the
/// write, see [`crate::Host::take_answers`].
#[derive(Debug, Default)]
pub struct Turn {
    /// One frame per peer, more where one would be very large.
    pub frames: Vec<(NodeId, Frame)>,
    /// Slots up to here the log may forget. (Before anything is written: a shard that was left may be joined again.)
    pub releases: Vec<(ShardId, Slot)>,
    /// One durable write over all shards.
    pub write: Option<Write>,
    /// Parts of the log that lagging peers need.
    pub log_reads: Vec<LogRead>,
    /// Chunks to read from the store.
    pub chunk_loads: Vec<(ShardId, ChunkId)>,
    /// Checkpoints to write.
    pub cuts: Vec<(ShardId, Cut)>,
    /// Parts of checkpoints that other nodes need.
    pub part_reads: Vec<PartRead>,
    /// Shards whose checkpoints need not be held for others any more.
    pub let_go: Vec<ShardId>,
    /// Parts of checkpoints that have come from other nodes.
    pub stagings: Vec<PartOf>,
    /// Frames with parts of checkpoints, to be sent beside all others.
    pub bulk: Vec<(NodeId, Frame)>,
    /// Shards that this node is to join, or has left: to be noted in one durable write. What is stored of those that it has
    /// left is to go.
    pub memberships: Vec<(ShardId, Membership)>,
    /// The first life of a node's disk that this node has met: to be remembered.
    pub meetings: Vec<(NodeId, Incarnation)>,
    /// Something was chosen that this version of the program cannot read: nothing of this turn may be carried out, and the node
    /// must end.
    pub unreadable: Option<HostError>,
    /// What has changed of the land that this node's gateway looks at.
    pub news: Vec<News>,
    /// How many items each batch had that was proposed in this turn. For whoever counts.
    pub batches: Vec<usize>,
}

/// One durable write; ids count from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Write {
    /// Which write.
    pub id: u64,
    /// What to append.
    pub records: Vec<(ShardId, Record)>,
}

/// Read the log of `shard` after slot `after`, for node `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRead {
    /// Whose log.
    pub shard: ShardId,
    /// Who needs it.
    pub to: NodeId,
    /// It has everything up to here.
    pub after: Slot,
    /// What the log holds beyond this is not known to be chosen: it is not to be handed in.
    pub through: Slot,
}

/// Read the next part of the checkpoint of `shard` for node `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartRead {
    /// Whose checkpoint.
    pub shard: ShardId,
    /// Who needs it.
    pub to: NodeId,
    /// Which, if it was begun; it is held until it is let go ([`Turn::let_go`]). `None`: the one there is.
    pub slot: Option<Slot>,
    /// It has everything up to this key.
    pub after: Option<Bytes>,
}

/// A frame is closed when it holds about this many bytes.
const FRAME_BYTES: usize = 1 << 20;

/// Divides what is for one peer into frames of bearable size, the words about liveness first: they must not be lost
/// because of what travels with them.
pub(crate) fn frames(epoch: Epoch, incarnation: Incarnation, messages: Vec<PeerMessage>) -> Vec<Frame> {
    let (mut first, rest): (Vec<PeerMessage>, Vec<PeerMessage>) =
        messages.into_iter().partition(|message| matches!(message, PeerMessage::Probe(_) | PeerMessage::Heard(_)));
    let mut frames = Vec::with_capacity(1);
    let mut bytes = 0;
    for message in rest {
        bytes += weight(&message);
        if bytes > FRAME_BYTES && !first.is_empty() {
            frames.push(Frame { epoch, incarnation, messages: std::mem::take(&mut first) });
            bytes = weight(&message);
        }
        first.push(message);
    }
    frames.push(Frame { epoch, incarnation, messages: first });
    frames
}

/// About how many bytes a message takes.
fn weight(message: &PeerMessage) -> usize {
    const BASE: usize = 64;
    let values = |values: &[Value]| values.iter().map(|value| value.len() + 8).sum();
    let PeerMessage::Paxos { message, .. } = message else { return BASE };
    BASE + match message {
        Message::Accept { values: run, .. } => values(run),
        Message::Learn { values: run, .. } => values(run),
        Message::Promise { accepted, .. } => accepted.iter().map(|accepted| accepted.value.len() + 32).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paxos::Ballot;
    use wire::peer::{Probe, Word};
    use world::Millis;

    #[test]
    fn large_messages_are_divided_over_frames_and_the_probe_travels_in_the_first() {
        let learn = |bytes: usize| PeerMessage::Paxos {
            shard: ShardId(1),
            configuration: 0,
            message: Message::Learn {
                at: Slot(1),
                values: vec![Value::Command(Bytes::from(vec![0; bytes]))],
                chosen: Slot(1),
            },
        };
        let small = PeerMessage::Paxos {
            shard: ShardId(2),
            configuration: 0,
            message: Message::Refuse { ballot: Ballot::ZERO, promised: Ballot::ZERO },
        };
        let word = Word { number: 1, wall: Millis(0), boot: 1, hears: vec![] };
        let probe = PeerMessage::Probe(Probe { seq: 1, word, known: 0, released: vec![], you: None });
        let large = FRAME_BYTES / 2;
        let messages = vec![learn(large), learn(large), small.clone(), learn(3 * FRAME_BYTES), probe.clone()];
        let frames = frames(Epoch(7), Incarnation(8), messages);
        assert!(frames.iter().all(|frame| (frame.epoch, frame.incarnation) == (Epoch(7), Incarnation(8))));
        let frames: Vec<Vec<PeerMessage>> = frames.into_iter().map(|frame| frame.messages).collect();
        assert_eq!(frames.len(), 3, "one that fits, one that fits, one that is too large by itself");
        assert_eq!(frames[0], [probe, learn(large)]);
        assert_eq!(frames[1], [learn(large), small]);
        assert_eq!(frames[2], [learn(3 * FRAME_BYTES)]);
    }

    #[test]
    fn a_message_weighs_what_it_carries_and_a_frame_holds_what_fits() {
        let paxos = |message| PeerMessage::Paxos { shard: ShardId(1), configuration: 0, message };
        let value = |bytes: usize| Value::Command(Bytes::from(vec![0; bytes]));
        let (ballot, slot) = (Ballot::ZERO, Slot(1));
        let learn = |values| paxos(Message::Learn { at: slot, values, chosen: slot });
        let accept =
            |values| paxos(Message::Accept { ballot, start: slot, at: slot, values, chosen: slot, kept: slot });
        let accepted = [5, 6].map(|bytes| paxos::Accepted { slot, ballot, value: value(bytes) });
        let promise = paxos(Message::Promise { ballot, chosen: slot, first: slot, accepted: accepted.into() });
        let weights =
            [learn(vec![value(5), value(6)]), accept(vec![value(5)].into()), promise].map(|message| weight(&message));
        assert_eq!(weights, [64 + 13 + 14, 64 + 13, 64 + 37 + 38]);
        let half = || learn(vec![value(FRAME_BYTES / 2 - 72)]);
        let frames_of = |messages| frames(Epoch(7), Incarnation(8), messages).len();
        assert_eq!(frames_of(vec![half(), half()]), 1, "they just fit");
        assert_eq!(frames_of(vec![half(), half(), learn(Vec::new())]), 2);
    }
}
