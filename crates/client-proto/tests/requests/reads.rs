use crate::play::*;
use client_proto::{Applied, Failure, Read, Reason, Success};
use std::collections::BTreeSet;
use wire::Rows;
use wire::{AnswerBody, Holdings, Level, NodeFigures, NodeReport, Query, Refusal, Reply, RequestBody};
use world::{Acorns, FieldId, PlayerView, Rect};

fn reply(play: &mut Play, to: &Sent, reply: Reply) {
    let receipt = receipt(&to.1, to.0);
    play.answer(to, AnswerBody::Read { reply, receipt });
}

fn query(sent: &Sent) -> (placement::ShardId, Query) {
    match &sent.1.body {
        RequestBody::Read { shard, query, .. } => (*shard, query.clone()),
        other => panic!("{other:?}"),
    }
}

/// A rectangle of three by three chunks.
fn wide() -> Rect {
    Rect::new(FieldId::new(640, 640).unwrap(), 192, 192).unwrap()
}

#[test]
fn a_view_asks_every_shard_under_it_once_and_merges_in_order() {
    let mut play = Play::new(16);
    let op = play.proto.start_read(play.now, Read::View(wide()), Some(Level::Eventual), None).unwrap();
    let sent = play.sent();
    let asked: Vec<_> = sent.iter().map(|sent| query(sent).0).collect();
    let expected: BTreeSet<_> = wide().chunks().map(|chunk| play.shard_of(chunk.field(0).unwrap())).collect();
    assert_eq!(asked.iter().copied().collect::<BTreeSet<_>>(), expected);
    assert_eq!(asked.len(), expected.len(), "each once");
    assert!(asked.len() > 3, "a test that spans shards");
    // Answered last to first, each with one field of its own.
    let mut fields = Vec::new();
    for sent in sent.iter().rev() {
        assert_eq!(play.outcome(), None);
        let shard = query(sent).0;
        let mut chunks = wide().chunks();
        let field = chunks.find_map(|chunk| chunk.field(9).filter(|f| play.shard_of(*f) == shard)).unwrap();
        fields.push(field);
        reply(&mut play, sent, Reply::View([field_view(field, 1)].into_iter().collect()));
    }
    fields.sort_unstable();
    let (ended, result) = play.outcome().unwrap();
    assert_eq!(ended, op);
    let Ok(Success::View { fields: got, receipts }) = result else { panic!("{result:?}") };
    assert_eq!(got.len(), fields.len());
    assert_eq!(got.unpack().iter().map(|view| view.field).collect::<Vec<_>>(), fields);
    assert_eq!(receipts.iter().map(|receipt| receipt.shard).collect::<Vec<_>>(), Vec::from_iter(expected));
}

#[test]
fn a_field_shown_by_two_shards_appears_once_in_its_newer_version() {
    let mut play = Play::new(16);
    play.proto.start_read(play.now, Read::View(wide()), Some(Level::Eventual), None).unwrap();
    let field = wide().corner();
    for (nth, sent) in play.sent().iter().enumerate() {
        let version = if nth == 1 { 7 } else { 3 };
        reply(&mut play, sent, Reply::View([field_view(field, version)].into_iter().collect()));
    }
    let Ok(Success::View { fields, .. }) = play.outcome().unwrap().1 else { panic!("a view") };
    assert_eq!(fields.unpack(), [field_view(field, 7)]);
}

#[test]
fn a_view_with_one_shard_missing_fails_as_a_whole_and_says_who_is_silent() {
    let mut play = Play::new(16);
    play.proto.start_read(play.now, Read::View(wide()), Some(Level::Strong), None).unwrap();
    let sent = play.sent();
    for sent in &sent[1..] {
        reply(&mut play, sent, Reply::View(Rows::default()));
    }
    assert_eq!(play.outcome(), None);
    let Failure::Unavailable { applied, reason, missing, .. } = play.run_out() else { panic!("unavailable") };
    assert_eq!((applied, reason), (Applied::No, Reason::Timeout));
    assert!(missing.contains(&sent[0].0), "{missing:?}");
    assert_eq!(play.proto.in_flight(), 0);
    assert_eq!(play.proto.next_timeout(), None, "the answered parts are gone as well");
}

