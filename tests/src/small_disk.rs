//! A small disk of a node's own, which can be filled up: a file system in memory.

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What takes space is called so.
const BALLAST: &str = "ballast-";

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

    /// Takes the space that is left, but for about so many bytes: at once, for a node that meets a full disk meanwhile gives its
    /// reserve way, and that is not to be taken.
    ///
    /// # Panics
    /// If that fails for another reason than that somebody else took the space first, again and again.
    pub fn fill_but(&self, bytes: u64) {
        let nth = self.ballasts().len();
        let ballast = File::create(self.path.join(format!("{BALLAST}{nth}"))).expect("a file can be made");
        crate::until("the disk is filled", Duration::from_secs(10), || {
            let disk = fstatvfs(&ballast).map_err(|error| error.to_string())?;
            let taken = (disk.f_bavail * disk.f_frsize).saturating_sub(bytes);
            if taken == 0 {
                return Ok(());
            }
            fallocate(&ballast, FallocateFlags::empty(), 0, taken).map_err(|error| error.to_string())
        });
    }

    /// Gives back all that [`SmallDisk::fill_but`] took.
    ///
    /// # Panics
    /// If nothing was taken.
    pub fn clear(&self) {
        let ballasts = self.ballasts();
        assert!(!ballasts.is_empty(), "nothing was taken");
        for ballast in ballasts {
            fs::remove_file(ballast).expect("what was taken is there");
        }
    }

    fn ballasts(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(&self.path).expect("a folder").map(|file| file.expect("listed").path());
        files.filter(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(BALLAST))).collect()
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
