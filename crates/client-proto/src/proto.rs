//! The state machine: what is under way, and how it begins and ends. How a part is sent is in `attempt`, what answers do
//! in `answer`.

use crate::attempt::is_under_way;
use crate::bunch::Bunches;
use crate::nodes::{Nodes, WelcomeError};
use crate::op::{Applied, Failure, OpId, Read, StartError, Success};
use crate::options::Options;
use crate::past::Past;
use crate::routes::Routes;
use crate::slab::{Key, Slab};
use crate::split::{self, Gathered};
use crate::timers::{Now, Timers};
use crate::window::Window;
use paxos::NodeId;
use placement::ShardId;
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::VecDeque;
use wire::{Change, ClientId, Level, Query, RequestNo, Session, Welcome};
use world::{Bucket, Command, Millis, PlayerName, WorldSeed};

/// Parts of all operations together, as a multiple of the operations allowed.
const PARTS_PER_OP: usize = 4;

/// One client's outstanding requests. The crate's documentation says in which order to call what.
#[derive(Debug)]
pub struct ClientProto {
    pub(crate) client: ClientId,
    pub(crate) options: Options,
    pub(crate) rng: Xoshiro256PlusPlus,
    /// The latest moment heard of.
    pub(crate) now: Now,
    seed: Option<WorldSeed>,
    pub(crate) routes: Routes,
    pub(crate) nodes: Nodes,
    pub(crate) ops: Slab<Op>,
    pub(crate) parts: Slab<Part>,
    pub(crate) window: Window,
    pub(crate) session: Session,
    pub(crate) timers: Timers,
    pub(crate) bunches: Bunches,
    /// Parts to be sent.
    pub(crate) ready: VecDeque<Key>,
    outcomes: VecDeque<(Key, Result<Success, Failure>)>,
    /// Counts attempts.
    pub(crate) attempts: u64,
}

#[derive(Debug)]
pub(crate) struct Op {
    pub what: What,
    /// Unanswered parts.
    left: usize,
    first: Key,
    others: Vec<Key>,
    /// Its outcome waits to be polled.
    pub done: bool,
}

#[derive(Debug)]
pub(crate) enum What {
    Command(RequestNo),
    Read { read: Read, level: Option<Level>, from: Option<NodeId>, gathered: Option<Box<Gathered>> },
    Report,
}

/// What one node is to be asked for one operation.
#[derive(Debug)]
pub(crate) struct Part {
    pub op: Key,
    pub place: Place,
    /// Nobody else will do.
    pub only: Option<NodeId>,
    pub body: Body,
    pub state: State,
    /// What went wrong so far.
    pub past: Past,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The shard that holds this bucket.
    Bucket(Bucket),
    /// This very node.
    Node(NodeId),
}

#[derive(Debug)]
pub(crate) enum Body {
    Command { number: RequestNo, deadline: Millis, player: PlayerName, command: Command },
    Read { query: Query, level: Level },
    Change(Change),
    Node,
    Shards,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// In the queue for sending.
    Ready,
    /// Sent.
    Flying { label: u64, node: NodeId, sent: Now },
    /// Until then.
    Pausing { until: Now, for_connection: bool },
}

impl Part {
    pub fn new(place: Place, only: Option<NodeId>, body: Body) -> Self {
        Self {
            op: Key { index: u32::MAX, generation: u32::MAX },
            place,
            only,
            body,
            state: State::Ready,
            past: Past::default(),
        }
    }

    pub fn is_command(&self) -> bool {
        matches!(self.body, Body::Command { .. })
    }

    /// Whether it may have taken effect, as far as is known.
    pub fn applied(&self) -> Applied {
        let flying = matches!(self.state, State::Flying { .. });
        let maybe = self.is_command() && (self.past.lost || flying || !self.past.open.is_empty());
        if maybe { Applied::Unknown } else { Applied::No }
    }
}

impl ClientProto {
    /// A client that has asked nothing yet. `client` must never have been used before: numbers start at 1.
    pub fn new(client: ClientId, rng_seed: u64, options: Options) -> Self {
        Self {
            client,
            options: options.in_range(),
            rng: Xoshiro256PlusPlus::seed_from_u64(rng_seed),
            now: Now(0),
            seed: None,
            routes: Routes::default(),
            nodes: Nodes::default(),
            ops: Slab::new(),
            parts: Slab::new(),
            window: Window::new(),
            session: Session::default(),
            timers: Timers::new(),
            bunches: Bunches::default(),
            ready: VecDeque::new(),
            outcomes: VecDeque::new(),
            attempts: 0,
        }
    }

