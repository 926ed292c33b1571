//! What a run leaves: `report.json`, which scripts read, `report.html`, which people read, and the histograms themselves.

pub mod compare;
mod html;
mod machine;
pub mod plots;

use crate::Failure;
use crate::profile::{Doing, Profile};
use crate::run::servers::Server;
use crate::run::tally::{Second, ms};
use crate::run::{Plan, Shown};
use crate::show::share;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2Serializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The names of the files.
const JSON: &str = "report.json";
const HTML: &str = "report.html";
const HDR: &str = "latency.hdr";

/// Everything that scripts may read. What is here stays; more may come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The profile's name.
    pub profile: String,
    /// What it is good for.
    pub about: String,
    /// What chance depended on.
    pub seed: u64,
    /// Measured, without the warm-up.
    pub duration_s: f64,
    /// How many.
    pub players: u32,
    /// Answered in the time measured.
    pub throughput_per_s: f64,
    /// From when an action was due to when its answer was there: of `all`, and of each kind that was done.
    pub latency_ms: BTreeMap<String, Latency>,
    /// Finally unanswered, by reason.
    pub errors: BTreeMap<String, u64>,
    /// Rejected by the game's rules, by what was tried.
    pub rejected: BTreeMap<String, u64>,
    /// Attempts that were repeated since a node was overloaded.
    pub retries: u64,
    /// Answers that cannot be true.
    pub wrong_answers: u64,
    /// The first of them, in words.
    pub wrong: Vec<String>,
    /// How long weaker reads' answers had been stale when they were asked for; `null` if there were none.
    pub staleness_ms: Option<Staleness>,
    /// Of servers, summed (of several generators that share a run, the share of one), and of this generator.
    pub cpu_s_per_1000: Cpu,
    /// Of all servers' logs; `null` if nothing was claimed, or a server was down.
    pub syncs_per_claim: Option<f64>,
    /// What was looked at again in the end.
    pub checked: Checked,
    /// How late the generator itself began, 99 of 100 actions: a part of the latencies.
    pub generator_late_p99_ms: f64,
    /// The generator could not keep up: what was measured is it, not the cluster.
    pub saturated: bool,
    /// Somebody ended the run early.
    pub interrupted: bool,
    /// Memory that each player takes in the generator.
    pub bytes_per_player: u64,
    /// What went wrong on purpose, and when.
    pub faults: Vec<FaultMark>,
    /// Second by second, the warm-up too.
    pub seconds: Vec<SecondRow>,
    /// How many seconds of it were warm-up.
    pub warm_up_s: f64,
    /// Where it ran.
    pub hardware: machine::Hardware,
    /// Of what.
    pub versions: BTreeMap<String, String>,
    /// What runs it again.
    pub command: String,
    /// Of the profile's demands, those that were missed.
    pub missed: Vec<String>,
    /// Latency in milliseconds at quantiles, for plots.
    pub quantiles: Vec<(f64, f64)>,
    /// Staleness in milliseconds at quantiles, for plots.
    pub staleness_quantiles: Vec<(f64, f64)>,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Latency {
    /// How many there were.
    pub count: u64,
    /// Half were faster.
    pub p50: f64,
    /// 99 of 100 were.
    pub p99: f64,
    /// 999 of 1,000 were.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

/// Milliseconds, and how many.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Staleness {
    /// Half were fresher.
    pub p50: f64,
    /// 99 of 100 were.
    pub p99: f64,
    /// The oldest.
    pub max: f64,
    /// The share of answers that lacked anything acknowledged before they were asked for.
    pub stale_share: f64,
    /// What receipts said at most, 99 of 100; `null` where none said anything.
    pub bound_p99: Option<f64>,
    /// How many answers.
    pub reads: u64,
}

/// Seconds for each 1,000 answered actions.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cpu {
    /// All servers together, as they count it; `null` if one of them was down.
    pub servers: Option<f64>,
    /// This process.
    pub client: f64,
}

/// What was looked at again in the end.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Checked {
    /// Fields that were claimed, read once more.
    pub fields: usize,
    /// Operations on contested fields for which an order was searched.
    pub contested_operations: usize,
}

/// Something went wrong on purpose.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultMark {
    /// From the end of the warm-up.
    pub at_s: f64,
    /// `kill n2`
    pub what: String,
}

/// One second.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SecondRow {
    /// Answered.
    pub done: u64,
    /// Finally unanswered.
    pub errors: u64,
    /// Milliseconds.
    pub p50_ms: f64,
    /// Milliseconds.
    pub p99_ms: f64,
    /// Milliseconds.
    pub p999_ms: f64,
    /// Of the weaker reads.
    pub stale_share: f64,
    /// Milliseconds.
    pub staleness_p99_ms: f64,
    /// At its end.
    pub in_flight: usize,
}

