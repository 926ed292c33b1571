//! A disk that fails when told to, and shows every step taken on it.

use crate::log::segment::{Disk, RealDisk, SegmentFile};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::{io, mem};

#[derive(Clone, Default)]
pub(super) struct TestDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    full: bool,
    /// In the way of every segment, as long as it is there.
    ballast: Option<PathBuf>,
    fail_sync: bool,
    lose_unsynced: bool,
    before_step: Option<Box<dyn FnMut() + Send>>,
}

impl TestDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while holding it")
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
        self.state().fail_sync = true;
    }

    /// What is written stays in memory until it is synced, so that dropping the log is a power loss.
    pub fn lose_unsynced(&self) {
        self.state().lose_unsynced = true;
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

    fn wrap(&self, real: Box<dyn SegmentFile>) -> Box<dyn SegmentFile> {
        Box::new(TestFile { real, disk: self.clone(), pending: Mutex::default() })
    }
}

impl Disk for TestDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        self.step();
        Ok(self.wrap(RealDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        Ok(self.wrap(RealDisk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step();
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step();
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
        self.real.write_at(bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.real.read_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.step();
        if mem::take(&mut self.disk.state().fail_sync) {
            return Err(io::Error::other("injected failure"));
        }
        for (offset, bytes) in self.pending.lock().expect("one writer").drain(..) {
            self.real.write_at(&bytes, offset)?;
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.real.len()
    }
}
