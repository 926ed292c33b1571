//! Who leads next, how soon, and who is told.

use crate::Host;
use crate::clock::Mono;
use crate::fabric::Changes;
use crate::liaison::Ties;
use crate::tests::{MS, N1, N2, N3, Nodes, SECOND, at};
use paxos::{Liveness, NodeId, QuorumSystem};
use placement::ShardId;
use wire::peer::{Epoch, Frame, PeerMessage, Probe, Word};
use wire::{AnswerBody, Level};

const SHARD: ShardId = ShardId(1);

/// The voters of `shard` in the order in which they are to lead it.
fn placed(nodes: &mut Nodes, shard: ShardId) -> Vec<NodeId> {
    nodes.host(N1).config.map.get(shard).unwrap().voters.clone()
}

#[test]
fn the_first_that_is_placed_leads_and_when_it_is_gone_the_next() {
    let mut nodes = Nodes::serving(5, 8);
    let shards = (1..=8).map(ShardId);
    for shard in shards.clone() {
        assert_eq!(nodes.leader(shard), Some(placed(&mut nodes, shard)[0]));
    }
    for gone in [vec![N1], vec![N1, N2]] {
        nodes.cut_off = gone.iter().copied().collect();
        // Missed for a time-out, then half of one for each that might have stood before.
        nodes.pass(SECOND + 250 * MS + SECOND / 8);
        for shard in shards.clone() {
            let next = placed(&mut nodes, shard).into_iter().find(|node| !gone.contains(node));
            assert_eq!(nodes.leader(shard), next, "{shard} without {gone:?}");
        }
    }
}

#[test]
fn a_leader_that_starts_again_and_again_and_never_for_long_is_not_waited_for() {
    let mut nodes = Nodes::serving(3, 1);
    let leader = nodes.leader(SHARD).unwrap();
    let others: Vec<NodeId> = [N1, N2, N3].into_iter().filter(|node| *node != leader).collect();
    let incarnation = nodes.host(leader).config.incarnation;
    // It says a word to each at each of its starts, and nothing more.
    nodes.cut_off = [leader].into();
    let boot = nodes.host(leader).config.boot;
    for life in 1..=8 {
        for &other in &others {
            let word = Word { number: 1, wall: nodes.now().wall, boot: boot + life, hears: vec![] };
            let probe = Probe { seq: 1_000_000 * life, word, known: 0, released: vec![], you: None };
            let frame = Frame { epoch: Epoch(0), incarnation, messages: vec![PeerMessage::Probe(probe)] };
            let now = nodes.now();
            nodes.host(other).handle_frame(now, leader, frame);
        }
        nodes.pass(SECOND / 2);
    }
    let next = others.iter().find(|other| nodes.hosts[other.0 as usize - 1].leads.contains(&SHARD));
    assert!(next.is_some(), "both wait for {leader}");
}

#[test]
fn who_steps_down_lets_the_next_lead_at_once() {
    let mut nodes = Nodes::serving(3, 8);
    let led: Vec<ShardId> = (1..=8).map(ShardId).filter(|shard| nodes.leader(*shard) == Some(N1)).collect();
    assert!(!led.is_empty());
    nodes.pass(100 * MS);
    let now = nodes.now();
    nodes.host(N1).handle_disk_full(now, true);
    assert_eq!(nodes.host(N1).leads(), 0);
    // Nobody waits for a time-out: the support that n1 had is released with the next word.
    nodes.pass(SECOND / 16);
    for shard in led {
        assert_eq!(nodes.leader(shard), Some(placed(&mut nodes, shard)[1]));
    }
}

#[test]
fn an_office_is_handed_over_where_it_is_asked_for() {
    let mut nodes = Nodes::serving(3, 1);
    let leader = nodes.leader(SHARD).unwrap();
    let next = if leader == N3 { N2 } else { N3 };
    let now = nodes.now();
    nodes.host(leader).transfer(now, SHARD, next).unwrap();
    nodes.settle();
    assert_eq!(nodes.leader(SHARD), Some(next));
    assert!(nodes.host(leader).transfer(now, SHARD, N1).is_err(), "it leads no more");
}

#[test]
fn who_has_handed_an_office_over_does_not_take_it_back_before_the_successor_has_had_its_chance() {
    let mut nodes = Nodes::serving(3, 1);
    let leader = nodes.leader(SHARD).unwrap();
    assert_eq!(placed(&mut nodes, SHARD)[0], leader, "it would be the first to stand for election");
    let next = if leader == N3 { N2 } else { N3 };
    let now = nodes.now();
    // What the successor must promise itself takes a while.
    nodes.stuck = [next].into();
    nodes.host(leader).transfer(now, SHARD, next).unwrap();
    nodes.pass(400 * MS);
    nodes.stuck.clear();
    nodes.pass(50 * MS);
    assert_eq!(nodes.leader(SHARD), Some(next));
    // It leads no more, and this is an election like any other.
    nodes.cut_off = [next].into();
    nodes.pass(3 * SECOND);
    assert_eq!(nodes.leader(SHARD), Some(leader));
}

