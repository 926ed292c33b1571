use crate::play::*;
use client_proto::{Applied, Failure, Reason};
use wire::Refusal;
use world::Millis;

fn unavailable(failure: Failure) -> (Applied, Reason, Vec<paxos::NodeId>) {
    match failure {
        Failure::Unavailable { applied, reason, missing, .. } => (applied, reason, missing),
        other => panic!("{other:?}"),
    }
}

fn one_claim() -> Play {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    play.claim(field);
    play
}

/// Answers every attempt with `refusal` until the command ends.
fn refuse_all(play: &mut Play, refusal: &Refusal) -> Failure {
    loop {
        for sent in play.sent() {
            play.refuse(&sent, refusal.clone());
        }
        if let Some((_, result)) = play.outcome() {
            return result.unwrap_err();
        }
        play.now = play.proto.next_timeout().unwrap().max(play.now);
        play.proto.handle_timeout(play.now);
    }
}

#[test]
fn a_command_that_nobody_answered_ends_as_unknown_and_names_the_silent() {
    let mut play = one_claim();
    let failure = play.run_out();
    assert_eq!(unavailable(failure), (Applied::Unknown, Reason::Timeout, vec![N1, N2, N3]));
    assert_eq!(play.now.0, 10_000_000, "after the request's time-out");
}

#[test]
fn a_command_that_was_never_sent_was_not_applied() {
    let mut play = one_claim();
    for node in [N1, N2, N3] {
        play.disconnect(node);
    }
    let failure = play.run_out();
    assert_eq!(unavailable(failure), (Applied::No, Reason::NotConnected, vec![N1, N2, N3]));
}

#[test]
fn a_command_refused_by_everyone_was_not_applied() {
    let refusals = [
        (not_leader(None), Reason::NoLeader),
        (Refusal::Overloaded { retry_after_ms: 50 }, Reason::Overloaded),
        (Refusal::NoQuorum { missing: vec![N2, N3] }, Reason::NoQuorum),
        (Refusal::DiskFull, Reason::DiskFull),
        (Refusal::Moved { hint: None, map_version: 9 }, Reason::NoLeader),
    ];
    for (refusal, expected) in refusals {
        let mut play = one_claim();
        let (applied, reason, missing) = unavailable(refuse_all(&mut play, &refusal));
        assert_eq!((applied, reason), (Applied::No, expected));
        if expected == Reason::NoQuorum {
            assert_eq!(missing, [N2, N3]);
        }
        if expected == Reason::DiskFull {
            assert_eq!(missing, [N1, N2, N3], "those whose disks are full");
        }
    }
}

#[test]
fn one_attempt_without_an_answer_makes_all_later_refusals_worth_nothing() {
    let mut play = one_claim();
    play.one_sent();
    let second = play.next_sent();
    play.refuse(&second, not_leader(None));
    let failure = refuse_all(&mut play, &not_leader(None));
    assert_eq!(unavailable(failure).0, Applied::Unknown);
}

#[test]
fn a_late_refusal_of_the_open_attempt_settles_it() {
    let mut play = one_claim();
    let first = play.one_sent();
    let second = play.next_sent();
    play.refuse(&first, not_leader(None));
    play.refuse(&second, not_leader(None));
    let failure = refuse_all(&mut play, &not_leader(None));
    assert_eq!(unavailable(failure).0, Applied::No);
}

#[test]
fn a_broken_connection_leaves_its_attempts_open_for_ever() {
    let mut play = one_claim();
    let first = play.one_sent();
    play.disconnect(N1);
    play.refuse(&first, not_leader(None));
    let failure = refuse_all(&mut play, &not_leader(None));
    assert_eq!(unavailable(failure).0, Applied::Unknown);
}

#[test]
fn an_attempt_given_up_before_its_connection_broke_stays_open_too() {
    let mut play = one_claim();
    let first = play.one_sent();
    assert_eq!(first.0, N1);
    let second = play.next_sent();
    assert_ne!(second.0, N1);
    play.disconnect(N1);
    play.refuse(&second, not_leader(None));
    let failure = refuse_all(&mut play, &not_leader(None));
    assert_eq!(unavailable(failure).0, Applied::Unknown);
}

#[test]
fn a_deposed_leader_may_have_applied_it() {
    let mut play = one_claim();
    let sent = play.one_sent();
    play.refuse(&sent, Refusal::Deposed);
    let again = play.next_sent();
    assert_eq!((again.0, number(&again.1)), (N2, 1));
    play.refuse(&again, not_leader(None));
    let failure = refuse_all(&mut play, &not_leader(None));
    assert_eq!(unavailable(failure).0, Applied::Unknown);
}

