//! `node.toml`: everything one node is told.
//!
//! Paths in it are relative to the file. `icefarm cluster init` and `icefarm up` write it; people may edit the addresses
//! and the tuning.

use paxos::NodeId;
use placement::map::LayoutError;
use placement::{PolicyError, ShardMap};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use transport::{ClusterId, TokenKeys, TokenPublic};
use world::rules::{World, WorldFileError};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Not the TOML that is expected.
    #[error("{}: {detail}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where, and what is wrong.
        detail: String,
    },
    /// Well-formed, and impossible.
    #[error("{}: {what}", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and with which value.
        what: String,
    },
    /// A world file with a mistake.
    #[error(transparent)]
    World(#[from] WorldFileError),
    /// A policy with a mistake.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Shards and voters that make no layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// As it stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeFile {
    /// Which node.
    pub node: String,
    /// The cluster, 32 hexadecimal digits.
    pub cluster: String,
    /// The data directory.
    pub data: PathBuf,
    /// The directory with `ca.crt`, `node.crt` and `node.key`.
    pub keys: PathBuf,
    /// The world file that the cluster was founded with.
    pub world: PathBuf,
    /// What verifies clients' tokens, 64 hexadecimal digits.
    pub token_key: TokenPublic,
    /// What verifies the tokens that gateways give to players, 64 hexadecimal digits.
    pub player_key: TokenPublic,
    /// How the world is divided at first.
    pub layout: Layout,
    /// How fast failures are noticed.
    #[serde(default)]
    pub timing: Timing,
    /// How the stores are laid out.
    #[serde(default)]
    pub storage: Storage,
    /// How it serves players and scripts.
    #[serde(default)]
    pub http: Http,
    /// All nodes of the cluster.
    pub nodes: Vec<NodeRow>,
}

impl NodeFile {
    /// As TOML.
    pub fn render(&self) -> String {
        toml::to_string(self).expect("every configuration has a TOML form")
    }
}

/// How the world is divided at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Shards, a power of two.
    pub shards: u32,
    /// Voters of each, odd.
    pub voters: usize,
}

/// How fast failures are noticed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// Between two probes of a peer.
    pub probe_ms: u64,
    /// A peer silent for so long is counted out.
    pub election_timeout_ms: u64,
    /// A node supports another for so long at a time: for about as long a leader may answer strong reads by itself after it
    /// was last in touch with a quorum. At most the election time-out, which is what it is if this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support_ms: Option<u64>,
    /// Whether leaders answer strong reads alone for as long as a quorum supports them. Without it each such read asks a quorum,
    /// and nothing rests on clocks.
    pub leases: bool,
    /// No clock of the cluster runs faster or slower than right by more than this, in parts per million. Leases rest on it:
    /// where it is wrong, a strong read may be stale.
    pub clock_drift_ppm: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { probe_ms: 250, election_timeout_ms: 1_000, support_ms: None, leases: true, clock_drift_ppm: 10_000 }
    }
}

/// How the stores are laid out.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// Bytes of a log segment, in MiB.
    pub segment_mib: u32,
    /// Log of one shard after which it is checkpointed, in KiB; once a second at most, unless eight times as much has come.
    pub checkpoint_kib: usize,
    /// The log is kept for nodes that lag, or are down, up to this many MiB; who needs more takes a checkpoint instead. Up to
    /// three eighths of it, or four segments, no checkpoint is made only to shorten the log.
    pub log_mib: u64,
    /// A checkpoint is fetched from another node no faster than this, in MiB a second.
    pub snapshot_mib_per_s: u64,
    /// Chunks in memory, in MiB; what nobody has used lately is on the disk alone.
    pub memory_mib: usize,
    /// Disk kept back, in MiB, so that a node whose disk is full can still finish what it has begun and clean up. At least two
    /// segments, which is what it is if this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserve_mib: Option<u32>,
    /// For tests only: a slow disk. Every sync of the log takes this many milliseconds longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_delay_ms: Option<u64>,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            segment_mib: 32,
            checkpoint_kib: 2_048,
            log_mib: 1_024,
            snapshot_mib_per_s: 128,
            memory_mib: 1_024,
            reserve_mib: None,
            sync_delay_ms: None,
        }
    }
}

