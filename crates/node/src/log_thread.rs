//! The thread that owns the log: writes in the order of their ids, one sync for all that wait.

use host::{LogRead, Write};
use paxos::{Slot, Value};
use placement::ShardId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use storage::{Log, LogError, LogRecord, LogStats};
use tokio::sync::mpsc;

/// Jobs that may wait. The driver takes no new work from the network while far fewer than this are under way.
const QUEUE: usize = 4_096;
/// What one catch-up message carries, in bytes.
const READ_BYTES: usize = 256 << 10;
/// How long to wait before a full disk is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(200);

/// What the log is asked to do.
#[derive(Debug)]
pub enum LogJob {
    /// Append, sync, report.
    Write(Write),
    /// Read for a peer.
    Read(LogRead),
    /// Slots up to here may go.
    Release(ShardId, Slot),
    /// Nothing follows.
    Stop,
}

/// What the log has done.
#[derive(Debug)]
pub enum LogDone {
    /// This write and all before it are durable; what the log has done so far, and how long the sync took.
    Written(u64, LogStats, Duration),
    /// What a peer needs.
    Read(LogRead, Vec<Value>),
    /// These shards pin old segments, up to these slots; and whether the log takes more space than it should.
    Laggards(Vec<(ShardId, Slot)>, bool),
    /// The log is out of use; the node stops.
    Failed(LogError),
}

/// The driver's end.
#[derive(Debug)]
pub struct LogThread {
    jobs: SyncSender<LogJob>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LogThread {
    /// Starts the thread. What it has done comes out of the receiver, which holds more than the jobs that can wait: so
    /// the thread never waits for the driver, and the driver may wait for the thread.
    ///
    /// Beyond `budget` bytes the log is not kept for peers that lag.
    pub fn start(log: impl Log + Send + 'static, budget: u64) -> std::io::Result<(Self, mpsc::Receiver<LogDone>)> {
        let (jobs, todo) = sync_channel(QUEUE);
        let (done, results) = mpsc::channel(QUEUE * 2);
        let stopping = Arc::new(AtomicBool::new(false));
        let told = stopping.clone();
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || {
            let mut worker = Worker { log, budget, done, stopping: told };
            if let Err(error) = worker.run(&todo) {
                worker.report(LogDone::Failed(error));
            }
        })?;
        Ok((Self { jobs, stopping, thread: Some(thread) }, results))
    }

    /// Queues a job; waits if very many wait already. `false`: the thread has ended, and has said why.
    pub fn submit(&self, job: LogJob) -> bool {
        match job {
            // A peer that gets no answer asks again; behind a disk that stands still, its questions must not pile up.
            LogJob::Read(_) => !matches!(self.jobs.try_send(job), Err(TrySendError::Disconnected(_))),
            job => self.jobs.send(job).is_ok(),
        }
    }

    /// Lets it finish what is queued, unless the disk is full: what waits for space was never acknowledged.
    pub fn stop(mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.submit(LogJob::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the log's thread ended in a panic");
        }
    }
}

struct Worker<L> {
    log: L,
    budget: u64,
    done: mpsc::Sender<LogDone>,
    stopping: Arc<AtomicBool>,
}

impl<L: Log> Worker<L> {
    fn run(&mut self, todo: &Receiver<LogJob>) -> Result<(), LogError> {
        let mut records = Vec::new();
        let mut released = false;
        loop {
            // While old segments may go, the thread looks again when it has been idle for a moment.
            let first = if released { todo.recv_timeout(FULL_PAUSE) } else { todo.recv().map_err(Into::into) };
            let mut next = match first {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => {
                    released = false;
                    self.compact()?;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let mut last = None;
            let mut reads = Vec::new();
            let mut stop = false;
            while let Some(job) = next {
                match job {
                    LogJob::Write(Write { id, records: turn }) => {
                        records.clear();
                        records.extend(turn.into_iter().map(|(shard, record)| LogRecord { shard, record }));
                        self.append(&records)?;
                        last = Some(id);
                    }
                    LogJob::Read(read) => reads.push(read),
                    LogJob::Release(shard, slot) => {
                        self.log.release(shard, slot);
                        released = true;
                    }
                    LogJob::Stop => {
                        stop = true;
                        break;
                    }
                }
                next = todo.try_recv().ok();
            }
            if let Some(id) = last {
                let begin = Instant::now();
                self.sync()?;
                self.report(LogDone::Written(id, self.log.stats(), begin.elapsed()));
            }
            for read in reads {
                let values = self.log.read(read.shard, read.after.next(), READ_BYTES)?;
                self.report(LogDone::Read(read, values));
            }
            if released && self.log.stats().segments > 4 {
                released = false;
                self.compact()?;
            }
            if stop {
                return Ok(());
            }
        }
    }

    /// A full disk is waited for: nothing is acknowledged meanwhile, and nothing is lost.
    fn append(&mut self, records: &[LogRecord]) -> Result<(), LogError> {
        self.patiently(|log| log.append(records))
    }

    fn sync(&mut self) -> Result<(), LogError> {
        self.patiently(Log::sync)
    }

    fn patiently(&mut self, mut step: impl FnMut(&mut L) -> Result<(), LogError>) -> Result<(), LogError> {
        let mut told = false;
        loop {
            match step(&mut self.log) {
                Err(error) if error.is_full() => {
                    if self.stopping.load(Ordering::Relaxed) {
                        return Err(error);
                    }
                    if !told {
                        tracing::error!(%error, "the disk is full: this node decides nothing until there is space");
                        told = true;
                    }
                    std::thread::park_timeout(FULL_PAUSE);
                }
                Ok(()) if told => {
                    tracing::info!("there is space on the disk again");
                    return Ok(());
                }
                other => return other,
            }
        }
    }

    fn compact(&mut self) -> Result<(), LogError> {
        match self.log.compact() {
            Ok(done) if done.dropped_segments > 0 => {
                tracing::debug!(segments = done.dropped_segments, freed_bytes = done.freed_bytes, "log compacted");
            }
            Ok(_) => {}
            Err(error) if error.is_full() => tracing::warn!(%error, "cannot compact the log"),
            Err(error) => return Err(error),
        }
        if self.log.stats().segments > 4 {
            let laggards = self.log.laggards().into_iter().map(|laggard| (laggard.shard, laggard.through));
            let laggards: Vec<(ShardId, Slot)> = laggards.collect();
            if !laggards.is_empty() {
                self.report(LogDone::Laggards(laggards, self.log.stats().bytes > self.budget));
            }
        }
        Ok(())
    }

    fn report(&self, done: LogDone) {
        // Nobody listens any more only when the node is ending.
        let _ = self.done.blocking_send(done);
    }
}
