//! Faults strike, everything is mended, and at the end the observer compares what is left.

use crate::clock::{Clock, MS, SECOND, Time};
use crate::cluster::{Cluster, Event};
use crate::fault::Fault;
use crate::judge;
use crate::network::{Weather, index};
use checker::{FieldOp, FieldRet};
use paxos::NodeId;
use placement::ShardId;
use shard::ConnId;
use std::collections::BTreeMap;
use wire::{Change, Request, RequestBody};
use world::land::{PageKey, Readiness, audit};
use world::{FieldView, Land};

/// How often the observer looks whether all is well.
const LOOK_EVERY: u64 = 250 * MS;
/// What one harvest brings in at most, in this world.
const BEST_HARVEST: u128 = 32;

impl Cluster {
    pub(crate) fn strike(&mut self, fault: &Fault) {
        self.trace.note(self.now, || format!("**         {fault}"));
        match fault {
            Fault::Cut(how) => {
                self.stats.partitions += 1;
                self.network.cut(how);
            }
            Fault::Heal => self.network.heal(),
            Fault::Crash(node) => self.crash(*node),
            Fault::Start(node) => self.start(*node),
            Fault::Pause(node) => self.pause(*node),
            Fault::Resume(node) => self.resume(*node),
            Fault::Stall(node, micros) => self.stall(*node, *micros),
            Fault::Fill(node) => self.fill(*node),
            Fault::Space(node) => self.clear_space(*node),
            Fault::FailSync(node) => self.fail_sync(*node),
            Fault::Rot(node) => _ = self.rot(*node),
            Fault::Wipe(node) => _ = self.wipe(*node),
            Fault::Step(node, ms) => {
                self.stats.steps += 1;
                self.machines[index(*node)].clock.wall_ahead_ms = *ms;
            }
            Fault::Transfer(shard, to) => {
                let shards = self.map.shards();
                let shard = shards[*shard as usize % shards.len()].shard;
                self.transfer(shard, *to);
            }
            Fault::Change(shard, dice) => {
                let shards = self.map.shards();
                let shard = shards[*shard as usize % shards.len()].shard;
                self.change_members(shard, *dice);
            }
            Fault::Calm => self.calm(),
        }
    }

    /// Whoever leads `shard` shall hand it over to `to`. Says whether anybody began to.
    pub fn transfer(&mut self, shard: ShardId, to: NodeId) -> bool {
        let Some(leader) = self.leader(shard).filter(|&leader| leader != to) else { return false };
        let machine = &mut self.machines[index(leader)];
        let now = machine.now(self.now);
        let Some(host) = machine.host.as_mut().filter(|_| !machine.paused) else { return false };
        let begun = host.transfer(now, shard, to).is_ok();
        self.stats.transfers += u64::from(begun);
        self.wake_machine(leader);
        begun
    }

    /// Asks the leader of `shard` for one more step of a change of members that is drawn.
    fn change_members(&mut self, shard: ShardId, dice: u64) {
        // Two operators would be in each other's way, and could between them ask for what no quorum survives.
        if self.is_being_repaired(shard) {
            return;
        }
        let Some(leader) = self.leader(shard) else { return };
        let Some(configuration) = self.judge.configuration(shard) else { return };
        let voters = configuration.quorum.voters().to_vec();
        let standbys: Vec<NodeId> = configuration.standbys.iter().copied().collect();
        let strangers: Vec<NodeId> =
            (1..=self.plan.nodes).map(NodeId).filter(|node| !configuration.contains(*node)).collect();
        let pick = |nodes: &[NodeId]| nodes[usize::try_from(dice / 64).unwrap_or(0) % nodes.len()];
        let change = match dice % 8 {
            0..3 if !strangers.is_empty() => Change::Add(pick(&strangers)),
            0..4 if !standbys.is_empty() && voters.len() < self.plan.voters => Change::Promote(pick(&standbys)),
            0..6 if !standbys.is_empty() => Change::Replace { old: pick(&voters), new: standbys[0] },
            6 if !standbys.is_empty() => Change::Remove(pick(&standbys)),
            _ if voters.len() > 2 => Change::Remove(pick(&voters)),
            _ => Change::Lead(pick(&voters)),
        };
        self.ask_for(leader, shard, change);
    }

