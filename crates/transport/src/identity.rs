//! Who is who: the cluster's certificate authority, and the certificates and keys of its nodes.
//!
//! The authority is made once per cluster and signs one certificate per node, which carries the node's name in the
//! cluster (`n2.<cluster>.icefarm`). Nodes accept only each other; clients accept only the node they meant to reach.
//! Certificates begin well in the past and last for generations, so that no clock decides whether a cluster works; a lost
//! key is answered by a new cluster authority.

use crate::cluster::{authority_name, node_name, server_name};
use crate::key_file::{self, KeyFileError};
use paxos::NodeId;
use placement::ClusterId;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, date_time_ymd,
};
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::ParsedCertificate;
use std::fmt;
use std::path::{Path, PathBuf};

/// The files' names in their directory.
const CA_CERT: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const NODE_CERT: &str = "node.crt";
const NODE_KEY: &str = "node.key";

/// Why an identity could not be made or loaded.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// A file does not hold what it should.
    #[error("{} holds no usable {what}: {detail}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was expected in it.
        what: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// A certificate that names somebody else.
    #[error("{} is not the certificate of {expected}: it belongs to another node or another cluster", path.display())]
    SomebodyElse {
        /// The file.
        path: PathBuf,
        /// The name that was expected in it.
        expected: String,
    },
    /// A key beside a certificate that it does not belong to.
    #[error("the key in {} does not belong to the certificate beside it", path.display())]
    KeyMismatch {
        /// The key's file.
        path: PathBuf,
    },
    /// Making a key or signing a certificate failed.
    #[error("cannot make a key or certificate: {0}")]
    Crypto(#[from] rcgen::Error),
}

/// The authority's certificate: what everybody needs to recognise the cluster's nodes. Not a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterCert {
    cluster: ClusterId,
    pem: String,
    der: CertificateDer<'static>,
}

impl ClusterCert {
    /// Reads `path`, a PEM file, and checks that it is this cluster's.
    pub fn load(path: &Path, cluster: ClusterId) -> Result<Self, IdentityError> {
        let (pem, der) = load_cert(path, &authority_name(cluster))?;
        Ok(Self { cluster, pem, der })
    }

    /// Writes a PEM file.
    pub fn save(&self, path: &Path) -> Result<(), IdentityError> {
        Ok(key_file::write_public(path, self.pem.as_bytes())?)
    }

    /// Whose it is.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.der.clone()
    }
}

impl fmt::Debug for ClusterCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate of {:?}", self.cluster)
    }
}

/// The cluster's certificate authority, with its key: needed to add nodes, not to run them.
pub struct ClusterCa {
    cert: ClusterCert,
    key: KeyPair,
}

impl ClusterCa {
    /// A new authority for a new cluster.
    pub fn create(cluster: ClusterId) -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let cert = ca_params(cluster)?.self_signed(&key)?;
        let cert = ClusterCert { cluster, pem: cert.pem(), der: cert.der().clone() };
        Ok(Self { cert, key })
    }

    /// Reads `ca.crt` and `ca.key` from a directory.
    pub fn load(directory: &Path, cluster: ClusterId) -> Result<Self, IdentityError> {
        let cert = ClusterCert::load(&directory.join(CA_CERT), cluster)?;
        let path = directory.join(CA_KEY);
        let malformed = |detail: String| IdentityError::Malformed { path: path.clone(), what: "private key", detail };
        let pem = String::from_utf8(key_file::read_secret(&path)?).map_err(|error| malformed(error.to_string()))?;
        let key = KeyPair::from_pem(&pem).map_err(|error| malformed(error.to_string()))?;
        // An Ed25519 public key is 32 bytes that stand in the certificate as they are.
        let public = key.public_key_raw();
        if !cert.der.windows(public.len()).any(|window| window == public) {
            return Err(IdentityError::KeyMismatch { path });
        }
        Ok(Self { cert, key })
    }

    /// Writes `ca.crt` and `ca.key` (mode 0600) to a directory.
    pub fn save(&self, directory: &Path) -> Result<(), IdentityError> {
        key_file::write_secret(&directory.join(CA_KEY), self.key.serialize_pem().as_bytes())?;
        self.cert.save(&directory.join(CA_CERT))
    }

    /// A new key and certificate for a node.
    pub fn issue_node(&self, node: NodeId) -> Result<NodeIdentity, IdentityError> {
        let cluster = self.cert.cluster;
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = CertificateParams::new([node_name(cluster, node)])?;
        params.distinguished_name = named(format!("Ice Age Farmland {node}"));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        last_for_generations(&mut params);
        let cert = params.signed_by(&key, &Issuer::new(ca_params(cluster)?, &self.key))?;
        let key_der = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok(NodeIdentity {
            node,
            authority: self.cert.clone(),
            cert_pem: cert.pem(),
            cert: cert.der().clone(),
            key_pem: key.serialize_pem(),
            key: PrivateKeyDer::Pkcs8(key_der),
        })
    }

    /// The certificate that everybody needs.
    pub fn cert(&self) -> &ClusterCert {
        &self.cert
    }
}

