use crate::play::*;
use client_proto::{Now, Read, WelcomeError};
use wire::{Level, Refusal, RequestBody};
use world::{Bucket, Command, WorldSeed};

#[test]
fn commands_and_strong_reads_go_to_the_shard_of_their_chunk_or_player() {
    let mut play = Play::new(16);
    for row in 0..16 {
        let field = play.field_in(row);
        play.claim(field);
        let (node, request) = play.one_sent();
        assert!(matches!(request.body, RequestBody::Command { shard, .. } if shard == play.map.shards()[row].shard));
        assert_eq!(node, play.map.shards()[row].voters[0]);
    }
    play.proto.start_command(play.now, scrat(), Command::Register).unwrap();
    let home = play.map.shard_of(Bucket::of_player(SEED, &scrat())).clone();
    let (node, request) = play.one_sent();
    assert!(matches!(request.body, RequestBody::Command { shard, .. } if shard == home.shard));
    assert_eq!(node, home.voters[0]);
}

#[test]
fn a_hint_is_followed_at_once_and_remembered() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    play.claim(field);
    let sent = play.one_sent();
    play.refuse(&sent, not_leader(Some(N3)));
    let again = play.one_sent();
    assert_eq!((again.0, number(&again.1)), (N3, 1));
    play.claim(field);
    assert_eq!(play.one_sent().0, N3);
}

#[test]
fn a_moved_shard_is_looked_for_where_the_hint_says() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    play.claim(field);
    let sent = play.one_sent();
    play.refuse(&sent, Refusal::Moved { hint: Some(N2), map_version: 2 });
    assert_eq!(play.one_sent().0, N2);
}

#[test]
fn two_nodes_that_point_at_each_other_are_asked_a_few_times_only() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    play.claim(field);
    let mut attempts = 0;
    while play.outcome().is_none() {
        loop {
            let sent = play.sent();
            if sent.is_empty() {
                break;
            }
            attempts += sent.len();
            for sent in sent {
                let other = if sent.0 == N1 { N2 } else { N1 };
                play.refuse(&sent, not_leader(Some(other)));
            }
        }
        play.now = play.proto.next_timeout().unwrap().max(play.now);
        play.proto.handle_timeout(play.now);
    }
    // Ten seconds with pauses of at most 300 ms, at least half of that once they have grown, four attempts in between.
    assert!((100..400).contains(&attempts), "{attempts}");
}

#[test]
fn a_hint_to_a_node_without_connection_makes_it_look_elsewhere_after_a_pause() {
    let mut play = Play::new(1);
    play.disconnect(N3);
    let field = play.field_in(0);
    play.claim(field);
    let sent = play.one_sent();
    play.refuse(&sent, not_leader(Some(N3)));
    assert_eq!(play.sent(), [], "not at once");
    assert_eq!(play.next_sent().0, N2);
}

#[test]
fn a_node_that_lets_an_attempt_time_out_in_silence_is_avoided_by_the_next() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    play.claim(field);
    assert_eq!(play.one_sent().0, N1);
    assert_eq!(play.next_sent().0, N2);
    play.claim(field);
    assert_eq!(play.one_sent().0, N2, "n1 has said nothing for a whole attempt");
}

#[test]
fn a_hint_back_to_the_node_that_has_just_fallen_silent_is_not_followed_until_it_speaks() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    play.claim(field);
    let lost = play.one_sent();
    let second = play.next_sent();
    assert_eq!((lost.0, second.0), (N1, N2));
    play.refuse(&second, not_leader(Some(N1)));
    assert_eq!(play.sent(), [], "its followers do not know yet");
    let third = play.next_sent();
    assert_eq!(third.0, N3);
    play.refuse(&lost, Refusal::Deposed);
    play.refuse(&third, not_leader(Some(N1)));
    assert_eq!(play.one_sent().0, N1, "it is back");
}

#[test]
fn a_slow_shard_on_a_node_that_answers_others_does_not_make_the_node_suspect() {
    let mut play = Play::new(2);
    let (slow, fast) = (play.field_in(0), play.field_in(0));
    play.claim(slow);
    play.one_sent();
    play.pass(500);
    play.claim(fast);
    let answered = play.one_sent();
    play.apply(&answered);
    assert!(play.outcome().unwrap().1.is_ok());
    assert_eq!(play.next_sent().0, N2, "the slow command tries another voter");
    play.claim(fast);
    assert_eq!(play.one_sent().0, N1, "the others stay");
}

