//! Reads of single fields that travel together.

use crate::play::*;
use client_proto::{OpId, Read, Success};
use wire::client::MAX_FIELDS;
use wire::{AnswerBody, Level, Query, Reply, RequestBody};
use world::FieldId;

fn fields(play: &Play, row: usize, count: u16) -> Vec<FieldId> {
    let chunk = play.field_in(row).chunk();
    (0..count).map(|offset| chunk.field(offset).unwrap()).collect()
}

fn read_all(play: &mut Play, fields: &[FieldId], level: Level) -> Vec<OpId> {
    let mut start = |field: &FieldId| play.proto.start_read(play.now, Read::Field(*field), Some(level), None).unwrap();
    fields.iter().map(&mut start).collect()
}

fn asked(sent: &Sent) -> Vec<FieldId> {
    match &sent.1.body {
        RequestBody::Read { query: Query::Fields(fields), .. } => fields.clone(),
        RequestBody::Read { query: Query::Field(field), .. } => vec![*field],
        other => panic!("{other:?}"),
    }
}

fn answer(play: &mut Play, to: &Sent, fields: &[FieldId]) {
    let reply = Reply::Fields(fields.iter().map(|field| field_view(*field, 1)).collect());
    let receipt = receipt(&to.1, to.0);
    play.answer(to, AnswerBody::Read { reply, receipt });
}

fn outcomes(play: &mut Play) -> Vec<(OpId, FieldId)> {
    std::iter::from_fn(|| play.outcome())
        .map(|(op, result)| match result {
            Ok(Success::Field { field, .. }) => (op, field.field),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn fields_of_one_shard_are_asked_for_at_once_and_each_hears_of_its_own() {
    let mut play = Play::new(4);
    let (here, there) = (fields(&play, 0, 3), fields(&play, 1, 1));
    let ops = read_all(&mut play, &[here[0], there[0], here[1], here[2]], Level::Strong);
    let sent = play.sent();
    assert_eq!(sent.len(), 2, "one for each shard");
    let bunch = sent.iter().find(|sent| asked(sent).len() > 1).unwrap();
    let alone = sent.iter().find(|sent| asked(sent).len() == 1).unwrap();
    assert!(matches!(alone.1.body, RequestBody::Read { query: Query::Field(_), .. }), "one goes by itself");
    assert_eq!(asked(bunch), here);
    answer(&mut play, bunch, &here);
    assert_eq!(outcomes(&mut play), [(ops[0], here[0]), (ops[2], here[1]), (ops[3], here[2])]);
    answer(&mut play, bunch, &here);
    assert_eq!(play.outcome(), None, "an answer counts once");
}

#[test]
fn levels_do_not_mix_and_a_bunch_has_its_bound() {
    let mut play = Play::new(1);
    let all = fields(&play, 0, u16::try_from(MAX_FIELDS).unwrap() + 5);
    read_all(&mut play, &all, Level::Strong);
    read_all(&mut play, &all[..2], Level::Bounded(50));
    let mut sizes: Vec<usize> = play.sent().iter().map(|sent| asked(sent).len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [2, 5, MAX_FIELDS]);
}

#[test]
fn a_bunch_that_is_refused_is_asked_for_again_elsewhere() {
    let mut play = Play::new(1);
    let all = fields(&play, 0, 3);
    let ops = read_all(&mut play, &all, Level::Strong);
    let sent = play.one_sent();
    let leader = if sent.0 == N1 { N2 } else { N1 };
    play.refuse(&sent, not_leader(Some(leader)));
    let again = play.one_sent();
    assert_eq!((again.0, asked(&again)), (leader, all.clone()));
    answer(&mut play, &again, &all);
    assert_eq!(outcomes(&mut play).into_iter().map(|(op, _)| op).collect::<Vec<_>>(), ops);
}

#[test]
fn an_attempt_that_took_too_long_is_answered_by_whoever_answers_first() {
    let mut play = Play::new(1);
    let all = fields(&play, 0, 2);
    let ops = read_all(&mut play, &all, Level::Strong);
    let late = play.one_sent();
    play.pass(1_100);
    let again = play.one_sent();
    assert_eq!(asked(&again), all);
    answer(&mut play, &late, &all);
    assert_eq!(outcomes(&mut play), [(ops[0], all[0]), (ops[1], all[1])]);
    answer(&mut play, &again, &all);
    assert_eq!(play.outcome(), None);
}

#[test]
fn what_was_not_asked_is_no_answer() {
    let mut play = Play::new(1);
    let all = fields(&play, 0, 4);
    let ops = read_all(&mut play, &all[..2], Level::Strong);
    let sent = play.one_sent();
    answer(&mut play, &sent, &[all[0], all[3]]);
    assert_eq!(outcomes(&mut play), [(ops[0], all[0])]);
    let again = play.next_sent();
    assert_eq!(asked(&again), [all[1]], "the other one is asked for again");
    let (reply, receipt) = (Reply::Field(field_view(all[3], 1)), receipt(&again.1, again.0));
    play.answer(&again, AnswerBody::Read { reply, receipt });
    assert_eq!(play.outcome(), None, "nor does another field do where one was asked for");
    assert_eq!(asked(&play.next_sent()), [all[1]]);
}

#[test]
fn an_answer_with_too_few_fields_is_one_to_nobody() {
    let mut play = Play::new(1);
    let all = fields(&play, 0, 3);
    read_all(&mut play, &all, Level::Strong);
    let sent = play.one_sent();
    answer(&mut play, &sent, &all[..2]);
    assert_eq!(play.outcome(), None);
    assert_eq!(play.proto.in_flight(), 3, "all are asked for again");
}

#[test]
fn a_lost_connection_gives_its_bunches_back() {
    let mut play = Play::new(1);
    let all = fields(&play, 0, 3);
    read_all(&mut play, &all, Level::Strong);
    let sent = play.one_sent();
    play.disconnect(sent.0);
    let again = play.one_sent();
    assert!(again.0 != sent.0 && asked(&again) == all);
    answer(&mut play, &sent, &all);
    assert_eq!(play.outcome(), None, "nobody listens to that connection any more");
    answer(&mut play, &again, &all);
    assert_eq!(outcomes(&mut play).len(), 3);
}
