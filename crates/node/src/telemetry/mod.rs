//! What the node counts and measures, for Prometheus. Names begin with `icefarm_` and end with their unit; counters end
//! with `_total`.
//!
//! Counters and histograms are fed as things pass the driver; gauges are set when somebody asks, from one look at the
//! host. By default everything is about the node, or about it and one peer; figures for each shard are made on request
//! only, since a node may hold thousands.
//!
//! | module | what it holds |
//! |---|---|
//! | `per_shard` | the figures of each replica |
//! | `process` | what the kernel says of this process |
//! | `words` | what the figures are called and mean |

mod per_shard;
mod process;
mod words;

use gateway::{Figures, Meters, Rendering};
use host::{ShardSurvey, Survey, Turn};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use paxos::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;
use storage::LogStats;
use tokio::sync::{mpsc, oneshot};
use wire::{Answer, AnswerBody, NodeFigures, Reply};
use words::{REFUSALS, reason};
use world::Outcome;

/// Upper bounds of durations, in seconds: 10 µs to 10 s.
const SECONDS: [f64; 13] = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0];
/// Upper bounds of how late viewers are told: most of it is what a gateway gathers before it tells anybody.
const DELIVERY: [f64; 13] = [0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.3, 1.0, 10.0];
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
    snapshot_bytes: Counter,
    network: Network,
    peers: BTreeMap<NodeId, Peer>,
    node: NodeGauges,
    cpu: Gauge,
    gateway: Meters,
    log_before: LogStats,
    /// What operators ask for, counted once more: a recorder's counters cannot be read.
    figures: NodeFigures,
}

struct Peer {
    frames_sent: Counter,
    frames_received: Counter,
    bytes_sent: Counter,
    bytes_received: Counter,
    heard: Gauge,
    round_trip: Gauge,
    lag: Gauge,
    support: Gauge,
}

/// What the transport turned away, and what could not be understood.
struct Network {
    bad_frames: Counter,
    refused: Counter,
    handshakes_failed: Counter,
    clients_too_slow: Counter,
    queue_full: Counter,
    not_connected: Counter,
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
    leases: Gauge,
    standbys: Gauge,
    watchers: Gauge,
    chunk_memory: Gauge,
    evicted: Gauge,
    memory: Gauge,
    disk_full: Gauge,
    disk_reserve: Gauge,
}