    /// A connection to `node` has been greeted: it takes requests from now on.
    pub fn handle_welcome(&mut self, now: Now, node: NodeId, welcome: &Welcome) -> Result<(), WelcomeError> {
        self.at(now);
        if welcome.node != node {
            return Err(WelcomeError::OtherNode { expected: node, got: welcome.node });
        }
        if let Some(expected) = self.seed.filter(|seed| *seed != welcome.seed) {
            return Err(WelcomeError::OtherWorld { node, expected, got: welcome.seed });
        }
        if self.seed.is_none() || self.routes.is_news(&welcome.map) {
            self.routes = Routes::new(&welcome.map, &self.routes)?;
            self.seed = Some(welcome.seed);
            self.split_again();
        }
        if self.nodes.is_connected(node) {
            // A new connection without the loss of the old one having been reported: what was on the old one is lost.
            self.lose(node);
        }
        self.nodes.welcomed(self.now, node, welcome.time);
        self.wake_those_without_connection();
        Ok(())
    }

    /// The connection to `node` is gone, and with it every answer that was to come over it.
    pub fn handle_disconnected(&mut self, now: Now, node: NodeId) {
        self.at(now);
        self.nodes.disconnected(self.now, node);
        self.routes.forget_leader(node);
        self.lose(node);
    }

    /// Begins a command of `player`.
    pub fn start_command(&mut self, now: Now, player: PlayerName, command: Command) -> Result<OpId, StartError> {
        self.at(now);
        let seed = self.admit(1)?;
        if self.window.len() >= self.options.max_window {
            return Err(StartError::WindowFull { numbers: self.window.len(), max: self.options.max_window });
        }
        let bucket = match command.chunk() {
            Some(chunk) => Bucket::of_chunk(seed, chunk),
            None => Bucket::of_player(seed, &player),
        };
        let number = self.window.open();
        let deadline = self.nodes.time(self.now).plus(self.options.request_timeout_ms());
        let part = Part::new(Place::Bucket(bucket), None, Body::Command { number, deadline, player, command });
        Ok(self.begin(What::Command(number), part, Vec::new()))
    }

    /// Begins a read. Without a level each part gets the usual one of its shard. With `from`, that node and no other is asked, for
    /// every part.
    pub fn start_read(
        &mut self,
        now: Now,
        read: Read,
        level: Option<Level>,
        from: Option<NodeId>,
    ) -> Result<OpId, StartError> {
        self.at(now);
        let seed = self.admit(split::parts(&self.routes, read))?;
        let parts = split::split(seed, &self.routes, read, level, from, self.options.watch_for());
        let Some((first, others)) = parts else {
            let Read::Changes { shard, .. } = read else { unreachable!("every shard is one of the map's") };
            return Err(StartError::NoSuchShard(shard));
        };
        let gathered = matches!(read, Read::View(_) | Read::Watch(_) | Read::Player(_)).then(Box::default);
        Ok(self.begin(What::Read { read, level, from, gathered }, first, others))
    }

    /// Begins a change of who takes part in `shard`. Asked for again, it does nothing more.
    pub fn start_change(&mut self, now: Now, shard: ShardId, change: Change) -> Result<OpId, StartError> {
        self.at(now);
        self.admit(1)?;
        let bucket = self.routes.rows().iter().find(|row| row.shard == shard).map(|row| row.first);
        let bucket = bucket.ok_or(StartError::NoSuchShard(shard))?;
        Ok(self.begin(What::Report, Part::new(Place::Bucket(bucket), None, Body::Change(change)), Vec::new()))
    }

    /// Asks a node about itself. Tried once: a node that is not connected or does not answer soon is a failure.
    pub fn start_node_report(&mut self, now: Now, node: NodeId) -> Result<OpId, StartError> {
        self.at(now);
        self.admit(1)?;
        Ok(self.begin(What::Report, Part::new(Place::Node(node), Some(node), Body::Node), Vec::new()))
    }

    /// Asks a node about its replicas. Tried once, as [`ClientProto::start_node_report`].
    pub fn start_shards_report(&mut self, now: Now, node: NodeId) -> Result<OpId, StartError> {
        self.at(now);
        self.admit(1)?;
        Ok(self.begin(What::Report, Part::new(Place::Node(node), Some(node), Body::Shards), Vec::new()))
    }

    /// An operation that has ended, and how. It is under way until polled here.
    pub fn poll_outcome(&mut self) -> Option<(OpId, Result<Success, Failure>)> {
        let Some((key, result)) = self.outcomes.pop_front() else {
            // From its beginning again: a queue that wanders through all its memory is nowhere near when it is needed.
            self.outcomes.clear();
            return None;
        };
        self.ops.remove(key).expect("an operation is removed here only");
        Some((OpId { slot: key.index, generation: key.generation }, result))
    }

