//! Tests of the log: what both logs owe (`conformance`), and what a file can suffer.

mod conformance;
mod crashes;
mod damage;
mod disk;
mod lockstep;

use super::*;
use crate::scratch::{Scratch, identity};
use bytes::Bytes;
use disk::TestDisk;
use paxos::{Ballot, NodeId, Recovered};
use std::collections::BTreeMap;
use std::sync::Arc;

type Applied = BTreeMap<ShardId, Slot>;
type Found = BTreeMap<ShardId, Recovered>;

/// Small segments, so that few records fill several.
const SMALL: LogOptions = LogOptions { segment_bytes: 4096, rewrite_bytes: 1024 };

fn ballot(round: u64) -> Ballot {
    Ballot { round, node: NodeId(1) }
}

fn text(text: &str) -> Value {
    Value::Command(Bytes::copy_from_slice(text.as_bytes()))
}

fn promise(shard: u32, round: u64) -> LogRecord {
    LogRecord { shard: ShardId(shard), record: Record::Promise { ballot: ballot(round) } }
}

fn accept(shard: u32, slot: u64, round: u64, chosen: u64, value: Value) -> LogRecord {
    let record = Record::Accept { slot: Slot(slot), ballot: ballot(round), value, chosen: Slot(chosen) };
    LogRecord { shard: ShardId(shard), record }
}

fn learn(shard: u32, slot: u64, value: Value) -> LogRecord {
    LogRecord { shard: ShardId(shard), record: Record::Learn { slot: Slot(slot), value } }
}

fn applied(slots: &[(u32, u64)]) -> Applied {
    slots.iter().map(|(shard, slot)| (ShardId(*shard), Slot(*slot))).collect()
}

fn open(dir: &std::path::Path, applied: &Applied) -> Result<(FileLog, Found), LogError> {
    FileLog::open(dir, identity(), SMALL, &applied.clone().into())
}

/// A log of either kind, and what the world can do to it.
trait Backend {
    fn log(&mut self) -> &mut dyn Log;
    /// Power is lost, and nothing that was not synced survives; then a restart.
    fn crash(&mut self, applied: &Applied) -> Result<Found, LogError>;
    fn fail_next_sync(&mut self);
    fn set_full(&mut self, full: bool);
    /// A bit flips in the record of a synced slot.
    fn flip(&mut self, shard: u32, slot: u64);
}

struct Memory(MemoryLog);

impl Backend for Memory {
    fn log(&mut self) -> &mut dyn Log {
        &mut self.0
    }

    fn crash(&mut self, applied: &Applied) -> Result<Found, LogError> {
        self.0.crash(0);
        self.0.recover(&applied.clone().into())
    }

    fn fail_next_sync(&mut self) {
        self.0.fail_next_sync();
    }

    fn set_full(&mut self, full: bool) {
        self.0.set_full(full);
    }

    fn flip(&mut self, shard: u32, slot: u64) {
        assert!(self.0.flip(ShardId(shard), Slot(slot)));
    }
}

struct OnDisk {
    dir: Scratch,
    disk: TestDisk,
    log: Option<FileLog>,
}

impl OnDisk {
    fn new(options: LogOptions) -> Self {
        let (dir, disk) = (Scratch::new(), TestDisk::default());
        disk.lose_unsynced();
        let log = FileLog::create_on(Arc::new(disk.clone()), dir.path(), identity(), options).expect("a new log");
        Self { dir, disk, log: Some(log) }
    }

    fn file(&mut self) -> &mut FileLog {
        self.log.as_mut().expect("open after a crash that was recovered from")
    }
}

impl Backend for OnDisk {
    fn log(&mut self) -> &mut dyn Log {
        self.file()
    }

    fn crash(&mut self, applied: &Applied) -> Result<Found, LogError> {
        let options = self.log.take().map_or(SMALL, |log| log.options);
        let (log, found) =
            recovery::open(Arc::new(self.disk.clone()), self.dir.path(), identity(), options, &applied.clone().into())?;
        self.log = Some(log);
        Ok(found)
    }

    fn fail_next_sync(&mut self) {
        self.disk.fail_next_sync();
    }

    fn set_full(&mut self, full: bool) {
        self.disk.set_full(full);
    }

    fn flip(&mut self, shard: u32, slot: u64) {
        let log = self.file();
        let place = log.shards[&ShardId(shard)].slots.get(Slot(slot)).expect("the slot is held");
        let file = &log.segments[&place.segment].file;
        let at = u64::from(place.offset + place.len - 1);
        let mut byte = [0];
        file.read_at(&mut byte, at).expect("readable");
        file.write_at(&[byte[0] ^ 0x10], at).expect("writable");
        file.sync().expect("the flip is on disk");
    }
}
