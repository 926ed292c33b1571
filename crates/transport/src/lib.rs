//! QUIC between nodes and to clients: identities, connections, frames.
//!
//! One UDP socket per node carries everything. A *peer* is another node of the cluster: both sides prove who they are with
//! certificates of the cluster's own authority ([`identity`]), and of two nodes the one with the higher id dials. A
//! *client* connects without a certificate, checks the node's, and proves itself with a [`token`] in its first frame,
//! which the layer above reads. Either way a connection is one stream of length-prefixed frames each way, opaque here.
//!
//! What holds:
//! * `send` never waits. Every queue is bounded in bytes. A frame to a peer may be lost (the protocol above asks again); a
//!   client that does not read is disconnected; a node that is slow to take its events stops reading from the network.
//! * Nothing is allocated for a length that was only announced.
//! * Whoever is refused or disconnected hears why, in words.
//! * All tasks run on the runtime that `bind` or `connect` was called in; one thread is enough.

mod accept;
mod alert;
mod alpn;
mod client;
mod close;
mod cluster;
mod config;
mod connection;
mod event;
pub mod floor;
mod frame;
mod hex;
pub mod identity;
mod key_file;
mod node;
mod outbox;
mod peer;
mod quic;
mod stats;
pub mod token;

pub use client::{
    ClientConnection, ClientEndpoint, ClientReceiver, ClientSendError, ClientSender, ClientTuning, ConnectError,
};
pub use close::{CloseCode, Closed};
pub use cluster::draw_cluster_id;
pub use config::{Congestion, Limits, TransportConfig, Tuning};
pub use event::{ConnId, Event, EventReceiver};
pub use identity::{ClusterCa, ClusterCert, IdentityError, NodeIdentity};
pub use key_file::KeyFileError;
pub use node::{PeerStatus, SendClientError, SendError, Transport, TransportError};
pub use placement::{ClusterId, ClusterIdError};
pub use stats::Stats;
pub use token::{SignedToken, Subject, Token, TokenError, TokenKey, TokenKeyError, TokenKeys, TokenPublic};
