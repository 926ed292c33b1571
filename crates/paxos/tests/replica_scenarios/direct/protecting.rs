//! What a voter's node has promised the node of the leader it follows: who may be joined in spite of it, and when the
//! promise ends.

use super::{N1, N2, N3, accept, ballot, effects, fresh, sent};
use paxos::{Ballot, Liveness, Message, NodeId, QuorumSystem, Replica, Slot};
use std::cell::Cell;

/// A node that protects every leader, or none, and notes what it is asked and told.
#[derive(Debug, Default)]
struct Node {
    protects: bool,
    /// Whether the leader asked about was followed.
    following: Cell<Option<bool>>,
    left: Vec<Ballot>,
}

impl Liveness for Node {
    fn healthy(&self, _: NodeId, _: &QuorumSystem) -> bool {
        false
    }

    fn protects(&self, _: Ballot, following: bool) -> bool {
        self.following.set(Some(following));
        self.protects
    }

    fn leave(&mut self, promised: Ballot) {
        self.left.push(promised);
    }
}

/// It keeps its promises.
fn protecting() -> Node {
    Node { protects: true, ..Node::default() }
}

/// Its promises have run out.
fn letting_go() -> Node {
    Node::default()
}

/// `from` asks `replica` to join this ballot. Says whether it does.
fn prepare(replica: &mut Replica, from: NodeId, ballot: Ballot, released: Option<Ballot>, node: &mut Node) -> bool {
    replica.handle_message(from, 0, Message::Prepare { ballot, chosen: Slot::ZERO, released }, node);
    let effects = effects(replica);
    sent(&effects).iter().any(|(to, message)| *to == from && matches!(message, Message::Promise { .. }))
}

/// n1 follows 1.n2.
fn follower() -> Replica {
    let mut replica = fresh(N1);
    replica.handle_message(N2, 0, accept(ballot(1, N2), 1, &["A"], 0), &mut letting_go());
    assert_eq!(replica.leader(), Some(ballot(1, N2)));
    effects(&mut replica);
    replica
}

#[test]
fn protected_leader_is_left_for_nobody_but_itself() {
    let mut replica = follower();
    assert!(!prepare(&mut replica, N3, ballot(2, N3), None, &mut protecting()));
    assert_eq!(replica.promised(), ballot(1, N2));
    let mut node = protecting();
    assert!(prepare(&mut replica, N2, ballot(2, N2), None, &mut node), "it may raise its own ballot");
    assert_eq!(node.left, [], "and keeps what it was promised");
}

#[test]
fn leader_stays_protected_when_a_late_answer_says_that_more_is_chosen() {
    // What n1 said in an earlier configuration was answered in this one; n1 has come into it meanwhile, and follows 1.n2.
    let mut replica = follower();
    replica.handle_message(N3, 0, Message::Ahead { chosen: Slot(9) }, &mut protecting());
    assert_eq!(replica.leader(), Some(ballot(1, N2)));
    assert_eq!(sent(&effects(&mut replica)), [(N3, &Message::Fetch { after: Slot::ZERO })], "it asks for it");
    let mut node = protecting();
    assert!(!prepare(&mut replica, N3, ballot(2, N3), None, &mut node));
    assert_eq!(node.following.get(), Some(true));
}

#[test]
fn leader_that_hears_of_more_from_its_own_configuration_goes_on() {
    let mut replica = super::leader();
    replica.handle_message(N3, 0, Message::Ahead { chosen: Slot(9) }, &mut protecting());
    assert!(replica.is_leader());
    assert_eq!(effects(&mut replica), []);
}

#[test]
fn voter_that_has_promised_nobody_joins_whoever_asks_first() {
    let mut node = protecting();
    assert!(prepare(&mut fresh(N1), N3, ballot(1, N3), None, &mut node));
    assert_eq!(node.left, []);
}

#[test]
fn voter_needs_no_protection_from_itself() {
    // n1 stood in vain under 1.n1; then n3 asks.
    let mut replica = super::candidate();
    let mut node = protecting();
    assert!(prepare(&mut replica, N3, ballot(2, N3), None, &mut node));
    assert_eq!(node.left, []);
}

