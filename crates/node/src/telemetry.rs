//! What the node counts and measures, for Prometheus. Names begin with `icefarm_` and end with their unit; counters end
//! with `_total`.
//!
//! Counters and histograms are fed as things pass the driver; gauges are set when somebody asks, from one look at the
//! host. By default everything is about the node, or about it and one peer; figures for each shard are made on request
//! only, since a node may hold thousands.

use gateway::{Figures, Rendering};
use host::{ShardSurvey, Survey, Turn};
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
    with_local_recorder,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use paxos::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;
use storage::LogStats;
use tokio::sync::{mpsc, oneshot};
use wire::{Answer, AnswerBody, Refusal};
use world::Outcome;

/// Upper bounds of durations, in seconds: 10 µs to 10 s.
const SECONDS: [f64; 13] = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0];
/// Upper bounds of counts.
const COUNTS: [f64; 12] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 4_096.0];
/// Those who ask at a time; more are turned away.
const ASKERS: usize = 16;

/// Somebody wants the figures.
#[derive(Debug)]
pub struct Ask {
    per_shard: bool,
    answer: oneshot::Sender<String>,
}

/// The end that the gateway holds.
#[derive(Debug)]
pub struct Asking(mpsc::Sender<Ask>);

impl Figures for Asking {
    fn render(&self, per_shard: bool) -> Rendering {
        let (answer, rendered) = oneshot::channel();
        let asked = self.0.try_send(Ask { per_shard, answer });
        Box::pin(async move {
            asked.ok()?;
            rendered.await.ok()
        })
    }
}

/// The way from the gateway to the driver.
pub fn channel() -> (Asking, mpsc::Receiver<Ask>) {
    let (ask, asked) = mpsc::channel(ASKERS);
    (Asking(ask), asked)
}

/// The node's figures.
pub struct Telemetry {
    handle: PrometheusHandle,
    turns: Histogram,
    syncs: Counter,
    sync_seconds: Histogram,
    log_records: Counter,
    log_bytes: Counter,
    batch_items: Histogram,
    done: Counter,
    rejected: Counter,
    reads: Counter,
    refused: BTreeMap<&'static str, Counter>,
    requests: Counter,
    checkpoints: Counter,
    chunk_loads: Counter,
    log_reads: Counter,
    peers: BTreeMap<NodeId, Peer>,
    node: NodeGauges,
    log_before: LogStats,
}

struct Peer {
    frames_sent: Counter,
    frames_received: Counter,
    bytes_sent: Counter,
    bytes_received: Counter,
    heard: Gauge,
    round_trip: Gauge,
}

struct NodeGauges {
    replicas: Gauge,
    leads: Gauge,
    leaderless: Gauge,
    writes: Gauge,
    cuts: Gauge,
    clock_lead: Gauge,
    queued: Gauge,
    waiting_reads: Gauge,
    in_flight: Gauge,
    unapplied: Gauge,
    clients: Gauge,
    log_size: Gauge,
}

impl Telemetry {
    /// Everything at zero.
    pub fn new(peers: impl IntoIterator<Item = NodeId>) -> Self {
        let recorder = recorder();
        with_local_recorder(&recorder, || {
            describe();
            let kinds = REFUSALS.map(|kind| (kind, counter!("icefarm_refusals_total", "reason" => kind)));
            let peers = peers.into_iter().map(|node| (node, Peer::new(node)));
            Self {
                turns: histogram!("icefarm_turn_seconds"),
                syncs: counter!("icefarm_log_syncs_total"),
                sync_seconds: histogram!("icefarm_log_sync_seconds"),
                log_records: counter!("icefarm_log_records_total"),
                log_bytes: counter!("icefarm_log_bytes_total"),
                batch_items: histogram!("icefarm_batch_items"),
                done: counter!("icefarm_commands_total", "outcome" => "done"),
                rejected: counter!("icefarm_commands_total", "outcome" => "rejected"),
                reads: counter!("icefarm_reads_total"),
                refused: kinds.into_iter().collect(),
                requests: counter!("icefarm_requests_total"),
                checkpoints: counter!("icefarm_checkpoints_total"),
                chunk_loads: counter!("icefarm_chunk_loads_total"),
                log_reads: counter!("icefarm_catchup_reads_total"),
                peers: peers.collect(),
                node: NodeGauges::new(),
                log_before: LogStats::default(),
                handle: recorder.handle(),
            }
        })
    }

