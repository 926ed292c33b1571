//! Node processes on this machine: start, watch, stop.

use crate::exit::{Exit, Failure};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

/// How much of a node's last words to show.
const LAST_WORDS: u64 = 4_096;

/// One node, started by us.
#[derive(Debug)]
pub struct NodeProcess {
    /// `n1`, `n2`, ...
    pub name: String,
    home: PathBuf,
    child: Child,
    /// Closed when we end, however we end: then the node stops too.
    _lifeline: Option<ChildStdin>,
    ended: bool,
}

impl NodeProcess {
    /// Starts the node whose files are in `home`.
    pub fn start(home: &Path, name: &str) -> Result<Self, Failure> {
        let logs = home.join("logs");
        fs::create_dir_all(&logs).map_err(|error| cannot("create", &logs, &error))?;
        let stderr_path = logs.join("stderr.log");
        let stderr = File::create(&stderr_path).map_err(|error| cannot("create", &stderr_path, &error))?;
        let program = std::env::current_exe()
            .map_err(|error| Failure::new(Exit::Machine, format!("cannot find this program's own file: {error}")))?;
        let mut child = Command::new(&program)
            .arg("node")
            .arg("--config")
            .arg(home.join("node.toml"))
            .arg("--log-dir")
            .arg(&logs)
            .arg("--until-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(stderr)
            // A Ctrl-C on the terminal is for us; we tell the nodes.
            .process_group(0)
            .spawn()
            .map_err(|error| cannot("start", &program, &error))?;
        let lifeline = child.stdin.take();
        Ok(Self { name: name.to_owned(), home: home.to_owned(), child, _lifeline: lifeline, ended: false })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended since the last call, and how.
    pub fn poll_ended(&mut self) -> Option<ExitStatus> {
        if self.ended {
            return None;
        }
        let status = self.child.try_wait().ok().flatten()?;
        self.ended = true;
        Some(status)
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.poll_ended();
        self.ended
    }

    /// What it last wrote to stderr.
    pub fn last_words(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.home.join("logs/stderr.log"))?;
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(len.saturating_sub(LAST_WORDS)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        read().unwrap_or_default()
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        if !self.ended {
            signal(self.child.id(), Signal::TERM);
        }
    }

    /// Makes it stop.
    pub fn kill(&mut self) {
        if !self.ended {
            let _ = self.child.kill();
        }
    }
}

/// The process that says in `home/pid` that it is this node, if it still is one. (Somebody may have restarted a node that
/// had ended; it is stopped with the rest.)
pub fn running(home: &Path) -> Option<u32> {
    let pid: u32 = fs::read_to_string(home.join("pid")).ok()?.trim().parse().ok()?;
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut words = command.split(|&byte| byte == 0);
    words.any(|word| word == b"node").then_some(pid)
}

/// Whether that process is still there: it takes back its pid file a moment before it lets go of its data, and one that was
/// killed holds them as long as any thread of it is in a sync.
pub fn is_there(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().any(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The state follows the name, which is in parentheses and may hold anything. One that has ended waits to be reaped (Z).
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        !matches!(state, Some('Z' | 'X') | None)
    })
}

/// Sends SIGTERM to a process of ours.
pub fn terminate(pid: u32) {
    signal(pid, Signal::TERM);
}

/// Sends SIGKILL to a process of ours.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: u32, signal: Signal) {
    // A process that has gone meanwhile needs no signal.
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// How a process ended, in words.
pub fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(9)) => "killed (SIGKILL)".into(),
        (None, Some(number)) => format!("signal {number}"),
        (None, None) => "unknown".into(),
    }
}

fn cannot(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Machine, format!("cannot {doing} {}: {error}", path.display()))
}
