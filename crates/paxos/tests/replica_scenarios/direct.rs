//! What a play cannot show: what callers get back, and what must never be called.

use crate::machine::{Event, Machine};
use bytes::Bytes;
use paxos::{
    Accepted, Ballot, Effect, Message, NodeId, QuorumSystem, Record, Recovered, Replica, Slot, Token, Value,
    replica::NotLeader,
};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);

fn majority_of_three() -> QuorumSystem {
    QuorumSystem::majority([N1, N2, N3]).expect("majorities always meet")
}

fn fresh(node: NodeId) -> Replica {
    Replica::new(node, majority_of_three(), Recovered::fresh())
}

fn command(text: &str) -> Value {
    Value::Command(Bytes::copy_from_slice(text.as_bytes()))
}

fn ballot(round: u64, node: NodeId) -> Ballot {
    Ballot { round, node }
}

fn tell(replica: &mut Replica, from: NodeId, message: Message) {
    replica.handle_message(from, message, &|_, _| false);
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

/// n1 leads 1.n1 with n2's promise; its no-op is proposed at slot 1 and written, and nothing is chosen.
fn leader() -> Replica {
    let mut replica = fresh(N1);
    replica.campaign();
    let promised = Ballot::ZERO;
    tell(&mut replica, N2, Message::Canvassed { ballot: ballot(1, N1), promised, leader: None });
    replica.handle_persisted(Token(1));
    let promise = Message::Promise { ballot: ballot(1, N1), chosen: Slot::ZERO, first: Slot(1), accepted: vec![] };
    tell(&mut replica, N2, promise);
    replica.handle_persisted(Token(2));
    assert!(replica.is_leader());
    effects(&mut replica);
    replica
}

fn ack(through: u64, chosen: u64) -> Message {
    let (through, chosen) = (Slot(through), Slot(chosen));
    Message::Ack { ballot: ballot(1, N1), through, chosen, safe: Slot::ZERO, gap: false }
}

#[test]
fn follower_neither_proposes_nor_reads_nor_resigns() {
    let mut replica = fresh(N1);
    assert_eq!(replica.propose(command("A")), Err(NotLeader));
    assert_eq!(replica.begin_read(), Err(NotLeader));
    assert_eq!(replica.resign(), Err(NotLeader));
    assert_eq!(replica.in_flight(), 0);
    assert_eq!(effects(&mut replica), []);
}

#[test]
fn strangers_are_not_listened_to_and_do_not_campaign() {
    let mut replica = fresh(N1);
    tell(&mut replica, NodeId(9), Message::Prepare { ballot: ballot(5, NodeId(9)), chosen: Slot::ZERO });
    assert_eq!(replica.promised(), Ballot::ZERO);
    let mut stranger = fresh(NodeId(9));
    stranger.campaign();
    assert!(!stranger.is_campaigning());
    assert_eq!(effects(&mut replica), effects(&mut stranger));
}

#[test]
fn ballots_sent_by_somebody_else_than_their_owner_are_refused() {
    let stolen = ballot(5, N3);
    let messages = [
        Message::Prepare { ballot: stolen, chosen: Slot::ZERO },
        accept(stolen, 1, &["A"], 0),
        Message::Watermark { ballot: stolen, start: Slot(1), chosen: Slot(1), kept: Slot::ZERO },
        Message::Confirm { ballot: stolen, round: 1 },
    ];
    for message in messages {
        let mut replica = fresh(N1);
        tell(&mut replica, N2, message);
        assert_eq!(replica.promised(), Ballot::ZERO);
        let effects = effects(&mut replica);
        assert!(matches!(sent(&effects)[..], [(N2, Message::Refuse { .. })]), "{effects:?}");
    }
}

#[test]
fn nothing_leaves_before_what_it_answers_is_durable() {
    let mut replica = fresh(N1);
    tell(&mut replica, N2, Message::Prepare { ballot: ballot(1, N2), chosen: Slot::ZERO });
    tell(&mut replica, N2, accept(ballot(1, N2), 1, &["A"], 0));
    let effects = effects(&mut replica);
    let waits = effects.iter().map(|effect| match effect {
        Effect::Persist { token, .. } => (false, Some(*token)),
        Effect::Send { after, .. } => (true, *after),
        other => panic!("not expected: {other:?}"),
    });
    assert_eq!(
        waits.collect::<Vec<_>>(),
        [(false, Some(Token(1))), (true, Some(Token(1))), (false, Some(Token(2))), (true, Some(Token(2)))],
        "the promise waits for its record, the acknowledgement for the vote"
    );
}

#[test]
fn candidates_prepare_waits_for_its_own_promise() {
    let mut replica = fresh(N1);
    replica.campaign();
    tell(&mut replica, N2, Message::Canvassed { ballot: ballot(1, N1), promised: ballot(7, N3), leader: None });
    let effects = effects(&mut replica);
    let prepares = effects.iter().filter_map(|effect| match effect {
        Effect::Send { message: Message::Prepare { ballot, .. }, after, .. } => Some((*ballot, *after)),
        _ => None,
    });
    let (own, waits) = (ballot(8, N1), Some(Token(1)));
    assert_eq!(prepares.collect::<Vec<_>>(), [(own, waits), (own, waits)], "above every ballot heard of, once durable");
}

#[test]
fn window_counts_what_is_proposed_and_not_chosen() {
    let mut replica = leader();
    assert_eq!(replica.in_flight(), 1);
    assert_eq!(replica.propose(command("A")), Ok(Slot(2)));
    assert_eq!(replica.propose(command("B")), Ok(Slot(3)));
    assert_eq!(replica.in_flight(), 3);
    replica.handle_persisted(Token(4));
    tell(&mut replica, N2, ack(2, 0));
    assert_eq!((replica.in_flight(), replica.chosen()), (1, Slot(2)));
    tell(&mut replica, N3, ack(3, 0));
    assert_eq!((replica.in_flight(), replica.chosen()), (0, Slot(3)));
}

#[test]
fn acknowledgement_of_slots_never_proposed_counts_for_nothing() {
    let mut replica = leader();
    tell(&mut replica, N2, ack(5, 0));
    assert_eq!(replica.chosen(), Slot::ZERO);
    tell(&mut replica, N2, ack(1, 0));
    assert_eq!(replica.chosen(), Slot(1));
}

#[test]
fn acknowledgements_out_of_order_never_take_back() {
    let mut replica = leader();
    replica.propose(command("A")).expect("it leads");
    replica.handle_persisted(Token(3));
    tell(&mut replica, N2, ack(2, 0));
    tell(&mut replica, N2, ack(1, 0));
    assert_eq!((replica.chosen(), replica.in_flight()), (Slot(2), 0));
}

#[test]
fn repeated_gap_costs_one_repetition_until_a_retry() {
    let mut replica = leader();
    replica.propose(command("A")).expect("it leads");
    effects(&mut replica);
    let gap = || Message::Ack { ballot: ballot(1, N1), through: Slot(0), chosen: Slot(0), safe: Slot(0), gap: true };
    let mut accepts = || {
        tell(&mut replica, N2, gap());
        let effects = effects(&mut replica);
        sent(&effects).iter().filter(|(to, message)| *to == N2 && matches!(message, Message::Accept { .. })).count()
    };
    assert_eq!([accepts(), accepts(), accepts()], [1, 0, 0]);
    replica.handle_retry(&|_| true);
    effects(&mut replica);
    tell(&mut replica, N2, gap());
    assert!(!effects(&mut replica).is_empty());
}

#[test]
fn retry_sends_again_only_what_did_not_move_and_only_to_the_living() {
    let mut replica = leader();
    let mut resent = |alive: &dyn Fn(NodeId) -> bool| {
        replica.handle_retry(alive);
        let effects = effects(&mut replica);
        let accepts = sent(&effects).into_iter().filter(|(_, message)| matches!(message, Message::Accept { .. }));
        accepts.map(|(to, _)| to).collect::<Vec<_>>()
    };
    assert_eq!(resent(&|_| true), [], "it may still be under way");
    assert_eq!(resent(&|node| node == N3), [N3]);
    assert_eq!(resent(&|_| true), [N2, N3]);
}

#[test]
fn leader_without_anything_open_wants_no_retry() {
    let mut replica = leader();
    assert!(replica.wants_retry(&|_| true), "its no-op is not acknowledged");
    assert!(!replica.wants_retry(&|_| false), "nobody would hear it");
    tell(&mut replica, N2, ack(1, 0));
    tell(&mut replica, N3, ack(1, 0));
    assert!(replica.wants_flush(&|_| true) && !replica.wants_flush(&|_| false));
    replica.flush_watermark(&|_| true);
    assert!(!replica.wants_flush(&|_| true));
    assert!(replica.wants_retry(&|_| true), "nobody has said that it knows");
    tell(&mut replica, N2, ack(1, 1));
    tell(&mut replica, N3, ack(1, 1));
    assert!(!replica.wants_retry(&|_| true));
    replica.begin_read().expect("it leads");
    replica.ask_confirmation();
    assert!(replica.wants_retry(&|_| true), "a read waits");
}

#[test]
fn reads_of_one_turn_share_one_question() {
    let mut replica = leader();
    let (one, other) = (replica.begin_read(), replica.begin_read());
    assert_eq!(one, other);
    effects(&mut replica);
    replica.ask_confirmation();
    replica.ask_confirmation();
    assert_eq!(sent(&effects(&mut replica)).len(), 2, "one to each peer");
    tell(&mut replica, N3, Message::Confirmed { ballot: ballot(1, N1), round: 1 });
    assert_eq!(effects(&mut replica), [Effect::ReadsConfirmed { round: 1 }]);
    assert_eq!(replica.begin_read().map(|ticket| ticket.round), Ok(2), "who comes later asks anew");
}

#[test]
fn confirmation_of_another_ballot_confirms_nothing() {
    let mut replica = leader();
    replica.begin_read().expect("it leads");
    replica.ask_confirmation();
    effects(&mut replica);
    tell(&mut replica, N2, Message::Confirmed { ballot: ballot(1, N2), round: 1 });
    tell(&mut replica, NodeId(9), Message::Confirmed { ballot: ballot(1, N1), round: 1 });
    assert_eq!(effects(&mut replica), []);
}

#[test]
fn log_read_serves_only_what_was_chosen_when_it_was_asked_for() {
    let entries = [(Slot(1), (Ballot::ZERO, command("A"))), (Slot(2), (ballot(1, N2), command("B")))].into();
    let recovered = Recovered { chosen: Slot(1), entries, ..Recovered::fresh() };
    let mut replica = Replica::new(N1, majority_of_three(), recovered);
    replica.handle_log_read(N3, Slot::ZERO, Slot(1), vec![command("A"), command("B")]);
    replica.handle_log_read(N3, Slot(1), Slot(1), vec![command("B")]);
    replica.handle_log_read(N3, Slot::ZERO, Slot(1), vec![]);
    let effects = effects(&mut replica);
    let learn = Message::Learn { at: Slot(1), values: vec![command("A")], chosen: Slot(1) };
    assert_eq!(sent(&effects), [(N3, &learn)]);
}

#[test]
fn log_with_a_gap_counts_as_chosen_only_up_to_the_gap() {
    let entries = [(Slot(1), (Ballot::ZERO, command("A"))), (Slot(3), (Ballot::ZERO, command("C")))].into();
    let recovered = Recovered { chosen: Slot(3), entries, ..Recovered::fresh() };
    let replica = Replica::new(N1, majority_of_three(), recovered);
    assert_eq!(replica.chosen(), Slot(1));
}

#[test]
fn recovered_log_keeps_the_last_record_of_each_slot_and_the_highest_promise() {
    let mut recovered = Recovered { applied: Slot(1), chosen: Slot(1), ..Recovered::fresh() };
    let accept = |slot, ballot, text, chosen| Record::Accept { slot, ballot, value: command(text), chosen };
    recovered.fold(accept(Slot(1), ballot(1, N1), "old", Slot::ZERO));
    recovered.fold(accept(Slot(2), ballot(1, N1), "X", Slot(1)));
    recovered.fold(Record::Promise { ballot: ballot(4, N3) });
    recovered.fold(accept(Slot(2), ballot(2, N2), "Y", Slot(1)));
    recovered.fold(Record::Promise { ballot: ballot(3, N2) });
    assert_eq!(recovered.promised, ballot(4, N3), "promises only rise");
    assert_eq!(recovered.entries, [(Slot(2), (ballot(2, N2), command("Y")))].into(), "slot 1 is in the checkpoint");
    assert_eq!(recovered.chosen, Slot(1));
    recovered.fold(Record::Learn { slot: Slot(2), value: command("Z") });
    assert_eq!(recovered.entries[&Slot(2)], (Ballot::ZERO, command("Z")));
    assert_eq!(recovered.chosen, Slot(2));
}

#[test]
fn highest_ballot_reported_wins_slot_by_slot_and_gaps_become_no_ops() {
    let quorum = QuorumSystem::majority((1..=5).map(NodeId)).expect("majorities always meet");
    let mut replica = Replica::new(N1, quorum, Recovered::fresh());
    replica.campaign();
    let own = ballot(10, N1);
    for node in [N2, N3] {
        let promised = ballot(9, N3);
        tell(&mut replica, node, Message::Canvassed { ballot: ballot(1, N1), promised, leader: None });
    }
    replica.handle_persisted(Token(1));
    effects(&mut replica);
    let report =
        |slot, round, node, text| Accepted { slot: Slot(slot), ballot: ballot(round, node), value: command(text) };
    let promise = |accepted| Message::Promise { ballot: own, chosen: Slot::ZERO, first: Slot(1), accepted };
    tell(&mut replica, N2, promise(vec![report(1, 3, N2, "A"), report(2, 2, N2, "old"), report(5, 1, N2, "E")]));
    tell(&mut replica, N3, promise(vec![report(1, 2, N3, "old"), report(2, 2, N3, "B"), report(3, 1, N1, "C")]));
    let effects = effects(&mut replica);
    let proposed = effects.iter().find_map(|effect| match effect {
        Effect::Send { message: Message::Accept { at, values, .. }, .. } => Some((*at, values.clone())),
        _ => None,
    });
    let expected = vec![command("A"), command("B"), command("C"), Value::Noop, command("E"), Value::Noop];
    assert_eq!(proposed, Some((Slot(1), expected)));
}

#[test]
fn delivered_entries_leave_memory_once_every_voter_keeps_them() {
    // n2 and n3 say that they are safe through 2: nobody asks for 1 or 2 again, so they are no longer served from memory.
    let mut machine = Machine::new(N1, majority_of_three());
    let served_from_memory = |machine: &mut Machine, after: u64| {
        machine
            .replica_mut()
            .expect("it is up")
            .handle_message(N3, Message::Fetch { after: Slot(after) }, &|_, _| false);
        let events = machine.settle();
        !events.iter().any(|event| matches!(event, Event::LogRead(_)))
    };
    let step = |machine: &mut Machine, from, message| {
        machine.replica_mut().expect("it is up").handle_message(from, message, &|_, _| false);
        machine.settle();
        machine.sync(usize::MAX);
    };
    machine.replica_mut().expect("it is up").campaign();
    step(&mut machine, N2, Message::Canvassed { ballot: ballot(1, N1), promised: Ballot::ZERO, leader: None });
    let promise = Message::Promise { ballot: ballot(1, N1), chosen: Slot::ZERO, first: Slot(1), accepted: vec![] };
    step(&mut machine, N2, promise);
    for text in ["A", "B"] {
        machine.replica_mut().expect("it is up").propose(command(text)).expect("it leads");
        machine.settle();
        machine.sync(usize::MAX);
        let through = machine.replica().expect("it is up").chosen().0 + 2;
        step(&mut machine, N2, ack(through.min(3), 0));
    }
    machine.take_checkpoint();
    assert_eq!(machine.applied(), Slot(3));
    assert!(served_from_memory(&mut machine, 0));
    let safe =
        |safe| Message::Ack { ballot: ballot(1, N1), through: Slot(3), chosen: Slot(3), safe: Slot(safe), gap: false };
    step(&mut machine, N2, safe(3));
    assert!(served_from_memory(&mut machine, 0), "n3 may still ask");
    step(&mut machine, N3, safe(2));
    assert_eq!(machine.replica().expect("it is up").kept(), Slot(2));
    assert!(!served_from_memory(&mut machine, 0) && !served_from_memory(&mut machine, 1));
    assert!(served_from_memory(&mut machine, 2));
}

#[test]
fn delivered_entries_over_the_budget_leave_memory_and_undelivered_ones_never() {
    let mut replica = fresh(N1);
    let big = Value::Command(Bytes::from(vec![0; 100 << 10]));
    for slot in 1..=6 {
        let (at, chosen) = (Slot(slot), Slot(slot - 1));
        let (values, kept) = (vec![big.clone()], Slot::ZERO);
        tell(&mut replica, N2, Message::Accept { ballot: ballot(1, N2), start: Slot(1), at, values, chosen, kept });
    }
    assert_eq!(std::iter::from_fn(|| replica.poll_chosen()).count(), 5, "all that is chosen was still there");
    effects(&mut replica);
    let mut answer = |after| {
        tell(&mut replica, N3, Message::Fetch { after: Slot(after) });
        effects(&mut replica)
    };
    assert!(matches!(answer(0)[..], [Effect::ReadLog { to: N3, after: Slot(0), through: Slot(5) }]), "long gone");
    assert!(matches!(answer(5)[..], []), "nothing more is chosen");
}

#[test]
fn long_catch_up_comes_in_parts_and_asks_on() {
    let mut replica = fresh(N1);
    let part =
        |at, chosen| Message::Learn { at: Slot(at), values: vec![command("A"), command("A")], chosen: Slot(chosen) };
    tell(&mut replica, N2, part(1, 4));
    let asked = effects(&mut replica);
    assert_eq!(replica.chosen(), Slot(2));
    assert!(sent(&asked).contains(&(N2, &Message::Fetch { after: Slot(2) })));
    tell(&mut replica, N2, part(5, 6));
    assert_eq!(replica.chosen(), Slot(2), "a part that comes too early is of no use");
    tell(&mut replica, N2, part(2, 4));
    assert_eq!(replica.chosen(), Slot(3), "one that overlaps is, as far as it is new");
}

#[test]
#[should_panic(expected = "agreement is broken")]
fn learning_another_value_for_a_chosen_slot_stops_the_node() {
    let mut replica = fresh(N1);
    let learn = |text| Message::Learn { at: Slot(1), values: vec![command(text)], chosen: Slot(1) };
    tell(&mut replica, N2, learn("A"));
    tell(&mut replica, N3, learn("B"));
}

#[test]
#[should_panic(expected = "two values for slot 1 under ballot 1.n2")]
fn leader_that_proposes_two_values_at_one_slot_stops_the_node() {
    let mut replica = fresh(N1);
    tell(&mut replica, N2, accept(ballot(1, N2), 1, &["A"], 0));
    tell(&mut replica, N2, accept(ballot(1, N2), 1, &["B"], 0));
}

#[test]
#[should_panic(expected = "two values for slot 1 under ballot 1.n3")]
fn promises_that_contradict_each_other_stop_the_candidate() {
    let quorum = QuorumSystem::majority((1..=5).map(NodeId)).expect("majorities always meet");
    let mut replica = Replica::new(N1, quorum, Recovered::fresh());
    replica.campaign();
    for node in [N2, N3] {
        let promised = ballot(1, N3);
        tell(&mut replica, node, Message::Canvassed { ballot: ballot(1, N1), promised, leader: None });
    }
    replica.handle_persisted(Token(1));
    for (node, text) in [(N2, "A"), (N3, "B")] {
        let accepted = vec![Accepted { slot: Slot(1), ballot: ballot(1, N3), value: command(text) }];
        tell(
            &mut replica,
            node,
            Message::Promise { ballot: ballot(2, N1), chosen: Slot::ZERO, first: Slot(1), accepted },
        );
    }
}

#[test]
#[should_panic(expected = "was never given out")]
fn token_that_was_never_given_out_stops_the_node() {
    fresh(N1).handle_persisted(Token(1));
}

#[test]
#[should_panic(expected = "checkpointed 1 but delivered 0")]
fn checkpoint_of_what_was_never_delivered_stops_the_node() {
    fresh(N1).handle_checkpointed(Slot(1));
}
