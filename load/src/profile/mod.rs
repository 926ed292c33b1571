//! A profile: what a run does, as people write it down. `load/profiles` has commented ones.
//!
//! Everything that can be known to be wrong is refused when it is read, with the line and what is allowed there.

mod arrival;
mod values;

pub use arrival::{Arrival, Curve};
pub use values::{Period, Rate, Share, Weight};

use paxos::NodeId;
use serde::Deserialize;
use std::collections::BTreeMap;
use wire::Level;
use world::FieldId;

/// The most players one run has: what an index of 32 bits can tell apart, and a machine can hold.
pub const MAX_PLAYERS: u32 = 50_000_000;

/// What a run does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What it is good for, in a sentence or two.
    pub about: String,
    /// Who plays, and where.
    pub players: Players,
    /// When they act.
    pub arrival: Arrival,
    /// What they do.
    pub mix: Mix,
    /// What all of them want.
    #[serde(default)]
    pub contest: Option<Contest>,
    /// How sure their reads are.
    #[serde(default)]
    pub reads: Reads,
    /// How long it takes.
    #[serde(default)]
    pub run: Timing,
    /// The cluster that is started for it where none is named.
    #[serde(default)]
    pub cluster: LocalCluster,
    /// What goes wrong meanwhile.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What must come of it.
    #[serde(default)]
    pub pass: Pass,
}

/// Who plays, and where.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Players {
    /// How many.
    pub count: u32,
    /// Where they live.
    #[serde(default)]
    pub homes: Homes,
    /// How many cities, where they live in cities.
    #[serde(default = "defaults::cities")]
    pub cities: u32,
    /// How much larger a city is than the next smaller one: its size goes with its rank to the power of minus this (Zipf).
    #[serde(default = "defaults::exponent")]
    pub exponent: Weight,
    /// Fields that a player wants to have; then it claims no more.
    #[serde(default = "defaults::land")]
    pub land: u32,
    /// Fields claimed in each chunk visited, where claims are on fresh land.
    #[serde(default = "defaults::per_chunk")]
    pub per_chunk: u32,
    /// Whether they enter the world and look around before they do anything else.
    #[serde(default = "defaults::yes")]
    pub enter: bool,
    /// Names are made so long, in bytes.
    #[serde(default = "defaults::name_bytes")]
    pub name_bytes: usize,
    /// Connections that they share.
    #[serde(default = "defaults::connections")]
    pub connections: u32,
}

/// Where players live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Homes {
    /// All over the world, each on a plot of 8 x 8 fields of its own.
    #[default]
    Uniform,
    /// On plots side by side, in cities of very different sizes.
    Cities,
    /// Nowhere: each claim is on land that nobody has visited yet.
    Fresh,
}

/// What players do: how often each, against the others. Who cannot do what its turn says (it has no land yet, nothing is
/// ripe) does what comes before it: it claims, or looks around.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mix {
    /// Claim a field.
    pub claim: Weight,
    /// Plant, tend, harvest or build on one's own land, as it comes.
    pub farm: Weight,
    /// Look at one of one's own fields.
    pub look: Weight,
    /// View a neighbour's plot.
    pub visit: Weight,
    /// Watch a neighbour's plot until something changes there, or for a while.
    pub watch: Weight,
    /// Give a field up.
    pub abandon: Weight,
    /// Claim what everybody wants; give it back at the next occasion.
    pub contest: Weight,
}

/// Land that everybody wants.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contest {
    /// So many fields, side by side.
    pub fields: u16,
    /// Where they begin; somewhere that the seed says, if it is left out.
    #[serde(default, deserialize_with = "values::field")]
    pub at: Option<FieldId>,
}

/// How sure reads are.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reads {
    /// Of one's own fields.
    #[serde(deserialize_with = "values::level")]
    pub look: Level,
    /// Of the neighbours' land.
    #[serde(deserialize_with = "values::level")]
    pub visit: Level,
    /// A view is so many fields wide and high: 8 for a plot, 32 for 1,024 fields.
    pub view: u32,
}

