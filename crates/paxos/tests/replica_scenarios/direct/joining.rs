//! Who takes part: joining, leaving, and snapshots in the place of a log.

use super::{
    N1, N2, N3, accept, ballot, candidate, command, effects, fresh, leader, majority_of_three, promise_of_nothing,
    sent, tell,
};
use paxos::{
    Ballot, Configuration, Effect, Message, NodeId, QuorumSystem, Recovered, Replica, Slot, Token, Value,
    replica::StopError,
};
use std::collections::BTreeSet;

fn configuration(number: u64, voters: &[NodeId]) -> Configuration {
    let quorum = QuorumSystem::majority(voters.iter().copied()).expect("majorities always meet");
    Configuration { number, ..Configuration::first(quorum) }
}

fn stop(number: u64, voters: &[NodeId]) -> Value {
    Value::Stop(Box::new(configuration(number, voters)))
}

fn learn(at: u64, values: Vec<Value>) -> Message {
    let chosen = Slot(at + values.len() as u64 - 1);
    Message::Learn { at: Slot(at), values, chosen }
}

/// n3 was wiped and added again in configuration 1. It does not know that one yet, only the first, where it voted.
fn newcomer() -> Replica {
    let recovered = Recovered { floor: 1, ..Recovered::fresh() };
    Replica::new(N3, Configuration::first(majority_of_three()), recovered)
}

/// n1 has learned that it is no member any more.
fn leaver() -> Replica {
    let mut replica = fresh(N1);
    tell(&mut replica, N2, learn(1, vec![Value::Noop, stop(1, &[N2, N3])]));
    effects(&mut replica);
    replica
}

fn asked(replica: &mut Replica, alive: &dyn Fn(NodeId) -> bool) -> Vec<NodeId> {
    replica.handle_retry(alive);
    let effects = effects(replica);
    let fetches = sent(&effects).into_iter().filter(|(_, message)| matches!(message, Message::Fetch { .. }));
    fetches.map(|(to, _)| to).collect()
}

#[test]
fn newcomer_takes_no_part_in_the_configuration_that_its_former_life_voted_in() {
    let mut replica = newcomer();
    assert!(!replica.has_joined() && !replica.is_member() && !replica.is_dispensable());
    assert_eq!((replica.floor(), fresh(N1).floor()), (1, 0));
    tell(&mut replica, N1, Message::Canvass { ballot: ballot(1, N1) });
    tell(&mut replica, N1, Message::Prepare { ballot: ballot(1, N1), chosen: Slot::ZERO, released: None });
    tell(&mut replica, N1, accept(ballot(1, N1), 1, &["A"], 0));
    replica.campaign(&mut paxos::liveness::nobody);
    assert_eq!((effects(&mut replica), replica.promised()), (vec![], Ballot::ZERO));
}

#[test]
fn newcomer_asks_each_living_member_in_turn_until_it_knows_where_it_belongs() {
    let mut replica = newcomer();
    assert!(replica.wants_retry(&|_| true) && !fresh(N1).wants_retry(&|_| true));
    let all = |_| true;
    assert_eq!([asked(&mut replica, &all), asked(&mut replica, &all), asked(&mut replica, &all)], [[N1], [N2], [N1]]);
    assert_eq!([asked(&mut replica, &|node| node == N2), asked(&mut replica, &|node| node == N2)], [[N2], [N2]]);
    assert_eq!(asked(&mut replica, &|_| false), []);
    tell(&mut replica, N2, learn(1, vec![Value::Noop, stop(1, &[N1, N2, N3])]));
    assert!(replica.has_joined() && replica.is_member() && !replica.is_dispensable());
    effects(&mut replica);
    assert!(!replica.wants_retry(&all));
    assert_eq!(asked(&mut replica, &all), []);
    let prepare = Message::Prepare { ballot: Ballot::ZERO.next_in(1, N1), chosen: Slot(2), released: None };
    replica.handle_message(N1, 1, prepare, &mut paxos::liveness::nobody);
    assert_eq!(replica.promised(), Ballot::ZERO.next_in(1, N1), "now it votes");
}

