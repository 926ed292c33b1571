//! What has come of each mutant so far. The tool keeps what its last run came to and, told to iterate, leaves out what was
//! caught before, but no longer knows why; so what is settled is noted down here before each run.

use super::unwritable;
use crate::Failure;
use std::{collections::BTreeSet, fs, path::Path};

/// The mutants of a crate, by what came of them, each as the tool names it.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// A test failed.
    pub killed: BTreeSet<String>,
    /// It does not compile.
    pub unviable: BTreeSet<String>,
    /// The tests came to no end.
    pub timed_out: BTreeSet<String>,
    /// Nobody noticed.
    pub survived: BTreeSet<String>,
}

/// Of which sources the rest is.
const FINGERPRINT: &str = "sources";
/// What earlier runs have settled.
const KILLED: &str = "killed";
const UNVIABLE: &str = "unviable";

/// Prepares `folder` for a run of which nothing is known yet.
pub fn begin(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(unwritable(folder))?;
    }
    fs::create_dir_all(folder).map_err(unwritable(folder))
}

/// Prepares `folder` for going on where the last run ended, if the code is still the same. (What a test killed stays killed:
/// tests that have become weaker since are not noticed.)
pub fn go_on(folder: &Path, fingerprint: &str) -> Result<(), Failure> {
    let path = folder.join(FINGERPRINT);
    if fs::read_to_string(&path).is_ok_and(|known| known == fingerprint) {
        return Outcomes::read(folder).map(drop);
    }
    begin(folder)?;
    fs::write(&path, fingerprint).map_err(unwritable(&path))
}

impl Outcomes {
    /// Everything there is to know, and notes down what is settled.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        Ok(Self {
            killed: settle(&folder.join(KILLED), &folder.join("mutants.out/caught.txt"))?,
            unviable: settle(&folder.join(UNVIABLE), &folder.join("mutants.out/unviable.txt"))?,
            timed_out: lines(&folder.join("mutants.out/timeout.txt"))?,
            survived: lines(&folder.join("mutants.out/missed.txt"))?,
        })
    }
}

/// Adds what the tool's last run has found to what earlier ones had.
fn settle(kept: &Path, news: &Path) -> Result<BTreeSet<String>, Failure> {
    let mut names = lines(kept)?;
    names.append(&mut lines(news)?);
    let text: String = names.iter().flat_map(|name| [name, "\n"]).collect();
    fs::write(kept, text).map_err(unwritable(kept))?;
    Ok(names)
}

/// None where there is no such file: the tool was never run, or found nothing to do.
fn lines(path: &Path) -> Result<BTreeSet<String>, Failure> {
    if !path.exists() {
        return Ok(BTreeSet::new());
    }
    let text = fs::read_to_string(path).map_err(|source| Failure::Read { path: path.to_owned(), source })?;
    Ok(text.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the tool leaves behind after a run.
    fn ran(folder: &Path, caught: &str, missed: &str) {
        let out = folder.join("mutants.out");
        fs::create_dir_all(&out).unwrap();
        fs::write(out.join("caught.txt"), caught).unwrap();
        fs::write(out.join("missed.txt"), missed).unwrap();
    }

    #[test]
    fn what_was_killed_before_an_interruption_stays_killed_until_the_code_changes() {
        let folder = std::env::temp_dir().join(format!("xtask-outcomes-{}", std::process::id()));
        let sizes =
            || Outcomes::read(&folder).map(|outcomes| (outcomes.killed.len(), outcomes.survived.len())).unwrap();
        go_on(&folder, "v1").unwrap();
        ran(&folder, "a\nb\n", "c\nd\n");
        go_on(&folder, "v1").unwrap();
        ran(&folder, "c\n", "d\n");
        assert_eq!(sizes(), (3, 1), "a and b were left out, c was killed by a new test");
        go_on(&folder, "v2").unwrap();
        assert_eq!(sizes(), (0, 0));
        fs::remove_dir_all(&folder).unwrap();
    }
}
