//! What one request costs in here, without any codec or network: keeps 4,096 claims in flight against nodes that answer
//! at once, or reads of single fields with the word `reads`. A pure crate has no clock, so run it under one:
//! `time cargo run --release -p client-proto --example cost`, or under `perf record`.

use client_proto::{ClientProto, Now, Options, Read};
use paxos::{NodeId, Slot};
use placement::ShardMap;
use wire::{Answer, AnswerBody, ClientId, Level, Query, Receipt, Reply, RequestBody, Welcome};
use world::rules::World;
use world::{Acorns, CharacterId, Command, FieldId, FieldView, Millis, Outcome, PlayerName, PlayerView};
use world::{Terrain, WorldSeed};

const REQUESTS: u32 = 4_000_000;
const IN_FLIGHT: usize = 4_096;

fn untouched(field: FieldId) -> FieldView {
    let (terrain, structures) = (Terrain::Pine, Vec::new());
    FieldView { field, terrain, owner: None, character: None, crop: None, structures, price: None, version: 0 }
}

fn main() {
    let reads = std::env::args().any(|word| word == "reads");
    let nodes = [1, 2, 3].map(NodeId);
    let map = ShardMap::initial(64, &nodes, 3).expect("a sound layout");
    let rules = World::ice_age().rules;
    let mut proto = ClientProto::new(ClientId(1), 1, Options::default());
    for node in nodes {
        let welcome = Welcome { node, seed: WorldSeed(1), map: map.clone(), rules: rules.clone(), time: Millis(1) };
        proto.handle_welcome(Now(0), node, &welcome).expect("a sound welcome");
    }
    let player = PlayerName::new("scrat").expect("a name");
    let (mut started, mut done) = (0, 0);
    let mut answers: [Vec<Answer>; 4] = Default::default();
    while done < REQUESTS {
        // 10 microseconds each: what 100,000 a second leave.
        let now = Now(u64::from(done) * 10);
        while started < REQUESTS && proto.in_flight() < IN_FLIGHT {
            let field = FieldId::new(started % 1_000_000, started / 1_000_000 * 100).expect("on the grid");
            if reads {
                proto.start_read(now, Read::Field(field), None, None).expect("there is room");
            } else {
                let command = Command::Claim { field, character: CharacterId(0) };
                proto.start_command(now, player, command).expect("there is room");
            }
            started += 1;
        }
        while let Some((node, request)) = proto.poll_transmit() {
            let receipt = |shard| Receipt { shard, node, slot: Slot(1), level: Level::Strong, bound_ms: Some(0) };
            let body = match request.body {
                RequestBody::Command { shard, .. } => {
                    let player = PlayerView { name: player, acorns: Acorns(0) };
                    AnswerBody::Applied { outcome: Outcome::Registered { player, new: false }, receipt: receipt(shard) }
                }
                RequestBody::Read { shard, query: Query::Fields(fields), .. } => {
                    let reply = Reply::Fields(fields.into_iter().map(untouched).collect());
                    AnswerBody::Read { reply, receipt: receipt(shard) }
                }
                RequestBody::Read { shard, query: Query::Field(field), .. } => {
                    AnswerBody::Read { reply: Reply::Field(untouched(field)), receipt: receipt(shard) }
                }
                other => panic!("nobody asked for {other:?}"),
            };
            answers[node.0 as usize].push(Answer { id: request.id, body });
        }
        proto.next_timeout();
        for node in nodes {
            proto.handle_answers(now, node, std::mem::take(&mut answers[node.0 as usize]));
        }
        proto.drain_outcomes(|_, _| done += 1);
    }
    println!("{done} {}", if reads { "reads" } else { "claims" });
}
