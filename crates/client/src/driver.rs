//! The one task behind a [`Client`](crate::Client): owns the protocol's state and the connections.
//!
//! Each round takes everything that has arrived from callers and nodes, and then sends everything there is to send, one
//! frame per node. So frames grow with the load by themselves. Nothing waits here but the one `select!`; all queues are
//! bounded: while the protocol is full, callers wait in theirs.

use crate::error::{ConnectError, Error, Tried, WhyNot};
use crate::link::News;
use crate::pipeline::{Batch, Completion, Lane};
use crate::profile::NodeEntry;
use bytes::Bytes;
use client_proto::{ClientProto, Failure, Given, Now, OpId, Read, StartError, Success};
use paxos::NodeId;
use placement::ShardId;
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use transport::{ClientSendError, ClientSender};
use wire::codec::{MAX_REQUEST_FRAME, encode_into};
use wire::{Change, Level, Request, RequestNo, Session};
use world::{Command, Millis, PlayerName, RuleBook};

/// Taken from a queue in one round.
const ROUND: usize = 1_024;
/// Requests in one frame, if they are small enough.
const FRAME: usize = 2_048;
/// No request has more: one for many fields has nine for each.
const REQUEST_BYTES: usize = 256 + 9 * wire::client::MAX_FIELDS;
const _: () = assert!(REQUEST_BYTES <= MAX_REQUEST_FRAME, "the largest request fits");

/// What a caller wants.
#[derive(Debug)]
pub(crate) enum Ask {
    Start(What, Waiting),
    /// The same many times.
    StartAll(Vec<(What, u64)>, Arc<Lane>),
    /// What has been seen and written so far.
    Session(oneshot::Sender<Session>),
    /// Go on from what was seen and written before.
    Resume(Box<Session>),
    /// Finish what is under way, then end.
    Close(oneshot::Sender<()>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Command {
        player: PlayerName,
        command: Command,
    },
    /// For another client, under its number.
    Given {
        player: PlayerName,
        command: Command,
        number: RequestNo,
        given: Given,
    },
    Read {
        read: Read,
        level: Option<Level>,
        from: Option<NodeId>,
    },
    Change {
        shard: ShardId,
        change: Change,
    },
    Node(NodeId),
    Shards(NodeId),
}

/// Who waits for an outcome.
#[derive(Debug)]
pub(crate) enum Waiting {
    One(oneshot::Sender<Result<Success, Error>>),
    Lane { lane: Arc<Lane>, tag: u64 },
}

/// What callers may look at without asking the driver.
#[derive(Debug)]
pub(crate) struct Shared {
    pub rules: RwLock<Arc<RuleBook>>,
    /// The cluster's time at a moment.
    pub time: Mutex<(Millis, Instant)>,
    /// Why a node is not connected, as far as that is known; by link.
    pub trouble: Mutex<Vec<Option<String>>>,
    /// The links that have been up, or tried in vain, at least once.
    pub tried: watch::Sender<BTreeSet<usize>>,
    /// Attempts refused because a queue was full.
    pub overloads: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Driver {
    proto: ClientProto,
    begin: Instant,
    nodes: Vec<NodeEntry>,
    /// By link.
    senders: Vec<Option<ClientSender>>,
    /// To be sent; by link.
    outgoing: Vec<Vec<Request>>,
    buffer: Vec<u8>,
    /// By slot.
    waiting: Vec<Option<Waiting>>,
    batch: Batch,
    /// Asked when there was no room, and what came behind it.
    held: VecDeque<(What, Waiting)>,
    asks: mpsc::Receiver<Ask>,
    news: mpsc::Receiver<News>,
    shared: Option<Arc<Shared>>,
    closing: Vec<oneshot::Sender<()>>,
    /// No more asks will come.
    ending: bool,
    /// The tasks that keep the connections.
    links: JoinSet<()>,
}

impl Driver {
    pub fn new(
        proto: ClientProto,
        nodes: Vec<NodeEntry>,
        asks: mpsc::Receiver<Ask>,
        news: mpsc::Receiver<News>,
        links: JoinSet<()>,
    ) -> Self {
        let count = nodes.len();
        Self {
            proto,
            begin: Instant::now(),
            nodes,
            senders: vec![None; count],
            outgoing: vec![Vec::new(); count],
            buffer: Vec::new(),
            waiting: Vec::new(),
            batch: Batch::default(),
            held: VecDeque::new(),
            asks,
            news,
            shared: None,
            closing: Vec::new(),
            ending: false,
            links,
        }
    }