    /// A turn, which took so long.
    pub fn turn(&mut self, turn: &Turn, took: Duration) {
        self.turns.record(took);
        for items in &turn.batches {
            self.batch_items.record(float(*items as u64));
        }
        self.log_reads.increment(turn.log_reads.len() as u64);
    }

    /// An answer leaves.
    pub fn answered(&mut self, answer: &Answer) {
        match &answer.body {
            AnswerBody::Applied { outcome: Outcome::Rejected(_), .. } => self.rejected.increment(1),
            AnswerBody::Applied { .. } => self.done.increment(1),
            AnswerBody::Read { .. } => self.reads.increment(1),
            AnswerBody::Refused(refusal) => {
                if let Some(counter) = self.refused.get(reason(refusal)) {
                    counter.increment(1);
                }
            }
            AnswerBody::Changed | AnswerBody::Node(_) | AnswerBody::Shards(_) => {}
        }
    }

    /// Clients have sent so many requests.
    pub fn requested(&mut self, requests: usize) {
        self.requests.increment(requests as u64);
    }

    /// A frame came from a peer.
    pub fn frame_received(&mut self, from: NodeId, bytes: usize) {
        if let Some(peer) = self.peers.get(&from) {
            peer.frames_received.increment(1);
            peer.bytes_received.increment(bytes as u64);
        }
    }

    /// A frame went to a peer.
    pub fn frame_sent(&mut self, to: NodeId, bytes: usize) {
        if let Some(peer) = self.peers.get(&to) {
            peer.frames_sent.increment(1);
            peer.bytes_sent.increment(bytes as u64);
        }
    }

    /// A write is durable; its sync took so long; what the log has done so far.
    pub fn synced(&mut self, took: Duration, log: LogStats) {
        self.sync_seconds.record(took);
        let before = std::mem::replace(&mut self.log_before, log);
        self.syncs.increment(log.syncs - before.syncs);
        self.log_records.increment(log.records - before.records);
        self.log_bytes.increment(log.written_bytes - before.written_bytes);
        self.node.log_size.set(float(log.bytes));
    }

    /// A checkpoint is durable.
    pub fn checkpointed(&mut self) {
        self.checkpoints.increment(1);
    }

    /// A chunk came back from the store.
    pub fn chunk_loaded(&mut self) {
        self.chunk_loads.increment(1);
    }

    /// Folds what histograms have gathered; to be called now and then.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// Answers `ask`, given a fresh look at the node.
    pub fn answer(&self, ask: Ask, survey: &Survey, clients: usize) {
        self.node.set(survey, clients);
        for seen in &survey.peers {
            if let Some(peer) = self.peers.get(&seen.node) {
                peer.heard.set(f64::from(u8::from(seen.heard)));
                if let Some(micros) = seen.round_trip {
                    peer.round_trip.set(Duration::from_micros(micros).as_secs_f64());
                }
            }
        }
        let mut text = self.handle.render();
        if ask.per_shard {
            text += &per_shard(survey);
        }
        // Whoever asked may have gone.
        let _ = ask.answer.send(text);
    }
}

fn recorder() -> PrometheusRecorder {
    let counts = Matcher::Full("icefarm_batch_items".to_owned());
    let builder = PrometheusBuilder::new().set_buckets(&SECONDS);
    let builder = builder.and_then(|builder| builder.set_buckets_for_metric(counts, &COUNTS));
    builder.expect("there are buckets").build_recorder()
}