    /// An operator asks `node` for a change. Nobody waits for the answer.
    pub fn ask_for(&mut self, node: NodeId, shard: ShardId, change: Change) {
        let machine = &mut self.machines[index(node)];
        let now = machine.now(self.now);
        let Some(host) = machine.host.as_mut().filter(|_| !machine.paused) else { return };
        self.stats.changes += 1;
        self.trace.note(self.now, || format!("**         {node} is asked for {change:?} of s{shard}"));
        host.handle_request(now, ConnId(0), Request { id: 0, body: RequestBody::Change { shard, change } });
        self.wake_machine(node);
    }

    /// Mends everything; once the disks have done what they were about, patience runs.
    pub fn calm(&mut self) {
        self.network.heal();
        self.network.weather = Weather::default();
        self.mend_disks();
        for (machine, clock) in self.machines.iter_mut().zip(&self.plan.clocks) {
            machine.clock.wall_ahead_ms = clock.wall_ahead_ms;
        }
        for node in (1..=self.plan.nodes).map(NodeId) {
            self.resume(node);
            if !self.machines[index(node)].doomed {
                self.start(node);
            }
        }
        // What a slow disk had begun takes its time yet.
        let busy = self.machines.iter().map(|machine| machine.disk.busy_until());
        self.calm_since = Some(busy.fold(self.now, Time::max));
        self.call_operator();
        for shard in 0..self.auditions.len() {
            self.audition(shard);
        }
        self.agenda.plan(self.now.plus(LOOK_EVERY), Event::Look);
    }

    pub(crate) fn look(&mut self) {
        let Some(since) = self.calm_since else { return };
        let trouble = self.trouble();
        if trouble.is_none() && self.now >= self.plan.at_least && self.stats.commands >= self.plan.min_commands {
            self.well = true;
            return;
        }
        if self.now.since(since) > self.plan.patience
            && let Some(what) = trouble
        {
            let patience = self.plan.patience / SECOND;
            return self.judge.object(self.now, "liveness", format!("{patience} s after the calm {what}"));
        }
        // What was asked for before the calm may have come about since: a node may be a member by the name of a lost disk.
        self.call_operator();
        for shard in 0..self.auditions.len() {
            let audition = self.auditions[shard];
            if !audition.under_way && !audition.passed {
                self.audition(shard);
            }
        }
        self.agenda.plan(self.now.plus(LOOK_EVERY), Event::Look);
    }

    /// What is not yet as it should be when everything is mended.
    pub fn trouble(&self) -> Option<String> {
        if let Some(what) = self.operator.business() {
            return Some(what);
        }
        for machine in &self.machines {
            let Some(host) = &machine.host else { return Some(format!("{} is off", machine.id)) };
            if !host.is_ready() {
                let leaderless = host.leaderless();
                return Some(format!(
                    "{} is not ready: {leaderless} shards without a leader it would follow",
                    machine.id
                ));
            }
        }
        for info in self.map.shards() {
            let target = self.judge.applied(info.shard);
            let Some(configuration) = self.judge.configuration(info.shard) else { continue };
            for node in (1..=self.plan.nodes).map(NodeId) {
                let replica = self.machines[index(node)].host.as_ref().and_then(|host| host.replica(info.shard));
                if !configuration.contains(node) {
                    match replica {
                        Some(_) => return Some(format!("{node} still holds shard {}, which it has left", info.shard)),
                        None => continue,
                    }
                }
                let applied = replica.map(shard::Replica::applied);
                if applied != Some(target) {
                    return Some(format!("{node} has applied {applied:?} of shard {}, others {target}", info.shard));
                }
                let owes = replica.and_then(|replica| replica.state().land()?.payments().next());
                if let Some(payment) = owes {
                    return Some(format!("{node} still owes {payment:?} for shard {}", info.shard));
                }
            }
        }
        for (shard, audition) in self.auditions.iter().enumerate() {
            if !audition.passed {
                let shard = self.map.shards()[shard].shard;
                let ahead =
                    self.judge.log_time(shard).0.cast_signed() - Clock::default().read(self.now).wall.0.cast_signed();
                return Some(format!("no claim has succeeded in shard {shard}, whose log's clock is {ahead} ms ahead"));
            }
        }
        let busy = self.players.iter().position(|player| player.proto.in_flight() > 0);
        if let Some(player) = busy {
            return Some(format!("client {player} still waits for {:?}", self.players[player].pending.values().next()));
        }
        self.machines.iter().find_map(|machine| {
            let shard = machine.host.as_ref()?.restless()?;
            Some(format!("{} still repeats something of shard {shard}, of which nobody wants anything", machine.id))
        })
    }

