//! A peer's client: so many operations in flight, every answer checked.
//!
//! Each peer is driven the way that is best for it: connections and pipelines as its documentation recommends, a client that
//! others have written and keep.

mod etcd;
mod land;
mod ours;
mod postgres;
mod redis;
mod zookeeper;

use crate::Failure;
use crate::cli::Task;
use crate::meter::{Measured, Meter};
use crate::work::{Peer, RIVALS, Work, key};
use futures_util::future::{try_join, try_join_all};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Servers that have just been started may take so long to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does a task and prints what it measured.
pub async fn run(task: &Task) -> Result<(), Failure> {
    let measured = match task.peer {
        Peer::Ours => ours::run(task).await?,
        Peer::Etcd => etcd::run(task).await?,
        Peer::Zookeeper => zookeeper::run(task).await?,
        Peer::Redis => redis::run(task).await?,
        Peer::Postgres => postgres::run(task).await?,
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

/// One strand of a closed loop: it does a turn's operations and begins the next turn when they are answered.
trait Strand {
    /// Does the operations of these numbers.
    async fn turn(&mut self, numbers: Range<u64>, judge: &Judge) -> Result<(), Failure>;
}

/// Runs all strands, each with `width` operations a turn.
async fn strands<S: Strand>(task: &Task, strands: Vec<S>, width: u64) -> Result<Measured, Failure> {
    let (meter, judge) = (Meter::new(task.seconds)?, Judge::new(task));
    let (meter_ref, judge_ref) = (&meter, &judge);
    let loops = strands.into_iter().map(|mut strand| async move {
        while meter_ref.is_open() {
            let begun = Instant::now();
            strand.turn(meter_ref.take(width), judge_ref).await?;
            meter_ref.done(begun, Instant::now(), width)?;
        }
        Ok::<(), Failure>(())
    });
    try_join(try_join_all(loops), meter.watch(task)).await?;
    Ok(meter.measured())
}

/// Holds answers against what they must be.
#[derive(Debug)]
struct Judge {
    work: Work,
    nth: u64,
    /// By contested key: how many have tried, and how many of them have won.
    tried: RefCell<BTreeMap<u64, (u64, u64)>>,
}

impl Judge {
    fn new(task: &Task) -> Self {
        Self { work: task.work, nth: task.nth, tried: RefCell::default() }
    }

    /// The key that the operation of this number is about. (Claims have keys of this task; reads are of what was prepared.)
    fn key(&self, number: u64) -> u64 {
        match self.work {
            Work::Claims | Work::Puts => key(self.nth, number),
            Work::Contested => key(self.nth, number / RIVALS),
            Work::StrongReads | Work::EventualReads => key(0, number % crate::work::RECORDS),
            Work::Views | Work::PackedViews => key(0, number % crate::work::VIEW),
        }
    }

    /// Somebody claimed this key and was told whether it is theirs.
    fn claimed(&self, key: u64, won: bool) -> Result<(), Failure> {
        if self.work != Work::Contested {
            return if won { Ok(()) } else { Err(format!("{key:x} is nobody's, and was refused").into()) };
        }
        let mut tried = self.tried.borrow_mut();
        let (tries, wins) = tried.entry(key).or_default();
        *tries += 1;
        *wins += u64::from(won);
        match (*tries, *wins) {
            (_, 2..) => Err(format!("{key:x} was given to two").into()),
            (RIVALS, 0) => Err(format!("{key:x} was refused to everybody").into()),
            (RIVALS, _) => {
                tried.remove(&key);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// An answer that is not what was written.
fn wrong(what: impl std::fmt::Debug, key: u64) -> Failure {
    format!("{key:x} was read as {what:?}").into()
}

/// Waits until `attempt` does something useful for the first time.
async fn when_ready<T, E, F>(mut attempt: impl FnMut() -> F) -> Result<T, Failure>
where
    E: std::fmt::Display,
    F: Future<Output = Result<T, E>>,
{
    let until = Instant::now() + PATIENCE;
    loop {
        let attempted = tokio::time::timeout(Duration::from_secs(5), attempt()).await;
        let why = match attempted {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        if Instant::now() >= until {
            return Err(format!("not ready after {PATIENCE:?}: {why}").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
