//! A storm of claims: many clients at once, a field for each claim, and some fields that two of them want.
//!
//! Each client goes through its claims in order and asks again until it has a definite answer, so at the end every claim
//! is either won or lost to somebody. What the answers must be is checked here, and what the replicas hold afterwards.
//!
//! A fault that strikes at once leaves a storm of any size enough to do. One that takes its time (a disk fills up when something
//! is written) needs a storm that lasts until it has struck: a plan too large to be finished, and [`Storm::wind_down`].

use crate::operator::Operator;
use checker::Ownership;
use client::{Applied, Client, Error, Options, Player, Profile};
use paxos::NodeId;
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;
use wire::Receipt;
use world::grid::CHUNK;
use world::{CharacterId, FieldId, PlayerName, Rejection, TerrainMap};

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// SDK clients, each with a player and connections of its own.
    pub clients: usize,
    /// Fields that one client claims.
    pub distinct: usize,
    /// Fields that two clients claim at about the same moment.
    pub contested: usize,
    /// A client that has no definite answer to one claim after this fails the storm.
    pub patience: Duration,
}

/// A definite answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The field is the client's.
    Won,
    /// It is somebody else's.
    LostTo(PlayerName),
}

/// One claim, from the first time it was asked to its definite answer.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Which field.
    pub field: FieldId,
    /// Who asked.
    pub player: PlayerName,
    /// The answer.
    pub verdict: Verdict,
    /// Who answered.
    pub receipt: Receipt,
    /// First asked.
    pub asked: Instant,
    /// Answered.
    pub answered: Instant,
    /// Whether an earlier try ended with "perhaps applied".
    pub unknown: bool,
}

/// A storm under way, on a thread of its own.
#[derive(Debug)]
pub struct Storm {
    progress: Arc<Progress>,
    thread: JoinHandle<Result<Vec<Claim>, String>>,
    total: usize,
}

/// What a storm and whoever began it tell each other.
#[derive(Debug, Default)]
struct Progress {
    /// Definite answers so far.
    answered: AtomicUsize,
    /// Nothing new is to be begun.
    enough: AtomicBool,
}

/// A storm that is over.
#[derive(Debug)]
pub struct Aftermath {
    /// All claims.
    pub claims: Vec<Claim>,
}

/// `count` claimable fields, `per_chunk` in each chunk visited, in a quiet corner. Neighbours in the list lie in different
/// chunks, so that any part of it touches all shards.
///
/// # Panics
/// If the grid ends before (it does not).
pub fn land(terrain: &TerrainMap, count: usize, per_chunk: usize) -> Vec<FieldId> {
    const COLUMNS: u32 = 40;
    const STEP: u32 = 5;
    const CORNER: u32 = 400 * CHUNK;
    let mut land = Vec::with_capacity(count);
    for chunk in 0.. {
        let (west, north) = (CORNER + chunk % COLUMNS * CHUNK, CORNER + chunk / COLUMNS * CHUNK);
        let cells = (0..CHUNK * CHUNK).step_by(STEP as usize);
        let fields = cells.map(|cell| FieldId::new(west + cell % CHUNK, north + cell / CHUNK).expect("on the grid"));
        let fields = fields.filter(|field| terrain.at(*field).claimable()).take(per_chunk.min(count - land.len()));
        land.extend(fields.enumerate().map(|(nth, field)| (nth, chunk, field)));
        if land.len() == count {
            break;
        }
    }
    land.sort_unstable();
    land.into_iter().map(|(_, _, field)| field).collect()
}

impl Storm {
    /// Begins: connects all clients, then they claim.
    ///
    /// # Panics
    /// If the system has no thread for it.
    pub fn begin(profile: Profile, plan: Plan) -> Self {
        Self::begin_beyond(profile, plan, 0)
    }