#[test]
fn a_player_summary_adds_up_the_land_of_all_shards() {
    let mut play = Play::new(4);
    play.proto.start_read(play.now, Read::Player(scrat()), Some(Level::Strong), None).unwrap();
    let sent = play.sent();
    assert_eq!(sent.len(), 5);
    let view = PlayerView { name: scrat(), acorns: Acorns(60) };
    for sent in &sent {
        let answer = match query(sent).1 {
            Query::Player(_) => Reply::Player(Some(view)),
            Query::Holdings(_) => Reply::Holdings(Holdings { fields: 3, pending: Acorns(2) }),
            other => panic!("{other:?}"),
        };
        reply(&mut play, sent, answer);
    }
    let Ok(Success::Player { player, holdings, receipts }) = play.outcome().unwrap().1 else { panic!("a player") };
    assert_eq!((player, holdings), (Some(view), Holdings { fields: 12, pending: Acorns(8) }));
    assert_eq!(receipts.len(), 5);
}

#[test]
fn a_wallet_is_one_question_to_the_players_shard() {
    let mut play = Play::new(4);
    play.proto.start_read(play.now, Read::Wallet(scrat()), Some(Level::Strong), None).unwrap();
    let sent = play.one_sent();
    reply(&mut play, &sent, Reply::Player(None));
    assert!(matches!(play.outcome().unwrap().1, Ok(Success::Wallet { player: None, .. })));
}

#[test]
fn a_strong_read_finds_its_leader_and_an_answer_of_another_kind_is_not_taken() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    play.proto.start_read(play.now, Read::Field(field), Some(Level::Strong), None).unwrap();
    let sent = play.one_sent();
    play.refuse(&sent, not_leader(Some(N2)));
    let sent = play.one_sent();
    assert_eq!(sent.0, N2);
    reply(&mut play, &sent, Reply::View(Rows::default()));
    assert_eq!(play.outcome(), None);
    let sent = play.next_sent();
    reply(&mut play, &sent, Reply::Field(field_view(field, 2)));
    assert!(matches!(play.outcome().unwrap().1, Ok(Success::Field { field, .. }) if field.version == 2));
}

#[test]
fn a_look_that_takes_long_is_asked_of_another_replica_and_whoever_answers_first_is_believed() {
    let mut play = Play::new(1);
    let field = FieldId::new(640, 640).unwrap();
    let look = u64::try_from(client_proto::Options::default().look_timeout.as_millis()).unwrap();
    for late in [true, false] {
        let op = play.proto.start_read(play.now, Read::Field(field), Some(Level::Eventual), None).unwrap();
        let first = play.sent().pop().unwrap();
        play.pass(look - 1);
        assert_eq!(play.sent().len(), 0);
        play.pass(1);
        let second = play.sent().pop().unwrap();
        assert_ne!(second.0, first.0);
        reply(&mut play, if late { &first } else { &second }, Reply::Field(field_view(field, 1)));
        assert_eq!(play.outcome().map(|(ended, result)| (ended, result.is_ok())), Some((op, true)));
    }
    // The leader's word, and one node's, can only be had from them; and whoever watches waits.
    let rect = Rect::new(field, 1, 1).unwrap();
    let (shard, seen) = (play.shard_of(field), paxos::Slot(1));
    for (read, level, from) in [
        (Read::Field(field), Level::Strong, None),
        (Read::Field(field), Level::Eventual, Some(paxos::NodeId(2))),
        (Read::Changes { shard, rect, seen, wait: true }, Level::Eventual, None),
    ] {
        play.proto.start_read(play.now, read, Some(level), from).unwrap();
        assert_eq!(play.sent().len(), 1);
        play.pass(look * 2);
        assert_eq!(play.sent().len(), 0, "{read:?}");
    }
}

