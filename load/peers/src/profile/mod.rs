//! Where the time of a claim goes: three nodes of which one leads everything, so that leader and follower can be told apart,
//! under the closed loop of the race.

mod paper;
mod parts;
pub mod paths;
mod perf;

use crate::Failure;
use crate::cli::ProfileArgs;
use crate::meter::Measured;
use crate::process::cpu_seconds;
use crate::report::Race;
use crate::serve::Servers;
use crate::work::Peer;
use parts::Costs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// A client's seconds before anything is measured of the servers: its own warm-up, and some.
const LEAD: Duration = Duration::from_secs(2);
/// A load that lasts longer than what is measured under it by so many seconds.
const MARGIN: u64 = 4;
/// Shards that `icefarm up` founds a cluster with.
const SHARDS: u32 = 64;

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// Claims in flight.
    in_flight: usize,
    /// The loop alone: nobody looked.
    loaded: Measured,
    /// Microseconds of CPU for a claim.
    client: f64,
    leader: f64,
    /// The mean of both.
    follower: f64,
    /// By system call: for 1,000 claims, of the leader and of one follower.
    calls: Vec<(&'static str, f64, f64)>,
    /// Shares of their samples.
    leader_costs: Costs,
    follower_costs: Costs,
    /// By role: where a process was.
    graphs: Vec<(&'static str, Vec<String>)>,
}

/// Measures, draws, and writes what came of it into `PERFORMANCE.md`.
pub async fn run(args: &ProfileArgs) -> Result<(), Failure> {
    perf::check()?;
    let icefarm = std::path::absolute(&args.icefarm)?;
    let race = args.race.as_deref().map(Race::read).transpose()?;
    let paper = paper::Paper::open(&args.out.join("PERFORMANCE.md"))?;
    let data = args.data.clone().unwrap_or_else(std::env::temp_dir);
    let mut servers = Servers::start(Peer::Ours, &data, &icefarm)?;
    let found = tokio::select! {
        found = measure(args, &icefarm, &mut servers) => found?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            return Err("interrupted: nothing was written".into());
        }
    };
    for (role, stacks) in &found.graphs {
        let title = format!("{role}, claims, {} in flight", args.in_flight);
        perf::draw(stacks, &title, &args.out.join(format!("flame-{role}.svg")))?;
    }
    paper.write(&found, race.as_ref(), args.scale.as_deref())
}

async fn measure(args: &ProfileArgs, icefarm: &Path, servers: &mut Servers) -> Result<Found, Failure> {
    let cluster = PathBuf::from(&servers.address);
    // It goes with the servers, also when somebody has had enough.
    let folder = cluster.parent().ok_or("the cluster is nowhere")?.to_owned();
    lead_everything(icefarm, &cluster).await?;
    let pid = |node: &str| -> Result<u32, Failure> {
        let file = cluster.with_file_name(node).join("pid");
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(text.trim().parse()?)
    };
    let (leader, followers) = (pid("n1")?, [pid("n2")?, pid("n3")?]);
    let mut loads = Loads { servers: servers.pids(), address: servers.address.clone(), nth: 1 };
    eprintln!("warming up");
    finish(loads.begin(256, 6)?).await?;

    eprintln!("CPU of each process");
    let load = loads.begin(args.in_flight, args.seconds + MARGIN)?;
    tokio::time::sleep(LEAD).await;
    let before = (cpu_seconds(&[leader])?, cpu_seconds(&followers)?);
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let after = (cpu_seconds(&[leader])?, cpu_seconds(&followers)?);
    let loaded = finish(load).await?;
    #[allow(clippy::cast_precision_loss, reason = "seconds")]
    let claims = |measured: &Measured| measured.per_s * args.seconds as f64;
    let micros = |seconds: f64| seconds / claims(&loaded) * 1e6;

    eprintln!("system calls");
    let load = loads.begin(args.in_flight, args.seconds + MARGIN)?;
    tokio::time::sleep(LEAD).await;
    let (of_leader, of_follower) =
        tokio::try_join!(perf::calls(leader, args.seconds), perf::calls(followers[0], args.seconds))?;
    let under_calls = finish(load).await?;
    let each = |count: f64| count / claims(&under_calls) * 1e3;
    let calls = of_leader.into_iter().zip(of_follower).map(|((name, a), (_, b))| (name, each(a), each(b))).collect();

    let (mut costs, mut graphs) = (Vec::new(), Vec::new());
    for (role, pid) in [("leader", leader), ("follower", followers[0])] {
        eprintln!("stacks of the {role}");
        let load = loads.begin(args.in_flight, args.seconds + MARGIN)?;
        tokio::time::sleep(LEAD).await;
        let stacks = perf::stacks(pid, args.seconds, &folder).await?;
        finish(load).await?;
        costs.push(Costs::of(&stacks));
        graphs.push((role, stacks));
    }
    servers.check()?;
    let [leader_costs, follower_costs] = <[Costs; 2]>::try_from(costs).map_err(|_| "two were measured")?;
    Ok(Found {
        in_flight: args.in_flight,
        client: loaded.client_cpu * 1e3,
        leader: micros(after.0 - before.0),
        follower: micros(after.1 - before.1) / 2.0,
        loaded,
        calls,
        leader_costs,
        follower_costs,
        graphs,
    })
}

/// From now on n1 leads all shards.
async fn lead_everything(icefarm: &Path, cluster: &Path) -> Result<(), Failure> {
    for shard in 1..=SHARDS {
        let mut command = Command::new(icefarm);
        command.arg("--cluster").arg(cluster).args(["admin", "transfer-leader", &shard.to_string(), "n1"]);
        let output = command.stdin(Stdio::null()).output().await?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("n1 cannot lead shard {shard}: {}", said.trim()).into());
        }
    }
    Ok(())
}

/// Closed loops of claims, one after the other.
struct Loads {
    servers: Vec<u32>,
    address: String,
    nth: u64,
}

impl Loads {
    fn begin(&mut self, in_flight: usize, seconds: u64) -> Result<Child, Failure> {
        self.nth += 1;
        let servers: Vec<String> = self.servers.iter().map(ToString::to_string).collect();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["drive", "--peer", "ours", "--work", "claims", "--in-flight", &in_flight.to_string()]);
        command.args(["--seconds", &seconds.to_string(), "--at", &self.address, "--servers", &servers.join(",")]);
        command.args(["--nth", &self.nth.to_string()]);
        Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?)
    }
}

async fn finish(load: Child) -> Result<Measured, Failure> {
    let output = load.wait_with_output().await?;
    if !output.status.success() {
        return Err("the load failed".into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
