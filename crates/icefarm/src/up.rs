//! `icefarm up`: a whole cluster on this machine, every node a process of its own.

use crate::bots;
use crate::door::Door;
use crate::exit::{Exit, Failure};
use crate::founding::{self, Founded, Plan, Site};
use crate::processes::{self, NodeProcess, describe};
use crate::stdout;
use client::{Client, Profile};
use node::NodeConfig;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, interval};

/// Between two looks at the nodes.
const LOOK: Duration = Duration::from_millis(50);
/// How long the nodes may take to serve.
const START: Duration = Duration::from_mins(1);
/// How long a stop may take before it is forced; a second remains for the rest.
const STOP: Duration = Duration::from_secs(8);
/// How soon a killed process is gone.
const GONE: Duration = Duration::from_secs(1);

/// `icefarm up`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Everything is kept under --data: `icefarm up` again goes on where it stopped. Ctrl-C or SIGTERM stops all nodes.
A node that ends is reported and not restarted; to see how the others go on without it:
  kill -9 $(cat icefarm-data/n2/pid)
  icefarm node --config icefarm-data/n2/node.toml     # and back")]
pub struct UpArgs {
    /// Nodes, each a process [default: 3]
    #[arg(long)]
    pub nodes: Option<u32>,
    /// Voters of each shard, an odd number [default: 3, or 1 where there are fewer nodes]
    #[arg(long)]
    pub voters: Option<usize>,
    /// Shards, a power of two [default: 64]
    #[arg(long)]
    pub shards: Option<u32>,
    /// The world file [default: the ice age]
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,
    /// Where data, logs, process ids and the client's profile are kept
    #[arg(long, value_name = "DIR", default_value = "./icefarm-data")]
    pub data: PathBuf,
    /// HTTP address of n1; the others use the ports after it; port 0 picks free ones
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Let N players roam and farm, so that there is something to see
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub bots: usize,
    /// Delete --data first, if it is ours and nobody holds it
    #[arg(long)]
    pub fresh: bool,
}

/// Runs the cluster until it is told to stop.
pub fn run(args: &UpArgs) -> Result<(), Failure> {
    let world = founding::read_world(args.world.as_deref())?;
    let mut known = founding::founded(&args.data)?;
    let mut held = match &known {
        Some(_) => Some(hold(&args.data)?),
        None => None,
    };
    if args.fresh && held.is_some() {
        if let Some((name, pid)) = still_running(&args.data, known.as_ref()) {
            return Err(Failure::new(
                Exit::Machine,
                format!("--fresh: node {name} of {} is still running (process {pid})", args.data.display()),
            )
            .hint(format!("stop it first: kill {pid}")));
        }
        fs::remove_dir_all(&args.data).map_err(|error| cannot("delete", &args.data, &error))?;
        known = None;
        held = None;
    }
    let founded = match known {
        Some(founded) => {
            check_same(args, &founded, &world)?;
            founded
        }
        None => found(args, world)?,
    };
    let held = match held {
        Some(held) => held,
        None => hold(&args.data)?,
    };
    let http = founding::http_addrs(args.http, founded.nodes as usize)?;
    founding::set_http(&args.data, &http)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Machine, format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(Cluster::start_and_watch(args, &founded));
    drop(held);
    result
}

/// Takes the directory for this process; the file names who has it.
fn hold(data: &Path) -> Result<File, Failure> {
    let path = data.join("LOCK");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| cannot("open", &path, &error))?;
    match file.try_lock() {
        Ok(()) => {
            let named = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
            named.map_err(|error| cannot("write", &path, &error))?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            Err(Failure::new(
                Exit::Machine,
                format!("{} is in use by another `icefarm up` (process {})", data.display(), holder.trim()),
            )
            .hint("stop that one first, or name another --data directory"))
        }
        Err(TryLockError::Error(error)) => Err(cannot("lock", &path, &error)),
    }
}

fn still_running(data: &Path, founded: Option<&Founded>) -> Option<(String, u32)> {
    (1..=founded?.nodes).find_map(|index| {
        let name = format!("n{index}");
        processes::running(&data.join(&name)).map(|pid| (name, pid))
    })
}