impl From<&Second> for SecondRow {
    fn from(second: &Second) -> Self {
        Self {
            done: second.done,
            errors: second.errors,
            p50_ms: second.p50_ms,
            p99_ms: second.p99_ms,
            p999_ms: second.p999_ms,
            stale_share: share(second.stale_reads, second.weak_reads),
            staleness_p99_ms: second.staleness_p99_ms,
            in_flight: second.in_flight,
        }
    }
}

impl Report {
    /// Puts it together.
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn new(name: &str, plan: &Plan, shown: &Shown, servers: &[Server], command: String) -> Self {
        let tally = &shown.tally;
        let done = tally.done.max(1) as f64;
        let mut latency_ms = BTreeMap::from([("all".to_owned(), latency(&tally.all))]);
        let kinds = Doing::ALL.into_iter().map(|doing| (doing, tally.kind(doing)));
        latency_ms.extend(
            kinds.filter(|(_, kind)| !kind.is_empty()).map(|(doing, kind)| (doing.word().to_owned(), latency(kind))),
        );
        let counts =
            |map: &BTreeMap<&'static str, u64>| map.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect();
        let mut versions: BTreeMap<String, String> =
            servers.iter().map(|server| (server.node.to_string(), server.version.clone())).collect();
        versions.insert("icefarm-load".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let mut report = Self {
            profile: name.to_owned(),
            about: plan.profile.about.clone(),
            seed: plan.seed,
            duration_s: shown.time.as_secs_f64(),
            players: plan.profile.players.count,
            throughput_per_s: tally.done as f64 / shown.time.as_secs_f64().max(f64::MIN_POSITIVE),
            latency_ms,
            errors: counts(&tally.errors),
            rejected: counts(&tally.rejected),
            retries: shown.retries,
            wrong_answers: tally.wrong,
            wrong: tally.sentences.clone(),
            staleness_ms: (tally.weak_reads > 0).then(|| staleness(shown)),
            cpu_s_per_1000: Cpu {
                servers: shown.servers.map(|spent| spent.cpu_s * 1e3 / done),
                client: shown.client_cpu_s * 1e3 / done,
            },
            syncs_per_claim: shown.servers.filter(|_| tally.claims > 0).map(|spent| spent.syncs / tally.claims as f64),
            checked: Checked { fields: shown.verified, contested_operations: shown.ordered },
            generator_late_p99_ms: ms(&tally.late, 0.99),
            saturated: shown.saturated,
            interrupted: shown.interrupted,
            bytes_per_player: shown.bytes_per_player,
            faults: (shown.faults.iter())
                .map(|(at, deed, node)| FaultMark { at_s: at.as_secs_f64(), what: format!("{} {node}", deed.word()) })
                .collect(),
            seconds: tally.seconds.iter().map(SecondRow::from).collect(),
            warm_up_s: plan.profile.run.warm_up.0.as_secs_f64(),
            hardware: machine::hardware(),
            versions,
            command,
            missed: Vec::new(),
            quantiles: quantiles(&tally.all),
            // (Fresh answers count as a microsecond: on a picture of milliseconds they would be all there is to see.)
            staleness_quantiles: quantiles(&tally.staleness).into_iter().filter(|(_, ms)| *ms > 0.001).collect(),
        };
        report.missed = report.misses(&plan.profile);
        report
    }

    /// What the profile asks for and the run did not bring.
    fn misses(&self, profile: &Profile) -> Vec<String> {
        let pass = &profile.pass;
        let mut missed = Vec::new();
        if let Some(least) = pass.throughput_per_s
            && self.throughput_per_s < least.0
        {
            missed.push(format!("{:.0} a second, and {} were asked for", self.throughput_per_s, least.0));
        }
        for (word, most) in &pass.p99_ms {
            match self.latency_ms.get(word) {
                Some(latency) if latency.p99 <= most.0 => {}
                Some(latency) => {
                    missed.push(format!("p99 of {word}: {:.2} ms, and {} were asked for", latency.p99, most.0));
                }
                None => missed.push(format!("p99 of {word}: nothing of that kind was done")),
            }
        }
        if let Some(most) = pass.errors {
            let errors: u64 = self.errors.values().sum();
            let all = errors + self.latency_ms.get("all").map_or(0, |all| all.count);
            let errors = share(errors, all);
            if errors > most.0 {
                missed.push(format!("a share of {errors:.6} went unanswered, and {} was asked for", most.0));
            }
        }
        if let Some(most) = pass.staleness_p99_ms {
            match &self.staleness_ms {
                Some(staleness) if staleness.p99 <= most.0 => {}
                Some(staleness) => {
                    missed.push(format!("p99 of staleness: {:.2} ms, and {} were asked for", staleness.p99, most.0));
                }
                None => missed.push("staleness: no read was of a weaker level".to_owned()),
            }
        }
        missed
    }

    /// Writes all files into a folder that is there.
    pub fn write(&self, folder: &Path, shown: &Shown) -> Result<(), Failure> {
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, bytes).map_err(|error| Failure::from(format!("cannot write {}: {error}", path.display())))
        };
        put(JSON, &serde_json::to_vec_pretty(self)?)?;
        put(HTML, html::page(self)?.as_bytes())?;
        put(HDR, &histogram_log(shown)?)
    }

    /// Reads one again.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let path = if path.is_dir() { path.join(JSON) } else { path.to_owned() };
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{} is no report: {error}", path.display()).into())
    }

    /// A few lines for whoever waited.
    pub fn summary(&self) -> String {
        let mut lines = vec![format!(
            "{}: {} players, {:.1} s measured, {} answered a second",
            self.profile,
            crate::show::grouped(self.players.into()),
            self.duration_s,
            crate::show::grouped(rounded(self.throughput_per_s))
        )];
        lines.push(format!(
            "{:>10} {:>11} {:>9} {:>9} {:>9} {:>9}",
            "", "count", "p50 ms", "p99 ms", "p99.9 ms", "max ms"
        ));
        for (word, latency) in &self.latency_ms {
            let Latency { count, p50, p99, p999, max } = latency;
            let count = crate::show::grouped(*count);
            lines.push(format!("{word:>10} {count:>11} {p50:>9.2} {p99:>9.2} {p999:>9.2} {max:>9.2}"));
        }
        if let Some(Staleness { p99, max, stale_share, reads, .. }) = &self.staleness_ms {
            let (reads, share) = (crate::show::grouped(*reads), stale_share * 1e2);
            lines.push(format!("weaker reads: {reads}, {share:.2} % of them stale, p99 {p99:.1} ms, max {max:.1} ms"));
        }
        let servers = self.cpu_s_per_1000.servers.map_or("?".to_owned(), |servers| format!("{servers:.4}"));
        lines.push(format!("CPU s per 1,000: servers {servers}, generator {:.4}", self.cpu_s_per_1000.client));
        let list = |map: &BTreeMap<String, u64>| {
            let words: Vec<String> = map.iter().map(|(word, count)| format!("{word} {count}")).collect();
            if words.is_empty() { "none".to_owned() } else { words.join(", ") }
        };
        lines.push(format!("unanswered: {}; retried: {}", list(&self.errors), self.retries));
        if !self.rejected.is_empty() {
            lines.push(format!("rejected by the rules: {}", list(&self.rejected)));
        }
        let Checked { fields, contested_operations } = self.checked;
        lines.push(format!(
            "wrong answers: {} (looked again at {fields} fields, ordered {contested_operations} contested operations)",
            self.wrong_answers
        ));
        lines.extend(self.wrong.iter().map(|sentence| format!("WRONG: {sentence}")));
        if self.saturated {
            let late = self.generator_late_p99_ms;
            lines.push(format!(
                "the generator could not keep up (it began {late:.1} ms late, p99): this measures it, not the cluster"
            ));
        }
        if self.interrupted {
            lines.push("ended early: what was claimed has not been looked at again".to_owned());
        }
        lines.extend(self.missed.iter().map(|missed| format!("MISSED: {missed}")));
        lines.join("\n")
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people")]
fn rounded(rate: f64) -> u64 {
    rate.round().max(0.0) as u64
}

fn latency(histogram: &Histogram<u64>) -> Latency {
    let at = |quantile| ms(histogram, quantile);
    Latency { count: histogram.len(), p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1.0) }
}

