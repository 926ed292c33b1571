//! Quorum systems: which sets of voters may promise, and which may choose.
//!
//! Paxos is safe whenever every prepare quorum meets every accept quorum (Howard, Malkhi and Spiegelman 2016, *Flexible
//! Paxos*; quorums of one phase need not meet each other). So this is the one thing checked when a [`QuorumSystem`] is
//! built or decoded, and a value of this type cannot break it.
//!
//! Invariants:
//! * every prepare quorum meets every accept quorum;
//! * all voters together are a quorum of both kinds;
//! * a superset of a quorum is a quorum (the checks rely on it);
//! * `voters` is sorted, without duplicates, 1 to [`MAX_VOTERS`] long, so that a set of voters is one machine word.

use crate::{NodeId, Slot};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// The most voters a quorum system may have. More would cost latency and buy nothing; the rest can be standbys.
pub const MAX_VOTERS: usize = 16;

/// A set of voters: bit `i` stands for `voters[i]`.
type Mask = u16;
const _: () = assert!(MAX_VOTERS == Mask::BITS as usize);

/// What a quorum system is made from, as people write it and as it is stored. Unchecked: see [`QuorumSystem::new`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuorumSpec {
    /// More than half of the voters, in both phases.
    Majority {
        /// Who votes.
        voters: BTreeSet<NodeId>,
    },
    /// Voters whose weights sum to at least `threshold`, in both phases.
    Weighted {
        /// Who votes, and with what weight (at least 1).
        weights: BTreeMap<NodeId, u32>,
        /// The least sum.
        threshold: u64,
    },
    /// Any `prepare` voters promise, any `accept` voters choose: fewer acceptors on the way of every write, paid for by
    /// more promises when the leader changes.
    Flexible {
        /// Who votes.
        voters: BTreeSet<NodeId>,
        /// Size of a prepare quorum.
        prepare: usize,
        /// Size of an accept quorum.
        accept: usize,
    },
    /// In more than half of the regions, more than half of the region's voters: survives any minority of regions
    /// together with any minority in each of the others.
    Regional {
        /// Who votes where.
        regions: BTreeMap<String, BTreeSet<NodeId>>,
    },
}

/// Why a quorum system cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// Nobody votes.
    #[error("a quorum system needs at least one voter")]
    NoVoters,
    /// More voters than [`MAX_VOTERS`].
    #[error("{0} voters are too many: at most {MAX_VOTERS} can vote, make the others standbys")]
    TooManyVoters(usize),
    /// The same voter twice, or in two regions.
    #[error("{0} is named twice: each voter counts once")]
    Duplicate(NodeId),
    /// Node 0 is nobody.
    #[error("n0 cannot vote: nodes are numbered from 1")]
    Nobody,
    /// A voter that counts for nothing.
    #[error("{0} has weight 0: give it a weight of at least 1, or make it a standby")]
    Weightless(NodeId),
    /// A region without voters.
    #[error("region '{0}' has no voters: leave it out")]
    EmptyRegion(String),
    /// Not even all voters together are a quorum.
    #[error("a quorum needs {needed}, but all voters together are only {all}: lower what it needs")]
    Unreachable {
        /// What a quorum needs: voters, or weight.
        needed: u64,
        /// What there is.
        all: u64,
    },
    /// Two quorums that share nobody could choose two values.
    #[error("prepare quorum {{{}}} and accept quorum {{{}}} share no voter: raise what a quorum needs", List(.prepare), List(.accept))]
    Disjoint {
        /// One that could promise ...
        prepare: BTreeSet<NodeId>,
        /// ... while this one chooses.
        accept: BTreeSet<NodeId>,
    },
}

/// Voters and the quorums among them. Every prepare quorum meets every accept quorum.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "QuorumSpec", into = "QuorumSpec")]
pub struct QuorumSystem {
    spec: QuorumSpec,
    voters: Box<[NodeId]>,
    prepare: Rule,
    accept: Rule,
}

impl QuorumSystem {
    /// Checks `spec`, set by set: 8 sets of three voters, 65,536 of sixteen.
    pub fn new(spec: QuorumSpec) -> Result<Self, QuorumError> {
        let voters = sorted_voters(&spec)?;
        let (prepare, accept) = Rule::both(&spec, &voters)?;
        let system = Self { spec, voters, prepare, accept };
        let all = system.mask(|_| true);
        for rule in [&system.prepare, &system.accept] {
            if let Some((needed, all)) = rule.need_and_have(all).filter(|(needed, all)| needed > all) {
                return Err(QuorumError::Unreachable { needed, all });
            }
        }
        if let Some((prepare, accept)) = system.disjoint_pair() {
            return Err(QuorumError::Disjoint { prepare: system.named(prepare), accept: system.named(accept) });
        }
        Ok(system)
    }

    /// More than half of `voters`.
    pub fn majority(voters: impl IntoIterator<Item = NodeId>) -> Result<Self, QuorumError> {
        Self::new(QuorumSpec::Majority { voters: distinct(voters)? })
    }

