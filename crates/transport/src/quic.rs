//! Sockets, TLS and QUIC settings.
//!
//! Cryptography is ring's, named explicitly: nothing here depends on, or installs, a process-wide provider.

use crate::alpn;
use crate::config::{Congestion, Tuning};
use crate::identity::{ClusterCert, NodeIdentity};
use placement::ClusterId;
use quinn::congestion::{BbrConfig, CubicConfig, NewRenoConfig};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, ConnectionId, ConnectionIdGenerator, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, VarInt,
};
use rustls::RootCertStore;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring as ring_provider};
use rustls::server::WebPkiClientVerifier;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// The kernel's buffers per socket, as far as the system allows.
const SOCKET_BUFFER: usize = 8 << 20;
/// What one client may have under way, each direction.
const CLIENT_WINDOW: u32 = 1 << 20;
/// Before the first measurement: dialling a node that has just started must not take a second.
const FIRST_RTT: Duration = Duration::from_millis(100);
/// Datagrams begin with this size, which passes everywhere.
const FIRST_DATAGRAM: u16 = 1_200;
/// Packets that the other side may leave without a word of their own (or for 25 ms): nearly every one is soon followed by an
/// answer, which acknowledges it too. Quinn's usual 1 costs a system call for about every second read.
const UNACKNOWLEDGED: u32 = 15;
const CONNECTION_ID: usize = 8;
/// Between two packets that say "this connection is forgotten". A node that was restarted owes one to each of its old
/// connections: at quinn's usual 20 ms, a few hundred clients wait for seconds. It is a bound all the same, so that nobody
/// can make two machines shout at each other.
const RESET_INTERVAL: Duration = Duration::from_millis(1);

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS: {0}")]
pub(crate) struct TlsError(String);

#[expect(clippy::needless_pass_by_value, reason = "so that it can be given to map_err as it is")]
fn tls(error: impl ToString) -> TlsError {
    TlsError(error.to_string())
}

/// Ring, with AES-128 first: it is what CPUs do fastest.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring_provider::default_provider();
    provider.cipher_suites = vec![
        ring_provider::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ring_provider::cipher_suite::TLS13_AES_256_GCM_SHA384,
        ring_provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    Arc::new(provider)
}

fn roots(authority: &ClusterCert) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()).map_err(tls)?;
    Ok(Arc::new(roots))
}

/// For everybody who connects to a node. A certificate is not demanded, since clients have none, but one that is shown
/// must be of the cluster.
pub(crate) fn server_config(identity: &NodeIdentity, tuning: &Tuning) -> Result<quinn::ServerConfig, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(identity.authority())?, provider())
        .allow_unauthenticated()
        .build()
        .map_err(tls)?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain(), identity.key())
        .map_err(tls)?;
    config.alpn_protocols = alpn::offer(&[alpn::NODE, alpn::CLIENT, alpn::ANY]);
    // Every connection proves itself anew.
    config.send_tls13_tickets = 0;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(config).map_err(tls)?));
    let mut transport = transport(tuning, tuning.client_idle);
    // Whoever turns out to be a peer gets more, see `widen_for_peer`.
    transport.receive_window(VarInt::from_u32(CLIENT_WINDOW)).send_window(u64::from(CLIENT_WINDOW));
    transport.max_concurrent_bidi_streams(VarInt::from_u32(1));
    config.transport_config(Arc::new(transport)).migration(true);
    Ok(config)
}

/// The limits of an accepted connection are a client's until it has proven to be a peer.
pub(crate) fn widen_for_peer(connection: &quinn::Connection, tuning: &Tuning) {
    connection.set_receive_window(VarInt::from_u32(tuning.window));
    connection.set_send_window(u64::from(tuning.window));
}

/// For dialling a peer.
pub(crate) fn peer_config(identity: &NodeIdentity, tuning: &Tuning) -> Result<quinn::ClientConfig, TlsError> {
    let mut config =
        client_tls(identity.authority())?.with_client_auth_cert(identity.chain(), identity.key()).map_err(tls)?;
    config.alpn_protocols = alpn::offer(&[alpn::NODE, alpn::ANY]);
    dialling(config, transport(tuning, tuning.peer_idle), tuning)
}

/// For a client that connects to a node and offers `protocols`.
pub(crate) fn client_config(
    authority: &ClusterCert,
    tuning: &Tuning,
    protocols: &[&str],
) -> Result<quinn::ClientConfig, TlsError> {
    let mut config = client_tls(authority)?.with_no_client_auth();
    config.alpn_protocols = alpn::offer(protocols);
    dialling(config, transport(tuning, tuning.client_idle), tuning)
}

