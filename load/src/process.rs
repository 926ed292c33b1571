//! What the kernel says of a process.

use crate::Failure;
use std::fs;

/// CPU time a process has used, user and system, in seconds.
pub fn cpu_seconds(pid: u32) -> Result<f64, Failure> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // The program's name stands in parentheses and may hold anything; numbers follow the last one.
    let numbers = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let field = |index: usize| numbers.split(' ').nth(index).and_then(|text| text.parse::<u64>().ok());
    match (field(11), field(12)) {
        (Some(user), Some(system)) => {
            #[allow(clippy::cast_precision_loss, reason = "ticks of hundredths of a second")]
            let ticks = (user + system) as f64;
            #[allow(clippy::cast_precision_loss, reason = "a small number")]
            let per_second = rustix::param::clock_ticks_per_second() as f64;
            Ok(ticks / per_second)
        }
        _ => Err(format!("{path} is not as expected").into()),
    }
}

/// Memory of a process that is in RAM, in bytes.
pub fn resident_bytes(pid: u32) -> Result<u64, Failure> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map(|kib| kib << 10).ok_or_else(|| format!("{path} is not as expected").into())
}

/// CPU time that all processes of this machine have used since it started, and could have used, in seconds.
pub fn machine_seconds() -> Result<(f64, f64), Failure> {
    let text = fs::read_to_string("/proc/stat").map_err(|error| format!("/proc/stat: {error}"))?;
    let ticks = |word: &str| word.parse::<u64>().ok();
    // user nice system idle iowait irq softirq steal; what follows is counted in these already.
    let times: Vec<u64> =
        text.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8).filter_map(ticks).collect();
    let [.., idle, waiting, _, _, _] = times[..] else { return Err("/proc/stat is not as expected".into()) };
    let total: u64 = times.iter().sum();
    #[allow(clippy::cast_precision_loss, reason = "ticks of hundredths of a second")]
    let seconds = |ticks: u64| ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    Ok((seconds(total - idle - waiting), seconds(total)))
}
