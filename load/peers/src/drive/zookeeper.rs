//! ZooKeeper, through `zookeeper-client`: sessions are pipelined.

use super::{Judge, Strand, strands, when_ready, wrong};
use crate::Failure;
use crate::cli::Task;
use crate::meter::Measured;
use crate::work::{RECORDS, Work, key, record};
use futures_util::future::try_join_all;
use std::ops::Range;
use std::time::Duration;
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions, Error};

/// Operations that share a session, at least; and sessions at most.
const SHARE: usize = 16;
const SESSIONS: usize = 12;

pub async fn run(task: &Task) -> Result<Measured, Failure> {
    let servers: Vec<&str> = task.at.split(',').collect();
    let mut clients: Vec<Client> = Vec::new();
    for nth in 0..task.in_flight.div_ceil(SHARE).min(SESSIONS) {
        let server = servers[nth % servers.len()];
        let connect = || Client::connector().with_session_timeout(Duration::from_secs(20)).connect(server);
        clients.push(when_ready(connect).await?);
    }
    when_ready(|| async { here(clients[0].create("/f", b"", &options()).await) }).await?;
    if matches!(task.work, Work::StrongReads | Work::EventualReads) {
        let creates = (0..RECORDS).map(|number| {
            let (key, client) = (key(0, number), &clients[0]);
            async move { here(client.create(&path(key), &record(key), &options()).await) }
        });
        try_join_all(creates).await?;
        // Whoever is asked must have heard of it.
        try_join_all(clients.iter().map(|client| client.sync("/f"))).await?;
    }
    let all = (0..task.in_flight).map(|nth| One { client: clients[nth % clients.len()].clone() });
    strands(task, all.collect(), 1).await
}

fn options() -> CreateOptions<'static> {
    CreateMode::Persistent.with_acls(Acls::anyone_all())
}

fn path(key: u64) -> String {
    format!("/f/{key:x}")
}

/// It is there now, whoever has made it.
fn here<T>(created: Result<T, Error>) -> Result<(), Error> {
    match created {
        Ok(_) | Err(Error::NodeExists) => Ok(()),
        Err(error) => Err(error),
    }
}

struct One {
    client: Client,
}

impl Strand for One {
    async fn turn(&mut self, numbers: Range<u64>, judge: &Judge) -> Result<(), Failure> {
        let key = judge.key(numbers.start);
        match judge.work {
            Work::Claims | Work::Contested => match self.client.create(&path(key), &record(key), &options()).await {
                Ok(_) => judge.claimed(key, true),
                Err(Error::NodeExists) => judge.claimed(key, false),
                Err(error) => Err(error.into()),
            },
            Work::StrongReads => {
                let path = path(key);
                // In one session, what was asked for first is answered first: both are under way at once.
                let (_, read) = futures_util::try_join!(self.client.sync(&path), self.client.get_data(&path))?;
                if read.0 == record(key) { Ok(()) } else { Err(wrong(read.0, key)) }
            }
            Work::EventualReads => {
                let (bytes, _) = self.client.get_data(&path(key)).await?;
                if bytes == record(key) { Ok(()) } else { Err(wrong(bytes, key)) }
            }
            Work::Puts | Work::Views | Work::PackedViews => Err("ZooKeeper does not do this".into()),
        }
    }
}