/// The figures of each replica, rendered by a recorder of their own, so that they are gone when nobody asks.
fn per_shard(survey: &Survey) -> String {
    let recorder = recorder();
    with_local_recorder(&recorder, || {
        describe_gauge!("icefarm_shard_leader_node", "Number of the node it follows (n2 is 2); 0: none");
        describe_gauge!("icefarm_shard_chosen_slot", "Everything up to here is chosen, as far as this replica knows");
        describe_gauge!("icefarm_shard_applied_slot", "Everything up to here is applied here");
        describe_gauge!("icefarm_shard_checkpointed_slot", "Everything up to here is in the checkpoint");
        describe_gauge!("icefarm_shard_in_flight_slots", "Slots proposed and not chosen, where this replica leads");
        describe_gauge!("icefarm_shard_queued_commands", "Commands that wait for a batch");
        describe_gauge!("icefarm_shard_waiting_reads", "Reads that cannot be answered yet");
        for replica in &survey.shards {
            let shard = replica.shard.to_string();
            let set = |gauge: Gauge, value: u64| gauge.set(float(value));
            let of = |name: &'static str| gauge!(name, "shard" => shard.clone());
            set(of("icefarm_shard_leader_node"), replica.leader.map_or(0, |node| node.0.into()));
            set(of("icefarm_shard_chosen_slot"), replica.chosen.0);
            set(of("icefarm_shard_applied_slot"), replica.applied.0);
            set(of("icefarm_shard_checkpointed_slot"), replica.checkpointed.0);
            set(of("icefarm_shard_in_flight_slots"), replica.in_flight);
            set(of("icefarm_shard_queued_commands"), replica.queued as u64);
            set(of("icefarm_shard_waiting_reads"), replica.waiting_reads as u64);
        }
    });
    recorder.handle().render()
}

impl Peer {
    fn new(node: NodeId) -> Self {
        let peer = node.to_string();
        Self {
            frames_sent: counter!("icefarm_peer_frames_sent_total", "peer" => peer.clone()),
            frames_received: counter!("icefarm_peer_frames_received_total", "peer" => peer.clone()),
            bytes_sent: counter!("icefarm_peer_sent_bytes_total", "peer" => peer.clone()),
            bytes_received: counter!("icefarm_peer_received_bytes_total", "peer" => peer.clone()),
            heard: gauge!("icefarm_peer_heard", "peer" => peer.clone()),
            round_trip: gauge!("icefarm_peer_round_trip_seconds", "peer" => peer),
        }
    }
}

impl NodeGauges {
    fn new() -> Self {
        Self {
            replicas: gauge!("icefarm_replicas"),
            leads: gauge!("icefarm_shards_led"),
            leaderless: gauge!("icefarm_shards_leaderless"),
            writes: gauge!("icefarm_log_writes_under_way"),
            cuts: gauge!("icefarm_checkpoints_under_way"),
            clock_lead: gauge!("icefarm_clock_lead_seconds"),
            queued: gauge!("icefarm_queued_commands"),
            waiting_reads: gauge!("icefarm_waiting_reads"),
            in_flight: gauge!("icefarm_in_flight_slots"),
            unapplied: gauge!("icefarm_unapplied_slots"),
            clients: gauge!("icefarm_client_connections"),
            log_size: gauge!("icefarm_log_size_bytes"),
        }
    }

    fn set(&self, survey: &Survey, clients: usize) {
        let set = |gauge: &Gauge, value: usize| gauge.set(float(value as u64));
        let sum = |of: fn(&ShardSurvey) -> usize| survey.shards.iter().map(of).sum::<usize>();
        set(&self.replicas, survey.replicas);
        set(&self.leads, survey.leads);
        set(&self.leaderless, survey.leaderless);
        set(&self.writes, survey.writes);
        set(&self.cuts, survey.cuts);
        set(&self.queued, sum(|shard| shard.queued));
        set(&self.waiting_reads, sum(|shard| shard.waiting_reads));
        set(&self.in_flight, sum(|shard| usize::try_from(shard.in_flight).unwrap_or(usize::MAX)));
        let behind = |shard: &ShardSurvey| usize::try_from(shard.chosen.0 - shard.applied.0).unwrap_or(usize::MAX);
        set(&self.unapplied, survey.shards.iter().map(behind).max().unwrap_or(0));
        set(&self.clients, clients);
        let lead = float(survey.clock_lead_ms.unsigned_abs()) / 1e3;
        self.clock_lead.set(if survey.clock_lead_ms < 0 { -lead } else { lead });
    }
}

/// In the only form that a gauge knows.
#[allow(clippy::cast_precision_loss, reason = "nobody reads the seventeenth digit of a gauge")]
fn float(value: u64) -> f64 {
    value as f64
}

