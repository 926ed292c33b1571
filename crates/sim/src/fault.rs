//! What may go wrong, and when: each seed mixes its own (swarm testing: Groce et al. 2012), so that no fault hides another.

use crate::clock::{MS, Time};
use crate::network::Cut;
use crate::random::Random;
use paxos::NodeId;
use std::fmt;

/// Something goes wrong, or is mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The network is cut like this, and in no other way.
    Cut(Cut),
    /// The network is whole.
    Heal,
    /// Power fails at a machine.
    Crash(NodeId),
    /// It comes back.
    Start(NodeId),
    /// A machine stops for a while, without knowing.
    Pause(NodeId),
    /// And goes on.
    Resume(NodeId),
    /// A machine's disk does nothing for so many microseconds.
    Stall(NodeId, u64),
    /// A machine's disk has no space left.
    Fill(NodeId),
    /// It has some again.
    Space(NodeId),
    /// A machine's next sync fails.
    FailSync(NodeId),
    /// A bit flips on a machine's disk.
    Rot(NodeId),
    /// A machine's disk is replaced by an empty one.
    Wipe(NodeId),
    /// A machine's wall clock is set: so many milliseconds ahead of the right time.
    Step(NodeId, i64),
    /// Whoever leads the shard of this index hands it over to a node.
    Transfer(u32, NodeId),
    /// Whoever leads the shard of this index is asked for a change of its members, drawn by the second number.
    Change(u32, u64),
    /// Everything is mended at once, and stays so.
    Calm,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(Cut::Sides(side)) => write!(f, "partition: {side:?} apart from the others"),
            Self::Cut(Cut::OneWay(a, b)) => write!(f, "partition: nothing from {a} reaches {b}"),
            Self::Cut(Cut::Chain(order)) => write!(f, "partition: chain {order:?}"),
            Self::Cut(Cut::Star(hub)) => write!(f, "partition: only {hub} reaches the others"),
            Self::Heal => f.write_str("the network is whole again"),
            Self::Crash(node) => write!(f, "{node} loses power"),
            Self::Start(node) => write!(f, "{node} is switched on"),
            Self::Pause(node) => write!(f, "{node} is paused"),
            Self::Resume(node) => write!(f, "{node} goes on"),
            Self::Stall(node, time) => write!(f, "{node}'s disk stalls for {} ms", time / MS),
            Self::Fill(node) => write!(f, "{node}'s disk is full"),
            Self::Space(node) => write!(f, "{node}'s disk has space again"),
            Self::FailSync(node) => write!(f, "{node}'s next sync fails"),
            Self::Rot(node) => write!(f, "{node}'s disk flips a bit"),
            Self::Wipe(node) => write!(f, "{node}'s disk is replaced"),
            Self::Step(node, ms) => write!(f, "{node}'s wall clock is set to {ms} ms ahead"),
            Self::Transfer(shard, to) => write!(f, "shard {} shall go to {to}", shard + 1),
            Self::Change(shard, _) => write!(f, "the members of shard {} shall change", shard + 1),
            Self::Calm => f.write_str("everything is mended"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sides,
    OneWay,
    Chain,
    Star,
    Crash,
    CrashAll,
    Bounce,
    Pause,
    Stall,
    Fill,
    FailSync,
    Rot,
    Wipe,
    Step,
    Transfer,
    Change,
}

const KINDS: [Kind; 16] = [
    Kind::Sides,
    Kind::OneWay,
    Kind::Chain,
    Kind::Star,
    Kind::Crash,
    Kind::CrashAll,
    Kind::Bounce,
    Kind::Pause,
    Kind::Stall,
    Kind::Fill,
    Kind::FailSync,
    Kind::Rot,
    Kind::Wipe,
    Kind::Step,
    Kind::Transfer,
    Kind::Change,
];

