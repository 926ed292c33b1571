//! Directories that are gone after a test, unless it failed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::panicking;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A new, empty directory.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// `name` is part of the directory's, for whoever looks at it later.
    ///
    /// # Panics
    /// If the system's directory for temporary files takes no other.
    pub fn new(name: &str) -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("icefarm-{name}-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if panicking() {
            eprintln!("the files of this test are kept in {}", self.path.display());
        } else {
            // What cannot be removed is the system's to tidy up.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
