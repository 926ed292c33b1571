//! What nothing can beat on this machine.

use crate::Failure;
use crate::cli::FloorTask;
use crate::meter::Measured;
use bytes::Bytes;
use clap::ValueEnum;
use hdrhistogram::Histogram;
use paxos::{Ballot, NodeId, Record, Slot, Value};
use placement::{ClusterId, ShardId};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use storage::{FileLog, Identity, Incarnation, Log, LogOptions, LogRecord};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of a message, and of a record.
const MESSAGE: usize = 128;
/// Bytes of a view: what ours may take at most.
const VIEW: usize = 12_000;
/// Bytes of a file that is written over and over.
const FILE: usize = 128 << 20;

/// What cannot be beaten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Floor {
    /// 128 B there and back over our QUIC transport, coalesced
    QuicEcho,
    /// 128 B there, 12,000 B that are ready back, the same way
    QuicView,
    /// 128 B there and back over TCP without TLS, coalesced
    TcpEcho,
    /// As many records of 128 B as are in flight, written and synced, by three processes at once
    AppendSync,
    /// The same by one process
    AppendSyncOne,
    /// The same by one process, through our log: the records of one write are spread over 64 shards
    Log,
}

impl Floor {
    /// Those that are measured, and at which depths.
    pub const ALL: [(Self, &'static [usize]); 6] = [
        (Self::QuicEcho, &[1, 64, 1_024, 8_192]),
        (Self::QuicView, &[1, 8]),
        (Self::TcpEcho, &[1, 64, 1_024, 8_192]),
        (Self::AppendSync, &[1, 64, 1_024, 8_192]),
        (Self::AppendSyncOne, &[64, 1_024, 8_192]),
        (Self::Log, &[64, 1_024, 8_192]),
    ];

    /// As it is shown.
    pub fn title(self) -> &'static str {
        match self {
            Self::QuicEcho => "QUIC echo, 128 B",
            Self::QuicView => "QUIC, 128 B there, 12 kB back",
            Self::TcpEcho => "TCP echo, 128 B, no TLS",
            Self::AppendSync => "append + sync, 128 B records, three processes",
            Self::AppendSyncOne => "append + sync, 128 B records, one process",
            Self::Log => "our log: append + sync, 128 B records, one process",
        }
    }
}

/// Measures one and prints it.
pub async fn run(task: &FloorTask) -> Result<(), Failure> {
    let time = Duration::from_secs(task.seconds);
    let measured = match task.floor {
        Floor::QuicEcho => quic(task.in_flight, MESSAGE, time).await?,
        Floor::QuicView => quic(task.in_flight, VIEW, time).await?,
        Floor::TcpEcho => tcp(task.in_flight, time).await?,
        Floor::AppendSync => three(task)?,
        Floor::AppendSyncOne => append_sync(task, time)?,
        Floor::Log => log(task, time)?,
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn counted(count: u64, time: Duration, latency: &Histogram<u64>) -> Measured {
    let ms = |quantile| latency.value_at_quantile(quantile) as f64 / 1e6;
    Measured { p50_ms: ms(0.5), p99_ms: ms(0.99), ..Measured::rate(count as f64 / time.as_secs_f64()) }
}

async fn quic(in_flight: usize, bytes: usize, time: Duration) -> Result<Measured, Failure> {
    let report = transport::floor::answer_floor(in_flight, bytes, time).await?;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(Measured { p50_ms: ms(report.p50), p99_ms: ms(report.p99), ..Measured::rate(report.per_second) })
}

/// A thread that sends back what it gets, and a client that writes as one what it has to send.
async fn tcp(in_flight: usize, time: Duration) -> Result<Measured, Failure> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    std::thread::spawn(move || -> Result<(), std::io::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            let (mut stream, _) = TcpListener::from_std(listener)?.accept().await?;
            stream.set_nodelay(true)?;
            let mut buffer = vec![0; 1 << 20];
            loop {
                match stream.read(&mut buffer).await? {
                    0 => return Ok(()),
                    count => stream.write_all(&buffer[..count]).await?,
                }
            }
        })
    });
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.split();
    let (begin, messages) = (Instant::now(), vec![0x5a; in_flight * MESSAGE]);
    let mut latency = Histogram::<u64>::new(3)?;
    let (mut stamps, mut bytes, mut buffer) = (VecDeque::new(), 0, vec![0; 1 << 20]);
    let mut to_send = in_flight;
    while begin.elapsed() < time {
        let now = Instant::now();
        stamps.extend(std::iter::repeat_n(now, to_send));
        // (What is in flight may be more than the sockets hold: then writing waits for reading.)
        let (written, read) = tokio::join!(writer.write_all(&messages[..to_send * MESSAGE]), reader.read(&mut buffer));
        written?;
        bytes += read?;
        to_send = bytes / MESSAGE;
        bytes %= MESSAGE;
        let now = Instant::now();
        for sent in stamps.drain(..to_send) {
            latency.record(u64::try_from((now - sent).as_nanos())?)?;
        }
    }
    Ok(counted(latency.len(), begin.elapsed(), &latency))
}

