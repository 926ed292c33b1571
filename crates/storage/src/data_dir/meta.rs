//! The file `VERSION`: text, so that an operator can read whose data this is.
//!
//! ```text
//! icefarm data 2
//! cluster 00c0ffee00c0ffee00c0ffee00c0ffee
//! node n1
//! incarnation 0123456789abcdef
//! boots 3
//! stores yes
//! support_ms 1000
//! checksum 89abcdef01234567
//! ```

use super::DataError;
use crate::{Identity, fsops};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// The format of the directory.
const FORMAT: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub identity: Identity,
    pub boots: u64,
    /// Whether both stores have been made; from then on, one that is not there has been lost.
    pub stores: bool,
    /// For how long at a time, in milliseconds, this node has supported others at most, as far as that may still matter.
    pub support_ms: u64,
}

impl Meta {
    pub fn write(&self, path: &Path) -> Result<(), DataError> {
        let written = fsops::replace_durably(path, self.text().as_bytes());
        written.map_err(|source| DataError::Io { doing: "write", path: path.to_owned(), source })
    }

    fn text(&self) -> String {
        let Identity { cluster, node, incarnation } = self.identity;
        let stores = if self.stores { "yes" } else { "no" };
        let text = format!(
            "icefarm data {FORMAT}\ncluster {cluster}\nnode {node}\nincarnation {incarnation}\nboots {}\nstores {stores}\nsupport_ms {}\n",
            self.boots, self.support_ms
        );
        let checksum = xxh3_64(text.as_bytes());
        format!("{text}checksum {checksum:016x}\n")
    }

    /// The file's content; the format is told before the checksum is looked at, for another version may have another.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self, DataError> {
        let damaged = |offset: usize, what| DataError::Damaged { file: file.to_owned(), offset: offset as u64, what };
        let text = std::str::from_utf8(bytes).map_err(|error| damaged(error.valid_up_to(), "not text"))?;
        let mut lines = Lines { text, at: 0 };
        let found = lines.value("icefarm data ").and_then(|format| format.parse().ok());
        let found: u32 = found.ok_or_else(|| damaged(0, "it does not say its format"))?;
        if found != FORMAT {
            return Err(DataError::OtherVersion { file: file.to_owned(), found, expected: FORMAT });
        }
        let meta = lines.meta().ok_or_else(|| damaged(lines.at, "not what is written here"))?;
        if meta.text() != text {
            return Err(damaged(lines.at, "the checksum is wrong"));
        }
        Ok(meta)
    }
}

struct Lines<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lines<'a> {
    /// The rest of the next line, which must begin with `label`.
    fn value(&mut self, label: &str) -> Option<&'a str> {
        let line = self.text[self.at..].split_inclusive('\n').next()?;
        let value = line.strip_suffix('\n')?.strip_prefix(label)?;
        self.at += line.len();
        Some(value)
    }

    fn meta(&mut self) -> Option<Meta> {
        let cluster = self.value("cluster ")?.parse().ok()?;
        let node = self.value("node ")?.parse().ok()?;
        let incarnation = self.value("incarnation ")?.parse().ok()?;
        let boots = self.value("boots ")?.parse().ok()?;
        let stores = match self.value("stores ")? {
            "yes" => true,
            "no" => false,
            _ => return None,
        };
        let support_ms = self.value("support_ms ")?.parse().ok()?;
        Some(Meta { identity: Identity { cluster, node, incarnation }, boots, stores, support_ms })
    }
}
