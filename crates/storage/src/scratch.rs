//! Directories for tests.

use crate::{Identity, Incarnation};
use paxos::NodeId;
use placement::ClusterId;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

/// A directory of its own, removed when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("icefarm-storage-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a directory for tests can be made");
        Self(path)
    }

    /// A directory with copies of the files in `other`.
    pub fn copy_of(other: &Path) -> Self {
        let copy = Self::new();
        for entry in fs::read_dir(other).expect("it is there") {
            let path = entry.expect("it can be listed").path();
            fs::copy(&path, copy.0.join(path.file_name().expect("a file"))).expect("it can be copied");
        }
        copy
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whose data the tests have.
pub(crate) fn identity() -> Identity {
    Identity { cluster: ClusterId(0x00C0_FFEE), node: NodeId(1), incarnation: Incarnation(42) }
}

/// Numbers that look random and are the same every time.
pub(crate) struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}
