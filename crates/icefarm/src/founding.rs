//! Making a cluster: its authority, its nodes' identities and configurations, its world, a client's profile.
//!
//! | file | what |
//! |---|---|
//! | `cluster.toml` | what the cluster was founded with; its presence says that the directory is ours |
//! | `world.toml` | the world, copied when the cluster was founded |
//! | `ca/` | the authority's and the tokens' keys: needed to add nodes and tokens, not to run |
//! | `client.toml` | a profile for the command line and the SDK; holds a token, so only its owner may read it |
//! | `LOCK` | held by the `icefarm up` that runs it |
//! | `nI/` | node I: `node.toml`, `keys/`, `data/`, `logs/`, `pid` |

use crate::exit::{Exit, Failure};
use crate::stdout;
use client::NodeEntry;
use client::Profile;
use node::NodeFile;
use node::config::{Http, Layout, NodeRow, Storage, Timing};
use paxos::NodeId;
use placement::ShardMap;
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use storage::replace_durably;
use transport::{ClusterCa, Subject, Token, TokenKey, draw_cluster_id};
use world::Millis;
use world::rules::World;

/// The world that is used unless another one is named.
pub const DEFAULT_WORLD: &str = include_str!("../../../maps/worlds/ice-age.toml");

/// What a cluster is founded with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Founded {
    /// The cluster's id.
    pub cluster: String,
    /// How many nodes.
    pub nodes: u32,
    /// Voters of each shard.
    pub voters: usize,
    /// Shards.
    pub shards: u32,
    /// The name of the world.
    pub world: String,
}

/// `icefarm cluster init`.
#[derive(Clone, Debug, clap::Args)]
pub struct InitArgs {
    /// Where to put the cluster's files (must not exist, or be empty)
    pub dir: PathBuf,
    /// A node's address: its IP and QUIC port, its HTTP port, and its region if there are several; once for each node
    #[arg(long = "node", value_name = "IP:PORT,HTTP-PORT[,REGION]", required = true)]
    pub nodes: Vec<String>,
    /// Voters of each shard, an odd number [default: 3, or 1 where there are fewer nodes]
    #[arg(long)]
    pub voters: Option<usize>,
    /// Shards to start with (a power of two)
    #[arg(long, default_value_t = 64)]
    pub shards: u32,
    /// The world file (default: the ice age)
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,
}

/// One node to be.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where it listens for peers and clients.
    pub quic: SocketAddr,
    /// Where it listens for HTTP.
    pub http: SocketAddr,
    /// Where it is.
    pub region: String,
}

/// Everything a founding needs.
#[derive(Debug)]
pub struct Plan {
    /// The nodes, n1 first.
    pub sites: Vec<Site>,
    /// Voters of each shard.
    pub voters: usize,
    /// Shards.
    pub shards: u32,
    /// The world's text, checked.
    pub world: WorldText,
}

/// A world file that was read and found good.
#[derive(Debug)]
pub struct WorldText {
    /// What its file is called, for errors.
    pub file: String,
    /// The file's text.
    pub text: String,
    /// What it says.
    pub world: World,
}

/// Reads and checks a world file; `None`: the default world.
pub fn read_world(file: Option<&Path>) -> Result<WorldText, Failure> {
    let (file, text) = match file {
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                Failure::new(Exit::Usage, format!("cannot read the world file {}: {error}", path.display()))
            })?;
            (path.display().to_string(), text)
        }
        None => ("the default world".to_owned(), DEFAULT_WORLD.to_owned()),
    };
    let world = World::parse(&file, &text).map_err(|error| {
        Failure::new(Exit::Usage, error.to_string()).hint("mend the file, or leave --world out for the default world")
    })?;
    Ok(WorldText { file, text, world })
}

