//! The leader: its window, its repetitions, its reads, and what it keeps.

use super::{N1, N2, N3, ack, ballot, command, effects, leader, majority_of_three, promise_of_nothing, sent, tell};
use crate::machine::{Event, Machine};
use paxos::{Ballot, Configuration, Effect, Message, NodeId, Recovered, Replica, Slot, Token, replica::TransferError};

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
    tell(&mut replica, N2, ack(2, 0));
    tell(&mut replica, N2, ack(1, 0));
    assert_eq!(replica.chosen(), Slot(1), "its own vote for 2 is not durable");
    replica.handle_persisted(Token(3));
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
fn retry_repeats_nothing_when_everything_has_arrived() {
    let mut replica = leader();
    tell(&mut replica, N2, ack(1, 1));
    tell(&mut replica, N3, ack(1, 1));
    replica.begin_read().expect("it leads");
    replica.ask_confirmation();
    tell(&mut replica, N3, Message::Confirmed { ballot: ballot(1, N1), round: 1 });
    effects(&mut replica);
    for _ in 0..3 {
        replica.handle_retry(&|_| true);
    }
    assert_eq!(effects(&mut replica), []);
}

#[test]
fn reads_of_one_turn_share_one_question() {
    let mut replica = leader();
    let (one, other) = (replica.begin_read(), replica.begin_read());
    assert_eq!(one, other);
    effects(&mut replica);
    assert!(replica.ask_confirmation() && !replica.ask_confirmation());
    let question = Message::Confirm { ballot: ballot(1, N1), round: 1 };
    let asked = effects(&mut replica);
    assert_eq!((asked.len(), sent(&asked)), (2, vec![(N2, &question), (N3, &question)]), "nothing is confirmed yet");
    tell(&mut replica, N3, Message::Confirmed { ballot: ballot(1, N1), round: 1 });
    assert_eq!(effects(&mut replica), [Effect::ReadsConfirmed { round: 1 }]);
    tell(&mut replica, N2, Message::Confirmed { ballot: ballot(1, N1), round: 1 });
    assert_eq!(effects(&mut replica), [], "once is enough");
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
fn delivered_entries_leave_memory_once_every_voter_keeps_them() {
    // n2 and n3 say that they are safe through 2: nobody asks for 1 or 2 again, so they are no longer served from memory.
    let mut machine = Machine::new(N1, majority_of_three());
    let served_from_memory = |machine: &mut Machine, after: u64| {
        machine.replica_mut().expect("it is up").handle_message(
            N3,
            0,
            Message::Fetch { after: Slot(after) },
            &mut paxos::liveness::nobody,
        );
        let events = machine.settle();
        !events.iter().any(|event| matches!(event, Event::LogRead(_)))
    };
    let step = |machine: &mut Machine, from, message| {
        machine.replica_mut().expect("it is up").handle_message(from, 0, message, &mut paxos::liveness::nobody);
        machine.settle();
        machine.sync(usize::MAX);
    };
    machine.replica_mut().expect("it is up").campaign(&mut paxos::liveness::nobody);
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
fn retry_begins_behind_what_was_acknowledged() {
    let mut replica = leader();
    replica.propose(command("A")).expect("it leads");
    tell(&mut replica, N2, ack(1, 1));
    replica.propose(command("B")).expect("it leads");
    tell(&mut replica, N3, ack(2, 1));
    effects(&mut replica);
    replica.handle_retry(&|_| true);
    effects(&mut replica);
    replica.handle_retry(&|_| true);
    let effects = effects(&mut replica);
    let accepts = sent(&effects).into_iter().filter_map(|(to, message)| match message {
        Message::Accept { at, values, .. } => Some((to, *at, values.len())),
        _ => None,
    });
    assert_eq!(accepts.collect::<Vec<_>>(), [(N2, Slot(2), 2), (N3, Slot(3), 1)]);
}

#[test]
fn retry_repeats_the_question_that_reads_wait_for() {
    let mut replica = leader();
    replica.begin_read().expect("it leads");
    replica.ask_confirmation();
    effects(&mut replica);
    replica.handle_retry(&|node| node == N3);
    let effects = effects(&mut replica);
    assert!(sent(&effects).contains(&(N3, &Message::Confirm { ballot: ballot(1, N1), round: 1 })), "{effects:?}");
}

#[test]
fn campaigning_changes_nothing_for_a_leader() {
    let mut replica = leader();
    replica.campaign(&mut paxos::liveness::nobody);
    assert!(replica.is_leader());
    assert_eq!(effects(&mut replica), []);
}

#[test]
fn leader_whose_own_record_of_what_is_chosen_is_not_durable_holds_back_what_is_kept() {
    // Both peers would know slot 1 after a crash; the leader itself would not, before its next record is durable.
    let mut replica = leader();
    for node in [N2, N3] {
        let (through, one) = (Slot(1), Slot(1));
        tell(&mut replica, node, Message::Ack { ballot: ballot(1, N1), through, chosen: one, safe: one, gap: false });
    }
    assert_eq!((replica.chosen(), replica.kept()), (Slot(1), Slot(0)));
    replica.propose(command("A")).expect("it leads");
    assert_eq!(replica.kept(), Slot(0));
    replica.handle_persisted(Token(3));
    assert_eq!(replica.kept(), Slot(1));
}

#[test]
fn dead_voter_leaves_nothing_to_flush_until_it_lives_again() {
    let mut replica = leader();
    tell(&mut replica, N2, ack(1, 0));
    effects(&mut replica);
    let without_n3 = |node| node != N3;
    assert!(replica.wants_flush(&without_n3), "n2 does not know that slot 1 is chosen");
    replica.flush_watermark(&without_n3);
    let told = |replica: &mut Replica| {
        let effects = effects(replica);
        sent(&effects).into_iter().map(|(to, message)| (to, message.clone())).collect::<Vec<_>>()
    };
    let watermark = Message::Watermark { ballot: ballot(1, N1), start: Slot(1), chosen: Slot(1), kept: Slot::ZERO };
    assert_eq!(told(&mut replica), [(N2, watermark.clone())]);
    assert!(!replica.wants_flush(&without_n3), "it would flush for as long as n3 is dead");
    assert!(replica.wants_flush(&|_| true));
    replica.flush_watermark(&|_| true);
    assert_eq!(told(&mut replica), [(N3, watermark)]);
}

#[test]
fn lag_is_unknown_until_the_first_acknowledgement() {
    let mut replica = leader();
    replica.propose(command("A")).expect("it leads");
    assert_eq!((replica.lag(N2), replica.lag(N3)), (None, None), "a promise says nothing of what is held");
    tell(&mut replica, N2, ack(0, 0));
    assert_eq!((replica.lag(N2), replica.lag(N3)), (Some(2), None));
    tell(&mut replica, N2, ack(2, 0));
    assert_eq!(replica.lag(N2), Some(0));
    assert_eq!(replica.lag(NodeId(9)), None, "it is nobody's business here");
}

#[test]
fn lag_counts_what_was_chosen_before_the_leaders_first_slot() {
    let entries = [(Slot(1), (Ballot::ZERO, command("A"))), (Slot(2), (Ballot::ZERO, command("B")))].into();
    let recovered = Recovered { chosen: Slot(2), entries, ..Recovered::fresh() };
    let mut replica = Replica::new(N1, Configuration::first(majority_of_three()), recovered);
    replica.campaign(&mut paxos::liveness::nobody);
    tell(&mut replica, N2, Message::Canvassed { ballot: ballot(1, N1), promised: Ballot::ZERO, leader: None });
    replica.handle_persisted(Token(1));
    tell(&mut replica, N2, promise_of_nothing());
    tell(&mut replica, N2, ack(3, 1));
    assert_eq!(replica.lag(N2), Some(2), "it has accepted slot 3, and lacks 2 still");
    tell(&mut replica, N2, ack(3, 2));
    assert_eq!(replica.lag(N2), Some(0));
}

#[test]
fn nobody_hands_over_to_a_voter_that_has_said_nothing() {
    let mut replica = leader();
    replica.handle_persisted(Token(2));
    tell(&mut replica, N2, ack(1, 0));
    assert_eq!(replica.chosen(), Slot(1));
    assert_eq!(replica.transfer(N3), Err(TransferError::Unheard));
    assert_eq!(replica.transfer(N1), Err(TransferError::NotAVoter));
    assert_eq!(replica.transfer(N2), Ok(()));
    assert_eq!(replica.transfer(N2), Err(TransferError::NotLeader));
}
