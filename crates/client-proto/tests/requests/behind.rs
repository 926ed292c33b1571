//! A client that stands behind others: a gateway, which lives on one of the nodes and numbers nothing itself.

use crate::play::*;
use client_proto::{Applied, Failure, Given, OpId, Options, Read, Reason, Success};
use std::collections::BTreeSet;
use std::time::Duration;
use wire::{AnswerBody, ClientId, Level, Query, Refusal, Reply, RequestBody, RequestNo};
use world::{Banner, Block, CharacterId, Command, FieldId, Zoom};

/// A browser, somewhere.
const BROWSER: Given = Given { client: ClientId(77), floor: RequestNo(3) };

fn at_home(node: paxos::NodeId) -> Play {
    Play::with(4, Options { home: Some(node), ..Options::default() })
}

fn given(play: &mut Play, field: FieldId, number: u64) -> OpId {
    let claim = Command::Claim { field, character: CharacterId(0) };
    play.proto.start_given(play.now, scrat(), claim, RequestNo(number), BROWSER).unwrap()
}

fn read(play: &mut Play, row: usize, level: Level) -> Sent {
    let field = play.field_in(row);
    play.proto.start_read(play.now, Read::Field(field), Some(level), None).unwrap();
    play.one_sent()
}

#[test]
fn what_any_replica_may_answer_is_asked_at_home_and_what_the_leader_must_is_not() {
    for home in [N1, N2, N3] {
        let mut play = at_home(home);
        for row in 0..4 {
            for level in [Level::Eventual, Level::Session, Level::Bounded(500)] {
                assert_eq!(read(&mut play, row, level).0, home, "{level:?} of row {row}");
            }
            let leader = play.map.shards()[row].voters[0];
            assert_eq!(read(&mut play, row, Level::Strong).0, leader);
        }
    }
}

#[test]
fn who_is_not_well_at_home_asks_elsewhere_and_comes_back_once_it_is() {
    let mut play = at_home(N2);
    play.disconnect(N2);
    assert_ne!(read(&mut play, 0, Level::Eventual).0, N2);
    play.welcome(N2);
    let sent = read(&mut play, 0, Level::Session);
    assert_eq!(sent.0, N2);
    // What home cannot show yet another may.
    play.refuse(&sent, Refusal::Behind { applied: paxos::Slot(1) });
    assert_ne!(play.next_sent().0, N2);
}

#[test]
fn a_node_that_holds_no_replica_is_home_to_nobodys_question() {
    let stranger = paxos::NodeId(9);
    let mut play = at_home(stranger);
    play.welcome(stranger);
    assert_ne!(read(&mut play, 0, Level::Eventual).0, stranger);
}

#[test]
fn a_given_number_travels_as_it_was_given_beside_ones_own() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    given(&mut play, field, 5);
    let theirs = envelope(&play.one_sent().1);
    assert_eq!((theirs.client, theirs.number, theirs.floor), (BROWSER.client, RequestNo(5), BROWSER.floor));
    play.claim(field);
    let ours = envelope(&play.one_sent().1);
    assert_eq!((ours.client, ours.number, ours.floor), (ClientId(9), RequestNo(1), RequestNo(1)));
}

#[test]
fn a_given_number_is_kept_over_attempts_and_its_answer_is_the_browsers() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    let op = given(&mut play, field, 5);
    let first = play.one_sent();
    play.disconnect(first.0);
    let again = play.one_sent();
    assert_ne!(again.0, first.0);
    assert_eq!(envelope(&again.1), envelope(&first.1));
    play.apply(&again);
    let (ended, result) = play.outcome().unwrap();
    assert!(ended == op && matches!(result, Ok(Success::Command { .. })), "{result:?}");
    assert_eq!(play.proto.request_no(op), None);
}

/// One's own command gets a new number when its deadline has passed; somebody else's must not: whoever repeats it would not find it.
#[test]
fn a_given_number_is_never_changed_even_where_its_time_is_up() {
    let mut play = Play::new(1);
    let field = play.field_in(0);
    given(&mut play, field, 5);
    let sent = play.one_sent();
    play.refuse(&sent, expired());
    let Failure::Unavailable { applied, reason, .. } = play.failure() else { panic!("unavailable") };
    assert_eq!((applied, reason), (Applied::No, Reason::Expired));
    assert_eq!(play.sent(), []);
}

