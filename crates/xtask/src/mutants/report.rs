//! The figures, and who survived.

use super::{
    accepted::{Accepted, Entry, LIST},
    outcome::Outcomes,
};
use crate::{Failure, tidy::tree::Tree};

/// A mutant that nobody noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What is done to the code, in the tool's words.
    pub mutant: String,
    /// How the line goes on from the mutated place.
    pub code: String,
}

impl Survivor {
    /// From `crates/a/src/b.rs:12:34: replace ...`, as the tool lists them.
    fn parse(name: &str, tree: &Tree) -> Option<Self> {
        let (place, mutant) = name.split_once(": ")?;
        let mut parts = place.rsplitn(3, ':');
        let (column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
        let (column, line): (usize, usize) = (column.parse().ok()?, line.parse().ok()?);
        let code = tree.text(file)?.lines().nth(line.checked_sub(1)?)?.chars().skip(column.checked_sub(1)?).collect();
        Some(Self { file: file.to_owned(), line, mutant: mutant.to_owned(), code })
    }
}

/// What came of the mutants of one crate.
#[derive(Debug, Default)]
pub struct Report {
    package: &'static str,
    killed: usize,
    timed_out: usize,
    unviable: usize,
    accepted: usize,
    unaccepted: Vec<String>,
    /// Entries of the list that no survivor needs.
    idle: Vec<Entry>,
}

impl Report {
    /// `whole`: every mutant of the crate was looked at, so what the list accepts must be among the survivors.
    pub fn new(package: &'static str, outcomes: &Outcomes, accepted: &Accepted, tree: &Tree, whole: bool) -> Self {
        let survivors: Vec<_> = outcomes.survived.iter().map(|name| (name, Survivor::parse(name, tree))).collect();
        let accepts = |entry: &Entry| survivors.iter().flat_map(|(_, survivor)| survivor).any(|s| entry.accepts(s));
        let prefix = format!("crates/{package}/");
        let ours = accepted.entries.iter().filter(|entry| whole && entry.file.starts_with(&prefix));
        let idle = ours.filter(|entry| !accepts(entry)).cloned().collect();
        let is_accepted = |survivor: &Option<Survivor>| {
            survivor.as_ref().is_some_and(|survivor| accepted.entries.iter().any(|entry| entry.accepts(survivor)))
        };
        let unaccepted: Vec<_> =
            survivors.iter().filter(|(_, s)| !is_accepted(s)).map(|(name, _)| (*name).clone()).collect();
        Self {
            package,
            killed: outcomes.killed.len(),
            timed_out: outcomes.timed_out.len(),
            unviable: outcomes.unviable.len(),
            accepted: survivors.len() - unaccepted.len(),
            unaccepted,
            idle,
        }
    }

    fn viable(&self) -> usize {
        self.killed + self.timed_out + self.accepted + self.unaccepted.len()
    }

    /// How many of the viable ones were noticed, in tenths of a percent, rounded down.
    fn per_mille(&self) -> usize {
        (1000 * (self.killed + self.timed_out)).checked_div(self.viable()).unwrap_or(1000)
    }
}

/// Prints the figures; fails where somebody survived who is not on the list, or the list names somebody who did not.
pub fn print(reports: &[Report]) -> Result<(), Failure> {
    println!(
        "\n{:<8}{:>8}{:>8}{:>10}{:>10}{:>10}{:>10}{:>12}",
        "crate", "viable", "killed", "timed out", "survived", "accepted", "unviable", "noticed"
    );
    for report in reports {
        let survived = report.accepted + report.unaccepted.len();
        let noticed = format!("{}.{} %", report.per_mille() / 10, report.per_mille() % 10);
        println!(
            "{:<8}{:>8}{:>8}{:>10}{survived:>10}{:>10}{:>10}{noticed:>12}",
            report.package,
            report.viable(),
            report.killed,
            report.timed_out,
            report.accepted,
            report.unviable
        );
    }
    for survivor in reports.iter().flat_map(|report| &report.unaccepted) {
        println!("survived: {survivor}");
    }
    for entry in reports.iter().flat_map(|report| &report.idle) {
        println!("{LIST}: {}: '{}' at '{}' does not survive (any more)", entry.file, entry.mutant, entry.at);
    }
    let survivors = reports.iter().map(|report| report.unaccepted.len()).sum();
    let idle = reports.iter().map(|report| report.idle.len()).sum();
    if survivors + idle == 0 { Ok(()) } else { Err(Failure::Mutants { survivors, idle }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::File;

    const PLACE: &str = "crates/paxos/src/a.rs:2:5: replace > with >= in f";

    fn tree() -> Tree {
        let file = File { path: "crates/paxos/src/a.rs".to_owned(), text: "fn f() {\n  a > b\n}\n".to_owned() };
        Tree { files: vec![file], ..Tree::default() }
    }

    fn report(survived: &[&str], at: &str, whole: bool) -> Report {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let outcomes = Outcomes { killed: names(&["x", "y"]), survived: names(survived), ..Outcomes::default() };
        let entry = Entry {
            file: "crates/paxos/src/a.rs".to_owned(),
            mutant: "replace > with >= in f".to_owned(),
            at: at.to_owned(),
            reason: "it is the same".to_owned(),
        };
        Report::new("paxos", &outcomes, &Accepted { entries: vec![entry] }, &tree(), whole)
    }

    #[test]
    fn a_survivor_is_found_in_its_file() {
        let survivor = Survivor::parse(PLACE, &tree()).unwrap();
        assert_eq!((survivor.line, survivor.code.as_str()), (2, "> b"));
        assert_eq!(survivor.mutant, "replace > with >= in f");
    }

    #[test]
    fn only_listed_survivors_are_accepted() {
        let accepted = report(&[PLACE], "> b", true);
        assert_eq!((accepted.viable(), accepted.accepted, accepted.per_mille()), (3, 1, 666));
        assert!(print(&[accepted]).is_ok());
        let unlisted = report(&[PLACE], "> c", false);
        assert_eq!(unlisted.unaccepted, [PLACE]);
        assert!(matches!(print(&[unlisted]), Err(Failure::Mutants { survivors: 1, idle: 0 })));
    }

    #[test]
    fn an_entry_that_nobody_needs_is_told_of_when_everything_was_looked_at() {
        assert!(print(&[report(&[], "> b", false)]).is_ok(), "its mutant was not made");
        assert!(matches!(print(&[report(&[], "> b", true)]), Err(Failure::Mutants { survivors: 0, idle: 1 })));
    }
}
