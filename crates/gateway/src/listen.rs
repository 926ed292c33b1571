//! The port: taken before anything else is started, so that a clash is told at once and plainly.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Connections that may wait to be taken.
const BACKLOG: i32 = 1_024;

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
pub fn bind(addr: SocketAddr) -> Result<TcpListener, BindError> {
    listen(addr).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { addr },
        io::ErrorKind::AddrNotAvailable => BindError::NotHere { addr },
        io::ErrorKind::PermissionDenied => BindError::NotAllowed { addr },
        _ => BindError::System { addr, source },
    })
}

/// As tokio does: a port that was ours a moment ago may be taken again at once.
fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
