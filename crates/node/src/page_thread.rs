//! The thread that owns the checkpoints: cuts in, chunks out. It never delays consensus, which has a thread of its own.

use bytes::Bytes;
use paxos::Slot;
use placement::ShardId;
use shard::Cut;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use storage::{Pages, PagesError};
use tokio::sync::mpsc;
use world::ChunkId;
use world::land::PageKey;

/// Jobs that may wait: at most a few cuts, and the chunks that apply or a read waits for.
const QUEUE: usize = 65_536;
/// Where cores are short, consensus goes first; a checkpoint still gets about a quarter of what is left.
const NICE: i32 = 5;
/// How long to wait before a full disk is tried again.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// What the store is asked to do.
#[derive(Debug)]
pub enum PageJob {
    /// Commit a cut.
    Cut(ShardId, Cut),
    /// Read a chunk.
    Load(ShardId, ChunkId),
    /// Nothing follows.
    Stop,
}

/// What the store has done.
#[derive(Debug)]
pub enum PageDone {
    /// The cut up to this slot is durable.
    Committed(ShardId, Slot),
    /// A chunk's page, if there is one.
    Loaded(ShardId, ChunkId, Option<Bytes>),
    /// The store is out of use; the node stops.
    Failed(PagesError),
}

/// The driver's end.
#[derive(Debug)]
pub struct PageThread {
    jobs: SyncSender<PageJob>,
    thread: Option<JoinHandle<()>>,
}

impl PageThread {
    /// Starts the thread; as [`crate::log_thread::LogThread::start`].
    pub fn start(pages: impl Pages + Send + 'static) -> std::io::Result<(Self, mpsc::Receiver<PageDone>)> {
        let (jobs, todo) = sync_channel(QUEUE);
        let (done, results) = mpsc::channel(QUEUE * 2);
        let thread = std::thread::Builder::new().name("pages".into()).spawn(move || {
            // On Linux this is about the calling thread. Where it may not be done, checkpoints are a little more in the way.
            if let Err(error) = rustix::process::setpriority_process(None, NICE) {
                tracing::debug!(%error, "the checkpoints' thread keeps its priority");
            }
            let mut worker = Worker { pages, done, waiting: VecDeque::new() };
            if let Err(error) = worker.run(&todo) {
                worker.report(PageDone::Failed(error));
            }
        })?;
        Ok((Self { jobs, thread: Some(thread) }, results))
    }

    /// Queues a job; `false`: the thread has ended, and has said why.
    pub fn submit(&self, job: PageJob) -> bool {
        self.jobs.send(job).is_ok()
    }

    /// Lets it finish what is queued.
    pub fn stop(mut self) {
        self.submit(PageJob::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpoints' thread ended in a panic");
        }
    }
}

struct Worker<P> {
    pages: P,
    done: mpsc::Sender<PageDone>,
    /// Cuts that wait for space on the disk, in order. (The host has only a few under way.)
    waiting: VecDeque<storage::Cut>,
}

impl<P: Pages> Worker<P> {
    fn run(&mut self, todo: &Receiver<PageJob>) -> Result<(), PagesError> {
        loop {
            // Chunks are served meanwhile: a full disk can still be read.
            let job =
                if self.waiting.is_empty() { todo.recv().map_err(Into::into) } else { todo.recv_timeout(FULL_PAUSE) };
            match job {
                Ok(PageJob::Cut(shard, Cut { slot, head, pages })) => {
                    self.waiting.push_back(storage::Cut { shard, slot, head, pages });
                    if self.waiting.len() == 1 {
                        self.commit()?;
                    }
                }
                Ok(PageJob::Load(shard, chunk)) => {
                    let page = self.pages.page(shard, &PageKey::Chunk(chunk).to_bytes())?;
                    self.report(PageDone::Loaded(shard, chunk, page));
                }
                Err(RecvTimeoutError::Timeout) => self.commit()?,
                Ok(PageJob::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Commits what waits, as far as there is space.
    fn commit(&mut self) -> Result<(), PagesError> {
        while let Some(cut) = self.waiting.front() {
            match self.pages.commit(std::slice::from_ref(cut)) {
                Ok(()) => {
                    let (shard, slot) = (cut.shard, cut.slot);
                    self.waiting.pop_front();
                    self.report(PageDone::Committed(shard, slot));
                }
                Err(error) if error.is_full() => {
                    tracing::error!(%error, "the disk is full: checkpoints wait for space");
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn report(&self, done: PageDone) {
        // Nobody listens any more only when the node is ending.
        let _ = self.done.blocking_send(done);
    }
}
