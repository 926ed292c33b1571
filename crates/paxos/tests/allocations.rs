//! In the steady state consensus allocates nothing: what a slot takes is there from the slots before.

use bytes::Bytes;
use paxos::local::Local;
use paxos::{NodeId, Value};

/// Decides so many slots, so many in flight at a time; says how many each node has learned.
fn decide(local: &mut Local, value: &Value, in_flight: usize, times: usize) -> [usize; 3] {
    let mut learned = [0; 3];
    for _ in 0..times {
        for _ in 0..in_flight {
            local.propose(value.clone()).expect("the first leads");
        }
        while !local.is_quiet() {
            local.turn(|node, _, _| learned[node.0 as usize - 1] += 1);
        }
    }
    learned
}

#[test]
fn slots_are_decided_without_an_allocation() {
    let mut local = Local::new([1, 2, 3].map(NodeId)).expect("majorities of three meet");
    let value = Value::Command(Bytes::from(vec![7; 1_024]));
    for in_flight in [1, 16] {
        decide(&mut local, &value, in_flight, 100);
        let mut learned = [0; 3];
        let counted = allocation_counter::measure(|| learned = decide(&mut local, &value, in_flight, 1_000));
        assert_eq!(learned[0], 1_000 * in_flight, "the leader learns what it decides");
        // (What the last watermark did not tell them, the others learn with the next.)
        assert!(learned.iter().all(|learned| *learned + in_flight >= 1_000 * in_flight), "{learned:?}");
        assert_eq!(counted.count_total, 0, "{in_flight} in flight: {counted:?}");
    }
}
