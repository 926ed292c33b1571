//! In the steady state consensus allocates nothing: what a slot takes is there from the slots before.

use bytes::Bytes;
use paxos::liveness::nobody;
use paxos::{Configuration, Effect, Message, NodeId, QuorumSystem, Recovered, Replica, Token, Value};
use std::collections::VecDeque;

const N1: NodeId = NodeId(1);

/// Three replicas; memory is durable at once.
struct Three {
    replicas: [Replica; 3],
    letters: VecDeque<(NodeId, NodeId, u64, Message)>,
}

impl Three {
    fn new() -> Self {
        let nodes = [N1, NodeId(2), NodeId(3)];
        let quorum = QuorumSystem::majority(nodes).expect("majorities of three meet");
        let replica = |node| Replica::new(node, Configuration::first(quorum.clone()), Recovered::fresh());
        let mut three = Self { replicas: nodes.map(replica), letters: VecDeque::new() };
        three.replicas[0].campaign(&mut nobody);
        three.settle();
        assert!(three.replicas[0].is_leader());
        three
    }

    /// Until nothing is on its way; how many values each has delivered meanwhile.
    fn settle(&mut self) -> [usize; 3] {
        let mut delivered = [0; 3];
        loop {
            for replica in &mut self.replicas {
                let mut written: Option<Token> = None;
                while let Some(effect) = replica.poll_effect() {
                    match effect {
                        Effect::Persist { token, .. } => written = Some(token),
                        Effect::Send { to, configuration, message, .. } => {
                            self.letters.push_back((replica.me(), to, configuration, message));
                        }
                        other => panic!("nobody lags, and nobody reads: {other:?}"),
                    }
                }
                if let Some(token) = written {
                    replica.handle_persisted(token);
                }
            }
            for (replica, delivered) in self.replicas.iter_mut().zip(&mut delivered) {
                *delivered += std::iter::from_fn(|| replica.poll_chosen()).count();
            }
            let Some((from, to, configuration, message)) = self.letters.pop_front() else { return delivered };
            self.replicas[to.0 as usize - 1].handle_message(from, configuration, message, &mut nobody);
        }
    }

    /// So many slots in flight at a time.
    fn decide(&mut self, value: &Value, in_flight: usize, times: usize) -> [usize; 3] {
        let mut delivered = [0; 3];
        for _ in 0..times {
            for _ in 0..in_flight {
                self.replicas[0].propose(value.clone()).expect("it leads");
            }
            for (all, now) in delivered.iter_mut().zip(self.settle()) {
                *all += now;
            }
        }
        delivered
    }
}

#[test]
fn slots_are_decided_without_an_allocation() {
    let mut three = Three::new();
    let value = Value::Command(Bytes::from(vec![7; 1_024]));
    for in_flight in [1, 16] {
        three.decide(&value, in_flight, 100);
        let mut delivered = [0; 3];
        let counted = allocation_counter::measure(|| delivered = three.decide(&value, in_flight, 1_000));
        assert_eq!(delivered[0], 1_000 * in_flight, "the leader delivers what it decides");
        // (What the last watermark did not tell them, the others deliver with the next.)
        assert!(delivered.iter().all(|delivered| *delivered + in_flight >= 1_000 * in_flight), "{delivered:?}");
        assert_eq!(counted.count_total, 0, "{in_flight} in flight: {counted:?}");
    }
}
