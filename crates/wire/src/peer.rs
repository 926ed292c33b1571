//! Between two nodes.
//!
//! A node sends one frame per peer and turn, more where one would be very large: a list of [`PeerMessage`]s of all its shards.
//! The transport has proven who the sender is.

use bytes::Bytes;
use paxos::{Ballot, Configuration, Incarnation, Message, NodeId, Slot};
use placement::ShardId;
use serde::{Deserialize, Serialize};
use world::land::Payment;
use world::{Bucket, Millis, PlayerName};

/// Everything one node has to say to another in one turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The epoch under which the sender supports the receiver at this moment. Each acknowledgement in the frame is from a
    /// replica that follows the acknowledged ballot at this moment.
    pub epoch: Epoch,
    /// Which life of its disk the sender lives.
    pub incarnation: Incarnation,
    /// What it says, in order.
    pub messages: Vec<PeerMessage>,
}

/// Counts the promises of support that one node has made another; a new one begins whenever an old one was ended. The
/// supporter counts; its starts are the high half, so that no restart ever repeats one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// One thing a node says to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerMessage {
    /// Between the two replicas of a shard.
    Paxos {
        /// Which shard.
        shard: ShardId,
        /// The number of the configuration in which it says so.
        configuration: u64,
        /// What its replica says.
        message: Message,
    },
    /// Are you there?
    Probe(Probe),
    /// I am, and this I promise and know.
    Heard(Heard),
    /// Who takes part in a shard, for those who do not and may be asked.
    Members {
        /// Which.
        shard: ShardId,
        /// As its leader has it.
        configuration: Configuration,
    },
    /// To [`PeerMessage::Members`]: I know, until I start anew.
    MembersHeard {
        /// Which shard.
        shard: ShardId,
        /// The number of its configuration.
        number: u64,
        /// Which of the sender's starts this is.
        boot: u64,
    },
    /// Give me the next part of your checkpoint of this shard.
    Pull {
        /// Which.
        shard: ShardId,
        /// The checkpoint that was begun; `None`: the one you have now.
        slot: Option<Slot>,
        /// Everything up to this key is here.
        after: Option<Bytes>,
    },
    /// Here it is. Large: it travels on a stream of its own.
    Part(Box<PartOf>),
    /// That checkpoint is not held here (any more), nor perhaps the shard, or too many are given at a time: begin anew.
    NoPart {
        /// Of which shard.
        shard: ShardId,
        /// Which was asked for.
        slot: Option<Slot>,
    },
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

/// A part of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartOf {
    /// Of which shard.
    pub shard: ShardId,
    /// As of which slot.
    pub slot: Slot,
    /// What was said to be there already.
    pub after: Option<Bytes>,
    /// The checkpoint's head.
    pub head: Bytes,
    /// Pages, by ascending key.
    pub pages: Vec<(Bytes, Bytes)>,
    /// Nothing follows.
    pub last: bool,
}

/// The periodic question of one node to another; nothing periodic is per shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Counts the asker's probes.
    pub seq: u64,
    /// About the asker.
    pub word: Word,
    /// The asker knows the answerer's [`Cover`] up to this version.
    pub known: u64,
    /// Ballots under which the asker led, and never will again; repeated until a probe that held them is answered.
    pub released: Vec<(ShardId, Ballot)>,
    /// The life of the answerer's disk that the asker knows it by, if it has met it.
    pub you: Option<Incarnation>,
}

/// The answer to a [`Probe`].
///
/// It is a promise: for the time of support, counted from now, the answerer leaves no ballot of the asker's that it follows
/// for another node's, as long as it names this epoch. And it is knowledge: of every shard that the answerer leads under a
/// valid lease, how far it is chosen at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The probe answered.
    pub seq: u64,
    /// About the answerer.
    pub word: Word,
    /// The epoch under which it supports the asker.
    pub epoch: Epoch,
    /// For how long from its answer on, in microseconds of its own clock.
    pub length: u64,
    /// What it leads.
    pub cover: Cover,
}

/// The shards that a node leads under a valid lease, as a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// Everything that changed after this version is told.
    pub since: u64,
    /// The version now. Versions grow, over restarts too.
    pub version: u64,
    /// For each shard that changed: chosen so far, or `None` where the lease is gone.
    pub changed: Vec<(ShardId, Option<Slot>)>,
}

/// What a node says about itself with every probe and answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Counts the sender's words of this kind, so that a late one is not taken for news.
    pub number: u64,
    /// The sender's wall clock.
    pub wall: Millis,
    /// Counts the sender's starts: a change means that it leads nothing of what it led.
    pub boot: u64,
    /// The nodes that answered the sender's own probes of late.
    pub hears: Vec<NodeId>,
}
