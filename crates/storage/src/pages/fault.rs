//! What redb fails with, by error or by panic, in our words.

use super::PagesError;
use super::tables::FORMAT;
use crate::fsops;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// What redb failed with.
pub(super) enum Fault {
    Error(redb::Error),
    /// It panics on some kinds of damage.
    Panic(String),
}

pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(Fault::Error),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(Fault::Panic(text.unwrap_or_else(|| "redb gave up".to_owned())))
        }
    }
}

impl Fault {
    pub fn explain(self, doing: &'static str, path: &Path) -> PagesError {
        use std::io::ErrorKind::{InvalidData, UnexpectedEof};
        let file = path.to_owned();
        match self {
            Self::Error(redb::Error::Io(source)) if fsops::is_full(&source) => PagesError::Full { file },
            Self::Error(redb::Error::Io(source)) if matches!(source.kind(), InvalidData | UnexpectedEof) => {
                PagesError::Damaged { file, what: source.to_string() }
            }
            Self::Error(redb::Error::Io(source)) => PagesError::Io { doing, path: file, source },
            Self::Error(redb::Error::DatabaseAlreadyOpen) => PagesError::InUse { file },
            Self::Error(redb::Error::UpgradeRequired(found)) => {
                PagesError::OtherVersion { file, found: u32::from(found), expected: FORMAT }
            }
            Self::Error(other) => PagesError::Damaged { file, what: other.to_string() },
            Self::Panic(what) => PagesError::Damaged { file, what },
        }
    }
}