impl Default for Reads {
    fn default() -> Self {
        Self { look: Level::Strong, visit: Level::Eventual, view: 8 }
    }
}

/// How long a run takes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// Not measured, while connections, caches and batches find their size.
    pub warm_up: Period,
    /// Measured.
    pub duration: Period,
    /// What is not answered by then counts as an error.
    pub timeout: Period,
}

impl Default for Timing {
    fn default() -> Self {
        Self { warm_up: Period::seconds(5), duration: Period::seconds(60), timeout: Period::seconds(10) }
    }
}

/// The cluster that is started where none is named.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LocalCluster {
    /// Nodes.
    pub nodes: u32,
    /// Voters of each shard.
    pub voters: u32,
    /// Shards, a power of two.
    pub shards: u32,
}

impl Default for LocalCluster {
    fn default() -> Self {
        Self { nodes: 3, voters: 3, shards: 64 }
    }
}

/// Something that goes wrong, or is mended.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When, from the end of the warm-up.
    pub at: Period,
    /// What happens.
    #[serde(rename = "do")]
    pub deed: FaultDeed,
    /// To which node.
    #[serde(deserialize_with = "values::node")]
    pub node: NodeId,
}

/// What can happen to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultDeed {
    /// It ends at once (SIGKILL).
    Kill,
    /// It is started again after it was killed or stopped.
    Restart,
    /// It stands still (SIGSTOP).
    Pause,
    /// It goes on (SIGCONT).
    Resume,
}

impl FaultDeed {
    /// The word that profiles and reports use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }
}

/// What must come of a run. What is not named may be as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pass {
    /// The least that is answered in a second.
    pub throughput_per_s: Option<Rate>,
    /// The most milliseconds that 99 of 100 take, by what is done; `all` for everything together.
    pub p99_ms: BTreeMap<String, Rate>,
    /// The most that may finally go without an answer, as a share of everything.
    pub errors: Option<Share>,
    /// The most that reads which need not be fresh may be stale, 99 of 100 of them, in milliseconds.
    pub staleness_p99_ms: Option<Rate>,
}

mod defaults {
    use super::Weight;

    pub fn cities() -> u32 {
        64
    }
    pub fn exponent() -> Weight {
        Weight::ONE
    }
    pub fn land() -> u32 {
        16
    }
    pub fn per_chunk() -> u32 {
        32
    }
    pub fn yes() -> bool {
        true
    }
    pub fn name_bytes() -> usize {
        0
    }
    pub fn connections() -> u32 {
        1
    }
}

/// Why a profile cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct ProfileError {
    /// The file, as it was named.
    pub file: String,
    /// What is wrong, where, and what is allowed.
    pub problem: String,
}

impl Profile {
    /// Reads a profile; `file` is for errors only.
    pub fn parse(file: &str, text: &str) -> Result<Self, ProfileError> {
        let error = |problem: String| ProfileError { file: file.to_owned(), problem };
        let profile: Self = toml::from_str(text).map_err(|wrong| error(wrong.to_string().trim_end().to_owned()))?;
        profile.check().map_err(error)?;
        Ok(profile)
    }

