//! The turn: take what has arrived, let the host think, carry out what it wants, in the order it asks for.

use crate::clients::{Clients, Received, greet};
use crate::clock;
use crate::error::NodeError;
use crate::log_thread::{LogDone, LogJob, LogThread};
use crate::own_gateway;
use crate::page_thread::{PageDone, PageJob, PageThread};
use crate::ready::Ready;
use crate::telemetry::{Ask, Telemetry};
use gateway::TapEnd;
use host::{Host, Mono, Turn};
use paxos::NodeId;
use placement::Membership;
use shard::ConnId;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use storage::DataDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use transport::{Event, EventReceiver, Transport};
use wire::codec;
use wire::{Answer, AnswerBody, RequestBody};

mod open;
pub use open::LET_GO;

/// Events taken at once.
const EVENTS: usize = 1_024;
/// Answers, and fields in them, that share a frame.
const FRAME_FIELDS: usize = 4_096;
/// Between two upkeeps of the figures, in microseconds.
const UPKEEP_EVERY: u64 = 5_000_000;
/// Between two looks at whether it is ready, in microseconds: all shards are looked at.
const READY_EVERY: u64 = 200_000;
/// Between two tries to get space back on a full disk, in microseconds.
const RECLAIM_EVERY: u64 = 200_000;
/// A clean stop writes checkpoints for at most this long.
const CHECKPOINT_GRACE: Duration = Duration::from_secs(4);
/// The gateway ends within this.
const GATEWAY_GRACE: Duration = Duration::from_secs(3);
/// Then lets what is queued reach the network for at most this long.
const NETWORK_GRACE: Duration = Duration::from_millis(500);

/// One node, ready to run.
pub struct Node {
    host: Host,
    transport: Transport,
    events: EventReceiver,
    log: LogThread,
    log_done: mpsc::Receiver<LogDone>,
    pages: PageThread,
    page_done: mpsc::Receiver<PageDone>,
    clients: Clients,
    /// Until it runs.
    gateway: Option<own_gateway::Waiting>,
    /// What the gateway wishes, and is told.
    tap: TapEnd,
    ready: Arc<Ready>,
    /// Held until the node has ended: nobody else may use the directory.
    data: DataDir,
    /// What is promised other nodes at a time, until nothing that was promised before matters.
    support: Option<Duration>,
    buffer: Vec<u8>,
    telemetry: Telemetry,
    /// Peers' frames that were not understood.
    garbled: u64,
    upkeep_at: Mono,
    ready_at: Mono,
    reclaim_at: Mono,
    /// Who wants to see the figures.
    asked: mpsc::Receiver<Ask>,
}

impl Node {
    /// Where it listens for QUIC.
    pub fn quic_addr(&self) -> std::io::Result<SocketAddr> {
        self.transport.local_addr()
    }

