//! The port: taken before anything else is started, so that a clash is told at once and plainly.

use std::{io, net::SocketAddr};
use tokio::net::TcpListener;

/// Why the gateway's port could not be taken, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error(
        "{addr} is in use by another program: stop it (`ss -ltnp` shows which it is), or choose another --http address"
    )]
    InUse {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// Not an address of this machine.
    #[error("{addr} is not an address of this machine (`ip address` lists them): choose another --http address")]
    NotHere {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// Ports below 1024 are for privileged programs.
    #[error("this user may not listen on {addr}: choose a port from 1024 up")]
    NotAllowed {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// Anything else the system refuses it for.
    #[error("cannot listen on {addr}: {source}")]
    System {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Takes `addr`; port 0 takes a free one, which the listener's `local_addr` then names.
pub async fn bind(addr: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(addr).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { addr },
        io::ErrorKind::AddrNotAvailable => BindError::NotHere { addr },
        io::ErrorKind::PermissionDenied => BindError::NotAllowed { addr },
        _ => BindError::System { addr, source },
    })
}