    /// Begins, on other land than a storm that claimed `taken` fields.
    ///
    /// # Panics
    /// As [`Storm::begin`].
    pub fn begin_beyond(profile: Profile, plan: Plan, taken: usize) -> Self {
        let progress = Arc::new(Progress::default());
        let told = progress.clone();
        let thread = std::thread::Builder::new().name("storm".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(blow(profile, plan, taken, told))
        });
        Self { progress, thread: thread.expect("a thread"), total: plan.distinct + 2 * plan.contested }
    }

    /// Definite answers so far.
    pub fn answered(&self) -> usize {
        self.progress.answered.load(Ordering::Relaxed)
    }

    /// Waits until this part of all claims (in percent) has definite answers.
    ///
    /// # Panics
    /// If the storm ends before, or that takes longer than `within`.
    pub fn wait_percent(&self, percent: usize, within: Duration) {
        self.wait_answered(self.total * percent / 100, within);
    }

    /// Waits until `more` claims than now have definite answers.
    ///
    /// # Panics
    /// As [`Storm::wait_percent`].
    pub fn wait_more(&self, more: usize, within: Duration) {
        self.wait_answered(self.answered() + more, within);
    }

    fn wait_answered(&self, enough: usize, within: Duration) {
        crate::until(&format!("{enough} claims are answered"), within, || {
            let answered = self.answered();
            assert!(answered < self.total, "the storm was over before anything happened to it");
            if self.thread.is_finished() {
                return Err("the storm broke off; its end tells why".to_owned());
            }
            if answered >= enough { Ok(()) } else { Err(format!("{answered} are")) }
        });
    }

    /// Each client still gets its answer to the claim it is at, and makes no other.
    pub fn wind_down(&self) {
        self.progress.enough.store(true, Ordering::Relaxed);
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// If a client got no definite answer, or one that cannot be.
    pub fn end(self, plan: Plan) -> Aftermath {
        let claims = self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let claims = claims.unwrap_or_else(|why| panic!("{why}"));
        if !self.progress.enough.load(Ordering::Relaxed) {
            assert_eq!(claims.len(), plan.distinct + 2 * plan.contested, "claims that nobody made");
        }
        Aftermath { claims }
    }
}

impl Aftermath {
    /// Checks the answers against each other: every field has one winner, and every loser was told who.
    ///
    /// # Panics
    /// If they contradict each other.
    pub fn ownership(&self) -> Ownership {
        let mut ownership = Ownership::new();
        for claim in self.claims.iter().filter(|claim| claim.verdict == Verdict::Won) {
            ownership.acknowledged(claim.field, claim.player).unwrap_or_else(|error| panic!("{error}"));
        }
        let owners: BTreeMap<FieldId, PlayerName> = ownership.iter().collect();
        let mut losers = 0;
        for claim in &self.claims {
            if let Verdict::LostTo(owner) = claim.verdict {
                losers += 1;
                assert_eq!(owners.get(&claim.field), Some(&owner), "{claim:?} names somebody who was not told so");
            }
        }
        let asked: BTreeSet<FieldId> = self.claims.iter().map(|claim| claim.field).collect();
        assert_eq!(owners.len(), asked.len(), "a field without a winner");
        assert_eq!(losers, self.claims.len() - asked.len(), "whoever did not win has lost");
        ownership
    }

    /// Checks that the replicas of each of `nodes`, which hold everything between them, have exactly what was acknowledged.
    ///
    /// # Panics
    /// If one has less, more, or something else.
    pub fn is_at(&self, operator: &Operator, nodes: impl Iterator<Item = NodeId>) {
        let mut ownership = self.ownership();
        let fields: Vec<FieldId> = ownership.iter().map(|(field, _)| field).collect();
        for node in nodes {
            let owners = operator.owners_at(node, fields.iter().copied());
            let replica = node.to_string();
            ownership.verify(&replica, |field| owners.get(&field).copied()).unwrap_or_else(|error| panic!("{error}"));
            for (field, owner) in &owners {
                ownership.compare(&replica, *field, Some(*owner)).unwrap_or_else(|error| panic!("{error}"));
            }
            assert_eq!(owners.len(), ownership.len(), "{replica} has fields with owners whom nobody told so");
        }
    }

    /// Checks that a node's replicas have everything that was acknowledged; they may have more.
    ///
    /// # Panics
    /// If something is missing or somebody else's.
    pub fn is_within(&self, operator: &Operator, node: NodeId) {
        let ownership = self.ownership();
        let owners = operator.owners_at(node, ownership.iter().map(|(field, _)| field));
        let verdict = ownership.verify(&node.to_string(), |field| owners.get(&field).copied());
        verdict.unwrap_or_else(|error| panic!("{error}"));
    }

    /// How long after `since` each of `shards` first served a claim again, asked of nodes that `counts`: the longest.
    ///
    /// # Panics
    /// If one of them was never asked again.
    pub fn longest_pause(
        &self,
        since: Instant,
        shards: &BTreeSet<ShardId>,
        counts: impl Fn(&Receipt) -> bool,
    ) -> (ShardId, Duration) {
        let first = |shard: ShardId| {
            let later = self.claims.iter().filter(|claim| claim.answered > since && claim.receipt.shard == shard);
            later.filter(|claim| counts(&claim.receipt)).map(|claim| claim.answered - since).min()
        };
        let pauses = shards.iter().map(|shard| {
            let pause = first(*shard).unwrap_or_else(|| panic!("{shard:?} served no claim after the fault"));
            (*shard, pause)
        });
        pauses.max_by_key(|(_, pause)| *pause).expect("some shard")
    }

    /// The longest time that one claim took from first being asked to its answer.
    pub fn slowest(&self) -> Duration {
        self.claims.iter().map(|claim| claim.answered - claim.asked).max().unwrap_or_default()
    }

    /// Claims that took longer than `limit` from first being asked to their answer.
    pub fn slower_than(&self, limit: Duration) -> usize {
        self.claims.iter().filter(|claim| claim.answered - claim.asked > limit).count()
    }

