//! A whole cluster of real processes on this machine.
//!
//! Invariants: one cluster at a time in this process; no node outlives its [`Cluster`]; the files of a failed test stay.

use crate::cli::{self, Cli};
use crate::http;
use crate::network::Network;
use crate::operator::Operator;
use crate::program::{self, Program, icefarm};
use crate::scratch::Scratch;
use crate::wait::until;
use client::Profile;
use paxos::NodeId;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A start takes about two seconds.
pub const START: Duration = Duration::from_secs(20);
/// What the contract allows for a stop.
pub const STOP: Duration = Duration::from_secs(10);
/// Whatever takes a moment.
pub const MOMENT: Duration = Duration::from_secs(10);

static TURN: Mutex<()> = Mutex::new(());

/// What to found.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Nodes.
    pub nodes: u32,
    /// Shards.
    pub shards: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { nodes: 3, shards: 64 }
    }
}

/// A running cluster; whatever is left of it ends with this value.
#[derive(Debug)]
pub struct Cluster {
    options: Options,
    up: Option<Program>,
    restarted: BTreeMap<NodeId, Program>,
    network: Option<Network>,
    scratch: Scratch,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Waits for its turn, founds a cluster and waits until it is ready. `name` is for whoever looks at its files.
    ///
    /// # Panics
    /// If it does not get ready.
    pub fn start(name: &str, options: Options) -> Self {
        let mut cluster = Self::prepare(name, options);
        cluster.up();
        cluster
    }

    /// Waits for its turn, and starts nothing yet.
    pub fn prepare(name: &str, options: Options) -> Self {
        // A test that failed has cleaned up behind itself all the same.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Self { options, up: None, restarted: BTreeMap::new(), network: None, scratch: Scratch::new(name), _turn: turn }
    }

    /// Makes the cluster's files, and starts nothing yet.
    ///
    /// # Panics
    /// If that fails.
    pub fn found(&self) {
        let sockets: Vec<UdpSocket> =
            self.nodes().map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port")).collect();
        let sites = sockets.iter().map(|socket| socket.local_addr().expect("it is bound"));
        // `up` chooses the HTTP ports.
        self.found_at(&sites.map(|quic| format!("{quic},1")).collect::<Vec<_>>(), &[]);
    }

    fn found_at(&self, sites: &[String], arguments: &[&str]) {
        let mut command = Command::new(icefarm());
        command.args(["cluster", "init"]).arg(self.data()).args(["--shards", &self.options.shards.to_string()]);
        command.args(arguments);
        for site in sites {
            command.args(["--node", site]);
        }
        let _ = cli::run(&mut command).expect(0);
    }

    /// As [`Cluster::found`], with nodes that are on this network, to be started one by one ([`Cluster::restart`]), and vote in
    /// every shard.
    ///
    /// # Panics
    /// If that fails.
    pub fn found_on(&mut self, network: Network) {
        self.found_at(&network.sites(), &["--voters", &self.options.nodes.to_string()]);
        self.network = Some(network);
    }