/// Writes and syncs one batch after the other. No log can be faster than this, ours neither.
fn append_sync(task: &FloorTask, time: Duration) -> Result<Measured, Failure> {
    let path = task.data.join(format!("race-append-{}", std::process::id()));
    let mut file = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    std::fs::remove_file(&path)?;
    // As logs do that want to be fast: written before, so that a sync has no new blocks to tell of.
    file.write_all(&vec![0; FILE])?;
    file.sync_all()?;
    let batch = vec![0x5a; MESSAGE * task.in_flight];
    let mut offset = 0;
    let mut latency = Histogram::<u64>::new(3)?;
    let begin = Instant::now();
    while begin.elapsed() < time {
        let writing = Instant::now();
        file.write_all_at(&batch, offset as u64)?;
        file.sync_data()?;
        offset = if offset + 2 * batch.len() > FILE { 0 } else { offset + batch.len() };
        latency.record(u64::try_from(writing.elapsed().as_nanos())?)?;
    }
    Ok(counted(latency.len() * task.in_flight as u64, begin.elapsed(), &latency))
}

/// The same bytes through our log, as a node writes them: one slot for each of 64 shards, whose value is the batch of that shard's
/// commands.
fn log(task: &FloorTask, time: Duration) -> Result<Measured, Failure> {
    const SHARDS: usize = 64;
    let folder = task.data.join(format!("race-log-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let measure = || {
        let identity = Identity { cluster: ClusterId(1), node: NodeId(1), incarnation: Incarnation(1) };
        let mut log = FileLog::create(&folder, identity, LogOptions::default())?;
        let slots = task.in_flight.min(SHARDS);
        let value = Value::Command(Bytes::from(vec![0x5a; MESSAGE * task.in_flight / slots]));
        let ballot = Ballot { round: 1, node: NodeId(1) };
        let mut latency = Histogram::<u64>::new(3)?;
        let mut slot = Slot(0);
        let begin = Instant::now();
        while begin.elapsed() < time {
            slot = slot.next();
            let record = |shard| LogRecord {
                shard: ShardId(shard),
                record: Record::Accept { slot, ballot, value: value.clone(), chosen: slot.prev() },
            };
            let batch: Vec<LogRecord> = (0..u32::try_from(slots)?).map(record).collect();
            let writing = Instant::now();
            log.append(&batch)?;
            log.sync()?;
            latency.record(u64::try_from(writing.elapsed().as_nanos())?)?;
            if slot.0.is_multiple_of(256) {
                // As behind a checkpoint: old segments are for new ones.
                (0..u32::try_from(slots)?).for_each(|shard| log.release(ShardId(shard), slot));
                log.compact(0)?;
            }
        }
        Ok(counted(latency.len() * task.in_flight as u64, begin.elapsed(), &latency))
    };
    let measured = measure();
    std::fs::remove_dir_all(&folder)?;
    measured
}

/// Three at once, as three nodes on this machine write the same bytes. A majority counts: the one in the middle.
fn three(task: &FloorTask) -> Result<Measured, Failure> {
    let program = std::env::current_exe()?;
    let start = || {
        let mut command = Command::new(&program);
        command.args(["floor", "--floor", "append-sync-one"]).arg("--data").arg(&task.data);
        command.args(["--in-flight", &task.in_flight.to_string(), "--seconds", &task.seconds.to_string()]);
        command.stdout(Stdio::piped()).spawn()
    };
    let children = [start()?, start()?, start()?];
    let mut all = Vec::new();
    for child in children {
        let output = child.wait_with_output()?;
        let measured: Measured = serde_json::from_slice(&output.stdout)?;
        all.push(measured);
    }
    all.sort_by(|a, b| a.per_s.total_cmp(&b.per_s));
    Ok(all[1])
}
