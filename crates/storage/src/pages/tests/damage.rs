//! What a file of pages can suffer: flipped bits, full disks, syncs that fail.

use super::{Backend, CACHE, CHUNK, OnDisk, bytes, cut};
use crate::Reserve;
use crate::pages::tables::PAGES;
use crate::pages::{FilePages, Pages, PagesError};
use crate::scratch::{Scratch, identity};
use paxos::Slot;
use placement::ShardId;
use redb::{Database, ReadableTable, StorageBackend, backends::FileBackend};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::{fs, io};

#[test]
fn flipped_bits_in_the_page_file_are_damage_or_harmless_but_never_another_value() {
    let mut backend = OnDisk::new();
    let value = "mammoth ".repeat(200);
    backend.pages().commit(&[cut(1, 1, "head", &[("p1", Some(&value)), ("c1", Some(&value))])]).expect("room");
    backend.pages = None;
    let path = backend.dir.path().join("pages.redb");
    let whole = fs::read(&path).expect("readable");
    let held: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let (mut told, mut tried) = (0, 0);
    for at in held.iter().step_by(held.len() / 150) {
        let mut bytes = whole.clone();
        bytes[*at] ^= 0x20;
        fs::write(&path, &bytes).expect("writable");
        tried += 1;
        let read = FilePages::open(&path, identity(), CACHE).and_then(|pages| {
            let loaded = pages.load(ShardId(1), CHUNK)?;
            Ok((loaded, pages.page(ShardId(1), b"c1")?))
        });
        match read {
            Err(error) => {
                assert!(!matches!(error, PagesError::Full { .. } | PagesError::Poisoned { .. }), "byte {at}: {error}");
                told += 1;
            }
            Ok((loaded, chunk)) => {
                if let Some(loaded) = loaded {
                    let pages = loaded.pages.iter().all(|(_, found)| *found == value);
                    assert!(loaded.head == "head" && loaded.slot == Slot(1) && pages, "byte {at}: {loaded:?}");
                }
                assert!(chunk.is_none_or(|chunk| chunk == value), "byte {at}");
            }
        }
    }
    assert!(told > tried / 4, "{told} of {tried} flips were told");
}

#[test]
fn a_page_that_was_stored_wrong_is_told_by_its_own_checksum() {
    let mut backend = OnDisk::new();
    backend.pages().commit(&[cut(1, 1, "head", &[("p1", Some("early")), ("c1", Some("late"))])]).expect("room");
    backend.pages = None;
    let path = backend.dir.path().join("pages.redb");
    for page in [&b"p1"[..], b"c1"] {
        // What redb finds sound: its own checksums are right.
        let database = Database::open(&path).expect("sound");
        let write = database.begin_write().expect("sound");
        let (key, right) = {
            let mut pages = write.open_table(PAGES).expect("it is there");
            let found = pages.range::<&[u8]>(..).expect("sound").map(|entry| entry.expect("sound"));
            let found = found.map(|(key, value)| (key.value().to_vec(), value.value().to_vec()));
            let (key, right) = found.into_iter().find(|(key, _)| key.ends_with(page)).expect("it was stored");
            let mut wrong = right.clone();
            wrong[0] ^= 1;
            pages.insert(key.as_slice(), wrong.as_slice()).expect("room");
            (key, right)
        };
        write.commit().expect("room");
        drop(database);
        let pages = FilePages::open_to_read(&path, identity(), CACHE).expect("redb finds nothing");
        let error = pages.each_page(|_, _, _, _| {}).expect_err("damaged");
        assert!(matches!(&error, PagesError::Damaged { .. }) && error.to_string().contains("checksum"), "{error}");
        drop(pages);
        let pages = FilePages::open(&path, identity(), CACHE).expect("redb finds nothing");
        let read = pages.load(ShardId(1), CHUNK).and_then(|_| pages.page(ShardId(1), b"c1"));
        assert!(matches!(read, Err(PagesError::Damaged { .. })), "{page:?}");
        drop(pages);
        let database = Database::open(&path).expect("sound");
        let write = database.begin_write().expect("sound");
        write.open_table(PAGES).expect("it is there").insert(key.as_slice(), right.as_slice()).expect("room");
        write.commit().expect("room");
    }
    let pages = FilePages::open_to_read(&path, identity(), CACHE).expect("sound");
    pages.each_page(|_, _, _, _| {}).expect("all are right again");
}

/// A disk under redb that can be full, or fail to sync.
#[derive(Clone, Debug, Default)]
struct Faults {
    full: Arc<AtomicBool>,
    /// No room either while this file is there.
    ballast: Arc<Mutex<Option<PathBuf>>>,
    fail_sync: Arc<AtomicBool>,
}