#[test]
fn where_every_replica_is_slow_few_reads_are_asked_twice() {
    let options = client_proto::Options { max_in_flight: 32, ..Default::default() };
    let look = u64::try_from(options.look_timeout.as_millis()).unwrap();
    let mut play = Play::with(1, options);
    let rect = Rect::new(FieldId::new(640, 640).unwrap(), 1, 1).unwrap();
    let mut asked_twice = || {
        for _ in 0..32 {
            play.proto.start_read(play.now, Read::View(rect), Some(Level::Eventual), None).unwrap();
        }
        let first = play.sent();
        assert_eq!(first.len(), 32);
        play.pass(look);
        let again = play.sent();
        for sent in again.iter().chain(&first) {
            reply(&mut play, sent, Reply::View(Rows::default()));
        }
        while let Some((_, result)) = play.outcome() {
            assert!(result.is_ok());
        }
        assert_eq!(play.proto.in_flight(), 0);
        again.len()
    };
    assert_eq!(asked_twice(), 32, "a node that died has left no more unanswered");
    assert_eq!((asked_twice(), asked_twice()), (2, 2), "a sixteenth of those answered");
}

#[test]
fn a_look_that_only_one_node_can_answer_is_asked_once() {
    let mut play = Play::new(1);
    let rect = Rect::new(FieldId::new(640, 640).unwrap(), 1, 1).unwrap();
    play.disconnect(N1);
    play.disconnect(N2);
    play.proto.start_read(play.now, Read::View(rect), Some(Level::Eventual), None).unwrap();
    let sent = play.one_sent();
    let options = client_proto::Options::default();
    play.pass(u64::try_from(options.attempt_timeout.as_millis()).unwrap());
    assert_eq!(play.sent().len(), 0, "it would answer no sooner");
    play.pass(u64::try_from(options.look_timeout.as_millis()).unwrap());
    assert_eq!(play.sent().len(), 1, "what was sent may be lost");
    reply(&mut play, &sent, Reply::View(Rows::default()));
    assert!(play.outcome().is_some_and(|(_, result)| result.is_ok()));
}

