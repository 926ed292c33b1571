//! The follower: what it writes, what it answers when, what it learns, keeps in memory and forgets.

use super::{N1, N2, N3, accept, ballot, command, effects, fresh, majority_of_three, sent, tell};
use bytes::Bytes;
use paxos::{Ballot, Effect, Message, NodeId, Record, Recovered, Replica, Run, Slot, Token, Value};

#[test]
fn ballots_sent_by_somebody_else_than_their_owner_are_refused() {
    let stolen = ballot(5, N3);
    let messages = [
        Message::Prepare { ballot: stolen, chosen: Slot::ZERO, released: None },
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
    tell(&mut replica, N2, Message::Prepare { ballot: ballot(1, N2), chosen: Slot::ZERO, released: None });
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
fn log_read_serves_only_what_was_chosen_when_it_was_asked_for() {
    // Slot 2 is chosen by now; when the log was read it was not, and what the log held there may have been replaced.
    let values = [command("A"), command("B")];
    let entries = (1..).map(Slot).zip(values.map(|value| (Ballot::ZERO, value))).collect();
    let recovered = Recovered { chosen: Slot(2), entries, ..Recovered::fresh() };
    let mut replica = Replica::new(N1, paxos::Configuration::first(majority_of_three()), recovered);
    replica.handle_log_read(N3, Slot::ZERO, Slot(1), vec![command("A"), command("old")]);
    replica.handle_log_read(N3, Slot(1), Slot(1), vec![command("old")]);
    replica.handle_log_read(N3, Slot::ZERO, Slot(1), vec![]);
    let effects = effects(&mut replica);
    let learn = Message::Learn { at: Slot(1), values: vec![command("A")], chosen: Slot(2) };
    assert_eq!(sent(&effects), [(N3, &learn)]);
}

#[test]
fn log_with_a_gap_counts_as_chosen_only_up_to_the_gap() {
    let entries = [(Slot(1), (Ballot::ZERO, command("A"))), (Slot(3), (Ballot::ZERO, command("C")))].into();
    let recovered = Recovered { chosen: Slot(3), entries, ..Recovered::fresh() };
    let replica = Replica::new(N1, paxos::Configuration::first(majority_of_three()), recovered);
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
    recovered.fold(accept(Slot(3), ballot(5, N1), "Z", Slot(1)));
    assert_eq!(recovered.promised, ballot(5, N1), "to accept is to promise");
    recovered.fold(Record::Learn { slot: Slot(2), value: command("Z") });
    assert_eq!(recovered.entries[&Slot(2)], (Ballot::ZERO, command("Z")), "the last record of a slot wins");
    assert_eq!(recovered.chosen, Slot(2));
}

#[test]
fn retired_log_holds_nothing_but_its_checkpoint_and_which_configuration_it_joined_with() {
    let checkpoint = Recovered { applied: Slot(2), chosen: Slot(2), floor: 3, first: Slot(2), ..Recovered::fresh() };
    let mut recovered = checkpoint.clone();
    recovered.fold(Record::Accept { slot: Slot(4), ballot: ballot(4, N3), value: command("A"), chosen: Slot(3) });
    recovered.fold(Record::Learn { slot: Slot(2), value: command("old") });
    assert_eq!(recovered.entries.keys().collect::<Vec<_>>(), [&Slot(4)], "slot 2 is in the checkpoint");
    recovered.fold(Record::Retire);
    assert_eq!(recovered, Recovered { first: Slot(1), ..checkpoint });
}

#[test]
fn delivered_entries_over_the_budget_leave_memory_and_undelivered_ones_never() {
    let mut replica = fresh(N1);
    let big = Value::Command(Bytes::from(vec![0; 100 << 10]));
    for slot in 1..=6 {
        let (at, chosen) = (Slot(slot), Slot(slot - 1));
        let (values, kept) = (Run::One([big.clone()]), Slot::ZERO);
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
#[should_panic(expected = "was never given out")]
fn token_that_was_never_given_out_stops_the_node() {
    fresh(N1).handle_persisted(Token(1));
}

#[test]
#[should_panic(expected = "checkpointed 1 but delivered 0")]
fn checkpoint_of_what_was_never_delivered_stops_the_node() {
    fresh(N1).handle_checkpointed(Slot(1));
}

#[test]
fn joining_a_ballot_without_accepting_anything_is_written_before_it_is_told() {
    let mut replica = fresh(N1);
    tell(
        &mut replica,
        N2,
        Message::Watermark { ballot: ballot(1, N2), start: Slot(1), chosen: Slot(0), kept: Slot(0) },
    );
    let effects = effects(&mut replica);
    assert!(matches!(
        effects[..],
        [Effect::Persist { record: Record::Promise { .. }, token }, Effect::Send { after: Some(after), .. }] if after == token
    ));
}

#[test]
fn whoever_promised_a_higher_ballot_acknowledges_nothing_to_the_lower_one() {
    // What it learns now may have been chosen under the higher ballot: told to the lower ballot's leader, it would count
    // for that leader's own value.
    let mut replica = fresh(N1);
    tell(&mut replica, N2, accept(ballot(1, N2), 1, &["A"], 0));
    tell(&mut replica, N3, Message::Prepare { ballot: ballot(2, N3), chosen: Slot::ZERO, released: None });
    effects(&mut replica);
    tell(&mut replica, N3, Message::Learn { at: Slot(1), values: vec![command("B")], chosen: Slot(1) });
    assert_eq!(replica.chosen(), Slot(1));
    assert_eq!(sent(&effects(&mut replica)), []);
}

#[test]
fn who_has_caught_up_asks_again_at_once_when_it_lags_again() {
    let mut replica = fresh(N1);
    let lag = |replica: &mut Replica, chosen| {
        let (start, chosen) = (Slot(9), Slot(chosen));
        tell(replica, N2, Message::Watermark { ballot: ballot(1, N2), start, chosen, kept: Slot(0) });
        let effects = effects(replica);
        sent(&effects).iter().any(|(_, message)| matches!(message, Message::Fetch { .. }))
    };
    assert!(lag(&mut replica, 2));
    assert!(!lag(&mut replica, 2) && !lag(&mut replica, 3), "one question at a time");
    tell(&mut replica, N2, Message::Learn { at: Slot(1), values: vec![command("A"); 3], chosen: Slot(3) });
    assert!(!replica.wants_retry(&|_| true), "nothing is missing");
    assert!(lag(&mut replica, 5));
    assert!(replica.wants_retry(&|_| true));
}

#[test]
fn catch_up_asks_only_the_living() {
    let mut replica = fresh(N1);
    tell(
        &mut replica,
        N2,
        Message::Watermark { ballot: ballot(1, N2), start: Slot(9), chosen: Slot(2), kept: Slot(0) },
    );
    // Something came from n2 since, so it would be asked again, if it lived.
    tell(&mut replica, N2, Message::Learn { at: Slot(1), values: vec![command("A")], chosen: Slot(1) });
    let mut asked = |alive: &dyn Fn(NodeId) -> bool| {
        effects(&mut replica);
        replica.handle_retry(alive);
        let effects = effects(&mut replica);
        sent(&effects).into_iter().map(|(to, _)| to).collect::<Vec<_>>()
    };
    assert_eq!(asked(&|node| node == N3), [N3]);
    assert_eq!(asked(&|_| false), []);
}

#[test]
fn whoever_told_of_more_is_asked_again_in_its_turn_though_it_is_no_member() {
    let mut replica = fresh(N1);
    tell(&mut replica, NodeId(4), Message::Ahead { chosen: Slot(9) });
    // n2 asks on from slot 0, so it knows as little as n1 does.
    tell(&mut replica, N2, Message::Fetch { after: Slot::ZERO });
    let mut asked = || {
        effects(&mut replica);
        replica.handle_retry(&|_| true);
        let effects = effects(&mut replica);
        sent(&effects).into_iter().map(|(to, _)| to).collect::<Vec<_>>()
    };
    assert_eq!([asked(), asked(), asked(), asked()], [[N2], [N3], [NodeId(4)], [N2]]);
}

#[test]
fn acknowledgement_calls_safe_only_what_a_durable_record_or_checkpoint_would_tell() {
    let mut replica = fresh(N1);
    let safe_after = |replica: &mut Replica| {
        let (start, chosen, kept) = (Slot(1), Slot(2), Slot(0));
        tell(replica, N2, Message::Watermark { ballot: ballot(1, N2), start, chosen, kept });
        let effects = effects(replica);
        match sent(&effects)[..] {
            [(N2, Message::Ack { safe, .. })] => *safe,
            _ => panic!("one acknowledgement: {effects:?}"),
        }
    };
    tell(&mut replica, N2, accept(ballot(1, N2), 1, &["A"], 0));
    tell(&mut replica, N2, accept(ballot(1, N2), 2, &["B"], 1));
    tell(&mut replica, N2, accept(ballot(1, N2), 3, &["C"], 2));
    tell(&mut replica, N2, accept(ballot(1, N2), 4, &["D"], 2));
    effects(&mut replica);
    // The promise, A and B are on disk. C is the first record that says anything chosen: slot 1.
    replica.handle_persisted(Token(3));
    assert_eq!(safe_after(&mut replica), Slot(0));
    replica.handle_persisted(Token(4));
    assert_eq!(safe_after(&mut replica), Slot(1));
    std::iter::from_fn(|| replica.poll_chosen()).for_each(drop);
    replica.handle_checkpointed(Slot(2));
    assert_eq!(safe_after(&mut replica), Slot(2));
}

#[test]
fn kept_never_runs_ahead_of_what_is_known_here() {
    let mut replica = fresh(N1);
    tell(
        &mut replica,
        N2,
        Message::Watermark { ballot: ballot(1, N2), start: Slot(9), chosen: Slot(5), kept: Slot(5) },
    );
    assert_eq!((replica.chosen(), replica.kept()), (Slot(0), Slot(0)));
}

#[test]
fn value_accepted_again_and_again_takes_memory_once() {
    let mut replica = fresh(N1);
    let big = Value::Command(Bytes::from(vec![0; 60 << 10]));
    for round in 1..=5 {
        let (at, values, chosen) = (Slot(1), Run::One([big.clone()]), Slot(u64::from(round == 5)));
        let accept = Message::Accept { ballot: ballot(round, N2), start: at, at, values, chosen, kept: Slot(0) };
        tell(&mut replica, N2, accept);
    }
    assert!(replica.poll_chosen().is_some());
    effects(&mut replica);
    tell(&mut replica, N3, Message::Fetch { after: Slot(0) });
    let effects = effects(&mut replica);
    assert!(matches!(sent(&effects)[..], [(N3, Message::Learn { .. })]), "served from memory");
}

#[test]
fn long_catch_up_is_served_in_parts_of_bearable_size() {
    let mut replica = fresh(N1);
    let big = Value::Command(Bytes::from(vec![0; 100 << 10]));
    tell(&mut replica, N2, Message::Learn { at: Slot(1), values: vec![big; 6], chosen: Slot(6) });
    effects(&mut replica);
    tell(&mut replica, N3, Message::Fetch { after: Slot(0) });
    let effects = effects(&mut replica);
    match sent(&effects)[..] {
        [(N3, Message::Learn { at: Slot(1), values, chosen: Slot(6) })] => assert_eq!(values.len(), 2),
        _ => panic!("one part: {effects:?}"),
    }
}

#[test]
fn restarted_voter_needs_nothing_again_that_it_called_safe() {
    // Whoever called a slot safe may find it nowhere else after a restart: the others are free to forget it.
    let watermark = |chosen| {
        let (start, chosen, kept) = (Slot(1), Slot(chosen), Slot::ZERO);
        Message::Watermark { ballot: ballot(1, N1), start, chosen, kept }
    };
    let accept = |at, values, chosen| accept(ballot(1, N1), at, values, chosen);
    let talk = [
        accept(1, &["A", "B"], 0),
        watermark(2),
        accept(3, &["C"], 2),
        watermark(3),
        accept(4, &["D"], 3),
        watermark(3),
    ];
    let mut replica = fresh(N2);
    let (mut on_disk, mut called_safe) = (Recovered::fresh(), Slot::ZERO);
    for message in talk {
        tell(&mut replica, N1, message);
        for effect in effects(&mut replica) {
            match effect {
                Effect::Persist { record, token } => {
                    on_disk.fold(record);
                    replica.handle_persisted(token);
                }
                Effect::Send { message: Message::Ack { safe, .. }, .. } => called_safe = called_safe.max(safe),
                other => panic!("not expected: {other:?}"),
            }
        }
        let restarted = Replica::new(N2, paxos::Configuration::first(majority_of_three()), on_disk.clone());
        assert!(restarted.chosen() >= called_safe, "called {called_safe} safe, knows {}", restarted.chosen());
    }
    assert_eq!((replica.chosen(), called_safe), (Slot(3), Slot(3)));
}

/// Takes what comes until it has no room; says how many slots it holds. Each costs a mebibyte.
fn filled(replica: &mut Replica, mut next: impl FnMut(u64) -> Message) -> u64 {
    let mut held = 0;
    for at in 1..=100 {
        tell(replica, N2, next(at));
        held += taken(&effects(replica));
    }
    assert!((60..70).contains(&held), "{held} MiB wait to be delivered");
    held
}

fn taken(effects: &[Effect]) -> u64 {
    let value = |record: &Record| matches!(record, Record::Accept { .. } | Record::Learn { .. });
    effects.iter().filter(|effect| matches!(effect, Effect::Persist { record, .. } if value(record))).count() as u64
}

fn mebibyte() -> Value {
    Value::Command(Bytes::from(vec![0; 1 << 20]))
}

#[test]
fn who_does_not_deliver_takes_no_more_and_goes_on_when_it_does() {
    let mut replica = fresh(N1);
    let ballot = ballot(1, N2);
    let accept = |at: u64, chosen| Message::Accept {
        ballot,
        start: Slot(1),
        at: Slot(at),
        values: Run::One([mebibyte()]),
        chosen: Slot(chosen),
        kept: Slot::ZERO,
    };
    let held = filled(&mut replica, |at| accept(at, at - 1));
    tell(&mut replica, N2, accept(held + 1, held));
    let told = effects(&mut replica);
    let through = |message: &Message| matches!(message, Message::Ack { through, gap: false, .. } if through.0 == held);
    assert!(sent(&told).iter().any(|(to, message)| *to == N2 && through(message)), "{told:?}");
    assert_eq!(replica.chosen(), Slot(held), "what it holds is chosen all the same");
    assert!(replica.poll_chosen().is_some());
    tell(&mut replica, N2, accept(held + 1, held));
    tell(&mut replica, N2, accept(held + 2, held));
    let told = effects(&mut replica);
    assert_eq!(taken(&told), 1, "{told:?}");
}

#[test]
fn who_does_not_deliver_learns_no_more_and_a_new_leader_s_word_still_counts() {
    let mut replica = fresh(N1);
    let held = filled(&mut replica, |at| Message::Learn { at: Slot(at), values: vec![mebibyte()], chosen: Slot(100) });
    assert_eq!(replica.chosen(), Slot(held));
    // One entry far ahead, of a new leader, makes no room for all that lies before it.
    let mut replica = fresh(N1);
    let (at, values) = (Slot(1_000), Run::One([mebibyte()]));
    let ahead = Message::Accept { ballot: ballot(1, N3), start: at, at, values, chosen: Slot(999), kept: Slot::ZERO };
    tell(&mut replica, N3, ahead);
    assert_eq!(taken(&effects(&mut replica)), 1);
    filled(&mut replica, |at| Message::Learn { at: Slot(at), values: vec![mebibyte()], chosen: Slot(999) });

    // Full of what no quorum has: what it holds must be proposed again, and may be something else.
    let mut replica = fresh(N1);
    let accept = |ballot, at: u64, values, chosen| Message::Accept {
        ballot,
        start: Slot(1),
        at: Slot(at),
        values,
        chosen: Slot(chosen),
        kept: Slot::ZERO,
    };
    let held = filled(&mut replica, |at| accept(ballot(1, N2), at, Run::One([mebibyte()]), 0));
    for at in 1..=held {
        tell(&mut replica, N3, accept(ballot(2, N3), at, Run::One([mebibyte()]), at - 1));
    }
    effects(&mut replica);
    assert_eq!(replica.chosen(), Slot(held - 1));
}