    /// The number of a command under way (its outcome not yet polled). It changes when a shard has found it dated wrong.
    pub fn request_no(&self, op: OpId) -> Option<RequestNo> {
        match self.ops.get(Key { index: op.slot, generation: op.generation })?.what {
            What::Command(number) => Some(number),
            _ => None,
        }
    }

    /// What this client has seen and written; reads at [`Level::Session`] show at least that.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Goes on with what another client, or an earlier life of this one, has seen and written.
    pub fn resume(&mut self, session: &Session) {
        self.session.merge(session);
    }

    /// How many operations are under way.
    pub fn in_flight(&self) -> usize {
        self.ops.len()
    }

    /// Whether a connection to `node` stands.
    pub fn is_connected(&self, node: NodeId) -> bool {
        self.nodes.is_connected(node)
    }

    /// The lowest command number without an outcome.
    pub fn floor(&self) -> RequestNo {
        self.window.floor()
    }

    /// The cluster's wall clock, as far as its nodes have told; nothing before the first welcome.
    pub fn cluster_time(&self, now: Now) -> Option<Millis> {
        self.seed.map(|_| self.nodes.time(now.max(self.now)))
    }

    pub(crate) fn at(&mut self, now: Now) {
        self.now = self.now.max(now);
    }

    fn admit(&self, parts: usize) -> Result<WorldSeed, StartError> {
        let seed = self.seed.ok_or(StartError::NotWelcomed)?;
        let (in_flight, max) = (self.ops.len(), self.options.max_in_flight);
        let crowded = self.parts.len() > 0 && self.parts.len() + parts > max * PARTS_PER_OP;
        if in_flight >= max || crowded { Err(StartError::TooMany { in_flight, max }) } else { Ok(seed) }
    }

    fn begin(&mut self, what: What, first: Part, others: Vec<Part>) -> OpId {
        let nothing = Key { index: u32::MAX, generation: u32::MAX };
        let key = self.ops.insert(Op { what, left: 0, first: nothing, others: Vec::new(), done: false });
        self.set_parts(key, first, others);
        let when = self.now.plus(self.options.request_timeout);
        let ops = &self.ops;
        self.timers.totals.push(when, key, |key| is_under_way(ops, key));
        OpId { slot: key.index, generation: key.generation }
    }

    fn set_parts(&mut self, key: Key, first: Part, others: Vec<Part>) {
        let left = 1 + others.len();
        let mut add = |mut part: Part| {
            part.op = key;
            let part = self.parts.insert(part);
            self.ready.push_back(part);
            part
        };
        let first = add(first);
        let others = others.into_iter().map(&mut add).collect();
        let op = self.ops.get_mut(key).expect("just begun, or under way");
        (op.left, op.first, op.others) = (left, first, others);
    }

    /// The map has changed: reads of several shards begin anew, since the old parts no longer cover what was asked.
    fn split_again(&mut self) {
        let seed = self.seed.expect("a map comes with a seed");
        let of_many = |op: &Op| !op.done && matches!(op.what, What::Read { gathered: Some(_), .. });
        let keys: Vec<Key> = self.ops.iter().filter(|(_, op)| of_many(op)).map(|(key, _)| key).collect();
        for key in keys {
            self.drop_parts(key);
            let op = self.ops.get_mut(key).expect("listed just now");
            let What::Read { read, level, from, gathered } = &mut op.what else { continue };
            *gathered = Some(Box::default());
            let wait = self.options.watch_for();
            let parts = split::split(seed, &self.routes, *read, *level, *from, wait);
            let (first, others) = parts.expect("a read of many parts has some");
            self.set_parts(key, first, others);
        }
    }

    /// One part is answered; says whether all are.
    pub(crate) fn part_done(&mut self, part: Key) -> bool {
        let Some(part) = self.parts.remove(part) else { return false };
        let op = self.ops.get_mut(part.op).expect("its operation outlives a part");
        op.left -= 1;
        op.left == 0
    }

    /// The operation ends; what is left of its parts is forgotten.
    pub(crate) fn finish(&mut self, key: Key, result: Result<Success, Failure>) {
        self.drop_parts(key);
        let op = self.ops.get_mut(key).expect("an operation ends once");
        debug_assert!(!op.done, "an operation ends once");
        op.done = true;
        if let What::Command(number) = op.what {
            self.window.close(number);
        }
        self.outcomes.push_back((key, result));
    }

    pub(crate) fn parts_of(&self, key: Key) -> impl Iterator<Item = Key> {
        let op = self.ops.get(key);
        op.into_iter().flat_map(|op| std::iter::once(op.first).chain(op.others.iter().copied()))
    }

    fn drop_parts(&mut self, key: Key) {
        let op = self.ops.get_mut(key).expect("its operation outlives a part");
        let (first, others) = (op.first, std::mem::take(&mut op.others));
        self.parts.remove(first);
        for part in others {
            self.parts.remove(part);
        }
    }
}
