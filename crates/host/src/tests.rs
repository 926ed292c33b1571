//! What the modules' tests share: nodes whose disks write at once and whose network delivers at once, unless told otherwise.

use crate::clock::{Mono, Now};
use crate::config::{HostConfig, RecoveredShard};
use crate::host::Host;
use crate::turn::{Turn, Write};
use paxos::{Incarnation, NodeId, Record, Recovered, Slot, Value};
use placement::{ShardId, ShardInfo, ShardMap};
use shard::ConnId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::peer::Frame;
use wire::{Answer, AnswerBody, ClientId, Envelope, Level, NodeFigures, NodeReport, Query, Request};
use wire::{RequestBody, RequestNo};
use world::rules::World;
use world::{CharacterId, Command, FieldId, Millis, PlayerName, TerrainMap, WorldSeed};

pub(crate) const MS: u64 = 1_000;
pub(crate) const SECOND: u64 = 1_000 * MS;
pub(crate) const N1: NodeId = NodeId(1);
pub(crate) const N2: NodeId = NodeId(2);
pub(crate) const N3: NodeId = NodeId(3);
pub(crate) const CONN: ConnId = ConnId(7);

fn config(me: NodeId, nodes: u32, map: &ShardMap) -> HostConfig {
    let nodes: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
    HostConfig {
        me,
        boot: 1,
        incarnation: Incarnation(u64::from(me.0) * 100),
        met: nodes.iter().map(|node| (*node, Incarnation(u64::from(node.0) * 100))).collect(),
        nodes,
        left: [].into(),
        first_map: map.clone(),
        map: map.clone(),
        seed: WorldSeed(7),
        rules: World::ice_age().rules,
        probe_every: 250 * MS,
        election_timeout: SECOND,
        support: SECOND,
        leases: true,
        clock_drift_ppm: 10_000,
        quarantine: 0,
        snapshot_rate: 1_000_000,
        snapshot_kept: 12 * SECOND,
        checkpoint_bytes: 1 << 20,
        memory_bytes: 1 << 30,
        turn_fields: 65_536,
        random_seed: 5 + u64::from(me.0),
        about: NodeReport {
            node: me,
            region: String::new(),
            pid: me.0,
            quic: String::new(),
            http: String::new(),
            data: String::new(),
            version: String::new(),
            leads: 0,
            replicas: 0,
            hears: Vec::new(),
            figures: NodeFigures::default(),
        },
    }
}

/// Nodes, and what is on its way between them.
pub(crate) struct Nodes {
    pub hosts: Vec<Host>,
    pub now: Mono,
    pub under_way: VecDeque<(NodeId, NodeId, Frame)>,
    /// Nobody hears these, and they hear nobody.
    pub cut_off: BTreeSet<NodeId>,
    /// Their disks stand still; so many writes wait.
    pub stuck: BTreeSet<NodeId>,
    /// These wait for them.
    unwritten: Vec<(NodeId, Write)>,
    /// What each was told to do in its turns, apart from frames and writes.
    pub told: Vec<(NodeId, Turn)>,
    pub answers: Vec<(NodeId, Answer)>,
    /// What their logs hold.
    logs: BTreeMap<(NodeId, ShardId), BTreeMap<Slot, Value>>,
    requests: u64,
}

impl Nodes {
    /// Nodes that begin with empty stores, and vote in all shards.
    pub fn new(nodes: u32, shards: u32) -> Self {
        Self::tuned((nodes, shards, nodes), |_| ())
    }

    /// So many nodes, shards, and voters of each, with other settings.
    pub fn tuned((nodes, shards, voters): (u32, u32, u32), tune: impl Fn(&mut HostConfig)) -> Self {
        let all: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
        let map = ShardMap::initial(shards, &all, voters as usize).unwrap();
        let host = |node: &NodeId| {
            let mut config = config(*node, nodes, &map);
            tune(&mut config);
            start(config, Mono(0))
        };
        Self {
            hosts: all.iter().map(host).collect(),
            now: Mono(0),
            under_way: VecDeque::new(),
            cut_off: BTreeSet::new(),
            stuck: BTreeSet::new(),
            unwritten: Vec::new(),
            told: Vec::new(),
            answers: Vec::new(),
            logs: BTreeMap::new(),
            requests: 0,
        }
    }

    /// Nodes of which every shard is led, and that have come to rest.
    pub fn serving(nodes: u32, shards: u32) -> Self {
        Self::serving_by((nodes, shards, nodes))
    }

