//! Who comes in: the handshake, who it is, and what it may do.

use crate::alpn::{self, Protocol};
use crate::close::{CloseCode, Closed, close};
use crate::connection::{Link, Session, accept};
use crate::event::{ConnId, Event, Source};
use crate::identity::whose;
use crate::node::Shared;
use crate::peer::run_peer;
use crate::quic;
use paxos::NodeId;
use quinn::{Connection, Incoming, RecvStream, SendStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// Takes connections until the endpoint closes.
pub(crate) async fn accept_forever(shared: Arc<Shared>) {
    while let Some(incoming) = shared.endpoint.accept().await {
        if let Ok(permit) = shared.handshakes.clone().try_acquire_owned() {
            tokio::spawn(welcome(shared.clone(), incoming, permit));
        } else {
            shared.counters.refused.add(1);
            incoming.refuse();
        }
    }
}

/// Who it turned out to be.
enum Guest {
    Peer(NodeId),
    Client,
}

async fn welcome(shared: Arc<Shared>, incoming: Incoming, permit: OwnedSemaphorePermit) {
    let remote = incoming.remote_address();
    let entered = timeout(shared.tuning.handshake, enter(&shared, incoming)).await;
    drop(permit);
    match entered {
        Ok(Ok((connection, guest, streams))) => {
            shared.counters.handshakes.add(1);
            match guest {
                // An error means that nobody takes events: there is nobody to tell.
                Guest::Peer(node) => drop(run_peer(&shared, node, connection, streams).await),
                Guest::Client => run_client(&shared, connection, streams).await,
            }
        }
        Ok(Err(closed)) => {
            shared.counters.handshakes_failed.add(1);
            tracing::debug!(me = %shared.me, %remote, reason = %closed.reason, "not let in");
        }
        Err(_) => {
            shared.counters.handshakes_failed.add(1);
            tracing::debug!(me = %shared.me, %remote, "handshake took too long");
        }
    }
}

async fn enter(shared: &Shared, incoming: Incoming) -> Result<(Connection, Guest, (SendStream, RecvStream)), Closed> {
    let connection = incoming.accept()?.await?;
    let guest = identify(shared, &connection).inspect_err(|refused| {
        shared.counters.refused.add(1);
        close(&connection, refused.code.unwrap_or(CloseCode::NotAllowed), refused);
    })?;
    if matches!(guest, Guest::Peer(_)) {
        quic::widen_for_peer(&connection, &shared.tuning);
    }
    let streams = accept(&connection).await.inspect_err(|refused| {
        if refused.code == Some(CloseCode::BadFrame) && connection.close_reason().is_none() {
            shared.counters.bad_frames.add(1);
            close(&connection, CloseCode::BadFrame, refused);
        }
    })?;
    Ok((connection, guest, streams))
}

fn identify(shared: &Shared, connection: &Connection) -> Result<Guest, Closed> {
    let refused = |code, reason| Err(Closed { code: Some(code), reason });
    match alpn::agreed(connection) {
        Protocol::None => refused(CloseCode::Version, alpn::spoken_here()),
        Protocol::Client => {
            if shared.clients().len() < shared.limits.clients {
                return Ok(Guest::Client);
            }
            refused(CloseCode::Full, no_room(shared))
        }
        Protocol::Node => {
            let Some(cert) = quic::proven_certificate(connection) else {
                return refused(CloseCode::NotAllowed, "a node must show its certificate".to_owned());
            };
            match whose(&cert, shared.cluster, shared.peers.keys().copied()) {
                Some(node) if node > shared.me => Ok(Guest::Peer(node)),
                Some(node) => {
                    let reason = format!("{node} must not dial {}: the higher id dials", shared.me);
                    refused(CloseCode::NotAllowed, reason)
                }
                None => {
                    let reason = format!("your certificate names none of the peers of {}", shared.me);
                    refused(CloseCode::NotAllowed, reason)
                }
            }
        }
    }
}

fn no_room(shared: &Shared) -> String {
    format!("{} has {} clients already: try another node", shared.me, shared.limits.clients)
}

async fn run_client(shared: &Shared, connection: Connection, streams: (SendStream, RecvStream)) {
    let conn = ConnId(shared.next_conn.fetch_add(1, Ordering::Relaxed));
    let remote = connection.remote_address();
    let limits = &shared.limits;
    let link = Link::new(connection, limits.client_queue, limits.client_frame);
    {
        let mut clients = shared.clients();
        // Others may have come in while this one was shaking hands.
        if clients.len() >= limits.clients {
            shared.counters.refused.add(1);
            link.hang_up(CloseCode::Full, &no_room(shared));
            return;
        }
        clients.insert(conn, link.clone());
    }
    shared.counters.clients_now.add(1);
    let session = Session {
        inbox: &shared.inbox,
        counters: &shared.counters,
        source: Source::Client(conn),
        first_frame: limits.client_greeting,
        max_frame: limits.client_request,
    };
    let ended = session.run(&link, streams, Event::ClientUp { conn, remote }, Event::ClientDown { conn }).await;
    shared.clients().remove(&conn);
    shared.counters.clients_now.sub(1);
    if let Ok(closed) = ended {
        tracing::debug!(me = %shared.me, %conn, %remote, reason = %closed.reason, "client gone");
    }
}
