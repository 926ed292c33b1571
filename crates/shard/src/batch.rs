//! What a slot of the log carries: the commands of one turn, and the leader's time.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wire::Envelope;
use wire::codec::{self, CodecError};
use world::land::Payment;
use world::{Bucket, Millis, PlayerName, RuleBook, WorldSeed};

/// Everything one turn decided for one shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The leader's wall clock; log time is the maximum over the applied prefix.
    pub time: Millis,
    /// In the order in which they take effect.
    pub items: Vec<Item>,
}

/// One thing that changes a shard's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item {
    /// A player's command.
    Client(Envelope),
    /// The first item of every shard's log.
    Genesis(Box<Genesis>),
    /// A payment from another shard's harvests arrives in a wallet here.
    Receive(Payment),
    /// A payment of ours has arrived.
    Settle {
        /// The channel: where the acorns grew.
        bucket: Bucket,
        /// The channel: whose they are.
        player: PlayerName,
        /// Which payment.
        seq: u64,
    },
}

/// What a shard is born with: a replica never reads a rule from its own files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// The world's seed.
    pub seed: WorldSeed,
    /// The rule book in force.
    pub rules: RuleBook,
    /// The shard's first and last bucket.
    pub buckets: (Bucket, Bucket),
}

impl Batch {
    /// As it goes into the log.
    pub fn encode(&self) -> Bytes {
        codec::encode(self)
    }

    /// From the log. An error means that a node wrote what this version cannot read.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode("batch", bytes)
    }
}
