//! How fast the log is on this machine's disk.
//!
//! ```text
//! cargo run --release -p storage --example log_bench [-- DIRECTORY]
//! ```
//!
//! Appends records of 128 B for 64 shards, synced after every 1, 64 and 1,024 of them, beside the floor: the same bytes
//! written and synced in a plain file that was filled with zeros before. Then reopens a log of a million records, and
//! reads it as a peer that catches up would.

#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use bytes::Bytes;
use paxos::{Ballot, NodeId, Record, Slot, Value};
use placement::ShardId;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, error::Error, fs, process};
use storage::{Checkpointed, FileLog, Identity, Incarnation, Log, LogOptions, LogRecord};

const SHARDS: u64 = 64;
const MILLION: u64 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let given = env::args_os().nth(1).map(PathBuf::from);
    let dir = given.unwrap_or_else(env::temp_dir).join(format!("icefarm-log-bench-{}", process::id()));
    let done = run(&dir);
    fs::remove_dir_all(&dir)?;
    done
}

fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    println!("batch   records/s   us/sync   floor records/s   floor us/sync   own us/batch   longest us");
    for (batch, batches) in [(1, 2_000), (64, 2_000), (1_024, 1_000)] {
        fs::create_dir_all(dir)?;
        let mut log = FileLog::create(dir, identity(), LogOptions::default())?;
        let (mut next, mut own, mut longest, begun) = (0, Duration::ZERO, Duration::ZERO, Instant::now());
        for _ in 0..batches {
            let records: Vec<_> = (next..next + batch).map(record).collect();
            next += batch;
            let appending = Instant::now();
            log.append(&records)?;
            own += appending.elapsed();
            log.sync()?;
            longest = longest.max(appending.elapsed());
        }
        let took = begun.elapsed();
        let bytes = usize::try_from(log.stats().written_bytes / batches)?;
        drop(log);
        let floor = floor(dir, bytes, batches)?;
        let per_batch = |time: Duration| time.as_secs_f64() * 1e6 / batches as f64;
        let rate = |time: Duration| (batch * batches) as f64 / time.as_secs_f64();
        println!(
            "{batch:>5} {:>11.0} {:>9.1} {:>17.0} {:>15.1} {:>14.2} {:>12.0}",
            rate(took),
            per_batch(took),
            rate(floor),
            per_batch(floor),
            per_batch(own),
            longest.as_secs_f64() * 1e6
        );
        fs::remove_dir_all(dir)?;
    }

    fs::create_dir_all(dir)?;
    let mut log = FileLog::create(dir, identity(), LogOptions::default())?;
    for batch in 0..MILLION / 1_000 {
        let records: Vec<_> = (batch * 1_000..(batch + 1) * 1_000).map(record).collect();
        log.append(&records)?;
    }
    log.sync()?;
    drop(log);
    let begun = Instant::now();
    let (mut log, recovered) = FileLog::open(dir, identity(), LogOptions::default(), &Checkpointed::default())?;
    let entries: usize = recovered.values().map(|found| found.entries.len()).sum();
    println!("recovered {entries} records in {:.2} s", begun.elapsed().as_secs_f64());
    drop(recovered);
    let (begun, mut read) = (Instant::now(), 0);
    for shard in 0..SHARDS {
        let shard = ShardId(u32::try_from(shard)?);
        let mut slot = Slot(1);
        loop {
            let values = log.read(shard, slot, 64 << 10)?;
            if values.is_empty() {
                break;
            }
            slot = Slot(slot.0 + values.len() as u64);
            read += values.len();
        }
    }
    println!("read {read} records, shard by shard, at {:.0} records/s", read as f64 / begun.elapsed().as_secs_f64());
    Ok(())
}

fn identity() -> Identity {
    Identity { cluster: placement::ClusterId(1), node: NodeId(1), incarnation: Incarnation(1) }
}

fn record(index: u64) -> LogRecord {
    let slot = Slot(index / SHARDS + 1);
    let value = Value::Command(Bytes::from_static(&[7; 128]));
    let ballot = Ballot { round: 3, node: NodeId(1) };
    let record = Record::Accept { slot, ballot, value, chosen: slot.prev() };
    LogRecord { shard: ShardId(u32::try_from(index % SHARDS).unwrap_or_default()), record }
}

/// The same writes and syncs, and nothing else.
fn floor(dir: &Path, bytes: usize, batches: u64) -> Result<Duration, Box<dyn Error>> {
    let file = fs::File::create(dir.join("floor"))?;
    let (zeros, data) = (vec![0; bytes], vec![7; bytes]);
    for batch in 0..batches {
        file.write_all_at(&zeros, batch * bytes as u64)?;
    }
    file.sync_all()?;
    let begun = Instant::now();
    for batch in 0..batches {
        file.write_all_at(&data, batch * bytes as u64)?;
        file.sync_data()?;
    }
    Ok(begun.elapsed())
}
