//! Proposal numbers: unique and ordered across nodes, also after restarts.

use paxos::{Ballot, NodeId, QuorumSystem, synod::Proposer};
use std::collections::BTreeSet;

#[test]
fn five_proposers_with_restarts_from_durable_state_never_share_or_repeat_a_ballot() {
    let quorums = QuorumSystem::majority((1..=5).map(NodeId)).expect("valid");
    let mut seen = BTreeSet::new();
    let mut durable = [Ballot::ZERO; 5];
    let mut proposers = durable.map(|used| Proposer::new(NodeId(0), quorums.clone(), used));
    for (index, proposer) in proposers.iter_mut().enumerate() {
        *proposer = Proposer::new(node(index), quorums.clone(), Ballot::ZERO);
    }
    for step in 0..2_000usize {
        let index = step * 7 % 5;
        let before = durable[index];
        if step % 3 == 0 {
            // Stops and comes back with nothing but its disk.
            proposers[index] = Proposer::new(node(index), quorums.clone(), durable[index]);
        }
        if step % 4 == 0 {
            // Hears of another's ballot, as refusals tell.
            let heard = durable[step % 5];
            proposers[index].handle_refused(before, heard);
        }
        let ballot = proposers[index].prepare(step, Ballot::ZERO).ballot;
        durable[index] = ballot;
        assert!(ballot > before, "{ballot} after {before}");
        assert_eq!(ballot.node, node(index), "a ballot names its owner");
        assert!(seen.insert(ballot), "{ballot} was used before");
    }
}

#[test]
fn a_proposer_whose_disk_forgot_would_repeat_its_first_ballot() {
    let quorums = QuorumSystem::majority((1..=3).map(NodeId)).expect("valid");
    let first = Proposer::new(NodeId(1), quorums.clone(), Ballot::ZERO).prepare("Sid", Ballot::ZERO).ballot;
    let forgetful = Proposer::new(NodeId(1), quorums, Ballot::ZERO).prepare("Diego", Ballot::ZERO).ballot;
    assert_eq!(first, forgetful, "this is why the ballot is durable before its prepare leaves");
}

#[test]
fn ballots_order_by_round_and_then_by_node() {
    let ballot = |round, node| Ballot { round, node: NodeId(node) };
    let sorted = [Ballot::ZERO, ballot(1, 1), ballot(1, 2), ballot(2, 1), ballot(10, 1)];
    assert!(sorted.is_sorted_by(|a, b| a < b));
    assert_eq!(ballot(1, 2).next_for(NodeId(1)), ballot(2, 1), "the next one is above, whoever has it");
}

fn node(index: usize) -> NodeId {
    NodeId(u32::try_from(index).expect("five nodes") + 1)
}
