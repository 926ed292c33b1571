//! Redis, through the crate `redis`: connections whose commands are pipelined.

use super::{Judge, Strand, strands, when_ready, wrong};
use crate::Failure;
use crate::cli::Task;
use crate::meter::Measured;
use crate::work::{BYTES, RECORDS, VIEW, Work, key, record};
use redis::aio::MultiplexedConnection;
use redis::{Client, Pipeline, Value};
use std::ops::Range;

/// Commands in a pipeline, at least, where there are so many; and connections at most.
const PIPELINE: usize = 16;
const CONNECTIONS: usize = 64;

/// The hash, and the packed string, that views are of.
const HASH: &str = "view";
const PACKED: &str = "packed";

pub async fn run(task: &Task) -> Result<Measured, Failure> {
    let client = Client::open(task.at.as_str())?;
    // A view is one command: there is nothing to pipeline.
    let views = matches!(task.work, Work::Views | Work::PackedViews);
    let connections = if views { task.in_flight } else { task.in_flight.div_ceil(PIPELINE) }.min(CONNECTIONS);
    let mut all = Vec::new();
    for _ in 0..connections {
        all.push(One { connection: when_ready(|| client.get_multiplexed_async_connection()).await? });
    }
    let mut pipeline = Pipeline::new();
    match task.work {
        Work::StrongReads | Work::EventualReads => (0..RECORDS).for_each(|number| {
            pipeline.set(name(key(0, number)), record(key(0, number))).ignore();
        }),
        Work::Views => (0..VIEW).for_each(|number| {
            pipeline.hset(HASH, number, record(key(0, number))).ignore();
        }),
        Work::PackedViews => {
            let packed: Vec<u8> = (0..VIEW).flat_map(|number| record(key(0, number))).collect();
            pipeline.set(PACKED, packed).ignore();
        }
        Work::Claims | Work::Puts | Work::Contested => {}
    }
    if !pipeline.is_empty() {
        pipeline.exec_async(&mut all[0].connection).await?;
    }
    let width = (task.in_flight / connections) as u64;
    strands(task, all, width).await
}

fn name(key: u64) -> String {
    format!("f{key:x}")
}

struct One {
    connection: MultiplexedConnection,
}

impl Strand for One {
    async fn turn(&mut self, numbers: Range<u64>, judge: &Judge) -> Result<(), Failure> {
        let mut pipeline = Pipeline::with_capacity(usize::try_from(numbers.end - numbers.start)?);
        for number in numbers.clone() {
            let key = judge.key(number);
            match judge.work {
                Work::Claims | Work::Contested => {
                    pipeline.cmd("SET").arg(name(key)).arg(record(key)).arg("NX");
                }
                Work::StrongReads | Work::EventualReads => {
                    pipeline.cmd("GET").arg(name(key));
                }
                Work::Views => {
                    pipeline.cmd("HGETALL").arg(HASH);
                }
                Work::PackedViews => {
                    pipeline.cmd("GETRANGE").arg(PACKED).arg(0).arg(-1);
                }
                Work::Puts => return Err("Redis does not do this".into()),
            }
        }
        let answers: Vec<Value> = pipeline.query_async(&mut self.connection).await?;
        for (number, answer) in numbers.zip(answers) {
            let key = judge.key(number);
            match (judge.work, answer) {
                (Work::Claims | Work::Contested, Value::Okay) => judge.claimed(key, true)?,
                (Work::Claims | Work::Contested, Value::Nil) => judge.claimed(key, false)?,
                (Work::StrongReads | Work::EventualReads, Value::BulkString(bytes)) if bytes == record(key) => {}
                (Work::Views, Value::Array(entries)) if entries.len() as u64 == 2 * VIEW => {}
                (Work::Views, Value::Map(entries)) if entries.len() as u64 == VIEW => {}
                (Work::PackedViews, Value::BulkString(bytes)) if bytes.len() as u64 == VIEW * BYTES as u64 => {}
                (_, other) => return Err(wrong(other, key)),
            }
        }
        Ok(())
    }
}