#[test]
fn newcomer_takes_a_snapshot_of_whoever_has_trimmed_what_it_asks_for() {
    let mut replica = newcomer();
    tell(&mut replica, N2, Message::Trimmed { first: Slot(5) });
    assert_eq!(effects(&mut replica), [Effect::WantSnapshot { from: N2 }]);
    replica.install(N2, Slot(7), configuration(1, &[N1, N2, N3]), Slot::ZERO);
    assert!(replica.has_joined() && replica.is_member());
    assert_eq!((replica.chosen(), replica.poll_chosen()), (Slot(7), None));
    tell(&mut replica, N2, Message::Trimmed { first: Slot(8) });
    assert_eq!(effects(&mut replica), [], "it lacks nothing before slot 8");
}

#[test]
fn newcomer_with_a_snapshot_goes_on_with_its_givers_log_whatever_others_have_trimmed() {
    let mut replica = newcomer();
    replica.install(N2, Slot(5), configuration(0, &[N1, N2]), Slot::ZERO);
    assert!(!replica.has_joined(), "the stop that it joins with is yet to come");
    tell(&mut replica, N1, Message::Trimmed { first: Slot(8) });
    assert_eq!(effects(&mut replica), [], "its giver has what follows");
    tell(&mut replica, N1, Message::Ahead { chosen: Slot(9) });
    assert_eq!(sent(&effects(&mut replica)), [(N2, &Message::Fetch { after: Slot(5) })]);
    tell(&mut replica, N1, Message::Trimmed { first: Slot(8) });
    assert_eq!(effects(&mut replica), [], "a late answer to what was asked before the snapshot came");
    tell(&mut replica, N2, Message::Trimmed { first: Slot(8) });
    assert_eq!(effects(&mut replica), [Effect::WantSnapshot { from: N2 }], "its giver has it no more either");
}

#[test]
fn member_takes_a_snapshot_only_of_whom_it_asked() {
    let mut replica = fresh(N1);
    tell(&mut replica, N2, Message::Trimmed { first: Slot(5) });
    assert_eq!(effects(&mut replica), [], "a late answer");
    tell(&mut replica, N2, Message::Ahead { chosen: Slot(9) });
    assert_eq!(sent(&effects(&mut replica)), [(N2, &Message::Fetch { after: Slot::ZERO })]);
    tell(&mut replica, N3, Message::Trimmed { first: Slot(5) });
    assert_eq!(effects(&mut replica), []);
    tell(&mut replica, N2, Message::Trimmed { first: Slot(1) });
    assert_eq!(effects(&mut replica), [], "it has what was asked for");
    tell(&mut replica, N2, Message::Trimmed { first: Slot(2) });
    assert_eq!(effects(&mut replica), [Effect::WantSnapshot { from: N2 }]);
}

#[test]
fn leaver_is_needed_until_the_others_have_chosen_something_without_it() {
    let mut replica = leaver();
    assert!(replica.has_joined() && !replica.is_member() && !replica.is_dispensable());
    assert!(replica.wants_retry(&|_| true));
    assert_eq!([asked(&mut replica, &|_| true), asked(&mut replica, &|_| true)], [[N2], [N3]]);
    tell(&mut replica, N2, learn(3, vec![Value::Noop]));
    assert!(replica.is_dispensable() && !replica.wants_retry(&|_| true));
    assert_eq!(asked(&mut replica, &|_| true), []);
}

#[test]
fn leaver_that_nobody_remembers_is_not_needed() {
    let mut replica = leaver();
    tell(&mut replica, N2, Message::Trimmed { first: Slot(3) });
    assert!(!replica.is_dispensable(), "n2 has no more than the stop");
    tell(&mut replica, N2, Message::Trimmed { first: Slot(9) });
    assert!(replica.is_dispensable());
    assert_eq!(effects(&mut replica), [], "nor does it need what they have");
}

#[test]
fn standby_listens_and_does_not_vote() {
    let standbys = BTreeSet::from([NodeId(4)]);
    let first = Configuration { standbys, ..Configuration::first(majority_of_three()) };
    let mut replica = Replica::new(NodeId(4), first, Recovered::fresh());
    assert!(replica.is_member());
    tell(&mut replica, N1, Message::Prepare { ballot: ballot(1, N1), chosen: Slot::ZERO, released: None });
    assert_eq!((effects(&mut replica), replica.promised()), (vec![], Ballot::ZERO));
    tell(&mut replica, N1, accept(ballot(1, N1), 1, &["A"], 0));
    assert_eq!(replica.leader(), Some(ballot(1, N1)));
    effects(&mut replica);
    replica.campaign(&mut paxos::liveness::nobody);
    assert!(!replica.is_campaigning());
    let canvass = Message::Canvass { ballot: ballot(2, NodeId(4)) };
    assert_eq!(sent(&effects(&mut replica)), [(N1, &canvass), (N2, &canvass), (N3, &canvass)], "who leads here?");
}

