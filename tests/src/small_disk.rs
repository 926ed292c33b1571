//! A small disk of a node's own, which can be filled up: a file system in memory.

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// It is gone, with all that is on it, when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// An empty one of so many bytes, in the place of the empty folder `path` (made if it is not there). `None`, and a word
    /// about it: whoever runs the tests may not mount anything.
    ///
    /// # Panics
    /// If it cannot be mounted for another reason.
    pub fn mount(path: &Path, bytes: u64) -> Option<Self> {
        fs::create_dir_all(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let options = CString::new(format!("size={bytes}")).expect("a number");
        match mount("icefarm-test", path, "tmpfs", MountFlags::empty(), options.as_c_str()) {
            Ok(()) => Some(Self { path: path.to_owned() }),
            Err(Errno::PERM | Errno::ACCESS) => {
                println!("SKIPPED: a small disk can only be mounted by root");
                None
            }
            Err(error) => panic!("cannot mount a small disk on {}: {error}", path.display()),
        }
    }

    /// Takes the space that is left, but for about so many bytes.
    ///
    /// # Panics
    /// If that fails for another reason than that the disk is full.
    pub fn fill_but(&self, bytes: u64) {
        const ZEROS: [u8; 4_096] = [0; 4_096];
        let mut ballast = File::create(self.ballast()).expect("a file can be made");
        let mut taken: u64 = 0;
        loop {
            match ballast.write(&ZEROS) {
                Ok(count) => taken += count as u64,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{}: {error}", self.ballast().display()),
            }
        }
        ballast.set_len(taken.saturating_sub(bytes)).expect("a file can become shorter");
    }

    /// Gives back what [`SmallDisk::fill_but`] took.
    ///
    /// # Panics
    /// If nothing was taken.
    pub fn clear(&self) {
        fs::remove_file(self.ballast()).expect("what was taken is there");
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Detached: it goes when the last process that still looks at it has gone. Nothing of it may stay.
        if let Err(error) = unmount(&self.path, UnmountFlags::DETACH) {
            eprintln!("cannot unmount {}: {error}", self.path.display());
        }
    }
}
