//! Why a data directory was refused.

use crate::{LogError, PagesError, fsops};
use paxos::NodeId;
use placement::ClusterId;
use std::path::{Path, PathBuf};
use std::{fmt, io};

/// Why a data directory was refused.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Another process holds it.
    #[error("data directory {} is in use by another process{}: stop it first, or use another directory", path.display(), Pid(*pid))]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who, if that is known.
        pid: Option<u32>,
    },
    /// Written by another version of this program.
    #[error("{} says format {found}, this program reads {expected}: run the version that wrote it", file.display())]
    OtherVersion {
        /// Which file.
        file: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// Another node's.
    #[error("data directory {} belongs to {found}, not to {expected}: check the data directories in the nodes' configurations", path.display())]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        found: NodeId,
        /// Whose it should be.
        expected: NodeId,
    },
    /// Another cluster's.
    #[error("data directory {} belongs to cluster {found}, not to {expected}: use another directory, or the configuration of that cluster", path.display())]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        found: ClusterId,
        /// Whose it should be.
        expected: ClusterId,
    },
    /// There is data, but nothing says whose.
    #[error("{} is missing, though {} is there: nobody knows whose data it is. Restore the directory as a whole, or move it away and add the node again", file.display(), stray.display())]
    NoVersion {
        /// What is missing.
        file: PathBuf,
        /// What is there.
        stray: PathBuf,
    },
    /// Nothing has been stored there.
    #[error("{} holds no node's data: no node has started with it", path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
    },
    /// `VERSION` is not as it was written.
    #[error("{} is damaged at byte {offset}: {what}. Restore the directory as a whole, or move it away and add the node again", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The log's own reason.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The checkpoints' own reason.
    #[error(transparent)]
    Pages(#[from] PagesError),
    /// The machine refused.
    #[error("cannot {doing} {}: {source}. {}", path.display(), fsops::advice(source))]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl DataError {
    /// The file that is damaged, missing or not the right one, and where in it, if that is known.
    pub fn place(&self) -> Option<(&Path, Option<u64>)> {
        match self {
            Self::Damaged { file, offset, .. } | Self::Log(LogError::Damaged { file, offset, .. }) => {
                Some((file, Some(*offset)))
            }
            Self::OtherVersion { file, .. }
            | Self::NoVersion { file, .. }
            | Self::Log(
                LogError::Missing { file } | LogError::OtherVersion { file, .. } | LogError::OtherIdentity { file, .. },
            )
            | Self::Pages(
                PagesError::Damaged { file, .. }
                | PagesError::Missing { file }
                | PagesError::OtherVersion { file, .. }
                | PagesError::OtherIdentity { file, .. },
            ) => Some((file, None)),
            _ => None,
        }
    }

    /// Whether space on the disk is all that is missing.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => fsops::is_full(source),
            Self::Log(error) => error.is_full(),
            Self::Pages(error) => error.is_full(),
            _ => false,
        }
    }
}

struct Pid(Option<u32>);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |pid| write!(f, " (pid {pid})"))
    }
}