    /// Voters with at least `threshold` of weight between them.
    pub fn weighted(weights: impl IntoIterator<Item = (NodeId, u32)>, threshold: u64) -> Result<Self, QuorumError> {
        let mut map = BTreeMap::new();
        for (node, weight) in weights {
            if map.insert(node, weight).is_some() {
                return Err(QuorumError::Duplicate(node));
            }
        }
        Self::new(QuorumSpec::Weighted { weights: map, threshold })
    }

    /// Any `prepare` of `voters` promise, any `accept` of them choose.
    pub fn flexible(
        voters: impl IntoIterator<Item = NodeId>,
        prepare: usize,
        accept: usize,
    ) -> Result<Self, QuorumError> {
        Self::new(QuorumSpec::Flexible { voters: distinct(voters)?, prepare, accept })
    }

    /// A majority in each of a majority of regions; `voters` says who is where.
    pub fn regional<R: Into<String>>(voters: impl IntoIterator<Item = (NodeId, R)>) -> Result<Self, QuorumError> {
        let mut regions: BTreeMap<String, BTreeSet<NodeId>> = BTreeMap::new();
        for (node, region) in voters {
            if !regions.entry(region.into()).or_default().insert(node) {
                return Err(QuorumError::Duplicate(node));
            }
        }
        Self::new(QuorumSpec::Regional { regions })
    }

    /// What this was made from.
    pub fn spec(&self) -> &QuorumSpec {
        &self.spec
    }

    /// Who votes, in ascending order.
    pub fn voters(&self) -> &[NodeId] {
        &self.voters
    }

    /// Whether `node` votes.
    pub fn contains(&self, node: NodeId) -> bool {
        self.voters.contains(&node)
    }

    /// Whether promises of `nodes` (those among them that vote) open a ballot.
    pub fn is_prepare_quorum(&self, nodes: &BTreeSet<NodeId>) -> bool {
        self.prepare_quorum_where(|node| nodes.contains(&node))
    }

    /// Whether a value accepted by `nodes` (those among them that vote) is chosen.
    pub fn is_accept_quorum(&self, nodes: &BTreeSet<NodeId>) -> bool {
        self.accept_quorum_where(|node| nodes.contains(&node))
    }

    /// Whether the voters for which `promised` holds are a prepare quorum. Asks each voter once, allocates nothing.
    pub fn prepare_quorum_where(&self, promised: impl FnMut(NodeId) -> bool) -> bool {
        self.prepare.holds(self.mask(promised))
    }

    /// Whether the voters for which `accepted` holds are an accept quorum. Asks each voter once, allocates nothing.
    pub fn accept_quorum_where(&self, accepted: impl FnMut(NodeId) -> bool) -> bool {
        self.accept.holds(self.mask(accepted))
    }

    /// The highest slot through which an accept quorum has accepted, given how far each voter has. Asks each voter once,
    /// allocates nothing.
    pub fn highest_accepted(&self, mut through: impl FnMut(NodeId) -> Slot) -> Slot {
        let mut acks = [(Slot::ZERO, 0 as Mask); MAX_VOTERS];
        let acks = &mut acks[..self.voters.len()];
        for (index, &node) in self.voters.iter().enumerate() {
            acks[index] = (through(node), 1 << index);
        }
        acks.sort_unstable_by_key(|&(slot, _)| std::cmp::Reverse(slot));
        if let Rule::Count(count) = self.accept {
            return acks[count - 1].0;
        }
        // Furthest first: the ack that completes a quorum is as far as that quorum has come together.
        let mut so_far: Mask = 0;
        for &mut (slot, bit) in acks {
            so_far |= bit;
            if self.accept.holds(so_far) {
                return slot;
            }
        }
        unreachable!("all voters together are an accept quorum")
    }

    fn mask(&self, mut has: impl FnMut(NodeId) -> bool) -> Mask {
        self.voters.iter().enumerate().map(|(index, &node)| Mask::from(has(node)) << index).sum()
    }

    fn named(&self, mask: Mask) -> BTreeSet<NodeId> {
        self.voters.iter().enumerate().filter(|&(index, _)| mask >> index & 1 == 1).map(|(_, &node)| node).collect()
    }

    /// A prepare quorum and an accept quorum that share nobody, both as small as can be, if there are such.
    fn disjoint_pair(&self) -> Option<(Mask, Mask)> {
        let all = self.mask(|_| true);
        let apart = |&mask: &Mask| self.prepare.holds(mask) && self.accept.holds(all & !mask);
        let prepare = (0..=all).filter(apart).min_by_key(|mask| mask.count_ones())?;
        let mut accept = all & !prepare;
        for bit in (0..self.voters.len()).rev().map(|index| 1 << index) {
            if self.accept.holds(accept & !bit) {
                accept &= !bit;
            }
        }
        Some((prepare, accept))
    }
}

impl TryFrom<QuorumSpec> for QuorumSystem {
    type Error = QuorumError;

    fn try_from(spec: QuorumSpec) -> Result<Self, QuorumError> {
        Self::new(spec)
    }
}