    /// The same with so many voters of each.
    pub fn serving_by(sizes: (u32, u32, u32)) -> Self {
        let mut nodes = Self::tuned(sizes, |_| ());
        nodes.pass(3 * SECOND);
        assert!(nodes.hosts.iter().all(|host| host.is_ready() && host.restless().is_none()));
        nodes.told.clear();
        nodes
    }

    pub fn now(&self) -> Now {
        at(self.now)
    }

    pub fn host(&mut self, node: NodeId) -> &mut Host {
        &mut self.hosts[node.0 as usize - 1]
    }

    /// The disk of `node` is replaced by an empty one, and it starts.
    pub fn wipe(&mut self, node: NodeId) {
        let before = self.host(node).config.clone();
        let incarnation = Incarnation(before.incarnation.0 + 1);
        let config = HostConfig { incarnation, met: [].into(), map: before.first_map.clone(), ..before };
        let now = self.now;
        *self.host(node) = start(config, now);
    }

    /// Who leads it.
    pub fn leader(&self, shard: ShardId) -> Option<NodeId> {
        let leads = |host: &&Host| host.replica(shard).is_some_and(|replica| replica.paxos().is_leader());
        self.hosts.iter().find(leads).map(|host| host.replica(shard).unwrap().me())
    }

    /// Ends a turn. What it sends is on its way then, and what it writes is durable, unless its disk stands still; says whether
    /// anything became so.
    pub fn turn(&mut self, node: NodeId) -> bool {
        let now = self.now();
        let (cut_off, stuck) = (self.cut_off.contains(&node), self.stuck.contains(&node));
        let mut turn = self.host(node).finish_turn(now);
        for (to, frame) in turn.frames.drain(..).chain(turn.bulk.drain(..)) {
            if !cut_off && !self.cut_off.contains(&to) {
                self.under_way.push_back((node, to, frame));
            }
        }
        let host = self.host(node);
        let mut busy = !turn.meetings.is_empty() || !turn.memberships.is_empty() || !turn.cuts.is_empty();
        let answers: Vec<Answer> = host.take_answers(now.mono).into_iter().flat_map(|(_, answers)| answers).collect();
        let written = turn.write.take();
        self.unwritten.extend(written.map(|write| (node, write)));
        while let Some(first) = self.unwritten.iter().position(|(of, _)| *of == node && !stuck) {
            let (_, write) = self.unwritten.remove(first);
            self.host(node).handle_written(write.id);
            self.keep(node, write.records);
            busy = true;
        }
        for read in turn.log_reads.drain(..) {
            let log = self.logs.get(&(node, read.shard));
            let values = log.into_iter().flat_map(|log| log.range(read.after.next()..=read.through));
            let values = values.map(|(_, value)| value.clone()).collect();
            self.host(node).handle_log_read(read, values);
            busy = true;
        }
        let host = self.host(node);
        for (shard, cut) in &turn.cuts {
            host.handle_checkpointed(*shard, cut.slot);
        }
        for (met, life) in &turn.meetings {
            host.handle_met(*met, *life);
        }
        if !turn.memberships.is_empty() {
            host.handle_moved(&turn.memberships);
        }
        self.answers.extend(answers.into_iter().map(|answer| (node, answer)));
        if !is_idle(&turn) {
            self.told.push((node, turn));
        }
        busy
    }

    fn keep(&mut self, node: NodeId, records: Vec<(ShardId, Record)>) {
        for (shard, record) in records {
            let log = self.logs.entry((node, shard)).or_default();
            match record {
                Record::Accept { slot, value, .. } | Record::Learn { slot, value } => _ = log.insert(slot, value),
                Record::Retire => log.clear(),
                Record::Promise { .. } => {}
            }
        }
    }

    /// Everything arrives, and whatever comes of it, until nothing more does.
    pub fn settle(&mut self) {
        for _ in 0..2_000 {
            let mut busy = false;
            for node in (1..=self.hosts.len()).map(|nth| NodeId(u32::try_from(nth).unwrap())) {
                busy |= self.turn(node);
            }
            let Some((from, to, frame)) = self.under_way.pop_front() else {
                if busy {
                    continue;
                }
                return;
            };
            let now = self.now();
            self.host(to).handle_frame(now, from, frame);
        }
        panic!("there is no end to it: {:?}", self.under_way);
    }

    /// Time passes: each node is woken when it wants to be.
    pub fn pass(&mut self, micros: u64) {
        let end = self.now.plus(micros);
        for _ in 0..5_000 {
            self.settle();
            let due = self.hosts.iter().map(Host::next_tick).min().unwrap().max(self.now);
            if due > end {
                self.now = end;
                return;
            }
            self.now = due;
            let now = self.now();
            for host in self.hosts.iter_mut().filter(|host| host.next_tick() <= now.mono) {
                host.handle_tick(now);
            }
        }
        panic!("time stands still at {:?}", self.now);
    }

