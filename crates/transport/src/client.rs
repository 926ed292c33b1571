//! A client's end of the network.

use crate::alert;
use crate::alpn::{self, Protocol};
use crate::close::{CloseCode, Closed};
use crate::config::{Limits, Tuning};
use crate::connection::{End, FrameReader, Link, last_words, open};
use crate::identity::ClusterCert;
use crate::node::TransportError;
use crate::outbox::Refused;
use crate::quic;
use bytes::Bytes;
use paxos::NodeId;
use placement::ClusterId;
use quinn::{Connection, ConnectionError, Endpoint, TokioRuntime};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// A goodbye leaves at once, unless this machine has no time for it.
const LEAVES_WITHIN: Duration = Duration::from_millis(10);
/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(1);

/// What a client may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTuning {
    /// A connection attempt that takes longer is given up.
    pub connect: Duration,
    /// What may wait to be sent, in bytes.
    pub queue: usize,
    /// The longest frame from the node, in bytes.
    pub frame: usize,
    /// The longest frame to it, in bytes.
    pub request: usize,
    /// How the network is used; the times for peers play no part.
    pub tuning: Tuning,
}

impl Default for ClientTuning {
    fn default() -> Self {
        let Limits { client_frame, client_request, client_queue, .. } = Limits::default();
        Self {
            connect: Duration::from_secs(3),
            queue: client_queue,
            frame: client_frame,
            request: client_request,
            tuning: Tuning::default(),
        }
    }
}

/// Why a client could not connect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// No answer.
    #[error("{node} at {addr} did not answer within {after:?}: is it running, and is the address right?")]
    Timeout {
        /// Who was called.
        node: NodeId,
        /// Where.
        addr: SocketAddr,
        /// For how long.
        after: Duration,
    },
    /// Somebody else is there.
    #[error(
        "whoever is at {addr} is not {node} of cluster {cluster} ({detail}): is this the profile of another cluster?"
    )]
    NotTheNode {
        /// Who was called.
        node: NodeId,
        /// Of which cluster.
        cluster: ClusterId,
        /// Where.
        addr: SocketAddr,
        /// What TLS says.
        detail: String,
    },
    /// The two sides are of different versions.
    #[error("no common version with {node} at {addr}: this client offers {offered}; {said}")]
    Version {
        /// Who was called.
        node: NodeId,
        /// Where.
        addr: SocketAddr,
        /// What this side speaks.
        offered: String,
        /// What the node speaks, if it said.
        said: String,
    },
    /// The node does not want this connection, or it broke at once.
    #[error("{node} at {addr} refused: {closed}")]
    Refused {
        /// Who was called.
        node: NodeId,
        /// Where.
        addr: SocketAddr,
        /// Why.
        closed: Closed,
    },
}

/// A socket from which a client connects to any number of nodes.
#[derive(Clone, Debug)]
pub struct ClientEndpoint {
    endpoint: Endpoint,
    config: quinn::ClientConfig,
    cluster: ClusterId,
    settings: ClientTuning,
    offered: String,
}

impl ClientEndpoint {
    /// For nodes of the cluster whose authority this is. Call it inside a tokio runtime, whose tasks then do the work.
    pub fn new(authority: &ClusterCert) -> Result<Self, TransportError> {
        Self::with_tuning(authority, ClientTuning::default())
    }

    /// The same with other settings.
    pub fn with_tuning(authority: &ClusterCert, settings: ClientTuning) -> Result<Self, TransportError> {
        Self::offering(authority, settings, &[alpn::CLIENT, alpn::ANY])
    }

    fn offering(authority: &ClusterCert, settings: ClientTuning, offer: &[&str]) -> Result<Self, TransportError> {
        let config = quic::client_config(authority, &settings.tuning, offer)?;
        // Both families where the machine has both.
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let any_v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let socket = quic::socket(any)
            .or_else(|_| quic::socket(any_v4))
            .map_err(|source| TransportError::Bind { listen: any_v4, source })?;
        let endpoint = Endpoint::new(quic::client_endpoint(&settings.tuning)?, None, socket, Arc::new(TokioRuntime))
            .map_err(|source| TransportError::Bind { listen: any_v4, source })?;
        Ok(Self { endpoint, config, cluster: authority.cluster(), settings, offered: offer[0].to_owned() })
    }

