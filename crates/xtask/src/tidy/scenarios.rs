//! The table of scenarios names tests that exist.

use super::{Finding, tree::Tree};

/// Lines `A1 | crate::test, crate::test`.
const TABLE: &str = "tests/SCENARIOS.md";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let lines = tree.text(TABLE).unwrap_or_default().lines().enumerate();
    let rows = lines.filter_map(|(at, line)| Some((at + 1, line.split_once(" | ")?.1)));
    rows.flat_map(|(line, tests)| {
        tests.split(", ").filter(|test| !exists(tree, test)).map(move |test| {
            Finding::error(TABLE, line, format!("there is no test {test}: name one as crate::test, or take it out"))
        })
    })
    .collect()
}

/// Whether the crate of this name has a file with a function, or a play, of this name.
fn exists(tree: &Tree, test: &str) -> bool {
    let Some((crate_name, test)) = test.trim().split_once("::") else { return false };
    let Some(member) = tree.members.iter().find(|member| member.name == crate_name) else { return false };
    let (function, play) = (format!("fn {test}()"), format!(" {test}: "));
    let sources = tree.files.iter().filter(|file| file.extension() == "rs");
    let mut here = sources.filter(|file| file.path.starts_with(&format!("{}/", member.folder)));
    here.any(|file| file.text.contains(&function) || file.text.contains(&play))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::{File, Member};

    fn tree(table: &str) -> Tree {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
        let member = Member { name: "paxos".into(), folder: "crates/paxos".into(), ..Member::default() };
        let source = "plays! {\n    sid_leads: majority_of(3);\n}\n#[test]\nfn scrat_waits() {}\n";
        let files = vec![file(TABLE, table), file("crates/paxos/tests/main.rs", source)];
        Tree { members: vec![member], files, ..Tree::default() }
    }

    #[test]
    fn tests_and_plays_that_exist_are_fine_and_so_is_text_around_the_table() {
        assert_eq!(check(&tree("# Scenarios\n\nA1 | paxos::sid_leads, paxos::scrat_waits\n")), []);
    }

    #[test]
    fn a_test_that_is_gone_or_in_another_crate_is_found_with_its_line() {
        let findings = check(&tree("\nA1 | paxos::sid_leads, paxos::scrat\nB1 | sim::scrat_waits\n"));
        let lines: Vec<usize> = findings.iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [2, 3], "{findings:?}");
    }
}