fn client_tls(
    authority: &ClusterCert,
) -> Result<rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert>, TlsError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(authority)?, provider()).build().map_err(tls)?;
    Ok(rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?
        .with_webpki_verifier(verifier))
}

fn dialling(
    mut config: rustls::ClientConfig,
    mut transport: quinn::TransportConfig,
    tuning: &Tuning,
) -> Result<quinn::ClientConfig, TlsError> {
    config.resumption = Resumption::disabled();
    // One side is enough to keep a connection alive, and the dialling one has fewer of them.
    transport.keep_alive_interval(Some(tuning.keep_alive));
    transport.max_concurrent_bidi_streams(VarInt::from_u32(0));
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).map_err(tls)?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// The idle time of a connection is the shorter one of what both sides want.
fn transport(tuning: &Tuning, idle: Duration) -> quinn::TransportConfig {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(tuning.largest_datagram);
    let window = VarInt::from_u32(tuning.window);
    let mut acknowledgements = AckFrequencyConfig::default();
    acknowledgements.ack_eliciting_threshold(VarInt::from_u32(UNACKNOWLEDGED));
    let mut config = quinn::TransportConfig::default();
    config
        .max_idle_timeout(Some(IdleTimeout::try_from(idle).unwrap_or(VarInt::from_u32(u32::MAX).into())))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(window)
        .receive_window(window)
        .send_window(u64::from(tuning.window))
        .datagram_receive_buffer_size(None)
        .initial_rtt(FIRST_RTT)
        .initial_mtu(FIRST_DATAGRAM)
        .mtu_discovery_config(Some(mtu))
        .ack_frequency_config(Some(acknowledgements))
        .send_fairness(false);
    match tuning.congestion {
        Congestion::Cubic => config.congestion_controller_factory(Arc::new(CubicConfig::default())),
        Congestion::Bbr => config.congestion_controller_factory(Arc::new(BbrConfig::default())),
        Congestion::NewReno => config.congestion_controller_factory(Arc::new(NewRenoConfig::default())),
    };
    config
}

/// A node's endpoint settings. The reset key outlives the process: a restarted node can tell the other side of a
/// forgotten connection at once that it is forgotten, instead of leaving it to a time-out.
pub(crate) fn node_endpoint(identity: &NodeIdentity, tuning: &Tuning) -> Result<EndpointConfig, TlsError> {
    let secret = identity.derived_secret("icefarm stateless reset 1");
    endpoint(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret), tuning)
}

/// A client's endpoint settings.
pub(crate) fn client_endpoint(tuning: &Tuning) -> Result<EndpointConfig, TlsError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(tls)?;
    endpoint(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret), tuning)
}

fn endpoint(reset_key: ring::hmac::Key, tuning: &Tuning) -> Result<EndpointConfig, TlsError> {
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    config.cid_generator(|| Box::new(RandomIds));
    config.min_reset_interval(RESET_INTERVAL);
    config.max_udp_payload_size(tuning.largest_datagram).map_err(tls)?;
    Ok(config)
}

/// Connection ids that a restarted node still takes for its own (quinn's usual ones it would silently drop), so that the
/// reset above is sent.
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut bytes = [0; CONNECTION_ID];
        getrandom::fill(&mut bytes).expect("a system whose random generator worked at start-up keeps it");
        ConnectionId::new(&bytes)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// A UDP socket with large buffers.
pub(crate) fn socket(listen: SocketAddr) -> io::Result<UdpSocket> {
    let domain = socket2::Domain::for_address(listen);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    if listen.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // The system may allow less, silently; quinn copes, at a price in speed.
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&listen.into())?;
    if let (Ok(receive), Ok(send)) = (socket.recv_buffer_size(), socket.send_buffer_size()) {
        tracing::debug!(%listen, receive, send, wanted = SOCKET_BUFFER, "UDP socket buffers");
    }
    Ok(socket.into())
}

/// The certificate that the other side of a connection has proven to own.
pub(crate) fn proven_certificate(connection: &quinn::Connection) -> Option<rustls::pki_types::CertificateDer<'static>> {
    let chain = connection.peer_identity()?.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().ok()?;
    chain.into_iter().next()
}

/// How a node is called when it is dialled.
pub(crate) fn dialled_name(cluster: ClusterId, node: paxos::NodeId) -> String {
    crate::cluster::node_name(cluster, node)
}
