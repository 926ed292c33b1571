//! A peer's server processes, with the settings that are best for it.

mod etcd;
mod ours;
mod postgres;
mod redis;
mod zookeeper;

use crate::Failure;
use crate::work::Peer;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long servers may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Running servers; ended, and their data deleted, when dropped.
#[derive(Debug)]
pub struct Servers {
    children: Vec<Child>,
    /// How to ask one of them to end.
    stop: Signal,
    folder: PathBuf,
    /// Where clients find them, as the peer writes it.
    pub address: String,
}

impl Servers {
    /// Starts a peer's, with data of their own in `parent`. They may not be ready yet: clients wait.
    pub fn start(peer: Peer, parent: &Path, icefarm: &Path) -> Result<Self, Failure> {
        let folder = parent.join(format!("race-{peer}-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut servers = Self { children: Vec::new(), stop: Signal::TERM, folder, address: String::new() };
        match peer {
            Peer::Ours => ours::start(&mut servers, icefarm)?,
            Peer::Etcd => etcd::start(&mut servers)?,
            Peer::Zookeeper => zookeeper::start(&mut servers)?,
            Peer::Redis => redis::start(&mut servers)?,
            Peer::Postgres => postgres::start(&mut servers)?,
        }
        Ok(servers)
    }

    /// Their processes.
    pub fn pids(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }

    /// Says so, with what it has said, if one of them has ended.
    pub fn check(&mut self) -> Result<(), Failure> {
        for (nth, child) in self.children.iter_mut().enumerate() {
            if let Some(status) = child.try_wait()? {
                let log = fs::read_to_string(log(&self.folder, nth)).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                let last = last.into_iter().rev().collect::<Vec<_>>().join("\n  ");
                return Err(format!("a server ended ({status}). It said last:\n  {last}").into());
            }
        }
        Ok(())
    }

    /// Starts one more; what it says goes to a file.
    fn spawn(&mut self, command: &mut Command) -> Result<(), Failure> {
        let log = File::create(log(&self.folder, self.children.len()))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let program = command.get_program().to_string_lossy().into_owned();
        self.children.push(command.spawn().map_err(|error| format!("cannot start {program}: {error}"))?);
        Ok(())
    }

    fn end(&mut self) {
        for child in &self.children {
            // A process that has gone needs no signal.
            if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, self.stop);
            }
        }
        let until = Instant::now() + PATIENCE;
        for child in &mut self.children {
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.end();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn log(folder: &Path, nth: usize) -> PathBuf {
    folder.join(format!("server-{nth}.log"))
}

/// Ports that nobody uses. (Somebody might, before they are bound again: then that server says so and ends.)
fn ports<const N: usize>() -> Result<[u16; N], Failure> {
    let listeners = (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

/// The first of these programs that is there.
fn program(candidates: &[&str]) -> Result<PathBuf, Failure> {
    let folders: Vec<PathBuf> =
        std::env::var_os("PATH").map_or_else(Vec::new, |path| std::env::split_paths(&path).collect());
    let found = candidates
        .iter()
        .find_map(|candidate| folders.iter().map(|folder| folder.join(candidate)).find(|path| path.is_file()));
    found.ok_or_else(|| format!("{} is not on this machine: `cargo xtask race` installs it", candidates[0]).into())
}
