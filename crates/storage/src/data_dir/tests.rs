//! The data directory: held by one, owned by one, whole or refused.

use super::*;
use crate::scratch::Scratch;
use crate::{Cut, Log, LogError, LogRecord, PagesError};
use bytes::Bytes;
use paxos::{Ballot, Record, Slot, Value};

const CLUSTER: ClusterId = ClusterId(0xBEEF);
const NODE: NodeId = NodeId(1);
const SHARD: ShardId = ShardId(4);

fn options() -> StoreOptions {
    StoreOptions {
        log: LogOptions { segment_bytes: 8192, rewrite_bytes: 1024 },
        cache_bytes: 1 << 20,
        reserve_bytes: 1 << 16,
    }
}

fn open(dir: &Scratch, incarnation: u64) -> Result<DataDir, DataError> {
    DataDir::open(dir.path(), CLUSTER, NODE, Incarnation(incarnation))
}

fn accept(slot: u64) -> LogRecord {
    let (ballot, chosen) = (Ballot::ZERO.next_for(NODE), Slot(slot - 1));
    let value = Value::Command(Bytes::from_static(b"claim"));
    LogRecord { shard: SHARD, record: Record::Accept { slot: Slot(slot), ballot, value, chosen } }
}

/// A node that ran: slots up to 3 in the log, a checkpoint at 2.
fn used() -> Scratch {
    let dir = Scratch::new();
    let mut data = open(&dir, 7).expect("new");
    assert!(data.is_new());
    let mut stores = data.open_stores(options()).expect("new");
    for records in [&[accept(1), accept(2)][..], &[accept(3)]] {
        stores.log.append(records).expect("room");
        stores.log.sync().expect("sound");
    }
    let page = (Bytes::from_static(b"p"), Some(Bytes::from_static(b"a field and its owner")));
    let cut = Cut { shard: SHARD, slot: Slot(2), head: Bytes::new(), pages: vec![page] };
    stores.pages.commit(&[cut]).expect("room");
    dir
}

#[test]
fn a_restart_finds_checkpoint_and_log_counts_the_boot_and_keeps_the_incarnation() {
    let dir = used();
    for boots in 2..5 {
        let mut data = open(&dir, 1000 + boots).expect("ours");
        assert_eq!((data.boots(), data.identity().incarnation, data.is_new()), (boots, Incarnation(7), false));
        let stores = data.open_stores(options()).expect("sound");
        let found = &stores.recovered[&SHARD];
        assert_eq!((found.applied, found.chosen, found.first), (Slot(2), Slot(2), Slot(1)));
        assert!(found.entries.keys().eq([&Slot(3)]));
    }
}

#[test]
fn a_directory_in_use_is_refused_with_the_pid_until_it_is_let_go() {
    let dir = Scratch::new();
    let held = open(&dir, 1).expect("new");
    let error = open(&dir, 1).expect_err("held");
    assert!(matches!(&error, DataError::InUse { pid: Some(pid), .. } if *pid == std::process::id()));
    assert!(error.to_string().contains(&format!("(pid {})", std::process::id())), "{error}");
    drop(held);
    assert_eq!(open(&dir, 1).expect("free again").boots(), 2);
}

#[test]
fn the_directory_of_another_node_or_cluster_is_refused() {
    let dir = used();
    let node = DataDir::open(dir.path(), CLUSTER, NodeId(2), Incarnation(1)).expect_err("n1's");
    assert!(matches!(node, DataError::OtherNode { found: NODE, expected: NodeId(2), .. }), "{node}");
    let cluster = DataDir::open(dir.path(), ClusterId(1), NODE, Incarnation(1)).expect_err("another cluster's");
    assert!(matches!(cluster, DataError::OtherCluster { found: CLUSTER, expected: ClusterId(1), .. }), "{cluster}");
    assert_eq!(open(&dir, 1).expect("ours").boots(), 2, "a refused start counts no boot");
}

#[test]
fn a_wiped_log_a_wiped_checkpoint_and_a_wiped_version_are_refused() {
    let dir = used();
    fs::remove_dir_all(dir.path().join("log")).expect("there");
    fs::create_dir(dir.path().join("log")).expect("gone");
    let error = open(&dir, 9).expect("ours").open_stores(options()).err().expect("its promises are gone");
    assert!(matches!(error, DataError::Log(LogError::Missing { .. })), "{error}");

    let dir = used();
    fs::remove_file(dir.path().join("pages.redb")).expect("there");
    let error = open(&dir, 9).expect("ours").open_stores(options()).err().expect("its checkpoint is gone");
    assert!(matches!(error, DataError::Pages(PagesError::Missing { .. })), "{error}");

    let dir = used();
    fs::remove_file(dir.path().join("VERSION")).expect("there");
    let error = open(&dir, 9).expect_err("whose data is it?");
    assert!(matches!(error, DataError::NoVersion { .. }), "{error}");
}

#[test]
fn a_wiped_node_under_its_old_name_is_a_new_incarnation_and_cannot_take_over_old_files() {
    let (old, new) = (used(), Scratch::new());
    let mut data = open(&new, 8).expect("new");
    drop(data.open_stores(options()).expect("new"));
    assert_eq!(data.identity().incarnation, Incarnation(8));
    drop(data);
    fs::remove_dir_all(new.path().join("log")).expect("there");
    fs::rename(old.path().join("log"), new.path().join("log")).expect("same disk");
    let error = open(&new, 8).expect("ours").open_stores(options()).err().expect("two lives are mixed");
    assert!(matches!(error, DataError::Log(LogError::OtherIdentity { .. })), "{error}");
    fs::rename(old.path().join("pages.redb"), new.path().join("pages.redb")).expect("same disk");
    let error = open(&new, 8).expect("ours").open_stores(options()).err().expect("two lives are mixed");
    assert!(matches!(error, DataError::Pages(PagesError::OtherIdentity { .. })), "{error}");
}

