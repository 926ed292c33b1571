//! Players who want the same, and players who ask twice.

use crate::support::*;
use client_proto::Success;
use sim::clock::{MS, SECOND};
use sim::meddle::Fate;
use sim::plan::Plan;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use wire::{AnswerBody, Level};
use world::{Outcome, Rejection};

#[test]
fn three_nodes_two_players_one_field_two_entry_nodes_at_one_moment_one_owner_and_the_loser_is_told_who() {
    for seed in 0..50 {
        let mut cluster = cluster_of(Plan { players: 3, ..Plan::quiet(seed, 3, 3, 1) });
        let field = field(&cluster, 0);
        // Players 1 and 2 live beside n2 and n3, neither of which leads.
        let ops = [(1, claim(&mut cluster, 1, field)), (2, claim(&mut cluster, 2, field))];
        let results = ops.map(|(player, op)| (player, result(&mut cluster, player, op, 5)));
        let winners: Vec<_> =
            results.iter().filter(|(_, result)| is_claimed(result)).map(|(player, _)| *player).collect();
        assert_eq!(winners.len(), 1, "{results:?}");
        let winner = name(&cluster, winners[0]);
        let loser = results.iter().find(|(player, _)| *player != winners[0]).expect("the other one");
        let told = match &loser.1 {
            Ok(Success::Command { outcome: Outcome::Rejected(Rejection::AlreadyOwned { owner, .. }), .. }) => *owner,
            other => panic!("the loser was told {other:?}"),
        };
        assert_eq!(told, winner);
        calm_and_check(&mut cluster);
    }
}

#[test]
fn a_claim_whose_answer_is_lost_with_its_leader_is_retried_at_the_new_one_and_hears_the_first_answer_once_applied() {
    let mut cluster = cluster(3);
    let field = field(&cluster, 0);
    cluster.meddler.answers(|node, _, _| if node == N1 { Fate::Lose } else { Fate::Pass });
    let op = claim(&mut cluster, 1, field);
    let before = applied(&cluster, N1);
    assert!(cluster.run_until(SECOND, |cluster| applied(cluster, N1) > before), "it is applied, but nobody hears");
    cluster.crash(N1);
    let answer = result(&mut cluster, 1, op, 8);
    assert_ne!(leader(&cluster), Some(N1));
    // Had it been applied again, it would hear that the field is its own already.
    assert!(is_claimed(&answer), "{answer:?}");
    assert_eq!(version(answer), 1);
    calm_and_check(&mut cluster);
}

#[test]
fn a_duplicate_of_a_claim_that_arrives_late_hears_the_first_answer_and_changes_nothing() {
    let options = client_proto::Options { request_timeout: Duration::from_secs(9), ..Default::default() };
    let mut cluster = cluster_of(Plan { players: 3, options, ..Plan::quiet(3, 3, 3, 1) });
    let field = field(&cluster, 0);
    // Held back so that the client's floor stays low and the leader remembers.
    let answers = Rc::new(Cell::new(0));
    let seen = Rc::clone(&answers);
    cluster.meddler.requests(|_, _, _| Fate::Again(3 * SECOND));
    cluster.meddler.answers(move |_, _, answers| {
        let applied = |answer: &&wire::Answer| matches!(&answer.body, AnswerBody::Applied { .. });
        seen.set(seen.get() + answers.iter().filter(applied).count());
        Fate::Pass
    });
    must_claim(&mut cluster, 1, field);
    assert_eq!(answers.get(), 1);
    cluster.run_for(4 * SECOND);
    sound(&mut cluster);
    assert_eq!(answers.get(), 2, "the duplicate is answered, and with the same words: the observer compares");
    cluster.meddler.stop();
    let op = read(&mut cluster, 2, field, Level::Strong, None);
    let read = result(&mut cluster, 2, op, 5);
    assert!(matches!(&read, Ok(Success::Field { field, .. }) if field.version == 1), "{read:?}");
    calm_and_check(&mut cluster);
}

#[test]
fn a_leader_that_dies_between_apply_and_answer_leaves_the_claim_in_place() {
    for survivors in 0..8 {
        let mut cluster = cluster_of(Plan { players: 3, ..Plan::quiet(survivors, 3, 3, 1) });
        let field = field(&cluster, 0);
        cluster.meddler.answers(|_, _, _| Fate::Late(100 * MS));
        let op = claim(&mut cluster, 1, field);
        let before = applied(&cluster, N1);
        assert!(cluster.run_until(SECOND, |cluster| applied(cluster, N1) > before));
        for node in [N1, N2, N3] {
            cluster.crash(node);
        }
        cluster.meddler.stop();
        for node in [N1, N2, N3] {
            cluster.start(node);
        }
        let answer = result(&mut cluster, 1, op, 10);
        assert!(is_claimed(&answer) && version(answer.clone()) == 1, "{answer:?}");
        calm_and_check(&mut cluster);
    }
}

fn version(result: Result<Success, client_proto::Failure>) -> u32 {
    match result {
        Ok(Success::Command { outcome: Outcome::Done { field, .. }, .. }) => field.version,
        other => panic!("not done: {other:?}"),
    }
}
