//! Nodes on loopback, and waiting for what should happen.
#![allow(dead_code, reason = "each test binary uses its part")]

use paxos::NodeId;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use transport::{ClusterCa, Event, EventReceiver, Transport, TransportConfig, draw_cluster_id};

pub const N1: NodeId = NodeId(1);
pub const N2: NodeId = NodeId(2);
pub const N3: NodeId = NodeId(3);

/// Far longer than anything here takes.
pub const LONG: Duration = Duration::from_secs(20);

pub fn authority() -> ClusterCa {
    ClusterCa::create(draw_cluster_id().unwrap()).unwrap()
}

pub fn anywhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A peer's address that is never dialled, since its id is higher.
pub fn unused() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 9).into()
}

pub fn config(ca: &ClusterCa, me: NodeId, peers: &[(NodeId, SocketAddr)]) -> TransportConfig {
    TransportConfig::new(ca.issue_node(me).unwrap(), anywhere(), peers.to_vec())
}

pub fn bind(config: TransportConfig) -> (Transport, EventReceiver, SocketAddr) {
    let (transport, events) = Transport::bind(config).unwrap();
    let addr = transport.local_addr().unwrap();
    (transport, events, addr)
}

pub async fn next(events: &mut EventReceiver) -> Event {
    timeout(LONG, events.recv()).await.expect("an event in time").expect("the transport goes on")
}

/// Waits until it holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            // It polls.
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

/// Waits until the peer is in trouble that mentions `text`.
pub async fn until_trouble(transport: &Transport, peer: NodeId, text: &str) {
    let mut last = None;
    let waiting = async {
        loop {
            last = transport.peers().into_iter().find(|status| status.node == peer).unwrap().trouble;
            if last.as_ref().is_some_and(|trouble| trouble.contains(text)) {
                return;
            }
            // It polls.
            sleep(Duration::from_millis(2)).await;
        }
    };
    let outcome = timeout(LONG, waiting).await;
    assert!(outcome.is_ok(), "expected trouble with '{text}', saw {last:?}");
}

/// A directory that is gone after the test.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        let name = format!("transport-{}", draw_cluster_id().unwrap());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