    /// Compares what is left, now that all is quiet.
    pub(crate) fn conclude(&mut self) {
        let mut lands: BTreeMap<ShardId, Vec<(NodeId, Land)>> = BTreeMap::new();
        for info in self.map.shards().to_vec() {
            let Some(configuration) = self.judge.configuration(info.shard) else { continue };
            for node in configuration.members() {
                match self.land(info.shard, node) {
                    Ok(land) => lands.entry(info.shard).or_default().push((node, land)),
                    Err(what) => return self.judge.object(self.now, "storage", what),
                }
            }
        }
        self.compare(&lands);
        let firsts: Vec<&Land> = lands.values().filter_map(|replicas| Some(&replicas.first()?.1)).collect();
        match audit(&firsts) {
            Err(imbalance) => self.judge.object(self.now, "conservation", imbalance),
            Ok(totals) => {
                let found = u128::from(totals.harvested.0);
                let harvests = self.judge.harvests;
                let most = harvests.answered + harvests.unknown * BEST_HARVEST;
                if !(harvests.answered..=most).contains(&found) {
                    let what = format!("{found} acorns were harvested, but players know of {harvests:?}");
                    self.judge.object(self.now, "conservation", what);
                }
            }
        }
        self.judge.resolve_open();
        self.judge.check_fields(self.now);
        self.judge.check_answers(self.now, |player| self.players[player].client);
    }

    /// Every replica must have the same land, and what was acknowledged on it.
    fn compare(&mut self, lands: &BTreeMap<ShardId, Vec<(NodeId, Land)>>) {
        let touched: Vec<_> = self.judge.fields.keys().copied().collect();
        for replicas in lands.values() {
            let Some((first_node, first)) = replicas.first() else { continue };
            for (node, land) in &replicas[1..] {
                if land.totals() != first.totals() || land.owned_fields() != first.owned_fields() {
                    let what = format!("{first_node} has {:?}, {node} {:?}", first.totals(), land.totals());
                    self.judge.object(self.now, "same state", what);
                }
            }
        }
        for field in touched {
            let shard = self.map.shard_of(world::Bucket::of_chunk(crate::sites::SEED, field.chunk())).shard;
            let Some(replicas) = lands.get(&shard) else { continue };
            let views: Vec<(NodeId, FieldView)> =
                replicas.iter().map(|(node, land)| (*node, land.field(field))).collect();
            for (node, view) in &views {
                let name = node.to_string();
                if let Err(error) = self.judge.ownership.compare(&name, field, view.owner) {
                    self.judge.object(self.now, "one owner", error);
                }
                if view != &views[0].1 {
                    let what = format!("{} has {:?}, {node} {view:?}", views[0].0, views[0].1);
                    self.judge.object(self.now, "same state", what);
                }
            }
            // The last word on every field is one more strong read of it.
            let now = judge::at(self.now);
            if let Some(history) = self.judge.fields.get_mut(&field) {
                let id = history.invoke(u64::MAX, FieldOp::Read, now);
                history.answer(id, FieldRet::from(&views[0].1), now);
            }
        }
        for nth in 0..self.plan.nodes as usize {
            let found = self.judge.ownership.verify(&format!("replica {nth}"), |field| {
                let shard = self.map.shard_of(world::Bucket::of_chunk(crate::sites::SEED, field.chunk())).shard;
                let replicas = lands.get(&shard)?;
                replicas[nth % replicas.len()].1.field(field).owner
            });
            if let Err(error) = found {
                self.judge.object(self.now, "one owner", error);
            }
        }
    }

    /// The land of a replica, with every chunk in memory.
    fn land(&self, shard: ShardId, node: NodeId) -> Result<Land, String> {
        let machine = &self.machines[index(node)];
        let replica = machine.host.as_ref().and_then(|host| host.replica(shard));
        let land = replica.and_then(|replica| replica.state().land());
        let mut land = land.ok_or_else(|| format!("{node} has no land of shard {shard}"))?.clone();
        let chunks: std::collections::BTreeSet<_> = self.judge.fields.keys().map(|field| field.chunk()).collect();
        for chunk in chunks.into_iter().filter(|&chunk| land.readiness(chunk) == Readiness::Stored).collect::<Vec<_>>()
        {
            let page = machine.disk.page(shard, chunk).map_err(|error| error.to_string())?;
            let page =
                page.ok_or_else(|| format!("{node} has no page {:?} of shard {shard}", PageKey::Chunk(chunk)))?;
            land.load_chunk(chunk, &page).map_err(|error| error.to_string())?;
        }
        Ok(land)
    }
}
