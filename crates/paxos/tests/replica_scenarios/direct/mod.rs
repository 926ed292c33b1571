//! What a play cannot show: what callers get back, and what must never be called.

use bytes::Bytes;
use paxos::{Ballot, Configuration, Effect, Message, NodeId, QuorumSystem, Recovered, Replica, Slot, Token, Value};

mod electing;
mod following;
mod joining;
mod leading;
mod protecting;

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);

fn majority_of_three() -> QuorumSystem {
    QuorumSystem::majority([N1, N2, N3]).expect("majorities always meet")
}

fn fresh(node: NodeId) -> Replica {
    Replica::new(node, Configuration::first(majority_of_three()), Recovered::fresh())
}

fn command(text: &str) -> Value {
    Value::Command(Bytes::copy_from_slice(text.as_bytes()))
}

fn ballot(round: u64, node: NodeId) -> Ballot {
    Ballot { round, node }
}

fn tell(replica: &mut Replica, from: NodeId, message: Message) {
    replica.handle_message(from, 0, message, &mut paxos::liveness::nobody);
}

fn effects(replica: &mut Replica) -> Vec<Effect> {
    std::iter::from_fn(|| replica.poll_effect()).collect()
}

fn sent(effects: &[Effect]) -> Vec<(NodeId, &Message)> {
    let sent = |effect| if let &Effect::Send { to, ref message, .. } = effect { Some((to, message)) } else { None };
    effects.iter().filter_map(sent).collect()
}

fn accept(ballot: Ballot, at: u64, values: &[&str], chosen: u64) -> Message {
    let values = values.iter().map(|text| command(text)).collect();
    Message::Accept { ballot, start: Slot(1), at: Slot(at), values, chosen: Slot(chosen), kept: Slot::ZERO }
}

/// n1 stands under 1.n1 with n2's consent; its promise is durable.
fn candidate() -> Replica {
    let mut replica = fresh(N1);
    replica.campaign(&mut paxos::liveness::nobody);
    let promised = Ballot::ZERO;
    tell(&mut replica, N2, Message::Canvassed { ballot: ballot(1, N1), promised, leader: None });
    replica.handle_persisted(Token(1));
    replica
}

fn promise_of_nothing() -> Message {
    Message::Promise { ballot: ballot(1, N1), chosen: Slot::ZERO, first: Slot(1), accepted: vec![] }
}

/// n1 leads 1.n1 with n2's promise; its no-op is proposed at slot 1 and written, and nothing is chosen.
fn leader() -> Replica {
    let mut replica = candidate();
    tell(&mut replica, N2, promise_of_nothing());
    replica.handle_persisted(Token(2));
    assert!(replica.is_leader());
    effects(&mut replica);
    replica
}

fn ack(through: u64, chosen: u64) -> Message {
    let (through, chosen) = (Slot(through), Slot(chosen));
    Message::Ack { ballot: ballot(1, N1), through, chosen, safe: Slot::ZERO, gap: false }
}
