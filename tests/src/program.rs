//! One child process, and what it says.

use crate::wait::until;
use rustix::process::{Pid, Signal, kill_process};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The `icefarm` that was built beside the tests.
///
/// # Panics
/// If it is not there.
pub fn icefarm() -> PathBuf {
    built("icefarm")
}

/// A program of ours that was built beside the tests.
///
/// # Panics
/// If it is not there.
pub fn built(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("this program has a file");
    let folder = tests.ancestors().nth(2).expect("test programs are in a folder of the build's");
    let program = folder.join(name);
    assert!(
        program.exists(),
        "{} is not there: run `cargo build --release --workspace` first (`cargo xtask test` does so by itself)",
        program.display()
    );
    program
}

/// A child process; killed when dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    stdout: Said,
    stderr: Said,
}

impl Program {
    /// Starts it; `name` is what panics call it. It has no stdin.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let stdout = Said::listen(child.stdout.take().expect("piped above"));
        let stderr = Said::listen(child.stderr.take().expect("piped above"));
        Self { name: name.to_owned(), child, stdout, stderr }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked about")
    }

    /// Waits for its end and for its last words.
    ///
    /// # Panics
    /// If it goes on for longer than `within`.
    pub fn wait_ended(&mut self, within: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let status = until(&what, within, || self.ended().ok_or_else(|| "it goes on".to_owned()));
        self.stdout.finish();
        self.stderr.finish();
        status
    }

    /// What it has written to stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until it has written `line` to stdout.
    ///
    /// # Panics
    /// If it does not within the time, or ends before; with what it said.
    pub fn wait_line(&mut self, line: &str, within: Duration) {
        let what = format!("{} says '{line}'", self.name);
        until(&what, within, || {
            if self.stdout().lines().any(|said| said == line) {
                return Ok(());
            }
            if let Some(status) = self.ended() {
                self.stderr.finish();
                panic!("{} ended ({status}) before it said '{line}': {}{}", self.name, self.stdout(), self.stderr());
            }
            Err(format!("it said {:?} and {:?}", self.stdout(), self.stderr()))
        });
    }

    /// Sends it a signal.
    pub fn signal(&self, with: Signal) {
        signal(self.pid(), with);
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal; a process that has gone needs none.
pub fn signal(pid: u32, with: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, with);
    }
}

/// Whether there is such a process that has not ended (a zombie has, unless a thread of it is still in a sync: that holds the
/// files and their locks).
pub fn is_running(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().any(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The state follows the name, which is in parentheses and may hold anything.
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        !matches!(state, Some('Z' | 'X') | None)
    })
}

#[derive(Debug)]
struct Said {
    bytes: Arc<Mutex<Vec<u8>>>,
    listener: Option<JoinHandle<()>>,
}

impl Said {
    fn listen(mut from: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let shared = bytes.clone();
        let listener = std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                shared.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
            }
        });
        Self { bytes, listener: Some(listener) }
    }

    /// Waits until nobody can say anything more.
    fn finish(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.join().expect("listeners do not panic");
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}
