//! Commands and reads in bulk: no task and no channel for each, only a tag that comes back with the outcome.

use crate::driver::{Ask, Waiting, What};
use crate::error::Error;
use client_proto::{Failure, Read, Success};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, Semaphore, mpsc};
use world::{Command, PlayerName};

use crate::client::ReadOptions;

/// What came of one submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The submitter's own word for it.
    pub tag: u64,
    /// What came of it. A command that the rules rejected is a [`Success::Command`] whose outcome says so.
    pub result: Result<Success, Failure>,
}

/// Something to do or to ask.
#[derive(Clone, Copy, Debug)]
pub enum Job {
    /// A command of this player.
    Do(PlayerName, Command),
    /// A question.
    Ask(Read, ReadOptions),
}

impl Job {
    fn into_what(self) -> What {
        match self {
            Self::Do(player, command) => What::Command { player, command },
            Self::Ask(read, ReadOptions { level, from }) => What::Read { read, level, from },
        }
    }
}

/// The submitting end of a pipeline; clones share its depth.
#[derive(Clone, Debug)]
pub struct Submitter {
    asks: mpsc::Sender<Ask>,
    lane: Arc<Lane>,
}

/// The receiving end of a pipeline. Completions come in any order, each submission's exactly once (unless the client is
/// closed first).
#[derive(Debug)]
pub struct Completions {
    lane: Arc<Lane>,
    taken: VecDeque<Completion>,
}

/// Invariant: what is under way and what waits to be received are together at most the depth.
#[derive(Debug)]
pub(crate) struct Lane {
    done: Mutex<Vec<Completion>>,
    ready: Notify,
    room: Semaphore,
}

pub(crate) fn pipeline(asks: mpsc::Sender<Ask>, depth: usize) -> (Submitter, Completions) {
    let room = Semaphore::new(depth.clamp(1, Semaphore::MAX_PERMITS));
    let lane = Arc::new(Lane { done: Mutex::default(), ready: Notify::new(), room });
    (Submitter { asks, lane: lane.clone() }, Completions { lane, taken: VecDeque::new() })
}

impl Submitter {
    /// Begins a command; waits while as many submissions as the pipeline is deep have not been received back.
    pub async fn submit(&self, player: PlayerName, command: Command, tag: u64) -> Result<(), Error> {
        self.start(Job::Do(player, command), tag).await
    }

    /// Begins a read; waits like [`Submitter::submit`].
    pub async fn submit_read(&self, read: Read, options: ReadOptions, tag: u64) -> Result<(), Error> {
        self.start(Job::Ask(read, options), tag).await
    }

    /// Begins many, each with its tag, in order; waits like [`Submitter::submit`]. Costs less than one after the other.
    pub async fn submit_all(&self, jobs: impl IntoIterator<Item = (Job, u64)>) -> Result<(), Error> {
        let mut jobs = jobs.into_iter().map(|(job, tag)| (job.into_what(), tag));
        while let Some(first) = jobs.next() {
            let room = self.lane.room.acquire().await.map_err(|_| Error::Closed)?;
            room.forget();
            let mut taken = Vec::with_capacity(jobs.size_hint().0.min(self.lane.room.available_permits()) + 1);
            taken.push(first);
            // No more than there is room for at once: the next round waits for more.
            while let Ok(room) = self.lane.room.try_acquire() {
                let Some(job) = jobs.next() else { break };
                room.forget();
                taken.push(job);
            }
            self.asks.send(Ask::StartAll(taken, self.lane.clone())).await.map_err(|_| Error::Closed)?;
        }
        Ok(())
    }

    async fn start(&self, job: Job, tag: u64) -> Result<(), Error> {
        let what = job.into_what();
        let room = self.lane.room.acquire().await.map_err(|_| Error::Closed)?;
        let waiting = Waiting::Lane { lane: self.lane.clone(), tag };
        self.asks.send(Ask::Start(what, waiting)).await.map_err(|_| Error::Closed)?;
        room.forget();
        Ok(())
    }
}

impl Completions {
    /// The next completion.
    pub async fn recv(&mut self) -> Completion {
        while self.taken.is_empty() {
            self.fill().await;
        }
        self.taken.pop_front().expect("filled just now")
    }

    /// Waits for completions and appends all that are here to `completions`; says how many (at least one). Dropping the
    /// future loses nothing.
    pub async fn recv_many(&mut self, completions: &mut Vec<Completion>) -> usize {
        while self.taken.is_empty() {
            self.fill().await;
        }
        let count = self.taken.len();
        if completions.is_empty() {
            // Each list takes the other's place: nothing is moved.
            let emptied = std::mem::take(completions);
            *completions = Vec::from(std::mem::replace(&mut self.taken, VecDeque::from(emptied)));
        } else {
            completions.extend(self.taken.drain(..));
        }
        count
    }

    async fn fill(&mut self) {
        loop {
            let emptied = Vec::from(std::mem::take(&mut self.taken));
            self.taken = VecDeque::from(std::mem::replace(&mut *self.lane.lock(), emptied));
            if !self.taken.is_empty() {
                self.lane.room.add_permits(self.taken.len());
                return;
            }
            self.lane.ready.notified().await;
        }
    }
}

/// Completions on their way to a lane, as long as all are the same lane's.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    lane: Option<Arc<Lane>>,
    done: Vec<Completion>,
}

impl Batch {
    #[inline]
    pub fn push(&mut self, lane: Arc<Lane>, completion: Completion) {
        if !self.lane.as_ref().is_some_and(|own| Arc::ptr_eq(own, &lane)) {
            self.hand_over();
            self.lane = Some(lane);
        }
        self.done.push(completion);
    }

    /// Whoever waits for them has them.
    pub fn hand_over(&mut self) {
        if let Some(lane) = self.lane.take() {
            lane.append(&mut self.done);
        }
    }
}

impl Lane {
    fn append(&self, completions: &mut Vec<Completion>) {
        let mut done = self.lock();
        let was_empty = done.is_empty();
        if was_empty {
            // Each list takes the other's place: nothing is moved.
            std::mem::swap(&mut *done, completions);
        } else {
            done.append(completions);
        }
        drop(done);
        if was_empty {
            self.ready.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Completion>> {
        // Nothing panics while the lock is held; if something did, the queue would still be in order.
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
