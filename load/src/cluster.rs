//! Three real node processes on this machine, as `icefarm up` starts them.

use crate::{Failure, NoAnswer, process};
use client::{Client, NodeState, Profile, ShardStatus};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use wire::NodeFigures;

/// A running cluster; stopped when dropped.
#[derive(Debug)]
pub struct Cluster {
    up: Child,
    /// Kept open: it goes on printing after `ready`. (A few lines; they fit the pipe.)
    stdout: BufReader<ChildStdout>,
    said: Said,
    data: PathBuf,
    delete: bool,
    /// Nodes that were started again. `up` stops them with the others.
    restarted: Vec<Child>,
    shape: Shape,
}

/// What a cluster is like.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Nodes.
    pub nodes: u32,
    /// Voters of each shard.
    pub voters: u32,
    /// Shards, a power of two.
    pub shards: u32,
    /// A world file other than the usual.
    pub world: Option<PathBuf>,
}

impl Default for Shape {
    fn default() -> Self {
        Self { nodes: 3, voters: 3, shards: 64, world: None }
    }
}

/// How long a node may take to stop, or to be a good follower again.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// What the servers have used and done so far.
#[derive(Clone, Debug)]
pub struct Usage {
    /// Each node's name, memory in bytes and CPU seconds.
    pub nodes: Vec<(String, u64, f64)>,
    /// Log syncs, all nodes together.
    pub syncs: u64,
    /// Bytes written to the logs, all nodes together.
    pub log_bytes: u64,
    /// CPU seconds of this process.
    pub client_cpu: f64,
}

impl Usage {
    /// CPU seconds of all servers.
    pub fn server_cpu(&self) -> f64 {
        self.nodes.iter().map(|(_, _, cpu)| cpu).sum()
    }
}

impl Cluster {
    /// Starts one and waits until it serves.
    pub fn start(data: Option<PathBuf>, shape: Shape) -> Result<Self, Failure> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let delete = data.is_none();
        let own = || format!("icefarm-load-{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let data = data.unwrap_or_else(|| std::env::temp_dir().join(own()));
        let (up, stdout, said) = start_up(&data, &shape)?;
        let mut cluster = Self { up, stdout, said, data, delete, restarted: Vec::new(), shape };
        cluster.wait_ready()?;
        Ok(cluster)
    }

    fn wait_ready(&mut self) -> Result<(), Failure> {
        let mut line = String::new();
        while self.stdout.read_line(&mut line)? > 0 {
            if line.trim_end() == "ready" {
                return Ok(());
            }
            line.clear();
        }
        // What it said last has been heard when it has ended.
        self.up.wait()?;
        Err(NoAnswer(format!("`icefarm up` ended before it was ready:{}", self.said)).into())
    }

    /// Stops all nodes cleanly; they can be started again.
    pub fn stop_all(&mut self) -> Result<(), Failure> {
        self.terminate();
        self.up.wait()?;
        Ok(())
    }

    /// Ends all nodes, and who started them, at once.
    pub fn kill_all(&mut self) -> Result<(), Failure> {
        // The nodes first: without who started them they would stop cleanly.
        for nth in 1..=self.shape.nodes {
            self.kill(&format!("n{nth}"))?;
        }
        self.up.kill()?;
        self.up.wait()?;
        Ok(())
    }

    /// Ends a node at once.
    pub fn kill(&self, node: &str) -> Result<(), Failure> {
        let pid: i32 = fs::read_to_string(self.data.join(node).join("pid"))?.trim().parse()?;
        if let Some(pid) = Pid::from_raw(pid) {
            // It may have gone with whoever started it.
            let _ = kill_process(pid, Signal::KILL);
        }
        Ok(())
    }

    /// Starts what was stopped or killed; says how long it took until claims were served.
    pub fn up_again(&mut self) -> Result<Duration, Failure> {
        let begin = Instant::now();
        (self.up, self.stdout, self.said) = start_up(&self.data, &self.shape)?;
        self.wait_ready()?;
        Ok(begin.elapsed())
    }