#[test]
fn given_commands_are_no_part_of_ones_own_window() {
    let mut play = Play::with(1, Options { max_window: 2, ..Options::default() });
    let field = play.field_in(0);
    for number in 1..=8 {
        given(&mut play, field, number);
    }
    assert_eq!(play.sent().len(), 8);
    play.claim(field);
    assert_eq!(envelope(&play.one_sent().1).floor, RequestNo(1));
}

fn tell(play: &mut Play, to: &Sent, reply: Reply) {
    let receipt = receipt(&to.1, to.0);
    play.answer(to, AnswerBody::Read { reply, receipt });
}

fn asked(sent: &[Sent]) -> Vec<(placement::ShardId, Query)> {
    let asked = sent.iter().map(|(_, request)| match &request.body {
        RequestBody::Read { shard, query, level, .. } => {
            assert_eq!(*level, Level::Eventual, "a look, unless said otherwise");
            (*shard, query.clone())
        }
        other => panic!("{other:?}"),
    });
    asked.collect()
}

#[test]
fn an_estate_is_asked_of_every_shard_and_comes_in_order() {
    let mut play = Play::new(4);
    play.proto.start_read(play.now, Read::Estate(scrat()), None, None).unwrap();
    let sent = play.sent();
    let asked = asked(&sent);
    assert!(asked.iter().all(|(_, query)| *query == Query::Estate(scrat())), "{asked:?}");
    assert_eq!(asked.iter().map(|(shard, _)| shard).collect::<BTreeSet<_>>().len(), 4);
    let chunk = |nth: u32| FieldId::new(64 * nth, 0).unwrap().chunk();
    // Last to first, each with a chunk of its own and one behind it.
    for (nth, sent) in (0..4).zip(&sent).rev() {
        assert_eq!(play.outcome(), None);
        tell(&mut play, sent, Reply::Estate(vec![(chunk(nth), 1), (chunk(nth + 10), 2)]));
    }
    let Ok(Success::Estate { chunks, receipts }) = play.outcome().unwrap().1 else { panic!("an estate") };
    let expected = [0, 1, 2, 3, 10, 11, 12, 13].map(|nth| (chunk(nth), if nth < 10 { 1 } else { 2 }));
    assert_eq!(chunks, expected);
    assert!(receipts.iter().map(|receipt| receipt.shard).is_sorted() && receipts.len() == 4);
}

#[test]
fn a_census_asks_the_shards_under_a_block_and_adds_up_what_they_count() {
    let mut play = Play::new(16);
    let near = Block::new(Zoom::FIELDS, 10, 10).unwrap();
    let afar = Block::new(Zoom::try_from(3).unwrap(), 0, 0).unwrap();
    play.proto.start_read(play.now, Read::Census(near), None, None).unwrap();
    assert_eq!(asked(&play.sent()).len(), 1, "one chunk, one shard");
    play.proto.start_read(play.now, Read::Census(afar), None, None).unwrap();
    let sent = play.sent();
    let shards: BTreeSet<_> = asked(&sent).into_iter().map(|(shard, _)| shard).collect();
    let under: BTreeSet<_> = afar.chunks().map(|chunk| play.shard_of(chunk.field(0).unwrap())).collect();
    assert_eq!((shards.len(), &shards), (sent.len(), &under));

    let banner = Banner::of(&scrat());
    let count = |count| {
        let mut census = world::Census::default();
        census.0[banner.index()] = count;
        census
    };
    for (nth, sent) in (0..).zip(&sent) {
        tell(&mut play, sent, Reply::Census(vec![(7, count(2)), (100 + nth, count(1))]));
    }
    let Ok(Success::Census { cells, receipts }) = play.outcome().unwrap().1 else { panic!("a census") };
    let shards = u16::try_from(sent.len()).unwrap();
    assert_eq!(cells[0], (7, count(2 * u32::from(shards))), "one cell is of many shards");
    assert_eq!(cells[1..], (0..shards).map(|nth| (100 + nth, count(1))).collect::<Vec<_>>());
    assert_eq!(receipts.len(), sent.len());
}

#[test]
fn an_answer_to_another_question_is_no_answer() {
    let mut play = Play::new(1);
    play.proto.start_read(play.now, Read::Estate(scrat()), None, None).unwrap();
    let sent = play.one_sent();
    tell(&mut play, &sent, Reply::Census(Vec::new()));
    assert_eq!(play.outcome(), None);
    play.pass(Duration::from_secs(30).as_millis().try_into().unwrap());
    assert!(matches!(play.failure(), Failure::Unavailable { .. }));
}