#[derive(Debug)]
struct FaultyDisk(FileBackend, Faults);

impl FaultyDisk {
    fn room(&self) -> io::Result<()> {
        let ballast = self.1.ballast.lock().expect("no test panics while holding it");
        let full = self.1.full.load(Ordering::Relaxed) || ballast.as_ref().is_some_and(|file| file.exists());
        if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for FaultyDisk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room()?;
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.1.fail_sync.load(Ordering::Relaxed) {
            return Err(io::Error::other("injected failure"));
        }
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room()?;
        self.0.write(offset, data)
    }
}

/// A store with one checkpoint on a disk that can fail.
fn on_faulty_disk(dir: &Scratch, faults: &Faults) -> FilePages {
    let path = dir.path().join("pages.redb");
    if !path.exists() {
        let mut pages = FilePages::create(&path, identity(), CACHE).expect("a new store");
        pages.commit(&[cut(1, 1, "one", &[("p", Some("x"))])]).expect("room");
    }
    let (faults, file) = (faults.clone(), path.clone());
    let opener = move || {
        let file = fs::OpenOptions::new().read(true).write(true).open(&file)?;
        let backend = FaultyDisk(FileBackend::new(file)?, faults.clone());
        Ok(Database::builder().create_with_backend(backend)?)
    };
    FilePages::open_with(&path, identity(), Box::new(opener)).expect("sound")
}

#[test]
fn a_full_disk_refuses_a_checkpoint_keeps_the_old_one_and_takes_the_next_when_there_is_space() {
    let (dir, faults) = (Scratch::new(), Faults::default());
    let mut pages = on_faulty_disk(&dir, &faults);
    let value = "y".repeat(100_000);
    let next = [cut(1, 2, "two", &[("p", Some(&value))])];
    faults.full.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let error = pages.commit(&next).expect_err("no space");
        assert!(error.is_full(), "{error}");
    }
    faults.full.store(false, Ordering::Relaxed);
    pages.commit(&[]).expect("space again");
    assert_eq!(pages.shards().expect("sound"), [(ShardId(1), Slot(1))]);
    assert_eq!(pages.page(ShardId(1), b"p").expect("sound"), Some(bytes("x")));
    pages.commit(&next).expect("space again");
    drop(pages);
    let pages = on_faulty_disk(&dir, &faults);
    assert_eq!(pages.page(ShardId(1), b"p").expect("sound"), Some(bytes(&value)));
}

#[test]
fn on_a_full_disk_the_reserve_gives_way_for_a_checkpoint_before_anything_is_refused() {
    let (dir, kept, faults) = (Scratch::new(), Scratch::new(), Faults::default());
    let file = kept.path().join("RESERVE");
    let reserve = Reserve::found(&file);
    reserve.resize(4096);
    let mut pages = on_faulty_disk(&dir, &faults).with_reserve(reserve.clone());
    *faults.ballast.lock().expect("free") = Some(file);
    let value = "y".repeat(100_000);
    pages.commit(&[cut(1, 2, "two", &[("p", Some(&value))])]).expect("the space kept back");
    assert!(!reserve.is_held());
    assert_eq!(pages.page(ShardId(1), b"p").expect("sound"), Some(bytes(&value)));
    faults.full.store(true, Ordering::Relaxed);
    assert!(pages.commit(&[cut(1, 3, "three", &[("p", None)])]).is_err_and(|error| error.is_full()), "once only");
}

#[test]
fn a_failed_sync_poisons_the_pages_until_the_restart() {
    let (dir, faults) = (Scratch::new(), Faults::default());
    let mut pages = on_faulty_disk(&dir, &faults);
    faults.fail_sync.store(true, Ordering::Relaxed);
    let error = pages.commit(&[cut(1, 2, "two", &[])]).expect_err("the sync failed");
    assert!(matches!(error, PagesError::Io { .. }), "{error}");
    faults.fail_sync.store(false, Ordering::Relaxed);
    assert!(pages.commit(&[cut(1, 3, "three", &[])]).is_err_and(|error| error.is_poisoned()));
    assert!(pages.load(ShardId(1), CHUNK).is_err_and(|error| error.is_poisoned()));
    assert!(pages.page(ShardId(1), b"p").is_err_and(|error| error.is_poisoned()));
    drop(pages);
    let mut pages = on_faulty_disk(&dir, &faults);
    let (_, slot) = pages.shards().expect("sound")[0];
    assert!(slot == Slot(1) || slot == Slot(2), "whole, whichever it is: {slot}");
    pages.commit(&[cut(1, 3, "three", &[])]).expect("usable again");
}