/// Asking for another cluster than the data's is a mistake, not a wish to change it.
fn check_same(args: &UpArgs, founded: &Founded, world: &founding::WorldText) -> Result<(), Failure> {
    let differs = |what: &str, asked: String, has: String| {
        Err(Failure::new(
            Exit::Usage,
            format!("{what} {asked}: the cluster in {} was founded with {has}", args.data.display()),
        )
        .hint(format!("leave {what} out to go on with it, or add --fresh to delete it and begin anew")))
    };
    if let Some(nodes) = args.nodes.filter(|&nodes| nodes != founded.nodes) {
        return differs("--nodes", nodes.to_string(), founded.nodes.to_string());
    }
    if let Some(voters) = args.voters.filter(|&voters| voters != founded.voters) {
        return differs("--voters", voters.to_string(), founded.voters.to_string());
    }
    if let Some(shards) = args.shards.filter(|&shards| shards != founded.shards) {
        return differs("--shards", shards.to_string(), founded.shards.to_string());
    }
    if let Some(file) = &args.world {
        let path = args.data.join("world.toml");
        let kept = fs::read_to_string(&path).map_err(|error| cannot("read", &path, &error))?;
        if kept != world.text {
            return differs("--world", file.display().to_string(), format!("the world in {}", path.display()));
        }
    }
    Ok(())
}

fn found(args: &UpArgs, world: founding::WorldText) -> Result<Founded, Failure> {
    let nodes = args.nodes.unwrap_or(3);
    if nodes == 0 {
        return Err(Failure::new(Exit::Usage, "--nodes 0: a cluster has at least one node"));
    }
    let count = nodes as usize;
    let quic = founding::free_udp_ports(count)?;
    let http = founding::http_addrs(args.http, count)?;
    let sites = quic.into_iter().zip(http);
    let sites = sites.map(|(quic, http)| Site { quic, http, region: "local".into() }).collect();
    let voters = args.voters.unwrap_or_else(|| founding::default_voters(count));
    let plan = Plan { sites, voters, shards: args.shards.unwrap_or(64), world };
    let founded = founding::found(&args.data, &plan)?;
    stdout::text(&format!("founded a cluster of {nodes} nodes in {}\n", args.data.display()))?;
    Ok(founded)
}

/// The running nodes.
struct Cluster {
    data: PathBuf,
    nodes: Vec<NodeProcess>,
    terminate: Signal,
    interrupt: Signal,
}

