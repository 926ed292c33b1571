//! etcd, through `etcd-client` (gRPC).

use super::{Judge, Strand, strands, when_ready, wrong};
use crate::Failure;
use crate::cli::Task;
use crate::meter::Measured;
use crate::work::{RECORDS, VIEW, Work, key, record};
use etcd_client::{Client, Compare, CompareOp, GetOptions, KvClient, Txn, TxnOp};
use futures_util::future::try_join_all;
use std::ops::Range;

/// Operations that share a connection, at least; and connections at most.
const SHARE: usize = 64;
const CONNECTIONS: usize = 8;

pub async fn run(task: &Task) -> Result<Measured, Failure> {
    let members: Vec<&str> = task.at.split(',').collect();
    let mut clients = Vec::new();
    for nth in 0..task.in_flight.div_ceil(SHARE).min(CONNECTIONS) {
        let member = [members[nth % members.len()]];
        clients.push(when_ready(|| Client::connect(member, None)).await?.kv_client());
    }
    let prepare = clients[0].clone();
    when_ready(|| {
        let mut client = prepare.clone();
        async move { client.put("ready", "yes", None).await }
    })
    .await?;
    match task.work {
        Work::StrongReads | Work::EventualReads => put_all(&prepare, (0..RECORDS).map(|number| key(0, number))).await?,
        Work::Views | Work::PackedViews => put_all(&prepare, (0..VIEW).map(|number| key(0, number))).await?,
        Work::Claims | Work::Puts | Work::Contested => {}
    }
    let all = (0..task.in_flight).map(|nth| One { client: clients[nth % clients.len()].clone() });
    strands(task, all.collect(), 1).await
}

/// Keys that sort as they are counted.
fn name(key: u64) -> Vec<u8> {
    format!("f/{key:012x}").into_bytes()
}

async fn put_all(client: &KvClient, keys: impl Iterator<Item = u64>) -> Result<(), Failure> {
    let puts = keys.map(|key| {
        let mut client = client.clone();
        async move { client.put(name(key), record(key), None).await }
    });
    try_join_all(puts).await?;
    Ok(())
}

struct One {
    client: KvClient,
}

impl Strand for One {
    async fn turn(&mut self, numbers: Range<u64>, judge: &Judge) -> Result<(), Failure> {
        let key = judge.key(numbers.start);
        match judge.work {
            Work::Claims | Work::Contested => {
                let free = Compare::version(name(key), CompareOp::Equal, 0);
                let put = TxnOp::put(name(key), record(key), None);
                let answer = self.client.txn(Txn::new().when([free]).and_then([put])).await?;
                judge.claimed(key, answer.succeeded())
            }
            Work::Puts => {
                self.client.put(name(key), record(key), None).await?;
                Ok(())
            }
            Work::StrongReads | Work::EventualReads => {
                let options = GetOptions::new();
                let serializable = judge.work == Work::EventualReads;
                let options = if serializable { options.with_serializable() } else { options };
                let answer = self.client.get(name(key), Some(options)).await?;
                match answer.kvs() {
                    [pair] if pair.value() == record(key) => Ok(()),
                    other => Err(wrong(other, key)),
                }
            }
            Work::Views | Work::PackedViews => {
                let (from, to) = (super::key(0, 0), super::key(0, VIEW));
                let options = GetOptions::new().with_range(name(to)).with_serializable();
                let answer = self.client.get(name(from), Some(options)).await?;
                if answer.kvs().len() as u64 == VIEW { Ok(()) } else { Err(wrong(answer.kvs().len(), from)) }
            }
        }
    }
}
