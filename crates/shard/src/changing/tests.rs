//! What is refused, what is so already, and when it is answered.

use super::*;
use crate::tests::{Alone, ME, N2, free, origin, register};
use paxos::{Ballot, Message};

const N3: NodeId = NodeId(3);

/// Asks for it, with all that are named heard in their first life.
fn ask(alone: &mut Alone, id: u64, change: Change) {
    let lives = [N2, N3].map(|node| (node, Incarnation(1))).into();
    alone.replica.handle_change(origin(id), change, &lives, &|_| true, Mono(0));
}

/// What came of it, all at once.
fn outcome(alone: &mut Alone, change: Change) -> AnswerBody {
    alone.wanted.clear();
    ask(alone, 7, change);
    alone.settle();
    match alone.answers()[..] {
        [(7, body)] => body.clone(),
        ref other => panic!("{change:?}: {other:?}"),
    }
}

fn refusal(alone: &mut Alone, change: Change) -> Refusal {
    match outcome(alone, change) {
        AnswerBody::Refused(refusal) => refusal,
        other => panic!("{change:?}: {other:?}"),
    }
}

#[test]
fn a_change_is_answered_once_it_is_applied_and_there_is_one_at_a_time() {
    let mut alone = Alone::leading();
    ask(&mut alone, 1, Change::Add(N2));
    ask(&mut alone, 2, Change::Add(N3));
    assert_eq!(alone.replica.paxos().configuration().number, 0);
    alone.settle();
    let configuration = alone.replica.paxos().configuration();
    assert_eq!((configuration.number, configuration.standbys.iter().collect::<Vec<_>>()), (1, vec![&N2]));
    assert_eq!(configuration.incarnations.get(&N2), Some(&Incarnation(1)));
    let refused = AnswerBody::Refused(Refusal::ChangeUnderWay);
    assert_eq!(alone.answers(), [(2, &refused), (1, &AnswerBody::Changed)]);
}

#[test]
fn what_is_so_already_is_not_changed_and_what_cannot_be_is_refused() {
    let mut alone = Alone::leading();
    assert_eq!(outcome(&mut alone, Change::Add(N2)), AnswerBody::Changed);
    let so_already = [
        Change::Lead(ME),
        Change::Add(ME),
        Change::Add(N2),
        Change::Promote(ME),
        Change::Remove(N3),
        Change::Replace { old: N3, new: ME },
    ];
    for change in so_already {
        assert_eq!(outcome(&mut alone, change), AnswerBody::Changed, "{change:?}");
    }
    let cannot_be = [
        (Change::Promote(N3), "n3 is not a standby of it"),
        (Change::Replace { old: ME, new: ME }, "n1 is not a standby of it"),
        (Change::Replace { old: ME, new: N3 }, "n3 is not a standby of it"),
        (Change::Replace { old: N3, new: N2 }, "n3 does not vote in it"),
        (Change::Replace { old: N2, new: N3 }, "n2 does not vote in it"),
    ];
    for (change, why) in cannot_be {
        let Refusal::CannotChange { reason } = refusal(&mut alone, change) else { panic!("{change:?}") };
        assert!(reason.contains(why), "{change:?}: {reason}");
    }
    assert_eq!(alone.replica.paxos().configuration().number, 1);
}

#[test]
fn a_standby_votes_once_it_lacks_little() {
    let mut alone = Alone::leading();
    ask(&mut alone, 1, Change::Add(N2));
    alone.settle();
    let all = alone.chosen().0;
    assert_eq!(refusal(&mut alone, Change::Promote(N2)), Refusal::CatchingUp { slots: all }, "nothing is heard of it");
    // It has all of this.
    let ballot: Ballot = alone.replica.paxos().promised();
    let has = Slot(all);
    let ack = Message::Ack { ballot, through: has, chosen: has, safe: has, gap: false };
    alone.replica.handle_peer(N2, 1, ack, &mut free);
    let (player, command) = register("scrat");
    for _ in 0..CAUGHT_UP {
        alone.command(player, command);
    }
    assert_eq!(alone.replica.ready_to_vote(N2, &|_| true), Ok(()));
    assert!(alone.replica.ready_to_vote(N2, &|_| false).is_err(), "it is not heard");
    for slots in CAUGHT_UP + 1..CAUGHT_UP + 3 {
        alone.command(player, command);
        assert_eq!(refusal(&mut alone, Change::Promote(N2)), Refusal::CatchingUp { slots });
    }
}

#[test]
fn a_configuration_goes_on_if_it_can_elect_and_decide() {
    let voters = || (1..=4).map(NodeId);
    for (prepare, accept) in [(3, 2), (2, 3)] {
        let quorum = QuorumSystem::flexible(voters(), prepare, accept).unwrap();
        let heard = |most: u32| able_to_go_on(&quorum, &|node| node.0 <= most);
        assert_eq!(heard(3), Ok(()));
        let Err(Refusal::CannotChange { reason }) = heard(2) else { panic!("{prepare} and {accept}") };
        assert!(reason.starts_with("of n1, n2, n3, n4, ") && reason.ends_with("start or replace n3, n4"), "{reason}");
    }
}