#[test]
fn leader_that_stops_takes_nothing_more_and_may_hold_no_lease() {
    let mut replica = leader();
    assert!(replica.accepts_proposals());
    assert_eq!(replica.may_lease(), Some(ballot(1, N1)));
    assert_eq!(replica.propose_stop(configuration(0, &[N1, N2])), Ok(Slot(2)));
    assert!(replica.is_leader() && !replica.accepts_proposals());
    assert_eq!(replica.may_lease(), None);
    assert!(replica.propose(command("A")).is_err());
    assert_eq!(replica.propose_stop(configuration(0, &[N1])), Err(StopError::Stopping));
    let mut follower = fresh(N2);
    assert!(!follower.accepts_proposals());
    assert_eq!(follower.may_lease(), None);
    assert_eq!(follower.propose_stop(configuration(0, &[N1])), Err(StopError::NotLeader));
}

#[test]
fn word_of_a_later_configuration_makes_it_ask_and_of_an_earlier_one_nothing() {
    let mut replica = leader();
    replica.hear_of_configuration(N2, 0);
    assert!(replica.is_leader());
    assert_eq!(effects(&mut replica), []);
    replica.hear_of_configuration(N2, 1);
    assert!(!replica.is_leader(), "whatever it led is history");
    assert_eq!(sent(&effects(&mut replica)), [(N2, &Message::Fetch { after: Slot::ZERO })]);
}

#[test]
fn message_of_another_configuration_is_not_answered_but_by_what_is_chosen() {
    let mut replica = leaver();
    tell(&mut replica, N3, Message::Confirm { ballot: ballot(1, N3), round: 1 });
    assert_eq!(sent(&effects(&mut replica)), [(N3, &Message::Ahead { chosen: Slot(2) })]);
    replica.handle_message(N3, 2, Message::Confirm { ballot: ballot(1, N3), round: 1 }, &mut paxos::liveness::nobody);
    assert_eq!(sent(&effects(&mut replica)), [(N3, &Message::Fetch { after: Slot(2) })]);
}

#[test]
fn who_says_no_more_than_is_known_here_changes_nothing() {
    let mut replica = fresh(N1);
    tell(&mut replica, N2, accept(ballot(1, N2), 1, &["A"], 0));
    tell(&mut replica, N2, learn(1, vec![command("A")]));
    effects(&mut replica);
    tell(&mut replica, N3, Message::Ahead { chosen: Slot(1) });
    assert_eq!((replica.leader(), effects(&mut replica)), (Some(ballot(1, N2)), vec![]));
    replica.handle_message(N3, 1, Message::Ahead { chosen: Slot(2) }, &mut paxos::liveness::nobody);
    assert_eq!(replica.leader(), None, "whatever n2 led is history");
    assert_eq!(sent(&effects(&mut replica)), [(N3, &Message::Fetch { after: Slot(1) })]);
}

#[test]
fn snapshot_behind_what_is_chosen_here_only_spares_delivering() {
    let mut replica = fresh(N1);
    tell(&mut replica, N2, learn(1, vec![command("A"), command("B"), command("C")]));
    replica.install(N2, Slot(2), configuration(0, &[N1, N2, N3]), Slot::ZERO);
    assert_eq!((replica.chosen(), replica.poll_chosen()), (Slot(3), Some((Slot(3), command("C")))));
    replica.install(N2, Slot(1), configuration(0, &[N1, N2, N3]), Slot::ZERO);
    assert_eq!(replica.poll_chosen(), None, "it has been delivered");
    replica.handle_checkpointed(Slot(3));
}

