//! Who waits for what, and how long.

use super::*;
use crate::tests::{Alone, Pair, SEED, answers, claimable, origin, register};
use std::collections::BTreeMap;
use world::{Banner, Block, Census, CharacterId, Command, Millis, PlayerName, Rect, Zoom};

fn one() -> Query {
    Query::Field(claimable().next().unwrap())
}

/// What n2 of `pair`, a follower, answers in a turn at the moment `now` of which `proven` is known.
fn turn(pair: &mut Pair, now: Mono, proven: Option<Mono>) -> Vec<(u64, AnswerBody)> {
    pair.wanted[1].clear();
    pair.step_with(1, &Vantage { now, lease: None, proven: &|_| proven });
    answers(&pair.wanted[1]).into_iter().map(|(id, body)| (id, body.clone())).collect()
}

/// The moment from which the only answer would be true no more.
fn until(wanted: &[Effect]) -> Option<Mono> {
    let [Effect::Answer { until, .. }] = wanted else { panic!("{wanted:?}") };
    *until
}

#[test]
fn a_bounded_read_is_answered_by_what_is_proven_and_refused_when_its_patience_is_over() {
    let mut pair = Pair::led();
    let came = Mono(1_000_000);
    let ask = |pair: &mut Pair| pair.replicas[1].handle_read(came, origin(1), one(), Level::Bounded(100), Slot::ZERO);
    ask(&mut pair);
    let answered = turn(&mut pair, came, Some(Mono(900_000)));
    let [(1, AnswerBody::Read { receipt, .. })] = &answered[..] else { panic!("{answered:?}") };
    assert_eq!(receipt.bound_ms, Some(100));
    assert_eq!(until(&pair.wanted[1]), Some(Mono(1_000_001)), "a microsecond later it would be older than asked for");
    ask(&mut pair);
    assert_eq!(turn(&mut pair, came, Some(Mono(899_999))), []);
    assert!(matches!(pair.wanted[1][..], [Effect::WantFresh]), "{:?}", pair.wanted[1]);
    assert!(pair.replicas[1].awaits_proof());
    assert_eq!(turn(&mut pair, came.plus(PATIENCE - 1), None), []);
    let refused = turn(&mut pair, came.plus(PATIENCE), Some(came.plus(PATIENCE - 100_001)));
    assert_eq!(refused, [(1, AnswerBody::Refused(Refusal::TooStale { bound_ms: Some(101) }))]);
    assert!(!pair.replicas[1].awaits_proof());
}

#[test]
fn a_session_waits_for_what_it_has_seen_and_not_for_ever() {
    let mut pair = Pair::led();
    let (came, seen) = (Mono(1_000_000), pair.replicas[1].applied());
    pair.replicas[1].handle_read(came, origin(1), one(), Level::Session, seen);
    let answered = turn(&mut pair, came, Some(Mono(999_999)));
    let [(1, AnswerBody::Read { receipt, .. })] = &answered[..] else { panic!("{answered:?}") };
    assert_eq!((receipt.bound_ms, receipt.slot), (Some(1), seen));
    pair.replicas[1].handle_read(came, origin(2), one(), Level::Session, seen.next());
    assert_eq!(turn(&mut pair, came, None), []);
    assert!(pair.replicas[1].awaits_proof(), "only time or another node can answer it");
    assert_eq!(turn(&mut pair, came.plus(PATIENCE - 1), None), []);
    let refused = turn(&mut pair, came.plus(PATIENCE), None);
    assert_eq!(refused, [(2, AnswerBody::Refused(Refusal::Behind { applied: seen }))]);
}

#[test]
fn a_strong_read_waits_for_its_quorum_and_is_nobodys_proof() {
    let mut pair = Pair::led();
    pair.replicas[0].handle_read(Mono(0), origin(1), one(), Level::Strong, Slot::ZERO);
    pair.step(0, Mono(0));
    assert_eq!((pair.replicas[0].waiting_reads(), pair.replicas[0].awaits_proof()), (1, false));
    pair.settle_at(Mono(PATIENCE * 2));
    assert!(matches!(pair.answers()[..], [(1, AnswerBody::Read { .. })]), "{:?}", pair.answers());
}

