//! What goes wrong on purpose: nodes of this machine are killed, paused, and brought back.

use crate::profile::{Fault, FaultDeed};
use crate::run::servers::Server;
use crate::{Failure, Usage, cluster};
use paxos::NodeId;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Faults to come, and what must be undone.
#[derive(Debug)]
pub struct Faults {
    /// By time, the next one last.
    coming: Vec<Fault>,
    subjects: BTreeMap<NodeId, Subject>,
}

/// A node that something happens to.
#[derive(Debug)]
struct Subject {
    pid: u32,
    /// What it is started with.
    config: PathBuf,
    /// If it was started here.
    child: Option<Child>,
    paused: bool,
    down: bool,
}

impl Faults {
    /// Refuses what cannot be done here: nodes that there are not, or that run elsewhere.
    pub fn new(faults: &[Fault], servers: &[Server]) -> Result<Self, Failure> {
        let mut coming = faults.to_vec();
        coming.sort_by_key(|fault| std::cmp::Reverse(fault.at));
        let mut subjects = BTreeMap::new();
        for fault in &coming {
            let node = fault.node;
            let Some(server) = servers.iter().find(|server| server.node == node) else {
                return Err(Usage(format!("[[faults]]: the cluster has no {node}")).into());
            };
            // Configuration and data stand side by side.
            let config = Path::new(&server.data).with_file_name("node.toml");
            if !is_a_node(server.pid) || !config.exists() {
                let (pid, config) = (server.pid, config.display());
                return Err(Usage(format!(
                    "[[faults]]: {node} does not run on this machine: there is no process {pid} of ours, or no {config}"
                ))
                .into());
            }
            subjects.insert(node, Subject { pid: server.pid, config, child: None, paused: false, down: false });
        }
        Ok(Self { coming, subjects })
    }

    /// When the next one is due, from the end of the warm-up.
    pub fn next(&self) -> Option<Duration> {
        self.coming.last().map(|fault| fault.at.0)
    }

    /// Does what is due; says what was done.
    pub fn due(&mut self, now: Duration) -> Result<Vec<(FaultDeed, NodeId)>, Failure> {
        let mut done = Vec::new();
        while let Some(fault) = self.coming.pop_if(|fault| fault.at.0 <= now) {
            self.deed(fault.deed, fault.node)?;
            done.push((fault.deed, fault.node));
        }
        Ok(done)
    }

    /// Whoever stands still goes on; says which nodes are still down.
    pub fn undo(&mut self) -> Result<Vec<NodeId>, Failure> {
        let paused: Vec<NodeId> = self.subjects.iter().filter(|(_, node)| node.paused).map(|(node, _)| *node).collect();
        for node in paused {
            self.deed(FaultDeed::Resume, node)?;
        }
        Ok(self.subjects.iter().filter(|(_, node)| node.down).map(|(node, _)| *node).collect())
    }

    fn deed(&mut self, deed: FaultDeed, node: NodeId) -> Result<(), Failure> {
        let Some(subject) = self.subjects.get_mut(&node) else { return Ok(()) };
        let cannot = |why: String| format!("cannot {} {node}: {why}", deed.word());
        let signal = |signal| {
            let pid = i32::try_from(subject.pid).ok().and_then(Pid::from_raw);
            let pid = pid.ok_or_else(|| cannot("it has no process".to_owned()))?;
            kill_process(pid, signal).map_err(|error| cannot(error.to_string()))
        };
        match deed {
            FaultDeed::Kill => {
                signal(Signal::KILL)?;
                if let Some(mut child) = subject.child.take() {
                    child.wait()?;
                }
                (subject.paused, subject.down) = (false, true);
            }
            FaultDeed::Pause => {
                signal(Signal::STOP)?;
                subject.paused = true;
            }
            FaultDeed::Resume => {
                signal(Signal::CONT)?;
                subject.paused = false;
            }
            FaultDeed::Restart => {
                let logs = subject.config.with_file_name("logs");
                let mut command = Command::new(cluster::beside("icefarm")?);
                command.arg("node").arg("--config").arg(&subject.config).arg("--log-dir").arg(logs);
                let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
                subject.pid = child.id();
                subject.child = Some(child);
                subject.down = false;
            }
        }
        Ok(())
    }
}

/// Whether there is such a process here, and it is one of ours.
fn is_a_node(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "icefarm")
}