impl From<QuorumSystem> for QuorumSpec {
    fn from(system: QuorumSystem) -> Self {
        system.spec
    }
}

impl fmt::Display for QuorumSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spec {
            QuorumSpec::Majority { voters } => write!(f, "majority of {}", List(voters)),
            QuorumSpec::Weighted { weights, threshold } => {
                write!(f, "weight {threshold} of")?;
                weights.iter().try_for_each(|(node, weight)| write!(f, " {node}={weight}"))
            }
            QuorumSpec::Flexible { voters, prepare, accept } => {
                write!(f, "{prepare} to prepare, {accept} to accept of {}", List(voters))
            }
            QuorumSpec::Regional { regions } => {
                write!(f, "majority of regions")?;
                regions.iter().try_for_each(|(region, voters)| write!(f, " {region}({})", List(voters)))
            }
        }
    }
}

impl fmt::Debug for QuorumSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One phase's rule, on masks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Rule {
    /// At least so many.
    Count(usize),
    /// At least so much weight; `weights[i]` is that of `voters[i]`.
    Weight { weights: Box<[u32]>, threshold: u64 },
    /// More than half of more than half of these.
    Regions(Box<[Mask]>),
}

impl Rule {
    /// The prepare rule and the accept rule of `spec`.
    fn both(spec: &QuorumSpec, voters: &[NodeId]) -> Result<(Self, Self), QuorumError> {
        let same = |rule: Self| (rule.clone(), rule);
        Ok(match spec {
            QuorumSpec::Majority { voters } => same(Self::Count(voters.len() / 2 + 1)),
            QuorumSpec::Flexible { prepare, accept, .. } => (Self::Count(*prepare), Self::Count(*accept)),
            QuorumSpec::Weighted { weights, threshold } => {
                if let Some((&node, _)) = weights.iter().find(|&(_, &weight)| weight == 0) {
                    return Err(QuorumError::Weightless(node));
                }
                same(Self::Weight { weights: weights.values().copied().collect(), threshold: *threshold })
            }
            QuorumSpec::Regional { regions } => {
                if let Some((name, _)) = regions.iter().find(|(_, members)| members.is_empty()) {
                    return Err(QuorumError::EmptyRegion(name.clone()));
                }
                let mask = |members: &BTreeSet<NodeId>| {
                    let theirs = voters.iter().enumerate().filter(|(_, node)| members.contains(node));
                    theirs.map(|(index, _)| 1 << index).sum()
                };
                same(Self::Regions(regions.values().map(mask).collect()))
            }
        })
    }

    fn holds(&self, mask: Mask) -> bool {
        match self {
            Self::Count(count) => mask.count_ones() as usize >= *count,
            Self::Weight { weights, threshold } => {
                let counted = weights.iter().enumerate().filter(|&(index, _)| mask >> index & 1 == 1);
                counted.map(|(_, &weight)| u64::from(weight)).sum::<u64>() >= *threshold
            }
            Self::Regions(regions) => {
                let won = regions.iter().filter(|&&region| (mask & region).count_ones() * 2 > region.count_ones());
                won.count() * 2 > regions.len()
            }
        }
    }

    /// What a quorum needs, and what all voters together are; of regions, all are always enough.
    fn need_and_have(&self, all: Mask) -> Option<(u64, u64)> {
        match self {
            Self::Count(count) => Some((*count as u64, all.count_ones().into())),
            Self::Weight { weights, threshold } => {
                Some((*threshold, weights.iter().map(|&weight| u64::from(weight)).sum()))
            }
            Self::Regions(_) => None,
        }
    }
}

/// Who votes according to `spec`: sorted, distinct, not too few, not too many.
fn sorted_voters(spec: &QuorumSpec) -> Result<Box<[NodeId]>, QuorumError> {
    let mut voters: Vec<NodeId> = match spec {
        QuorumSpec::Majority { voters } | QuorumSpec::Flexible { voters, .. } => voters.iter().copied().collect(),
        QuorumSpec::Weighted { weights, .. } => weights.keys().copied().collect(),
        QuorumSpec::Regional { regions } => regions.values().flatten().copied().collect(),
    };
    voters.sort_unstable();
    if let Some(pair) = voters.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(QuorumError::Duplicate(pair[0]));
    }
    match voters.len() {
        0 => Err(QuorumError::NoVoters),
        count if count > MAX_VOTERS => Err(QuorumError::TooManyVoters(count)),
        _ if voters[0] == NodeId(0) => Err(QuorumError::Nobody),
        _ => Ok(voters.into()),
    }
}

fn distinct(voters: impl IntoIterator<Item = NodeId>) -> Result<BTreeSet<NodeId>, QuorumError> {
    let mut set = BTreeSet::new();
    for node in voters {
        if !set.insert(node) {
            return Err(QuorumError::Duplicate(node));
        }
    }
    Ok(set)
}

/// Shows nodes as `n1 n2 n3`.
struct List<'a>(&'a BTreeSet<NodeId>);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, node) in self.0.iter().enumerate() {
            write!(f, "{}{node}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