#[test]
fn snapshot_is_acknowledged_and_asked_on_from() {
    let mut replica = fresh(N1);
    tell(&mut replica, N2, accept(ballot(1, N2), 1, &["A"], 9));
    assert!(sent(&effects(&mut replica)).contains(&(N2, &Message::Fetch { after: Slot(1) })));
    replica.install(N2, Slot(5), configuration(0, &[N1, N2, N3]), Slot::ZERO);
    assert_eq!(sent(&effects(&mut replica)), [(N2, &Message::Fetch { after: Slot(5) })]);
    tell(
        &mut replica,
        N2,
        Message::Watermark { ballot: ballot(1, N2), start: Slot(1), chosen: Slot(5), kept: Slot(0) },
    );
    let (through, chosen) = (Slot(5), Slot(5));
    let ack = Message::Ack { ballot: ballot(1, N2), through, chosen, safe: Slot(5), gap: false };
    assert_eq!(sent(&effects(&mut replica)), [(N2, &ack)]);
}

#[test]
fn snapshot_of_before_the_configuration_that_was_heard_of_is_asked_on_from() {
    let mut replica = fresh(N1);
    replica.hear_of_configuration(N2, 2);
    assert_eq!(sent(&effects(&mut replica)), [(N2, &Message::Fetch { after: Slot::ZERO })]);
    replica.install(N2, Slot(5), configuration(1, &[N1, N2, N3]), Slot(4));
    assert_eq!(sent(&effects(&mut replica)), [(N2, &Message::Fetch { after: Slot(5) })]);
    replica.install(N2, Slot(7), configuration(2, &[N2, N3]), Slot(7));
    assert!(!replica.is_member() && !replica.is_dispensable(), "nothing is known to be chosen without it");
    assert!(sent(&effects(&mut replica)).is_empty(), "it is where it was to come to");
}

#[test]
fn whoever_gave_the_snapshot_is_asked_for_what_follows_it() {
    let mut replica = fresh(N1);
    replica.install(N3, Slot(5), configuration(0, &[N1, N2, N3]), Slot::ZERO);
    assert!(effects(&mut replica).is_empty(), "nothing is known to follow");
    tell(&mut replica, N2, Message::Ahead { chosen: Slot(9) });
    assert_eq!(sent(&effects(&mut replica)), [(N3, &Message::Fetch { after: Slot(5) })], "n2's log may begin later");
    tell(&mut replica, N2, Message::Ahead { chosen: Slot(11) });
    tell(&mut replica, N2, Message::Trimmed { first: Slot(8) });
    assert_eq!(effects(&mut replica), [], "n3 is asked already, and n2's word of before changes nothing");
    tell(&mut replica, N3, learn(6, vec![command("A")]));
    effects(&mut replica);
    let asked = |replica: &mut Replica, alive: &dyn Fn(NodeId) -> bool| {
        replica.handle_retry(alive);
        sent(&effects(replica)).into_iter().map(|(to, _)| to).next()
    };
    // It may be reading its log from the disk; after a while it is believed to have no more.
    let in_turn: Vec<_> = (0..10).map(|_| asked(&mut replica, &|_| true)).collect();
    assert_eq!(in_turn, [[Some(N3); 9].as_slice(), &[Some(N2)]].concat());
    let mut replica = fresh(N1);
    replica.install(N3, Slot(5), configuration(0, &[N1, N2, N3]), Slot::ZERO);
    tell(&mut replica, N2, Message::Ahead { chosen: Slot(9) });
    effects(&mut replica);
    assert_eq!(asked(&mut replica, &|node| node != N3), Some(N2), "n3 is gone");
}

#[test]
fn former_member_whose_snapshot_goes_on_behind_its_stop_is_needed_no_more() {
    let mut replica = fresh(N1);
    replica.install(N2, Slot(7), configuration(2, &[N2, N3]), Slot(6));
    assert!(!replica.is_member() && replica.is_dispensable());
}

#[test]
fn log_is_served_from_where_it_begins() {
    let mut replica = fresh(N1);
    tell(&mut replica, N2, learn(1, vec![command("A"), command("B"), command("C")]));
    effects(&mut replica);
    replica.trim(Slot(2));
    replica.trim(Slot(1));
    let mut answer = |after| {
        tell(&mut replica, N3, Message::Fetch { after: Slot(after) });
        let effects = effects(&mut replica);
        sent(&effects)[0].1.clone()
    };
    assert_eq!(answer(1), Message::Trimmed { first: Slot(3) });
    assert_eq!(answer(2), learn(3, vec![command("C")]));
    let prepare = Message::Prepare { ballot: ballot(1, N3), chosen: Slot::ZERO, released: None };
    tell(&mut replica, N3, prepare);
    let effects = effects(&mut replica);
    let promised = Message::Promise { ballot: ballot(1, N3), chosen: Slot(3), first: Slot(3), accepted: vec![] };
    assert!(sent(&effects).contains(&(N3, &promised)), "{effects:?}");
}

