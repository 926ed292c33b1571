//! A closed loop of anything: so many in flight, the next one when an outcome has come.

use crate::{Failure, NoAnswer};
use client::{Client, Read, ReadOptions, Success};
use std::time::{Duration, Instant};
use world::{Command, PlayerName};

/// One thing to do.
#[derive(Clone, Copy, Debug)]
pub enum Job {
    /// A command of this player.
    Do(PlayerName, Command),
    /// A question.
    Ask(Read, ReadOptions),
}

/// Does `jobs` with `depth` in flight; `each` hears the job's place, what came of it, and how long that took. Nobody's answer may
/// be missing at the end.
pub async fn run(
    client: &Client,
    depth: usize,
    jobs: impl IntoIterator<Item = Job>,
    mut each: impl FnMut(u64, Success, Duration) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (submitter, mut completions) = client.pipeline(depth);
    let mut jobs = jobs.into_iter();
    let mut begun: Vec<Option<(u64, Instant)>> = vec![None; depth];
    let mut free: Vec<usize> = (0..depth).rev().collect();
    let (mut next, mut more) = (0, true);
    let mut done = Vec::with_capacity(depth);
    loop {
        while more && let Some(place) = free.pop() {
            let Some(job) = jobs.next() else {
                more = false;
                free.push(place);
                break;
            };
            begun[place] = Some((next, Instant::now()));
            next += 1;
            match job {
                Job::Do(player, command) => submitter.submit(player, command, place as u64).await?,
                Job::Ask(read, options) => submitter.submit_read(read, options, place as u64).await?,
            }
        }
        if free.len() == depth {
            return Ok(());
        }
        done.clear();
        completions.recv_many(&mut done).await;
        let now = Instant::now();
        for completion in done.drain(..) {
            let place = usize::try_from(completion.tag)?;
            let (nth, at) = begun[place].take().ok_or("an answer came twice")?;
            free.push(place);
            match completion.result {
                Ok(success) => each(nth, success, now - at)?,
                Err(failure) => return Err(NoAnswer(failure.to_string()).into()),
            }
        }
    }
}
