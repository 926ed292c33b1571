//! What the modules' tests share: a replica that is its shard's only voter, and two that vote together.

use crate::effect::{ConnId, Effect, Origin};
use crate::{Genesis, Mono, Replica, Vantage};
use paxos::{Message, NodeId, QuorumSystem, Recovered, Slot};
use placement::{ShardId, ShardInfo};
use std::collections::VecDeque;
use wire::{AnswerBody, ClientId, Envelope, RequestNo};
use world::rules::{Crop, World};
use world::{Acorns, Bucket, Command, FieldId, Millis, PlayerName, RuleBook, Terrain, WorldSeed};

pub(crate) const ME: NodeId = NodeId(1);
pub(crate) const N2: NodeId = NodeId(2);
pub(crate) const SEED: WorldSeed = WorldSeed(7);

pub(crate) fn rules() -> RuleBook {
    let (name, about) = ("moss".to_owned(), String::new());
    let grows_on = Terrain::ALL.into_iter().collect();
    let crop = Crop { name, glyph: 'm', about, ripens_after_ms: 0, yields: Acorns(3), tending: 0, grows_on };
    // Wallets begin empty, so that what a harvest pays is all that is in them.
    RuleBook { starting_acorns: Acorns(0), crops: vec![crop], ..World::ice_age().rules }
}

/// The world in one shard.
const ALL: (Bucket, Bucket) = (Bucket(0), Bucket(u16::MAX));

/// A replica on `me` as its stores show it.
fn replica(me: NodeId, voters: &[NodeId], buckets: (Bucket, Bucket), recovered: Recovered) -> Replica {
    let voters = voters.to_vec();
    let quorum = QuorumSystem::majority(voters.clone()).unwrap();
    let info = ShardInfo { shard: ShardId(1), first: buckets.0, last: buckets.1, voters, configuration: 0, read: None };
    let genesis = Genesis { seed: SEED, rules: rules(), buckets };
    Replica::new(&info, me, genesis, quorum, recovered, None).unwrap()
}

/// For elections: no leader is well, so anybody may be joined.
pub(crate) fn free(_: NodeId, _: &QuorumSystem) -> bool {
    false
}

pub(crate) fn origin(id: u64) -> Origin {
    Origin { conn: ConnId(1), id }
}

/// A client's request of this number.
pub(crate) fn envelope(number: u64, player: PlayerName, command: Command) -> Envelope {
    let (client, number, deadline) = (ClientId(1), RequestNo(number), Millis(100_000));
    Envelope { client, number, floor: number, deadline, player, command }
}

/// What was answered to each label, in order.
pub(crate) fn answers(wanted: &[Effect]) -> Vec<(u64, &AnswerBody)> {
    let answers = wanted.iter().filter_map(|wanted| match wanted {
        Effect::Answer { answer, .. } => Some((answer.id, &answer.body)),
        _ => None,
    });
    answers.collect()
}

/// A replica alone, and what it wanted done beside writing, which is done at once.
pub(crate) struct Alone {
    pub(crate) replica: Replica,
    pub(crate) wanted: Vec<Effect>,
    requests: u64,
}

impl Alone {
    pub(crate) fn recovered(recovered: Recovered) -> Self {
        Self { replica: replica(ME, &[ME], ALL, recovered), wanted: Vec::new(), requests: 0 }
    }

    /// One that leads, and has the world to itself.
    pub(crate) fn leading() -> Self {
        Self::leading_of(ALL)
    }

    /// One that leads a shard of these buckets.
    pub(crate) fn leading_of(buckets: (Bucket, Bucket)) -> Self {
        let replica = replica(ME, &[ME], buckets, Recovered::fresh());
        let mut alone = Self { replica, wanted: Vec::new(), requests: 0 };
        alone.replica.campaign(&mut free);
        alone.settle();
        assert!(alone.replica.is_serving());
        alone
    }

    fn step(&mut self) -> bool {
        let mut room = usize::MAX;
        self.replica.step(Millis(1_000), true, &Vantage::blind(Mono(0)), &mut room);
        let mut wrote = false;
        while let Some(effect) = self.replica.poll_effect() {
            match effect {
                Effect::Persist { token, .. } => {
                    wrote = true;
                    self.replica.handle_persisted(token);
                }
                other => self.wanted.push(other),
            }
        }
        wrote
    }

