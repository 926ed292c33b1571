//! What the kernel says of processes.

use crate::Failure;
use std::collections::BTreeMap;
use std::fs;

/// CPU seconds that these processes have used, with everything they have started, also what has ended since.
#[allow(clippy::cast_precision_loss, reason = "ticks of hundredths of a second")]
pub fn cpu_seconds(roots: &[u32]) -> Result<f64, Failure> {
    let all = processes()?;
    let is_of = |mut pid: u32| loop {
        if roots.contains(&pid) {
            return true;
        }
        match all.get(&pid) {
            Some(process) if process.parent != pid && process.parent != 0 => pid = process.parent,
            _ => return false,
        }
    };
    let ticks: u64 = all.iter().filter(|(pid, _)| is_of(**pid)).map(|(_, process)| process.ticks).sum();
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

#[derive(Clone, Copy, Debug)]
struct Process {
    parent: u32,
    /// Its own, and of children that it has waited for.
    ticks: u64,
}

fn processes() -> Result<BTreeMap<u32, Process>, Failure> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while it is looked at.
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // The program's name stands in parentheses and may hold anything; numbers follow the last one.
        let words: Vec<&str> = text.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
        let number = |index: usize| words.get(index).and_then(|word| word.parse::<u64>().ok());
        let ticks = (11..=14).map(number).sum::<Option<u64>>();
        if let (Some(parent), Some(ticks)) = (number(1).and_then(|parent| u32::try_from(parent).ok()), ticks) {
            all.insert(pid, Process { parent, ticks });
        }
    }
    Ok(all)
}
