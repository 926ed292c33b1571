//! A disk that fails when told to, and shows every step taken on it.

use crate::log::segment::{Disk, RealDisk, SegmentFile};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

#[derive(Clone, Default)]
pub(super) struct TestDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    full: bool,
    /// Files made.
    made: u64,
    /// In the way of every segment, as long as it is there.
    ballast: Option<PathBuf>,
    /// How many more succeed before one fails.
    fail_sync: Option<u32>,
    lose_unsynced: bool,
    /// With a page cache: what of each file is on disk.
    files: Option<BTreeMap<PathBuf, Inode>>,
    before_step: Option<Box<dyn FnMut() + Send>>,
}

impl State {
    /// Whether the sync that is asked for fails.
    fn fails(&mut self) -> bool {
        let more = self.fail_sync.take();
        self.fail_sync = more.and_then(|more| more.checked_sub(1));
        more == Some(0)
    }
}

type Inode = Arc<Mutex<Cached>>;

/// A file of which more can be read than is on disk.
#[derive(Default)]
struct Cached {
    on_disk: Vec<u8>,
    dirty: Vec<(u64, Vec<u8>)>,
}

impl Cached {
    /// What is dirty is on disk from now on.
    fn sync(&mut self) {
        for (offset, bytes) in self.dirty.drain(..) {
            let begin = usize::try_from(offset).expect("small");
            self.on_disk.resize(self.on_disk.len().max(begin + bytes.len()), 0);
            self.on_disk[begin..begin + bytes.len()].copy_from_slice(&bytes);
        }
    }
}

impl TestDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while holding it")
    }

    /// How many files were made.
    pub fn made(&self) -> u64 {
        self.state().made
    }

    /// No segment can be made any more (or again).
    pub fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    /// No segment can be made while this file is there.
    pub fn set_full_beside(&self, ballast: &Path) {
        self.state().ballast = Some(ballast.to_owned());
    }

    pub fn fail_next_sync(&self) {
        self.fail_sync_after(0);
    }

    pub fn fail_sync_after(&self, succeeding: u32) {
        self.state().fail_sync = Some(succeeding);
    }

    /// What is written stays in memory until it is synced, so that dropping the log is a power loss.
    pub fn lose_unsynced(&self) {
        self.state().lose_unsynced = true;
    }

    /// From the first segment on, there is a page cache: what is written can be read at once, is on disk when it is synced, and
    /// a sync that fails marks as written what it did not write.
    pub fn cache(&self) {
        self.state().files = Some(BTreeMap::new());
    }

    /// Every file is as it is on disk: power was lost.
    pub fn lose_power(&self) {
        for (path, inode) in self.state().files.iter().flatten() {
            let mut cached = inode.lock().expect("one writer");
            cached.dirty.clear();
            std::fs::write(path, &cached.on_disk).expect("the scratch directory is sound");
        }
    }

    /// `hook` is called before everything that changes the disk.
    pub fn before_each_step(&self, hook: impl FnMut() + Send + 'static) {
        self.state().before_step = Some(Box::new(hook));
    }

    fn step(&self) {
        if let Some(hook) = &mut self.state().before_step {
            hook();
        }
    }

    fn wrap(&self, path: &Path, real: Box<dyn SegmentFile>) -> Box<dyn SegmentFile> {
        let inode = self.state().files.as_mut().map(|files| Arc::clone(files.entry(path.to_owned()).or_default()));
        Box::new(TestFile { real, disk: self.clone(), inode, pending: Mutex::default() })
    }
}

impl Disk for TestDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        self.step();
        let real = RealDisk.create(path)?;
        self.state().made += 1;
        self.state().files.iter_mut().for_each(|files| drop(files.remove(path)));
        Ok(self.wrap(path, real))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        Ok(self.wrap(path, RealDisk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step();
        if let Some(files) = &mut self.state().files
            && let Some(inode) = files.remove(from)
        {
            files.insert(to.to_owned(), inode);
        }
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step();
        self.state().files.iter_mut().for_each(|files| drop(files.remove(path)));
        RealDisk.remove(path)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.step();
        Ok(())
    }

    fn in_background(&self) -> bool {
        false
    }
}

struct TestFile {
    real: Box<dyn SegmentFile>,
    disk: TestDisk,
    inode: Option<Inode>,
    pending: Mutex<Vec<(u64, Vec<u8>)>>,
}

impl SegmentFile for TestFile {
    fn reserve(&self, bytes: u64) -> io::Result<()> {
        self.disk.step();
        let state = self.disk.state();
        let full = state.full || state.ballast.as_ref().is_some_and(|ballast| ballast.exists());
        drop(state);
        if full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.real.reserve(bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.step();
        if self.disk.state().lose_unsynced {
            self.pending.lock().expect("one writer").push((offset, bytes.to_vec()));
            return Ok(());
        }
        if let Some(inode) = &self.inode {
            inode.lock().expect("one writer").dirty.push((offset, bytes.to_vec()));
        }
        self.real.write_at(bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.real.read_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.step();
        let mut inode = self.inode.as_ref().map(|inode| inode.lock().expect("one writer"));
        if self.disk.state().fails() {
            if let Some(inode) = &mut inode {
                inode.dirty.clear();
            }
            return Err(io::Error::other("injected failure"));
        }
        for (offset, bytes) in self.pending.lock().expect("one writer").drain(..) {
            self.real.write_at(&bytes, offset)?;
        }
        if let Some(inode) = &mut inode {
            inode.sync();
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.real.len()
    }
}
