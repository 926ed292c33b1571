//! The thread that owns the log: writes in the order of their ids, one sync for all that wait.

use host::{LogRead, Write};
use paxos::{Slot, Value};
use placement::ShardId;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use storage::{Log, LogError, LogRecord, LogStats, Reserve};
use tokio::sync::mpsc;

/// Jobs that may wait. The driver takes no new work from the network while far fewer than this are under way.
const QUEUE: usize = 4_096;
/// What one catch-up message carries, in bytes.
const READ_BYTES: usize = 256 << 10;
/// While old segments may go, the thread looks again when it has been idle for so long.
const IDLE: Duration = Duration::from_millis(200);
/// Who pins the oldest segment is said again after so long: checkpoints of many shards take a while, and to look through a
/// whole segment takes long enough to be felt.
const AGAIN: Duration = Duration::from_millis(250);
/// Segments that a log may have whatever it is allowed: a few save the work of writing records again.
const FEW: u64 = 4;

/// What the log is asked to do.
#[derive(Debug)]
pub enum LogJob {
    /// Append, sync, report.
    Write(Write),
    /// Read for a peer.
    Read(LogRead),
    /// Slots up to here may go.
    Release(ShardId, Slot),
    /// The disk is full: drop what can be dropped, say what is in the way, and try again.
    Reclaim,
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
    /// These shards pin old segments, up to these slots; and whether space is needed: the log is over its budget, or the disk full.
    Laggards(Vec<(ShardId, Slot)>, bool),
    /// The log is out of use; the node stops.
    Failed(LogError),
}

/// The driver's end.
#[derive(Debug)]
pub struct LogThread {
    jobs: SyncSender<LogJob>,
    thread: Option<JoinHandle<()>>,
}

/// How the log is kept.
#[derive(Clone, Debug, Default)]
pub struct Keeping {
    /// When the log is too long.
    pub lengths: Lengths,
    /// What gives way when the disk is full, and is to be there again before the node goes on.
    pub reserve: Reserve,
    /// For tests: a sync takes so much longer.
    pub sync_delay: Duration,
}

/// Bytes beyond which something is done about a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    /// What nobody needs is dropped.
    pub kept: u64,
    /// Whoever pins the oldest segment is asked for a checkpoint. Where each of many shards changes little, that is what most
    /// of them are made for: later means fewer (thousands of shards: a tenth less CPU than at once), and more to read at the
    /// next start.
    pub long: u64,
    /// It is not kept for peers that lag.
    pub most: u64,
}

impl Lengths {
    /// For a log that may take so many bytes, in segments of this size.
    pub fn new(budget: u64, segment: u64) -> Self {
        let few = FEW * segment;
        Self { kept: few, long: few.max(budget / 8 * 3), most: few.max(budget) }
    }
}

impl LogThread {
    /// Starts the thread. What it has done comes out of the receiver, which holds more than the jobs that can wait: so
    /// the thread never waits for the driver, and the driver may wait for the thread.
    pub fn start(log: impl Log + Send + 'static, keeping: Keeping) -> std::io::Result<(Self, mpsc::Receiver<LogDone>)> {
        let (jobs, todo) = sync_channel(QUEUE);
        let (done, results) = mpsc::channel(QUEUE * 2);
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || {
            let told = Told::default();
            let mut worker = Worker { log, keeping, done, waiting: VecDeque::new(), untidy: false, segments: 0, told };
            if let Err(error) = worker.run(&todo) {
                worker.report(LogDone::Failed(error));
            }
        })?;
        Ok((Self { jobs, thread: Some(thread) }, results))
    }

    /// Queues a job; waits if very many wait already. `false`: the thread has ended, and has said why.
    pub fn submit(&self, job: LogJob) -> bool {
        match job {
            // A peer that gets no answer asks again; behind a disk that stands still, its questions must not pile up.
            LogJob::Read(_) | LogJob::Reclaim => !matches!(self.jobs.try_send(job), Err(TrySendError::Disconnected(_))),
            job => self.jobs.send(job).is_ok(),
        }
    }

    /// Lets it finish what is queued, unless the disk is full: what waits for space was never acknowledged.
    pub fn stop(mut self) {
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
    keeping: Keeping,
    done: mpsc::Sender<LogDone>,
    /// Writes that the log has not taken yet, in order: more than one turn's only while they wait for space. (The host has
    /// only a few under way.)
    waiting: VecDeque<(u64, Vec<LogRecord>)>,
    /// Old segments may have become worth nothing, or stand in the way.
    untidy: bool,
    /// Segments there were at the last look.
    segments: u64,
    /// When it was last said who pins the oldest one, and whether space was needed then.
    told: Told,
}