#[test]
fn who_watches_waits_only_if_it_has_seen_everything_and_is_willing_to() {
    let mut alone = Alone::leading();
    let (scrat, _) = register("scrat");
    let fields: Vec<FieldId> = claimable().take(2).collect();
    alone.command(scrat, Command::Claim { field: fields[0], character: CharacterId(0) });
    let rect = Rect::new(FieldId::new(0, 0).unwrap(), 64, 64).unwrap();
    let now = Mono(5_000_000);
    let (all, before) = (alone.replica.applied(), alone.replica.applied().prev());
    let mut asked = 0;
    let mut ask = |alone: &mut Alone, seen, wait_ms| {
        (asked, alone.wanted) = (asked + 1, Vec::new());
        let changes = Query::Changes { rect, seen, wait_ms };
        alone.replica.handle_read(now, origin(asked), changes, Level::Eventual, Slot::ZERO);
        alone.settle();
        match alone.answers()[..] {
            [(_, AnswerBody::Read { reply: Reply::Changes(fields), .. })] => Some(fields.len()),
            [] => None,
            ref other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask(&mut alone, None, 1_000), Some(1), "it has seen nothing");
    assert_eq!(ask(&mut alone, Some(before), 1_000), Some(1), "it has not seen this");
    assert_eq!(ask(&mut alone, Some(all), 0), Some(0), "it does not wait");
    assert_eq!((alone.replica.watchers(), alone.replica.next_watch()), (0, None));
    assert_eq!(ask(&mut alone, Some(all), 3_000), None);
    assert_eq!((alone.replica.watchers(), alone.replica.next_watch()), (1, Some(Mono(8_000_000))));
    assert_eq!(alone.replica.waiting_reads(), 0);
    assert_eq!(ask(&mut alone, Some(all), 60_000), None);
    assert_eq!(ask(&mut alone, Some(all), 1_000_000), None);
    alone.replica.wake_watchers(Mono(14_999_999));
    assert_eq!(alone.replica.watchers(), 2, "nobody waits for longer than ten seconds");
    alone.wanted.clear();
    alone.command(scrat, Command::Claim { field: fields[1], character: CharacterId(0) });
    assert_eq!(alone.replica.watchers(), 0, "something has changed");
}

#[test]
fn so_many_fields_and_no_more_are_asked_for_at_once() {
    let mut alone = Alone::leading();
    let field = claimable().next().unwrap();
    for (id, count) in [(1, MAX_FIELDS), (2, MAX_FIELDS + 1)] {
        let query = Query::Fields(vec![field; count]);
        alone.replica.handle_read(Mono(0), origin(id), query, Level::Eventual, Slot::ZERO);
    }
    alone.settle();
    let [(2, AnswerBody::Refused(Refusal::Invalid { reason })), (1, AnswerBody::Read { reply, .. })] =
        alone.answers()[..]
    else {
        panic!("{:?}", alone.answers())
    };
    assert!(reason.starts_with("129 fields") && reply.fields() == MAX_FIELDS, "{reason}");
}

#[test]
fn what_a_question_costs_is_its_fields_and_the_chunks_looked_at() {
    let mut alone = Alone::leading();
    let scrat: PlayerName = "scrat".parse().unwrap();
    let fields: Vec<FieldId> = claimable().filter(|field| field.x() < 128).take(64).collect();
    for field in &fields {
        alone.command(scrat, Command::Claim { field: *field, character: CharacterId(0) });
    }
    let corner = FieldId::new(0, 0).unwrap();
    let owned = fields.len();
    assert_eq!(alone.replica.state().land().unwrap().owned_fields(), owned as u64);
    assert!(owned > 3);
    let rect = |w| Rect::new(corner, w, 1).unwrap();
    let empty = Rect::new(FieldId::new(0, 640).unwrap(), 130, 1).unwrap();
    let questions = [
        (one(), 1),
        (Query::Fields(fields[..3].to_vec()), 3),
        (Query::View(rect(128)), 2 + owned),
        (Query::View(empty), 3 + 1),
        (Query::Changes { rect: rect(128), seen: None, wait_ms: 0 }, 2 + owned),
        (Query::Player(scrat), 1),
    ];
    for (query, cost) in questions {
        let mut room = 1_000;
        alone.replica.handle_read(Mono(0), origin(1), query.clone(), Level::Eventual, Slot::ZERO);
        alone.replica.step(Millis(1_000), true, &Vantage::blind(Mono(0)), &mut room);
        assert_eq!(1_000 - room, cost, "{query:?}");
    }
}

#[test]
fn where_somebody_has_land_and_how_much_of_it_belongs_to_whom_is_told_from_any_height() {
    let mut alone = Alone::leading();
    let [scrat, sid] = ["scrat", "sid"].map(|name| PlayerName::new(name).unwrap());
    let fields: Vec<FieldId> = claimable().take(9).collect();
    for (nth, field) in fields.iter().enumerate() {
        let player = if nth < 6 { scrat } else { sid };
        alone.command(player, Command::Claim { field: *field, character: CharacterId(0) });
    }
    alone.command(scrat, Command::Abandon { field: fields[0] });
    let mut ask = |query: Query| {
        alone.wanted.clear();
        alone.replica.handle_read(Mono(0), origin(1), query, Level::Eventual, Slot::ZERO);
        alone.settle();
        let [(_, AnswerBody::Read { reply, .. })] = &alone.answers()[..] else { panic!("{:?}", alone.answers()) };
        (*reply).clone()
    };
    let of = |owned: &[FieldId]| {
        let mut chunks = BTreeMap::<_, u16>::new();
        for field in owned {
            *chunks.entry(field.chunk()).or_default() += 1;
        }
        Reply::Estate(chunks.into_iter().collect())
    };
    assert_eq!(ask(Query::Estate(scrat)), of(&fields[1..6]));
    assert_eq!(ask(Query::Estate(sid)), of(&fields[6..]));
    assert_eq!(ask(Query::Estate(PlayerName::new("manny").unwrap())), Reply::Estate(Vec::new()));
    for zoom in Zoom::all().skip(1) {
        let Reply::Census(cells) = ask(Query::Census(Block::of(zoom, fields[0]))) else { panic!("a census") };
        let mut census = Census::NOBODY;
        for (_, cell) in cells {
            census += cell;
        }
        let (scrats, sids) = (census.0[Banner::of(&scrat).index()], census.0[Banner::of(&sid).index()]);
        assert_eq!((scrats, sids, census.sum()), (5, 3, 8), "from {zoom:?}");
    }
}

#[test]
fn a_question_about_land_of_another_shard_is_sent_on() {
    let half = u16::MAX / 2;
    let mut alone = Alone::leading_of((Bucket(0), Bucket(half)));
    let here = |bucket: Bucket| bucket.0 <= half;
    let (own, others): (Vec<FieldId>, Vec<FieldId>) =
        claimable().partition(|field| here(Bucket::of_chunk(SEED, field.chunk())));
    let names = ["scrat", "sid", "manny", "diego", "ellie", "buck"].map(|name| PlayerName::new(name).unwrap());
    let stranger = names.into_iter().find(|name| !here(Bucket::of_player(SEED, name))).unwrap();
    let resident = names.into_iter().find(|name| here(Bucket::of_player(SEED, name))).unwrap();
    let rect = Rect::new(others[0], 1, 1).unwrap();
    let questions = [
        (Query::Field(own[0]), true),
        (Query::Field(others[0]), false),
        (Query::Fields(own.iter().copied().take(3).collect()), true),
        (Query::Fields(vec![own[0], others[0]]), false),
        (Query::Fields(vec![own[0], own[1], others[0]]), false),
        (Query::Player(resident), true),
        (Query::Player(stranger), false),
        // Of these, what is here is shown.
        (Query::View(rect), true),
        (Query::Holdings(stranger), true),
        (Query::Estate(stranger), true),
        (Query::Census(Block::of(Zoom::try_from(7).unwrap(), own[0])), true),
        (Query::Census(Block::of(Zoom::FIELDS, own[0])), true),
    ];
    for (query, is_here) in questions {
        alone.wanted.clear();
        alone.replica.handle_read(Mono(0), origin(1), query.clone(), Level::Eventual, Slot::ZERO);
        alone.settle();
        let answer = &alone.answers()[0].1;
        assert_eq!(matches!(answer, AnswerBody::Read { .. }), is_here, "{query:?}: {answer:?}");
        assert_eq!(matches!(answer, AnswerBody::Refused(Refusal::Moved { .. })), !is_here, "{query:?}: {answer:?}");
    }
}

#[test]
fn what_a_lease_proves_is_true_until_it_ends() {
    let mut alone = Alone::leading();
    for (id, level) in [(1, Level::Strong), (2, Level::Bounded(50))] {
        alone.replica.handle_read(Mono(1_000_000), origin(id), one(), level, Slot::ZERO);
        let lease = Some(Mono(1_900_000));
        let vantage = Vantage { now: Mono(1_000_000), lease, proven: &|_| None };
        alone.replica.step(Millis(1_000), true, &vantage, &mut usize::MAX.clone());
        let answers: Vec<Effect> = std::iter::from_fn(|| alone.replica.poll_effect()).collect();
        assert_eq!(until(&answers), lease, "{level:?}");
    }
    // One that has ended proves nothing; a voter alone asks itself.
    alone.replica.handle_read(Mono(1_900_000), origin(3), one(), Level::Strong, Slot::ZERO);
    let vantage = Vantage { now: Mono(1_900_000), lease: Some(Mono(1_900_000)), proven: &|_| None };
    alone.replica.step(Millis(1_000), true, &vantage, &mut usize::MAX.clone());
    let answers: Vec<Effect> = std::iter::from_fn(|| alone.replica.poll_effect()).collect();
    assert_eq!(until(&answers), None);
}