#[test]
fn a_hand_over_to_somebody_who_lacks_something_and_is_gone_is_given_up_by_itself() {
    let mut nodes = Nodes::serving(3, 1);
    let leader = nodes.leader(SHARD).unwrap();
    let next = if leader == N3 { N2 } else { N3 };
    nodes.cut_off = [next].into();
    nodes.register(leader, SHARD);
    nodes.pass(300 * MS);
    let now = nodes.now();
    nodes.host(leader).transfer(now, SHARD, next).unwrap();
    nodes.settle();
    let handing = |nodes: &mut Nodes| nodes.host(leader).replica(SHARD).unwrap().is_handing_over();
    assert!(handing(&mut nodes));
    nodes.pass(SECOND + 250 * MS);
    assert!(!handing(&mut nodes), "nobody has asked for anything meanwhile");
    assert_eq!(nodes.leader(SHARD), Some(leader));
}

#[test]
fn a_leader_that_hears_no_quorum_leaves_and_comes_back_to_nothing() {
    let mut nodes = Nodes::serving(3, 1);
    let leader = nodes.leader(SHARD).unwrap();
    let follower = if leader == N3 { N2 } else { N3 };
    let epoch = nodes.host(follower).support.epoch(leader);
    nodes.cut_off = [leader].into();
    nodes.pass(SECOND);
    assert_eq!(nodes.host(leader).leads(), 1, "somebody may still answer");
    nodes.pass(1);
    assert_eq!((nodes.host(leader).leads(), nodes.host(leader).leaderless()), (0, 1));
    nodes.cut_off.clear();
    nodes.pass(SECOND);
    let next = nodes.leader(SHARD).unwrap();
    assert!(next != leader && nodes.host(leader).is_ready());
    assert!(nodes.host(follower).support.epoch(leader) > epoch, "what was acknowledged to it counts no more");
}

#[test]
fn a_lease_answers_strong_reads_without_a_word_and_a_proof_bounded_ones() {
    let mut nodes = Nodes::serving(3, 1);
    nodes.pass(100 * MS);
    let leader = nodes.leader(SHARD).unwrap();
    let follower = if leader == N3 { N2 } else { N3 };
    let held = nodes.host(leader).lease_until(SHARD).unwrap();
    // The last probe left 100 ms ago, and of a second's support 2 % are given to the clocks.
    assert!(held > nodes.now.plus(800 * MS) && held < nodes.now.plus(900 * MS), "{held:?} at {:?}", nodes.now);
    let (strong, bounded) =
        (nodes.look(leader, SHARD, Level::Strong), nodes.look(follower, SHARD, Level::Bounded(500)));
    nodes.turn(leader);
    nodes.turn(follower);
    assert!(nodes.under_way.is_empty(), "{:?}", nodes.under_way);
    let bound = |id| match nodes.answer(id) {
        Some(AnswerBody::Read { receipt, .. }) => receipt.bound_ms,
        other => panic!("{other:?}"),
    };
    assert_eq!((bound(strong), bound(bounded)), (Some(0), Some(100)));
}

#[test]
fn a_leader_that_is_cut_off_knows_how_old_its_state_is_from_then_on() {
    let mut nodes = Nodes::serving(3, 1);
    let leader = nodes.leader(SHARD).unwrap();
    nodes.cut_off = [leader].into();
    nodes.pass(1_200 * MS);
    let read = nodes.look(leader, SHARD, Level::Bounded(1_000));
    nodes.settle();
    // Its lease ended after 980 ms; the last time before that it asked itself after 750.
    let Some(AnswerBody::Read { receipt, .. }) = nodes.answer(read) else { panic!("{:?}", nodes.answers) };
    assert_eq!(receipt.bound_ms, Some(450));
}

#[test]
fn quarantine_ends() {
    let mut nodes = Nodes::tuned((3, 1, 3), |config| config.quarantine = 2 * SECOND);
    nodes.pass(2 * SECOND - 1);
    let end = nodes.now.plus(1);
    let now = nodes.now;
    assert!(nodes.host(N1).in_quarantine(now) && !nodes.host(N1).in_quarantine(end));
}

#[test]
fn what_failed_while_nobody_was_heard_delays_nobody_afterwards() {
    let mut nodes = Nodes::serving(3, 8);
    nodes.cut_off = [N1, N2, N3].into();
    nodes.pass(30 * SECOND);
    assert!(nodes.hosts.iter().all(|host| host.leads() == 0));
    let now = nodes.now();
    let due = nodes.host(N1).elections.next_tick().unwrap();
    let news = Changes { view: true, ..Changes::default() };
    nodes.host(N1).notice(now, &news);
    assert_eq!(nodes.host(N1).elections.next_tick(), Some(due), "nobody is back");
    nodes.cut_off.clear();
    // They hear each other with the next probes.
    nodes.pass(250 * MS + SECOND / 16);
    assert_eq!(nodes.hosts.iter().map(Host::leads).sum::<usize>(), 8);
}

