//! Whose data this is.

use paxos::NodeId;
use std::{fmt, num::ParseIntError, str::FromStr};

/// A cluster, by a random number drawn when it was founded; shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u64);

/// One life of a node's disk, by a random number drawn when the data directory was made; shown as 16 hexadecimal
/// digits. A node whose disk was wiped is a new incarnation and has forgotten what the old one promised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// What every file of a node's data carries, and refuses to be opened without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// Which life of its disk.
    pub incarnation: Incarnation,
}

macro_rules! hexadecimal {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                u64::from_str_radix(text, 16).map(Self)
            }
        }
    };
}

hexadecimal!(ClusterId);
hexadecimal!(Incarnation);

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of cluster {}, incarnation {}", self.node, self.cluster, self.incarnation)
    }
}

impl Identity {
    /// Bytes of an encoded identity.
    pub(crate) const BYTES: usize = 20;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..8].copy_from_slice(&self.cluster.0.to_le_bytes());
        out[8..16].copy_from_slice(&self.incarnation.0.to_le_bytes());
        out[16..].copy_from_slice(&self.node.0.to_le_bytes());
        out
    }

    pub(crate) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let node = u32::from_le_bytes(bytes[16..].try_into().expect("4 bytes"));
        Self { cluster: ClusterId(word(0)), node: NodeId(node), incarnation: Incarnation(word(8)) }
    }
}