fn staleness(shown: &Shown) -> Staleness {
    let tally = &shown.tally;
    // A microsecond is what a fresh answer counts as.
    let at = |quantile| Some(ms(&tally.staleness, quantile)).filter(|ms| *ms > 0.001).unwrap_or(0.0);
    Staleness {
        p50: at(0.5),
        p99: at(0.99),
        max: at(1.0),
        stale_share: share(tally.stale_reads, tally.weak_reads),
        bound_p99: (!tally.bounds.is_empty()).then(|| ms(&tally.bounds, 0.99)),
        reads: tally.weak_reads,
    }
}

/// Quantiles from the middle to the slowest, each with its milliseconds: as one would plot them.
fn quantiles(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    const NINES: i32 = 6;
    let tails = (0..NINES * 10).map(|step| 1.0 - 10_f64.powf(-f64::from(step) / 10.0));
    tails.map(|quantile| (quantile, ms(histogram, quantile))).collect()
}

/// The latencies whole, in the form of `HdrHistogram`'s logs: other tools read it.
fn histogram_log(shown: &Shown) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut serializer = V2Serializer::new();
    let begin = std::time::SystemTime::UNIX_EPOCH;
    let mut builder = IntervalLogWriterBuilder::new();
    let mut log = builder.with_base_time(begin).begin_log_with(&mut bytes, &mut serializer)?;
    for doing in Doing::ALL {
        let histogram = shown.tally.kind(doing);
        if !histogram.is_empty() {
            let tag = hdrhistogram::serialization::interval_log::Tag::new(doing.word());
            log.write_histogram(histogram, std::time::Duration::ZERO, shown.time, tag)?;
        }
    }
    Ok(bytes)
}
