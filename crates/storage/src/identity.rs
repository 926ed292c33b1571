//! Whose data this is.

use paxos::{Incarnation, NodeId};
use placement::ClusterId;
use std::fmt;

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

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of cluster {}, incarnation {}", self.node, self.cluster, self.incarnation)
    }
}

impl Identity {
    /// Bytes of an encoded identity.
    pub(crate) const BYTES: usize = 28;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..16].copy_from_slice(&self.cluster.0.to_le_bytes());
        out[16..24].copy_from_slice(&self.incarnation.0.to_le_bytes());
        out[24..].copy_from_slice(&self.node.0.to_le_bytes());
        out
    }

    pub(crate) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let cluster = u128::from_le_bytes(bytes[..16].try_into().expect("16 bytes"));
        let incarnation = u64::from_le_bytes(bytes[16..24].try_into().expect("8 bytes"));
        let node = u32::from_le_bytes(bytes[24..].try_into().expect("4 bytes"));
        Self { cluster: ClusterId(cluster), node: NodeId(node), incarnation: Incarnation(incarnation) }
    }
}
