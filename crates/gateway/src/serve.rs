//! The server: connections in, routes, bounds on everything, and an orderly end.

use crate::Problem;
use crate::api::Peer;
use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, Request},
    http::{Method, StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use socket2::SockRef;
use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time,
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

/// Connections at a time; further ones wait in the system's backlog until one ends.
pub const MAX_CONNECTIONS: usize = 1_024;
/// A request line and its header fields may be this long together, in bytes.
pub const MAX_HEADER_BYTES: usize = 16 << 10;
/// Header fields in one request.
pub const MAX_HEADER_FIELDS: usize = 64;
/// The largest body, in bytes.
pub const MAX_BODY_BYTES: usize = 64 << 10;
/// The system takes so many bytes to send to one client beyond what is on its way to it; what comes later waits with us, where
/// it can still become less.
const UNSENT: u32 = 64 << 10;

/// How long clients may keep a server waiting, and it them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// A header must be complete this long after its connection fell idle, else the connection is closed.
    pub header: Duration,
    /// An answer must begin this long after its request, else the request is answered with `timed-out`.
    pub answer: Duration,
    /// A client that takes nothing of its answer for so long is gone.
    pub taken: Duration,
    /// What is under way when the server is told to stop may take this long.
    pub grace: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            answer: Duration::from_secs(15),
            taken: Duration::from_secs(30),
            grace: Duration::from_secs(2),
        }
    }
}

/// How long to wait when the system is out of descriptors or memory for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves on `listener` until `shutdown` is done, then lets what is under way finish for a while.
///
/// Fails only if the listener itself breaks; a connection's errors end that connection alone.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    tls: Option<TlsAcceptor>,
    times: Times,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let routes = bounded(routes, times);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &places) => {
                let (stream, from, place) = accepted?;
                let (routes, stopping) = (with_peer(routes.clone(), from), stopping.clone());
                match tls.clone() {
                    None => _ = connections.spawn(converse(stream, routes, times, stopping, place)),
                    Some(tls) => _ = connections.spawn(async move {
                        match time::timeout(times.header, tls.accept(stream)).await {
                            Ok(Ok(stream)) => converse(stream, routes, times, stopping, place).await,
                            Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
                            Err(_) => tracing::debug!("no TLS in time"),
                        }
                    }),
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    stop.send_replace(true);
    let finish = async { while connections.join_next().await.is_some() {} };
    if time::timeout(times.grace, finish).await.is_err() {
        tracing::warn!(connections = connections.len(), "closing HTTP connections that did not finish in time");
    }
    Ok(())
}

/// With bounds on everything, and problems where there is nothing else to answer with.
fn bounded(routes: Router, times: Times) -> Router {
    routes
        .fallback(no_such_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(move |request, next| within(times.answer, request, next)))
}

/// Each request says where it comes from.
fn with_peer(routes: Router, from: SocketAddr) -> Router {
    routes.layer(Extension(Peer(from.ip())))
}

async fn no_such_path(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-such-path", "There is nothing at this path")
        .detail(format!("nothing at {}: /openapi.json says what there is", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This path does not take this method")
        .detail(format!("{} does not take {method}: the Allow header says what it takes", uri.path()))
}

async fn within(time: Duration, request: Request, next: Next) -> Response {
    match time::timeout(time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::timed_out().into_response(),
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.expect("this semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                // What is told is told at once, and what a slow reader is still to be told does not pile up in the system.
                let _ = stream.set_nodelay(true);
                let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
                return Ok((stream, from, place));
            }
            Err(error) if is_the_peers(&error) => {}
            Err(error) if is_shortage(&error) => {
                tracing::warn!(%error, "no room for another HTTP connection just now");
                time::sleep(ACCEPT_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The connection died before we took it.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Out of descriptors (`EMFILE`, `ENFILE`), buffers (`ENOBUFS`) or memory (`ENOMEM`): passes when something is closed.
fn is_shortage(error: &io::Error) -> bool {
    const SHORTAGES: [i32; 4] = [24, 23, 105, 12];
    error.raw_os_error().is_some_and(|code| SHORTAGES.contains(&code))
}

/// One connection, request after request, to its end.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: Router,
    times: Times,
    mut stopping: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(times.taken));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(times.header)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADER_FIELDS)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(routes))
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = told_to_stop(&mut stopping) => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    // An error means that the server is gone, which is the same.
    let _ = stopping.wait_for(|stop| *stop).await;
}
