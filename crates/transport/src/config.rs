//! Limits and tuning, all with defaults that suit a cluster in one place and a cluster around the world.

use crate::identity::NodeIdentity;
use paxos::NodeId;
use std::net::SocketAddr;
use std::time::Duration;

/// What a node's transport needs to know.
#[derive(Clone, Debug)]
pub struct TransportConfig {
    /// Which node this is, and how it proves it.
    pub identity: NodeIdentity,
    /// The one UDP address for peers and clients. Port 0 picks one.
    pub listen: SocketAddr,
    /// The other nodes and where they listen. Of two nodes the one with the higher id dials.
    pub peers: Vec<(NodeId, SocketAddr)>,
    /// What is bounded, and by what.
    pub limits: Limits,
    /// How the network is used.
    pub tuning: Tuning,
}

impl TransportConfig {
    /// With default limits and tuning.
    pub fn new(identity: NodeIdentity, listen: SocketAddr, peers: Vec<(NodeId, SocketAddr)>) -> Self {
        Self { identity, listen, peers, limits: Limits::default(), tuning: Tuning::default() }
    }
}

/// Bounds. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest frame between nodes.
    pub peer_frame: usize,
    /// The longest frame to a client.
    pub client_frame: usize,
    /// The longest frame from a client: what has come of one is held for each, and there may be many.
    pub client_request: usize,
    /// The longest first frame from a client, which has proven nothing yet.
    pub client_greeting: usize,
    /// What may wait for one peer; more is dropped.
    pub peer_queue: usize,
    /// What may wait for one client; a client that lets it fill is disconnected.
    pub client_queue: usize,
    /// What may wait for the layer above, of which clients get half.
    pub events: usize,
    /// Client connections at a time.
    pub clients: usize,
    /// Connections whose handshake is under way at a time.
    pub handshakes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            peer_frame: 16 << 20,
            client_frame: 1 << 20,
            client_request: 256 << 10,
            client_greeting: 4 << 10,
            peer_queue: 32 << 20,
            client_queue: 4 << 20,
            events: 64 << 20,
            clients: 16_384,
            handshakes: 1_024,
        }
    }
}

/// How the network is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// A peer that was not heard for so long is down.
    pub peer_idle: Duration,
    /// A client that was not heard for so long is gone.
    pub client_idle: Duration,
    /// How often a silent connection asks whether the other side is there; well below the idle times.
    pub keep_alive: Duration,
    /// A handshake that takes longer is given up.
    pub handshake: Duration,
    /// The first pause before a peer is dialled again; doubles with every failure.
    pub redial_first: Duration,
    /// The longest such pause.
    pub redial_most: Duration,
    /// How sending speed is chosen.
    pub congestion: Congestion,
    /// What one connection may have under way: enough for a fast link around the world.
    pub window: u32,
    /// The largest datagram to try (path MTU discovery finds out what goes through).
    pub largest_datagram: u16,
}

/// The largest datagram of which ten, the most that quinn hands to the kernel at once, stay below 64 KiB.
const LARGEST_DATAGRAM: u16 = 6_500;

impl Default for Tuning {
    fn default() -> Self {
        Self {
            peer_idle: Duration::from_secs(3),
            client_idle: Duration::from_secs(10),
            keep_alive: Duration::from_secs(1),
            handshake: Duration::from_secs(5),
            redial_first: Duration::from_millis(20),
            redial_most: Duration::from_secs(1),
            congestion: Congestion::Cubic,
            window: 16 << 20,
            largest_datagram: LARGEST_DATAGRAM,
        }
    }
}

/// A congestion controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// RFC 8312: what most of the internet uses.
    #[default]
    Cubic,
    /// Google's BBR: better on lossy long links, an experiment in quinn.
    Bbr,
    /// RFC 5681: simple and careful.
    NewReno,
}
