//! A whole cluster in one thread: its machines, its network, its clients, and the observer.
//!
//! Everything that happens is an [`Event`] on the agenda. Nothing else drives a machine, so that a seed is a run.

use crate::agenda::Agenda;
use crate::clock::{Clock, MS, SECOND, Time};
use crate::digest::Digest;
use crate::disk::Disk;
use crate::fault::Fault;
use crate::judge::{Judge, PlayerNo};
use crate::machine::Machine;
use crate::meddle::{Fate, Meddler};
use crate::network::Network;
use crate::operator::Operator;
use crate::plan::Plan;
use crate::player::Player;
use crate::random::Random;
use crate::sites::{self, Sites};
use crate::stats::Stats;
use crate::trace::Trace;
use bytes::Bytes;
use paxos::NodeId;
use placement::{ShardId, ShardMap};
use shard::ConnId;
use std::collections::BTreeMap;
use wire::peer::Frame;
use wire::{Answer, Request, Welcome};
use world::FieldId;

/// Something that happens.
#[derive(Debug)]
pub enum Event {
    /// A frame reaches a machine.
    Frame(NodeId, NodeId, Packet),
    /// A machine's turn, in this life of its process.
    Turn(NodeId, u64),
    /// A machine's timer.
    Tick(NodeId, u64),
    /// The log's next job is done.
    Log(NodeId, u64),
    /// The pages' next job is done.
    Page(NodeId, u64),
    /// A client tries to connect.
    Connect(PlayerNo, NodeId),
    /// A client is greeted.
    Welcome(PlayerNo, NodeId, ConnId, Box<Welcome>),
    /// A client's connection breaks.
    Broken(PlayerNo, NodeId, ConnId),
    /// Requests reach a machine.
    Requests(PlayerNo, NodeId, ConnId, Vec<Request>),
    /// Answers reach a client.
    Answers(PlayerNo, NodeId, ConnId, Vec<Answer>),
    /// A client does something.
    Act(PlayerNo),
    /// A client's timer.
    Wake(PlayerNo),
    /// Something goes wrong, or is mended.
    Fault(Box<Fault>),
    /// The operator looks after broken disks.
    Operate,
    /// The observer looks whether all is well.
    Look,
}

/// A frame on its way: as values, or as the bytes that would really travel.
#[derive(Clone, Debug)]
pub enum Packet {
    /// Values.
    Values(Frame),
    /// Bytes.
    Bytes(Bytes),
}

/// Attempts to claim a fresh field of a shard, to see that it is alive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Audition {
    pub attempts: usize,
    pub under_way: bool,
    pub passed: bool,
}

/// Events beyond this many mean that time stands still.
const MAX_EVENTS: u64 = 3_000_000;

/// A cluster and everything around it.
#[derive(Debug)]
pub struct Cluster {
    /// What was planned.
    pub plan: Plan,
    /// Now.
    pub now: Time,
    pub(crate) agenda: Agenda<Event>,
    pub(crate) random: Random,
    /// The network.
    pub network: Network,
    /// The machines, in the order of their nodes.
    pub machines: Vec<Machine>,
    /// The clients.
    pub players: Vec<Player>,
    /// The shard map.
    pub map: ShardMap,
    /// The observer.
    pub judge: Judge,
    /// What happened.
    pub stats: Stats,
    /// The diagram.
    pub trace: Trace,
    /// A hand in the network.
    pub meddler: Meddler,
    pub(crate) digest: Digest,
    pub(crate) next_conn: u64,
    pub(crate) conns: BTreeMap<ConnId, PlayerNo>,
    /// The claimable fields, shard by shard.
    pub sites: Vec<Sites>,
    /// The fields all fight for.
    pub hot: Vec<FieldId>,
    /// How often each shard got a new leader.
    pub elections: BTreeMap<ShardId, u64>,
    /// Whoever replaces broken disks.
    pub operator: Operator,
    /// Since when everything is mended.
    pub calm_since: Option<Time>,
    /// For each shard, whether it takes claims since.
    pub(crate) auditions: Vec<Audition>,
    pub(crate) well: bool,
}

