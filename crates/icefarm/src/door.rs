//! A node's public address, as somebody on the same machine finds it: what it is called, and whether the node serves there.

use crate::exit::{Exit, Failure};
use node::NodeConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// A node that does not answer for so long does not serve.
const PATIENCE: Duration = Duration::from_secs(2);
/// As much of an answer is read.
const ANSWER: u64 = 64 << 10;

/// See the module.
pub struct Door {
    addr: SocketAddr,
    tls: Option<TlsConnector>,
}

impl Door {
    /// Of the node that is configured so.
    pub fn of(config: &NodeConfig) -> Result<Self, Failure> {
        let tls = config.public.tls_certificate.as_ref().map(|path| {
            let expected = CertificateDer::from_pem_file(path)
                .map_err(|error| Failure::new(Exit::Machine, format!("{}: {error}", path.display())))?;
            let provider = Arc::new(ring::default_provider());
            let only = Arc::new(Only { expected, provider: provider.clone() });
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| Failure::new(Exit::Bug, format!("TLS: {error}")))?
                .dangerous()
                .with_custom_certificate_verifier(only)
                .with_no_client_auth();
            Ok(TlsConnector::from(Arc::new(config)))
        });
        Ok(Self { addr: config.http, tls: tls.transpose()? })
    }

    /// Where a browser goes.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.addr)
    }

    /// Why the node does not serve; `None`: it does.
    pub async fn not_ready(&self) -> Option<String> {
        match timeout(PATIENCE, self.ask()).await {
            Err(_) => Some("it does not answer on HTTP".into()),
            Ok(Err(error)) => Some(format!("it does not answer on HTTP: {error}")),
            Ok(Ok(answer)) if answer.starts_with(b"HTTP/1.1 200") => None,
            Ok(Ok(answer)) => {
                let text = String::from_utf8_lossy(&answer);
                Some(text.split("\r\n\r\n").nth(1).unwrap_or("it is not ready").to_owned())
            }
        }
    }

    async fn ask(&self) -> io::Result<Vec<u8>> {
        let stream = TcpStream::connect(self.addr).await?;
        match &self.tls {
            None => ready(stream).await,
            Some(tls) => ready(tls.connect(ServerName::from(self.addr.ip()), stream).await?).await,
        }
    }
}

async fn ready(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<Vec<u8>> {
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    match stream.take(ANSWER).read_to_end(&mut answer).await {
        // (Who closes without saying goodbye has said all the same what there was to say.)
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(answer),
    }
}

/// Takes this certificate and no other, whatever name it is for: it is the node's own, which is for the name that the world
/// knows.
#[derive(Debug)]
struct Only {
    expected: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *shown == self.expected {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
