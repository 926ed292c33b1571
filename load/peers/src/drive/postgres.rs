//! PostgreSQL, through `tokio-postgres`: prepared statements, pipelined where more are in flight than connections.

use super::{Judge, Strand, strands, when_ready, wrong};
use crate::Failure;
use crate::cli::Task;
use crate::meter::Measured;
use crate::work::{RECORDS, VIEW, Work, key, record};
use futures_util::future::try_join_all;
use std::ops::Range;
use tokio_postgres::{Client, NoTls, Statement};

/// Each connection is a process of the server: more of them do not make it faster.
const CONNECTIONS: usize = 64;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS fields (id bigint PRIMARY KEY, record bytea NOT NULL)";
const CLAIM: &str = "INSERT INTO fields (id, record) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
const READ: &str = "SELECT record FROM fields WHERE id = $1";
const VIEW_OF: &str = "SELECT id, record FROM fields WHERE id >= $1 AND id < $2";

pub async fn run(task: &Task) -> Result<Measured, Failure> {
    let connections = task.in_flight.min(CONNECTIONS);
    let mut all = Vec::new();
    for _ in 0..connections {
        let (client, connection) = when_ready(|| tokio_postgres::connect(&task.at, NoTls)).await?;
        tokio::spawn(connection);
        if all.is_empty() {
            client.batch_execute(TABLE).await?;
        }
        let statement = match task.work {
            Work::Claims | Work::Contested => CLAIM,
            Work::StrongReads | Work::EventualReads => READ,
            Work::Views => VIEW_OF,
            Work::Puts | Work::PackedViews => return Err("PostgreSQL does not do this".into()),
        };
        all.push(One { statement: client.prepare(statement).await?, client });
    }
    if !matches!(task.work, Work::Claims | Work::Contested) {
        let claim = all[0].client.prepare(CLAIM).await?;
        for number in 0..RECORDS.max(VIEW) {
            all[0].client.execute(&claim, &[&id(key(0, number)), &record(key(0, number))]).await?;
        }
        // As its own housekeeping would, sooner or later.
        all[0].client.batch_execute("VACUUM ANALYZE fields").await?;
    }
    let width = (task.in_flight / connections) as u64;
    strands(task, all, width).await
}

fn id(key: u64) -> i64 {
    i64::try_from(key).expect("keys are far below 2^63")
}

struct One {
    client: Client,
    statement: Statement,
}

impl One {
    async fn one(&self, number: u64, judge: &Judge) -> Result<(), Failure> {
        let key = judge.key(number);
        match judge.work {
            Work::Claims | Work::Contested => {
                let rows = self.client.execute(&self.statement, &[&id(key), &record(key)]).await?;
                judge.claimed(key, rows == 1)
            }
            Work::Views => {
                let (from, to) = (super::key(0, 0), super::key(0, VIEW));
                let rows = self.client.query(&self.statement, &[&id(from), &id(to)]).await?;
                if rows.len() as u64 == VIEW { Ok(()) } else { Err(wrong(rows.len(), from)) }
            }
            _ => {
                let row = self.client.query_one(&self.statement, &[&id(key)]).await?;
                let bytes: &[u8] = row.try_get(0)?;
                if bytes == record(key) { Ok(()) } else { Err(wrong(bytes, key)) }
            }
        }
    }
}

impl Strand for One {
    async fn turn(&mut self, numbers: Range<u64>, judge: &Judge) -> Result<(), Failure> {
        try_join_all(numbers.map(|number| self.one(number, judge))).await?;
        Ok(())
    }
}