/// Every kind of refusal, as [`reason`] names it.
const REFUSALS: [&str; 15] = [
    "cannot_change",
    "catching_up",
    "change_under_way",
    "deposed",
    "expired",
    "forgotten",
    "invalid",
    "too_stale",
    "behind",
    "moved",
    "no_quorum",
    "not_allowed",
    "not_leader",
    "overloaded",
    "too_far_ahead",
];

fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::CannotChange { .. } => "cannot_change",
        Refusal::CatchingUp { .. } => "catching_up",
        Refusal::ChangeUnderWay => "change_under_way",
        Refusal::NotLeader { .. } => "not_leader",
        Refusal::Moved { .. } => "moved",
        Refusal::Deposed => "deposed",
        Refusal::Overloaded { .. } => "overloaded",
        Refusal::NoQuorum { .. } => "no_quorum",
        Refusal::Expired { .. } => "expired",
        Refusal::TooFarAhead { .. } => "too_far_ahead",
        Refusal::Forgotten => "forgotten",
        Refusal::TooStale { .. } => "too_stale",
        Refusal::Behind { .. } => "behind",
        Refusal::NotAllowed { .. } => "not_allowed",
        Refusal::Invalid { .. } => "invalid",
    }
}

fn describe() {
    describe_histogram!("icefarm_turn_seconds", Unit::Seconds, "Time of a turn, without its waiting");
    describe_histogram!("icefarm_log_sync_seconds", Unit::Seconds, "Time of a sync of the log");
    describe_histogram!("icefarm_batch_items", "Commands in a batch proposed here");
    describe_counter!("icefarm_log_syncs_total", "Syncs of the log");
    describe_counter!("icefarm_log_records_total", "Records appended to the log");
    describe_counter!("icefarm_log_bytes_total", Unit::Bytes, "Bytes written to the log");
    describe_counter!("icefarm_commands_total", "Commands answered, by what came of them");
    describe_counter!("icefarm_reads_total", "Reads answered");
    describe_counter!("icefarm_refusals_total", "Requests refused, by reason");
    describe_counter!("icefarm_requests_total", "Requests received from clients");
    describe_counter!("icefarm_checkpoints_total", "Checkpoints of shards written");
    describe_counter!("icefarm_chunk_loads_total", "Chunks read back from the store");
    describe_counter!("icefarm_catchup_reads_total", "Parts of the log read for peers that lag behind");
    describe_counter!("icefarm_peer_frames_sent_total", "Frames handed to the transport");
    describe_counter!("icefarm_peer_frames_received_total", "Frames received");
    describe_counter!("icefarm_peer_sent_bytes_total", Unit::Bytes, "Bytes of these frames");
    describe_counter!("icefarm_peer_received_bytes_total", Unit::Bytes, "Bytes of these frames");
    describe_gauge!("icefarm_peer_heard", "1: it has answered within the election time-out; 0: it has not");
    describe_gauge!("icefarm_peer_round_trip_seconds", Unit::Seconds, "From the last probe it answered to its answer");
    describe_gauge!("icefarm_replicas", "Replicas held");
    describe_gauge!("icefarm_shards_led", "Shards led");
    describe_gauge!("icefarm_shards_leaderless", "Shards without a leader that this node would follow");
    describe_gauge!("icefarm_log_writes_under_way", "Writes handed to the log and not durable yet");
    describe_gauge!("icefarm_log_size_bytes", Unit::Bytes, "Disk that the log takes");
    describe_gauge!("icefarm_checkpoints_under_way", "Checkpoints being written");
    describe_gauge!("icefarm_clock_lead_seconds", Unit::Seconds, "Wall clock less the middle of the clocks heard");
    describe_gauge!("icefarm_queued_commands", "Commands that wait for a batch");
    describe_gauge!("icefarm_waiting_reads", "Reads that cannot be answered yet");
    describe_gauge!("icefarm_in_flight_slots", "Slots proposed here and not chosen");
    describe_gauge!("icefarm_unapplied_slots", "Slots chosen and not applied, at the replica furthest behind");
    describe_gauge!("icefarm_client_connections", "Connections of clients");
}
