//! Three real node processes on this machine, as `icefarm up` starts them.

use crate::{Failure, NoAnswer, process};
use client::{Client, NodeState, Profile};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running cluster; stopped when dropped.
#[derive(Debug)]
pub struct Cluster {
    up: Child,
    /// Kept open: it goes on printing after `ready`. (A few lines; they fit the pipe.)
    stdout: BufReader<ChildStdout>,
    data: PathBuf,
    delete: bool,
}

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
    pub fn start(data: Option<PathBuf>) -> Result<Self, Failure> {
        let program = beside("icefarm")?;
        let delete = data.is_none();
        let data = data.unwrap_or_else(|| std::env::temp_dir().join(format!("icefarm-load-{}", std::process::id())));
        let mut up = Command::new(&program)
            .arg("up")
            .arg("--data")
            .arg(&data)
            .args(["--http", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let stdout = up.stdout.take().expect("it was asked for just now");
        let mut cluster = Self { up, stdout: BufReader::new(stdout), data, delete };
        let mut line = String::new();
        while cluster.stdout.read_line(&mut line)? > 0 {
            if line.trim_end() == "ready" {
                return Ok(cluster);
            }
            line.clear();
        }
        Err(NoAnswer(format!("`{} up` ended before it was ready", program.display())).into())
    }

    /// A client of it.
    pub async fn connect(&self) -> Result<Client, Failure> {
        let profile = Profile::load(&self.data.join("client.toml"))?;
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
        if self.delete {
            let _ = fs::remove_dir_all(&self.data);
        }
    }
}

/// A program of ours in the same directory as this one.
fn beside(name: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()?;
    let path = own.parent().unwrap_or(Path::new(".")).join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} is not there: build it with `cargo build --release -p icefarm`", path.display()).into())
    }
}
