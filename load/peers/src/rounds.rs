//! Everything in turn: round after round, each peer alone on the machine, with data that begins empty.

use crate::Failure;
use crate::cli::RunArgs;
use crate::cores::Library;
use crate::floors::Floor;
use crate::meter::Measured;
use crate::report::{self, Race, Runner, Sample, Subject};
use crate::serve::Servers;
use crate::work::{Peer, Work, word};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A client that takes longer than its seconds and this has lost its servers.
const PATIENCE: Duration = Duration::from_secs(120);

/// Claims in flight, and seconds, before anything is measured of a peer that has just been started.
const WARM_UP: (usize, u64) = (256, 6);

/// Runs everything, and writes and prints what came of it.
pub async fn run(args: &RunArgs) -> Result<(), Failure> {
    let icefarm = std::path::absolute(&args.icefarm)?;
    if args.peers.contains(&Peer::Ours) && !icefarm.is_file() {
        return Err(format!("{} is not there: `cargo build --release -p icefarm` makes it", icefarm.display()).into());
    }
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    let data = args.data.clone().unwrap_or_else(std::env::temp_dir);
    let mut rounds = Rounds { args, icefarm, data, samples: Vec::new(), missing: Vec::new(), begun: Instant::now() };
    let ended = tokio::select! {
        // Servers are children of ours and end when dropped.
        ended = rounds.all() => ended,
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Failure::from),
    };
    // What was measured before somebody had enough, or before something broke, is worth a look.
    let race = Race::new(args, rounds.samples);
    report::write(&race, &args.out)?;
    ended?;
    match rounds.missing.len() {
        0 => Ok(()),
        count => Err(format!("{count} could not be measured: {}", rounds.missing.join("; ")).into()),
    }
}

/// What a client is to do.
#[derive(Clone, Copy, Debug)]
struct Drive {
    peer: Peer,
    work: Work,
    in_flight: usize,
    seconds: u64,
    nth: u64,
}

struct Rounds<'a> {
    args: &'a RunArgs,
    icefarm: PathBuf,
    data: PathBuf,
    samples: Vec<Sample>,
    /// What could not be measured, and why.
    missing: Vec<String>,
    begun: Instant,
}