/// How a node serves players and scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// A certificate chain (PEM) for the public address; with it, HTTP is HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,
    /// Its key (PEM), which only this user may read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// The origins whose pages may use the API. (`*`: all. A page has no more rights than the token it holds.)
    pub allow_origins: Vec<String>,
    /// Whether pages are told of the other nodes, to go on there when this one is gone. Not where one address stands before all.
    pub tell_nodes: bool,
    /// Commands that a player may give in a second, at most; twice as many at once.
    pub commands_per_s: u32,
    /// Requests that one address may make in a second, at most; twice as many at once.
    pub requests_per_s: u32,
    /// WebSockets at a time.
    pub sockets: usize,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            tls_certificate: None,
            tls_key: None,
            allow_origins: vec!["*".to_owned()],
            tell_nodes: true,
            commands_per_s: 50,
            requests_per_s: 500,
            sockets: 16_384,
        }
    }
}

impl Http {
    /// What is wrong with it, if anything.
    fn mistake(&self) -> Option<String> {
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            return Some("tls_certificate and tls_key belong together: set both, or neither".to_owned());
        }
        let none = [("commands_per_s", self.commands_per_s == 0), ("requests_per_s", self.requests_per_s == 0)];
        let none = none.into_iter().chain([("sockets", self.sockets == 0)]).find(|(_, none)| *none);
        none.map(|(which, _)| format!("{which} is 0: nobody could play"))
    }

    /// With its files looked for in `directory`.
    fn beside(self, directory: &Path) -> Self {
        let beside = |path: PathBuf| directory.join(path);
        Self { tls_certificate: self.tls_certificate.map(beside), tls_key: self.tls_key.map(beside), ..self }
    }
}

/// One node of the cluster, as everybody sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeRow {
    /// `n1`, `n2`, ...
    pub node: String,
    /// Where it is.
    pub region: String,
    /// Where it listens for peers and clients (UDP).
    pub quic: SocketAddr,
    /// Where it listens for HTTP (TCP).
    pub http: SocketAddr,
}

/// Everything one node is told, checked.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The file it came from.
    pub path: PathBuf,
    /// Which node.
    pub node: NodeId,
    /// Of which cluster.
    pub cluster: ClusterId,
    /// Where it is.
    pub region: String,
    /// Where it listens for peers and clients.
    pub quic: SocketAddr,
    /// Where it listens for HTTP.
    pub http: SocketAddr,
    /// Its data directory.
    pub data: PathBuf,
    /// The directory with its certificate and key.
    pub keys: PathBuf,
    /// The world file.
    pub world_file: PathBuf,
    /// What verifies clients' tokens.
    pub tokens: TokenKeys,
    /// How it serves players and scripts; paths from where it runs.
    pub public: Http,
    /// How the world is divided at first.
    pub layout: Layout,
    /// Between two probes.
    pub probe: Duration,
    /// Silence that counts a peer out.
    pub election_timeout: Duration,
    /// What it promises other nodes at a time.
    pub support: Duration,
    /// Whether leaders may answer alone.
    pub leases: bool,
    /// How wrong clocks may run.
    pub clock_drift_ppm: u64,
    /// Bytes of a log segment.
    pub segment_bytes: u32,
    /// Bytes of log after which a shard is checkpointed.
    pub checkpoint_bytes: usize,
    /// Bytes of log kept for nodes that lag.
    pub log_bytes: u64,
    /// Bytes a second at which a checkpoint is fetched from another node.
    pub snapshot_rate: u64,
    /// Bytes of chunks in memory.
    pub memory_bytes: usize,
    /// Bytes of disk kept back for when it is full.
    pub reserve_bytes: u64,
    /// What a sync of the log takes longer than it would.
    pub sync_delay: Duration,
    nodes: Vec<(NodeId, NodeRow)>,
}

