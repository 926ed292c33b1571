//! Before the first turn: the stores are opened and recovered, the ports taken.

use super::Node;
use crate::clients::Clients;
use crate::clock;
use crate::config::NodeConfig;
use crate::error::NodeError;
use crate::log_thread::{Keeping, Lengths, LogThread};
use crate::own_gateway::{self, Waiting};
use crate::page_thread::{self, PageThread};
use crate::ready::Ready;
use crate::telemetry::{self, Telemetry};
use gateway::running::OwnNode;
use host::{Host, HostConfig, Mono, RecoveredShard};
use paxos::{NodeId, Recovered};
use placement::Membership;
use std::sync::Arc;
use std::time::Duration;
use storage::{DataDir, DataError, Incarnation, LogOptions, Pages, StoreOptions, Stores};
use tokio::time::{Instant, sleep};
use transport::{Limits, NodeIdentity, Transport, TransportConfig, Tuning};
use wire::{NodeFigures, NodeReport, codec};

/// An old segment goes when no more than this part of it has to be written again. (More would be endless work.)
const REWRITE: u32 = 8;

/// Another process that has the data directory may take this long to let go of it: whoever was killed a moment ago holds it
/// until the disk has finished what it was at.
pub const LET_GO: Duration = Duration::from_secs(5);
/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(50);
/// A checkpoint given to another node is kept for it so long after it asked last, in microseconds.
const SNAPSHOT_KEPT: u64 = 60_000_000;

/// Reads show about so many fields in a turn: some milliseconds' work.
const TURN_FIELDS: usize = 65_536;

impl Node {
    /// Opens the stores, takes the ports, recovers. Call it inside a tokio runtime.
    pub async fn open(config: NodeConfig) -> Result<Self, NodeError> {
        let system = |doing| move |source| NodeError::System { doing, source };
        let world = config.world()?;
        let map = config.map()?;
        let identity = NodeIdentity::load(&config.keys, config.cluster, config.node)?;
        // The directory first: a node that is running already is told by that, not by its port.
        let mut data = take_directory(&config).await?;
        let http = gateway::bind(config.http)?;
        let http_addr = http.local_addr().map_err(system("ask for the HTTP port"))?;
        let options = StoreOptions {
            log: LogOptions { segment_bytes: config.segment_bytes, rewrite_bytes: config.segment_bytes / REWRITE },
            reserve_bytes: config.reserve_bytes,
            ..StoreOptions::default()
        };
        let Stores { log, pages, mut recovered, memberships } = data.open_stores(options)?;
        let mut shards = Vec::new();
        for info in map.shards() {
            let belongs = match memberships.get(&info.shard) {
                Some(membership) => matches!(membership, Membership::Joined(_)),
                None => info.voters.contains(&config.node),
            };
            if belongs {
                let recovered = recovered.remove(&info.shard).unwrap_or_else(Recovered::fresh);
                let stored = page_thread::load(&pages, info.shard)?;
                let staged = pages.staged(info.shard)?.map(|staged| (staged.slot, staged.after));
                shards.push(RecoveredShard { info: info.clone(), recovered, stored, staged });
            }
        }
        let left = memberships.iter().filter_map(|(shard, membership)| match membership {
            Membership::Left(number) => Some((*shard, *number)),
            Membership::Joined(_) => None,
        });
        let (transport, events) = Transport::bind(TransportConfig {
            identity,
            listen: config.quic,
            peers: config.peers(),
            limits: Limits {
                peer_frame: codec::MAX_PEER_FRAME,
                client_frame: codec::MAX_CLIENT_FRAME,
                client_request: codec::MAX_REQUEST_FRAME,
                client_greeting: codec::MAX_GREETING_FRAME,
                client_queue: 2 * codec::MAX_CLIENT_FRAME,
                ..Limits::default()
            },
            tuning: Tuning::default(),
        })?;
        let quic_addr = transport.local_addr().map_err(system("ask for the QUIC port"))?;
        let about = NodeReport {
            node: config.node,
            region: config.region.clone(),
            pid: std::process::id(),
            quic: quic_addr.to_string(),
            http: http_addr.to_string(),
            data: config.data.display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            leads: 0,
            replicas: 0,
            hears: Vec::new(),
            figures: NodeFigures::default(),
        };
        let host_config = HostConfig {
            me: config.node,
            boot: data.boots(),
            nodes: config.nodes().iter().map(|(node, _)| *node).collect(),
            incarnation: data.identity().incarnation,
            met: data.met().clone(),
            left: left.collect(),
            snapshot_rate: config.snapshot_rate,
            snapshot_kept: SNAPSHOT_KEPT,
            memory_bytes: config.memory_bytes,
            turn_fields: TURN_FIELDS,
            first_map: map.clone(),
            map,
            seed: world.seed,
            rules: world.rules,
            probe_every: micros(config.probe),
            election_timeout: micros(config.election_timeout),
            support: micros(config.support),
            leases: config.leases,
            clock_drift_ppm: config.clock_drift_ppm,
            quarantine: micros(data.give_support(config.support)?),
            checkpoint_bytes: config.checkpoint_bytes,
            random_seed: random_seed()?,
            about,
        };
        let replicas = shards.len();
        let peers: Vec<NodeId> = config.peers().into_iter().map(|(node, _)| node).collect();
        let (figures, asked) = telemetry::channel();
        let host = Host::new(host_config, shards, clock::now())?;
        let lengths = Lengths::new(config.log_bytes, u64::from(config.segment_bytes));
        let keeping = Keeping { lengths, reserve: data.reserve().clone(), sync_delay: config.sync_delay };
        let (log, log_done) = LogThread::start(log, keeping).map_err(system("start the log's thread"))?;
        let (pages, page_done) = PageThread::start(pages).map_err(system("start the checkpoints' thread"))?;
        let (ready, telemetry) = (Arc::new(Ready::starting()), Telemetry::new(peers));
        let (gateways_tap, tap) = gateway::tap();
        let gateway = Waiting {
            listener: http,
            settings: own_gateway::settings(&config),
            node: OwnNode {
                readiness: ready.clone(),
                figures: Arc::new(figures),
                tap: gateways_tap,
                meters: telemetry.meters(),
            },
        };
        tracing::info!(node = %config.node, quic = %quic_addr, http = %http_addr, replicas, boot = data.boots(), "started");
        Ok(Self {
            host,
            transport,
            events,
            log,
            log_done,
            pages,
            page_done,
            clients: Clients::new(config.tokens),
            gateway: Some(gateway),
            tap,
            ready,
            data,
            support: Some(config.support),
            buffer: Vec::new(),
            telemetry,
            garbled: 0,
            upkeep_at: Mono(0),
            ready_at: Mono(0),
            reclaim_at: Mono(0),
            asked,
        })
    }
}

/// The node's data directory, as soon as nobody else has it.
async fn take_directory(config: &NodeConfig) -> Result<DataDir, NodeError> {
    let (incarnation, begin) = (random_incarnation()?, Instant::now());
    let mut told = false;
    loop {
        match DataDir::open(&config.data, config.cluster, config.node, incarnation) {
            Err(error @ DataError::InUse { .. }) if begin.elapsed() < LET_GO => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!("{error}; waiting for {} s whether it lets go", LET_GO.as_secs());
                }
                sleep(LOOK).await;
            }
            opened => return Ok(opened?),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn random_seed() -> Result<u64, NodeError> {
    getrandom::u64().map_err(|error| NodeError::System { doing: "get random bits", source: error.into() })
}

fn random_incarnation() -> Result<Incarnation, NodeError> {
    random_seed().map(Incarnation)
}
