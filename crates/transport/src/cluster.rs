//! What the members of a cluster are called in certificates.

use paxos::NodeId;
use placement::ClusterId;
use rustls::pki_types::{DnsName, ServerName};

/// A new cluster's id, from the operating system's randomness.
pub fn draw_cluster_id() -> Result<ClusterId, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(ClusterId(u128::from_le_bytes(bytes)))
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
