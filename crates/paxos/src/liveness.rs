//! What Paxos asks of whoever knows which nodes are alive.
//!
//! Agreement never rests on the answers. Leases do, on one of them: a voter that has promised a leader's node to join nobody
//! else for a while ([`Liveness::protects`]) keeps that promise here, in every place where it could join.

use crate::{Ballot, NodeId, QuorumSystem};

/// The embedder's view of its nodes, and what it has promised them.
pub trait Liveness {
    /// Whether `node`, as a leader, is heard here and hears a quorum: then this voter joins nobody else. A matter of manners,
    /// not of safety.
    fn healthy(&self, node: NodeId, quorum: &QuorumSystem) -> bool;

    /// Whether this voter may not leave `promised`, the highest ballot it has promised, for another node's. `following`:
    /// it has taken entries or watermarks of that ballot since it started, and has not been told to forget its leader since.
    fn protects(&self, promised: Ballot, following: bool) -> bool;

    /// This voter leaves `promised`, which it followed and which is not protected, for another node's ballot: whatever its
    /// node was promised by this one has ended.
    fn leave(&mut self, promised: Ballot);
}

/// For embedders without leases: only [`Liveness::healthy`].
impl<F: Fn(NodeId, &QuorumSystem) -> bool> Liveness for F {
    fn healthy(&self, node: NodeId, quorum: &QuorumSystem) -> bool {
        self(node, quorum)
    }

    fn protects(&self, _: Ballot, _: bool) -> bool {
        false
    }

    fn leave(&mut self, _: Ballot) {}
}

/// Knows nothing: no leader is healthy.
pub fn nobody(_: NodeId, _: &QuorumSystem) -> bool {
    false
}
