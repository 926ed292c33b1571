//! What nothing can beat on this machine: an echo over the same transport, the same bytes appended and synced.

use crate::Failure;
use bytes::Bytes;
use hdrhistogram::Histogram;
use paxos::{Ballot, NodeId, Record, Slot, Value};
use placement::{ClusterId, ShardId};
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};
use storage::{FileLog, Identity, Incarnation, Log, LogOptions, LogRecord};
use transport::floor::echo_floor;

/// How long each floor is measured.
const TIME: Duration = Duration::from_secs(2);
/// A claim in the log is about so long.
const CLAIM_BYTES: usize = 100;
/// Slots of different shards in one write.
const SHARDS: u64 = 64;

/// A floor at one depth.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Floor {
    /// Messages in flight, or records in one write.
    pub depth: usize,
    /// Of them, a second.
    pub per_second: f64,
    /// Of one round trip, or of one write and sync.
    pub p50_ms: f64,
    /// The same, at 99 %.
    pub p99_ms: f64,
}

/// Messages of 128 bytes over the nodes' own transport and back.
pub async fn echo(depth: usize) -> Result<Floor, Failure> {
    let report = echo_floor(depth, TIME).await?;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(Floor { depth, per_second: report.per_second, p50_ms: ms(report.p50), p99_ms: ms(report.p99) })
}

/// As many claims' bytes as are in flight, appended as one write to a log of our own in `parent` and synced.
pub fn append_sync(parent: &Path, depth: usize) -> Result<Floor, Failure> {
    let dir = parent.join(format!("icefarm-load-log-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let measured = measure(&dir, depth);
    std::fs::remove_dir_all(&dir)?;
    measured
}

fn measure(dir: &Path, depth: usize) -> Result<Floor, Failure> {
    let identity = Identity { cluster: ClusterId(1), node: NodeId(1), incarnation: Incarnation(1) };
    let mut log = FileLog::create(dir, identity, LogOptions::default())?;
    let mut latency = Histogram::<u64>::new(3)?;
    let (mut next, mut records) = (0_u64, 0_u64);
    let begun = Instant::now();
    while begun.elapsed() < TIME {
        // As the nodes do: one slot per shard and write, whose value is the batch of that shard's claims.
        let slots = (depth as u64).min(SHARDS);
        let each = CLAIM_BYTES * depth / usize::try_from(slots)?;
        let value = Value::Command(Bytes::from(vec![7; each]));
        let batch: Vec<LogRecord> = (0..slots)
            .map(|index| {
                let slot = Slot(next / SHARDS + 1);
                next += 1;
                let ballot = Ballot { round: 1, node: NodeId(1) };
                let record = Record::Accept { slot, ballot, value: value.clone(), chosen: slot.prev() };
                LogRecord { shard: ShardId(u32::try_from(index).unwrap_or(0)), record }
            })
            .collect();
        let writing = Instant::now();
        log.append(&batch)?;
        log.sync()?;
        latency.record(u64::try_from(writing.elapsed().as_micros())?.max(1))?;
        records += depth as u64;
    }
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    let (per_second, ms) = (records as f64 / begun.elapsed().as_secs_f64(), |micros: u64| micros as f64 / 1e3);
    let (p50_ms, p99_ms) = (ms(latency.value_at_quantile(0.5)), ms(latency.value_at_quantile(0.99)));
    Ok(Floor { depth, per_second, p50_ms, p99_ms })
}
