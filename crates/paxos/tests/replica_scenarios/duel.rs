//! Duelling leaders (*Paxos Made Simple*, section 2.4): progress is not guaranteed; random delays give it.
//!
//! Here the hosts do nothing but campaign again when a candidacy has failed. A leader that is refused takes a higher ballot
//! by itself, so two leaders can go on refusing each other.

use crate::{
    machine::{Event, Machine},
    random::Random,
};
use paxos::{Message, NodeId, QuorumSystem};
use std::collections::BTreeMap;

enum What {
    Campaign(usize),
    Arrive { from: NodeId, to: usize, message: Message },
}

/// Lets n1 and n2 of three campaign at times 0 and 2. `delay` says how long each message travels, `wait` how long a host
/// backs off. Returns how many ballots it took to choose anything, or `None` when `limit` were not enough.
fn duel(limit: u64, mut delay: impl FnMut(&Message) -> u64, mut wait: impl FnMut() -> u64) -> Option<u64> {
    let quorum = QuorumSystem::majority((1..=3).map(NodeId)).expect("majorities always meet");
    let mut machines: Vec<Machine> = (1..=3).map(|node| Machine::new(NodeId(node), quorum.clone())).collect();
    let mut agenda: BTreeMap<(u64, u64), What> = BTreeMap::new();
    let mut count = 0;
    let mut after = |agenda: &mut BTreeMap<_, _>, time: u64, what: What| {
        count += 1;
        agenda.insert((time, count), what);
    };
    after(&mut agenda, 0, What::Campaign(0));
    after(&mut agenda, 2, What::Campaign(1));
    let mut standing = [true, true, false];
    while let Some(((now, _), what)) = agenda.pop_first() {
        assert!(now < 100_000, "they neither refuse each other nor choose anything");
        let index = match what {
            What::Campaign(index) => {
                standing[index] = true;
                machines[index].replica_mut().expect("it is up").campaign(&mut paxos::liveness::nobody);
                index
            }
            What::Arrive { from, to, message } => {
                machines[to].replica_mut().expect("it is up").handle_message(
                    from,
                    0,
                    message,
                    &mut paxos::liveness::nobody,
                );
                to
            }
        };
        let mut events = machines[index].settle();
        while machines[index].is_writing() {
            events.extend(machines[index].sync(usize::MAX).1);
        }
        let replica = machines[index].replica().expect("it is up");
        if replica.chosen().0 > 0 {
            return Some(replica.promised().round);
        }
        if replica.promised().round > limit {
            return None;
        }
        if standing[index] && !replica.is_leader() && !replica.is_campaigning() {
            standing[index] = false;
            after(&mut agenda, now + 1 + wait(), What::Campaign(index));
        }
        for event in events {
            if let Event::Sent { to, message, .. } = event {
                let (from, to) = (machines[index].replica().expect("it is up").me(), to.0 as usize - 1);
                after(&mut agenda, now + delay(&message), What::Arrive { from, to, message });
            }
        }
    }
    panic!("a candidate that fails tries again, one that does not gets its no-op chosen");
}

#[test]
fn two_leaders_refuse_each_other_for_as_long_as_prepares_overtake_accepts() {
    let slow_accepts = |message: &Message| if matches!(message, Message::Accept { .. }) { 40 } else { 4 };
    assert_eq!(duel(500, slow_accepts, || 0), None);
}

#[test]
fn two_candidates_with_random_delays_and_back_off_end_their_duel_soon_under_every_seed() {
    let mut worst = 0;
    for seed in 0..2_000 {
        let (mut delays, mut waits) = (Random(seed), Random(!seed));
        let rounds = duel(100, |_| 1 + delays.next() % 8, || waits.next() % 64);
        worst = worst.max(rounds.unwrap_or_else(|| panic!("seed {seed}: no end within 100 ballots")));
    }
    println!("the longest duel took {worst} ballots");
    assert!(worst > 2, "some duel must have been one");
}
