//! Elections: who may stand, who is heard, and what a new leader proposes.

use super::{N1, N2, N3, accept, ballot, candidate, command, effects, fresh, leader, promise_of_nothing, sent, tell};
use paxos::{
    Accepted, Ballot, Effect, Message, NodeId, QuorumSystem, Recovered, Replica, Slot, Token, Value, replica::NotLeader,
};

#[test]
fn follower_neither_proposes_nor_reads_nor_resigns() {
    let mut replica = fresh(N1);
    assert_eq!(replica.propose(command("A")), Err(NotLeader));
    assert_eq!(replica.begin_read(), Err(NotLeader));
    assert_eq!(replica.resign(), Err(NotLeader));
    assert_eq!(replica.in_flight(), 0);
    assert_eq!(effects(&mut replica), []);
}

#[test]
fn strangers_are_not_listened_to_and_do_not_campaign() {
    let mut replica = fresh(N1);
    tell(
        &mut replica,
        NodeId(9),
        Message::Prepare { ballot: ballot(5, NodeId(9)), chosen: Slot::ZERO, released: None },
    );
    assert_eq!(replica.promised(), Ballot::ZERO);
    let mut stranger = fresh(NodeId(9));
    stranger.campaign(&mut paxos::liveness::nobody);
    assert!(!stranger.is_campaigning());
    assert_eq!(effects(&mut replica), effects(&mut stranger));
    let mut leader = leader();
    tell(&mut leader, NodeId(9), Message::Canvass { ballot: ballot(5, NodeId(9)) });
    assert_eq!(effects(&mut leader), [], "nor are they told who leads");
}

#[test]
fn candidates_prepare_waits_for_its_own_promise() {
    let mut replica = fresh(N1);
    replica.campaign(&mut paxos::liveness::nobody);
    tell(&mut replica, N2, Message::Canvassed { ballot: ballot(1, N1), promised: ballot(7, N3), leader: None });
    let effects = effects(&mut replica);
    let prepares = effects.iter().filter_map(|effect| match effect {
        Effect::Send { message: Message::Prepare { ballot, .. }, after, .. } => Some((*ballot, *after)),
        _ => None,
    });
    let (own, waits) = (ballot(8, N1), Some(Token(1)));
    assert_eq!(prepares.collect::<Vec<_>>(), [(own, waits), (own, waits)], "above every ballot heard of, once durable");
}

#[test]
fn highest_ballot_reported_wins_slot_by_slot_and_gaps_become_no_ops() {
    let quorum = QuorumSystem::majority((1..=5).map(NodeId)).expect("majorities always meet");
    let mut replica = Replica::new(N1, paxos::Configuration::first(quorum), Recovered::fresh());
    replica.campaign(&mut paxos::liveness::nobody);
    let own = ballot(10, N1);
    for node in [N2, N3] {
        let promised = ballot(9, N3);
        tell(&mut replica, node, Message::Canvassed { ballot: ballot(1, N1), promised, leader: None });
    }
    replica.handle_persisted(Token(1));
    effects(&mut replica);
    let report =
        |slot, round, node, text| Accepted { slot: Slot(slot), ballot: ballot(round, node), value: command(text) };
    let promise = |accepted| Message::Promise { ballot: own, chosen: Slot::ZERO, first: Slot(1), accepted };
    tell(&mut replica, N2, promise(vec![report(1, 3, N2, "A"), report(2, 2, N2, "old"), report(5, 1, N2, "E")]));
    tell(&mut replica, N3, promise(vec![report(1, 2, N3, "old"), report(2, 2, N3, "B"), report(3, 1, N1, "C")]));
    let effects = effects(&mut replica);
    let proposed = effects.iter().find_map(|effect| match effect {
        Effect::Send { message: Message::Accept { at, values, .. }, .. } => Some((*at, values.to_vec())),
        _ => None,
    });
    let expected = vec![command("A"), command("B"), command("C"), Value::Noop, command("E"), Value::Noop];
    assert_eq!(proposed, Some((Slot(1), expected)));
}