    /// Connects to a node and makes sure that it is this node. The connection has proven nothing about the client yet.
    pub async fn connect(&self, addr: SocketAddr, node: NodeId) -> Result<ClientConnection, ConnectError> {
        let after = self.settings.connect;
        timeout(after, self.try_connect(addr, node)).await.map_err(|_| ConnectError::Timeout { node, addr, after })?
    }

    async fn try_connect(&self, addr: SocketAddr, node: NodeId) -> Result<ClientConnection, ConnectError> {
        let name = quic::dialled_name(self.cluster, node);
        let refused = |closed: Closed| ConnectError::Refused { node, addr, closed };
        let connecting = self
            .endpoint
            .connect_with(self.config.clone(), addr, &name)
            .map_err(|error| refused(Closed::because(error.to_string())))?;
        let connection = connecting.await.map_err(|error| self.explain(error, addr, node))?;
        if alpn::agreed(&connection) != Protocol::Client {
            let said = Closed::from(connection.closed().await).reason;
            return Err(ConnectError::Version { node, addr, offered: self.offered.clone(), said });
        }
        let (send, receive) = open(&connection).await.map_err(refused)?;
        let ClientTuning { queue, frame, request, .. } = self.settings;
        let link = Link::new(connection.clone(), queue, request);
        // The writer ends with the connection, or when the last sender is gone.
        tokio::spawn(link.clone().write(send));
        Ok(ClientConnection {
            sender: ClientSender { hold: Arc::new(Hold { link }), max_frame: request },
            receiver: ClientReceiver {
                connection,
                reader: FrameReader::new(receive, frame, frame),
                frames: VecDeque::new(),
                fresh: Vec::new(),
                closed: None,
            },
        })
    }

    fn explain(&self, error: ConnectionError, addr: SocketAddr, node: NodeId) -> ConnectError {
        let closed = Closed::from(&error);
        match error {
            ConnectionError::TransportError(failed) if alert::is_certificate(failed.code) => {
                ConnectError::NotTheNode { node, cluster: self.cluster, addr, detail: failed.reason }
            }
            ConnectionError::TransportError(failed) if alert::is_no_protocol(failed.code) => self.mismatch(addr, node),
            ConnectionError::ConnectionClosed(close) if alert::is_no_protocol(close.error_code) => {
                self.mismatch(addr, node)
            }
            _ => ConnectError::Refused { node, addr, closed },
        }
    }

    fn mismatch(&self, addr: SocketAddr, node: NodeId) -> ConnectError {
        let said = "the node speaks none of it; use a build of the same version on both sides".to_owned();
        ConnectError::Version { node, addr, offered: self.offered.clone(), said }
    }
}

/// A client's connection to one node.
#[derive(Debug)]
pub struct ClientConnection {
    sender: ClientSender,
    receiver: ClientReceiver,
}

impl ClientConnection {
    /// See [`ClientSender::send`].
    pub fn send(&self, frame: Bytes) -> Result<(), ClientSendError> {
        self.sender.send(frame)
    }

    /// See [`ClientReceiver::recv`].
    pub async fn recv(&mut self) -> Result<Bytes, Closed> {
        self.receiver.recv().await
    }

    /// The two directions, for two tasks.
    pub fn split(self) -> (ClientSender, ClientReceiver) {
        (self.sender, self.receiver)
    }
}

/// Why a client's frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientSendError {
    /// More waits to be sent than is allowed: wait for answers before sending more.
    #[error("the queue to the node is full")]
    QueueFull,
    /// The connection has ended; the receiver knows why.
    #[error("the connection to the node has ended")]
    Closed,
    /// The node would refuse the frame.
    #[error("a frame of {len} bytes is too long: a node takes at most {max}")]
    TooLarge {
        /// The frame's length.
        len: usize,
        /// The limit.
        max: usize,
    },
}

/// The sending half; clones share the connection. When the last one is dropped, what is queued is sent and the
/// connection closes.
#[derive(Clone, Debug)]
pub struct ClientSender {
    hold: Arc<Hold>,
    max_frame: usize,
}

impl ClientSender {
    /// Queues a frame. Never waits.
    pub fn send(&self, frame: Bytes) -> Result<(), ClientSendError> {
        let len = frame.len();
        self.hold.link.send(frame).map_err(|refused| match refused {
            Refused::Full => ClientSendError::QueueFull,
            Refused::Closed => ClientSendError::Closed,
            Refused::TooLarge => ClientSendError::TooLarge { len, max: self.max_frame },
        })
    }