    /// From the first question to the last answer.
    pub fn length(&self) -> Duration {
        let begin = self.claims.iter().map(|claim| claim.asked).min();
        let end = self.claims.iter().map(|claim| claim.answered).max();
        begin.zip(end).map_or(Duration::ZERO, |(begin, end)| end - begin)
    }

    /// Claims of which one try ended with "perhaps applied".
    pub fn unknown(&self) -> usize {
        self.claims.iter().filter(|claim| claim.unknown).count()
    }
}

async fn blow(profile: Profile, plan: Plan, taken: usize, progress: Arc<Progress>) -> Result<Vec<Claim>, String> {
    let mut clients = Vec::new();
    for nth in 0..plan.clients {
        let client = Client::connect(profile.clone(), Options::default()).await.map_err(|error| error.to_string())?;
        let player = client.player(&format!("stormer-{nth}")).map_err(|error| error.to_string())?;
        clients.push((client, player));
    }
    let character =
        clients[0].0.rules().characters.first().map(|_| CharacterId(0)).ok_or("a world without characters")?;
    let terrain = clients[0].0.terrain();
    let there: BTreeSet<FieldId> = land(terrain, taken, 20).into_iter().collect();
    let mut fields = land(terrain, taken + plan.distinct + plan.contested, 20);
    fields.retain(|field| !there.contains(field));
    let mut tasks = JoinSet::new();
    for ((_, player), fields) in clients.iter().zip(share_out(&fields, plan)) {
        let (player, progress) = (player.clone(), progress.clone());
        tasks.spawn(async move {
            let mut claims = Vec::with_capacity(fields.len());
            for (field, contested) in fields {
                if progress.enough.load(Ordering::Relaxed) {
                    break;
                }
                claims.push(claim(&player, field, contested, character, plan.patience).await?);
                progress.answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, String>(claims)
        });
    }
    let mut claims = Vec::new();
    while let Some(done) = tasks.join_next().await {
        claims.extend(done.map_err(|error| error.to_string())??);
    }
    let mut goodbyes: JoinSet<()> = clients.into_iter().map(|(client, _)| client.close()).collect();
    while goodbyes.join_next().await.is_some() {}
    Ok(claims)
}

/// Each client's fields in order, with whether another one wants them too. Contested ones lie between the others at even
/// distances, and at about the same place for both clients.
fn share_out(fields: &[FieldId], plan: Plan) -> Vec<Vec<(FieldId, bool)>> {
    let mut shares = vec![Vec::new(); plan.clients];
    let (mut contested, mut distinct) = (0, 0);
    for (nth, field) in fields.iter().enumerate() {
        if contested * fields.len() < nth * plan.contested && contested < plan.contested {
            let first = contested % plan.clients;
            let second = (first + 1 + contested / plan.clients % (plan.clients - 1)) % plan.clients;
            shares[first].push((*field, true));
            shares[second].push((*field, true));
            contested += 1;
        } else {
            shares[distinct % plan.clients].push((*field, false));
            distinct += 1;
        }
    }
    shares
}

async fn claim(
    player: &Player,
    field: FieldId,
    contested: bool,
    character: CharacterId,
    patience: Duration,
) -> Result<Claim, String> {
    let (asked, me) = (Instant::now(), player.name());
    let mut unknown = false;
    let mut last = String::new();
    while asked.elapsed() < patience {
        let definite = |verdict, receipt| {
            let answered = Instant::now();
            Ok(Claim { field, player: me, verdict, receipt, asked, answered, unknown })
        };
        match player.claim(field, character).await {
            Ok(done) if done.field.owner == Some(me) => return definite(Verdict::Won, done.receipt),
            Ok(done) => return Err(format!("{me} was given {field}, whose owner is then {:?}", done.field.owner)),
            Err(Error::Rejected(Rejection::AlreadyOwned { owner, .. }, receipt)) => {
                // One's own field: only if an earlier try may have been applied. Else one claim was applied twice.
                return match owner == me {
                    true if unknown => definite(Verdict::Won, receipt),
                    true => Err(format!("{me} claimed {field} once, and heard that it has it already")),
                    false if contested => definite(Verdict::LostTo(owner), receipt),
                    false => Err(format!("{field} went to {owner}, whom nobody told to claim it but {me}")),
                };
            }
            Err(Error::Unavailable { applied, reason, missing, retry_after_ms }) => {
                unknown |= applied == Applied::Unknown;
                last = format!("{reason:?}, missing {missing:?}");
                // It polls: the node says when asking again may help.
                sleep(Duration::from_millis(retry_after_ms.max(20))).await;
            }
            Err(other) => return Err(format!("{me} claims {field}: {other}")),
        }
    }
    Err(format!("{me} has no definite answer about {field} after {patience:?}: {last}"))
}
