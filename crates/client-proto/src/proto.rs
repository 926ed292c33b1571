//! The state machine: what is under way, and how it begins and ends. How a part is sent is in `attempt`, what answers do
//! in `answer`.

use crate::attempt::is_under_way;
use crate::bunch::Bunches;
use crate::nodes::{Nodes, WelcomeError};
use crate::op::{Applied, Failure, Given, OpId, Read, StartError, Success};
use crate::options::Options;
use crate::past::Past;
use crate::routes::Routes;
use crate::second::SecondLooks;
use crate::slab::{Key, Slab};
use crate::split::{self, Gathering, Split};
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
    pub(crate) second_looks: SecondLooks,
    /// Parts to be sent.
    pub(crate) ready: VecDeque<Key>,
    outcomes: VecDeque<(Key, Result<Success, Failure>)>,
    /// Counts attempts.
    pub(crate) attempts: u64,
    /// Counts those refused because a queue was full.
    pub(crate) overloads: u64,
}

#[derive(Debug)]
pub(crate) struct Op {
    /// A command's.
    pub number: Option<RequestNo>,
    pub parts: Parts,
    /// Its outcome waits to be polled.
    pub done: bool,
}

#[derive(Debug)]
pub(crate) enum Parts {
    One(Key),
    Many(Box<Gathering>),
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
    /// `given`: whose number it is, if not this client's own.
    Command {
        number: RequestNo,
        given: Option<Given>,
        deadline: Millis,
        player: PlayerName,
        command: Command,
    },
    Read {
        query: Query,
        level: Level,
    },
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
        let options = options.in_range();
        Self {
            client,
            second_looks: SecondLooks::new(options.max_in_flight),
            options,
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
            overloads: 0,
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
        let bucket = bucket_of(seed, &player, &command);
        let number = self.window.open();
        let deadline = self.nodes.time(self.now).plus(self.options.request_timeout_ms());
        let body = Body::Command { number, given: None, deadline, player, command };
        Ok(self.begin_one(Some(number), Place::Bucket(bucket), None, body))
    }

    /// Begins a command of `player` for another client, which has numbered it itself: whoever repeats it, here or elsewhere,
    /// hears what came of it first. It keeps its number, come what may: if its time is up before its turn comes, that is told.
    pub fn start_given(
        &mut self,
        now: Now,
        player: PlayerName,
        command: Command,
        number: RequestNo,
        given: Given,
    ) -> Result<OpId, StartError> {
        self.at(now);
        let seed = self.admit(1)?;
        let deadline = self.nodes.time(self.now).plus(self.options.request_timeout_ms());
        let body = Body::Command { number, given: Some(given), deadline, player, command };
        Ok(self.begin_one(None, Place::Bucket(bucket_of(seed, &player, &command)), None, body))
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
        match split::split(seed, &self.routes, read, level, self.options.watch_for()) {
            Split::One(place, body) => Ok(self.begin_one(None, place, from, body)),
            Split::Many(pieces) => {
                let op = self.ops.next_key();
                let parts = pieces.into_iter().map(|(place, body)| self.add_part(op, place, from, body)).collect();
                Ok(self.begin(None, Parts::Many(Box::new(Gathering::new(read, level, from, parts)))))
            }
            Split::NoSuchShard(shard) => Err(StartError::NoSuchShard(shard)),
            Split::NotThere(shard) => Err(StartError::NotThere(shard)),
        }
    }

    /// Begins a change of who takes part in `shard`. Asked for again, it does nothing more.
    pub fn start_change(&mut self, now: Now, shard: ShardId, change: Change) -> Result<OpId, StartError> {
        self.at(now);
        self.admit(1)?;
        let bucket = self.routes.rows().iter().find(|row| row.shard == shard).map(|row| row.first);
        let bucket = bucket.ok_or(StartError::NoSuchShard(shard))?;
        Ok(self.begin_one(None, Place::Bucket(bucket), None, Body::Change(change)))
    }

    /// Asks a node about itself. Tried once: a node that is not connected or does not answer soon is a failure.
    pub fn start_node_report(&mut self, now: Now, node: NodeId) -> Result<OpId, StartError> {
        self.at(now);
        self.admit(1)?;
        Ok(self.begin_one(None, Place::Node(node), Some(node), Body::Node))
    }

    /// Asks a node about its replicas. Tried once, as [`ClientProto::start_node_report`].
    pub fn start_shards_report(&mut self, now: Now, node: NodeId) -> Result<OpId, StartError> {
        self.at(now);
        self.admit(1)?;
        Ok(self.begin_one(None, Place::Node(node), Some(node), Body::Shards))
    }