#[test]
#[should_panic(expected = "two values for slot 1 under ballot 1.n3")]
fn promises_that_contradict_each_other_stop_the_candidate() {
    let quorum = QuorumSystem::majority((1..=5).map(NodeId)).expect("majorities always meet");
    let mut replica = Replica::new(N1, paxos::Configuration::first(quorum), Recovered::fresh());
    replica.campaign(&mut paxos::liveness::nobody);
    for node in [N2, N3] {
        let promised = ballot(1, N3);
        tell(&mut replica, node, Message::Canvassed { ballot: ballot(1, N1), promised, leader: None });
    }
    replica.handle_persisted(Token(1));
    for (node, text) in [(N2, "A"), (N3, "B")] {
        let accepted = vec![Accepted { slot: Slot(1), ballot: ballot(1, N3), value: command(text) }];
        tell(
            &mut replica,
            node,
            Message::Promise { ballot: ballot(2, N1), chosen: Slot::ZERO, first: Slot(1), accepted },
        );
    }
}

#[test]
fn prepare_below_the_promise_is_refused() {
    let mut replica = fresh(N1);
    tell(&mut replica, N3, Message::Prepare { ballot: ballot(2, N3), chosen: Slot::ZERO, released: None });
    effects(&mut replica);
    tell(&mut replica, N2, Message::Prepare { ballot: ballot(1, N2), chosen: Slot::ZERO, released: None });
    let refuse = Message::Refuse { ballot: ballot(1, N2), promised: ballot(2, N3) };
    assert_eq!(sent(&effects(&mut replica)), [(N2, &refuse)]);
}

#[test]
fn prepare_that_comes_again_is_answered_again_and_at_once() {
    let mut replica = fresh(N1);
    let prepare = || Message::Prepare { ballot: ballot(2, N3), chosen: Slot::ZERO, released: None };
    tell(&mut replica, N3, prepare());
    replica.handle_persisted(Token(1));
    effects(&mut replica);
    tell(&mut replica, N3, prepare());
    let promise = Message::Promise { ballot: ballot(2, N3), chosen: Slot::ZERO, first: Slot(1), accepted: vec![] };
    let again = Effect::Send { to: N3, configuration: 0, message: promise, after: None };
    assert_eq!(effects(&mut replica), [again], "the first answer may be lost, and what it says is durable");
}

#[test]
fn answers_to_an_older_canvass_do_not_count_for_the_next() {
    let mut replica = fresh(N1);
    replica.campaign(&mut paxos::liveness::nobody);
    let yes = |round, promised| Message::Canvassed { ballot: ballot(round, N1), promised, leader: None };
    tell(&mut replica, N3, Message::Refuse { ballot: Ballot::ZERO, promised: ballot(3, N3) });
    replica.campaign(&mut paxos::liveness::nobody);
    tell(&mut replica, N2, yes(1, Ballot::ZERO));
    assert_eq!(replica.promised(), Ballot::ZERO, "that was the answer to the first");
    tell(&mut replica, N2, yes(4, Ballot::ZERO));
    assert_eq!(replica.promised(), ballot(4, N1));
}

#[test]
fn refused_candidate_stops_and_takes_no_office_by_late_promises() {
    let mut replica = candidate();
    tell(&mut replica, N3, Message::Refuse { ballot: ballot(1, N1), promised: ballot(1, N3) });
    assert!(!replica.is_campaigning());
    tell(&mut replica, N2, promise_of_nothing());
    assert!(!replica.is_leader());
}

#[test]
fn late_refusal_of_an_older_ballot_stops_nobody() {
    let mut replica = candidate();
    tell(&mut replica, N3, Message::Refuse { ballot: ballot(0, N1), promised: ballot(1, N3) });
    assert!(replica.is_campaigning());
    tell(&mut replica, N2, promise_of_nothing());
    assert!(replica.is_leader());
}

