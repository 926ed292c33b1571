//! `run`: a profile from the file to the report.

use crate::cli::RunArgs;
use crate::cluster::{Cluster, Shape};
use crate::crowd::Part;
use crate::profile::{Period, Profile, Rate};
use crate::report::Report;
use crate::run::servers::{self, Server};
use crate::run::{self, Plan, Shown};
use crate::show::{Show, grouped};
use crate::{Failure, Missed, Usage, WrongAnswer};
use client::Client;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Steps of a search for the knee, at most.
const STEPS: u32 = 16;
/// A search ends when the highest rate that is good enough and the lowest that is not are this close.
const CLOSE: f64 = 1.05;
/// How long a step of a search takes, if the profile does not say less.
const STEP: Duration = Duration::from_secs(10);
/// Before a step that failed is followed by another, what it left is worked off.
const REST: Duration = Duration::from_secs(3);

/// Plays a profile, writes the report, and says whether it was good enough.
pub async fn run(args: &RunArgs) -> Result<(), Failure> {
    let (name, profile) = profile(args)?;
    let out = folder(args, &name)?;
    let part = Part { nth: args.part.0 - 1, of: args.part.1 };
    let seed = match args.seed {
        Some(seed) => seed,
        None if part.of > 1 => {
            return Err(Usage("several generators share a run: give all the same --seed".into()).into());
        }
        None => u64::from(getrandom::u32()?),
    };
    let cluster = Subject::find(args, &profile)?;
    let curve = profile.arrival.curve();
    let mut plan = Plan { profile, seed, part, curve };
    let clients = cluster.connect(&plan.profile).await?;
    let servers = servers::servers(&clients[0]).await?;
    let command = command(args, seed);
    let ended = match args.find_knee {
        Some(bound) => knee(&mut plan, &clients, &servers, args, bound).await,
        None => once(&plan, &clients, &servers, args, &name).await,
    };
    for client in clients {
        client.close().await;
    }
    cluster.stop()?;
    let shown = ended?;
    let report = Report::new(&name, &plan, &shown, &servers, command);
    report.write(&out, &shown)?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{}", report.summary());
        println!("report: {}", out.join("report.html").display());
    }
    if report.wrong_answers > 0 {
        return Err(WrongAnswer(format!("{} answers cannot be true", report.wrong_answers)).into());
    }
    if !report.missed.is_empty() {
        return Err(Missed(format!("less than {name} asks for: {}", report.missed.join("; "))).into());
    }
    Ok(())
}

/// The profile, as the command line changes it.
fn profile(args: &RunArgs) -> Result<(String, Profile), Failure> {
    let shown = args.profile.display().to_string();
    let text = fs::read_to_string(&args.profile).map_err(|error| Usage(format!("cannot read {shown}: {error}")))?;
    let mut profile = Profile::parse(&shown, &text).map_err(|error| Usage(error.to_string()))?;
    if let Some(players) = args.players {
        profile.players.count = players;
    }
    if let Some(Period(duration)) = args.duration {
        profile.run.duration = Period(duration);
    }
    if let Some(Period(warm_up)) = args.warm_up {
        profile.run.warm_up = Period(warm_up);
    }
    if let Some(in_flight) = args.in_flight {
        if profile.arrival.rate.is_some() {
            return Err(Usage(format!("--in-flight is for closed loops, and {shown} has a rate")).into());
        }
        profile.arrival.in_flight = Some(in_flight);
        // There must be as many as act at a time.
        profile.players.count = profile.players.count.max(u32::try_from(in_flight)?);
    }
    if let Some(rate) = args.rate {
        let Some(own) = profile.arrival.rate else {
            return Err(Usage(format!("--rate is for open loops, and {shown} has in_flight")).into());
        };
        profile.arrival.scale(rate.0 / own.0);
    }
    if args.find_knee.is_some() && profile.arrival.rate.is_none() {
        return Err(Usage(format!("--find-knee looks for a rate, and {shown} has in_flight")).into());
    }
    profile.check().map_err(|problem| Usage(format!("{shown}: {problem}")))?;
    let name = args.profile.file_stem().map_or(shown, |stem| stem.to_string_lossy().into_owned());
    Ok((name, profile))
}

/// Where the report goes: told now if it cannot.
fn folder(args: &RunArgs, name: &str) -> Result<PathBuf, Failure> {
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("icefarm-report").join(name));
    let cannot = |error: std::io::Error| Usage(format!("no report can be written to {}: {error}", out.display()));
    fs::create_dir_all(&out).map_err(cannot)?;
    let probe = out.join(".probe");
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(cannot)?;
    Ok(out)
}

/// What is typed to get the same again.
fn command(args: &RunArgs, seed: u64) -> String {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let seeded = if args.seed.is_some() { String::new() } else { format!(" --seed {seed}") };
    format!("icefarm-load {}{seeded}", given.join(" "))
}

/// The cluster under load: one that runs, or one of our own.
#[derive(Debug)]
enum Subject {
    Running(PathBuf),
    Own(Box<Cluster>),
}