impl Cluster {
    /// A cluster whose machines have just been switched on.
    pub fn new(plan: Plan, traced: bool) -> Self {
        let mut random = Random::new(plan.seed);
        let nodes: Vec<NodeId> = (1..=plan.nodes).map(NodeId).collect();
        let map = ShardMap::initial(plan.shards, &nodes, plan.voters).expect("plans have layouts that work");
        let network = Network::new(plan.latency.clone(), plan.jitter, plan.weather);
        let machines: Vec<Machine> = nodes
            .iter()
            .zip(plan.clocks.iter().zip(&plan.disks).zip(&plan.tunings))
            .map(|(&id, ((&clock, &speed), &tuning))| Machine::new(id, clock, Disk::new(speed), tuning))
            .collect();
        let clock = |random: &mut Random| Clock { began: random.below(SECOND), ..Clock::default() };
        let players = (0..plan.players)
            .map(|number| {
                let clock = clock(&mut random);
                Player::new(number, plan.nodes, clock, plan.options.clone(), &mut random)
            })
            .collect();
        let sites = Sites::of(&map);
        let hot = (0..plan.hot_fields).filter_map(|nth| sites[nth % sites.len()].field(nth / sites.len())).collect();
        let mut cluster = Self {
            now: Time(0),
            agenda: Agenda::new(),
            random,
            network,
            machines,
            players,
            judge: Judge::new(map.clone()),
            stats: Stats::default(),
            trace: Trace::new(traced),
            meddler: Meddler::default(),
            digest: Digest::EMPTY,
            next_conn: 1,
            conns: BTreeMap::new(),
            auditions: vec![Audition::default(); sites.len()],
            sites,
            hot,
            elections: BTreeMap::new(),
            operator: Operator::default(),
            calm_since: None,
            well: false,
            map,
            plan,
        };
        cluster.digest.mix(cluster.plan.seed);
        for node in nodes {
            cluster.start(node);
        }
        for player in 0..cluster.players.len() {
            for node in 1..=cluster.plan.nodes {
                cluster.agenda.plan(Time(MS), Event::Connect(player, NodeId(node)));
            }
            if cluster.plan.act_every > 0 {
                let first = cluster.random.below(cluster.plan.act_every);
                cluster.agenda.plan(Time(100 * MS + first), Event::Act(player));
            }
        }
        for (at, fault) in std::mem::take(&mut cluster.plan.script) {
            cluster.agenda.plan(at, Event::Fault(Box::new(fault)));
        }
        cluster
    }

    /// Runs until everything is well after the calm, something is broken, or patience ends.
    pub fn play(&mut self) {
        while !self.well && self.judge.violation.is_none() && self.step() {}
        if self.judge.violation.is_none() {
            self.conclude();
        }
    }

    /// Lets `micros` pass.
    pub fn run_for(&mut self, micros: u64) {
        let until = self.now.plus(micros);
        while self.judge.violation.is_none() && self.agenda.next_at().is_some_and(|at| at <= until) {
            self.step();
        }
        self.now = until;
    }

    /// Lets time pass until `done`, at most `micros`; says whether it came to be.
    pub fn run_until(&mut self, micros: u64, mut done: impl FnMut(&Self) -> bool) -> bool {
        let until = self.now.plus(micros);
        while !done(self) {
            if self.judge.violation.is_some() || self.agenda.next_at().is_none_or(|at| at > until) {
                return false;
            }
            self.step();
        }
        true
    }

    /// The node that leads `shard` under the highest ballot, if any node believes to lead it.
    pub fn leader(&self, shard: ShardId) -> Option<NodeId> {
        let leads = |machine: &&Machine| self.paxos(machine.id, shard).is_some_and(paxos::Replica::is_leader);
        let ballot = |machine: &&Machine| self.paxos(machine.id, shard).map(paxos::Replica::promised);
        self.machines.iter().filter(leads).max_by_key(ballot).map(|machine| machine.id)
    }

    /// A replica's Paxos, if its machine is on.
    pub fn paxos(&self, node: NodeId, shard: ShardId) -> Option<&paxos::Replica> {
        Some(self.machines[crate::network::index(node)].host.as_ref()?.replica(shard)?.paxos())
    }

    /// A number that stands for everything that has happened.
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// The rules of this world.
    pub(crate) fn rules() -> world::RuleBook {
        sites::rules()
    }

    /// When the copies of a message arrive: none, one or two.
    pub(crate) fn fated(&mut self, fate: Fate, from: NodeId, to: NodeId) -> [Option<u64>; 2] {
        match fate {
            Fate::Pass => self.network.delays(&mut self.random, from, to),
            Fate::Lose => [None, None],
            Fate::Late(micros) => [Some(micros), None],
            Fate::Again(micros) => [Some(self.network.delay(&mut self.random, from, to)), Some(micros)],
        }
    }

    /// The next thing happens. False if there is none.
    fn step(&mut self) -> bool {
        let Some((at, event)) = self.agenda.pop() else { return false };
        self.now = at;
        self.stats.events += 1;
        self.stats.simulated = at.0;
        if self.stats.events > MAX_EVENTS {
            self.judge.object(at, "progress", format!("{MAX_EVENTS} events and no end: time stands still"));
        }
        self.digest.mix(at.0);
        self.happen(event);
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Frame(_, node, _)
            | Event::Turn(node, _)
            | Event::Tick(node, _)
            | Event::Log(node, _)
            | Event::Page(node, _)
            | Event::Requests(_, node, ..) => self.at_machine(node, event),
            Event::Connect(player, node) => self.connect(player, node),
            Event::Welcome(player, node, conn, welcome) => self.welcome(player, node, conn, &welcome),
            Event::Broken(player, node, conn) => self.break_connection(player, node, conn),
            Event::Answers(player, node, conn, answers) => self.at_player(player, node, conn, answers),
            Event::Act(player) => self.act(player),
            Event::Wake(player) => self.wake(player),
            Event::Fault(fault) => self.strike(&fault),
            Event::Operate => self.operate(),
            Event::Look => self.look(),
        }
    }
}
