//! Which sets are quorums, which systems are refused, and that every shortcut agrees with trying all sets.

use super::*;

fn n(number: u32) -> NodeId {
    NodeId(number)
}

fn set(numbers: &[u32]) -> BTreeSet<NodeId> {
    numbers.iter().copied().map(NodeId).collect()
}

/// The smallest accept quorums, in order, as lists of node numbers.
fn minimal(system: &QuorumSystem) -> Vec<Vec<u32>> {
    let all = system.mask(|_| true);
    let holds = |mask: Mask| system.accept.holds(mask);
    let bits = |mask: Mask| (0..MAX_VOTERS).map(|index| 1 << index).filter(move |bit: &Mask| mask & bit != 0);
    let quorums = (0..=all).filter(|&mask| holds(mask) && bits(mask).all(|bit| !holds(mask & !bit)));
    let mut lists: Vec<Vec<u32>> =
        quorums.map(|mask| system.named(mask).into_iter().map(|node| node.0).collect()).collect();
    lists.sort();
    lists
}

#[test]
fn majority_of_five_is_any_three_and_strangers_do_not_count() {
    let system = QuorumSystem::majority((1..=5).map(n)).expect("valid");
    assert_eq!(minimal(&system).len(), 10);
    assert!(system.is_accept_quorum(&set(&[1, 3, 5])));
    assert!(!system.is_accept_quorum(&set(&[1, 3, 6, 7])));
    assert!(!system.is_prepare_quorum(&set(&[2, 4])));
    assert_eq!(system.voters(), [n(1), n(2), n(3), n(4), n(5)]);
    assert!(system.contains(n(5)) && !system.contains(n(6)));
}

#[test]
fn weight_of_two_for_a_among_four_gives_ab_ac_ad_and_bcd() {
    let system = QuorumSystem::weighted([(n(1), 2), (n(2), 1), (n(3), 1), (n(4), 1)], 3).expect("valid");
    assert_eq!(minimal(&system), [vec![1, 2], vec![1, 3], vec![1, 4], vec![2, 3, 4]]);
}

#[test]
fn weights_whose_halves_cannot_be_split_are_allowed_and_splittable_ones_refused() {
    // 2 + 2 + 2 at 3: twice the threshold is the sum, yet one voter is too light and two leave one.
    QuorumSystem::weighted([(n(1), 2), (n(2), 2), (n(3), 2)], 3).expect("any two of three");
    let refused = QuorumSystem::weighted([(n(1), 2), (n(2), 1), (n(3), 1)], 2);
    let expected = QuorumError::Disjoint { prepare: set(&[1]), accept: set(&[2, 3]) };
    assert_eq!(refused, Err(expected.clone()));
    let text = "prepare quorum {n1} and accept quorum {n2 n3} share no voter: raise what a quorum needs";
    assert_eq!(expected.to_string(), text);
}

#[test]
fn flexible_quorums_must_overlap_by_one() {
    let system = QuorumSystem::flexible((1..=5).map(n), 4, 2).expect("4 + 2 > 5");
    assert!(system.is_accept_quorum(&set(&[1, 5])) && !system.is_prepare_quorum(&set(&[1, 2, 5])));
    assert!(system.is_prepare_quorum(&set(&[1, 2, 3, 5])));
    let refused = QuorumSystem::flexible((1..=5).map(n), 3, 2);
    assert_eq!(refused, Err(QuorumError::Disjoint { prepare: set(&[1, 2, 3]), accept: set(&[4, 5]) }));
    assert!(matches!(QuorumSystem::flexible((1..=3).map(n), 0, 3), Err(QuorumError::Disjoint { .. })));
    // The pair that is named is as small as can be: one of the three that are left would do.
    let refused = QuorumSystem::flexible((1..=5).map(n), 2, 1);
    assert_eq!(refused, Err(QuorumError::Disjoint { prepare: set(&[1, 2]), accept: set(&[3]) }));
}

#[test]
fn regional_quorum_is_a_majority_of_regions_with_a_majority_in_each() {
    let map = [(1, "east"), (2, "east"), (3, "east"), (4, "north"), (5, "south")];
    let system = QuorumSystem::regional(map.map(|(node, region)| (n(node), region))).expect("valid");
    assert_eq!(
        minimal(&system),
        [vec![1, 2, 4], vec![1, 2, 5], vec![1, 3, 4], vec![1, 3, 5], vec![2, 3, 4], vec![2, 3, 5], vec![4, 5]]
    );
    assert!(!system.is_accept_quorum(&set(&[1, 2, 3])), "one region of three, however full");
    let pairs = [(1, "east"), (2, "east"), (3, "west"), (4, "west"), (5, "south"), (6, "south")];
    let system = QuorumSystem::regional(pairs.map(|(node, region)| (n(node), region))).expect("valid");
    assert!(system.is_accept_quorum(&set(&[1, 2, 3, 4])));
    assert!(!system.is_accept_quorum(&set(&[1, 3, 5])), "half of a region is no majority of it");
}