/// A seed's faults, in order: some kinds of them, between `from` and `until`, and [`Fault::Calm`] at the end.
pub fn script(random: &mut Random, nodes: &[NodeId], from: Time, until: Time) -> Vec<(Time, Fault)> {
    let mut kinds: Vec<Kind> = KINDS.into_iter().filter(|_| random.chance(450_000)).collect();
    if kinds.is_empty() && random.chance(900_000) {
        kinds.push(*random.pick(&KINDS));
    }
    let every = random.between(300, 3_000) * MS;
    let mut script = Vec::new();
    let mut at = from;
    while !kinds.is_empty() && at < until {
        let kind = *random.pick(&kinds);
        strike(random, nodes, kind, at, &mut script);
        at = at.plus(every / 4 + random.below(every * 3 / 2));
    }
    script.retain(|(at, _)| *at < until);
    script.push((until, Fault::Calm));
    // Stable: what is planned first at one moment happens first.
    script.sort_by_key(|(at, _)| *at);
    script
}

fn strike(random: &mut Random, nodes: &[NodeId], kind: Kind, at: Time, script: &mut Vec<(Time, Fault)>) {
    let node = *random.pick(nodes);
    let while_long = random.between(100, 5_000) * MS;
    let end = at.plus(while_long);
    match kind {
        Kind::Sides => {
            let mut side = nodes.to_vec();
            shuffle(random, &mut side);
            side.truncate(random.index(nodes.len() / 2) + 1);
            script.extend([(at, Fault::Cut(Cut::Sides(side))), (end, Fault::Heal)]);
        }
        Kind::OneWay => {
            let others: Vec<NodeId> = nodes.iter().copied().filter(|&other| other != node).collect();
            let way = Cut::OneWay(node, *random.pick(&others));
            script.extend([(at, Fault::Cut(way)), (end, Fault::Heal)]);
        }
        Kind::Chain => {
            let mut order = nodes.to_vec();
            shuffle(random, &mut order);
            script.extend([(at, Fault::Cut(Cut::Chain(order))), (end, Fault::Heal)]);
        }
        Kind::Star => script.extend([(at, Fault::Cut(Cut::Star(node))), (end, Fault::Heal)]),
        Kind::Crash => script.extend([(at, Fault::Crash(node)), (end, Fault::Start(node))]),
        Kind::Bounce => {
            let back = at.plus(random.between(1, 50) * MS);
            script.extend([(at, Fault::Crash(node)), (back, Fault::Start(node))]);
        }
        Kind::CrashAll => {
            for &node in nodes {
                let start = at.plus(random.between(10, 2_500) * MS);
                script.extend([(at, Fault::Crash(node)), (start, Fault::Start(node))]);
            }
        }
        Kind::Pause => script.extend([(at, Fault::Pause(node)), (end, Fault::Resume(node))]),
        Kind::Change => {
            // Several steps, so that a change can come to its end.
            let shard = u32::try_from(random.below(64)).unwrap_or(0);
            for nth in 0..random.between(1, 6) {
                script.push((at.plus(nth * random.between(5, 400) * MS), Fault::Change(shard, random.bits())));
            }
        }
        Kind::Transfer => script.push((at, Fault::Transfer(u32::try_from(random.below(64)).unwrap_or(0), node))),
        Kind::Stall => script.push((at, Fault::Stall(node, while_long))),
        Kind::Fill => script.extend([(at, Fault::Fill(node)), (end, Fault::Space(node))]),
        Kind::FailSync => script.extend([(at, Fault::FailSync(node)), (end, Fault::Start(node))]),
        Kind::Rot => {
            script.push((at, Fault::Rot(node)));
            // Found while it runs, or when it starts the next time.
            if random.chance(500_000) {
                let back = at.plus(random.between(1, 500) * MS);
                script.extend([(at.plus(random.below(MS)), Fault::Crash(node)), (back, Fault::Start(node))]);
            }
        }
        Kind::Wipe => script.extend([(at, Fault::Wipe(node)), (end, Fault::Start(node))]),
        Kind::Step => {
            let reach: u64 = *random.pick(&[50, 1_000, 4_000]);
            // Only one machine's clock may be quite wrong: log time is what most of them say.
            let reach = if node == nodes[0] && random.chance(200_000) { 100_000 } else { reach };
            let ms = i64::try_from(random.below(2 * reach)).unwrap_or(0) - i64::try_from(reach).unwrap_or(0);
            script.push((at, Fault::Step(node, ms)));
        }
    }
}

/// Any order, each as likely as any other (Fisher and Yates).
pub fn shuffle<T>(random: &mut Random, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, random.index(last + 1));
    }
}
