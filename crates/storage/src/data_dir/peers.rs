//! The file `PEERS`: the life of each other node's disk that this node met first.
//!
//! ```text
//! icefarm peers 1
//! n2 0123456789abcdef
//! n3 fedcba9876543210
//! checksum 89abcdef01234567
//! ```

use super::DataError;
use crate::fsops;
use paxos::{Incarnation, NodeId};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

const TITLE: &str = "icefarm peers 1\n";

/// Who was met; nobody if there is no such file yet.
pub(super) fn read(path: &Path) -> Result<BTreeMap<NodeId, Incarnation>, DataError> {
    let damaged = |what| DataError::Damaged { file: path.to_owned(), offset: 0, what };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(source) => return Err(DataError::Io { doing: "read", path: path.to_owned(), source }),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| damaged("not text"))?;
    let lines = text.strip_prefix(TITLE).ok_or_else(|| damaged("not what is written here"))?;
    let parse = |line: &str| {
        let (node, life) = line.split_once(' ')?;
        Some((node.parse().ok()?, life.parse().ok()?))
    };
    let met = lines.lines().filter(|line| !line.starts_with("checksum ")).map(parse).collect::<Option<_>>();
    let met: BTreeMap<NodeId, Incarnation> = met.ok_or_else(|| damaged("not what is written here"))?;
    if render(&met) == text { Ok(met) } else { Err(damaged("the checksum is wrong")) }
}

pub(super) fn write(path: &Path, met: &BTreeMap<NodeId, Incarnation>) -> Result<(), DataError> {
    let written = fsops::replace_durably(path, render(met).as_bytes());
    written.map_err(|source| DataError::Io { doing: "write", path: path.to_owned(), source })
}

fn render(met: &BTreeMap<NodeId, Incarnation>) -> String {
    let mut text = TITLE.to_owned();
    for (node, life) in met {
        let _ = writeln!(text, "{node} {life}");
    }
    let checksum = xxh3_64(text.as_bytes());
    let _ = writeln!(text, "checksum {checksum:016x}");
    text
}