/// Makes a cluster's files in `dir`, which must be empty or not there.
pub fn found(dir: &Path, plan: &Plan) -> Result<Founded, Failure> {
    let ids: Vec<NodeId> = (1..).map(NodeId).take(plan.sites.len()).collect();
    // What is impossible is told before anything is written.
    let impossible = |error: String| Failure::new(Exit::Usage, error);
    let map = ShardMap::initial(plan.shards, &ids, plan.voters);
    let mut map = map.map_err(|error| impossible(error.to_string()))?;
    map.follow_policies(&plan.world.file, &plan.world.text).map_err(|error| impossible(error.to_string()))?;
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Failure::new(
            Exit::Machine,
            format!("{} is not empty, and no cluster of ours is in it", dir.display()),
        )
        .hint("name another directory"));
    }
    let cluster = draw_cluster_id().map_err(|error| broken("draw random bits", error))?;
    let ca_dir = dir.join("ca");
    fs::create_dir_all(&ca_dir).map_err(|error| cannot("create", &ca_dir, &error))?;
    let ca = ClusterCa::create(cluster).map_err(|error| broken("make the cluster's authority", error))?;
    ca.save(&ca_dir).map_err(|error| broken("save the cluster's authority", error))?;
    let key = TokenKey::create().map_err(|error| broken("make the tokens' key", error))?;
    key.save(&ca_dir.join("token.key")).map_err(|error| broken("save the tokens' key", error))?;
    let players = TokenKey::create().map_err(|error| broken("make the players' key", error))?;
    write(&dir.join("world.toml"), &plan.world.text)?;
    let rows: Vec<NodeRow> = (plan.sites.iter().zip(&ids))
        .map(|(site, id)| NodeRow {
            node: id.to_string(),
            region: site.region.clone(),
            quic: site.quic,
            http: site.http,
        })
        .collect();
    for id in &ids {
        let home = dir.join(id.to_string());
        let keys = home.join("keys");
        fs::create_dir_all(&keys).map_err(|error| cannot("create", &keys, &error))?;
        let identity = ca.issue_node(*id).map_err(|error| broken("issue a node's certificate", error))?;
        identity.save(&keys).map_err(|error| broken("save a node's identity", error))?;
        players.save(&keys.join(node::PLAYERS_KEY)).map_err(|error| broken("save the players' key", error))?;
        let token = key.issue(&Token { cluster, subject: Subject::Gateway(*id), issued: now(), expires: None });
        token.save(&keys.join(node::GATEWAY_TOKEN)).map_err(|error| broken("save a gateway's token", error))?;
        let file = NodeFile {
            node: id.to_string(),
            cluster: cluster.to_string(),
            data: "data".into(),
            keys: "keys".into(),
            world: "../world.toml".into(),
            token_key: key.public(),
            player_key: players.public(),
            layout: Layout { shards: plan.shards, voters: plan.voters },
            timing: Timing::default(),
            storage: Storage::default(),
            http: Http::default(),
            nodes: rows.clone(),
        };
        write(&home.join("node.toml"), &file.render())?;
    }
    let token = key.issue(&Token { cluster, subject: Subject::LocalOperator, issued: now(), expires: None });
    let ca = dir.join("ca/ca.crt");
    let profile = Profile { cluster, ca, token, nodes: profile_nodes(&rows)?, player: None };
    profile.save(&dir.join("client.toml")).map_err(|error| broken("save the client's profile", error))?;
    let founded = Founded {
        cluster: cluster.to_string(),
        nodes: u32::try_from(ids.len()).unwrap_or(u32::MAX),
        voters: plan.voters,
        shards: plan.shards,
        world: plan.world.world.name.clone(),
    };
    // Last: a directory without it was never finished.
    let text = toml::to_string(&founded).map_err(|error| broken("write cluster.toml", error))?;
    write(&dir.join("cluster.toml"), &text)?;
    Ok(founded)
}

/// What a directory's cluster was founded with; `None`: there is none.
pub fn founded(dir: &Path) -> Result<Option<Founded>, Failure> {
    let path = dir.join("cluster.toml");
    match fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text)
            .map(Some)
            .map_err(|error| Failure::new(Exit::Machine, format!("{} is damaged: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot("read", &path, &error)),
    }
}

/// Gives the nodes of a founded cluster other HTTP addresses.
pub fn set_http(dir: &Path, http: &[SocketAddr]) -> Result<(), Failure> {
    for index in 0..http.len() {
        let path = dir.join(format!("n{}", index + 1)).join("node.toml");
        let text = fs::read_to_string(&path).map_err(|error| cannot("read", &path, &error))?;
        let mut file: NodeFile = toml::from_str(&text)
            .map_err(|error| Failure::new(Exit::Machine, format!("{}: {error}", path.display())))?;
        // People may have written in it, and a file that is as it should be is not put at risk.
        if file.nodes.iter().zip(http).all(|(row, addr)| row.http == *addr) {
            continue;
        }
        for (row, addr) in file.nodes.iter_mut().zip(http) {
            row.http = *addr;
        }
        write(&path, &file.render())?;
    }
    let path = dir.join("client.toml");
    let mut profile = Profile::load(&path).map_err(|error| Failure::new(Exit::Machine, error.to_string()))?;
    if profile.nodes.iter().zip(http).all(|(node, addr)| node.http == addr.to_string()) {
        return Ok(());
    }
    for (node, addr) in profile.nodes.iter_mut().zip(http) {
        node.http = addr.to_string();
    }
    profile.save(&path).map_err(|error| broken("save the client's profile", error))
}

/// `count` free UDP ports of this machine.
pub fn free_udp_ports(count: usize) -> Result<Vec<SocketAddr>, Failure> {
    let sockets: Result<Vec<UdpSocket>, _> = (0..count).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))).collect();
    let addrs = sockets.and_then(|sockets| sockets.iter().map(UdpSocket::local_addr).collect());
    addrs.map_err(|error| broken("find free UDP ports", error))
}

