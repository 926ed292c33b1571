//! A node's end of the network.

use crate::accept::accept_forever;
use crate::close::CloseCode;
use crate::config::{Limits, TransportConfig, Tuning};
use crate::connection::Link;
use crate::event::{ConnId, EventReceiver, Inbox, event_queue};
use crate::frame::PREFIX;
use crate::outbox::Refused;
use crate::peer::{Peer, dial_forever};
use crate::quic;
use crate::stats::{Counters, Stats};
use bytes::Bytes;
use paxos::NodeId;
use placement::ClusterId;
use quinn::{Endpoint, TokioRuntime};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Why a transport could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The address cannot be used.
    #[error("cannot listen on UDP {listen}: {source}{}", hint(source))]
    Bind {
        /// The address.
        listen: SocketAddr,
        /// What the operating system answered.
        source: io::Error,
    },
    /// The identity or the tuning cannot be used.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// A peer list that names one node twice, or the node itself.
    #[error("the peers name {0} twice, or it is this node itself: name every other node once")]
    Peers(NodeId),
    /// A queue that could never take the longest frame.
    #[error("a queue of {queue} bytes cannot take a frame of {frame} bytes: raise the queue's limit")]
    Limits {
        /// The queue's limit.
        queue: usize,
        /// The longest frame.
        frame: usize,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => ": another process uses this port; stop it or choose another port",
        io::ErrorKind::AddrNotAvailable => ": this machine does not have this address",
        _ => "",
    }
}

impl From<quic::TlsError> for TransportError {
    fn from(error: quic::TlsError) -> Self {
        Self::Tls(error.to_string())
    }
}

/// Why a frame to a peer was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no connection to it now.
    #[error("{0} is not connected")]
    NotConnected(NodeId),
    /// It takes frames more slowly than they come.
    #[error("the queue to {0} is full")]
    QueueFull(NodeId),
    /// It would refuse the frame.
    #[error("a frame of {len} bytes is too long: at most {max} go to a peer")]
    TooLarge {
        /// The frame's length.
        len: usize,
        /// The limit.
        max: usize,
    },
}

/// Why a frame to a client was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendClientError {
    /// It has gone.
    #[error("{0} has ended")]
    NotConnected(ConnId),
    /// It did not read what was sent before, and has been disconnected for it.
    #[error("{0} does not read what is sent to it; disconnected")]
    TooSlow(ConnId),
    /// It would refuse the frame.
    #[error("a frame of {len} bytes is too long: at most {max} go to a client")]
    TooLarge {
        /// The frame's length.
        len: usize,
        /// The limit.
        max: usize,
    },
}

/// What is known about the connection to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Which peer.
    pub node: NodeId,
    /// Where it should listen.
    pub addr: SocketAddr,
    /// Whether frames can be sent to it now.
    pub connected: bool,
    /// Why the last connection, or the last attempt at one, failed.
    pub trouble: Option<String>,
}

/// A node's end of the network; clones share it. Dropping the last one closes every connection at once.
#[derive(Clone, Debug)]
pub struct Transport {
    owner: Arc<Owner>,
}

#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    tasks: Vec<AbortHandle>,
}

/// What the tasks of one node share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) me: NodeId,
    pub(crate) cluster: ClusterId,
    pub(crate) limits: Limits,
    pub(crate) tuning: Tuning,
    pub(crate) endpoint: Endpoint,
    pub(crate) peers: BTreeMap<NodeId, Peer>,
    pub(crate) clients: Mutex<HashMap<ConnId, Arc<Link>>>,
    pub(crate) next_conn: AtomicU64,
    pub(crate) handshakes: Arc<Semaphore>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) counters: Counters,
}

impl Shared {
    pub(crate) fn clients(&self) -> MutexGuard<'_, HashMap<ConnId, Arc<Link>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport {
    /// Listens, dials the peers with lower ids, and goes on doing so. Call it inside a tokio runtime, whose tasks then do
    /// the work.
    pub fn bind(config: TransportConfig) -> Result<(Self, EventReceiver), TransportError> {
        let TransportConfig { identity, listen, peers: listed, limits, tuning } = config;
        let me = identity.node();
        let mut peers = BTreeMap::new();
        for (node, addr) in listed {
            if node == me || peers.insert(node, Peer::new(addr)).is_some() {
                return Err(TransportError::Peers(node));
            }
        }
        for (queue, frame) in [(limits.peer_queue, limits.peer_frame), (limits.client_queue, limits.client_frame)] {
            if queue < frame.saturating_add(PREFIX) {
                return Err(TransportError::Limits { queue, frame });
            }
        }
        let server = quic::server_config(&identity, &tuning)?;
        let dialling = quic::peer_config(&identity, &tuning)?;
        let settings = quic::node_endpoint(&identity, &tuning)?;
        let cannot_bind = |source| TransportError::Bind { listen, source };
        let socket = quic::socket(listen).map_err(cannot_bind)?;
        let endpoint = Endpoint::new(settings, Some(server), socket, Arc::new(TokioRuntime)).map_err(cannot_bind)?;
        let (inbox, events) = event_queue(limits.events);
        let shared = Arc::new(Shared {
            me,
            cluster: identity.cluster(),
            limits,
            tuning,
            endpoint,
            peers,
            clients: Mutex::default(),
            next_conn: AtomicU64::new(1),
            handshakes: Arc::new(Semaphore::new(limits.handshakes)),
            inbox,
            counters: Counters::default(),
        });
        let mut tasks = vec![tokio::spawn(accept_forever(shared.clone())).abort_handle()];
        for &peer in shared.peers.keys().filter(|&&peer| peer < me) {
            tasks.push(tokio::spawn(dial_forever(shared.clone(), peer, dialling.clone())).abort_handle());
        }
        Ok((Self { owner: Arc::new(Owner { shared, tasks }) }, events))
    }

