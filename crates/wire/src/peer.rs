//! Between two nodes.
//!
//! A node sends at most one frame per peer and turn: a list of [`PeerMessage`]s of all its shards. The transport has
//! proven who the sender is.

use paxos::{Message, NodeId};
use placement::ShardId;
use serde::{Deserialize, Serialize};
use world::land::Payment;
use world::{Bucket, Millis, PlayerName};

/// Everything one node has to say to another in one turn.
pub type Frame = Vec<PeerMessage>;

/// One thing a node says to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerMessage {
    /// Between the two replicas of a shard.
    Paxos {
        /// Which shard.
        shard: ShardId,
        /// What its replica says.
        message: Message,
    },
    /// Are you there?
    Probe(Probe),
    /// I am: the probe's number back, and the same about me.
    Heard(Probe),
    /// To whoever leads the shard of the paid player: bring this payment in.
    Pay {
        /// The payer's shard.
        from: ShardId,
        /// The payee's shard.
        to: ShardId,
        /// How much to whom, and which one it is.
        payment: Payment,
    },
    /// The payment (and every earlier one of its channel) is in the wallet, chosen and applied.
    Paid {
        /// The payer's shard.
        to: ShardId,
        /// The channel: where the acorns grew.
        bucket: Bucket,
        /// The channel: whose they are.
        player: PlayerName,
        /// Which payment.
        seq: u64,
    },
}

/// The periodic word between two nodes; nothing periodic is per shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Counts the asker's probes.
    pub seq: u64,
    /// Counts the sender's words of this kind, so that a late one is not taken for news.
    pub word: u64,
    /// The sender's wall clock.
    pub wall: Millis,
    /// Counts the sender's starts: a change means that it leads nothing of what it led.
    pub boot: u64,
    /// The nodes that answered the sender's own probes of late.
    pub hears: Vec<NodeId>,
}