    /// Until nothing more comes of it.
    pub(crate) fn settle(&mut self) {
        while self.step() {}
    }

    pub(crate) fn command(&mut self, player: PlayerName, command: Command) {
        self.requests += 1;
        self.replica.handle_command(origin(self.requests), envelope(self.requests, player, command));
        self.settle();
    }

    pub(crate) fn chosen(&self) -> Slot {
        self.replica.paxos().chosen()
    }

    /// What was answered to each label, in order.
    pub(crate) fn answers(&self) -> Vec<(u64, &AnswerBody)> {
        answers(&self.wanted)
    }
}

/// Two voters, what each wanted done beside writing, which is done at once, and what is on its way between them.
pub(crate) struct Pair {
    pub(crate) replicas: [Replica; 2],
    pub(crate) wanted: [Vec<Effect>; 2],
    under_way: VecDeque<(usize, u64, Message)>,
}

impl Pair {
    /// n1 leads it.
    pub(crate) fn led() -> Self {
        let replicas = [ME, N2].map(|me| replica(me, &[ME, N2], ALL, Recovered::fresh()));
        let mut pair = Self { replicas, wanted: [Vec::new(), Vec::new()], under_way: VecDeque::new() };
        pair.replicas[0].campaign(&mut free);
        pair.settle();
        assert!(pair.replicas[0].is_serving());
        pair.tell(0);
        pair
    }

    /// A turn of one of them at the moment `now`. What it says is on its way then.
    pub(crate) fn step(&mut self, nth: usize, now: Mono) -> bool {
        self.step_with(nth, &Vantage::blind(now))
    }

    pub(crate) fn step_with(&mut self, nth: usize, vantage: &Vantage<'_>) -> bool {
        let (replica, mut room, mut busy) = (&mut self.replicas[nth], usize::MAX, false);
        replica.step(Millis(1_000), true, vantage, &mut room);
        while let Some(effect) = replica.poll_effect() {
            match effect {
                Effect::Persist { token, .. } => {
                    busy = true;
                    replica.handle_persisted(token);
                }
                Effect::Send { to, configuration, message, .. } => {
                    self.under_way.push_back((to.0 as usize - 1, configuration, message));
                }
                other => self.wanted[nth].push(other),
            }
        }
        busy
    }

    /// What has been on its way longest arrives, if anything is.
    pub(crate) fn deliver(&mut self) -> bool {
        let Some((to, configuration, message)) = self.under_way.pop_front() else { return false };
        self.replicas[to].handle_peer([N2, ME][to], configuration, message, &mut free);
        true
    }

    /// Everything that is on its way arrives, and whatever comes of it, until nothing more does.
    pub(crate) fn settle(&mut self) {
        self.settle_at(Mono(0));
    }

    pub(crate) fn settle_at(&mut self, now: Mono) {
        loop {
            let busy = [0, 1].map(|nth| self.step(nth, now)).contains(&true);
            if !self.deliver() && !busy {
                return;
            }
        }
    }

    /// One of them, a leader, tells how far is chosen.
    pub(crate) fn tell(&mut self, nth: usize) {
        self.replicas[nth].flush_watermark(&|_| true);
        self.settle();
    }

    /// Everything that is on its way is lost.
    pub(crate) fn lose(&mut self) {
        self.under_way.clear();
    }

    /// What n1 answered to each label, in order.
    pub(crate) fn answers(&self) -> Vec<(u64, &AnswerBody)> {
        answers(&self.wanted[0])
    }
}

/// Fields that may be claimed, in four chunks.
pub(crate) fn claimable() -> impl Iterator<Item = FieldId> {
    let terrain = world::TerrainMap::new(SEED);
    (0..256).filter_map(|x| FieldId::new(x, 0).ok()).filter(move |field| terrain.at(*field).claimable())
}

pub(crate) fn register(name: &str) -> (PlayerName, Command) {
    (name.parse().unwrap(), Command::Register)
}