    /// Which node this is.
    pub fn me(&self) -> NodeId {
        self.shared().me
    }

    /// Where this node listens; the port that was picked, if 0 was asked for.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.shared().endpoint.local_addr()
    }

    /// Queues a frame to a peer, or drops it and says why. Never waits; a queued frame may still be lost with its
    /// connection.
    pub fn send(&self, to: NodeId, frame: Bytes) -> Result<(), SendError> {
        let shared = self.shared();
        let len = frame.len();
        let result = match shared.peers.get(&to).and_then(Peer::link) {
            Some(link) => link.send(frame),
            None => Err(Refused::Closed),
        };
        self.told(to, len, result)
    }

    /// Sends a large frame to a peer beside all others, so that nothing waits behind it; or drops it and says why.
    pub fn send_bulk(&self, to: NodeId, frame: Bytes) -> Result<(), SendError> {
        let shared = self.shared();
        let len = frame.len();
        let result = match shared.peers.get(&to).and_then(Peer::link) {
            _ if len > shared.limits.peer_frame => Err(Refused::TooLarge),
            Some(link) => link.send_bulk(frame),
            None => Err(Refused::Closed),
        };
        self.told(to, len, result)
    }

    fn told(&self, to: NodeId, len: usize, result: Result<(), Refused>) -> Result<(), SendError> {
        let shared = self.shared();
        match result {
            Ok(()) => {
                self.sent(len);
                Ok(())
            }
            Err(Refused::Closed) => {
                shared.counters.frames_not_connected.add(1);
                Err(SendError::NotConnected(to))
            }
            Err(Refused::Full) => {
                shared.counters.frames_queue_full.add(1);
                Err(SendError::QueueFull(to))
            }
            Err(Refused::TooLarge) => Err(SendError::TooLarge { len, max: shared.limits.peer_frame }),
        }
    }

    /// Queues a frame to a client. Never waits; a client whose queue is full is disconnected.
    pub fn send_client(&self, conn: ConnId, frame: Bytes) -> Result<(), SendClientError> {
        let shared = self.shared();
        let len = frame.len();
        let Some(link) = shared.clients().get(&conn).cloned() else { return Err(SendClientError::NotConnected(conn)) };
        match link.send(frame) {
            Ok(()) => {
                self.sent(len);
                Ok(())
            }
            Err(Refused::Closed) => Err(SendClientError::NotConnected(conn)),
            Err(Refused::Full) => {
                shared.counters.clients_too_slow.add(1);
                let reason =
                    format!("{} bytes are waiting for you and you do not read them", shared.limits.client_queue);
                link.hang_up(CloseCode::TooSlow, &reason);
                Err(SendClientError::TooSlow(conn))
            }
            Err(Refused::TooLarge) => Err(SendClientError::TooLarge { len, max: shared.limits.client_frame }),
        }
    }

    /// Ends a client's connection: what is queued is sent first, then the client hears the reason. Its frames are not
    /// delivered any more; [`Event::ClientDown`](crate::Event::ClientDown) follows. Nothing happens if it has gone.
    pub fn close_client(&self, conn: ConnId, reason: &str) {
        if let Some(link) = self.shared().clients().get(&conn) {
            link.say_goodbye(CloseCode::Requested, reason);
        }
    }

    /// What is known about every peer.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.shared().peers.iter().map(|(&node, peer)| peer.status(node)).collect()
    }

    /// What has been counted so far.
    pub fn stats(&self) -> Stats {
        self.shared().counters.snapshot()
    }

    /// Sends what is queued, closes every connection with a reason, and waits for that, at most twice `grace`. The event
    /// queue ends afterwards.
    pub async fn shutdown(self, reason: &str, grace: Duration) {
        let shared = self.shared();
        shared.endpoint.set_server_config(None);
        for task in &self.owner.tasks {
            task.abort();
        }
        for link in shared.peers.values().filter_map(Peer::link) {
            link.say_goodbye(CloseCode::Shutdown, reason);
        }
        for link in shared.clients().values() {
            link.say_goodbye(CloseCode::Shutdown, reason);
        }
        if timeout(grace, shared.endpoint.wait_idle()).await.is_err() {
            shared.endpoint.close(CloseCode::Shutdown.on_the_wire(), reason.as_bytes());
            // The other side may be gone: then its time-out tells it, not we.
            let _ = timeout(grace, shared.endpoint.wait_idle()).await;
        }
        shared.inbox.close();
    }

    fn sent(&self, len: usize) {
        let counters = &self.shared().counters;
        counters.frames_out.add(1);
        counters.bytes_out.add(len);
    }

    fn shared(&self) -> &Shared {
        &self.owner.shared
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.shared.endpoint.close(CloseCode::Shutdown.on_the_wire(), b"this node stops");
        self.shared.inbox.close();
    }
}
