//! Histories of one field, good and broken, written as text: one operation a line, `client from..to what -> answer`.

use checker::{At, FieldModel, FieldOp, FieldRet, History, Violation, check};
use world::PlayerName;

fn player(text: &str) -> PlayerName {
    PlayerName::new(text).expect("a name")
}

fn somebody(text: &str) -> Option<PlayerName> {
    (text != "nobody").then(|| player(text))
}

/// Reads lines such as `1 10..20 claim sid -> claimed 1`; an operation without an end or answer is open.
fn history(script: &str) -> History<FieldOp, FieldRet> {
    let mut history = History::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [client, times, rest @ ..] = &words[..] else { panic!("no operation: {line}") };
        let (from, to) = times.split_once("..").expect("from..to");
        let (op, answer) = rest.split_at(rest.iter().position(|&word| word == "->").unwrap_or(rest.len()));
        let op = match op {
            ["claim", who] => FieldOp::Claim(player(who)),
            ["abandon", who] => FieldOp::Abandon(player(who)),
            ["work", who] => FieldOp::Work(player(who)),
            ["read"] => FieldOp::Read,
            _ => panic!("no such operation: {line}"),
        };
        let id = history.invoke(client.parse().expect("a client"), op, At(from.parse().expect("a time")));
        let version = |text: &str| text.parse().expect("a version");
        let ret = match answer {
            [] => continue,
            ["->", "claimed", v] => FieldRet::Claimed(version(v)),
            ["->", "owned", who] => FieldRet::AlreadyOwned(player(who)),
            ["->", "abandoned", v] => FieldRet::Abandoned(version(v)),
            ["->", "worked", v] => FieldRet::Worked(version(v)),
            ["->", "not-owner", who] => FieldRet::NotOwner(somebody(who)),
            ["->", "rejected"] => FieldRet::Rejected,
            ["->", who, v] => FieldRet::Is { owner: somebody(who), version: version(v) },
            _ => panic!("no such answer: {line}"),
        };
        history.answer(id, ret, At(to.parse().expect("a time")));
    }
    history
}

#[track_caller]
fn passes(script: &str) {
    if let Err(violation) = check(&FieldModel, &history(script)) {
        panic!("{violation}");
    }
}

#[track_caller]
fn fails(script: &str) -> Violation {
    check(&FieldModel, &history(script)).expect_err("this history has no order")
}

#[test]
fn claim_read_work_abandon_and_claim_by_another_in_turn_pass() {
    passes(
        "1 0..10 read -> nobody 0
         1 11..20 claim sid -> claimed 1
         2 21..30 read -> sid 1
         2 31..40 claim scrat -> owned sid
         2 41..50 work scrat -> not-owner sid
         1 51..60 work sid -> worked 2
         1 61..70 abandon sid -> abandoned 3
         2 71..80 claim scrat -> claimed 4
         1 81..90 abandon sid -> not-owner scrat
         1 91..99 claim sid -> rejected",
    );
}

#[test]
fn two_players_claim_at_once_one_wins_and_the_loser_is_told_who() {
    passes(
        "1 0..10 claim sid -> owned scrat
         2 0..10 claim scrat -> claimed 1",
    );
}

#[test]
fn reads_that_overlap_a_claim_may_see_either_side_of_it() {
    passes(
        "1 0..100 claim sid -> claimed 1
         2 10..20 read -> nobody 0
         3 15..40 read -> sid 1
         2 50..60 read -> sid 1",
    );
}

#[test]
fn operations_that_touch_at_one_moment_count_as_concurrent() {
    passes(
        "1 0..10 claim sid -> claimed 1
         2 10..20 read -> nobody 0",
    );
}

#[test]
fn stale_read_after_an_acknowledged_claim_is_reported() {
    let violation = fails(
        "1 0..10 claim sid -> claimed 1
         2 11..20 read -> nobody 0",
    );
    assert_eq!(violation.culprit, "client 2: read -> nobody's, version 0 (11..20)");
    assert_eq!((violation.ordered, violation.answered), (1, 2));
}

#[test]
fn new_then_old_reads_during_one_claim_are_reported() {
    fails(
        "1 0..100 claim sid -> claimed 1
         2 10..20 read -> sid 1
         3 30..40 read -> nobody 0",
    );
}