impl<L: Log> Worker<L> {
    fn run(&mut self, todo: &Receiver<LogJob>) -> Result<(), LogError> {
        loop {
            let first = if self.untidy { todo.recv_timeout(IDLE) } else { todo.recv().map_err(Into::into) };
            let mut next = match first {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => {
                    self.tidy_up()?;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let (mut reads, mut reclaim, mut stop) = (Vec::new(), false, false);
            while let Some(job) = next {
                match job {
                    LogJob::Write(Write { id, records }) => {
                        let records = records.into_iter().map(|(shard, record)| LogRecord { shard, record });
                        self.waiting.push_back((id, records.collect()));
                    }
                    LogJob::Read(read) => reads.push(read),
                    LogJob::Release(shard, slot) => {
                        self.log.release(shard, slot);
                        self.untidy = true;
                    }
                    LogJob::Reclaim => reclaim = true,
                    LogJob::Stop => {
                        stop = true;
                        break;
                    }
                }
                next = todo.try_recv().ok();
            }
            self.write()?;
            for read in reads {
                let values = self.log.read(read.shard, read.after.next(), READ_BYTES)?;
                self.report(LogDone::Read(read, values));
            }
            if reclaim {
                self.reclaim()?;
            } else if self.untidy && self.log.stats().bytes > self.kept() {
                self.tidy_up()?;
            }
            if stop {
                return Ok(());
            }
        }
    }

    /// Writes what waits, as far as there is space, with one sync.
    fn write(&mut self) -> Result<(), LogError> {
        let mut last = None;
        while let Some((id, records)) = self.waiting.front() {
            match self.log.append(records) {
                Ok(()) => last = Some(*id),
                Err(error) if error.is_full() => {
                    tracing::error!(%error, writes = self.waiting.len(), "writes wait for space on the disk");
                    break;
                }
                Err(error) => return Err(error),
            }
            self.waiting.pop_front();
        }
        if let Some(id) = last {
            let begin = Instant::now();
            self.log.sync()?;
            // Where a member is dead nothing is released: the log must not grow for ever because nobody looks.
            let segments = self.log.stats().segments;
            self.untidy |= segments > self.segments;
            self.segments = segments;
            if !self.keeping.sync_delay.is_zero() {
                std::thread::sleep(self.keeping.sync_delay);
            }
            self.report(LogDone::Written(id, self.log.stats(), begin.elapsed()));
        }
        Ok(())
    }

    /// Bytes that it keeps though nobody needs them. On a full disk everything counts.
    fn kept(&self) -> u64 {
        if self.keeping.reserve.is_held() { self.keeping.lengths.kept } else { 0 }
    }

    fn tidy_up(&mut self) -> Result<(), LogError> {
        self.untidy = false;
        self.compact(self.kept())?;
        let (bytes, lengths) = (self.log.stats().bytes, self.keeping.lengths);
        if bytes <= lengths.long {
            return Ok(());
        }
        let pressed = bytes > lengths.most;
        let first = !self.told.was_pressed();
        if !self.told.is_due(Instant::now(), pressed) {
            self.untidy = true;
        } else if self.report_laggards(pressed) && pressed {
            // A member may be dead: then nothing is released before they are asked again.
            self.untidy = true;
            if first {
                let mib = lengths.most >> 20;
                tracing::warn!("the log takes more than {mib} MiB: who lags far behind will get checkpoints instead");
            }
        }
        Ok(())
    }

    /// Makes space, first of all for the writes that wait for it; then the reserve is filled again.
    fn reclaim(&mut self) -> Result<(), LogError> {
        self.compact(0)?;
        self.write()?;
        if self.waiting.is_empty() && self.keeping.reserve.restore() {
            return Ok(());
        }
        self.report_laggards(true);
        Ok(())
    }

    fn compact(&mut self, keep: u64) -> Result<(), LogError> {
        match self.log.compact(keep) {
            Ok(done) if done.dropped_segments > 0 => {
                self.told = Told::default();
                tracing::debug!(segments = done.dropped_segments, freed_bytes = done.freed_bytes, "log compacted");
            }
            Ok(_) => {}
            Err(error) if error.is_full() => tracing::warn!(%error, "cannot compact the log"),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether anybody pins anything.
    fn report_laggards(&self, pressed: bool) -> bool {
        let laggards = self.log.laggards().into_iter().map(|laggard| (laggard.shard, laggard.through));
        let laggards: Vec<(ShardId, Slot)> = laggards.collect();
        let any = !laggards.is_empty();
        if any {
            self.report(LogDone::Laggards(laggards, pressed));
        }
        any
    }

    fn report(&self, done: LogDone) {
        // Nobody listens any more only when the node is ending.
        let _ = self.done.blocking_send(done);
    }
}

/// When it was last said who pins the oldest segment, and whether the log was over its budget then.
#[derive(Clone, Copy, Debug, Default)]
struct Told(Option<(Instant, bool)>);

impl Told {
    fn was_pressed(self) -> bool {
        self.0.is_some_and(|(_, pressed)| pressed)
    }

    /// Whether it is to be said `now`; if so, it has been.
    fn is_due(&mut self, now: Instant, pressed: bool) -> bool {
        let due = self.0.is_none_or(|(at, before)| before != pressed || now.duration_since(at) >= AGAIN);
        if due {
            self.0 = Some((now, pressed));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paxos::{Ballot, NodeId, Record};
    use storage::{Compaction, Laggard, MemoryLog};

    /// A log that begins a segment with every append, and remembers how much it was to keep.
    #[derive(Default)]
    struct Segmented {
        log: MemoryLog,
        segments: u64,
        kept: Vec<u64>,
    }

    impl Log for Segmented {
        fn append(&mut self, records: &[LogRecord]) -> Result<(), LogError> {
            self.segments += 1;
            self.log.append(records)
        }

        fn sync(&mut self) -> Result<(), LogError> {
            self.log.sync()
        }

        fn read(&mut self, shard: ShardId, from: Slot, max_bytes: usize) -> Result<Vec<Value>, LogError> {
            self.log.read(shard, from, max_bytes)
        }

        fn release(&mut self, shard: ShardId, through: Slot) {
            self.log.release(shard, through);
        }

        fn compact(&mut self, keep: u64) -> Result<Compaction, LogError> {
            self.kept.push(keep);
            self.log.compact(keep)
        }

        fn laggards(&self) -> Vec<Laggard> {
            self.log.laggards()
        }

        fn stats(&self) -> LogStats {
            LogStats { segments: self.segments, bytes: self.segments << 20, ..self.log.stats() }
        }
    }

    #[test]
    fn who_pins_a_segment_is_said_once_in_a_while_and_at_once_when_the_log_comes_to_be_over_its_budget() {
        let mut told = Told::default();
        let begin = Instant::now();
        let mut due = |ms, pressed| told.is_due(begin + Duration::from_millis(ms), pressed);
        let said = [(0, false), (249, false), (250, false), (300, true), (499, true), (550, true), (551, false)];
        assert_eq!(said.map(|(ms, pressed)| due(ms, pressed)), [true, false, true, true, false, true, true]);
    }

    /// What is told after so many writes, of which nothing is ever released; and how much of the log was to be kept.
    fn told(writes: u64, lengths: Lengths) -> (Vec<bool>, Vec<u64>) {
        let (jobs, todo) = sync_channel(100);
        let (done, mut results) = mpsc::channel(100);
        let ballot = Ballot::ZERO.next_for(NodeId(1));
        for id in 1..=writes {
            let record = Record::Accept { ballot, slot: Slot(id), value: Value::Noop, chosen: Slot(id - 1) };
            jobs.send(LogJob::Write(Write { id, records: vec![(ShardId(1), record)] })).expect("room");
        }
        jobs.send(LogJob::Stop).expect("room");
        let keeping = Keeping { lengths, ..Keeping::default() };
        let (log, told) = (Segmented::default(), Told::default());
        let mut worker = Worker { log, keeping, done, waiting: VecDeque::new(), untidy: false, segments: 0, told };
        worker.run(&todo).expect("sound");
        let said = std::iter::from_fn(|| results.try_recv().ok());
        let said = said.filter_map(|said| match said {
            LogDone::Laggards(laggards, pressed) if laggards[0].0 == ShardId(1) => Some(pressed),
            _ => None,
        });
        (said.collect(), worker.log.kept)
    }

    #[test]
    fn a_log_that_is_long_or_too_long_says_so_although_nothing_is_released_any_more() {
        let lengths = Lengths::new(16 << 20, 1 << 20);
        let few = 4 << 20;
        assert_eq!(lengths, Lengths { kept: few, long: 6 << 20, most: 16 << 20 });
        assert_eq!(told(4, lengths), (vec![], vec![]));
        assert_eq!(told(6, lengths), (vec![], vec![few]), "what nobody needs would go");
        assert_eq!(told(7, lengths), (vec![false], vec![few]));
        assert_eq!(told(16, lengths), (vec![false], vec![few]));
        assert_eq!(told(17, lengths), (vec![true], vec![few]));
    }

    #[test]
    fn however_little_a_log_may_take_a_few_segments_are_left_alone() {
        let lengths = Lengths::new(0, 32 << 20);
        let few = 128 << 20;
        assert_eq!(lengths, Lengths { kept: few, long: few, most: few });
    }
}