#[test]
fn late_refusal_of_an_older_ballot_moves_no_leader() {
    let mut replica = leader();
    tell(&mut replica, N3, Message::Refuse { ballot: Ballot::ZERO, promised: ballot(5, N3) });
    assert!(replica.is_leader());
    assert_eq!(effects(&mut replica), []);
}

#[test]
fn canvass_that_was_declined_is_repeated_four_times_and_one_that_was_lost_for_ever() {
    let canvass = |declined: bool| {
        let mut replica = fresh(N1);
        replica.campaign(&mut paxos::liveness::nobody);
        if declined {
            let (own, promised, leader) = (ballot(1, N1), Ballot::ZERO, Some(ballot(1, N2)));
            tell(&mut replica, N2, Message::Canvassed { ballot: own, promised, leader });
        }
        effects(&mut replica);
        let repeated = (0..9).take_while(|_| {
            replica.handle_retry(&|node| node == N3);
            sent(&effects(&mut replica)) == [(N3, &Message::Canvass { ballot: ballot(1, N1) })]
        });
        (repeated.count(), replica.is_campaigning())
    };
    assert_eq!((canvass(true), canvass(false)), ((4, false), (9, true)));
}

#[test]
fn prepare_is_repeated_to_the_living_that_have_not_promised() {
    let quorum = QuorumSystem::majority((1..=5).map(NodeId)).expect("majorities always meet");
    let mut replica = Replica::new(N1, paxos::Configuration::first(quorum), Recovered::fresh());
    replica.campaign(&mut paxos::liveness::nobody);
    for node in [N2, N3] {
        tell(&mut replica, node, Message::Canvassed { ballot: ballot(1, N1), promised: Ballot::ZERO, leader: None });
    }
    replica.handle_persisted(Token(1));
    tell(&mut replica, N2, promise_of_nothing());
    effects(&mut replica);
    replica.handle_retry(&|node| node != N3);
    let prepare = Message::Prepare { ballot: ballot(1, N1), chosen: Slot::ZERO, released: None };
    assert_eq!(sent(&effects(&mut replica)), [(NodeId(4), &prepare), (NodeId(5), &prepare)]);
}

#[test]
fn single_voter_takes_no_office_before_its_promise_is_durable() {
    let mut replica = Replica::new(
        N1,
        paxos::Configuration::first(QuorumSystem::majority([N1]).expect("one voter")),
        Recovered::fresh(),
    );
    replica.campaign(&mut paxos::liveness::nobody);
    replica.handle_retry(&|_| true);
    assert!(!replica.is_leader());
    replica.handle_persisted(Token(1));
    assert!(replica.is_leader());
}

#[test]
fn candidate_takes_office_with_what_it_learned_before_that_is_durable() {
    let mut replica = candidate();
    let (ballot, chosen) = (ballot(1, N1), Slot(1));
    tell(&mut replica, N2, Message::Promise { ballot, chosen, first: Slot(1), accepted: vec![] });
    assert!(!replica.is_leader(), "n2 knows more");
    tell(&mut replica, N2, Message::Learn { at: Slot(1), values: vec![command("A")], chosen });
    assert!(replica.is_leader());
}

#[test]
fn new_start_of_one_node_says_nothing_of_another_that_leads() {
    let mut replica = fresh(N1);
    tell(&mut replica, N2, accept(ballot(1, N2), 1, &["A"], 0));
    assert!(!replica.forget_leader(N3));
    assert_eq!(replica.leader(), Some(ballot(1, N2)));
    assert!(replica.forget_leader(N2));
    assert_eq!(replica.leader(), None);
}

#[test]
fn whoever_promised_somebody_else_follows_its_old_leader_no_more() {
    let mut replica = fresh(N1);
    tell(&mut replica, N2, accept(ballot(1, N2), 1, &["A"], 0));
    assert_eq!(replica.leader(), Some(ballot(1, N2)));
    tell(&mut replica, N3, Message::Prepare { ballot: ballot(2, N3), chosen: Slot::ZERO, released: None });
    assert_eq!(replica.leader(), None);
}