#[test]
fn impossible_systems_are_refused_with_what_is_wrong() {
    assert_eq!(QuorumSystem::majority([]), Err(QuorumError::NoVoters));
    assert_eq!(QuorumSystem::majority([n(2), n(2)]), Err(QuorumError::Duplicate(n(2))));
    assert_eq!(QuorumSystem::majority([n(0), n(2)]), Err(QuorumError::Nobody));
    assert_eq!(QuorumSystem::majority((1..=17).map(n)), Err(QuorumError::TooManyVoters(17)));
    assert!(QuorumSystem::majority((1..=16).map(n)).is_ok());
    assert_eq!(QuorumSystem::weighted([(n(1), 1), (n(2), 0)], 1), Err(QuorumError::Weightless(n(2))));
    assert_eq!(QuorumSystem::weighted([(n(1), 1)], 2), Err(QuorumError::Unreachable { needed: 2, all: 1 }));
    assert_eq!(QuorumSystem::flexible([n(1)], 1, 2), Err(QuorumError::Unreachable { needed: 2, all: 1 }));
    assert_eq!(QuorumSystem::regional([(n(1), "east"), (n(1), "west")]), Err(QuorumError::Duplicate(n(1))));
    let spec = QuorumSpec::Regional {
        regions: BTreeMap::from([("east".to_owned(), BTreeSet::new()), ("west".to_owned(), set(&[1]))]),
    };
    assert_eq!(QuorumSystem::new(spec), Err(QuorumError::EmptyRegion("east".to_owned())));
}

#[test]
fn systems_are_shown_with_their_voters() {
    let regions = [(1, "east"), (2, "east"), (3, "west")].map(|(node, region)| (n(node), region));
    let shown = [
        (QuorumSystem::majority((1..=3).map(n)), "majority of n1 n2 n3"),
        (QuorumSystem::weighted([(n(1), 2), (n(2), 1)], 2), "weight 2 of n1=2 n2=1"),
        (QuorumSystem::flexible((1..=3).map(n), 3, 1), "3 to prepare, 1 to accept of n1 n2 n3"),
        (QuorumSystem::regional(regions), "majority of regions east(n1 n2) west(n3)"),
    ];
    for (system, text) in shown {
        assert_eq!(system.expect("valid").to_string(), text);
    }
}

/// All small systems of every kind, valid or not.
fn many_specs() -> Vec<QuorumSpec> {
    let mut specs = vec![];
    for count in 1..=6u32 {
        let voters: BTreeSet<NodeId> = (1..=count).map(NodeId).collect();
        specs.push(QuorumSpec::Majority { voters: voters.clone() });
        for prepare in 0..=count as usize {
            for accept in 0..=count as usize {
                specs.push(QuorumSpec::Flexible { voters: voters.clone(), prepare, accept });
            }
        }
        for pattern in 0..3u32.pow(count) {
            let digit = |node: NodeId| pattern / 3u32.pow(node.0 - 1) % 3;
            let weights: BTreeMap<NodeId, u32> = voters.iter().map(|&node| (node, digit(node) + 1)).collect();
            let sum: u32 = weights.values().sum();
            specs.extend(
                [sum / 2, sum / 2 + 1]
                    .map(|threshold| QuorumSpec::Weighted { weights: weights.clone(), threshold: threshold.into() }),
            );
            let mut regions: BTreeMap<String, BTreeSet<NodeId>> = BTreeMap::new();
            for &node in &voters {
                regions.entry(format!("r{}", digit(node))).or_default().insert(node);
            }
            specs.push(QuorumSpec::Regional { regions });
        }
    }
    specs
}

#[test]
fn acceptance_of_a_system_agrees_with_trying_every_pair_of_sets() {
    let (mut taken, mut refused) = (0, 0);
    for spec in many_specs() {
        let voters = sorted_voters(&spec).expect("voters are fine here");
        let (prepare, accept) = Rule::both(&spec, &voters).expect("rules are fine here");
        let built = QuorumSystem::new(spec.clone());
        let unchecked = QuorumSystem { spec, voters, prepare, accept };
        let all = unchecked.mask(|_| true);
        let accepts_without = |prepare: Mask| (0..=all).any(|mask| mask & prepare == 0 && unchecked.accept.holds(mask));
        let disjoint = (0..=all).any(|mask| unchecked.prepare.holds(mask) && accepts_without(mask));
        assert_eq!(built.is_ok(), !disjoint, "{unchecked}");
        match built {
            Ok(_) => taken += 1,
            Err(QuorumError::Disjoint { prepare, accept }) => {
                assert!(unchecked.is_prepare_quorum(&prepare) && unchecked.is_accept_quorum(&accept));
                assert!(prepare.is_disjoint(&accept));
                refused += 1;
            }
            Err(other) => panic!("{unchecked}: {other}"),
        }
    }
    assert!(taken > 1000 && refused > 500, "{taken} taken, {refused} refused: the test must see both");
}

#[test]
fn highest_accepted_is_the_last_slot_whose_holders_are_a_quorum() {
    for system in many_specs().into_iter().filter_map(|spec| QuorumSystem::new(spec).ok()) {
        for salt in 0..20u64 {
            let ack = |node: NodeId| Slot((u64::from(node.0) * 7 + salt * (u64::from(node.0) + 3)) % 9);
            let by_trying = (0..9).rev().map(Slot).find(|&slot| system.accept_quorum_where(|node| ack(node) >= slot));
            assert_eq!(Some(system.highest_accepted(ack)), by_trying, "{system}");
        }
    }
}

#[test]
fn decoding_checks_what_building_checks() {
    let good = QuorumSystem::flexible((1..=4).map(n), 3, 2).expect("valid");
    let bytes = rmp_serde::to_vec(&good).expect("encodes");
    assert_eq!(rmp_serde::from_slice::<QuorumSystem>(&bytes).expect("what was valid stays valid"), good);
    let forged = QuorumSpec::Flexible { voters: set(&[1, 2, 3, 4]), prepare: 2, accept: 2 };
    let refused = rmp_serde::from_slice::<QuorumSystem>(&rmp_serde::to_vec(&forged).expect("encodes"));
    let text = refused.expect_err("two halves do not meet").to_string();
    assert!(text.contains("prepare quorum {n1 n2} and accept quorum {n3 n4} share no voter"), "{text}");
}