impl Telemetry {
    /// Everything at zero.
    pub fn new(peers: impl IntoIterator<Item = NodeId>) -> Self {
        let recorder = recorder();
        with_local_recorder(&recorder, || {
            words::describe();
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
                snapshot_bytes: counter!("icefarm_snapshot_received_bytes_total"),
                network: Network::new(),
                peers: peers.collect(),
                node: NodeGauges::new(),
                cpu: gauge!("process_cpu_seconds_total"),
                gateway: Meters {
                    viewers: gauge!("icefarm_gateway_viewers"),
                    scenes: gauge!("icefarm_gateway_scenes"),
                    messages: counter!("icefarm_gateway_messages_total"),
                    bytes: counter!("icefarm_gateway_sent_bytes_total"),
                    held_back: counter!("icefarm_gateway_held_back_total"),
                    delivery: histogram!("icefarm_gateway_delivery_seconds"),
                    requests: counter!("icefarm_gateway_requests_total"),
                    limited: counter!("icefarm_gateway_limited_total"),
                },
                log_before: LogStats::default(),
                figures: NodeFigures::default(),
                handle: recorder.handle(),
            }
        })
    }

    /// Where the gateway counts.
    pub fn meters(&self) -> Meters {
        self.gateway.clone()
    }

    /// A turn, which took so long.
    pub fn turn(&mut self, turn: &Turn, took: Duration) {
        self.turns.record(took);
        for items in &turn.batches {
            self.batch_items.record(float(*items as u64));
        }
        self.log_reads.increment(turn.log_reads.len() as u64);
        let bytes = turn.stagings.iter().flat_map(|staging| &staging.pages).map(|(key, page)| key.len() + page.len());
        let bytes = bytes.sum::<usize>() as u64;
        self.figures.snapshot_bytes += bytes;
        self.snapshot_bytes.increment(bytes);
    }

    /// An answer leaves.
    pub fn answered(&mut self, answer: &Answer) {
        match &answer.body {
            AnswerBody::Applied { outcome, .. } => {
                self.figures.commands += 1;
                let rejected = matches!(outcome, Outcome::Rejected(_));
                if rejected { &self.rejected } else { &self.done }.increment(1);
            }
            AnswerBody::Read { reply, .. } => {
                let reads = if let Reply::Fields(rows) = reply { rows.len() as u64 } else { 1 };
                self.figures.reads += reads;
                self.reads.increment(reads);
            }
            AnswerBody::Refused(refusal) => {
                self.figures.refusals += 1;
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
        self.figures.peer_frames += 1;
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
        self.node.log_size.set(float(log.bytes + log.spare_bytes));
        self.figures.syncs = log.syncs;
        self.figures.log_records = log.records;
        self.figures.log_bytes = log.written_bytes;
        self.figures.log_size_bytes = log.bytes + log.spare_bytes;
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

    /// What an operator is told, given a fresh look at the node.
    pub fn figures(&self, survey: &Survey, clients: usize) -> NodeFigures {
        let usage = process::usage();
        NodeFigures {
            clients: clients as u64,
            queued: survey.shards.iter().map(|shard| shard.queued as u64).sum(),
            lag: survey.peers.iter().map(|peer| peer.lag).max().unwrap_or(0),
            leases: survey.leases as u64,
            cpu_ms: usage.cpu_ms,
            memory_bytes: usage.resident_bytes,
            chunk_bytes: survey.chunk_bytes as u64,
            ..self.figures
        }
    }

    /// Answers `ask`, given a fresh look at the node, and what came over the network.
    pub fn answer(&self, ask: Ask, survey: &Survey, network: transport::Stats, clients: usize, reserve: u64) {
        self.node.set(survey, clients);
        self.network.set(network);
        let usage = process::usage();
        self.cpu.set(float(usage.cpu_ms) / 1e3);
        self.node.memory.set(float(usage.resident_bytes));
        self.node.disk_reserve.set(float(reserve));
        for seen in &survey.peers {
            if let Some(peer) = self.peers.get(&seen.node) {
                peer.heard.set(f64::from(u8::from(seen.heard)));
                peer.lag.set(float(seen.lag));
                peer.support.set(float(seen.support) / 1e6);
                if let Some(micros) = seen.round_trip {
                    peer.round_trip.set(Duration::from_micros(micros).as_secs_f64());
                }
            }
        }
        let mut text = self.handle.render();
        if ask.per_shard {
            text += &per_shard::render(survey);
        }
        // Whoever asked may have gone.
        let _ = ask.answer.send(text);
    }
}

fn recorder() -> PrometheusRecorder {
    let counts = Matcher::Full("icefarm_batch_items".to_owned());
    let builder = PrometheusBuilder::new().set_buckets(&SECONDS);
    let builder = builder.and_then(|builder| builder.set_buckets_for_metric(counts, &COUNTS));
    let delivery = Matcher::Full("icefarm_gateway_delivery_seconds".to_owned());
    let builder = builder.and_then(|builder| builder.set_buckets_for_metric(delivery, &DELIVERY));
    builder.expect("there are buckets").build_recorder()
}

impl Network {
    fn new() -> Self {
        Self {
            bad_frames: counter!("icefarm_bad_frames_total"),
            refused: counter!("icefarm_connections_refused_total"),
            handshakes_failed: counter!("icefarm_handshakes_failed_total"),
            clients_too_slow: counter!("icefarm_slow_clients_total"),
            queue_full: counter!("icefarm_peer_frames_dropped_total", "reason" => "queue_full"),
            not_connected: counter!("icefarm_peer_frames_dropped_total", "reason" => "not_connected"),
        }
    }

    fn set(&self, stats: transport::Stats) {
        self.bad_frames.absolute(stats.bad_frames);
        self.refused.absolute(stats.refused);
        self.handshakes_failed.absolute(stats.handshakes_failed);
        self.clients_too_slow.absolute(stats.clients_too_slow);
        self.queue_full.absolute(stats.frames_queue_full);
        self.not_connected.absolute(stats.frames_not_connected);
    }
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
            round_trip: gauge!("icefarm_peer_round_trip_seconds", "peer" => peer.clone()),
            lag: gauge!("icefarm_peer_lag_slots", "peer" => peer.clone()),
            support: gauge!("icefarm_peer_support_seconds", "peer" => peer),
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
            leases: gauge!("icefarm_leases_held"),
            standbys: gauge!("icefarm_standbys"),
            watchers: gauge!("icefarm_watchers"),
            chunk_memory: gauge!("icefarm_chunk_memory_bytes"),
            evicted: gauge!("icefarm_evicted_chunks"),
            memory: gauge!("process_resident_memory_bytes"),
            disk_full: gauge!("icefarm_disk_full"),
            disk_reserve: gauge!("icefarm_disk_reserve_bytes"),
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
        set(&self.leases, survey.leases);
        set(&self.standbys, survey.standbys);
        set(&self.watchers, sum(|shard| shard.watchers));
        set(&self.chunk_memory, survey.chunk_bytes);
        self.evicted.set(float(survey.evicted));
        set(&self.disk_full, usize::from(survey.disk_full));
        let lead = float(survey.clock_lead_ms.unsigned_abs()) / 1e3;
        self.clock_lead.set(if survey.clock_lead_ms < 0 { -lead } else { lead });
    }
}

/// In the only form that a gauge knows.
#[allow(clippy::cast_precision_loss, reason = "nobody reads the seventeenth digit of a gauge")]
fn float(value: u64) -> f64 {
    value as f64
}