    /// Sends what is queued, then closes the connection; the node hears the reason.
    pub fn close(&self, reason: &str) {
        self.hold.link.say_goodbye(CloseCode::Requested, reason);
    }

    /// Closes the connection at once, and returns when the reason has left for the node. What the node has not confirmed to
    /// have received may be lost: for whoever waits for no answer any more.
    pub async fn hang_up(&self, reason: &str) {
        let connection = &self.hold.link.connection;
        if connection.close_reason().is_some() {
            return;
        }
        self.hold.link.hang_up(CloseCode::Requested, reason);
        // Nothing else is sent any more. It is the connection's own task that sends, and it tells nobody; on another thread, it
        // may have done so already.
        let sent = || connection.stats().udp_tx.datagrams;
        let (before, begin) = (sent(), Instant::now());
        while sent() == before && begin.elapsed() < LEAVES_WITHIN {
            sleep(LOOK).await;
        }
    }
}

/// What all clones of a sender hold on to.
#[derive(Debug)]
struct Hold {
    link: Arc<Link>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.link.say_goodbye(CloseCode::Requested, "the client has finished");
    }
}

/// The receiving half.
#[derive(Debug)]
pub struct ClientReceiver {
    connection: Connection,
    reader: FrameReader,
    frames: VecDeque<Bytes>,
    fresh: Vec<Bytes>,
    closed: Option<Closed>,
}

impl ClientReceiver {
    /// The next frame, or why there are no more. Dropping the future loses nothing. A frame may share its memory with its
    /// neighbours: copy what is kept for long.
    pub async fn recv(&mut self) -> Result<Bytes, Closed> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(frame);
            }
            self.fill().await?;
        }
    }

    /// Waits for frames and appends all that are here to `frames`; says how many (at least one), or why there are no
    /// more. Dropping the future loses nothing.
    pub async fn recv_many(&mut self, frames: &mut Vec<Bytes>) -> Result<usize, Closed> {
        while self.frames.is_empty() {
            self.fill().await?;
        }
        let count = self.frames.len();
        frames.extend(self.frames.drain(..));
        Ok(count)
    }

    async fn fill(&mut self) -> Result<(), Closed> {
        if let Some(closed) = &self.closed {
            return Err(closed.clone());
        }
        let end = self.reader.read(&mut self.fresh).await;
        self.frames.extend(self.fresh.drain(..));
        let closed = match end {
            Ok(()) => return Ok(()),
            Err(End::Lost(error)) => Closed::from(error),
            Err(End::Finished) => last_words(&self.connection).await,
            Err(End::TooLarge(error)) => {
                crate::close::close(&self.connection, CloseCode::BadFrame, &error);
                Closed::because(error.to_string())
            }
        };
        self.closed = Some(closed.clone());
        // Frames that came before the end are still delivered.
        if self.frames.is_empty() { Err(closed) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClusterCa, Transport, TransportConfig};

    async fn connect_offering(offer: &[&str]) -> ConnectError {
        let node = NodeId(1);
        let ca = ClusterCa::create(ClusterId(7)).unwrap();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = TransportConfig::new(ca.issue_node(node).unwrap(), listen, Vec::new());
        let (transport, mut events) = Transport::bind(config).unwrap();
        let endpoint = ClientEndpoint::offering(ca.cert(), ClientTuning::default(), offer).unwrap();
        let error = endpoint.connect(transport.local_addr().unwrap(), node).await.unwrap_err();
        assert_eq!(events.try_recv(), None);
        error
    }

    #[tokio::test]
    async fn a_client_of_another_version_hears_both_versions() {
        let text = connect_offering(&["icefarm-client/2", alpn::ANY]).await.to_string();
        assert!(text.contains("icefarm-client/2") && text.contains(alpn::CLIENT), "{text}");
    }

    #[tokio::test]
    async fn a_client_that_shares_nothing_with_a_node_hears_what_it_offered() {
        let error = connect_offering(&["icefarm-client/0"]).await;
        assert!(matches!(&error, ConnectError::Version { offered, .. } if offered == "icefarm-client/0"), "{error}");
    }

    #[tokio::test]
    async fn somebody_without_a_certificate_who_says_it_is_a_node_is_refused() {
        let text = connect_offering(&[alpn::NODE]).await.to_string();
        assert!(text.contains("a node must show its certificate"), "{text}");
    }
}
