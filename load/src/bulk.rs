//! A closed loop of anything: so many in flight, the next one when an outcome has come.

use crate::{Failure, NoAnswer, WrongAnswer};
use client::{Client, Job, Success};
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// When something was begun, and when its outcome had come.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub begun: Instant,
    pub ended: Instant,
}

impl Taken {
    /// How long it took.
    pub fn time(self) -> Duration {
        self.ended - self.begun
    }
}

/// Does `jobs` with `depth` in flight. `each` hears what was said of a job, what came of it, and when; a job that is not
/// answered ends the run.
pub async fn run<W: Copy + Debug>(
    client: &Client,
    depth: usize,
    jobs: impl IntoIterator<Item = (Job, W)>,
    mut each: impl FnMut(W, &Success, Taken) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (submitter, mut completions) = client.pipeline(depth);
    let mut jobs = jobs.into_iter();
    let mut begun: Vec<Option<(W, Instant)>> = vec![None; depth];
    let mut free: Vec<usize> = (0..depth).rev().collect();
    let mut more = true;
    let mut done = Vec::with_capacity(depth);
    loop {
        // One moment for all that are begun together: what waits in line behind another waits.
        let now = Instant::now();
        let before = free.len();
        let batch = if more { before } else { 0 };
        let started = jobs.by_ref().take(batch).map(|(job, word)| {
            let place = free.pop().unwrap_or_default();
            begun[place] = Some((word, now));
            (job, place as u64)
        });
        submitter.submit_all(started).await?;
        more = before - free.len() == batch;
        if free.len() == depth {
            return Ok(());
        }
        done.clear();
        completions.recv_many(&mut done).await;
        let now = Instant::now();
        for completion in &done {
            let place = usize::try_from(completion.tag)?;
            let (word, at) = begun[place].take().ok_or_else(|| WrongAnswer("an answer came twice".to_owned()))?;
            free.push(place);
            match &completion.result {
                Ok(success) => each(word, success, Taken { begun: at, ended: now })?,
                Err(failure) => return Err(NoAnswer(format!("{word:?}: {failure}")).into()),
            }
        }
    }
}