impl NodeConfig {
    /// Reads and checks `node.toml`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let file: NodeFile = toml::from_str(&text).map_err(|error| ConfigError::Malformed {
            path: path.to_owned(),
            detail: error.to_string().trim_end().to_owned(),
        })?;
        Self::check(path, file)
    }

    fn check(path: &Path, file: NodeFile) -> Result<Self, ConfigError> {
        let invalid = |what: String| ConfigError::Invalid { path: path.to_owned(), what };
        let directory = path.parent().unwrap_or(Path::new("."));
        let node: NodeId = file.node.parse().map_err(|error| invalid(format!("node: {error}")))?;
        let cluster = file.cluster.parse().map_err(|error| invalid(format!("cluster: {error}")))?;
        let mut nodes = Vec::new();
        for row in file.nodes {
            let id: NodeId = row.node.parse().map_err(|error| invalid(format!("nodes: {error}")))?;
            if nodes.iter().any(|(known, _)| *known == id) {
                return Err(invalid(format!("nodes: {id} is listed twice")));
            }
            nodes.push((id, row));
        }
        nodes.sort_by_key(|(id, _)| *id);
        let Some((_, own)) = nodes.iter().find(|(id, _)| *id == node) else {
            return Err(invalid(format!("node {node} is not in the list of nodes")));
        };
        let Timing { probe_ms, election_timeout_ms, support_ms, leases, clock_drift_ppm } = file.timing;
        if probe_ms == 0 || election_timeout_ms < 2 * probe_ms {
            return Err(invalid(format!(
                "timing: probe_ms is {probe_ms} and election_timeout_ms {election_timeout_ms}; \
                 the time-out must be at least twice the probe's interval, and that not 0"
            )));
        }
        let support_ms = support_ms.unwrap_or(election_timeout_ms);
        if support_ms < 2 * probe_ms || support_ms > election_timeout_ms || clock_drift_ppm > 200_000 {
            return Err(invalid(format!(
                "timing: support_ms is {support_ms} (from twice probe_ms, {}, to election_timeout_ms, \
                 {election_timeout_ms}) and clock_drift_ppm {clock_drift_ppm} (0 to 200000)",
                2 * probe_ms
            )));
        }
        let Storage {
            segment_mib,
            checkpoint_kib,
            log_mib,
            snapshot_mib_per_s,
            memory_mib,
            reserve_mib,
            sync_delay_ms,
        } = file.storage;
        let at_least_one = [checkpoint_kib, memory_mib].iter().all(|value| *value > 0) && snapshot_mib_per_s > 0;
        if !(1..=1_024).contains(&segment_mib) || !at_least_one {
            return Err(invalid(format!(
                "storage: segment_mib is {segment_mib} (1 to 1024), checkpoint_kib {checkpoint_kib}, \
                 snapshot_mib_per_s {snapshot_mib_per_s} and memory_mib {memory_mib} (1 or more)"
            )));
        }
        let (reserve_mib, sync_delay_ms) = (reserve_mib.unwrap_or(2 * segment_mib), sync_delay_ms.unwrap_or(0));
        if reserve_mib < 2 * segment_mib || sync_delay_ms > 10_000 {
            return Err(invalid(format!(
                "storage: reserve_mib is {reserve_mib} (at least two segments, {}) and sync_delay_ms {sync_delay_ms} \
                 (0 to 10000)",
                2 * segment_mib
            )));
        }
        if let Some(what) = file.http.mistake() {
            return Err(invalid(format!("http: {what}")));
        }
        let config = Self {
            path: path.to_owned(),
            node,
            cluster,
            region: own.region.clone(),
            quic: own.quic,
            http: own.http,
            data: directory.join(file.data),
            keys: directory.join(file.keys),
            world_file: directory.join(file.world),
            tokens: TokenKeys { cluster, operator: file.token_key, players: file.player_key },
            public: file.http.beside(directory),
            layout: file.layout,
            probe: Duration::from_millis(probe_ms),
            election_timeout: Duration::from_millis(election_timeout_ms),
            support: Duration::from_millis(support_ms),
            leases,
            clock_drift_ppm,
            segment_bytes: segment_mib << 20,
            checkpoint_bytes: checkpoint_kib << 10,
            log_bytes: log_mib << 20,
            snapshot_rate: snapshot_mib_per_s << 20,
            memory_bytes: memory_mib << 20,
            reserve_bytes: u64::from(reserve_mib) << 20,
            sync_delay: Duration::from_millis(sync_delay_ms),
            nodes,
        };
        config.first_map()?;
        Ok(config)
    }

    /// The world that the cluster was founded with.
    pub fn world(&self) -> Result<World, ConfigError> {
        Ok(World::parse(&self.world_file.display().to_string(), &self.world_text()?)?)
    }

    fn world_text(&self) -> Result<String, ConfigError> {
        let path = &self.world_file;
        std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.clone(), source })
    }

    /// The shard map that the world starts with, with the policies of the world file.
    pub fn map(&self) -> Result<ShardMap, ConfigError> {
        let mut map = self.first_map()?;
        map.follow_policies(&self.world_file.display().to_string(), &self.world_text()?)?;
        Ok(map)
    }

    fn first_map(&self) -> Result<ShardMap, ConfigError> {
        let nodes: Vec<NodeId> = self.nodes.iter().map(|(id, _)| *id).collect();
        Ok(ShardMap::initial(self.layout.shards, &nodes, self.layout.voters)?)
    }

    /// The other nodes.
    pub fn peers(&self) -> Vec<(NodeId, SocketAddr)> {
        self.nodes.iter().filter(|(id, _)| *id != self.node).map(|(id, row)| (*id, row.quic)).collect()
    }

    /// All nodes.
    pub fn nodes(&self) -> &[(NodeId, NodeRow)] {
        &self.nodes
    }
}
