//! Who runs, and what they do.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub enum Peer {
    /// Ice Age Farmland: three nodes, TLS
    Ours,
    /// etcd: three nodes
    Etcd,
    /// ZooKeeper: three nodes
    Zookeeper,
    /// Redis: one node, unreplicated
    Redis,
    /// PostgreSQL: one node, unreplicated
    Postgres,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ours, Self::Etcd, Self::Zookeeper, Self::Redis, Self::Postgres];

    /// As it is shown.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ours => "Ice Age Farmland x3",
            Self::Etcd => "etcd x3",
            Self::Zookeeper => "ZooKeeper x3",
            Self::Redis => "Redis x1",
            Self::Postgres => "PostgreSQL x1",
        }
    }

    /// How its servers are set.
    pub fn settings(self) -> &'static str {
        match self {
            Self::Ours => "`icefarm up`, nothing set: 3 voters, 64 shards, QUIC with TLS 1.3 to nodes and clients",
            Self::Etcd => {
                "--backend-batch-interval=5ms --backend-batch-limit=100 (several times its usual rate with small keys), \
                 --quota-backend-bytes=8G, a client on up to 8 connections to all members; not at 8,192, since it refuses more \
                 than 5,000; no TLS"
            }
            Self::Zookeeper => {
                "forceSync (its default), globalOutstandingLimit=100000, maxClientCnxns=0, 1 GB of heap, \
                 up to 12 sessions over all servers, each pipelined; no TLS"
            }
            Self::Redis => {
                "appendonly yes, appendfsync always, no RDB snapshots, rewrites as usual; up to 64 connections with pipelines of 16 (of 128 at 8,192); \
                 no TLS"
            }
            Self::Postgres => {
                "synchronous_commit=on, shared_buffers=1GB, max_wal_size=8GB, a Unix socket, prepared statements, up to 64 \
                 connections (more in flight: pipelined)"
            }
        }
    }

    /// The most operations in flight that it takes.
    pub fn most_in_flight(self) -> usize {
        match self {
            // Beyond 5,000 that are not applied it answers "too many requests" (maxGapBetweenApplyAndCommitIndex).
            Self::Etcd => 4_096,
            Self::Ours | Self::Zookeeper | Self::Redis | Self::Postgres => usize::MAX,
        }
    }

    /// How it does something; `None` if it does not.
    pub fn way(self, work: Work) -> Option<&'static str> {
        use Work::{Claims, Contested, EventualReads, PackedViews, Puts, StrongReads, Views};
        match (self, work) {
            (Self::Ours, Claims) => Some("claim: rules checked, owner and request number recorded"),
            (Self::Ours, Contested) => Some("claim; who comes late is told the owner"),
            (Self::Ours, StrongReads) => Some("linearizable, under lease"),
            (Self::Ours, EventualReads) => Some("nearest replica, with a staleness bound"),
            (Self::Ours, Views) => {
                Some("32 x 32 fields, eventual; the client sees that they are whole and leaves them packed")
            }
            (Self::Etcd, Claims | Contested) => Some("Txn: put if version = 0"),
            (Self::Etcd, Puts) => Some("Put, unconditional: its best"),
            (Self::Etcd, StrongReads) => Some("Range, linearizable"),
            (Self::Etcd, EventualReads) => Some("Range, serializable"),
            (Self::Etcd, Views) => Some("Range of 1,024 keys, serializable"),
            (Self::Zookeeper, Claims | Contested) => Some("create"),
            (Self::Zookeeper, StrongReads) => Some("sync, getData"),
            (Self::Zookeeper, EventualReads) => Some("getData"),
            (Self::Redis, Claims | Contested) => Some("SET NX, pipelined"),
            (Self::Redis, StrongReads) => Some("GET, pipelined"),
            (Self::Redis, Views) => Some("HGETALL of 1,024 entries"),
            (Self::Redis, PackedViews) => Some("GETRANGE of 1,024 records packed by the client"),
            (Self::Postgres, Claims | Contested) => Some("INSERT ON CONFLICT DO NOTHING"),
            (Self::Postgres, StrongReads) => Some("SELECT by primary key"),
            (Self::Postgres, Views) => Some("SELECT of 1,024 neighbouring keys"),
            (Self::Ours, Puts | PackedViews)
            | (Self::Etcd, PackedViews)
            | (Self::Zookeeper, Puts | Views | PackedViews)
            | (Self::Redis | Self::Postgres, Puts | EventualReads)
            | (Self::Postgres, PackedViews) => None,
        }
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub enum Work {
    /// Put if absent, each on a key of its own, durable when acknowledged, 100 bytes
    Claims,
    /// Put whatever is there: for peers that do this better
    Puts,
    /// Put if absent, each key tried by eight: one may win
    Contested,
    /// One record, as of now
    StrongReads,
    /// One record, from any replica
    EventualReads,
    /// 1,024 records side by side
    Views,
    /// The same, from bytes that a client has packed before
    PackedViews,
}

impl Work {
    /// All of it.
    pub const ALL: [Self; 7] = [
        Self::Claims,
        Self::Puts,
        Self::Contested,
        Self::StrongReads,
        Self::EventualReads,
        Self::Views,
        Self::PackedViews,
    ];

    /// As it is shown.
    pub fn title(self) -> &'static str {
        match self {
            Self::Claims => "Durable claims (put if absent, 100 B)",
            Self::Puts => "Durable puts (unconditional, 100 B)",
            Self::Contested => "Contested claims (eight for each)",
            Self::StrongReads => "Strong reads of one record",
            Self::EventualReads => "Eventual reads of one record",
            Self::Views => "Views of 1,024 records",
            Self::PackedViews => "Views of 1,024 records, packed by the client",
        }
    }

    /// Operations in flight that it is measured with.
    pub fn depths(self) -> &'static [usize] {
        match self {
            Self::Claims | Self::Puts | Self::Contested => &[1, 64, 1_024, 8_192],
            Self::StrongReads | Self::EventualReads => &[1, 64, 1_024],
            Self::Views | Self::PackedViews => &[1, 8],
        }
    }
}

/// A value as it is typed.
pub fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&word(*self))
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&word(*self))
    }
}

/// Records that reads are of.
pub const RECORDS: u64 = 4_096;
/// Records in a view.
pub const VIEW: u64 = 1_024;
/// Who wants the same key.
pub const RIVALS: u64 = 8;
/// Bytes of a record.
pub const BYTES: usize = 100;

/// The number of a record in a task's own range: no two tasks of one run share any.
pub fn key(nth: u64, number: u64) -> u64 {
    nth << 32 | number
}

/// What a record holds: its key, so that an answer can be told from another's.
pub fn record(key: u64) -> Vec<u8> {
    let mut bytes = vec![b'.'; BYTES];
    bytes[..8].copy_from_slice(&key.to_be_bytes());
    bytes
}
