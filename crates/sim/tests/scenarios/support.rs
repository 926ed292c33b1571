//! A cluster at a test's command.

use client_proto::{Failure, OpId, Read, Success};
use paxos::{Ballot, NodeId, Slot};
use placement::ShardId;
use sim::clock::SECOND;
use sim::cluster::Cluster;
use sim::judge::PlayerNo;
use sim::network::index;
use sim::plan::Plan;
use sim::player::Intent;
use wire::Level;
use wire::peer::{Frame, PeerMessage};
use world::{CharacterId, Command, Deed, FieldId, Outcome, PlayerName};

/// The only shard of most scenarios.
pub const SHARD: ShardId = ShardId(1);
pub const N1: NodeId = NodeId(1);
pub const N2: NodeId = NodeId(2);
pub const N3: NodeId = NodeId(3);

/// A quiet cluster of one shard, led by n1, with a client near every node.
pub fn cluster(nodes: u32) -> Cluster {
    cluster_of(Plan { players: nodes as usize, ..Plan::quiet(7, nodes, nodes as usize, 1) })
}

/// The same of any plan.
pub fn cluster_of(plan: Plan) -> Cluster {
    let mut cluster = Cluster::new(plan, std::env::var_os("SIM_TRACE").is_some());
    let ready = cluster.run_until(10 * SECOND, |cluster| {
        let nodes_ready = cluster.machines.iter().all(|m| m.host.as_ref().is_some_and(host::Host::is_ready));
        let connected = |player: &sim::player::Player| player.conns.iter().all(Option::is_some);
        nodes_ready && cluster.players.iter().all(connected)
    });
    assert!(ready, "the cluster never got ready: {:?}", cluster.trouble());
    // Watermarks and checkpoints of the start settle.
    cluster.run_for(SECOND);
    cluster
}

/// The `nth` field of the first shard that nobody else uses.
pub fn field(cluster: &Cluster, nth: usize) -> FieldId {
    cluster.sites[0].field(100 + nth).expect("there are enough")
}

pub fn name(cluster: &Cluster, player: PlayerNo) -> PlayerName {
    cluster.players[player].name
}

pub fn claim(cluster: &mut Cluster, player: PlayerNo, field: FieldId) -> OpId {
    let command = Command::Claim { field, character: CharacterId(0) };
    cluster.begin(player, Intent::Do(command)).expect("it has a connection")
}

pub fn read(cluster: &mut Cluster, player: PlayerNo, field: FieldId, level: Level, from: Option<NodeId>) -> OpId {
    cluster.begin(player, Intent::Ask(Read::Field(field), level, from)).expect("it has a connection")
}

/// Waits for what comes out, at most `seconds`.
pub fn result(cluster: &mut Cluster, player: PlayerNo, op: OpId, seconds: u64) -> Result<Success, Failure> {
    let came = cluster.run_until(seconds * SECOND, |cluster| cluster.result(player, op).is_some());
    sound(cluster);
    assert!(came, "nothing came of {op:?} within {seconds} s");
    cluster.result(player, op).expect("it came").clone()
}

/// Claims and insists.
pub fn must_claim(cluster: &mut Cluster, player: PlayerNo, field: FieldId) {
    let op = claim(cluster, player, field);
    let result = result(cluster, player, op, 20);
    assert!(is_claimed(&result), "{field} for player {player}: {result:?}");
}

pub fn is_claimed(result: &Result<Success, Failure>) -> bool {
    matches!(result, Ok(Success::Command { outcome: Outcome::Done { deed: Deed::Claimed, .. }, .. }))
}

/// Whom a read's answer names.
pub fn owner(result: Result<Success, Failure>) -> Option<PlayerName> {
    match result {
        Ok(Success::Field { field, .. }) => field.owner,
        other => panic!("no answer to a read: {other:?}"),
    }
}

/// Nothing that is promised has been broken so far.
pub fn sound(cluster: &mut Cluster) {
    if let Some(violation) = cluster.judge.violation.take() {
        for line in std::mem::take(&mut cluster.trace).into_lines() {
            println!("{line}");
        }
        panic!("{violation}");
    }
}

/// Mends everything, waits until all is well, and lets the observer compare what is left.
pub fn calm_and_check(cluster: &mut Cluster) {
    cluster.meddler.stop();
    cluster.calm();
    cluster.play();
    sound(cluster);
}

pub fn leader(cluster: &Cluster) -> Option<NodeId> {
    cluster.leader(SHARD)
}

pub fn ballot(cluster: &Cluster, node: NodeId) -> Ballot {
    cluster.paxos(node, SHARD).expect("it runs").promised()
}

pub fn applied(cluster: &Cluster, node: NodeId) -> Slot {
    let host = cluster.machines[index(node)].host.as_ref().expect("it runs");
    host.replica(SHARD).expect("it votes").applied()
}

pub fn elections(cluster: &Cluster) -> u64 {
    cluster.elections.get(&SHARD).copied().unwrap_or_default()
}

/// The messages of the shard in a frame.
pub fn paxos_of(frame: &Frame) -> impl Iterator<Item = &paxos::Message> {
    frame.messages.iter().filter_map(|message| match message {
        PeerMessage::Paxos { message, .. } => Some(message),
        _ => None,
    })
}