/// HTTP addresses for `count` nodes: `base` and the ports after it, or free ones where its port is 0.
pub fn http_addrs(base: SocketAddr, count: usize) -> Result<Vec<SocketAddr>, Failure> {
    if base.port() == 0 {
        let listeners: Result<Vec<TcpListener>, _> = (0..count).map(|_| TcpListener::bind(base)).collect();
        let addrs = listeners.and_then(|listeners| listeners.iter().map(TcpListener::local_addr).collect());
        return addrs.map_err(|error| broken("find free TCP ports", error));
    }
    (0..count)
        .map(|index| {
            let port = u16::try_from(index).ok().and_then(|index| base.port().checked_add(index));
            port.map(|port| SocketAddr::new(base.ip(), port)).ok_or_else(|| {
                Failure::new(Exit::Usage, format!("--http {base}: there are not {count} ports from there on"))
            })
        })
        .collect()
}

/// As many voters as survive the loss of one node, where there are enough nodes for that.
pub fn default_voters(nodes: usize) -> usize {
    if nodes < 3 { 1 } else { 3 }
}

/// `icefarm cluster init`.
pub fn run_init(args: &InitArgs) -> Result<(), Failure> {
    let sites = args.nodes.iter().map(|text| parse_site(text)).collect::<Result<Vec<_>, _>>()?;
    let world = read_world(args.world.as_deref())?;
    let voters = args.voters.unwrap_or_else(|| default_voters(sites.len()));
    let plan = Plan { sites, voters, shards: args.shards, world };
    let founded = found(&args.dir, &plan)?;
    let dir = args.dir.display();
    let folder =
        |index| format!("  {dir}/n{index} and {dir}/world.toml, then: icefarm node --config n{index}/node.toml\n");
    let folders: String = (1..=founded.nodes).map(folder).collect();
    stdout::text(&format!(
        "founded cluster {} of {} nodes in {dir}\n\nCopy to each machine its folder and the world, and start it there:\n\
        {folders}\
        Players and operators use {dir}/client.toml. Keep {dir}/ca somewhere safe: it can make new nodes.\n",
        founded.cluster, founded.nodes
    ))
}

fn parse_site(text: &str) -> Result<Site, Failure> {
    let wrong = |what: &str| {
        Failure::new(Exit::Usage, format!("--node {text}: {what}"))
            .hint("write IP:QUIC-PORT,HTTP-PORT[,REGION], for example 10.0.0.1:4400,8080,VA")
    };
    let mut parts = text.split(',');
    let quic: SocketAddr =
        parts.next().unwrap_or_default().parse().map_err(|_| wrong("the first part is not an address and port"))?;
    let port: u16 = parts
        .next()
        .ok_or_else(|| wrong("the HTTP port is missing"))?
        .parse()
        .map_err(|_| wrong("the second part is not a port"))?;
    let region = parts.next().unwrap_or("local").to_owned();
    if parts.next().is_some() || region.is_empty() {
        return Err(wrong("there are too many parts, or an empty one"));
    }
    let ip: IpAddr = quic.ip();
    Ok(Site { quic, http: SocketAddr::new(ip, port), region })
}

fn profile_nodes(rows: &[NodeRow]) -> Result<Vec<NodeEntry>, Failure> {
    let entry = |row: &NodeRow| {
        let id = row.node.parse().map_err(|error| broken("name the nodes", error))?;
        let (quic, http) = (row.quic.to_string(), row.http.to_string());
        Ok(NodeEntry { id, quic, http, region: row.region.clone() })
    };
    rows.iter().map(entry).collect()
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    replace_durably(path, text.as_bytes()).map_err(|error| cannot("write", path, &error))
}

fn cannot(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Machine, format!("cannot {doing} {}: {error}", path.display()))
}

fn broken(doing: &str, error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Machine, format!("cannot {doing}: {error}"))
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