impl Subject {
    fn find(args: &RunArgs, profile: &Profile) -> Result<Self, Failure> {
        if let Some(path) = &args.cluster {
            return Ok(Self::Running(path.clone()));
        }
        let usual = Path::new("icefarm-data/client.toml");
        if usual.exists() && !args.own_cluster {
            return Ok(Self::Running(usual.to_owned()));
        }
        let shape = profile.cluster;
        eprintln!("     starting a cluster: {} nodes, {} shards", shape.nodes, shape.shards);
        let shape = Shape { nodes: shape.nodes, voters: shape.voters, shards: shape.shards, world: None };
        Ok(Self::Own(Box::new(Cluster::start(args.data.clone(), shape)?)))
    }

    async fn connect(&self, profile: &Profile) -> Result<Vec<Client>, Failure> {
        let file = match self {
            Self::Running(file) => file.clone(),
            Self::Own(cluster) => cluster.profile(),
        };
        let mut clients = Vec::new();
        for _ in 0..profile.players.connections {
            let mut options = client::Options::default();
            options.requests.request_timeout = profile.run.timeout.0;
            options.requests.max_in_flight = run::room(profile);
            let known = client::Profile::load(&file).map_err(|error| Usage(error.to_string()))?;
            clients.push(Client::connect(known, options).await?);
        }
        Ok(clients)
    }

    fn stop(self) -> Result<(), Failure> {
        match self {
            Self::Running(_) => Ok(()),
            Self::Own(cluster) => cluster.stop(),
        }
    }
}

async fn once(
    plan: &Plan,
    clients: &[Client],
    servers: &[Server],
    args: &RunArgs,
    name: &str,
) -> Result<Shown, Failure> {
    let timing = plan.profile.run;
    let whole = u32::try_from((timing.warm_up.0 + timing.duration.0).as_secs())?;
    let mut show = Show::new(name, whole, args.plain || args.json)?;
    let shown = run::play(plan, clients, servers, &mut show, interrupted()).await;
    show.close();
    shown
}

/// The highest rate at which p99 stays under a bound: twice as much until it does not, then halves of what is between.
async fn knee(
    plan: &mut Plan,
    clients: &[Client],
    servers: &[Server],
    args: &RunArgs,
    bound: Rate,
) -> Result<Shown, Failure> {
    let own = plan.profile.arrival.rate.map_or(1.0, |rate| rate.0);
    plan.profile.run.duration = Period(plan.profile.run.duration.0.min(STEP));
    let (mut good, mut bad): (Option<(f64, Shown)>, Option<f64>) = (None, None);
    let mut rate = own;
    println!("{:>12} {:>12} {:>10} {:>10} {:>10}", "asked/s", "answered/s", "p50 ms", "p99 ms", "unanswered");
    for step in 0..STEPS {
        // Each step has players of its own: the last one's own land already.
        plan.seed = plan.seed.wrapping_add(u64::from(step > 0));
        plan.curve = plan.profile.arrival.curve().map(|curve| curve.scaled(rate / own));
        let mut show = Show::new("knee", 0, true)?;
        show.quiet();
        let shown = run::play(plan, clients, servers, &mut show, interrupted()).await?;
        let report = Report::new("knee", plan, &shown, servers, command(args, plan.seed));
        let all = report.latency_ms["all"];
        let errors: u64 = report.errors.values().sum();
        let answered = report.throughput_per_s;
        let fits = all.p99 <= bound.0 && errors == 0 && answered >= 0.95 * rate && !shown.saturated;
        let verdict = match (fits, shown.saturated) {
            (true, _) => "",
            (false, true) => "  the generator cannot keep up",
            (false, false) => "  too much",
        };
        println!("{rate:>12.0} {answered:>12.0} {:>10.2} {:>10.2} {:>10}{verdict}", all.p50, all.p99, grouped(errors));
        let (stop, wrong) = (shown.interrupted, shown.tally.wrong > 0);
        if fits {
            good = Some((rate, shown));
        } else {
            bad = Some(rate);
            if stop || wrong {
                return Ok(shown);
            }
            tokio::time::sleep(REST).await;
        }
        rate = match (&good, bad) {
            _ if stop => break,
            (Some((good, _)), Some(bad)) if bad / good <= CLOSE => break,
            (Some((good, _)), Some(bad)) => (good * bad).sqrt(),
            (Some((good, _)), None) => good * 2.0,
            (None, Some(bad)) => bad / 2.0,
            (None, None) => break,
        };
    }
    match good {
        Some((rate, shown)) => {
            println!("the knee: {rate:.0} a second, with p99 under {} ms", bound.0);
            plan.curve = plan.profile.arrival.curve().map(|curve| curve.scaled(rate / own));
            Ok(shown)
        }
        None => Err(Missed(format!("at no rate that was tried p99 stayed under {} ms", bound.0)).into()),
    }
}

/// Ctrl-C, or SIGTERM.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        // Where signals cannot be heard, the run just ends in its time.
        heard = tokio::signal::ctrl_c() => if heard.is_err() { std::future::pending().await },
        _ = terminate.recv() => {}
    }
}