    /// Waits for the first welcome; fails when every node has been tried once in vain.
    pub async fn first_welcome(&mut self) -> Result<(Arc<Shared>, world::WorldSeed), ConnectError> {
        let mut tried: Vec<Option<WhyNot>> = self.nodes.iter().map(|_| None).collect();
        loop {
            let news = self.news.recv().await.expect("a link lives as long as its listener");
            let (link, why) = match news {
                News::Up { link, welcome, sender } => {
                    let now = self.now();
                    match self.proto.handle_welcome(now, self.nodes[link].id, &welcome) {
                        Ok(()) => {
                            let known = (0..tried.len()).filter(|&other| other == link || tried[other].is_some());
                            let known: BTreeSet<usize> = known.collect();
                            let trouble = tried.iter().map(|why| why.as_ref().map(WhyNot::to_string)).collect();
                            let shared = Arc::new(Shared {
                                rules: RwLock::new(Arc::new(welcome.rules)),
                                time: Mutex::new((welcome.time, Instant::now())),
                                trouble: Mutex::new(trouble),
                                tried: watch::Sender::new(known),
                                overloads: AtomicU64::new(0),
                            });
                            self.senders[link] = Some(sender);
                            self.shared = Some(shared.clone());
                            return Ok((shared, welcome.seed));
                        }
                        Err(why) => {
                            sender.close(&why.to_string());
                            (link, why.into())
                        }
                    }
                }
                News::Answers { .. } => continue,
                News::Down { link, why } => (link, why),
            };
            // What was wrong first is worth more than that the connection was closed for it.
            tried[link].get_or_insert(why);
            if tried.iter().all(Option::is_some) {
                let tried = tried.into_iter().flatten().zip(&self.nodes);
                let tried = tried.map(|(why, node)| Tried { node: node.id, addr: node.quic.clone(), why });
                return Err(ConnectError::Nobody(tried.collect()));
            }
        }
    }

    /// Until it is closed, or all handles are gone and nothing is under way any more.
    pub async fn run(mut self) {
        let mut asks = Vec::new();
        let mut news = Vec::new();
        while !(self.ending && self.proto.in_flight() == 0 && self.held.is_empty()) {
            let next = self.proto.next_timeout();
            let wake = next.map(|next| self.begin + Duration::from_micros(next.0));
            let room = if self.ending || !self.held.is_empty() { 0 } else { ROUND };
            tokio::select! {
                biased;
                _ = self.news.recv_many(&mut news, ROUND) => {}
                taken = self.asks.recv_many(&mut asks, room), if room > 0 => self.ending = taken == 0,
                () = sleep_until(wake.unwrap_or(self.begin)), if wake.is_some() => {}
            }
            // Whoever shares this thread may have something at once too: it goes into the same round, and the same frames.
            tokio::task::yield_now().await;
            while news.len() < ROUND {
                let Ok(more) = self.news.try_recv() else { break };
                news.push(more);
            }
            while asks.len() < room && !self.ending {
                let Ok(ask) = self.asks.try_recv() else { break };
                asks.push(ask);
            }
            let now = self.now();
            for news in news.drain(..) {
                self.hear(now, news);
                // While what was heard is still near in memory.
                self.finish();
            }
            self.proto.handle_timeout(now);
            self.finish();
            while let Some((what, waiting)) = self.held.pop_front() {
                if let Some(none) = self.try_start(now, what, waiting) {
                    self.held.push_front(none);
                    break;
                }
            }
            self.begin_all(now, &mut asks);
            self.send(now);
            self.finish();
        }
        self.end().await;
    }

