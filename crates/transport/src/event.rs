//! What a transport tells the layer above, through one bounded queue.
//!
//! Invariants: the queue holds at most its limit in bytes (plus one frame); whoever finds it full waits and meanwhile
//! reads nothing from the network, so that a slow node slows its senders down instead of growing; clients may fill only
//! half of it, so that a crowd of them never keeps the node from hearing its peers.

use bytes::Bytes;
use paxos::NodeId;
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// One client connection at one node; never used again while the node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// Something that happened on the network.
///
/// For one peer and for one client the order is up, frames, down, with nothing after the down (but perhaps another up,
/// for a peer). A frame may share its memory with its neighbours on the stream: copy what is kept for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Frames go to and come from this peer from now on; both sides have checked who the other one is.
    PeerUp(NodeId),
    /// This peer is not connected any more. What was sent to it last may or may not have arrived.
    PeerDown(NodeId),
    /// A peer's frame.
    PeerFrame {
        /// Who sent it: proven, not claimed.
        from: NodeId,
        /// What it sent.
        frame: Bytes,
    },
    /// A client connected. It has proven nothing yet: its first frame has to.
    ClientUp {
        /// Which connection.
        conn: ConnId,
        /// From where.
        remote: SocketAddr,
    },
    /// A client's frame.
    ClientFrame {
        /// Which connection.
        conn: ConnId,
        /// What it sent.
        frame: Bytes,
    },
    /// A client connection ended, whoever ended it.
    ClientDown {
        /// Which connection.
        conn: ConnId,
    },
}

/// What an event without its frame is worth in the queue's limit.
const EVENT: usize = size_of::<Event>();

/// Who fills the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Peer(NodeId),
    Client(ConnId),
}

impl Source {
    pub(crate) fn frame(self, frame: Bytes) -> Event {
        match self {
            Self::Peer(from) => Event::PeerFrame { from, frame },
            Self::Client(conn) => Event::ClientFrame { conn, frame },
        }
    }
}

/// The receiver has gone: the node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// The queue's filling end.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    /// For the one receiver.
    ready: Notify,
    /// For everybody who waits for room.
    room: Notify,
    limit: usize,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    bytes: usize,
    waiting: bool,
    closed: bool,
}

/// Where the events come out. Dropping it ends every connection of its transport sooner or later.
#[derive(Debug)]
pub struct EventReceiver {
    inbox: Arc<Inbox>,
}

/// A queue of at most `limit` bytes.
pub(crate) fn event_queue(limit: usize) -> (Arc<Inbox>, EventReceiver) {
    let inbox =
        Arc::new(Inbox { queue: Mutex::default(), ready: Notify::new(), room: Notify::new(), limit: limit.max(EVENT) });
    (inbox.clone(), EventReceiver { inbox })
}

impl Inbox {
    /// Adds one event, waiting for room.
    pub(crate) async fn push(&self, source: Source, event: Event) -> Result<(), Gone> {
        self.push_all(source, &mut std::iter::once(event).peekable()).await
    }

    /// Adds frames in order, waiting for room. `frames` is empty afterwards.
    pub(crate) async fn push_frames(&self, source: Source, frames: &mut Vec<Bytes>) -> Result<(), Gone> {
        self.push_all(source, &mut frames.drain(..).map(|frame| source.frame(frame)).peekable()).await
    }

    async fn push_all<I: Iterator<Item = Event>>(
        &self,
        source: Source,
        events: &mut std::iter::Peekable<I>,
    ) -> Result<(), Gone> {
        loop {
            if self.push_some(source, events)? {
                return Ok(());
            }
            let room = self.room.notified();
            tokio::pin!(room);
            // From here on no notice is missed; what happened before shows in a second look.
            room.as_mut().enable();
            if self.push_some(source, events)? {
                return Ok(());
            }
            room.await;
        }
    }

    /// Whether everything found room.
    fn push_some<I: Iterator<Item = Event>>(
        &self,
        source: Source,
        events: &mut std::iter::Peekable<I>,
    ) -> Result<bool, Gone> {
        let limit = if matches!(source, Source::Peer(_)) { self.limit } else { self.limit / 2 };
        let mut queue = self.lock();
        if queue.closed {
            return Err(Gone);
        }
        let was_empty = queue.events.is_empty();
        while queue.bytes < limit
            && let Some(event) = events.next()
        {
            queue.bytes += weight(&event);
            queue.events.push_back(event);
        }
        let all = events.peek().is_none();
        queue.waiting |= !all;
        let wake = was_empty && !queue.events.is_empty();
        drop(queue);
        if wake {
            self.ready.notify_one();
        }
        Ok(all)
    }