#[test]
fn a_read_from_one_node_asks_that_node_only() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    let read = |play: &mut Play, level| {
        play.proto.start_read(play.now, Read::Field(field), Some(level), Some(N3)).unwrap();
        let sent = play.one_sent();
        assert_eq!(sent.0, N3);
        sent
    };
    let reason = |play: &mut Play| match play.failure() {
        Failure::Unavailable { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    let sent = read(&mut play, Level::Strong);
    play.refuse(&sent, not_leader(Some(N1)));
    assert_eq!(reason(&mut play), Reason::NotLeader);
    let sent = read(&mut play, Level::Eventual);
    play.refuse(&sent, Refusal::Moved { hint: Some(N1), map_version: 1 });
    assert_eq!(reason(&mut play), Reason::NoReplica);
    let sent = read(&mut play, Level::Bounded(5));
    play.refuse(&sent, Refusal::TooStale { bound_ms: Some(80) });
    assert_eq!(reason(&mut play), Reason::TooStale);
    read(&mut play, Level::Eventual);
    assert_eq!(play.next_sent().0, N3, "an attempt that timed out is repeated there");
    play.disconnect(N3);
    let failure = play.run_out();
    assert!(matches!(failure, Failure::Unavailable { reason: Reason::NotConnected, missing, .. } if missing == [N3]));
}

#[test]
fn reports_are_asked_for_once() {
    let mut play = Play::new(1);
    play.disconnect(N3);
    play.proto.start_node_report(play.now, N3).unwrap();
    assert_eq!(play.sent(), []);
    assert!(
        matches!(play.failure(), Failure::Unavailable { reason: Reason::NotConnected, missing, .. } if missing == [N3])
    );
    play.proto.start_node_report(play.now, N2).unwrap();
    play.one_sent();
    play.pass(2_000);
    assert!(matches!(play.failure(), Failure::Unavailable { reason: Reason::Timeout, missing, .. } if missing == [N2]));
    play.proto.start_node_report(play.now, N1).unwrap();
    let sent = play.one_sent();
    let report = NodeReport {
        node: N1,
        region: "local".into(),
        pid: 7,
        quic: String::new(),
        http: String::new(),
        data: String::new(),
        version: String::new(),
        leads: 1,
        replicas: 1,
        hears: vec![],
        figures: NodeFigures::default(),
    };
    play.answer(&sent, AnswerBody::Node(Box::new(report.clone())));
    assert_eq!(play.outcome().unwrap().1, Ok(Success::Node(Box::new(report))));
    play.proto.start_shards_report(play.now, N1).unwrap();
    let sent = play.one_sent();
    play.answer(&sent, AnswerBody::Shards(vec![]));
    assert_eq!(play.outcome().unwrap().1, Ok(Success::Shards(vec![])));
}

/// What is asked of whom, at which level, and behind which slot.
fn asked(sent: &[Sent]) -> Vec<(placement::ShardId, Level, Query)> {
    let body = |sent: &Sent| match &sent.1.body {
        RequestBody::Read { shard, query, level, .. } => (*shard, *level, query.clone()),
        other => panic!("{other:?}"),
    };
    sent.iter().map(body).collect()
}

#[test]
fn a_read_without_a_level_gets_the_usual_one_of_its_shard() {
    let mut play = Play::new(4);
    let policies = "[[reads]]\nshards = [2, 2]\nlevel = 'bounded:500'\n";
    play.map.follow_policies("map.toml", policies).unwrap();
    play.map.version += 1;
    play.welcome(N1);
    let level = |play: &mut Play, read, level| {
        play.proto.start_read(play.now, read, level, None).unwrap();
        asked(&[play.one_sent()])[0].1
    };
    let (plain, own) = (play.field_in(0), play.field_in(1));
    assert_eq!(level(&mut play, Read::Field(plain), None), Level::Strong);
    assert_eq!(level(&mut play, Read::View(Rect::new(plain, 1, 1).unwrap()), None), Level::Eventual);
    assert_eq!(level(&mut play, Read::Field(own), None), Level::Bounded(500));
    assert_eq!(level(&mut play, Read::View(Rect::new(own, 1, 1).unwrap()), None), Level::Bounded(500));
    assert_eq!(level(&mut play, Read::Field(own), Some(Level::Eventual)), Level::Eventual, "what was named counts");
}

#[test]
fn a_watch_begins_at_every_shard_and_goes_on_at_each_behind_what_it_has_shown() {
    let mut play = Play::new(16);
    let rect = wide();
    play.proto.start_read(play.now, Read::Watch(rect), None, None).unwrap();
    let sent = play.sent();
    let begins = Query::Changes { rect, seen: None, wait_ms: 0 };
    assert!(asked(&sent).iter().all(|(_, level, query)| (*level, query) == (Level::Eventual, &begins)), "{sent:?}");
    let shards: Vec<_> = asked(&sent).iter().map(|(shard, ..)| *shard).collect();
    assert!(shards.len() > 3, "a test that spans shards");
    for sent in &sent {
        reply(&mut play, sent, Reply::Changes(Rows::default()));
    }
    let Some((_, Ok(Success::View { receipts, .. }))) = play.outcome() else { panic!("it has begun") };
    assert_eq!(receipts.iter().map(|receipt| receipt.shard).collect::<BTreeSet<_>>(), shards.iter().copied().collect());

    let (shard, seen) = (receipts[1].shard, receipts[1].slot);
    play.proto.start_read(play.now, Read::Changes { shard, rect, seen, wait: true }, None, None).unwrap();
    let sent = play.one_sent();
    let goes_on = Query::Changes { rect, seen: Some(seen), wait_ms: 500 };
    assert_eq!(asked(std::slice::from_ref(&sent)), [(shard, Level::Eventual, goes_on)]);
    let again = play.next_sent();
    assert_ne!(again.0, sent.0, "a node that says nothing for twice as long as it was to wait is given up");
    reply(&mut play, &again, Reply::Changes([field_view(rect.corner(), 4)].into_iter().collect()));
    let result = play.outcome().unwrap().1;
    assert!(
        matches!(&result, Ok(Success::View { fields, receipts }) if fields.unpack()[0].version == 4 && receipts.len() == 1)
    );

    let nowhere = Read::Changes { shard: placement::ShardId(17), rect, seen, wait: true };
    let refused = play.proto.start_read(play.now, nowhere, None, None);
    assert_eq!(refused, Err(client_proto::StartError::NoSuchShard(placement::ShardId(17))));

    let here = Rect::new(rect.corner(), 1, 1).unwrap();
    let holder = play.shard_of(rect.corner());
    let elsewhere = shards.into_iter().find(|shard| *shard != holder).unwrap();
    let empty = Read::Changes { shard: elsewhere, rect: here, seen, wait: true };
    let refused = play.proto.start_read(play.now, empty, None, None);
    assert_eq!(refused, Err(client_proto::StartError::NotThere(elsewhere)), "it would say that nothing has changed");
}
