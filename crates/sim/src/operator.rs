//! The simulated operator: replaces broken disks, and brings their nodes back as members, one step after the other, as
//! `admin replica add`, `promote`, `remove` and `replace` do.

use crate::clock::MS;
use crate::cluster::{Cluster, Event};
use crate::network::index;
use paxos::NodeId;
use placement::ShardId;
use std::collections::BTreeMap;
use wire::Change;

/// How a member whose disk was lost is made up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repair {
    /// It is added again, here in the place of what it was, there after its removal; and votes again, if it did.
    Back { votes: bool },
    /// This node takes its place.
    By(NodeId),
}

/// The operator's list.
#[derive(Debug, Default)]
pub struct Operator {
    repairs: BTreeMap<(ShardId, NodeId), Repair>,
    /// Whether the next round is planned.
    called: bool,
}

impl Operator {
    /// What is still to be done, if anything is.
    pub fn business(&self) -> Option<String> {
        let (&(shard, node), repair) = self.repairs.first_key_value()?;
        Some(format!("the operator still makes up for {node} in shard {shard}: {repair:?}"))
    }

    /// Whether `node` is to vote where it does not yet.
    pub(crate) fn will_have_vote(&self, node: NodeId) -> bool {
        self.repairs.iter().any(|(&(_, lost), &repair)| match repair {
            Repair::Back { votes } => votes && lost == node,
            Repair::By(other) => other == node,
        })
    }
}

impl Cluster {
    /// Whether everything that is chosen would still be known, and could go on, without the disk of `node`.
    pub fn may_lose(&self, node: NodeId) -> bool {
        // Nobody knows yet of a damaged disk elsewhere: its node may become a voter that counts for nothing.
        if self.machines.iter().any(|machine| machine.id != node && machine.doomed) {
            return false;
        }
        self.map.shards().iter().all(|info| {
            let shard = info.shard;
            let Some(configuration) = self.judge.configuration(shard) else { return false };
            let (applied, since) = (self.judge.applied(shard), self.judge.configured(shard));
            // A stop that may be chosen already would leave others to count on; so would one that is about to be written.
            let settled = !self.machines.iter().any(|machine| {
                let stops = |replica: &paxos::Replica| replica.is_leader() && !replica.accepts_proposals();
                machine.disk.ledger.has_stop_behind(shard, applied) || self.paxos(machine.id, shard).is_some_and(stops)
            });
            let others = |voter: &NodeId| *voter != node && self.machines[index(*voter)].is_genuine(&configuration);
            // Where nobody else knows of the stop, the voters before it are the ones to count on.
            let told = configuration
                .quorum
                .voters()
                .iter()
                .filter(|voter| others(voter))
                .any(|voter| self.machines[index(*voter)].disk.ledger.knows(shard, since));
            settled
                && told
                && configuration.quorum.accept_quorum_where(|voter| {
                    others(&voter) && self.machines[index(voter)].disk.ledger.holds_through(shard, since)
                })
        })
    }

    /// Whether the members of `shard` are the operator's business just now.
    pub(crate) fn is_being_repaired(&self, shard: ShardId) -> bool {
        self.machines.iter().any(|machine| machine.doomed) || self.operator.repairs.keys().any(|(of, _)| *of == shard)
    }

    /// Something is to be done: the operator comes soon.
    pub(crate) fn call_operator(&mut self) {
        if !self.operator.called {
            self.operator.called = true;
            let at = self.now.plus(self.random.between(100, 600) * MS);
            self.agenda.plan(at, Event::Operate);
        }
    }

    /// The disk of `node` was replaced: it is to be made up for wherever it was a member.
    pub(crate) fn take_on(&mut self, node: NodeId) {
        for info in self.map.shards().to_vec() {
            let Some(configuration) = self.judge.configuration(info.shard).filter(|c| c.contains(node)) else {
                continue;
            };
            let votes = configuration.quorum.contains(node);
            let others: Vec<NodeId> =
                (1..=self.plan.nodes).map(NodeId).filter(|other| !configuration.contains(*other)).collect();
            let repair = if votes && !others.is_empty() && self.random.chance(400_000) {
                Repair::By(*self.random.pick(&others))
            } else {
                Repair::Back { votes }
            };
            self.operator.repairs.insert((info.shard, node), repair);
        }
        self.call_operator();
    }

    /// The operator's round: the next step for everything on the list.
    pub(crate) fn operate(&mut self) {
        self.operator.called = false;
        for node in (1..=self.plan.nodes).map(NodeId) {
            let machine = &self.machines[index(node)];
            if machine.doomed && machine.host.is_none() {
                self.wipe(node);
                self.start(node);
            }
        }
        self.look_for_strangers();
        for ((shard, node), repair) in self.operator.repairs.clone() {
            if let Some(change) = self.next_step(shard, node, repair) {
                if let Some(leader) = self.leader(shard) {
                    self.ask_for(leader, shard, change);
                }
                continue;
            }
            self.operator.repairs.remove(&(shard, node));
            match repair {
                Repair::Back { .. } => self.stats.readded += 1,
                Repair::By(_) => self.stats.substituted += 1,
            }
        }
        let broken = |machine: &crate::machine::Machine| machine.doomed && machine.host.is_none();
        if !self.operator.repairs.is_empty() || self.machines.iter().any(broken) {
            self.call_operator();
        }
    }

    /// A node may have been added by the name of a disk that was replaced before it was heard again.
    fn look_for_strangers(&mut self) {
        for info in self.map.shards() {
            let Some(configuration) = self.judge.configuration(info.shard) else { continue };
            for (&node, &life) in &configuration.incarnations {
                if life != self.machines[index(node)].incarnation {
                    let repair = Repair::Back { votes: configuration.quorum.contains(node) };
                    self.operator.repairs.entry((info.shard, node)).or_insert(repair);
                }
            }
        }
    }

    /// What to ask for next; `None` when all is done.
    fn next_step(&self, shard: ShardId, node: NodeId, repair: Repair) -> Option<Change> {
        let configuration = self.judge.configuration(shard)?;
        let named =
            |node: NodeId| configuration.incarnations.get(&node) == Some(&self.machines[index(node)].incarnation);
        match repair {
            Repair::Back { votes } => match configuration.contains(node) {
                true if !named(node) && shard.0.is_multiple_of(2) => Some(Change::Remove(node)),
                true if !named(node) => Some(Change::Add(node)),
                false => Some(Change::Add(node)),
                true => (votes && !configuration.quorum.contains(node)).then_some(Change::Promote(node)),
            },
            Repair::By(other) if configuration.quorum.contains(node) => Some(if configuration.quorum.contains(other) {
                Change::Remove(node)
            } else if configuration.contains(other) {
                Change::Replace { old: node, new: other }
            } else {
                Change::Add(other)
            }),
            Repair::By(_) => configuration.contains(node).then_some(Change::Remove(node)),
        }
    }
}