    /// An operation that has ended, and how. It is under way until polled here.
    pub fn poll_outcome(&mut self) -> Option<(OpId, Result<Success, Failure>)> {
        let (key, result) = self.outcomes.pop_front()?;
        self.ops.remove(key).expect("an operation is removed when its outcome is given out");
        Some((OpId { slot: key.index, generation: key.generation }, result))
    }

    /// All outcomes there are, in order, as by [`ClientProto::poll_outcome`]; costs less where there are many.
    pub fn drain_outcomes(&mut self, mut each: impl FnMut(OpId, Result<Success, Failure>)) {
        let ops = &mut self.ops;
        self.outcomes.drain(..).for_each(|(key, result)| {
            ops.remove(key).expect("an operation is removed when its outcome is given out");
            each(OpId { slot: key.index, generation: key.generation }, result);
        });
    }

    /// The number of a command under way (its outcome not yet polled). It changes when a shard has found it dated wrong.
    pub fn request_no(&self, op: OpId) -> Option<RequestNo> {
        self.ops.get(Key { index: op.slot, generation: op.generation })?.number
    }

    /// What this client has seen and written; reads at [`Level::Session`] show at least that.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Goes on with what another client, or an earlier life of this one, has seen and written.
    pub fn resume(&mut self, session: &Session) {
        self.session.merge(session);
    }

    /// How many attempts were refused because a queue was full. Each was repeated, unless its operation's time was up.
    pub fn overloads(&self) -> u64 {
        self.overloads
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

    fn begin_one(&mut self, number: Option<RequestNo>, place: Place, only: Option<NodeId>, body: Body) -> OpId {
        let op = self.ops.next_key();
        let part = self.add_part(op, place, only, body);
        self.begin(number, Parts::One(part))
    }

    fn begin(&mut self, number: Option<RequestNo>, parts: Parts) -> OpId {
        let key = self.ops.insert(Op { number, parts, done: false });
        let when = self.now.plus(self.options.request_timeout);
        let ops = &self.ops;
        self.timers.totals.push(when, key, |key| is_under_way(ops, key));
        OpId { slot: key.index, generation: key.generation }
    }

    fn add_part(&mut self, op: Key, place: Place, only: Option<NodeId>, body: Body) -> Key {
        let part = Part { op, place, only, body, state: State::Ready, past: Past::default() };
        let key = self.parts.insert(part);
        self.ready.push_back(key);
        key
    }

    /// The map has changed: reads of several shards begin anew, since the old parts no longer cover what was asked.
    fn split_again(&mut self) {
        let seed = self.seed.expect("a map comes with a seed");
        let of_many = |op: &Op| !op.done && matches!(op.parts, Parts::Many(_));
        let keys: Vec<Key> = self.ops.iter().filter(|(_, op)| of_many(op)).map(|(key, _)| key).collect();
        for key in keys {
            self.drop_parts(key);
            let Some(Op { parts: Parts::Many(gathering), .. }) = self.ops.get(key) else { continue };
            let (read, level, from) = gathering.asked();
            let Split::Many(pieces) = split::split(seed, &self.routes, read, level, self.options.watch_for()) else {
                unreachable!("a read of many parts has some, whatever the map");
            };
            let parts = pieces.into_iter().map(|(place, body)| self.add_part(key, place, from, body)).collect();
            let op = self.ops.get_mut(key).expect("listed just now");
            op.parts = Parts::Many(Box::new(Gathering::new(read, level, from, parts)));
        }
    }

    /// The operation ends; what is left of its parts is forgotten.
    pub(crate) fn finish(&mut self, key: Key, result: Result<Success, Failure>) {
        self.drop_parts(key);
        let op = self.ops.get_mut(key).expect("an operation ends once");
        debug_assert!(!op.done, "an operation ends once");
        op.done = true;
        if let Some(number) = op.number {
            self.window.close(number);
        }
        self.outcomes.push_back((key, result));
    }

    pub(crate) fn parts_of(&self, key: Key) -> &[Key] {
        self.ops.get(key).map_or(&[], |op| op.parts.keys())
    }

    fn drop_parts(&mut self, key: Key) {
        let op = self.ops.get(key).expect("its operation outlives a part");
        for &part in op.parts.keys() {
            self.parts.remove(part);
        }
    }
}

/// Where the shard is found that a command is for.
fn bucket_of(seed: WorldSeed, player: &PlayerName, command: &Command) -> Bucket {
    match command.chunk() {
        Some(chunk) => Bucket::of_chunk(seed, chunk),
        None => Bucket::of_player(seed, player),
    }
}

impl Parts {
    fn keys(&self) -> &[Key] {
        match self {
            Self::One(part) => std::slice::from_ref(part),
            Self::Many(gathering) => gathering.parts(),
        }
    }
}