    /// Runs until `stop` is done, or something breaks that a node must not survive.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), NodeError> {
        let gateway = self.gateway.take().map(own_gateway::Waiting::start).transpose()?;
        let mut stop = std::pin::pin!(stop);
        let mut events = Vec::with_capacity(EVENTS);
        let result = loop {
            match self.turn(&mut events, stop.as_mut()).await {
                Ok(true) => {}
                Ok(false) => {
                    // Players go on with another node while this one finishes.
                    if let Some(gateway) = &gateway {
                        gateway.stop();
                    }
                    break self.checkpoint().await;
                }
                Err(error) => break Err(error),
            }
        };
        let Self { transport, log, pages, .. } = self;
        transport.shutdown("the node is stopping", NETWORK_GRACE).await;
        if result.is_ok() {
            // What is queued becomes durable; after a failure nothing more is written.
            log.stop();
            pages.stop();
        }
        if let Some(gateway) = gateway {
            gateway.ended(GATEWAY_GRACE).await;
        }
        tracing::info!("stopped");
        result
    }

    /// Waits for something to do, and does it. `false`: told to stop.
    async fn turn(
        &mut self,
        events: &mut Vec<Event>,
        stop: std::pin::Pin<&mut impl Future<Output = ()>>,
    ) -> Result<bool, NodeError> {
        let tick = self.until_tick();
        // While the disk is behind, nothing new is taken in: the network's own windows hold it back.
        let open = !self.host.is_stalled() || self.host.is_disk_full();
        tokio::select! {
            done = self.log_done.recv() => self.log_done(done.ok_or(NodeError::Thread("log"))?)?,
            done = self.page_done.recv() => self.page_done(done.ok_or(NodeError::Thread("checkpoint"))?)?,
            _ = self.events.recv_many(events, EVENTS), if open => {}
            Some(ask) = self.asked.recv() => {
                let reserve = self.data.reserve().bytes();
                let (survey, mut network) = (self.host.survey(clock::now()), self.transport.stats());
                network.bad_frames += self.garbled + self.clients.garbled();
                self.telemetry.answer(ask, &survey, network, self.clients.len(), reserve);
            }
            Some(wish) = self.tap.wish() => own_gateway::grant(&mut self.host, clock::now(), wish),
            () = sleep_until(tick) => {}
            () = stop => return Ok(false),
        }
        while let Ok(done) = self.log_done.try_recv() {
            self.log_done(done)?;
        }
        while let Ok(done) = self.page_done.try_recv() {
            self.page_done(done)?;
        }
        let now = clock::now();
        while let Some(wish) = self.tap.try_wish() {
            own_gateway::grant(&mut self.host, now, wish);
        }
        self.look_at_disk(now)?;
        for event in events.drain(..) {
            self.event(now, event);
        }
        if now.mono >= self.host.next_tick() {
            self.host.handle_tick(now);
        }
        let turn = self.host.finish_turn(now);
        let waited = clock::now().mono.since(now.mono);
        self.telemetry.turn(&turn, Duration::from_micros(waited));
        self.carry_out(turn)?;
        if now.mono >= self.ready_at {
            self.ready_at = now.mono.plus(READY_EVERY);
            self.ready.note(&self.host, &self.data);
        }
        if now.mono >= self.upkeep_at {
            self.upkeep_at = now.mono.plus(UPKEEP_EVERY);
            self.telemetry.upkeep();
            for (conn, late) in self.clients.overdue(now.mono) {
                self.received(now, conn, late);
            }
            if !self.host.in_quarantine(now.mono)
                && let Some(support) = self.support.take()
            {
                self.data.outlived_support(support)?;
            }
        }
        // The network's tasks share this thread: let them bring what has come meanwhile.
        tokio::task::yield_now().await;
        Ok(true)
    }

    fn event(&mut self, now: host::Now, event: Event) {
        match event {
            Event::PeerUp(node) => tracing::info!(peer = %node, "connected"),
            Event::PeerDown(node) => tracing::info!(peer = %node, "disconnected"),
            Event::PeerFrame { from, frame } => {
                self.telemetry.frame_received(from, frame.len());
                match codec::decode("peer's frame", &frame) {
                    Ok(frame) => self.host.handle_frame(now, from, frame),
                    Err(error) => {
                        self.garbled += 1;
                        tracing::warn!(peer = %from, %error, "frame dropped");
                    }
                }
            }
            Event::ClientUp { conn, remote } => {
                tracing::debug!(conn = conn.0, %remote, "client connected");
                self.clients.up(ConnId(conn.0), now.mono);
            }
            Event::ClientDown { conn } => self.clients.down(ConnId(conn.0)),
            Event::ClientFrame { conn, frame } => {
                let conn = ConnId(conn.0);
                let received = self.clients.receive(conn, &frame, now.wall);
                self.received(now, conn, received);
            }
        }
    }

    fn received(&mut self, now: host::Now, conn: ConnId, received: Received) {
        match received {
            Received::Greet => {
                let greeting = greet(self.host.welcome(now));
                self.send_to_client(conn, greeting);
            }
            Received::Requests(requests, refused) => {
                self.telemetry.requested(requests.len() + refused.len());
                for answer in &refused {
                    self.telemetry.answered(answer);
                }
                if requests.iter().any(|request| matches!(request.body, RequestBody::Node)) {
                    let survey = self.host.survey(now);
                    self.host.note_figures(self.telemetry.figures(&survey, self.clients.len()));
                }
                for request in requests {
                    self.host.handle_request(now, conn, request);
                }
                if !refused.is_empty() {
                    self.answer_all(conn, &refused);
                }
            }
            Received::Goodbye(greeting, reason) => {
                tracing::info!(conn = conn.0, reason, "client refused");
                self.send_to_client(conn, greeting);
                self.transport.close_client(transport::ConnId(conn.0), &reason);
            }
            Received::Close(reason) => {
                tracing::info!(conn = conn.0, reason, "client closed");
                self.transport.close_client(transport::ConnId(conn.0), &reason);
            }
        }
    }

    /// Without its reserve this node only finishes what it has begun, and cleans up, until there is space.
    fn look_at_disk(&mut self, now: host::Now) -> Result<(), NodeError> {
        let full = !self.data.reserve().is_held();
        if full != self.host.is_disk_full() {
            let data = self.data.path().display();
            if full {
                tracing::error!(%data, "the disk is full: this node decides nothing until there is space");
            } else {
                tracing::info!(%data, "there is space on the disk again");
            }
            self.host.handle_disk_full(now, full);
        }
        if full && now.mono >= self.reclaim_at {
            self.reclaim_at = now.mono.plus(RECLAIM_EVERY);
            self.submit_log(LogJob::Reclaim)?;
        }
        Ok(())
    }

    fn log_done(&mut self, done: LogDone) -> Result<(), NodeError> {
        match done {
            LogDone::Written(id, stats, took) => {
                self.telemetry.synced(took, stats);
                self.host.handle_written(id);
            }
            LogDone::Read(read, values) => self.host.handle_log_read(read, values),
            LogDone::Laggards(shards, pressed) => {
                for (shard, through) in shards {
                    self.host.handle_laggard(shard, through, pressed);
                }
            }
            LogDone::Failed(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn page_done(&mut self, done: PageDone) -> Result<(), NodeError> {
        match done {
            PageDone::Committed(shard, slot) => {
                self.telemetry.checkpointed();
                self.host.handle_checkpointed(shard, slot);
            }
            PageDone::Loaded(shard, chunk, page) => {
                self.telemetry.chunk_loaded();
                self.host.handle_chunk(shard, chunk, page.as_deref())?;
            }
            PageDone::PartRead(read, found) => self.host.handle_part_read(&read, found),
            PageDone::Staged(shard, fits) => self.host.handle_staged(shard, fits),
            PageDone::Installed(shard, stored) => {
                tracing::info!(%shard, installed = stored.is_some(), "a checkpoint has come from another node");
                self.host
                    .handle_installed(shard, stored.as_ref())
                    .map_err(|source| host::HostError::Restore { shard, source })?;
            }
            PageDone::Moved(moves) => {
                for (shard, membership) in &moves {
                    match membership {
                        Membership::Joined(configuration) => tracing::info!(%shard, configuration, "joined"),
                        Membership::Left(configuration) => tracing::info!(%shard, configuration, "left"),
                    }
                }
                self.host.handle_moved(&moves);
            }
            PageDone::Failed(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Frames first, since Accepts go out before the leader's own write; then what the log may forget, which a write may follow
    /// of a shard that was left and is joined again; then the write; then the rest.
    fn carry_out(&mut self, turn: Turn) -> Result<(), NodeError> {
        if let Some(error) = turn.unreadable {
            return Err(error.into());
        }
        for (node, frame) in &turn.frames {
            codec::encode_into(frame, &mut self.buffer);
            self.send_to_peer(*node);
        }
        for (shard, slot) in turn.releases {
            self.submit_log(LogJob::Release(shard, slot))?;
        }
        if let Some(write) = turn.write {
            self.submit_log(LogJob::Write(write))?;
        }
        // Whatever a lease allowed is checked as late as can be.
        for (conn, answers) in self.host.take_answers(clock::now().mono) {
            for answer in &answers {
                self.telemetry.answered(answer);
            }
            self.answer_all(conn, &answers);
            self.host.reuse_answers(answers);
        }
        self.tap.tell(turn.news);
        for read in turn.log_reads {
            self.submit_log(LogJob::Read(read))?;
        }
        for (shard, chunk) in turn.chunk_loads {
            self.submit_page(PageJob::Load(shard, chunk))?;
        }
        for (node, frame) in &turn.bulk {
            let frame = codec::encode(frame);
            self.telemetry.frame_sent(*node, frame.len());
            if let Err(error) = self.transport.send_bulk(*node, frame) {
                // Whoever needs it asks again.
                tracing::debug!(peer = %node, %error, "part of a checkpoint dropped");
            }
        }
        for (node, incarnation) in turn.meetings {
            self.data.meet(node, incarnation)?;
            self.host.handle_met(node, incarnation);
        }
        for read in turn.part_reads {
            self.submit_page(PageJob::ReadPart(read))?;
        }
        for shard in turn.let_go {
            self.submit_page(PageJob::LetGo(shard))?;
        }
        for staging in turn.stagings {
            self.submit_page(PageJob::Stage(staging))?;
        }
        if !turn.memberships.is_empty() {
            self.submit_page(PageJob::Memberships(turn.memberships))?;
        }
        for (shard, cut) in turn.cuts {
            self.submit_page(PageJob::Cut(shard, cut))?;
        }
        Ok(())
    }

    fn send_to_peer(&mut self, node: NodeId) {
        let frame = bytes::Bytes::copy_from_slice(&self.buffer);
        self.telemetry.frame_sent(node, frame.len());
        match self.transport.send(node, frame) {
            Err(error @ transport::SendError::TooLarge { .. }) => {
                tracing::error!(peer = %node, %error, "frame dropped: this is a bug");
            }
            // A peer that is not there, or does not keep up, asks again when it is back.
            Err(error) => tracing::trace!(peer = %node, %error, "frame dropped"),
            Ok(()) => {}
        }
    }

    /// Answers share a frame as long as it fits; a large view has one of its own.
    fn answer_all(&mut self, conn: ConnId, answers: &[Answer]) {
        let weight = |answer: &Answer| match &answer.body {
            AnswerBody::Read { reply, .. } => reply.fields().max(1),
            _ => 1,
        };
        let (mut from, mut sum) = (0, 0);
        for (at, answer) in answers.iter().enumerate() {
            let next = weight(answer);
            if at > from && sum + next > FRAME_FIELDS {
                self.answer(conn, &answers[from..at]);
                (from, sum) = (at, 0);
            }
            sum += next;
        }
        if from < answers.len() {
            self.answer(conn, &answers[from..]);
        }
    }

    fn answer(&mut self, conn: ConnId, answers: &[Answer]) {
        codec::encode_into(answers, &mut self.buffer);
        let frame = bytes::Bytes::copy_from_slice(&self.buffer);
        self.send_to_client(conn, frame);
    }

    fn send_to_client(&self, conn: ConnId, frame: bytes::Bytes) {
        // A client that has gone needs no answer; one that does not read has been disconnected.
        if let Err(error) = self.transport.send_client(transport::ConnId(conn.0), frame) {
            tracing::debug!(conn = conn.0, %error, "answer dropped");
        }
    }

    fn submit_log(&self, job: LogJob) -> Result<(), NodeError> {
        if self.log.submit(job) { Ok(()) } else { self.thread_ended("log") }
    }

    fn submit_page(&self, job: PageJob) -> Result<(), NodeError> {
        if self.pages.submit(job) { Ok(()) } else { self.thread_ended("checkpoint") }
    }

    /// A thread that has ended has usually said why: the next look at its results tells.
    fn thread_ended(&self, which: &'static str) -> Result<(), NodeError> {
        if self.log_done.is_empty() && self.page_done.is_empty() { Err(NodeError::Thread(which)) } else { Ok(()) }
    }

    fn until_tick(&self) -> Instant {
        let wait = self.host.next_tick().since(clock::now().mono);
        Instant::now() + Duration::from_micros(wait)
    }

    /// Makes the next start short.
    async fn checkpoint(&mut self) -> Result<(), NodeError> {
        // Others lead at once, instead of missing this node first.
        self.host.step_down(clock::now());
        self.host.checkpoint_all();
        let deadline = Instant::now() + CHECKPOINT_GRACE;
        loop {
            let turn = self.host.finish_turn(clock::now());
            self.carry_out(turn)?;
            if !self.host.is_checkpointing() {
                return Ok(());
            }
            tokio::select! {
                done = self.page_done.recv() => self.page_done(done.ok_or(NodeError::Thread("checkpoint"))?)?,
                done = self.log_done.recv() => self.log_done(done.ok_or(NodeError::Thread("log"))?)?,
                () = sleep_until(deadline) => {
                    tracing::warn!("stopping before all checkpoints are written: the next start replays more of the log");
                    return Ok(());
                }
            }
        }
    }
}
