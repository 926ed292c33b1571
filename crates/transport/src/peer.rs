//! Peers: dialling them for ever, and one connection to each.
//!
//! Invariants: of two nodes the one with the higher id dials, so there is one connection per pair; a new connection of a
//! peer ends the old one, and its `PeerUp` comes after the old one's `PeerDown`.

use crate::close::{CloseCode, Closed};
use crate::connection::{BULK, Link, Session, open};
use crate::event::{Event, Gone, Source};
use crate::node::{PeerStatus, Shared};
use crate::quic;
use paxos::NodeId;
use quinn::{RecvStream, SendStream};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// One other node of the cluster.
#[derive(Debug)]
pub(crate) struct Peer {
    addr: SocketAddr,
    state: Mutex<State>,
    /// Held by the connection that is up, from before its `PeerUp` to after its `PeerDown`.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    link: Option<Arc<Link>>,
    trouble: Option<String>,
}

impl Peer {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self { addr, state: Mutex::default(), turn: tokio::sync::Mutex::new(()) }
    }

    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.state().link.clone()
    }

    pub(crate) fn status(&self, node: NodeId) -> PeerStatus {
        let state = self.state();
        PeerStatus { node, addr: self.addr, connected: state.link.is_some(), trouble: state.trouble.clone() }
    }

    /// Remembers what went wrong; whether it is news.
    pub(crate) fn note_trouble(&self, trouble: String) -> bool {
        let mut state = self.state();
        let news = state.trouble.as_ref() != Some(&trouble);
        state.trouble = Some(trouble);
        news
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves frames of a peer that has proven who it is, until the connection ends.
pub(crate) async fn run_peer(
    shared: &Shared,
    node: NodeId,
    connection: quinn::Connection,
    streams: (SendStream, RecvStream),
) -> Result<(), Gone> {
    let peer = shared.peers.get(&node).expect("only listed peers get here");
    let limits = &shared.limits;
    if let Some(old) = peer.state().link.take() {
        old.hang_up(CloseCode::Replaced, "the same peer has connected again");
    }
    let remote = connection.remote_address();
    let turn = peer.turn.lock().await;
    // Nobody else may open streams of its own.
    connection.set_max_concurrent_uni_streams(BULK.into());
    let link = Link::new(connection, limits.peer_queue, limits.peer_frame);
    {
        let mut state = peer.state();
        state.link = Some(link.clone());
        state.trouble = None;
    }
    shared.counters.peers_now.add(1);
    tracing::info!(me = %shared.me, peer = %node, %remote, "peer up");
    let session = Session {
        inbox: &shared.inbox,
        counters: &shared.counters,
        source: Source::Peer(node),
        first_frame: limits.peer_frame,
        max_frame: limits.peer_frame,
    };
    let ended = session.run(&link, streams, Event::PeerUp(node), Event::PeerDown(node)).await;
    shared.counters.peers_now.sub(1);
    {
        let mut state = peer.state();
        if state.link.as_ref().is_some_and(|current| Arc::ptr_eq(current, &link)) {
            state.link = None;
        }
        state.trouble = ended.as_ref().err().map(|Gone| "this node stops".to_owned());
        if let Ok(closed) = &ended {
            state.trouble = Some(closed.reason.clone());
            tracing::info!(me = %shared.me, peer = %node, reason = %closed.reason, "peer down");
        }
    }
    drop(turn);
    ended.map(|_| ())
}

/// Dials a peer, and again whenever the connection ends.
pub(crate) async fn dial_forever(shared: Arc<Shared>, node: NodeId, config: quinn::ClientConfig) {
    let tuning = &shared.tuning;
    let mut pause = tuning.redial_first;
    loop {
        match timeout(tuning.handshake, dial(&shared, node, config.clone())).await {
            Ok(Ok((connection, streams))) => {
                shared.counters.handshakes.add(1);
                let since = Instant::now();
                if run_peer(&shared, node, connection, streams).await == Err(Gone) {
                    return;
                }
                if since.elapsed() > tuning.redial_most {
                    pause = tuning.redial_first;
                }
            }
            Ok(Err(closed)) => failed(&shared, node, &closed.reason),
            Err(_) => failed(&shared, node, &format!("no answer within {:?}", tuning.handshake)),
        }
        sleep(jittered(pause)).await;
        pause = (pause * 2).min(tuning.redial_most);
    }
}

async fn dial(
    shared: &Shared,
    node: NodeId,
    config: quinn::ClientConfig,
) -> Result<(quinn::Connection, (SendStream, RecvStream)), Closed> {
    let addr = shared.peers.get(&node).expect("only listed peers are dialled").addr;
    let name = quic::dialled_name(shared.cluster, node);
    let connecting =
        shared.endpoint.connect_with(config, addr, &name).map_err(|error| Closed::because(error.to_string()))?;
    let connection = connecting.await?;
    let streams = open(&connection).await?;
    Ok((connection, streams))
}

/// The first failure of a kind is worth a line; that a node is down is not worth one a second.
fn failed(shared: &Shared, node: NodeId, reason: &str) {
    shared.counters.handshakes_failed.add(1);
    let peer = shared.peers.get(&node).expect("only listed peers are dialled");
    if peer.note_trouble(reason.to_owned()) {
        tracing::info!(me = %shared.me, peer = %node, addr = %peer.addr, reason, "cannot connect; trying again");
    } else {
        tracing::debug!(me = %shared.me, peer = %node, addr = %peer.addr, reason, "cannot connect; trying again");
    }
}

/// Between half of it and all of it, so that nodes that failed together do not come back in step.
fn jittered(pause: Duration) -> Duration {
    // Without randomness the pause is merely whole.
    let share = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
}
