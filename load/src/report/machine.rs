//! Where a run took place.

use serde::{Deserialize, Serialize};
use std::fs;

/// What the figures depend on most.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hardware {
    /// The processor's name.
    pub cpu: String,
    /// How many of them this process may use.
    pub cores: usize,
    /// Bytes of RAM.
    pub memory_bytes: u64,
    /// The kernel's name and version.
    pub kernel: String,
}

/// This machine's.
pub fn hardware() -> Hardware {
    let unknown = || "unknown".to_owned();
    let line = |path: &str, word: &str| {
        let text = fs::read_to_string(path).ok()?;
        let line = text.lines().find(|line| line.starts_with(word))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let kib = line("/proc/meminfo", "MemTotal").and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok());
    Hardware {
        cpu: line("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        memory_bytes: kib.unwrap_or(0) << 10,
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
            .map_or_else(|_| unknown(), |text| text.trim().to_owned()),
    }
}