    /// The network that it is on.
    ///
    /// # Panics
    /// If it is not on one of its own.
    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("the cluster is on a network of its own")
    }

    /// Changes a node's `node.toml`: each line that begins with the first word of one of `lines` becomes that line.
    ///
    /// # Panics
    /// If there is no such line.
    pub fn configure(&self, node: NodeId, lines: &[&str]) {
        let path = self.home(node).join("node.toml");
        let mut text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for line in lines {
            let word = line.split(' ').next().unwrap_or_default();
            let old = text.lines().find(|old| old.split(' ').next() == Some(word)).map(str::to_owned);
            let old = old.unwrap_or_else(|| panic!("no line '{word} ...' in {text}"));
            text = text.replacen(&old, line, 1);
        }
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// `icefarm up`; returns when it says `ready`, with how long that took.
    ///
    /// # Panics
    /// If it does not.
    pub fn up(&mut self) -> Duration {
        self.up_with(&[])
    }

    /// `icefarm up` with more arguments.
    ///
    /// # Panics
    /// As [`Cluster::up`].
    pub fn up_with(&mut self, arguments: &[&str]) -> Duration {
        assert!(self.up.is_none(), "the cluster is up");
        let begin = Instant::now();
        let mut command = self.up_command();
        command.args(["--nodes", &self.options.nodes.to_string(), "--shards", &self.options.shards.to_string()]);
        let mut up = Program::start("icefarm up", command.args(arguments));
        up.wait_line("ready", START);
        self.up = Some(up);
        begin.elapsed()
    }

    /// `icefarm up` on this cluster's data, with free HTTP ports, not started.
    pub fn up_command(&self) -> Command {
        let mut command = Command::new(icefarm());
        command
            .arg("up")
            .arg("--data")
            .arg(self.data())
            .args(["--http", "127.0.0.1:0"])
            .current_dir(self.scratch.path());
        command
    }

    /// The process that `icefarm up` is.
    ///
    /// # Panics
    /// If it was not started.
    pub fn up_process(&mut self) -> &mut Program {
        self.up.as_mut().expect("the cluster is up")
    }

    /// SIGTERM to `up`; returns when it and all nodes have ended, with how long that took.
    ///
    /// # Panics
    /// If that takes longer than the contract allows, `up` fails, or a process is left.
    pub fn down(&mut self) -> Duration {
        let pids: Vec<u32> = self.nodes().filter_map(|node| self.running(node)).collect();
        let mut up = self.up.take().expect("the cluster is up");
        let begin = Instant::now();
        up.signal(Signal::TERM);
        let status = up.wait_ended(STOP);
        let took = begin.elapsed();
        assert!(status.success(), "up ended with {status}: {}", up.stderr());
        let left: Vec<u32> = pids.into_iter().filter(|pid| program::is_running(*pid)).collect();
        assert!(left.is_empty(), "up has ended, the node processes {left:?} have not");
        self.restarted.clear();
        took
    }

    /// SIGKILL to `up`, as if its terminal had burnt.
    pub fn kill_up(&mut self) {
        self.up.take().expect("the cluster is up").kill();
    }

    /// SIGKILL to a node; returns when it is gone.
    ///
    /// # Panics
    /// If it does not run, or does not go.
    pub fn kill(&self, node: NodeId) {
        self.kill_together(&[node]);
    }

    /// SIGKILL to several nodes at once; returns when they are gone.
    ///
    /// # Panics
    /// If one does not run, or does not go.
    pub fn kill_together(&self, nodes: &[NodeId]) {
        let pids: Vec<u32> = nodes.iter().map(|node| self.pid(*node)).collect();
        for pid in &pids {
            program::signal(*pid, Signal::KILL);
        }
        for pid in pids {
            until(&format!("process {pid} is gone"), MOMENT, || {
                if program::is_running(pid) { Err("it runs".to_owned()) } else { Ok(()) }
            });
        }
    }

    /// SIGSTOP to a node.
    pub fn pause(&self, node: NodeId) {
        program::signal(self.pid(node), Signal::STOP);
    }

    /// SIGCONT to a node.
    pub fn go_on(&self, node: NodeId) {
        program::signal(self.pid(node), Signal::CONT);
    }

    /// `icefarm node` for a node that has ended; returns at once.
    pub fn restart(&mut self, node: NodeId) {
        let process = self.start_node(node);
        self.restarted.insert(node, process);
    }

    /// `icefarm node` for a node, in the caller's hands: for starts that are to fail.
    pub fn start_node(&self, node: NodeId) -> Program {
        let mut command =
            self.network.as_ref().map_or_else(|| Command::new(icefarm()), |network| network.command(node, &icefarm()));
        command.arg("node").arg("--config").arg(self.home(node).join("node.toml"));
        command.arg("--log-dir").arg(self.home(node).join("logs"));
        Program::start(&format!("icefarm node ({node})"), &mut command)
    }

    /// Waits until each node's `/readyz` says so.
    ///
    /// # Panics
    /// If one does not within the time.
    pub fn wait_ready(&mut self, nodes: &[NodeId], within: Duration) {
        for node in nodes {
            until(&format!("{node} is ready"), within, || {
                if let Some(process) = self.restarted.get_mut(node)
                    && let Some(status) = process.ended()
                {
                    return Err(format!("it has ended ({status}): {}", process.stderr()));
                }
                match http::get(&self.http(*node), "/readyz")? {
                    (200, _) => Ok(()),
                    (status, body) => Err(format!("{status} {body}")),
                }
            });
        }
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1..=self.options.nodes).map(NodeId)
    }

    /// The process id of a node.
    ///
    /// # Panics
    /// If it does not run.
    pub fn pid(&self, node: NodeId) -> u32 {
        self.running(node).unwrap_or_else(|| panic!("{node} does not run"))
    }

    /// The process id of a node, if it runs.
    pub fn running(&self, node: NodeId) -> Option<u32> {
        let pid = fs::read_to_string(self.home(node).join("pid")).ok()?.trim().parse().ok()?;
        // Numbers are used again: it must be ours.
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let ours = self.home(node).join("node.toml");
        let ours = command.split(|byte| *byte == 0).any(|word| word == ours.as_os_str().as_encoded_bytes());
        (ours && program::is_running(pid)).then_some(pid)
    }

    /// The `--data` directory.
    pub fn data(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    /// A place for files beside the data.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// The files of a node.
    pub fn home(&self, node: NodeId) -> PathBuf {
        self.data().join(node.to_string())
    }

    /// A client's profile.
    pub fn profile_file(&self) -> PathBuf {
        self.data().join("client.toml")
    }

    /// A client's profile, read.
    ///
    /// # Panics
    /// If it is not fit to read.
    pub fn profile(&self) -> Profile {
        Profile::load(&self.profile_file()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Where a node speaks HTTP.
    pub fn http(&self, node: NodeId) -> String {
        self.profile().node(node).map(|entry| entry.http.clone()).expect("the profile has every node")
    }

    /// The command line for this cluster.
    pub fn cli(&self) -> Cli {
        Cli::new(&self.profile_file(), self.scratch.path())
    }

    /// The SDK for this cluster.
    pub fn operator(&self) -> Operator {
        Operator::connect(self.profile())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Nodes first, so that `up` cannot be outlived by one that is slow to notice.
        for pid in self.nodes().filter_map(|node| self.running(node)) {
            program::signal(pid, Signal::KILL);
        }
        self.up = None;
        self.restarted.clear();
        // Also one that had not written its process id yet: it wants to be told of its end.
        for pid in self.nodes().filter_map(|node| self.running(node)) {
            program::signal(pid, Signal::KILL);
        }
    }
}