#[test]
fn lost_update_an_acknowledged_claim_that_another_claim_does_not_see_is_reported() {
    fails(
        "1 0..10 claim sid -> claimed 1
         2 20..30 claim scrat -> claimed 2",
    );
}

#[test]
fn double_owner_two_claims_at_once_that_both_win_are_reported() {
    let violation = fails(
        "1 0..10 claim sid -> claimed 1
         2 0..10 claim scrat -> claimed 2
         3 20..30 read -> scrat 2",
    );
    assert!(violation.culprit.contains("claimed, version 1") && violation.culprit.contains("claimed, version 2"));
}

#[test]
fn loser_told_the_wrong_winner_is_reported() {
    fails(
        "1 0..10 claim sid -> claimed 1
         2 5..15 claim scrat -> owned diego
         3 20..30 read -> sid 1",
    );
}

#[test]
fn both_claims_lose_to_each_other_is_reported() {
    fails(
        "1 0..10 claim sid -> owned scrat
         2 0..10 claim scrat -> owned sid",
    );
}

#[test]
fn version_that_goes_back_is_reported_with_the_same_owner_too() {
    fails(
        "1 0..10 claim sid -> claimed 1
         1 11..20 work sid -> worked 3
         2 21..30 read -> sid 2",
    );
    fails(
        "1 0..10 claim sid -> claimed 5
         1 11..20 abandon sid -> abandoned 5",
    );
}

#[test]
fn timed_out_claim_that_took_effect_late_passes() {
    passes(
        "1 0.. claim sid
         2 10..20 read -> nobody 0
         2 30..40 read -> sid 1
         2 50..60 claim scrat -> owned sid",
    );
}

#[test]
fn timed_out_claim_that_never_took_effect_passes() {
    passes(
        "1 0.. claim sid
         2 10..20 read -> nobody 0
         2 30..40 claim scrat -> claimed 1
         2 50..60 read -> scrat 1",
    );
}

#[test]
fn timed_out_claim_that_was_seen_and_then_gone_is_reported() {
    let violation = fails(
        "1 0.. claim sid
         2 10..20 read -> sid 1
         2 30..40 read -> nobody 1
         2 50..60 read -> nobody 1",
    );
    assert_eq!(violation.culprit, "client 2: read -> nobody's, version 1 (30..40)");
}

#[test]
fn timed_out_claim_takes_effect_once_not_twice() {
    fails(
        "1 0.. claim sid
         2 10..20 read -> sid 1
         2 30..40 abandon sid -> abandoned 2
         2 50..60 read -> sid 3",
    );
    passes(
        "1 0.. claim sid
         3 0.. claim sid
         2 10..20 read -> sid 1
         2 30..40 abandon sid -> abandoned 2
         2 50..60 read -> sid 3",
    );
}

#[test]
fn timed_out_claim_has_no_effect_before_it_was_asked() {
    fails(
        "2 0..10 read -> sid 1
         1 20.. claim sid",
    );
}

#[test]
fn withdrawn_operation_explains_nothing() {
    let mut history = history("2 10..20 read -> sid 1");
    let id = history.invoke(1, FieldOp::Claim(player("sid")), At(0));
    check(&FieldModel, &history).expect("an open claim would explain it");
    history.withdraw(id);
    check(&FieldModel, &history).expect_err("one that certainly was not done does not");
}

#[test]
fn report_shows_the_shortest_bad_part_as_a_timeline() {
    let violation = fails(
        "1 0..10 claim sid -> claimed 1
         3 5.. claim diego
         2 12..30 read -> sid 1
         4 15..40 read -> nobody 0
         2 50..60 read -> sid 1
         2 70..80 read -> sid 1",
    );
    let expected = "\
not linearizable: no order explains client 4: read -> nobody's, version 0 (15..40)
the best attempt orders 2 of 3 answers and leaves sid's, version 1 or later
(+ ordered, the last ones; ? not; a bar without an end is an open operation)
  + |------|              client 1: claim for sid -> claimed, version 1 (0..10)
  +          |------|     client 2: read -> sid's, version 1 (12..30)
  ?    |---------------   client 3: claim for diego -> ? (5..)
  ?             |------|  client 4: read -> nobody's, version 0 (15..40)
";
    assert_eq!(violation.to_string(), expected, "\n{violation}");
}