#[test]
fn a_deposed_leader_heard_late_makes_it_unknown() {
    let mut play = one_claim();
    let first = play.one_sent();
    let second = play.next_sent();
    play.refuse(&first, Refusal::Deposed);
    play.refuse(&second, not_leader(None));
    let failure = refuse_all(&mut play, &not_leader(None));
    assert_eq!(unavailable(failure).0, Applied::Unknown);
}

#[test]
fn expired_is_the_truth_whatever_else_is_open() {
    let mut play = one_claim();
    play.one_sent();
    let second = play.next_sent();
    play.refuse(&second, expired());
    let failure = refuse_all(&mut play, &not_leader(None));
    assert_eq!(unavailable(failure).0, Applied::No);
}

#[test]
fn expired_heard_late_is_the_truth_as_well() {
    let mut play = one_claim();
    let first = play.one_sent();
    play.next_sent();
    play.refuse(&first, expired());
    let failure = refuse_all(&mut play, &not_leader(None));
    assert_eq!(unavailable(failure).0, Applied::No);
}

#[test]
fn a_log_whose_clock_runs_away_from_every_deadline_ends_in_expired_and_not_applied() {
    let mut play = one_claim();
    let mut log_time = EPOCH;
    loop {
        for sent in play.sent() {
            log_time = log_time.plus(200_000);
            play.refuse(&sent, Refusal::Expired { log_time });
        }
        if let Some((_, result)) = play.outcome() {
            let failure = result.expect_err("it never had a chance");
            return assert_eq!(unavailable(failure), (Applied::No, Reason::Expired, vec![]));
        }
        play.now = play.proto.next_timeout().expect("something is under way").max(play.now);
        play.proto.handle_timeout(play.now);
    }
}

#[test]
fn too_far_ahead_says_nothing_about_an_attempt_that_is_open() {
    let mut play = one_claim();
    play.one_sent();
    let second = play.next_sent();
    play.refuse(&second, Refusal::TooFarAhead { log_time: Millis(0) });
    assert_eq!(number(&play.next_sent().1), 1, "the first attempt may yet be applied under this number");
    let failure = refuse_all(&mut play, &not_leader(None));
    assert_eq!(unavailable(failure).0, Applied::Unknown);
}

#[test]
fn forgotten_settles_nothing() {
    let mut play = one_claim();
    let sent = play.one_sent();
    play.refuse(&sent, Refusal::Forgotten);
    assert_eq!(unavailable(play.failure()), (Applied::Unknown, Reason::Forgotten, vec![]));
}

#[test]
fn not_allowed_and_invalid_end_it_at_once_and_are_not_applied() {
    let mut play = one_claim();
    let sent = play.one_sent();
    play.refuse(&sent, Refusal::NotAllowed { reason: "not you".into() });
    assert_eq!(play.failure(), Failure::NotAllowed { reason: "not you".into() });
    let field = play.field_in(0);
    play.claim(field);
    let sent = play.one_sent();
    play.refuse(&sent, Refusal::Invalid { reason: "no".into() });
    assert_eq!(play.failure(), Failure::Invalid { reason: "no".into() });
}

#[test]
fn not_allowed_after_an_open_attempt_is_unknown() {
    let mut play = one_claim();
    play.one_sent();
    let second = play.next_sent();
    play.refuse(&second, Refusal::NotAllowed { reason: "revoked".into() });
    assert_eq!(unavailable(play.failure()).0, Applied::Unknown);
}

#[test]
fn a_nonsense_answer_makes_it_unknown() {
    let mut play = one_claim();
    let sent = play.one_sent();
    play.answer(&sent, wire::AnswerBody::Shards(Vec::new()));
    let again = play.next_sent();
    play.refuse(&again, not_leader(None));
    let failure = refuse_all(&mut play, &not_leader(None));
    assert_eq!(unavailable(failure).0, Applied::Unknown);
}

#[test]
fn an_unknown_outcome_lets_the_floor_go_on() {
    let mut play = one_claim();
    play.run_out();
    assert_eq!(play.proto.floor().0, 2);
    let field = play.field_in(0);
    play.claim(field);
    assert_eq!(envelope(&play.one_sent().1).floor.0, 2, "a late copy of number 1 will be refused");
}

#[test]
fn an_answer_after_the_unknown_outcome_changes_nothing() {
    let mut play = one_claim();
    let sent = play.one_sent();
    play.run_out();
    play.apply(&sent);
    assert_eq!(play.outcome(), None);
}

#[test]
fn the_retry_time_of_an_overloaded_cluster_is_passed_on() {
    let mut play = one_claim();
    match refuse_all(&mut play, &Refusal::Overloaded { retry_after_ms: 4_000 }) {
        Failure::Unavailable { retry_after_ms: 4_000, reason: Reason::Overloaded, .. } => {}
        other => panic!("{other:?}"),
    }
}