    fn now(&self) -> Now {
        Now(u64::try_from(self.begin.elapsed().as_micros()).expect("five hundred thousand years"))
    }

    fn hear(&mut self, now: Now, news: News) {
        match news {
            News::Up { link, welcome, sender } => {
                let node = self.nodes[link].id;
                if let Err(error) = self.proto.handle_welcome(now, node, &welcome) {
                    tracing::warn!(%node, %error, "a welcome was not believed");
                    sender.close(&error.to_string());
                    self.note(link, Some(error.to_string()));
                    return;
                }
                tracing::debug!(%node, "connected");
                self.senders[link] = Some(sender);
                self.note(link, None);
                self.refresh(now, welcome.rules);
            }
            News::Answers { link, answers } => {
                // After we have hung up there may still be some: the protocol has written them off.
                if self.senders[link].is_some() {
                    self.proto.handle_answers(now, self.nodes[link].id, answers);
                }
            }
            News::Down { link, why } => {
                if self.senders[link].take().is_some() {
                    self.proto.handle_disconnected(now, self.nodes[link].id);
                }
                self.note(link, Some(why.to_string()));
            }
        }
    }

    fn note(&self, link: usize, why: Option<String>) {
        if let Some(shared) = &self.shared {
            shared.trouble.lock().unwrap_or_else(PoisonError::into_inner)[link] = why;
            shared.tried.send_if_modified(|tried| tried.insert(link));
        }
    }

    fn refresh(&self, now: Now, rules: RuleBook) {
        let Some(shared) = &self.shared else { return };
        if let Some(time) = self.proto.cluster_time(now) {
            *shared.time.lock().unwrap_or_else(PoisonError::into_inner) = (time, Instant::now());
        }
        let mut known = shared.rules.write().unwrap_or_else(PoisonError::into_inner);
        if rules.version > known.version {
            *known = Arc::new(rules);
        }
    }

    fn begin_all(&mut self, now: Now, asks: &mut Vec<Ask>) {
        for ask in asks.drain(..) {
            match ask {
                Ask::Start(what, waiting) => self.start(now, what, waiting),
                Ask::StartAll(all, lane) => {
                    for (what, tag) in all {
                        self.start(now, what, Waiting::Lane { lane: lane.clone(), tag });
                    }
                }
                // A caller that has gone does not want it any more.
                Ask::Session(caller) => _ = caller.send(self.proto.session().clone()),
                Ask::Resume(session) => self.proto.resume(&session),
                Ask::Close(done) => {
                    self.asks.close();
                    self.closing.push(done);
                }
            }
        }
    }

    /// Those behind one that found no room wait with it.
    fn start(&mut self, now: Now, what: What, waiting: Waiting) {
        let without_room =
            if self.held.is_empty() { self.try_start(now, what, waiting) } else { Some((what, waiting)) };
        self.held.extend(without_room);
    }

    /// Begins it; gives it back if there is no room.
    fn try_start(&mut self, now: Now, what: What, waiting: Waiting) -> Option<(What, Waiting)> {
        let started = match what {
            What::Command { player, command } => self.proto.start_command(now, player, command),
            What::Given { player, command, number, given } => {
                self.proto.start_given(now, player, command, number, given)
            }
            What::Read { read, level, from } => self.proto.start_read(now, read, level, from),
            What::Change { shard, change } => self.proto.start_change(now, shard, change),
            What::Node(node) => self.proto.start_node_report(now, node),
            What::Shards(node) => self.proto.start_shards_report(now, node),
        };
        match started {
            Ok(op) => self.wait_for(op, waiting),
            // Room comes with the next outcome, and something is under way: otherwise there would be room.
            Err(StartError::TooMany { .. } | StartError::WindowFull { .. }) => return Some((what, waiting)),
            Err(error @ (StartError::NoSuchShard(_) | StartError::NotThere(_))) => {
                let reason = error.to_string();
                match waiting {
                    Waiting::One(caller) => _ = caller.send(Err(Error::Invalid { reason })),
                    Waiting::Lane { lane, tag } => {
                        self.batch.push(lane, Completion { tag, result: Err(Failure::Invalid { reason }) });
                        self.batch.hand_over();
                    }
                }
            }
            Err(StartError::NotWelcomed) => unreachable!("the driver runs after the first welcome"),
        }
        None
    }

