//! Nodes that are not: real transports, real greetings, and a world of owners in one map. Each node can be told to
//! behave badly.

use client::{NodeEntry, Options, Profile, RequestOptions};
use paxos::{Ballot, NodeId, Slot};
use placement::ShardMap;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use transport::{
    ClusterCa, ClusterId, Event, EventReceiver, Subject, Token, TokenKey, TokenPublic, Transport, TransportConfig,
};
use wire::codec::{decode, encode, encode_named};
use wire::{
    Answer, AnswerBody, Envelope, Greeting, Hello, Holdings, Level, NodeReport, Query, Receipt, Refusal, ReplicaReport,
    Reply, Request, RequestBody, Welcome,
};
use world::command::Deed;
use world::{
    Acorns, Command, FieldId, FieldView, Millis, Outcome, PlayerName, PlayerView, Rejection, TerrainMap, WorldSeed,
};

pub const SEED: WorldSeed = WorldSeed(7);

/// What a node does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Serves,
    /// Takes them and says nothing.
    Silent,
    /// Says that this one leads.
    PointsAt(NodeId),
}

/// A directory of the test's own, gone afterwards.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("icefarm-client-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A cluster without nodes: whoever may start some.
pub struct Cluster {
    pub scratch: Scratch,
    ca: ClusterCa,
    key: TokenKey,
    world: Arc<World>,
    nodes: BTreeMap<NodeId, Node>,
    addrs: BTreeMap<NodeId, SocketAddr>,
}

struct Node {
    transport: Transport,
    mood: Arc<Mutex<Mood>>,
}

/// What all nodes share.
pub struct World {
    map: ShardMap,
    tokens: TokenPublic,
    cluster: ClusterId,
    pub frames: AtomicU64,
    pub commands: AtomicU64,
    fields: Mutex<BTreeMap<FieldId, PlayerName>>,
    answered: Mutex<BTreeMap<(u128, u64), Outcome>>,
}

impl Cluster {
    /// Three nodes, all running.
    pub fn start() -> Self {
        let mut cluster = Self::unstarted();
        for node in [1, 2, 3] {
            cluster.start_node(NodeId(node));
        }
        cluster
    }

    pub fn unstarted() -> Self {
        let scratch = Scratch::new();
        let ca = ClusterCa::create(ClusterId(7)).unwrap();
        ca.cert().save(&scratch.0.join("ca.pem")).unwrap();
        let key = TokenKey::create().unwrap();
        let ids = [1, 2, 3].map(NodeId);
        let world = Arc::new(World {
            map: ShardMap::initial(8, &ids, 3).unwrap(),
            tokens: key.public(),
            cluster: ClusterId(7),
            frames: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            fields: Mutex::default(),
            answered: Mutex::default(),
        });
        // Ports that nobody else has just now.
        let addrs = ids.map(|node| {
            let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            (node, socket.local_addr().unwrap())
        });
        Self { scratch, ca, key, world, nodes: BTreeMap::new(), addrs: addrs.into() }
    }

    pub fn start_node(&mut self, node: NodeId) {
        let identity = self.ca.issue_node(node).unwrap();
        let config = TransportConfig::new(identity, self.addrs[&node], Vec::new());
        let (transport, events) = Transport::bind(config).unwrap();
        let mood = Arc::new(Mutex::new(Mood::Serves));
        tokio::spawn(serve(node, transport.clone(), events, mood.clone(), self.world.clone()));
        self.nodes.insert(node, Node { transport, mood });
    }

    pub async fn stop_node(&mut self, node: NodeId) {
        let node = self.nodes.remove(&node).unwrap();
        node.transport.shutdown("the test stops it", Duration::from_millis(200)).await;
    }

    pub fn tell(&self, node: NodeId, mood: Mood) {
        *self.nodes[&node].mood.lock().unwrap() = mood;
    }

    pub fn world(&self) -> &World {
        &self.world
    }

    /// How many client connections there are, at all nodes.
    pub fn clients(&self) -> u64 {
        self.nodes.values().map(|node| node.transport.stats().clients_now).sum()
    }

    pub fn addr(&self, node: NodeId) -> SocketAddr {
        self.addrs[&node]
    }

    pub fn profile(&self) -> Profile {
        self.profile_with(&self.key)
    }

