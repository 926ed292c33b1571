//! Files on disk that hold keys and certificates.
//!
//! Invariants: a secret file never exists, not even for a moment, with a mode that lets somebody else read it; a file is
//! either the old one or the new one, whole, also after a crash; a secret that others can read is not used.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Nothing that belongs in a key file comes near this many bytes.
const MAX_FILE: u64 = 64 << 10;

/// Why a key or certificate file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The operating system said no.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// A secret that is not one.
    #[error("{} can be read by others (mode {mode:03o}): run `chmod 600 {}` and think about who may have read it", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Far larger than a key or a certificate.
    #[error("{} has over {MAX_FILE} bytes: that is not a key or certificate file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// Writes a file that only its owner may read (mode 0600), replacing an old one at once.
pub(crate) fn write_secret(path: &Path, content: &[u8]) -> Result<(), KeyFileError> {
    write(path, content, 0o600)
}

/// Writes a file that everybody may read (mode 0644), replacing an old one at once.
pub(crate) fn write_public(path: &Path, content: &[u8]) -> Result<(), KeyFileError> {
    write(path, content, 0o644)
}

/// Reads a file that only its owner may read.
pub(crate) fn read_secret(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    let file = File::open(path).map_err(failed("open", path))?;
    let mode = file.metadata().map_err(failed("look at", path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
    }
    read(file, path)
}

/// Reads a file that everybody may read.
pub(crate) fn read_public(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    read(File::open(path).map_err(failed("open", path))?, path)
}

fn read(file: File, path: &Path) -> Result<Vec<u8>, KeyFileError> {
    let mut content = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut content).map_err(failed("read", path))?;
    if content.len() as u64 > MAX_FILE {
        return Err(KeyFileError::TooLarge { path: path.to_owned() });
    }
    Ok(content)
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), KeyFileError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(failed("create", directory))?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(draft);
    // What an earlier process of this number may have left; `create_new` below makes sure that the mode is ours.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &draft)(error)),
        _ => {}
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft).map_err(failed("create", &draft))?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(&draft, path)) {
        // The draft holds nothing that anybody refers to; the first error is the one worth reporting.
        let _ = fs::remove_file(&draft);
        return Err(failed("write", path)(error));
    }
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed("sync", directory))
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> KeyFileError + 'a {
    move |source| KeyFileError::Io { doing, path: path.to_owned(), source }
}
