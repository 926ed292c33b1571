//! What stands between the node and serving, as `/readyz` tells it.

use gateway::{Missing, Readiness};
use host::Host;
use std::sync::{Mutex, PoisonError};
use storage::DataDir;

/// Written now and then, read by whoever asks.
#[derive(Debug)]
pub(crate) struct Ready(Mutex<Vec<Missing>>);

impl Readiness for Ready {
    fn missing(&self) -> Vec<Missing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Ready {
    /// Of a node that has not recovered yet.
    pub fn starting() -> Self {
        Self(Mutex::new(vec![Missing { what: "recovery", detail: "the node is starting".into() }]))
    }

    /// How things stand.
    pub fn note(&self, host: &Host, data: &DataDir) {
        let mut missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        missing.clear();
        if host.is_ready() {
            return;
        }
        if host.is_disk_full() {
            let detail = format!(
                "the disk of {} is full: free space on it; this node then goes on by itself",
                data.path().display()
            );
            missing.push(Missing { what: "disk", detail });
        }
        if let Some((shards, by)) = host.disowned() {
            let detail = format!(
                "{by} has met this node with another disk: in {shards} shards its votes count for nothing until it is removed \
                 from each and added again (icefarm admin repair {})",
                data.identity().node
            );
            missing.push(Missing { what: "incarnation", detail });
        }
        let unmet = host.unmet();
        if !unmet.is_empty() && missing.is_empty() {
            let unmet: Vec<String> = unmet.iter().map(ToString::to_string).collect();
            let detail = format!(
                "a new node votes once every other node of the cluster has met it: {} has not yet",
                unmet.join(", ")
            );
            missing.push(Missing { what: "founding", detail });
        }
        let leaderless = host.leaderless();
        if leaderless > 0 || missing.is_empty() {
            let detail = format!("{leaderless} shards have no leader that this node follows");
            missing.push(Missing { what: "leader", detail });
        }
    }
}