    pub fn profile_with(&self, key: &TokenKey) -> Profile {
        let token = Token { cluster: ClusterId(7), subject: Subject::LocalOperator, issued: Millis(0), expires: None };
        Profile {
            cluster: ClusterId(7),
            ca: self.scratch.0.join("ca.pem"),
            token: key.issue(&token),
            nodes: self.addrs.iter().map(|(node, addr)| entry(*node, *addr)).collect(),
            player: None,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.scratch.0).join(name)
    }
}

fn entry(id: NodeId, addr: SocketAddr) -> NodeEntry {
    NodeEntry { id, quic: addr.to_string(), http: String::new(), region: "local".into() }
}

/// Quick to give up, so that tests of failures are quick.
pub fn impatient() -> Options {
    Options {
        requests: RequestOptions {
            request_timeout: Duration::from_millis(800),
            attempt_timeout: Duration::from_millis(100),
            ..RequestOptions::default()
        },
        connect_timeout: Duration::from_millis(500),
        min_reconnect: Duration::from_millis(10),
        max_reconnect: Duration::from_millis(50),
    }
}

/// The `n`th field of a row of claimable ones.
pub fn land(n: usize) -> FieldId {
    let terrain = TerrainMap::new(SEED);
    let fields = (0..).map(|n| FieldId::new(n % 1_000_000, 500_000 + n / 1_000_000).unwrap());
    fields.filter(|field| terrain.at(*field).claimable()).nth(n).unwrap()
}

async fn serve(
    node: NodeId,
    transport: Transport,
    mut events: EventReceiver,
    mood: Arc<Mutex<Mood>>,
    world: Arc<World>,
) {
    let mut greeted = std::collections::BTreeSet::new();
    while let Some(event) = events.recv().await {
        let Event::ClientFrame { conn, frame } = event else { continue };
        if greeted.insert(conn) {
            let greeting = world.greet(node, &decode::<Hello>("hello", &frame).unwrap());
            let is_goodbye = matches!(greeting, Greeting::Goodbye { .. });
            let _ = transport.send_client(conn, encode_named(&greeting));
            if is_goodbye {
                transport.close_client(conn, "goodbye");
            }
            continue;
        }
        world.frames.fetch_add(1, Ordering::Relaxed);
        let requests = decode::<Vec<Request>>("list of requests", &frame).unwrap();
        let mood = *mood.lock().unwrap();
        let answers: Vec<Answer> = requests.iter().filter_map(|request| world.answer(node, mood, request)).collect();
        if !answers.is_empty() {
            let _ = transport.send_client(conn, encode(&answers));
        }
    }
}

impl World {
    fn greet(&self, node: NodeId, hello: &Hello) -> Greeting {
        if let Err(error) = self.tokens.verify(&hello.token, now(), self.cluster) {
            return Greeting::Goodbye { version: wire::client::VERSION, reason: error.to_string() };
        }
        let rules = world::rules::World::ice_age().rules;
        Greeting::Welcome(Box::new(Welcome { node, seed: SEED, map: self.map.clone(), rules, time: now() }))
    }

    fn answer(&self, node: NodeId, mood: Mood, request: &Request) -> Option<Answer> {
        let receipt = |shard, level| Receipt { shard, node, slot: Slot(3), level, bound_ms: Some(0) };
        let id = request.id;
        let about_node = matches!(request.body, RequestBody::Node | RequestBody::Shards);
        match mood {
            Mood::Serves => {}
            Mood::Silent => return None,
            Mood::PointsAt(_) if about_node => {}
            Mood::PointsAt(leader) => {
                let refusal = Refusal::NotLeader { leader: Some(leader) };
                return Some(Answer { id, body: AnswerBody::Refused(refusal) });
            }
        }
        let body = match &request.body {
            RequestBody::Change { .. } => AnswerBody::Changed,
            RequestBody::Command { shard, envelope } => {
                AnswerBody::Applied { outcome: self.apply(envelope), receipt: receipt(*shard, Level::Strong) }
            }
            RequestBody::Read { shard, query, level, .. } => {
                AnswerBody::Read { reply: self.read(*shard, query), receipt: receipt(*shard, *level) }
            }
            RequestBody::Node => AnswerBody::Node(Box::new(node_report(node))),
            RequestBody::Shards => AnswerBody::Shards(self.map.shards().iter().map(replica).collect()),
        };
        Some(Answer { id, body })
    }

