//! Which protocol a connection speaks, agreed in the handshake (ALPN).
//!
//! A node offers and accepts [`NODE`] and [`CLIENT`], whose names carry their versions, and [`ANY`], which means: "if we
//! agree on nothing else, let me hear from you which versions you speak". A connection that ends up with `ANY` carries
//! nothing but that sentence. Without it TLS only says that there is no common protocol, and nobody learns who is old.

use quinn::crypto::rustls::HandshakeData;

/// Between nodes.
pub(crate) const NODE: &str = "icefarm-node/1";
/// Between a client and a node. Its number is [`wire::client::VERSION`].
pub(crate) const CLIENT: &str = "icefarm-client/1";
/// The last resort.
pub(crate) const ANY: &str = "icefarm-versions";

const _: () = assert!(wire::client::VERSION == 1, "the name of the client protocol must carry its version");

/// What both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Node,
    Client,
    /// Nothing in common but the wish to say so.
    None,
}

/// What a finished handshake agreed on.
pub(crate) fn agreed(connection: &quinn::Connection) -> Protocol {
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    match data.and_then(|data| data.protocol) {
        Some(name) if name == NODE.as_bytes() => Protocol::Node,
        Some(name) if name == CLIENT.as_bytes() => Protocol::Client,
        _ => Protocol::None,
    }
}

/// What a node says to somebody whose versions it does not speak.
pub(crate) fn spoken_here() -> String {
    format!("this node speaks {NODE} and {CLIENT}; use a build of the same version on both sides")
}

/// The names as TLS wants them.
pub(crate) fn offer(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}
