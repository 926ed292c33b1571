//! Which cluster, and what its members are called in certificates.

use crate::hex;
use paxos::NodeId;
use rustls::pki_types::{DnsName, ServerName};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One cluster: 128 random bits, drawn when it is made. Shown, and kept in configuration files, as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ClusterId(pub u128);

/// A cluster id that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a cluster id: 32 hexadecimal digits are expected")]
pub struct ClusterIdError(pub String);

impl ClusterId {
    /// A new one, from the operating system's randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(u128::from_le_bytes(bytes)))
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster {:08x}", self.0 >> 96)
    }
}

impl FromStr for ClusterId {
    type Err = ClusterIdError;

    fn from_str(text: &str) -> Result<Self, ClusterIdError> {
        let bytes = hex::decode(text).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        bytes.map(|bytes| Self(u128::from_be_bytes(bytes))).ok_or_else(|| ClusterIdError(text.to_owned()))
    }
}

impl From<ClusterId> for String {
    fn from(id: ClusterId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for ClusterId {
    type Error = ClusterIdError;

    fn try_from(text: String) -> Result<Self, ClusterIdError> {
        text.parse()
    }
}

/// The name in a node's certificate, such as `n2.0f...e1.icefarm`. It is never looked up in any DNS: it is what a node is
/// called in the only place where its identity is proven.
pub(crate) fn node_name(cluster: ClusterId, node: NodeId) -> String {
    format!("{node}.{cluster}.icefarm")
}

/// The name in the certificate of the cluster's authority.
pub(crate) fn authority_name(cluster: ClusterId) -> String {
    format!("ca.{cluster}.icefarm")
}

/// A name of the two functions above as rustls wants it.
pub(crate) fn server_name(name: String) -> ServerName<'static> {
    ServerName::DnsName(DnsName::try_from(name).expect("letters, digits and dots, labels of at most 32 characters"))
}
