//! A closed loop of anything: so many in flight, the next one when an outcome has come.

use crate::{Failure, NoAnswer};
use client::{Client, Job, Success};
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

/// Does `jobs` with `depth` in flight; `each` hears the job's place, what came of it, and when. Nobody's answer may
/// be missing at the end.
pub async fn run(
    client: &Client,
    depth: usize,
    jobs: impl IntoIterator<Item = Job>,
    mut each: impl FnMut(u64, &Success, Taken) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (submitter, mut completions) = client.pipeline(depth);
    let mut jobs = jobs.into_iter();
    let mut begun: Vec<Option<(u64, Instant)>> = vec![None; depth];
    let mut free: Vec<usize> = (0..depth).rev().collect();
    let (mut next, mut more) = (0, true);
    let mut done = Vec::with_capacity(depth);
    loop {
        // One moment for all that are begun together: what waits in line behind another waits.
        let now = Instant::now();
        let before = free.len();
        let batch = if more { before } else { 0 };
        let started = jobs.by_ref().take(batch).map(|job| {
            let place = free.pop().unwrap_or_default();
            begun[place] = Some((next, now));
            next += 1;
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
            let (nth, at) = begun[place].take().ok_or("an answer came twice")?;
            free.push(place);
            match &completion.result {
                Ok(success) => each(nth, success, Taken { begun: at, ended: now })?,
                Err(failure) => return Err(NoAnswer(failure.to_string()).into()),
            }
        }
    }
}