#[test]
fn leader_that_is_left_unprotected_loses_every_lease_it_held_here() {
    let (mut replica, mut node) = (follower(), letting_go());
    assert!(prepare(&mut replica, N3, ballot(2, N3), None, &mut node));
    assert_eq!((node.left, node.following.get()), (vec![ballot(1, N2)], Some(true)));
}

#[test]
fn leader_that_released_its_ballot_loses_nothing_else() {
    let mut node = protecting();
    assert!(prepare(&mut follower(), N3, ballot(2, N3), Some(ballot(1, N2)), &mut node));
    assert_eq!(node.left, [], "its other shards are still supported");
    let mut node = protecting();
    assert!(!prepare(&mut follower(), N3, ballot(2, N3), Some(ballot(1, N3)), &mut node), "another ballot's release");
}

#[test]
fn who_released_its_ballot_is_known_until_another_is_promised() {
    let mut replica = follower();
    assert_eq!(replica.released_by(), None);
    replica.handle_release(ballot(2, N2));
    assert_eq!((replica.released_by(), replica.leader()), (None, Some(ballot(1, N2))), "another ballot's release");
    replica.handle_release(ballot(1, N2));
    assert_eq!((replica.released_by(), replica.leader()), (Some(N2), None));
    assert!(prepare(&mut replica, N3, ballot(2, N3), None, &mut protecting()));
    assert_eq!(replica.released_by(), None);
}

#[test]
fn candidate_that_never_led_here_has_nothing_to_lose() {
    // n1 promised 1.n2 and took nothing from it: perhaps it was never elected.
    let mut replica = fresh(N1);
    assert!(prepare(&mut replica, N2, ballot(1, N2), None, &mut letting_go()));
    let mut node = letting_go();
    assert!(prepare(&mut replica, N3, ballot(2, N3), None, &mut node));
    assert_eq!((node.left, node.following.get()), (vec![], Some(false)));
}

#[test]
fn voter_that_stands_itself_takes_back_what_it_promised_its_leader() {
    let stands = |node: &mut Node| {
        let mut replica = follower();
        replica.campaign(node);
        let answer = Message::Canvassed { ballot: ballot(2, N1), promised: Ballot::ZERO, leader: None };
        replica.handle_message(N3, 0, answer, node);
        replica.promised() == ballot(2, N1)
    };
    let mut node = letting_go();
    assert!(stands(&mut node));
    assert_eq!(node.left, [ballot(1, N2)]);
    let mut node = protecting();
    assert!(!stands(&mut node));
    assert_eq!(node.left, []);
}

#[test]
fn voter_that_follows_a_healthy_leader_declines_to_join_another() {
    let declines = |healthy: bool| {
        let mut replica = follower();
        let mut liveness = |node: NodeId, _: &QuorumSystem| healthy && node == N2;
        replica.handle_message(N3, 0, Message::Canvass { ballot: ballot(2, N3) }, &mut liveness);
        let effects = effects(&mut replica);
        match sent(&effects)[..] {
            [(N3, Message::Canvassed { leader, .. })] => leader.is_some(),
            _ => panic!("one answer: {effects:?}"),
        }
    };
    assert!(declines(true) && !declines(false));
}

#[test]
fn hand_over_counts_only_from_the_leader_that_is_followed() {
    let stands = |mut replica: Replica, from, released| {
        replica.handle_message(from, 0, Message::TakeOver { ballot: released }, &mut protecting());
        replica.promised() > released
    };
    assert!(stands(follower(), N2, ballot(1, N2)));
    assert!(!stands(follower(), N3, ballot(1, N2)), "it is not n3's to give");
    let mut merely_promised = fresh(N1);
    assert!(prepare(&mut merely_promised, N2, ballot(1, N2), None, &mut letting_go()));
    assert!(!stands(merely_promised, N2, ballot(1, N2)), "as if it had been lost");
}
