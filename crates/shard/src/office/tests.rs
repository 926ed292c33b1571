//! What becomes of those who wait when an office is won, handed over or lost.

use super::*;
use crate::tests::{Alone, N2, Pair, answers, claimable, envelope, free, origin, register};
use paxos::Slot;
use wire::{AnswerBody, Query};

/// Asks n1 of `pair` to register somebody, under this label; nothing of it is delivered.
fn register_late(pair: &mut Pair, id: u64) {
    let (player, command) = register("scrat");
    pair.replicas[0].handle_command(origin(id), envelope(id, player, command));
    pair.step(0, Mono(0));
    pair.lose();
}

#[test]
fn an_office_is_handed_over_when_the_successor_has_everything_and_given_up_when_its_time_is_over() {
    let mut pair = Pair::led();
    register_late(&mut pair, 1);
    pair.replicas[0].transfer(N2, Mono(1_000)).unwrap();
    let (player, command) = register("sid");
    pair.replicas[0].handle_command(origin(2), envelope(2, player, command));
    for now in [0, 500, 999] {
        pair.step(0, Mono(now));
        assert_eq!(pair.replicas[0].queued(), 1, "nothing more is proposed meanwhile");
        assert!(pair.replicas[0].is_handing_over(), "at {now} there is time left");
    }
    pair.step(0, Mono(1_000));
    assert!(!pair.replicas[0].is_handing_over() && pair.replicas[0].is_serving());
    // The one that is behind is told again what it lacks, and then it leads.
    for _ in 0..2 {
        pair.replicas[0].handle_retry(&|_| true);
    }
    pair.replicas[0].transfer(N2, Mono(2_000)).unwrap();
    pair.settle_at(Mono(1_500));
    assert!(pair.replicas[1].is_serving() && !pair.replicas[0].is_in_office());
    let applied = |(_, body): &(u64, &AnswerBody)| matches!(body, AnswerBody::Applied { .. });
    assert!(pair.answers().iter().map(|(id, _)| *id).eq([1, 2]) && pair.answers().iter().all(applied));
}

/// n2 asks n1 to be elected, as far as that n1 promises, and the promise is on its way.
fn outbid(pair: &mut Pair) {
    pair.replicas[1].campaign(&mut free);
    for nth in [1, 0] {
        pair.step(nth, Mono(0));
        assert!(pair.deliver(), "who asks first, who answers");
    }
    pair.step(1, Mono(0));
}

#[test]
fn who_loses_the_office_refuses_what_it_can_decide_no_more() {
    let mut pair = Pair::led();
    register_late(&mut pair, 1);
    outbid(&mut pair);
    let field = Query::Field(claimable().next().unwrap());
    let (player, command) = register("sid");
    let n1 = &mut pair.replicas[0];
    n1.handle_command(origin(2), envelope(2, player, command));
    n1.handle_read(Mono(0), origin(3), field.clone(), Level::Strong, Slot::ZERO);
    n1.handle_read(Mono(0), origin(4), field.clone(), Level::Session, n1.applied().next());
    n1.handle_read(Mono(0), origin(5), field, Level::Eventual, Slot::ZERO);
    assert!(pair.deliver(), "the ballot that outbids it");
    pair.step(0, Mono(0));
    let not_leader = AnswerBody::Refused(Refusal::NotLeader { leader: None });
    let [(1, AnswerBody::Refused(Refusal::Deposed)), (2, second), (3, third), (5, AnswerBody::Read { .. })] =
        pair.answers()[..]
    else {
        panic!("{:?}", pair.answers())
    };
    assert!(*second == not_leader && *third == not_leader, "{second:?}, {third:?}");
    assert_eq!(pair.replicas[0].queued(), 0);
    // What was proposed and not known is decided by the next leader, and a session waits for it.
    pair.settle();
    assert!(pair.replicas[1].is_serving());
    pair.tell(1);
    assert!(matches!(pair.answers()[4..], [(4, AnswerBody::Read { .. })]), "{:?}", pair.answers());
}

#[test]
fn what_comes_between_two_turns_in_which_it_does_not_lead_is_refused() {
    let mut pair = Pair::led();
    outbid(&mut pair);
    pair.deliver();
    pair.step(0, Mono(0));
    assert!(pair.deliver(), "the promise");
    let (player, command) = register("sid");
    pair.replicas[1].handle_command(origin(1), envelope(1, player, command));
    assert_eq!(pair.replicas[1].queued(), 1);
    pair.replicas[1].resign().unwrap();
    pair.step(1, Mono(0));
    let answers = answers(&pair.wanted[1]);
    assert!(matches!(answers[..], [(1, AnswerBody::Refused(Refusal::NotLeader { .. }))]), "{answers:?}");
}

#[test]
fn who_goes_on_leading_in_the_next_configuration_keeps_its_queue() {
    let mut alone = Alone::leading();
    let lives = [(N2, paxos::Incarnation(1))].into();
    alone.replica.handle_change(origin(1), wire::Change::Add(N2), &lives, &|_| true, Mono(0));
    let (player, command) = register("sid");
    alone.replica.handle_command(origin(2), envelope(2, player, command));
    let before = alone.replica.paxos().promised();
    alone.settle();
    assert!(alone.replica.paxos().promised() > before, "it is elected anew");
    assert!(
        matches!(alone.answers()[..], [(1, AnswerBody::Changed), (2, AnswerBody::Applied { .. })]),
        "{:?}",
        alone.answers()
    );
}

#[test]
fn an_office_begins_with_the_shards_birth_once() {
    let mut alone = Alone::leading();
    assert_eq!(alone.replica.batches(), (1, 1));
    alone.replica.resign().unwrap();
    alone.settle();
    assert!(!alone.replica.is_serving());
    alone.replica.campaign(&mut free);
    alone.settle();
    assert!(alone.replica.is_serving());
    assert_eq!(alone.replica.batches(), (1, 1));
}

#[test]
fn a_read_that_one_office_could_not_prove_is_proven_in_the_next() {
    let mut pair = Pair::led();
    let field = Query::Field(claimable().next().unwrap());
    pair.replicas[0].handle_read(Mono(0), origin(1), field, Level::Bounded(100), Slot::ZERO);
    pair.step(0, Mono(0));
    pair.lose();
    pair.replicas[0].resign().unwrap();
    pair.step(0, Mono(0));
    pair.replicas[0].campaign(&mut free);
    pair.settle_at(Mono(50_000));
    let answers = pair.answers();
    let [(1, AnswerBody::Read { receipt, .. })] = answers[..] else { panic!("{answers:?}") };
    assert_eq!(receipt.bound_ms, Some(50));
}

#[test]
fn who_hears_of_a_later_configuration_asks_for_it() {
    let mut alone = Alone::leading();
    alone.replica.fall_behind(N2, 3);
    alone.settle();
    let asks = |effect: &Effect| matches!(effect, Effect::Send { to: N2, message: paxos::Message::Fetch { .. }, .. });
    assert!(alone.wanted.iter().any(asks), "{:?}", alone.wanted);
}