#[test]
fn a_first_boot_that_was_interrupted_starts_over() {
    let dir = Scratch::new();
    drop(open(&dir, 7).expect("new"));
    fs::create_dir(dir.path().join("log")).expect("new");
    fs::write(dir.path().join("log/0000000001.seg"), b"half").expect("writable");
    fs::write(dir.path().join("pages.redb"), b"half").expect("writable");
    let mut data = open(&dir, 8).expect("ours");
    assert_eq!((data.identity().incarnation, data.boots()), (Incarnation(7), 2));
    assert!(data.open_stores(options()).expect("made anew").recovered.is_empty());
}

#[test]
fn a_flip_of_any_bit_of_version_is_refused() {
    let dir = used();
    let path = dir.path().join("VERSION");
    let whole = fs::read(&path).expect("readable");
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).expect("writable");
        let error = open(&dir, 1).expect_err("damaged");
        assert!(matches!(error, DataError::Damaged { .. } | DataError::OtherVersion { .. }), "bit {bit}: {error}");
    }
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).expect("writable");
        assert!(matches!(open(&dir, 1), Err(DataError::Damaged { .. })), "cut at {cut}");
    }
    fs::write(&path, "icefarm data 3\nsomething new\n").expect("writable");
    assert!(matches!(open(&dir, 1), Err(DataError::OtherVersion { found: 3, expected: 2, .. })));
}

#[test]
fn the_longest_support_of_earlier_lives_binds_until_it_is_outlived() {
    let dir = Scratch::new();
    let second = Duration::from_secs(1);
    let life = |support: Duration| {
        let mut data = open(&dir, 1).expect("ours");
        let bound = data.give_support(support).expect("room");
        (data, bound)
    };
    assert_eq!(life(5 * second).1, Duration::ZERO, "nothing was ever promised");
    assert_eq!(life(second).1, 5 * second);
    let (mut data, bound) = life(second);
    assert_eq!(bound, 5 * second, "a short life has not outlived it");
    data.outlived_support(second).expect("room");
    drop(data);
    assert_eq!(life(second).1, second);
}

#[test]
fn who_was_met_first_is_remembered_and_a_damaged_memory_is_refused() {
    let dir = Scratch::new();
    let mut data = open(&dir, 1).expect("new");
    assert!(data.met().is_empty());
    for (node, life) in [(2, 20), (3, 30), (2, 99)] {
        data.meet(NodeId(node), Incarnation(life)).expect("room");
    }
    drop(data);
    let expected = [(NodeId(2), Incarnation(20)), (NodeId(3), Incarnation(30))];
    assert!(open(&dir, 1).expect("ours").met().iter().map(|(node, life)| (*node, *life)).eq(expected));
    let path = dir.path().join("PEERS");
    let whole = fs::read(&path).expect("there");
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).expect("writable");
        assert!(matches!(open(&dir, 1), Err(DataError::Damaged { .. })), "bit {bit}");
    }
}

#[test]
fn an_inspection_finds_what_a_start_would_and_counts_no_boot() {
    let dir = used();
    let mut told = Vec::new();
    let found = DataDir::inspect(dir.path(), |progress| told.push(progress)).expect("sound");
    assert_eq!((found.identity.incarnation, found.boots, found.pages), (Incarnation(7), 1, 1));
    assert_eq!((found.log.segments, found.log.frames, found.log.records, found.log.torn), (1, 3, 3, false));
    let shard = &found.shards[&SHARD];
    let recovered = shard.recovered.as_ref().expect("it is held");
    assert_eq!((recovered.applied, recovered.chosen, shard.pages), (Slot(2), Slot(2), 1));
    assert_eq!(told, [Progress::Log(0, 1), Progress::Pages(1, 1)]);
    drop(found);
    let held = open(&dir, 7).expect("ours");
    assert_eq!(held.boots(), 2, "the inspection was none");
    assert!(matches!(DataDir::inspect(dir.path(), |_| {}), Err(DataError::InUse { .. })));
}

#[test]
fn an_inspection_tells_a_flip_in_either_store_and_leaves_it_as_it_was() {
    let dir = used();
    let pages = dir.path().join("pages.redb");
    let segment = dir.path().join("log/0000000001.seg");
    let page = b"a field and its owner";
    for (file, needle) in [(&pages, &page[..]), (&segment, &b"claim"[..])] {
        let sound = fs::read(file).expect("it is there");
        let at = sound.windows(needle.len()).position(|bytes| bytes == needle).expect("it was stored");
        let mut flipped = sound.clone();
        flipped[at] ^= 1;
        fs::write(file, &flipped).expect("room");
        let error = DataDir::inspect(dir.path(), |_| {}).err().expect("damaged");
        let (place, _) = error.place().expect("a file");
        assert_eq!(place, file, "{error}");
        assert!(fs::read(file).expect("it is there") == flipped);
        fs::write(file, &sound).expect("room");
    }
    DataDir::inspect(dir.path(), |_| {}).expect("sound again");
}

#[test]
fn a_directory_without_data_is_told_from_one_that_is_damaged() {
    let dir = Scratch::new();
    assert!(matches!(DataDir::inspect(dir.path(), |_| {}), Err(DataError::Empty { .. })));
    let dir = used();
    fs::remove_file(dir.path().join("VERSION")).expect("it is there");
    assert!(matches!(DataDir::inspect(dir.path(), |_| {}), Err(DataError::NoVersion { .. })));
}
