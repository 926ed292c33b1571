//! A client, the nodes it talks to (played by the test) and virtual time.

use client_proto::{ClientProto, Failure, Now, OpId, Options, Success};
use paxos::{NodeId, Slot};
use placement::{ShardId, ShardMap};
use std::time::Duration;
use wire::{Answer, AnswerBody, ClientId, Envelope, Level, Receipt, Refusal, Request, RequestBody, Welcome};
use world::command::Deed;
use world::rules::World;
use world::{Bucket, CharacterId, Command, FieldId, FieldView, Millis, Outcome, PlayerName, Terrain, WorldSeed};

pub const SEED: WorldSeed = WorldSeed(7);
/// The nodes' wall clock at the test's time zero.
pub const EPOCH: Millis = Millis(1_700_000_000_000);
pub const N1: NodeId = NodeId(1);
pub const N2: NodeId = NodeId(2);
pub const N3: NodeId = NodeId(3);

pub struct Play {
    pub proto: ClientProto,
    pub now: Now,
    pub map: ShardMap,
}

/// One request as the node sees it.
pub type Sent = (NodeId, Request);

impl Play {
    /// Three nodes, all connected, `shards` shards of three voters each.
    pub fn new(shards: u32) -> Self {
        Self::with(shards, Options::default())
    }

    pub fn with(shards: u32, options: Options) -> Self {
        let mut play = Self::unconnected(shards, options);
        for node in [N1, N2, N3] {
            play.welcome(node);
        }
        play
    }

    pub fn unconnected(shards: u32, options: Options) -> Self {
        let map = ShardMap::initial(shards, &[N1, N2, N3], 3).unwrap();
        Self { proto: ClientProto::new(ClientId(9), 1, options), now: Now(0), map }
    }

    pub fn welcome(&mut self, node: NodeId) {
        let welcome = self.welcome_of(node);
        self.proto.handle_welcome(self.now, node, &welcome).unwrap();
    }

    pub fn welcome_of(&self, node: NodeId) -> Welcome {
        let rules = World::ice_age().rules;
        Welcome { node, seed: SEED, map: self.map.clone(), rules, time: EPOCH.plus(self.now.0 / 1_000) }
    }

    pub fn disconnect(&mut self, node: NodeId) {
        self.proto.handle_disconnected(self.now, node);
    }

    pub fn claim(&mut self, field: FieldId) -> OpId {
        let command = Command::Claim { field, character: CharacterId(0) };
        self.proto.start_command(self.now, scrat(), command).unwrap()
    }

    /// Everything there is to send.
    pub fn sent(&mut self) -> Vec<Sent> {
        std::iter::from_fn(|| self.proto.poll_transmit()).collect()
    }

    /// The one request there is to send.
    pub fn one_sent(&mut self) -> Sent {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.pop().unwrap()
    }

    /// The one request there is to send, after as much time as the client wants to pass before it.
    pub fn next_sent(&mut self) -> Sent {
        let mut sent = self.sent();
        while sent.is_empty() {
            self.now = self.proto.next_timeout().expect("something is under way").max(self.now);
            self.proto.handle_timeout(self.now);
            assert!(self.proto.in_flight() > 0, "nothing more will be sent");
            sent = self.sent();
        }
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.pop().unwrap()
    }

    /// `ms` milliseconds go by, with every timer at its moment.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now.plus(Duration::from_millis(ms));
        while let Some(next) = self.proto.next_timeout().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.proto.handle_timeout(self.now);
            if self.proto.next_timeout() == Some(next) {
                break;
            }
        }
        self.now = end;
        self.proto.handle_timeout(self.now);
    }

    pub fn answer(&mut self, to: &Sent, body: AnswerBody) {
        self.proto.handle_answers(self.now, to.0, vec![Answer { id: to.1.id, body }]);
    }

    pub fn refuse(&mut self, to: &Sent, refusal: Refusal) {
        self.answer(to, AnswerBody::Refused(refusal));
    }

    pub fn apply(&mut self, to: &Sent) {
        let field = command_field(&to.1);
        let outcome = Outcome::Done { deed: Deed::Claimed, field: field_view(field, 1) };
        self.answer(to, AnswerBody::Applied { outcome, receipt: receipt(&to.1, to.0) });
    }

    pub fn outcome(&mut self) -> Option<(OpId, Result<Success, Failure>)> {
        self.proto.poll_outcome()
    }

    /// The failure of the one operation that has ended.
    pub fn failure(&mut self) -> Failure {
        let (_, result) = self.outcome().expect("an operation has ended");
        result.expect_err("it failed")
    }

    /// Lets everything run out that is never answered, and gives the outcome.
    pub fn run_out(&mut self) -> Failure {
        loop {
            self.sent();
            if let Some((_, result)) = self.outcome() {
                return result.expect_err("it failed");
            }
            self.now = self.proto.next_timeout().expect("something is under way").max(self.now);
            self.proto.handle_timeout(self.now);
        }
    }

    /// A field whose shard is the map's row `row`.
    pub fn field_in(&self, row: usize) -> FieldId {
        let info = &self.map.shards()[row];
        let fields = (0..10_000).map(|n| FieldId::new(n * 64, 64).unwrap());
        fields.into_iter().find(|field| self.shard_of(*field) == info.shard).expect("ten thousand chunks spread")
    }

    pub fn shard_of(&self, field: FieldId) -> ShardId {
        self.map.shard_of(Bucket::of_chunk(SEED, field.chunk())).shard
    }
}

pub fn scrat() -> PlayerName {
    PlayerName::new("scrat").unwrap()
}

pub fn envelope(request: &Request) -> Envelope {
    match request.body {
        RequestBody::Command { envelope, .. } => envelope,
        ref other => panic!("not a command: {other:?}"),
    }
}

pub fn number(request: &Request) -> u64 {
    envelope(request).number.0
}

fn command_field(request: &Request) -> FieldId {
    envelope(request).command.field().expect("about a field")
}

pub fn receipt(request: &Request, node: NodeId) -> Receipt {
    let (shard, level) = match request.body {
        RequestBody::Command { shard, .. } => (shard, Level::Strong),
        RequestBody::Read { shard, level, .. } => (shard, level),
        ref other => panic!("no shard: {other:?}"),
    };
    Receipt { shard, node, slot: Slot(5), level, bound_ms: Some(0) }
}

pub fn field_view(field: FieldId, version: u32) -> FieldView {
    FieldView {
        field,
        terrain: Terrain::Tundra,
        owner: Some(scrat()),
        character: None,
        crop: None,
        structures: Vec::new(),
        price: None,
        version,
    }
}

/// The log's clock is a quarter of an hour ahead of what the nodes' clocks said.
pub fn expired() -> Refusal {
    Refusal::Expired { log_time: EPOCH.plus(900_000) }
}

pub fn not_leader(leader: Option<NodeId>) -> Refusal {
    Refusal::NotLeader { leader }
}
