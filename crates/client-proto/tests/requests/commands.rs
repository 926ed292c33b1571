use crate::play::*;
use client_proto::{Options, Success};
use std::time::Duration;
use wire::{Refusal, RequestNo};
use world::Millis;

#[test]
fn a_claim_goes_to_the_first_voter_and_its_answer_comes_out_once() {
    let mut play = Play::new(4);
    let field = play.field_in(1);
    let op = play.claim(field);
    assert_eq!(play.proto.request_no(op), Some(RequestNo(1)));
    let sent = play.one_sent();
    assert_eq!(sent.0, play.map.shards()[1].voters[0]);
    assert_eq!((envelope(&sent.1).number, envelope(&sent.1).floor), (RequestNo(1), RequestNo(1)));
    play.apply(&sent);
    let (ended, result) = play.outcome().unwrap();
    assert_eq!(ended, op);
    assert!(matches!(result, Ok(Success::Command { receipt, .. }) if receipt.node == sent.0));
    play.apply(&sent);
    assert_eq!(play.outcome(), None, "a late duplicate is no second outcome");
    assert_eq!((play.proto.in_flight(), play.proto.next_timeout()), (0, None));
}

#[test]
fn the_deadline_is_on_the_nodes_clock_and_stays_with_the_command() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    play.pass(2_500);
    play.claim(field);
    let first = play.one_sent();
    assert_eq!(envelope(&first.1).deadline, Millis(EPOCH.0 + 2_500 + 10_000));
    let again = play.next_sent();
    assert_eq!(envelope(&again.1).deadline, envelope(&first.1).deadline);
}

#[test]
fn a_leader_that_dies_is_followed_by_another_and_the_number_stays() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    let op = play.claim(field);
    let lost = play.one_sent();
    assert_eq!(lost.0, N1);
    play.disconnect(N1);
    let again = play.one_sent();
    assert_eq!((again.0, number(&again.1)), (N2, 1));
    assert_ne!(again.1.id, lost.1.id, "each attempt has a label of its own");
    play.refuse(&again, not_leader(None));
    let third = play.next_sent();
    assert_eq!((third.0, number(&third.1)), (N3, 1));
    play.apply(&third);
    assert_eq!(play.outcome().unwrap().0, op);
    play.claim(field);
    assert_eq!(play.one_sent().0, N3, "who answered is the leader now");
}

#[test]
fn an_attempt_that_times_out_goes_to_another_voter_and_each_waits_twice_as_long() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    play.claim(field);
    let mut last = play.one_sent();
    let mut waits = Vec::new();
    for _ in 0..3 {
        let before = play.now;
        let next = play.next_sent();
        waits.push(play.now.since(before).as_millis());
        assert_ne!(next.0, last.0);
        assert_eq!(number(&next.1), 1);
        last = next;
    }
    assert_eq!(waits, [1_000, 2_000, 4_000]);
}

#[test]
fn the_late_answer_of_the_first_attempt_ends_the_command_while_the_second_is_under_way() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    let op = play.claim(field);
    let first = play.one_sent();
    let second = play.next_sent();
    play.apply(&first);
    let (ended, result) = play.outcome().unwrap();
    assert!(ended == op && result.is_ok());
    play.apply(&second);
    play.refuse(&second, expired());
    assert_eq!(play.outcome(), None, "the second attempt's answers come too late");
}

#[test]
fn an_answer_from_a_node_that_was_not_asked_is_ignored() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    play.claim(field);
    let (node, request) = play.one_sent();
    assert_eq!(node, N1);
    play.apply(&(N2, request));
    assert_eq!(play.outcome(), None);
}

#[test]
fn the_answer_to_an_old_operation_does_not_touch_the_one_in_its_place() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    play.claim(field);
    let old = play.one_sent();
    play.apply(&old);
    assert!(play.outcome().unwrap().1.is_ok());
    play.claim(field);
    let new = play.one_sent();
    play.refuse(&old, expired());
    play.apply(&old);
    assert_eq!(play.outcome(), None);
    play.apply(&new);
    assert!(play.outcome().unwrap().1.is_ok());
}