    /// From its next start on, each node has this setting.
    pub fn configure(&self, section: &str, word: &str, value: &str) -> Result<(), Failure> {
        for nth in 1..=self.shape.nodes {
            set(&self.data.join(format!("n{nth}")).join("node.toml"), section, word, value)?;
        }
        Ok(())
    }

    /// Frames that all nodes have sent each other.
    pub async fn peer_frames(&self, client: &Client) -> Result<u64, Failure> {
        self.sum(client, |figures| figures.peer_frames).await
    }

    /// Bytes of checkpoints that nodes have had from others.
    pub async fn snapshot_bytes(&self, client: &Client) -> Result<u64, Failure> {
        self.sum(client, |figures| figures.snapshot_bytes).await
    }

    async fn sum(&self, client: &Client, of: fn(&NodeFigures) -> u64) -> Result<u64, Failure> {
        let nodes = client.nodes().await?.into_iter();
        let figure = |state| if let NodeState::Up(report) = state { of(&report.figures) } else { 0 };
        Ok(nodes.map(|node| figure(node.state)).sum())
    }

    /// Disk that its data takes.
    pub fn disk_bytes(&self) -> Result<u64, Failure> {
        let mut bytes = 0;
        let mut folders = vec![self.data.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                    // What is taken, not what is spoken for.
                    Ok(metadata) => bytes += metadata.blocks() * 512,
                    // A segment of the log may go while we look.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(bytes)
    }

    /// Its client profile.
    pub fn profile(&self) -> PathBuf {
        self.data.join("client.toml")
    }

    /// A client of it.
    pub async fn connect(&self) -> Result<Client, Failure> {
        let profile = Profile::load(&self.profile())?;
        Ok(Client::connect(profile, client::Options::default()).await?)
    }

    /// What it has used and done.
    pub async fn snapshot(&self, client: &Client) -> Result<Usage, Failure> {
        let mut usage =
            Usage { nodes: Vec::new(), syncs: 0, log_bytes: 0, client_cpu: process::cpu_seconds(std::process::id())? };
        for node in client.nodes().await? {
            match node.state {
                NodeState::Up(report) => {
                    usage.syncs += report.figures.syncs;
                    usage.log_bytes += report.figures.log_bytes;
                    let (memory, cpu) = (process::resident_bytes(report.pid)?, process::cpu_seconds(report.pid)?);
                    usage.nodes.push((node.entry.id.to_string(), memory, cpu));
                }
                NodeState::Down(why) => return Err(NoAnswer(format!("{} is down: {why}", node.entry.id)).into()),
            }
        }
        Ok(usage)
    }

    /// Restarts a node with this number in its configuration of the stores.
    pub async fn restart_with(&mut self, node: &str, word: &str, number: u64) -> Result<(), Failure> {
        let home = self.data.join(node);
        let config = home.join("node.toml");
        let pid: i32 = fs::read_to_string(home.join("pid"))?.trim().parse()?;
        if let Some(pid) = Pid::from_raw(pid) {
            kill_process(pid, Signal::TERM)?;
        }
        set(&config, "storage", word, &number.to_string())?;
        // The file goes with the process.
        self.wait(|| Ok(!home.join("pid").exists()), &format!("{node} does not stop")).await?;
        let program = beside("icefarm")?;
        let mut command = Command::new(&program);
        command.arg("node").arg("--config").arg(&config).arg("--log-dir").arg(home.join("logs"));
        self.restarted.push(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        Ok(())
    }

    /// Waits until every shard is led, none of them by `node`, and that one has all that is chosen.
    pub async fn wait_led_by_others(&self, client: &Client, node: &str) -> Result<(), Failure> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let shards = client.shards().await?.shards;
            let follows = |shard: &ShardStatus| {
                let own = shard.replicas.iter().find(|(id, _)| id.to_string() == node);
                let led = shard.leader.is_some_and(|leader| leader.to_string() != node);
                led && own.is_some_and(|(_, report)| report.applied == shard.chosen)
            };
            if !shards.is_empty() && shards.iter().all(follows) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(NoAnswer(format!("{node} does not follow the others after {} s", PATIENCE.as_secs())).into())
    }

    async fn wait(&mut self, mut look: impl FnMut() -> Result<bool, Failure>, why_not: &str) -> Result<(), Failure> {
        let begin = Instant::now();
        while !look()? {
            if begin.elapsed() > PATIENCE {
                return Err(NoAnswer(why_not.to_owned()).into());
            }
            tokio::time::sleep(LOOK).await;
        }
        // Nobody else reaps what was started here.
        self.restarted.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        Ok(())
    }

    /// The directory that its data directory is in: what is measured there is measured on the same disk.
    pub fn beside(&self) -> PathBuf {
        self.data.parent().map_or_else(std::env::temp_dir, Path::to_owned)
    }

    /// Stops it and waits for that.
    pub fn stop(mut self) -> Result<(), Failure> {
        self.terminate();
        self.up.wait()?;
        Ok(())
    }

    fn terminate(&self) {
        // A process that has gone needs no signal.
        if let Some(pid) = i32::try_from(self.up.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if matches!(self.up.try_wait(), Ok(None)) {
            self.terminate();
            let _ = self.up.wait();
        }
        if let Some(world) = &self.shape.world {
            let _ = fs::remove_file(world);
        }
        if self.delete {
            let _ = fs::remove_dir_all(&self.data);
        }
    }
}

/// Runs `icefarm up`.
fn start_up(data: &Path, shape: &Shape) -> Result<(Child, BufReader<ChildStdout>, Said), Failure> {
    let program = beside("icefarm")?;
    let mut command = Command::new(&program);
    command.arg("up").arg("--data").arg(data).args(["--http", "127.0.0.1:0"]);
    command.args(["--nodes", &shape.nodes.to_string(), "--voters", &shape.voters.to_string()]);
    command.args(["--shards", &shape.shards.to_string()]);
    if let Some(world) = &shape.world {
        command.arg("--world").arg(world);
    }
    let up = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut up = up.map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    let stdout = up.stdout.take().expect("it was asked for just now");
    let said = Said::default();
    if let Some(stderr) = up.stderr.take() {
        said.listen(stderr);
    }
    Ok((up, BufReader::new(stdout), said))
}

/// The last lines that `icefarm up` has said. They are told if it fails; what it says of nodes that we kill is no news.
#[derive(Clone, Debug, Default)]
struct Said(Arc<Mutex<VecDeque<String>>>);

impl Said {
    /// Lines that are kept.
    const LINES: usize = 20;

    fn listen(&self, from: impl Read + Send + 'static) {
        let Self(lines) = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push_back(line);
                if lines.len() > Self::LINES {
                    lines.pop_front();
                }
            }
        });
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// Changes one setting of a configuration.
fn set(config: &Path, section: &str, word: &str, value: &str) -> Result<(), Failure> {
    let text = fs::read_to_string(config)?;
    let mut lines: Vec<&str> = text.lines().filter(|line| line.split(' ').next() != Some(word)).collect();
    let (heading, line) = (format!("[{section}]"), format!("{word} = {value}"));
    let place = lines.iter().position(|line| *line == heading);
    lines.insert(place.ok_or_else(|| format!("{} has no {heading}", config.display()))? + 1, &line);
    Ok(fs::write(config, lines.join("\n") + "\n")?)
}

/// The usual world with one change, in a file of its own.
pub fn edited_world((before, after): (&str, &str)) -> Result<PathBuf, Failure> {
    let text = include_str!("../../maps/worlds/ice-age.toml");
    if !text.contains(before) {
        return Err(format!("the usual world has no {before}").into());
    }
    let path = std::env::temp_dir().join(format!("icefarm-load-world-{}.toml", std::process::id()));
    fs::write(&path, text.replacen(before, after, 1))?;
    Ok(path)
}

/// A program of ours in the same directory as this one.
pub fn beside(name: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()?;
    let path = own.parent().unwrap_or(Path::new(".")).join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} is not there: build it with `cargo build --release -p icefarm`", path.display()).into())
    }
}