#[test]
fn eventual_reads_prefer_the_replica_that_answers_fastest() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    let mut asked = [0_u32; 4];
    for _ in 0..300 {
        play.proto.start_read(play.now, Read::Field(field), Some(Level::Eventual), None).unwrap();
        let sent = play.one_sent();
        asked[sent.0.0 as usize] += 1;
        // n2 is near, the others far.
        play.now = Now(play.now.0 + if sent.0 == N2 { 1_000 } else { 40_000 });
        let reply = wire::Reply::Field(field_view(field, 1));
        play.answer(&sent, wire::AnswerBody::Read { reply, receipt: receipt(&sent.1, sent.0) });
        assert!(play.outcome().unwrap().1.is_ok());
    }
    assert!(asked[2] > 280 && asked[1] >= 1 && asked[3] >= 1, "{asked:?}");
}

#[test]
fn a_new_map_moves_commands_and_splits_reads_anew() {
    let mut play = Play::new(2);
    let field = play.field_in(0);
    let rect = world::Rect::new(field, 1, 1).unwrap();
    let op = play.proto.start_read(play.now, Read::Player(scrat()), Some(Level::Strong), None).unwrap();
    play.proto.start_read(play.now, Read::View(rect), Some(Level::Strong), None).unwrap();
    let old = play.sent();
    assert_eq!(old.len(), 3 + 1);
    let mut welcome = play.welcome_of(N1);
    let mut text = serde_json::to_value(placement::ShardMap::initial(4, &[N1, N2, N3], 3).unwrap()).unwrap();
    text["version"] = 2.into();
    welcome.map = serde_json::from_value(text).unwrap();
    play.proto.handle_welcome(play.now, N1, &welcome).unwrap();
    let new = play.sent();
    assert_eq!(new.len(), 5 + 1);
    let stale = wire::AnswerBody::Read {
        reply: wire::Reply::View(wire::Rows::default()),
        receipt: receipt(&old[3].1, old[3].0),
    };
    play.answer(&old[3], stale);
    assert_eq!(play.outcome(), None, "the old parts count no more");
    for sent in new {
        let RequestBody::Read { query, .. } = &sent.1.body else { panic!("{sent:?}") };
        let reply = match query {
            wire::Query::Player(_) => wire::Reply::Player(None),
            wire::Query::Holdings(_) => wire::Reply::Holdings(wire::Holdings { fields: 1, ..Default::default() }),
            wire::Query::View(_) => wire::Reply::View(wire::Rows::default()),
            wire::Query::Changes { .. } => wire::Reply::Changes(wire::Rows::default()),
            wire::Query::Estate(_) => wire::Reply::Estate(Vec::new()),
            wire::Query::Census(_) => wire::Reply::Census(Vec::new()),
            wire::Query::Field(_) | wire::Query::Fields(_) => panic!("{sent:?}"),
        };
        let receipt = receipt(&sent.1, sent.0);
        play.answer(&sent, wire::AnswerBody::Read { reply, receipt });
    }
    let (first, result) = play.outcome().unwrap();
    assert_eq!(first, op);
    assert!(matches!(result, Ok(client_proto::Success::Player { holdings, .. }) if holdings.fields == 4), "{result:?}");
    assert!(play.outcome().unwrap().1.is_ok());
}

#[test]
fn a_welcome_of_another_node_or_world_is_refused() {
    let mut play = Play::new(1);
    let welcome = play.welcome_of(N2);
    let refused = play.proto.handle_welcome(play.now, N1, &welcome).unwrap_err();
    assert_eq!(refused, WelcomeError::OtherNode { expected: N1, got: N2 });
    let mut welcome = play.welcome_of(N1);
    welcome.seed = WorldSeed(8);
    let refused = play.proto.handle_welcome(play.now, N1, &welcome).unwrap_err();
    assert_eq!(refused, WelcomeError::OtherWorld { node: N1, expected: SEED, got: WorldSeed(8) });
}