    /// Asks `node`; says under which label it answers.
    pub fn ask(&mut self, node: NodeId, body: RequestBody) -> u64 {
        self.requests += 1;
        let (now, id) = (self.now(), self.requests);
        self.host(node).handle_request(now, CONN, Request { id, body });
        id
    }

    /// Has somebody registered by the leader of `shard`.
    pub fn register(&mut self, node: NodeId, shard: ShardId) -> u64 {
        let player = resident(self.host(node), shard);
        let number = RequestNo(self.requests + 1);
        let (client, deadline) = (ClientId(9), self.now().wall.plus(10_000));
        let envelope = Envelope { client, number, floor: number, deadline, player, command: Command::Register };
        self.ask(node, RequestBody::Command { shard, envelope })
    }

    /// Has something done in the one shard there is.
    pub fn command(&mut self, node: NodeId, command: Command) {
        let number = RequestNo(self.requests + 1);
        let (client, deadline) = (ClientId(9), self.now().wall.plus(10_000));
        let player = PlayerName::new("scrat").unwrap();
        let envelope = Envelope { client, number, floor: number, deadline, player, command };
        self.ask(node, RequestBody::Command { shard: ShardId(1), envelope });
        self.settle();
    }

    /// Has a field in each of so many chunks of the one shard there is claimed; says which.
    pub fn claim(&mut self, node: NodeId, chunks: u32) -> Vec<FieldId> {
        let terrain = TerrainMap::new(WorldSeed(7));
        let claimable = |nth| {
            let in_row = (nth * 64..nth * 64 + 64).map(|x| FieldId::new(x, 0).unwrap());
            in_row.into_iter().find(|field| terrain.at(*field).claimable()).unwrap()
        };
        let fields: Vec<FieldId> = (0..chunks).map(claimable).collect();
        for field in &fields {
            self.command(node, Command::Claim { field: *field, character: CharacterId(0) });
        }
        fields
    }

    /// Asks for a field of `shard`.
    pub fn look(&mut self, node: NodeId, shard: ShardId, level: Level) -> u64 {
        let field = field_of(self.host(node), shard);
        self.ask(node, RequestBody::Read { shard, query: Query::Field(field), level, after: Slot::ZERO })
    }

    /// What was answered under this label, if anything was.
    pub fn answer(&self, id: u64) -> Option<&AnswerBody> {
        self.answers.iter().find(|(_, answer)| answer.id == id).map(|(_, answer)| &answer.body)
    }
}

/// A node whose stores are empty.
fn start(config: HostConfig, now: Mono) -> Host {
    let empty = |info: &ShardInfo| RecoveredShard {
        info: info.clone(),
        recovered: Recovered::fresh(),
        stored: None,
        staged: None,
    };
    let own = config.first_map.shards().iter().filter(|info| info.voters.contains(&config.me));
    let shards = own.map(empty).collect();
    Host::new(config, shards, at(now)).unwrap()
}

/// Both clocks show the same hour.
pub(crate) fn at(mono: Mono) -> Now {
    Now { mono, wall: Millis(1_000_000 + mono.0 / MS) }
}

fn is_idle(turn: &Turn) -> bool {
    turn.cuts.is_empty()
        && turn.part_reads.is_empty()
        && turn.let_go.is_empty()
        && turn.stagings.is_empty()
        && turn.memberships.is_empty()
        && turn.meetings.is_empty()
        && turn.releases.is_empty()
        && turn.batches.is_empty()
        && turn.chunk_loads.is_empty()
        && turn.news.is_empty()
}

/// A player whose wallet is in `shard`.
fn resident(host: &Host, shard: ShardId) -> PlayerName {
    let here =
        |name: &PlayerName| host.config.map.shard_of(world::Bucket::of_player(WorldSeed(7), name)).shard == shard;
    (0..10_000).map(|nth| PlayerName::new(&format!("p{nth}")).unwrap()).find(here).unwrap()
}

/// A field that is in `shard`.
fn field_of(host: &Host, shard: ShardId) -> FieldId {
    let bucket = |field: &FieldId| world::Bucket::of_chunk(WorldSeed(7), field.chunk());
    let here = |field: &FieldId| host.config.map.shard_of(bucket(field)).shard == shard;
    (0..10_000).map(|nth| FieldId::new(nth * 64, 0).unwrap()).find(here).unwrap()
}
