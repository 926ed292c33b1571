//! The thread that owns the checkpoints: cuts in, chunks out. It never delays consensus, which has a thread of its own.

use bytes::Bytes;
use host::PartRead;
use paxos::Slot;
use placement::Membership;
use placement::ShardId;
use shard::{Cut, Stored};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use storage::{Pages, PagesError, Part};
use tokio::sync::mpsc;
use wire::codec;
use wire::peer::PartOf;
use world::ChunkId;
use world::land::PageKey;

const _: () = assert!(storage::HELD >= host::MAX_SERVED, "what is given to others is held until they have it");

/// Jobs that may wait: at most a few cuts, and the chunks that apply or a read waits for.
const QUEUE: usize = 65_536;
/// Where cores are short, consensus goes first; a checkpoint still gets about a quarter of what is left.
const NICE: i32 = 5;
/// How long to wait before a full disk is tried again.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// About so many bytes of a checkpoint go to another node at a time.
const PART_BYTES: usize = 4 << 20;
const _: () = assert!(2 * PART_BYTES <= codec::MAX_PEER_FRAME, "a part fits its frame, whatever page is its last");

/// What the store is asked to do.
#[derive(Debug)]
pub enum PageJob {
    /// Commit a cut.
    Cut(ShardId, Cut),
    /// Read a chunk.
    Load(ShardId, ChunkId),
    /// Read the next part of a checkpoint for another node.
    ReadPart(PartRead),
    /// Hold no checkpoint of this shard for others any more.
    LetGo(ShardId),
    /// Put a part of another node's checkpoint aside; with the last one, install it.
    Stage(PartOf),
    /// This node joins or has left these shards, each in the configuration of that number.
    Memberships(Vec<(ShardId, Membership)>),
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
    /// A part of a checkpoint, if it is held.
    PartRead(PartRead, Option<PartOf>),
    /// A part is put aside; or it did not fit what is there.
    Staged(ShardId, bool),
    /// Another node's checkpoint is in place, and this is it; `None`: it was too old.
    Installed(ShardId, Option<Stored>),
    /// These shards are joined or left, and what was stored of the latter is gone.
    Moved(Vec<(ShardId, Membership)>),
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
            let mut worker = Worker { pages, done, waiting: VecDeque::new(), again_at: Instant::now() };
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

/// A shard's checkpoint as the store has it.
pub(crate) fn load(pages: &impl Pages, shard: ShardId) -> Result<Option<Stored>, PagesError> {
    Ok(pages.load(shard, PageKey::CHUNK_TAG)?.map(|found| Stored {
        slot: found.slot,
        head: found.head,
        pages: found.pages,
        chunk_keys: found.lazy_keys,
    }))
}

/// What changes the store, and may have to wait for space.
enum Write {
    /// One commit for all of them writes what they share once, and waits for the disk once.
    Cuts(Vec<storage::Cut>),
    Stage(PartOf),
    Memberships(Vec<(ShardId, Membership)>),
}

fn stored(shard: ShardId, Cut { slot, head, pages }: Cut) -> storage::Cut {
    storage::Cut { shard, slot, head, pages }
}

struct Worker<P> {
    pages: P,
    done: mpsc::Sender<PageDone>,
    /// Writes that wait for space on the disk, in order. (The host has only a few under way.)
    waiting: VecDeque<Write>,
    /// When they are tried again.
    again_at: Instant,
}

impl<P: Pages> Worker<P> {
    fn run(&mut self, todo: &Receiver<PageJob>) -> Result<(), PagesError> {
        let mut next = None;
        loop {
            // Chunks are served meanwhile: a full disk can still be read.
            let job = match next.take() {
                Some(job) => Ok(job),
                None if self.waiting.is_empty() => todo.recv().map_err(Into::into),
                None => todo.recv_timeout(self.again_at.saturating_duration_since(Instant::now())),
            };
            if !self.waiting.is_empty() && Instant::now() >= self.again_at {
                self.go_on()?;
            }
            match job {
                Ok(PageJob::Cut(shard, cut)) => {
                    let mut cuts = vec![stored(shard, cut)];
                    // (The host has only so many under way.)
                    next = loop {
                        match todo.try_recv() {
                            Ok(PageJob::Cut(shard, cut)) => cuts.push(stored(shard, cut)),
                            other => break other.ok(),
                        }
                    };
                    self.write(Write::Cuts(cuts))?;
                }
                Ok(PageJob::Stage(staging)) => self.write(Write::Stage(staging))?,
                Ok(PageJob::Memberships(moves)) => self.write(Write::Memberships(moves))?,
                Ok(PageJob::Load(shard, chunk)) => {
                    let page = self.pages.page(shard, &PageKey::Chunk(chunk).to_bytes())?;
                    self.report(PageDone::Loaded(shard, chunk, page));
                }
                Ok(PageJob::ReadPart(read)) => {
                    let (shard, after) = (read.shard, read.after.clone());
                    let found = storage::next_part(&mut self.pages, shard, read.slot, after.as_deref(), PART_BYTES)?;
                    let found = found.map(|(slot, Part { head, pages, last })| PartOf {
                        shard,
                        slot,
                        after,
                        head,
                        pages,
                        last,
                    });
                    self.report(PageDone::PartRead(read, found));
                }
                Ok(PageJob::LetGo(shard)) => self.pages.let_go(shard),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(PageJob::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn write(&mut self, write: Write) -> Result<(), PagesError> {
        self.waiting.push_back(write);
        if self.waiting.len() == 1 { self.go_on() } else { Ok(()) }
    }

    /// Writes what waits, as far as there is space.
    fn go_on(&mut self) -> Result<(), PagesError> {
        while let Some(write) = self.waiting.pop_front() {
            match self.perform(&write) {
                Ok(done) => done.into_iter().for_each(|done| self.report(done)),
                Err(error) if error.is_full() => {
                    tracing::error!(%error, "checkpoints wait for space on the disk");
                    self.waiting.push_front(write);
                    self.again_at = Instant::now() + FULL_PAUSE;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn perform(&mut self, write: &Write) -> Result<Vec<PageDone>, PagesError> {
        let done = match write {
            Write::Cuts(cuts) => {
                self.pages.commit(cuts)?;
                return Ok(cuts.iter().map(|cut| PageDone::Committed(cut.shard, cut.slot)).collect());
            }
            Write::Stage(PartOf { shard, slot, after, head, pages, last }) => {
                let fits = self.pages.stage(*shard, *slot, after.as_deref(), pages)?;
                if fits && *last {
                    match self.pages.install(*shard, *slot, head) {
                        Err(PagesError::Backwards { .. }) => PageDone::Installed(*shard, None),
                        Err(error) => return Err(error),
                        Ok(()) => PageDone::Installed(*shard, load(&self.pages, *shard)?),
                    }
                } else {
                    PageDone::Staged(*shard, fits)
                }
            }
            Write::Memberships(moves) => {
                self.pages.set_memberships(moves)?;
                PageDone::Moved(moves.clone())
            }
        };
        Ok(vec![done])
    }

    fn report(&self, done: PageDone) {
        // Nobody listens any more only when the node is ending.
        let _ = self.done.blocking_send(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use storage::MemoryPages;

    #[test]
    fn what_waits_for_space_is_written_when_there_is_some_however_many_chunks_are_asked_for() {
        let (jobs, todo) = sync_channel(10);
        let (done, mut results) = mpsc::channel(10);
        let (pages, waiting) = (MemoryPages::new(), VecDeque::new());
        let mut worker = Worker { pages, done, waiting, again_at: Instant::now() };
        worker.pages.set_full(true);
        let cut = storage::Cut { shard: ShardId(1), slot: Slot(7), head: Bytes::new(), pages: Vec::new() };
        worker.write(Write::Cuts(vec![cut])).expect("it waits");
        assert!(results.try_recv().is_err(), "there is no space");
        worker.pages.set_full(false);
        // The pause is over, and the queue never empty.
        worker.again_at = Instant::now();
        jobs.send(PageJob::Load(ShardId(1), ChunkId::new(0, 0).expect("in the world"))).expect("room");
        jobs.send(PageJob::Stop).expect("room");
        worker.run(&todo).expect("sound");
        assert!(matches!(results.try_recv(), Ok(PageDone::Committed(ShardId(1), Slot(7)))));
        assert!(matches!(results.try_recv(), Ok(PageDone::Loaded(..))));
    }

    #[test]
    fn checkpoints_that_wait_are_written_at_once_and_in_their_place_among_the_jobs() {
        let (jobs, todo) = sync_channel(10);
        let (done, mut results) = mpsc::channel(10);
        let (pages, waiting) = (MemoryPages::new(), VecDeque::new());
        let mut worker = Worker { pages, done, waiting, again_at: Instant::now() };
        let cut = |slot| Cut { slot: Slot(slot), head: Bytes::new(), pages: Vec::new() };
        let chunk = ChunkId::new(0, 0).expect("in the world");
        for job in [
            PageJob::Cut(ShardId(1), cut(7)),
            PageJob::Cut(ShardId(2), cut(8)),
            PageJob::Load(ShardId(1), chunk),
            PageJob::Cut(ShardId(1), cut(9)),
            PageJob::Stop,
        ] {
            jobs.send(job).expect("room");
        }
        worker.run(&todo).expect("sound");
        let slots: Vec<_> = std::iter::from_fn(|| results.try_recv().ok())
            .map(|done| match done {
                PageDone::Committed(shard, slot) => (shard.0, slot.0),
                PageDone::Loaded(..) => (0, 0),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(slots, [(1, 7), (2, 8), (0, 0), (1, 9)]);
        assert_eq!(worker.pages.commits(), 2);
    }
}