#[test]
fn candidate_that_installs_what_its_voters_hold_takes_office() {
    let mut replica = candidate();
    let (ballot, chosen) = (ballot(1, N1), Slot(4));
    tell(&mut replica, N2, Message::Promise { ballot, chosen, first: Slot(5), accepted: vec![] });
    assert!(!replica.is_leader(), "n2 knows more");
    replica.install(N2, Slot(4), configuration(0, &[N1, N2, N3]), Slot::ZERO);
    assert!(replica.is_leader());
    assert_eq!(replica.read_index(), Some(Slot(5)), "its no-op is behind");
}

#[test]
fn leader_elected_while_a_snapshot_was_on_its_way_leaves_its_office_when_that_has_come() {
    let mut replica = leader();
    let (chosen, ballot) = (replica.chosen(), replica.promised());
    replica.install(N2, chosen, configuration(0, &[N1, N2, N3]), Slot::ZERO);
    assert!(replica.is_leader(), "it holds nothing new");
    replica.install(N2, Slot(chosen.0 + 9), configuration(0, &[N1, N2, N3]), Slot::ZERO);
    assert_eq!((replica.is_leader(), replica.leader()), (false, None));
    assert_eq!((replica.chosen(), replica.poll_chosen()), (Slot(chosen.0 + 9), None));
    replica.campaign(&mut paxos::liveness::nobody);
    let next = ballot.next_in(0, N1);
    assert!(sent(&effects(&mut replica)).contains(&(N2, &Message::Canvass { ballot: next })), "it may stand again");
}

#[test]
fn new_leader_is_settled_once_its_no_op_is_chosen() {
    let mut replica = candidate();
    assert_eq!((replica.read_index(), replica.settled()), (None, None));
    tell(&mut replica, N2, promise_of_nothing());
    assert_eq!((replica.read_index(), replica.settled()), (Some(Slot(1)), None));
    replica.handle_persisted(Token(2));
    tell(&mut replica, N2, super::ack(1, 0));
    assert_eq!((replica.read_index(), replica.settled()), (Some(Slot(1)), Some(Slot(1))));
}

#[test]
fn leader_reminds_one_node_and_a_follower_nobody() {
    let mut replica = leader();
    replica.remind(N3);
    let watermark = Message::Watermark { ballot: ballot(1, N1), start: Slot(1), chosen: Slot::ZERO, kept: Slot::ZERO };
    assert_eq!(sent(&effects(&mut replica)), [(N3, &watermark)]);
    let mut follower = fresh(N2);
    follower.remind(N3);
    assert_eq!(effects(&mut follower), []);
}

/// With a snapshot of n2's, which begins before the configuration that it is to join.
fn newcomer_with_a_snapshot() -> Replica {
    let mut replica = newcomer();
    replica.install(N2, Slot(5), configuration(0, &[N1, N2]), Slot::ZERO);
    replica
}

#[test]
fn newcomer_asks_its_snapshots_giver_every_other_time_until_that_has_been_silent_for_long() {
    let mut replica = newcomer_with_a_snapshot();
    let in_turn: Vec<NodeId> = (0..20).flat_map(|_| asked(&mut replica, &|_| true)).collect();
    let with_giver = [N2, N1, N2, N2].repeat(4);
    assert_eq!(in_turn, [with_giver.as_slice(), &[N2, N2, N1, N2]].concat(), "from the 18th on just the members");
    tell(&mut replica, N1, Message::Trimmed { first: Slot(8) });
    assert_eq!(effects(&mut replica), [Effect::WantSnapshot { from: N1 }]);
}

#[test]
fn newcomer_whose_snapshots_giver_is_gone_takes_another_of_whoever_there_is() {
    let mut replica = newcomer_with_a_snapshot();
    assert_eq!(asked(&mut replica, &|node| node != N2), [N1]);
    tell(&mut replica, N1, Message::Trimmed { first: Slot(8) });
    assert_eq!(effects(&mut replica), [Effect::WantSnapshot { from: N1 }]);
}
