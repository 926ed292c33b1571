//! What a replica wants done: effects, and whom its answers are for.

use crate::vantage::Mono;
use paxos::{Message, NodeId, Record, Slot, Token};
use placement::ShardId;
use wire::Answer;
use world::ChunkId;
use world::land::Payment;

/// A client's connection, as the node numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The connection it came on.
    pub conn: ConnId,
    /// The client's label.
    pub id: u64,
}

/// What the host has to do for a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Append this to the log; report the token when it is durable.
    Persist {
        /// What to write.
        record: Record,
        /// Its number.
        token: Token,
    },
    /// Send this to a peer replica, not before `after` is durable.
    Send {
        /// To whom.
        to: NodeId,
        /// The number of the configuration it is sent in.
        configuration: u64,
        /// What.
        message: Message,
        /// What must be durable first.
        after: Option<Token>,
    },
    /// Answer a client.
    Answer {
        /// On this connection.
        conn: ConnId,
        /// This.
        answer: Answer,
        /// What it says holds until then: it must have left before.
        until: Option<Mono>,
    },
    /// Read chosen values after this slot from the log, for [`crate::Replica::handle_log_read`].
    ReadLog {
        /// Who asked.
        to: NodeId,
        /// It holds everything up to here.
        after: Slot,
        /// What the log holds beyond this is not known to be chosen.
        through: Slot,
    },
    /// What was chosen for this slot was made by another version of the program, and this one cannot read it. The node must end.
    Unreadable {
        /// Which.
        slot: Slot,
        /// Why not.
        why: String,
    },
    /// Nothing to do: it made a batch of so many items. For whoever counts.
    Proposed {
        /// How many.
        items: usize,
    },
    /// `from` cannot serve from its log what is missing here: fetch its checkpoint, for [`crate::Replica::install`].
    WantSnapshot {
        /// Who has one.
        from: NodeId,
    },
    /// A read waits for fresher news of the leader than there are.
    WantFresh,
    /// Read a chunk's page, for [`crate::Replica::handle_chunk`]. Apply waits.
    LoadChunk {
        /// Which.
        chunk: ChunkId,
    },
    /// Take this payment to whoever leads its player's shard.
    Pay {
        /// Which payment.
        payment: Payment,
    },
    /// Tell `node`, for its shard `shard`, that this payment has arrived.
    Paid {
        /// Who brought it.
        node: NodeId,
        /// For which shard.
        shard: ShardId,
        /// Which payment.
        payment: Payment,
    },
}