impl Rounds<'_> {
    async fn all(&mut self) -> Result<(), Failure> {
        for round in 1..=self.args.rounds {
            let mut peers = self.args.peers.clone();
            // Nobody always comes first, or behind the same other.
            let first = (round as usize - 1) % peers.len().max(1);
            peers.rotate_left(first);
            for peer in peers {
                self.peer(round, peer).await?;
            }
            if !self.args.no_floors {
                self.floors(round).await?;
            }
            if !self.args.no_cores {
                self.cores(round).await?;
            }
        }
        Ok(())
    }

    async fn peer(&mut self, round: u32, peer: Peer) -> Result<(), Failure> {
        let works: Vec<Work> = self.args.works.iter().copied().filter(|work| peer.way(*work).is_some()).collect();
        if works.is_empty() {
            return Ok(());
        }
        let mut servers = Servers::start(peer, &self.data, &self.icefarm)?;
        // Not counted: compilers that work while a program runs, caches and logs find their level.
        let warm_up = Drive { peer, work: Work::Claims, in_flight: WARM_UP.0, seconds: WARM_UP.1, nth: 1 };
        self.drive(&mut servers, warm_up).await?;
        let mut nth = 1;
        for work in works {
            let depths = self.depths(work.depths()).into_iter().filter(|depth| *depth <= peer.most_in_flight());
            for in_flight in depths {
                nth += 1;
                let drive = Drive { peer, work, in_flight, seconds: self.args.seconds, nth };
                match self.drive(&mut servers, drive).await {
                    Ok(measured) => self.add(round, Runner::Peer(peer), Subject::Work(work), in_flight, measured),
                    // One figure that is missing is no reason to lose the others: it is told in the end.
                    Err(failure) => self.missing.push(format!("round {round}: {failure}")),
                }
            }
        }
        Ok(())
    }

    /// Has a client do something with these servers.
    async fn drive(&self, servers: &mut Servers, drive: Drive) -> Result<Measured, Failure> {
        let Drive { peer, work, in_flight, seconds, nth } = drive;
        let pids: Vec<String> = servers.pids().iter().map(ToString::to_string).collect();
        let said = [
            ("--peer", word(peer)),
            ("--work", word(work)),
            ("--in-flight", in_flight.to_string()),
            ("--seconds", seconds.to_string()),
            ("--at", servers.address.clone()),
            ("--servers", pids.join(",")),
            ("--nth", nth.to_string()),
        ];
        let measured = self.child("drive", &said).await;
        servers.check()?;
        Ok(serde_json::from_value(measured?)?)
    }

    async fn floors(&mut self, round: u32) -> Result<(), Failure> {
        for (floor, depths) in Floor::ALL {
            for in_flight in self.depths(depths) {
                let said = [
                    ("--floor", word(floor)),
                    ("--in-flight", in_flight.to_string()),
                    ("--seconds", self.args.seconds.to_string()),
                    ("--data", self.data.display().to_string()),
                ];
                let measured: Measured = serde_json::from_value(self.child("floor", &said).await?)?;
                self.add(round, Runner::Floor(floor), Subject::Floor, in_flight, measured);
            }
        }
        Ok(())
    }

    async fn cores(&mut self, round: u32) -> Result<(), Failure> {
        for in_flight in self.depths(&Library::DEPTHS) {
            for library in Library::ALL {
                let said = [
                    ("--library", word(library)),
                    ("--in-flight", in_flight.to_string()),
                    ("--seconds", self.args.seconds.to_string()),
                ];
                let per_s = self.child("core", &said).await?["per_s"].as_f64();
                let per_s = per_s.ok_or("a core says how many it decided")?;
                self.add(round, Runner::Core(library), Subject::Core, in_flight, Measured::rate(per_s));
            }
        }
        Ok(())
    }

    /// A work's own depths, or those of them that were asked for.
    fn depths(&self, own: &[usize]) -> Vec<usize> {
        let asked = &self.args.in_flight;
        own.iter().copied().filter(|depth| asked.is_empty() || asked.contains(depth)).collect()
    }

    fn add(&mut self, round: u32, runner: Runner, subject: Subject, in_flight: usize, measured: Measured) {
        let (minutes, rounds) = (self.begun.elapsed().as_secs() / 60, self.args.rounds);
        let (who, what) = (runner.title(), subject.title());
        eprintln!(
            "[{minutes:>3} min] round {round} of {rounds}  {who:<46} {what:<44} {in_flight:>5} in flight {:>12.0}/s",
            measured.per_s
        );
        self.samples.push(Sample { round, runner, subject, in_flight, measured });
    }

    /// A process of our own that prints one object. (What it says of errors goes where ours goes.)
    async fn child(&self, verb: &str, said: &[(&str, String)]) -> Result<Value, Failure> {
        let mut command = tokio::process::Command::new(std::env::current_exe()?);
        command.arg(verb).args(said.iter().flat_map(|(flag, value)| [*flag, value]));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let shown = || said.iter().map(|(flag, value)| format!("{flag} {value}")).collect::<Vec<_>>().join(" ");
        let patience = PATIENCE + Duration::from_secs(self.args.seconds);
        let output = tokio::time::timeout(patience, command.spawn()?.wait_with_output()).await;
        let output = output.map_err(|_| format!("`race {verb} {}` does not end", shown()))??;
        if !output.status.success() {
            return Err(format!("`race {verb} {}` failed", shown()).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// What the machine says it is, for the report.
pub fn version(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(if output.stdout.is_empty() { output.stderr } else { output.stdout }).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}
