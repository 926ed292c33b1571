//! What one request costs in here, without any codec or network: keeps 4,096 claims in flight against nodes that answer
//! at once. A pure crate has no clock, so run it under one: `time cargo run --release -p client-proto --example cost`,
//! or under `perf record`.

use client_proto::{ClientProto, Now, Options};
use paxos::{NodeId, Slot};
use placement::ShardMap;
use wire::{Answer, AnswerBody, ClientId, Level, Receipt, RequestBody, Welcome};
use world::{Acorns, CharacterId, Command, FieldId, Millis, Outcome, PlayerName, PlayerView, RuleBook, WorldSeed};

const CLAIMS: u32 = 4_000_000;
const IN_FLIGHT: usize = 4_096;

fn main() {
    let nodes = [1, 2, 3].map(NodeId);
    let map = ShardMap::initial(64, &nodes, 3).expect("a sound layout");
    let rules = RuleBook {
        version: 1,
        name: "none".into(),
        starting_acorns: Acorns(0),
        fields_per_chunk: 64,
        max_price: Acorns(0),
        characters: Vec::new(),
        crops: Vec::new(),
        buildings: Vec::new(),
    };
    let mut proto = ClientProto::new(ClientId(1), 1, Options::default());
    for node in nodes {
        let welcome = Welcome { node, seed: WorldSeed(1), map: map.clone(), rules: rules.clone(), time: Millis(1) };
        proto.handle_welcome(Now(0), node, &welcome).expect("a sound welcome");
    }
    let player = PlayerName::new("scrat").expect("a name");
    let (mut started, mut done) = (0, 0);
    let mut answers: [Vec<Answer>; 4] = Default::default();
    while done < CLAIMS {
        // 10 microseconds a claim: what 100,000 claims a second leave.
        let now = Now(u64::from(done) * 10);
        while started < CLAIMS && proto.in_flight() < IN_FLIGHT {
            let field = FieldId::new(started % 1_000_000, started / 1_000_000 * 100).expect("on the grid");
            let command = Command::Claim { field, character: CharacterId(0) };
            proto.start_command(now, player, command).expect("there is room");
            started += 1;
        }
        while let Some((node, request)) = proto.poll_transmit() {
            let RequestBody::Command { shard, .. } = request.body else { continue };
            let outcome = Outcome::Registered { player: PlayerView { name: player, acorns: Acorns(0) }, new: false };
            let receipt = Receipt { shard, node, slot: Slot(1), level: Level::Strong, bound_ms: Some(0) };
            answers[node.0 as usize].push(Answer { id: request.id, body: AnswerBody::Applied { outcome, receipt } });
        }
        proto.next_timeout();
        for node in nodes {
            proto.handle_answers(now, node, std::mem::take(&mut answers[node.0 as usize]));
        }
        while proto.poll_outcome().is_some() {
            done += 1;
        }
    }
    println!("{done} claims");
}