    fn wait_for(&mut self, op: OpId, waiting: Waiting) {
        let slot = op.slot();
        if slot >= self.waiting.len() {
            self.waiting.resize_with(slot + 1, || None);
        }
        self.waiting[slot] = Some(waiting);
    }

    /// Gives each outcome to whoever waits for it.
    fn finish(&mut self) {
        let Self { proto, waiting, batch, .. } = self;
        proto.drain_outcomes(|op, result| match waiting[op.slot()].take() {
            Some(Waiting::Lane { lane, tag }) => batch.push(lane, Completion { tag, result }),
            // A caller that has gone does not want it any more.
            Some(Waiting::One(caller)) => _ = caller.send(result.map_err(Error::from)),
            None => {}
        });
        batch.hand_over();
        if let Some(shared) = &self.shared {
            shared.overloads.store(self.proto.overloads(), Ordering::Relaxed);
        }
    }

    fn send(&mut self, now: Now) {
        loop {
            let mut any = false;
            while let Some((node, request)) = self.proto.poll_transmit() {
                any = true;
                let link = self.nodes.iter().position(|entry| entry.id == node);
                let link = link.expect("only the profile's nodes are ever welcomed");
                self.outgoing[link].push(request);
                if self.outgoing[link].len() == FRAME {
                    self.send_frame(now, link);
                }
            }
            for link in 0..self.outgoing.len() {
                self.send_frame(now, link);
            }
            // A connection that turned out to be gone gives its requests back.
            if !any {
                return;
            }
        }
    }

    fn send_frame(&mut self, now: Now, link: usize) {
        if self.outgoing[link].is_empty() {
            return;
        }
        let mut requests = std::mem::take(&mut self.outgoing[link]);
        let sent = self.send_requests(link, &requests);
        requests.clear();
        self.outgoing[link] = requests;
        if let Err(error) = sent {
            // The node does not read, or is gone: a new connection decides which.
            if let Some(sender) = self.senders[link].take() {
                sender.close(&error.to_string());
            }
            self.proto.handle_disconnected(now, self.nodes[link].id);
        }
    }

    /// In one frame, or in several where one would be too long.
    fn send_requests(&mut self, link: usize, requests: &[Request]) -> Result<(), ClientSendError> {
        encode_into(requests, &mut self.buffer);
        if self.buffer.len() > MAX_REQUEST_FRAME && requests.len() > 1 {
            let (some, others) = requests.split_at(requests.len() / 2);
            self.send_requests(link, some)?;
            return self.send_requests(link, others);
        }
        match &self.senders[link] {
            Some(sender) => sender.send(Bytes::copy_from_slice(&self.buffer)),
            None => Err(ClientSendError::Closed),
        }
    }

    async fn end(mut self) {
        const GRACE: Duration = Duration::from_secs(1);
        // The links hold the receiving halves.
        self.news.close();
        self.links.abort_all();
        let late = std::iter::from_fn(|| self.news.try_recv().ok()).filter_map(|news| match news {
            News::Up { sender, .. } => Some(sender),
            News::Answers { .. } | News::Down { .. } => None,
        });
        let senders: Vec<ClientSender> = late.chain(self.senders.into_iter().flatten()).collect();
        let farewell = async {
            for sender in &senders {
                // Everything was answered, or given up: there is nothing left to be delivered.
                sender.hang_up("the client has finished").await;
            }
            while self.links.join_next().await.is_some() {}
        };
        // Whoever has not heard by then notices that nothing comes any more.
        let _ = timeout(GRACE, farewell).await;
        for done in self.closing.drain(..) {
            // Who asked may have stopped waiting.
            let _ = done.send(());
        }
    }
}
