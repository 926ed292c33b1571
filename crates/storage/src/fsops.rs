//! What the standard library's file system lacks.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Makes the names in a directory durable: files made, renamed and removed.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

/// Makes a directory, if need be with those it lies in, so that it is still there after a crash.
pub(crate) fn create_dir_durably(dir: &Path) -> io::Result<()> {
    let missing = dir.ancestors().take_while(|ancestor| !ancestor.exists()).count();
    fs::create_dir_all(dir)?;
    // Whoever made one that is there already may not have come so far.
    dir.ancestors().take(missing.max(1)).try_for_each(|made| sync_dir(dir_of(made)))
}

/// Replaces the file at `path` so that a crash leaves either the old content or the new, and the new one once this has
/// returned. The new content is prepared in a file beside it, of this process's own, which is gone if that fails.
pub fn replace_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let replaced = write_and_sync(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = replaced {
        // Nobody refers to it; the first error is the one worth reporting.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_dir(dir_of(path))
}

fn write_and_sync(path: &Path, content: &[u8]) -> io::Result<()> {
    let file = fs::File::create(path)?;
    std::os::unix::fs::FileExt::write_all_at(&file, content, 0)?;
    file.sync_all()
}

/// The directory that a name stands in.
fn dir_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The kernel is to give up what its memory holds of the file at `path` and is on disk: what is read next comes from there, not
/// from what a failed sync has left. This is advice; what must hold is checked by checksums.
pub(crate) fn forget_cached(path: &Path) {
    if let Ok(file) = fs::File::open(path) {
        let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    }
}

/// Takes `bytes` of disk space for a file.
pub(crate) fn allocate(file: &fs::File, bytes: u64) -> io::Result<()> {
    use rustix::io::Errno;
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        // Some file systems cannot: there only writing takes space.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file, bytes),
        done => Ok(done?),
    }
}

fn write_zeros(file: &fs::File, bytes: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut &*file).map(drop)
}

/// Whether the disk, or what the user may have of it, is used up.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What to do about what the machine refused.
pub(crate) fn advice(refused: &io::Error) -> &'static str {
    if is_full(refused) {
        "Free space on this disk, then start the node again: nothing is lost"
    } else {
        "Check the disk and the rights on it"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all_and_nothing_else_is_left() {
        let scratch = Scratch::new();
        let dir = scratch.path().join("made/on/the/way");
        create_dir_durably(&dir).unwrap();
        let (path, taken) = (dir.join("node.toml"), dir.join("taken"));
        replace_durably(&path, b"one, and more").unwrap();
        replace_durably(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        fs::create_dir(&taken).unwrap();
        replace_durably(&taken, b"three").unwrap_err();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "node.toml and taken");
    }
}