    /// Adds nothing more; the receiver still gets what is here.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
        self.room.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while the lock is held; if something did, the queue would still be in order.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventReceiver {
    /// The next event; `None` after the transport's shutdown, when all of them have been taken. Dropping the future loses
    /// nothing.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            match self.try_take(1, |event| event) {
                Ok(Some(event)) => return Some(event),
                Ok(None) => self.inbox.ready.notified().await,
                Err(Gone) => return None,
            }
        }
    }

    /// Waits for events and appends all that are here, at most `max`, to `events`; says how many. 0 after the transport's
    /// shutdown. Dropping the future loses nothing.
    pub async fn recv_many(&mut self, events: &mut Vec<Event>, max: usize) -> usize {
        loop {
            match self.take_into(events, max) {
                Ok(0) => self.inbox.ready.notified().await,
                Ok(taken) => return taken,
                Err(Gone) => return 0,
            }
        }
    }

    /// The next event if one is here.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.try_take(1, |event| event).ok().flatten()
    }

    fn take_into(&mut self, events: &mut Vec<Event>, max: usize) -> Result<usize, Gone> {
        let before = events.len();
        self.try_take(max, |event| events.push(event))?;
        Ok(events.len() - before)
    }

    /// Gives at most `max` events to `each`; the last answer, or `None` if there was no event.
    fn try_take<T>(&mut self, max: usize, mut each: impl FnMut(Event) -> T) -> Result<Option<T>, Gone> {
        let mut queue = self.inbox.lock();
        if queue.events.is_empty() && queue.closed {
            return Err(Gone);
        }
        let mut last = None;
        for _ in 0..max.max(1).min(queue.events.len()) {
            let event = queue.events.pop_front().expect("counted just now");
            queue.bytes -= weight(&event);
            last = Some(each(event));
        }
        // Not for every event taken from a full queue: those who wait come in crowds.
        let wake = queue.waiting && queue.bytes < self.inbox.limit / 4;
        if wake {
            queue.waiting = false;
        }
        drop(queue);
        if wake {
            self.inbox.room.notify_waiters();
        }
        Ok(last)
    }
}

impl Drop for EventReceiver {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

fn weight(event: &Event) -> usize {
    match event {
        Event::PeerFrame { frame, .. } | Event::ClientFrame { frame, .. } => EVENT + frame.len(),
        _ => EVENT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn clients_wait_where_peers_still_get_in_and_nothing_is_lost() {
        let (inbox, mut receiver) = event_queue(EVENT * 8);
        let client = Source::Client(ConnId(1));
        let mut frames = vec![Bytes::new(); 10];
        let mut crowd = pin!(inbox.push_frames(client, &mut frames));
        assert!(poll(crowd.as_mut()).is_pending(), "half of the queue is for peers");
        let mut peer = pin!(inbox.push(Source::Peer(NodeId(2)), Event::PeerUp(NodeId(2))));
        assert!(poll(peer.as_mut()).is_ready());
        let mut got = Vec::new();
        let mut all_in = false;
        while got.len() < 11 {
            let before = got.len();
            while let Some(event) = receiver.try_recv() {
                got.push(event);
            }
            assert!(got.len() > before, "stuck with {} events", got.len());
            all_in = all_in || poll(crowd.as_mut()).is_ready();
        }
        assert_eq!(got[4], Event::PeerUp(NodeId(2)));
        assert_eq!(got.iter().filter(|event| matches!(event, Event::ClientFrame { .. })).count(), 10);
    }

    #[test]
    fn a_receiver_that_is_gone_is_noticed_by_who_waits_for_room() {
        let (inbox, receiver) = event_queue(EVENT);
        let peer = Source::Peer(NodeId(1));
        let mut frames = vec![Bytes::new(); 2];
        let mut waiting = pin!(inbox.push_frames(peer, &mut frames));
        assert!(poll(waiting.as_mut()).is_pending());
        drop(receiver);
        assert_eq!(poll(waiting.as_mut()), Poll::Ready(Err(Gone)));
    }
}