impl Cluster {
    async fn start_and_watch(args: &UpArgs, founded: &Founded) -> Result<(), Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::new(Exit::Machine, format!("cannot listen for signals: {error}")))
        };
        let mut cluster = Self {
            data: args.data.clone(),
            nodes: Vec::new(),
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        };
        let result = cluster.serve(args, founded).await;
        cluster.stop().await;
        result
    }

    async fn serve(&mut self, args: &UpArgs, founded: &Founded) -> Result<(), Failure> {
        for index in 1..=founded.nodes {
            let name = format!("n{index}");
            let process = NodeProcess::start(&self.data.join(&name), &name)?;
            self.nodes.push(process);
        }
        let doors = self.configs()?.iter().map(Door::of).collect::<Result<Vec<_>, _>>()?;
        if !self.until_ready(&doors).await? {
            return Ok(());
        }
        let profile = self.data.join("client.toml");
        stdout::text(&format!("{}\n\nready\n\n{}", self.table(founded)?, self.next_steps(&doors[0].url())))?;
        let bots = self.start_bots(args.bots, &profile).await?;
        self.watch().await;
        if let Some(bots) = bots {
            bots.abort();
        }
        Ok(())
    }

    /// Waits until every node serves; `false`: told to stop meanwhile. A node that ends now is a failure.
    async fn until_ready(&mut self, doors: &[Door]) -> Result<bool, Failure> {
        let deadline = Instant::now() + START;
        let mut look = interval(LOOK);
        loop {
            tokio::select! {
                _ = look.tick() => {}
                _ = self.terminate.recv() => return Ok(false),
                _ = self.interrupt.recv() => return Ok(false),
            }
            for node in &mut self.nodes {
                if let Some(status) = node.poll_ended() {
                    let words = node.last_words();
                    let status = match status.code() {
                        Some(2) => Exit::Usage,
                        Some(6) => Exit::Machine,
                        _ => Exit::Bug,
                    };
                    return Err(Failure::new(status, format!("node {} did not start: {words}", node.name)));
                }
            }
            let mut waiting = None;
            for (node, door) in self.nodes.iter().zip(doors) {
                if let Some(why) = door.not_ready().await {
                    waiting = Some((node.name.clone(), why));
                    break;
                }
            }
            match waiting {
                None => return Ok(true),
                Some((name, why)) if Instant::now() >= deadline => {
                    let logs = self.data.join(&name).join("logs");
                    return Err(Failure::new(
                        Exit::Unavailable,
                        format!("node {name} does not serve after {} s: {why}", START.as_secs()),
                    )
                    .hint(format!("its log is in {}", logs.display())));
                }
                Some(_) => {}
            }
        }
    }

    fn table(&self, founded: &Founded) -> Result<String, Failure> {
        let (shards, voters, world) = (founded.shards, founded.voters, &founded.world);
        let mut rows = vec![
            format!("{shards} shards with {voters} voters each, world '{world}'"),
            String::new(),
            format!("{:<6}{:<10}{:<23}{:<23}log", "node", "process", "QUIC", "HTTP"),
        ];
        for (node, config) in self.nodes.iter().zip(self.configs()?) {
            let (pid, logs) = (node.pid(), self.data.join(&node.name).join("logs"));
            let (quic, http) = (config.quic.to_string(), config.http.to_string());
            rows.push(format!("{:<6}{pid:<10}{quic:<23}{http:<23}{}", node.name, logs.display()));
        }
        Ok(rows.join("\n"))
    }

    /// How each node is configured.
    fn configs(&self) -> Result<Vec<NodeConfig>, Failure> {
        let load = |node: &NodeProcess| {
            let config = NodeConfig::load(&self.data.join(&node.name).join("node.toml"));
            config.map_err(|error| Failure::new(Exit::Machine, error.to_string()))
        };
        self.nodes.iter().map(load).collect()
    }

    fn next_steps(&self, page: &str) -> String {
        let program = std::env::args().next().unwrap_or_else(|| "icefarm".into());
        let data = self.data.display();
        let export = if self.data == Path::new("./icefarm-data") {
            String::new()
        } else {
            format!("  export ICEFARM_CLUSTER={data}/client.toml\n")
        };
        format!(
            "Play in a browser:        {page}/\n\
Watch the cluster there:  {page}/console\n\n\
Or from another terminal:\n{export}\
  \x20 {program} claim 30980,8190 --as scrat       # take a field\n\
  \x20 {program} view 30960,8180                   # look around\n\
  \x20 {program} admin nodes                       # who leads what\n\
  \x20 kill -9 $(cat {data}/n2/pid)                # and see that the others go on\n\
Ctrl-C stops everything; `up` again goes on from {data}.\n"
        )
    }

    async fn start_bots(&self, count: usize, profile: &Path) -> Result<Option<tokio::task::JoinHandle<()>>, Failure> {
        if count == 0 {
            return Ok(None);
        }
        let profile = Profile::load(profile).map_err(|error| broken("read the profile", error))?;
        let client = Client::connect(profile, client::Options::default())
            .await
            .map_err(|error| Failure::new(Exit::Unavailable, format!("the bots cannot connect: {error}")))?;
        stdout::text(&format!("{count} bots roam and farm\n"))?;
        Ok(Some(tokio::spawn(bots::run(client, count, std::future::pending()))))
    }

    /// Tells of nodes that end, until told to stop.
    async fn watch(&mut self) {
        let mut look = interval(LOOK);
        loop {
            tokio::select! {
                _ = look.tick() => {}
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
            }
            for node in &mut self.nodes {
                if let Some(status) = node.poll_ended() {
                    let words = node.last_words();
                    stdout::aside(format_args!("node {} has ended: {}", node.name, describe(status)));
                    if !words.is_empty() {
                        stdout::aside(words);
                    }
                    let config = self.data.join(&node.name).join("node.toml");
                    stdout::aside(format_args!("  to restart it: icefarm node --config {}", config.display()));
                }
            }
        }
    }

    /// Stops every node: asks, waits, insists.
    async fn stop(&mut self) {
        for node in &self.nodes {
            node.terminate();
        }
        let homes: Vec<PathBuf> = self.nodes.iter().map(|node| self.data.join(&node.name)).collect();
        let ours: Vec<u32> = self.nodes.iter().map(NodeProcess::pid).collect();
        // Those that somebody restarted by hand.
        let others = homes.iter().filter_map(|home| processes::running(home)).filter(|pid| !ours.contains(pid));
        let others: Vec<u32> = others.collect();
        for &pid in &others {
            processes::terminate(pid);
        }
        let deadline = Instant::now() + STOP;
        let mut look = interval(LOOK);
        let mut left = vec![true; self.nodes.len()];
        loop {
            look.tick().await;
            for (node, left) in self.nodes.iter_mut().zip(&mut left) {
                *left = *left && !node.has_ended();
            }
            if !left.contains(&true) && !others.iter().any(|&pid| processes::is_there(pid)) {
                return;
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        for (node, _) in self.nodes.iter_mut().zip(&left).filter(|(_, left)| **left) {
            stdout::aside(format_args!("node {} does not stop: killed (nothing acknowledged is lost)", node.name));
            node.kill();
        }
        for &pid in &others {
            processes::kill(pid);
        }
        // They are gone in a moment, and only then is their data free.
        let deadline = Instant::now() + GONE;
        while Instant::now() < deadline
            && (self.nodes.iter_mut().any(|node| !node.has_ended())
                || others.iter().any(|&pid| processes::is_there(pid)))
        {
            look.tick().await;
        }
    }
}

/// Why the node at `addr` does not serve yet; `None`: it does.
fn cannot(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Machine, format!("cannot {doing} {}: {error}", path.display()))
}

fn broken(doing: &str, error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Machine, format!("cannot {doing}: {error}"))
}