#[test]
fn an_overloaded_leader_is_left_alone_for_as_long_as_it_asked_and_then_asked_again() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    play.claim(field);
    let sent = play.one_sent();
    play.refuse(&sent, Refusal::Overloaded { retry_after_ms: 700 });
    let before = play.now;
    let again = play.next_sent();
    let waited = play.now.since(before);
    assert!(waited >= Duration::from_millis(700) && waited < Duration::from_millis(800), "{waited:?}");
    assert_eq!((again.0, number(&again.1)), (N1, 1));
}

#[test]
fn a_command_dated_by_a_wrong_clock_goes_on_under_a_new_number_and_the_next_is_dated_right_at_once() {
    let ahead = EPOCH.plus(900_000);
    let behind = Millis(EPOCH.0 - 900_000);
    let too_far = Refusal::TooFarAhead { log_time: behind };
    for (refusal, log_time) in [(Refusal::Expired { log_time: ahead }, ahead), (too_far, behind)] {
        let mut play = Play::new(1);
        let op = play.claim(play.field_in(0));
        let first = play.one_sent();
        play.refuse(&first, refusal);
        let begin = play.now;
        let again = play.next_sent();
        assert_eq!((number(&again.1), play.proto.request_no(op)), (2, Some(RequestNo(2))));
        assert_eq!(envelope(&again.1).floor, RequestNo(2), "the first number will never be asked for again");
        let timeout_ms = 10_000;
        assert_eq!(envelope(&again.1).deadline, log_time.plus(timeout_ms));
        play.apply(&first);
        assert_eq!(play.outcome(), None, "nothing comes of the first number");
        play.apply(&again);
        assert!(play.outcome().expect("it was answered").1.is_ok());
        play.claim(play.field_in(0));
        let since = u64::try_from(play.now.since(begin).as_millis()).expect("short");
        let deadline = envelope(&play.one_sent().1).deadline;
        assert_eq!(deadline, log_time.plus(since + timeout_ms));
    }
}

#[test]
fn pauses_grow_and_are_drawn() {
    let options = Options { request_timeout: Duration::from_mins(1), ..Options::default() };
    let mut play = Play::with(1, options);
    let field = play.field_in(0);
    play.claim(field);
    let mut sent = play.one_sent();
    let mut waits = Vec::new();
    for _ in 0..12 {
        play.refuse(&sent, not_leader(None));
        let before = play.now;
        sent = play.next_sent();
        waits.push(play.now.since(before));
    }
    assert!(waits[0] >= Duration::from_millis(10) && waits[0] <= Duration::from_millis(20), "{waits:?}");
    assert!(waits[8..].iter().all(|wait| *wait >= Duration::from_millis(150)), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(300)), "{waits:?}");
    assert!(waits[8..].windows(2).any(|two| two[0] != two[1]), "drawn, not fixed: {waits:?}");
}

#[test]
fn a_connection_that_comes_back_carries_the_same_number_at_once() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    play.claim(field);
    play.one_sent();
    for node in [N1, N2, N3] {
        play.disconnect(node);
    }
    assert_eq!(play.sent(), []);
    play.pass(1_500);
    assert_eq!(play.sent(), []);
    play.welcome(N2);
    let again = play.one_sent();
    assert_eq!((again.0, number(&again.1)), (N2, 1));
}

#[test]
fn a_welcome_without_a_farewell_still_sends_again_what_the_old_connection_lost() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    play.claim(field);
    let lost = play.one_sent();
    play.welcome(N1);
    let again = play.one_sent();
    assert_eq!(number(&again.1), number(&lost.1));
    assert_ne!(again.1.id, lost.1.id);
}

#[test]
fn the_floor_waits_for_the_oldest_command_and_no_command_is_below_its_own() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    let floor_of = |play: &mut Play| {
        play.claim(field);
        let sent = play.one_sent();
        assert!(envelope(&sent.1).floor <= envelope(&sent.1).number);
        (sent.clone(), envelope(&sent.1).floor.0)
    };
    let (first, _) = floor_of(&mut play);
    let (second, floor) = floor_of(&mut play);
    assert_eq!(floor, 1);
    play.apply(&second);
    assert_eq!(floor_of(&mut play).1, 1, "the first has no answer yet");
    play.apply(&first);
    assert_eq!(floor_of(&mut play).1, 3, "the third has none");
}
