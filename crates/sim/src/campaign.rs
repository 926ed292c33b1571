//! Many seeds on many threads. Results do not depend on how many: each seed is a run of its own, and their digests are
//! mixed in the order of the seeds.

use crate::coverage;
use crate::digest::Digest;
use crate::plan::Plan;
use crate::run::{Report, run};
use crate::stats::Stats;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Failures told at most.
const TOLD: usize = 10;
/// Lines of the diagram shown of a failure.
const EXCERPT: usize = 45;

/// What to play.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// How many seeds.
    pub seeds: u64,
    /// The first.
    pub from: u64,
    /// On so many threads.
    pub jobs: usize,
    /// Whether to print the diagrams.
    pub traced: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// All runs together.
    pub stats: Stats,
    /// All runs' digests, mixed in order.
    pub digest: u64,
    /// Seeds that were played.
    pub played: u64,
    /// What failed, by seed.
    pub failures: BTreeMap<u64, String>,
}

/// Plays a campaign, and tells `tell` of each run as it ends (in any order).
pub fn play(campaign: &Campaign, mut tell: impl FnMut(&Report)) -> Summary {
    let next = AtomicU64::new(0);
    let enough = AtomicBool::new(false);
    let (sender, receiver) = mpsc::sync_channel::<Report>(64);
    let mut stats = Stats::default();
    let mut digests: BTreeMap<u64, u64> = BTreeMap::new();
    let mut failures = BTreeMap::new();
    std::thread::scope(|scope| {
        for _ in 0..campaign.jobs.max(1) {
            let (sender, next, enough) = (sender.clone(), &next, &enough);
            scope.spawn(move || {
                while !enough.load(Ordering::Relaxed) {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= campaign.seeds {
                        return;
                    }
                    let report = run(Plan::of_seed(campaign.from + nth), campaign.traced);
                    if sender.send(report).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for report in receiver {
            tell(&report);
            stats.add(&report.stats);
            digests.insert(report.seed, report.digest);
            if let Some(failure) = &report.failure {
                failures.insert(report.seed, failure.clone());
                if failures.len() >= TOLD {
                    enough.store(true, Ordering::Relaxed);
                }
            }
        }
    });
    let mut digest = Digest::EMPTY;
    for &of_seed in digests.values() {
        digest.mix(of_seed);
    }
    Summary { stats, digest: digest.value(), played: digests.len() as u64, failures }
}

/// Plays a campaign before a person's eyes. Says whether all went well. An error means that nobody reads on.
pub fn perform(campaign: &Campaign, out: &mut impl Write) -> io::Result<bool> {
    let began = Instant::now();
    let mut progress = Progress { began, told: began, played: 0, failed: 0, on_terminal: io::stderr().is_terminal() };
    let mut written = Ok(());
    let summary = play(campaign, |report| {
        for line in &report.lines {
            if written.is_ok() {
                written = writeln!(out, "{line}");
            }
        }
        progress.tell(campaign.seeds, report);
    });
    progress.end();
    written?;
    for (seed, failure) in summary.failures.iter().take(TOLD) {
        describe(*seed, failure, out)?;
    }
    let (played, failed) = (summary.played, summary.failures.len());
    if played < campaign.seeds {
        writeln!(out, "stopped after {failed} failures, {played} of {} seeds played", campaign.seeds)?;
    }
    write!(out, "{}", summary.stats)?;
    let seconds = began.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "shown with one digit")]
    let rate = played as f64 / seconds.max(1e-9);
    writeln!(out, "{played} seeds in {seconds:.1} s ({rate:.1} a second), {failed} failed")?;
    let missing = coverage::missing(&summary.stats, played);
    if !missing.is_empty() {
        writeln!(out, "NEVER MET, though {played} seeds should have: {}", missing.join(", "))?;
    }
    writeln!(out, "digest {:016x}", summary.digest)?;
    out.flush()?;
    Ok(summary.failures.is_empty() && missing.is_empty())
}

/// Tells of one failure: what, what led to it, and how to see it again.
fn describe(seed: u64, failure: &str, out: &mut impl Write) -> io::Result<()> {
    let plan = Plan::of_seed(seed);
    let (nodes, voters, shards, weather) = (plan.nodes, plan.voters, plan.shards, plan.weather);
    let lines = run(plan, true).lines;
    writeln!(out, "seed {seed} FAILED: {failure}")?;
    writeln!(out, "  {nodes} nodes, {voters} voters, {shards} shards, {weather:?}")?;
    writeln!(out, "  the last of {} lines (seconds, from -> to, message; then what came of it):", lines.len())?;
    for line in lines.iter().skip(lines.len().saturating_sub(EXCERPT)) {
        writeln!(out, "    {}", shorten(line))?;
    }
    writeln!(out, "  faults until then:")?;
    for line in lines.iter().filter(|line| line.contains("**")) {
        writeln!(out, "    {line}")?;
    }
    writeln!(out, "  see it again: cargo xtask sim --from {seed} --seeds 1 --trace")?;
    writeln!(out)
}

fn shorten(line: &str) -> String {
    const WIDTH: usize = 220;
    if line.chars().count() <= WIDTH {
        line.to_owned()
    } else {
        line.chars().take(WIDTH).chain("...".chars()).collect()
    }
}

/// How far a campaign is.
struct Progress {
    began: Instant,
    told: Instant,
    played: u64,
    failed: u64,
    on_terminal: bool,
}

impl Progress {
    fn tell(&mut self, of: u64, report: &Report) {
        self.played += 1;
        if let Some(failure) = &report.failure {
            self.failed += 1;
            // At once: a campaign may go on for hours.
            self.end();
            eprintln!("seed {} failed: {failure}", report.seed);
        }
        let every = if self.on_terminal { Duration::from_millis(200) } else { Duration::from_secs(5) };
        if self.told.elapsed() < every {
            return;
        }
        self.told = Instant::now();
        #[allow(clippy::cast_precision_loss, reason = "shown with one digit")]
        let rate = self.played as f64 / self.began.elapsed().as_secs_f64().max(1e-9);
        let line = format!("{} of {of} seeds, {rate:.1} a second, {} failed", self.played, self.failed);
        if self.on_terminal {
            eprint!("\r{line}\x1b[K");
            // Progress that cannot be shown harms nobody.
            let _ = io::stderr().flush();
        } else {
            eprintln!("{line}");
        }
    }

    fn end(&self) {
        if self.on_terminal {
            eprint!("\r\x1b[K");
        }
    }
}
