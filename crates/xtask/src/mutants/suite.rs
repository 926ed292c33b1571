//! Which crates are mutated, and which tests are to notice.

use super::TOOL;
use crate::{Failure, tidy::tree::Tree};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A crate, and what must notice a mistake in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Suite {
    pub package: &'static str,
    /// The packages whose tests run, its own first.
    pub tests: &'static [&'static str],
    /// Tests whose names contain one of these do not: they take long, and look at the tests, or at the storage, rather than
    /// at the code.
    pub skipped: &'static [&'static str],
    pub environment: &'static [(&'static str, &'static str)],
}

impl Suite {
    /// The tests to run one after the other, each against what those before have missed. Its own notice most mistakes, and to
    /// build and to run them is a fraction of all.
    pub fn stages(&self) -> impl Iterator<Item = &'static [&'static str]> {
        [&self.tests[..1], self.tests].into_iter().skip(usize::from(self.tests.len() == 1))
    }

    /// Of everything that its mutants are made from: while that is the same, so are they. (In files of tests there are none.)
    pub fn fingerprint(&self, tree: &Tree) -> String {
        let sources = format!("crates/{}/src/", self.package);
        let mutated = |path: &str| path.starts_with(&sources) && !path.ends_with("/tests.rs");
        let mut files: Vec<_> = tree.files.iter().filter(|file| mutated(&file.path)).collect();
        files.sort_by_key(|file| &file.path);
        let mut hasher = DefaultHasher::new();
        TOOL.hash(&mut hasher);
        for file in files {
            (&file.path, &file.text).hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }
}

/// Of the simulator's: are its own checks awake, is it the same twice, what has the log's file of a torn tail.
const NOT_OF_THE_CODE: &[&str] = &["sabotage", "played_twice", "tails_torn"];

/// What holds the project's guarantees and talks to nobody.
const SUITES: [Suite; 3] = [
    Suite { package: "paxos", tests: &["paxos"], skipped: &["found_out"], environment: &[("STORM_SEEDS", "400")] },
    Suite { package: "shard", tests: &["shard", "sim"], skipped: NOT_OF_THE_CODE, environment: &[] },
    Suite { package: "host", tests: &["host", "sim"], skipped: NOT_OF_THE_CODE, environment: &[] },
];

pub fn all() -> Vec<&'static Suite> {
    SUITES.iter().collect()
}

/// Those of these packages; all without a name.
pub fn choose(names: &[String]) -> Result<Vec<&'static Suite>, Failure> {
    let known = |name: &String| SUITES.iter().any(|suite| suite.package == *name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let packages = SUITES.each_ref().map(|suite| suite.package).join(", ");
        return Err(Failure::Usage(format!("mutants are made in {packages}, not in '{unknown}'")));
    }
    let chosen = |suite: &&Suite| names.is_empty() || names.iter().any(|name| name == suite.package);
    Ok(SUITES.iter().filter(chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::File;

    #[test]
    fn fingerprint_changes_with_the_sources_of_the_package_alone() {
        let tree = |sources: &[(&str, &str)]| {
            let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
            Tree { files: sources.iter().map(file).collect(), ..Tree::default() }
        };
        let of = |sources: &[(&str, &str)]| SUITES[0].fingerprint(&tree(sources));
        let (code, test) = (("crates/paxos/src/lib.rs", "fn f() {}"), ("crates/paxos/tests/a.rs", "fn t() {}"));
        assert_eq!(of(&[code]), of(&[test, ("crates/paxos/src/quorum/tests.rs", "fn t() {}"), code]));
        assert_ne!(of(&[code]), of(&[(code.0, "fn g() {}")]));
    }

    #[test]
    fn its_own_tests_come_first_and_alone() {
        assert!(SUITES.iter().all(|suite| suite.tests[0] == suite.package));
        let stages = SUITES.each_ref().map(|suite| suite.stages().map(<[_]>::len).collect::<Vec<_>>());
        assert_eq!(stages, [vec![1], vec![1, 2], vec![1, 2]]);
    }

    #[test]
    fn packages_are_chosen_by_name_and_all_without() {
        let packages = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
            choose(&names).map(|suites| suites.iter().map(|suite| suite.package).collect::<Vec<_>>())
        };
        assert_eq!(packages(&[]).unwrap(), ["paxos", "shard", "host"]);
        assert_eq!(packages(&["host"]).unwrap(), ["host"]);
        let failure = packages(&["--all"]).unwrap_err();
        assert!(failure.status() == 2 && failure.to_string().contains("not in '--all'"), "{failure}");
    }
}
