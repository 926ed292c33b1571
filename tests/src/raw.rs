//! A client that says what no SDK would: it speaks QUIC and TLS well enough to be let in, and writes any bytes.

use bytes::Bytes;
use client::{NodeEntry, Profile};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use wire::codec::{decode, encode, encode_named};
use wire::{Answer, Greeting, Hello, Request};

/// Five times what the slowest answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A connection to one node.
#[derive(Debug)]
pub struct Raw {
    connection: Connection,
    send: SendStream,
    receive: RecvStream,
    // Keeps the socket.
    _endpoint: Endpoint,
}

impl Raw {
    /// Connects as a client, and has said nothing yet but that it speaks our protocol.
    ///
    /// # Panics
    /// If the node is not reached, as all of these do when the other side does not do its part in time.
    pub async fn connect(profile: &Profile, node: &NodeEntry) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(&profile.ca).expect("the profile's certificate"))
            .expect("an authority");
        let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring has TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![format!("icefarm-client/{}", wire::client::VERSION).into_bytes()];
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("fit for QUIC")));
        let endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let name = format!("{}.{}.icefarm", node.id, profile.cluster);
        let addr = node.quic.parse().expect("the profile has addresses");
        let connecting = endpoint.connect_with(config, addr, &name).expect("a name fit for TLS");
        let connection = in_time("a connection", connecting).await.expect("the node takes connections");
        let (mut send, mut receive) = in_time("a stream", connection.open_bi()).await.expect("a stream");
        // Both directions begin with an empty frame.
        send.write_all(&[0; 4]).await.expect("an open stream");
        let mut opening = [1; 4];
        in_time("the opening", receive.read_exact(&mut opening)).await.expect("four bytes");
        assert_eq!(opening, [0; 4]);
        Self { connection, send, receive, _endpoint: endpoint }
    }

    /// Connects, and is welcomed.
    pub async fn welcomed(profile: &Profile, node: &NodeEntry) -> Self {
        let mut raw = Self::connect(profile, node).await;
        match raw.hello(profile.token.as_bytes()).await {
            Greeting::Welcome(_) => raw,
            Greeting::Goodbye { reason, .. } => panic!("the profile's own token was refused: {reason}"),
        }
    }

    /// Writes bytes as they are. The other side may have closed already; what it does about that shows in
    /// [`Raw::until_closed`].
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.send.write_all(bytes)).await;
    }

    /// Writes a frame.
    pub async fn frame(&mut self, body: &[u8]) {
        let len = u32::try_from(body.len()).expect("a frame's length").to_le_bytes();
        self.write(&[&len, body].concat()).await;
    }

    /// Ends its half of the stream, whatever had been announced.
    pub fn finish(&mut self) {
        // An error means that the other side has ended everything.
        let _ = self.send.finish();
    }

    /// Shows a token, and hears what the node thinks of it.
    pub async fn hello(&mut self, token: &[u8]) -> Greeting {
        let hello = Hello { version: wire::client::VERSION, token: token.to_vec() };
        self.frame(&encode_named(&hello)).await;
        let frame = self.read().await;
        decode("greeting", &frame).expect("a greeting")
    }

    /// Sends requests, and waits for the next frame of answers.
    pub async fn ask(&mut self, requests: &[Request]) -> Vec<Answer> {
        self.frame(&encode(requests)).await;
        let frame = self.read().await;
        decode("list of answers", &frame).expect("answers")
    }

    /// The next frame.
    pub async fn read(&mut self) -> Bytes {
        let mut len = [0; 4];
        in_time("a frame", self.receive.read_exact(&mut len)).await.expect("a length");
        let mut body = vec![0; u32::from_le_bytes(len) as usize];
        in_time("a frame", self.receive.read_exact(&mut body)).await.expect("a body");
        body.into()
    }

    /// Waits until the node closes the connection; the sentence it gives.
    pub async fn until_closed(self) -> String {
        match in_time("the end of the connection", self.connection.closed()).await {
            ConnectionError::ApplicationClosed(close) => String::from_utf8_lossy(&close.reason).into_owned(),
            other => panic!("the connection did not end by the node's own decision: {other}"),
        }
    }
}

async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for {what}"))
}
