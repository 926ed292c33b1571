//! What came of it: samples as they were measured, and what is made of them.

mod goals;
mod page;
mod statistics;
mod table;

use crate::Failure;
use crate::cli::{RunArgs, ShowArgs};
use crate::cores::Library;
use crate::floors::Floor;
use crate::meter::Measured;
use crate::rounds::version;
use crate::work::{Peer, Work};
use serde::{Deserialize, Serialize};
use statistics::Middle;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runner {
    /// A database, or we.
    Peer(Peer),
    /// Nobody: what cannot be beaten.
    Floor(Floor),
    /// A library alone.
    Core(Library),
}

impl Runner {
    /// As it is shown.
    pub fn title(self) -> &'static str {
        match self {
            Self::Peer(peer) => peer.title(),
            Self::Floor(floor) => floor.title(),
            Self::Core(library) => library.title(),
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// By peers.
    Work(Work),
    /// What cannot be beaten.
    Floor,
    /// Commands decided by three nodes in one thread.
    Core,
}

impl Subject {
    /// As it is shown.
    pub fn title(self) -> &'static str {
        match self {
            Self::Work(work) => work.title(),
            Self::Floor => "Floors of this machine",
            Self::Core => "Consensus alone: one thread, memory, 16 B",
        }
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// In which round, from 1.
    pub round: u32,
    /// By whom.
    pub runner: Runner,
    /// What.
    pub subject: Subject,
    /// Operations in flight.
    pub in_flight: usize,
    /// What came of it.
    #[serde(flatten)]
    pub measured: Measured,
}

/// A race: what `race.json` holds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Race {
    /// Rounds that were asked for.
    pub rounds: u32,
    /// Seconds of each measurement.
    pub seconds: u64,
    /// The machine.
    pub machine: String,
    /// Versions of what ran.
    pub versions: BTreeMap<String, String>,
    /// Everything as it was measured.
    pub samples: Vec<Sample>,
}

impl Race {
    /// Of these samples, on this machine.
    pub fn new(args: &RunArgs, samples: Vec<Sample>) -> Self {
        let ask = |program: &Path, arguments: &[&str]| version(program, arguments).unwrap_or_else(|| "?".to_owned());
        let versions = args.peers.iter().map(|peer| {
            let version = match peer {
                Peer::Ours => ask(&args.icefarm, &["--version"]),
                Peer::Etcd => ask(Path::new("etcd"), &["--version"]),
                Peer::Zookeeper => ask(Path::new("dpkg-query"), &["-W", "zookeeper"]),
                Peer::Redis => ask(Path::new("redis-server"), &["--version"]),
                Peer::Postgres => ask(Path::new("dpkg-query"), &["-W", "postgresql-15"]),
            };
            (peer.title().to_owned(), version)
        });
        let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let model = model.trim_start_matches([' ', '\t', ':']);
        let machine = format!("{cpus} cores, {model}, {}", ask(Path::new("uname"), &["-sr"]));
        Self { rounds: args.rounds, seconds: args.seconds, machine, versions: versions.collect(), samples }
    }

    /// One that was run before.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
        serde_json::from_str(&text).map_err(|error| format!("{shown} is no race: {error}").into())
    }

    /// How much was measured.
    fn rounds_in_words(&self) -> String {
        match self.rounds {
            1 => format!("1 round of {} s", self.seconds),
            rounds => format!("{rounds} rounds of {} s each", self.seconds),
        }
    }

    /// What we mean to reach, and how far we are, as a table.
    pub fn goals_in_markdown(&self) -> String {
        let mut table = format!(
            "{}; {}. Medians of the ratios within a round; in brackets what the median lies between.\n\n\
             | | ratio | goal | |\n|---|---|---|---|\n",
            self.rounds_in_words(),
            self.machine
        );
        for goal in goals::goals(self) {
            let (Middle { median, low, high }, sign) = (goal.ratio, if goal.at_most { "<=" } else { ">=" });
            let met = if goal.is_met() { "met" } else { "**missed**" };
            let _ = writeln!(
                table,
                "| {} | {median:.2} [{low:.2}, {high:.2}] | {sign} {} | {met} |",
                goal.what, goal.target
            );
        }
        table
    }

    /// By subject and depth: everybody's figure, in the order in which they are told.
    fn of(&self, subject: Subject, in_flight: usize, figure: fn(&Measured) -> f64) -> Vec<(Runner, Middle)> {
        let mut by_runner: BTreeMap<Runner, Vec<f64>> = BTreeMap::new();
        for sample in self.samples.iter().filter(|sample| (sample.subject, sample.in_flight) == (subject, in_flight)) {
            by_runner.entry(sample.runner).or_default().push(figure(&sample.measured));
        }
        by_runner.into_iter().map(|(runner, figures)| (runner, Middle::of(figures))).collect()
    }

    /// Subjects and depths that something was measured of.
    fn chapters(&self) -> Vec<(Subject, Vec<usize>)> {
        let mut chapters: BTreeMap<Subject, Vec<usize>> = BTreeMap::new();
        for sample in &self.samples {
            let depths = chapters.entry(sample.subject).or_default();
            if !depths.contains(&sample.in_flight) {
                depths.push(sample.in_flight);
            }
        }
        chapters.values_mut().for_each(|depths| depths.sort_unstable());
        chapters.into_iter().collect()
    }

    /// In one round, by one runner.
    fn sample(&self, round: u32, runner: Runner, subject: Subject, in_flight: usize) -> Option<&Measured> {
        let found = self.samples.iter().find(|sample| {
            (sample.round, sample.runner, sample.subject, sample.in_flight) == (round, runner, subject, in_flight)
        });
        found.map(|sample| &sample.measured)
    }
}

/// Writes `race.json` and `race.html`, and prints the table.
pub fn write(race: &Race, folder: &Path) -> Result<(), Failure> {
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| Failure::from(format!("{}: {error}", path.display())))
    };
    put("race.json", &serde_json::to_string_pretty(race)?)?;
    put("race.html", &page::page(race))?;
    print!("{}", table::table(race));
    println!("\nrace.json and race.html are in {}", folder.display());
    Ok(())
}

/// The table and the page of a race that was run before.
pub fn show(args: &ShowArgs) -> Result<(), Failure> {
    write(&Race::read(&args.file)?, args.file.parent().unwrap_or(Path::new(".")))
}
