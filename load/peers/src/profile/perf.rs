//! What `perf` says of a process: system calls, and stacks by the CPU's clock (there may be no counters in a virtual machine).

use crate::Failure;
use inferno::collapse::Collapse;
use inferno::collapse::perf::{Folder, Options};
use inferno::flamegraph;
use std::io::{BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// The calls that are counted apart.
const CALLS: [&str; 9] =
    ["sendmsg", "recvmmsg", "recvmsg", "epoll_wait", "futex", "write", "pwrite64", "pread64", "fdatasync"];
/// Looks at the stack, a second.
const PER_SECOND: &str = "499";
/// Bytes of the stack that are kept of each look, and unwound later.
const UNWOUND: &str = "dwarf,16384";

/// Says so if there is no perf that may be used.
pub fn check() -> Result<(), Failure> {
    let works = std::process::Command::new("perf").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match works {
        Ok(status) if status.success() => Ok(()),
        _ => Err("perf is not on this machine: `cargo xtask race profile` installs it".into()),
    }
}

/// How often a process made each system call within so many seconds; the last one: all of them.
pub async fn calls(pid: u32, seconds: u64) -> Result<Vec<(&'static str, f64)>, Failure> {
    let mut events: Vec<String> = CALLS.iter().map(|call| format!("syscalls:sys_enter_{call}")).collect();
    events.push("raw_syscalls:sys_enter".to_owned());
    let mut command = Command::new("perf");
    command.args(["stat", "-x", ",", "-e", &events.join(","), "-p", &pid.to_string()]);
    command.args(["--", "sleep", &seconds.to_string()]);
    let output = command.stdin(Stdio::null()).output().await?;
    let text = String::from_utf8_lossy(&output.stderr);
    let count = |event: &str| {
        let line = text.lines().find(|line| line.split(',').any(|word| word == event));
        line.and_then(|line| line.split(',').next()?.parse::<f64>().ok())
    };
    let mut counted = Vec::new();
    for (event, name) in events.iter().zip(CALLS.into_iter().chain(["all"])) {
        let count = count(event).ok_or_else(|| {
            format!("perf does not count {event}: `perf stat` needs root and tracepoints. It said:\n{text}")
        })?;
        counted.push((name, count));
    }
    Ok(counted)
}

/// Where a process was: lines of `thread;function;function count`. Until they are counted the samples lie in `folder`.
pub async fn stacks(pid: u32, seconds: u64, folder: &Path) -> Result<Vec<String>, Failure> {
    let file = folder.join(format!("{pid}.perf"));
    let mut record = Command::new("perf");
    record.args(["record", "-q", "-e", "cpu-clock", "-F", PER_SECOND, "--call-graph", UNWOUND, "-p", &pid.to_string()]);
    record.arg("-o").arg(&file).args(["--", "sleep", &seconds.to_string()]);
    let recorded =
        record.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output().await?;
    if !recorded.status.success() {
        let said = String::from_utf8_lossy(&recorded.stderr);
        return Err(format!("perf cannot look at process {pid}: {}", said.trim()).into());
    }
    let mut script = Command::new("perf");
    script.args(["script", "--no-inline", "-i"]).arg(&file);
    let script = script.kill_on_drop(true).stdin(Stdio::null()).stderr(Stdio::null()).output().await;
    std::fs::remove_file(&file)?;
    let mut folded = Vec::new();
    Folder::from(Options::default()).collapse(BufReader::new(&script?.stdout[..]), &mut folded)?;
    let lines: Vec<String> = String::from_utf8(folded)?.lines().map(str::to_owned).collect();
    if lines.is_empty() { Err("perf saw nothing".into()) } else { Ok(lines) }
}

/// Draws them.
pub fn draw(stacks: &[String], title: &str, path: &Path) -> Result<(), Failure> {
    let mut options = flamegraph::Options::default();
    options.title = title.to_owned();
    options.count_name = "samples".to_owned();
    // What is too narrow to be seen is left out.
    options.min_width = 0.2;
    let mut drawn = Vec::new();
    flamegraph::from_lines(&mut options, stacks.iter().map(String::as_str), &mut drawn)?;
    let mut file = std::fs::File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
    file.write_all(&drawn)?;
    Ok(())
}