    /// What no value shows by itself. Whoever changes a profile from the command line asks again.
    pub fn check(&self) -> Result<(), String> {
        let Self { players, arrival, mix, contest, run, cluster, faults, .. } = self;
        within("players.count", players.count, 1, MAX_PLAYERS)?;
        within("players.cities", players.cities, 1, 4_096)?;
        within("players.land", players.land, 1, 64)?;
        within("players.per_chunk", players.per_chunk, 1, 64)?;
        within("players.connections", players.connections, 1, 64)?;
        within("reads.view", self.reads.view, 1, 64)?;
        within("cluster.nodes", cluster.nodes, 1, 99)?;
        within("cluster.voters", cluster.voters, 1, cluster.nodes)?;
        if players.name_bytes > world::name::MAX_NAME {
            return Err(format!("players.name_bytes = {}: a name has at most 32", players.name_bytes));
        }
        if !cluster.shards.is_power_of_two() {
            return Err(format!("cluster.shards = {}: it must be a power of two", cluster.shards));
        }
        arrival.check()?;
        if let Some(in_flight) = arrival.in_flight
            && in_flight > players.count as usize
        {
            let count = players.count;
            return Err(format!("arrival.in_flight = {in_flight}, but {count} players do one thing each at a time"));
        }
        if mix.weights().iter().all(|(_, weight)| weight.0 == 0.0) {
            return Err("mix: nothing is done; give at least one of its entries a weight".to_owned());
        }
        if (mix.contest.0 > 0.0) != contest.is_some_and(|contest| contest.fields > 0) {
            return Err("mix.contest and [contest] belong together: what is contested, and how often".to_owned());
        }
        if players.homes == Homes::Fresh
            && mix.weights().iter().any(|(word, weight)| weight.0 > 0.0 && *word != "claim")
        {
            return Err("players.homes = \"fresh\" is for claims alone: leave everything else out of [mix]".to_owned());
        }
        if run.duration.0.is_zero() || run.timeout.0.is_zero() {
            return Err("run.duration and run.timeout must be longer than nothing".to_owned());
        }
        if let Some(late) = faults.iter().find(|fault| fault.at.0 >= run.duration.0) {
            return Err(format!("faults: one is due at {}, when the run has ended ({})", late.at, run.duration));
        }
        let known = |word: &String| word == "all" || Doing::ALL.iter().any(|doing| doing.word() == word);
        match self.pass.p99_ms.keys().find(|word| !known(word)) {
            Some(word) => {
                let words: Vec<&str> = Doing::ALL.iter().map(|doing| doing.word()).collect();
                Err(format!("pass.p99_ms.{word}: there is no such thing to do; name all, {}", words.join(", ")))
            }
            None => Ok(()),
        }
    }
}

impl Mix {
    /// Each with its word.
    pub fn weights(&self) -> [(&'static str, Weight); 7] {
        let Self { claim, farm, look, visit, watch, abandon, contest } = *self;
        [
            ("claim", claim),
            ("farm", farm),
            ("look", look),
            ("visit", visit),
            ("watch", watch),
            ("abandon", abandon),
            ("contest", contest),
        ]
    }
}

fn within(what: &str, value: u32, least: u32, most: u32) -> Result<(), String> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(format!("{what} = {value}: it must be {least} to {most}"))
}

/// What a player is doing, as reports name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Doing {
    /// Entering the world.
    Enter,
    /// Claiming a field.
    Claim,
    /// Sowing.
    Plant,
    /// Tending what grows.
    Tend,
    /// Bringing in what is ripe.
    Harvest,
    /// Building.
    Build,
    /// Giving a field up.
    Abandon,
    /// Looking at a field of one's own.
    Look,
    /// Viewing a plot.
    Visit,
    /// Watching a plot: its first view. (How long a change then takes to come is up to who changes something.)
    Watch,
}

impl Doing {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Enter,
        Self::Claim,
        Self::Plant,
        Self::Tend,
        Self::Harvest,
        Self::Build,
        Self::Abandon,
        Self::Look,
        Self::Visit,
        Self::Watch,
    ];

    /// Its place among all.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The word that reports use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Enter => "enter",
            Self::Claim => "claim",
            Self::Plant => "plant",
            Self::Tend => "tend",
            Self::Harvest => "harvest",
            Self::Build => "build",
            Self::Abandon => "abandon",
            Self::Look => "look",
            Self::Visit => "visit",
            Self::Watch => "watch",
        }
    }
}

#[cfg(test)]
mod tests;