    fn apply(&self, envelope: &Envelope) -> Outcome {
        let mut answered = self.answered.lock().unwrap();
        let first = answered.entry((envelope.client.0, envelope.number.0)).or_insert_with(|| {
            self.commands.fetch_add(1, Ordering::Relaxed);
            self.apply_once(envelope)
        });
        first.clone()
    }

    fn apply_once(&self, envelope: &Envelope) -> Outcome {
        let Some(field) = envelope.command.field() else {
            let player = PlayerView { name: envelope.player, acorns: Acorns(100) };
            return Outcome::Registered { player, new: true };
        };
        let mut fields = self.fields.lock().unwrap();
        if let (Command::Claim { .. }, Some(owner)) = (envelope.command, fields.get(&field)) {
            return Outcome::Rejected(Rejection::AlreadyOwned { field, owner: *owner });
        }
        fields.insert(field, envelope.player);
        Outcome::Done { deed: Deed::Claimed, field: view(field, Some(envelope.player)) }
    }

    fn read(&self, shard: placement::ShardId, query: &Query) -> Reply {
        let fields = self.fields.lock().unwrap();
        let here = |field: &FieldId| self.map.shard_of(world::Bucket::of_chunk(SEED, field.chunk())).shard == shard;
        match query {
            Query::Field(field) => Reply::Field(view(*field, fields.get(field).copied())),
            Query::Fields(asked) => {
                Reply::Fields(asked.iter().map(|field| view(*field, fields.get(field).copied())).collect())
            }
            Query::View(rect) | Query::Changes { rect, .. } => {
                let seen = fields.iter().filter(|(field, _)| rect.contains(**field) && here(field));
                let seen = seen.map(|(field, owner)| view(*field, Some(*owner))).collect();
                if matches!(query, Query::View(_)) { Reply::View(seen) } else { Reply::Changes(seen) }
            }
            Query::Player(name) => Reply::Player(Some(PlayerView { name: *name, acorns: Acorns(100) })),
            Query::Holdings(name) => {
                let owned = fields.iter().filter(|(field, owner)| *owner == name && here(field)).count();
                Reply::Holdings(Holdings { fields: owned as u64, pending: Acorns(0) })
            }
            Query::Estate(name) => {
                let owned = fields.iter().filter(|(field, owner)| *owner == name && here(field));
                let mut chunks = BTreeMap::<_, u16>::new();
                owned.for_each(|(field, _)| *chunks.entry(field.chunk()).or_default() += 1);
                Reply::Estate(chunks.into_iter().collect())
            }
            Query::Census(block) => {
                let inside = |field: &FieldId| here(field) && world::Block::of(block.zoom(), *field) == *block;
                let mut cells = BTreeMap::<_, world::Census>::new();
                for (field, owner) in fields.iter().filter(|(field, _)| inside(field)) {
                    cells.entry(block.offset(*field)).or_default().enter(world::Banner::of(owner));
                }
                Reply::Census(cells.into_iter().collect())
            }
        }
    }
}

fn replica(info: &placement::ShardInfo) -> ReplicaReport {
    ReplicaReport {
        shard: info.shard,
        buckets: (info.first.0, info.last.0),
        leader: Some(info.voters[0]),
        ballot: Ballot { round: 1, node: info.voters[0] },
        voters: info.voters.clone(),
        standbys: Vec::new(),
        unheeded: Vec::new(),
        configuration: 0,
        chosen: Slot(3),
        applied: Slot(3),
        checkpointed: Slot(0),
        fields: 0,
    }
}

fn node_report(node: NodeId) -> NodeReport {
    NodeReport {
        node,
        region: "local".into(),
        pid: 1,
        quic: String::new(),
        http: String::new(),
        data: String::new(),
        version: "test".into(),
        leads: 0,
        replicas: 8,
        hears: Vec::new(),
        figures: wire::NodeFigures::default(),
    }
}

fn view(field: FieldId, owner: Option<PlayerName>) -> FieldView {
    FieldView {
        field,
        terrain: TerrainMap::new(SEED).at(field),
        owner,
        character: None,
        crop: None,
        structures: Vec::new(),
        price: None,
        version: u32::from(owner.is_some()),
    }
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Millis(u64::try_from(since.as_millis()).unwrap())
}