impl fmt::Debug for ClusterCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "authority of {:?}", self.cert.cluster)
    }
}

/// One node's certificate and key, and the authority's certificate.
pub struct NodeIdentity {
    node: NodeId,
    authority: ClusterCert,
    cert_pem: String,
    cert: CertificateDer<'static>,
    key_pem: String,
    key: PrivateKeyDer<'static>,
}

impl NodeIdentity {
    /// Reads `ca.crt`, `node.crt` and `node.key` from a directory and checks that they are this node's.
    pub fn load(directory: &Path, cluster: ClusterId, node: NodeId) -> Result<Self, IdentityError> {
        let authority = ClusterCert::load(&directory.join(CA_CERT), cluster)?;
        let (cert_pem, cert) = load_cert(&directory.join(NODE_CERT), &node_name(cluster, node))?;
        let path = directory.join(NODE_KEY);
        let malformed = |detail: String| IdentityError::Malformed { path: path.clone(), what: "private key", detail };
        let key_pem = String::from_utf8(key_file::read_secret(&path)?).map_err(|error| malformed(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| malformed(error.to_string()))?;
        let pair = KeyPair::from_pem(&key_pem).map_err(|error| malformed(error.to_string()))?;
        let public = pair.public_key_raw();
        if !cert.windows(public.len()).any(|window| window == public) {
            return Err(IdentityError::KeyMismatch { path });
        }
        Ok(Self { node, authority, cert_pem, cert, key_pem, key })
    }

    /// Writes `ca.crt`, `node.crt` and `node.key` (mode 0600) to a directory.
    pub fn save(&self, directory: &Path) -> Result<(), IdentityError> {
        key_file::write_secret(&directory.join(NODE_KEY), self.key_pem.as_bytes())?;
        key_file::write_public(&directory.join(NODE_CERT), self.cert_pem.as_bytes())?;
        self.authority.save(&directory.join(CA_CERT))
    }

    /// Whose it is.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Of which cluster.
    pub fn cluster(&self) -> ClusterId {
        self.authority.cluster
    }

    /// The authority's certificate.
    pub fn authority(&self) -> &ClusterCert {
        &self.authority
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.cert.clone()]
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }

    /// Bytes that only this node can know, the same after every restart; one value for each purpose.
    pub(crate) fn derived_secret(&self, purpose: &str) -> [u8; 32] {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.key.secret_der());
        let tag = ring::hmac::sign(&key, purpose.as_bytes());
        tag.as_ref().try_into().expect("SHA-256 gives 32 bytes")
    }
}

impl Clone for NodeIdentity {
    fn clone(&self) -> Self {
        Self {
            node: self.node,
            authority: self.authority.clone(),
            cert_pem: self.cert_pem.clone(),
            cert: self.cert.clone(),
            key_pem: self.key_pem.clone(),
            key: self.key.clone_key(),
        }
    }
}

impl fmt::Debug for NodeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "identity of {} in {:?}", self.node, self.authority.cluster)
    }
}

/// Which of `candidates` this certificate, whose signature is already checked, belongs to.
pub(crate) fn whose(
    cert: &CertificateDer<'_>,
    cluster: ClusterId,
    mut candidates: impl Iterator<Item = NodeId>,
) -> Option<NodeId> {
    let cert = ParsedCertificate::try_from(cert).ok()?;
    candidates.find(|&node| verify_server_name(&cert, &server_name(node_name(cluster, node))).is_ok())
}

fn load_cert(path: &Path, name: &str) -> Result<(String, CertificateDer<'static>), IdentityError> {
    let malformed = |detail: String| IdentityError::Malformed { path: path.to_owned(), what: "certificate", detail };
    let pem = String::from_utf8(key_file::read_public(path)?).map_err(|error| malformed(error.to_string()))?;
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| malformed(error.to_string()))?;
    let parsed = ParsedCertificate::try_from(&der).map_err(|error| malformed(error.to_string()))?;
    let expected: ServerName<'_> = server_name(name.to_owned());
    if verify_server_name(&parsed, &expected).is_err() {
        return Err(IdentityError::SomebodyElse { path: path.to_owned(), expected: name.to_owned() });
    }
    Ok((pem, der))
}

/// Always the same for one cluster, so that an authority can be loaded from its key without taking its certificate apart.
fn ca_params(cluster: ClusterId) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new([authority_name(cluster)])?;
    params.distinguished_name = named(format!("Ice Age Farmland cluster {cluster}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    last_for_generations(&mut params);
    Ok(params)
}

fn named(name: String) -> DistinguishedName {
    let mut full = DistinguishedName::new();
    full.push(DnType::CommonName, name);
    full
}

fn last_for_generations(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
}