#[test]
fn who_stands_while_the_leader_is_well_is_joined_by_nobody_and_raises_no_ballot() {
    let mut nodes = Nodes::serving(3, 1);
    let leader = nodes.leader(SHARD).unwrap();
    let follower = if leader == N3 { N2 } else { N3 };
    let promised = |nodes: &mut Nodes| nodes.host(follower).replica(SHARD).unwrap().paxos().promised();
    let before = promised(&mut nodes);
    let replica = nodes.host(follower).shards.get_mut(&SHARD).unwrap();
    replica.campaign(&mut |_: NodeId, _: &QuorumSystem| false);
    nodes.host(follower).touched.insert(SHARD);
    nodes.pass(SECOND);
    assert_eq!((nodes.leader(SHARD), promised(&mut nodes)), (Some(leader), before));
}

/// Whether `leader` covers the one shard in its answer to a probe of `follower`, the `nth`, at that moment.
fn covers(nodes: &mut Nodes, leader: NodeId, follower: NodeId, (nth, asked): (u64, Mono)) -> bool {
    let asked = at(asked);
    let word = Word { number: (1 << 40) + nth, wall: asked.wall, boot: 1, hears: vec![leader] };
    let probe = Probe { seq: (1 << 40) + nth, word, known: 0, released: Vec::new(), you: None };
    let messages = vec![PeerMessage::Probe(probe)];
    let (incarnation, epoch) = (nodes.host(follower).config.incarnation, Epoch(0));
    let host = nodes.host(leader);
    host.handle_frame(asked, follower, Frame { epoch, incarnation, messages });
    let turn = host.finish_turn(asked);
    let heard = turn.frames.iter().flat_map(|(_, frame)| &frame.messages).find_map(|message| match message {
        PeerMessage::Heard(heard) => Some(heard),
        _ => None,
    });
    let [(SHARD, slot)] = heard.unwrap().cover.changed[..] else { panic!("{heard:?}") };
    slot.is_some()
}

#[test]
fn a_shard_is_covered_as_long_as_its_lease_holds() {
    for (after, covered) in [(-1, true), (0, false), (1, false)] {
        let mut nodes = Nodes::serving(3, 1);
        nodes.pass(100 * MS);
        let leader = nodes.leader(SHARD).unwrap();
        let follower = if leader == N3 { N2 } else { N3 };
        let until = nodes.host(leader).lease_until(SHARD).unwrap();
        let mut ask = |nth, after| {
            let moment = Mono(until.0.checked_add_signed(after).unwrap());
            covers(&mut nodes, leader, follower, (nth, moment))
        };
        // It looks at all leases again after the first of them has run out as far as it was known.
        assert!(ask(1, -1_000));
        assert_eq!(ask(2, after), covered, "{after} us after its end");
    }
}

#[test]
fn what_paxos_hears_of_others_is_what_the_fabric_knows() {
    let mut nodes = Nodes::serving(3, 1);
    let (now, quorum) = (nodes.now, QuorumSystem::majority([N1, N2, N3]).unwrap());
    let healthy = |nodes: &mut Nodes, now| {
        let Host { fabric, support, .. } = nodes.host(N1);
        Ties { now, fabric, support }.healthy(N2, &quorum)
    };
    assert!(healthy(&mut nodes, now) && !healthy(&mut nodes, now.plus(2 * SECOND)));
}

#[test]
fn an_acknowledgement_that_waited_for_the_disk_does_not_travel_once_its_leader_was_left() {
    let mut nodes = Nodes::serving(3, 1);
    nodes.pass(100 * MS);
    let leader = nodes.leader(SHARD).unwrap();
    let [slow, next] = [N1, N2, N3].into_iter().filter(|node| *node != leader).collect::<Vec<_>>()[..] else {
        panic!("three nodes")
    };
    nodes.stuck = [slow].into();
    nodes.register(leader, SHARD);
    nodes.settle();
    nodes.cut_off = [leader].into();
    nodes.pass(3 * SECOND);
    let replica = |nodes: &mut Nodes, node: NodeId| nodes.host(node).replica(SHARD).unwrap().paxos().promised().node;
    assert_ne!(replica(&mut nodes, slow), leader, "{next} has asked it");
    let last = nodes.host(slow).writing.back().unwrap().id;
    let now = nodes.now();
    nodes.host(slow).handle_written(last);
    let turn = nodes.host(slow).finish_turn(now);
    let acks = turn.frames.iter().flat_map(|(_, frame)| &frame.messages).filter(|message| match message {
        PeerMessage::Paxos { message: paxos::Message::Ack { ballot, .. }, .. } => ballot.node == leader,
        _ => false,
    });
    assert_eq!(acks.count(), 0);
}
