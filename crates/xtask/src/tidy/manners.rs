//! Headers, lengths, lints, leftovers, sleeping tests, and paths of somebody's own machine.

use super::{
    Finding,
    source::{self, Parts},
    tree::{File, Tree},
};
use crate::generate;

/// A file this long is told about.
const LONG: usize = 500;
/// A file this long is refused: nobody reads it to the end.
const TOO_LONG: usize = 800;

/// Macros and attributes that say "later".
const LEFTOVERS: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "#[ignore"];
/// Words in comments that say the same.
const MARKS: [&str; 3] = ["TODO", "FIXME", "XXX"];
/// Calls that make a test slow and still not sure.
const SLEEPS: [&str; 2] = ["sleep(", "sleep_until("];
/// What the comment beside such a call says where it only spaces the looks at a condition.
const POLLS: &str = "polls";
/// Folders at the root of somebody's own machine.
const HOMES: [&str; 4] = ["home", "root", "work", "Users"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        machine_paths(file, &mut findings);
        match file.extension() {
            "rs" => {
                let parts = source::split(&file.text);
                length(file, &mut findings);
                header(file, &mut findings);
                leftovers(file, &parts, &mut findings);
                sleeping(file, &parts, &mut findings);
            }
            // Nobody reads what is made from something else.
            "ts" | "tsx" if file.path != generate::MESSAGES => length(file, &mut findings),
            "toml" if file.path.ends_with("/Cargo.toml") => manifest(file, &mut findings),
            _ => {}
        }
    }
    on_the_map(tree, &mut findings);
    findings
}

fn length(file: &File, findings: &mut Vec<Finding>) {
    let lines = file.text.lines().count();
    if lines > TOO_LONG {
        let problem = format!("{lines} lines, at most {TOO_LONG} are allowed: split it");
        findings.push(Finding::error(file.path.as_str(), 0, problem));
    } else if lines > LONG {
        let problem = format!("{lines} lines, more than {LONG}: a split would help readers");
        findings.push(Finding::warning(file.path.as_str(), 0, problem));
    }
}

fn header(file: &File, findings: &mut Vec<Finding>) {
    let opens_a_crate = ["/src/lib.rs", "/src/main.rs"].iter().any(|end| file.path.ends_with(end));
    if opens_a_crate && !file.text.starts_with("//! ") {
        findings.push(Finding::error(file.path.as_str(), 1, "a crate begins with its purpose: //! ..."));
    }
}

fn leftovers(file: &File, parts: &Parts, findings: &mut Vec<Finding>) {
    let mut look = |text: &str, words: &[&str]| {
        for (at, line) in text.lines().enumerate() {
            for word in words.iter().filter(|word| has_word(line, word)) {
                findings.push(Finding::error(file.path.as_str(), at + 1, format!("'{word}' is left over: finish it")));
            }
        }
    };
    look(&parts.code, &LEFTOVERS);
    look(&parts.comments, &MARKS);
}

fn sleeping(file: &File, parts: &Parts, findings: &mut Vec<Finding>) {
    let folders = file.path.rsplit_once('/').map_or("", |(folders, _)| folders);
    let is_test = folders.split('/').any(|folder| folder == "tests") || file.path.ends_with("/tests.rs");
    if !is_test {
        return;
    }
    let comments: Vec<_> = parts.comments.lines().collect();
    let says_so = |at: usize| comments.get(at).is_some_and(|comment| has_word(comment, POLLS));
    for (at, line) in parts.code.lines().enumerate() {
        let sleeps = SLEEPS.iter().any(|sleep| has_word(line, sleep));
        if sleeps && !says_so(at) && !(at > 0 && says_so(at - 1)) {
            let problem =
                "a test waits for a condition, never for time (a comment with the word 'polls' says that it does)";
            findings.push(Finding::error(file.path.as_str(), at + 1, problem));
        }
    }
}

fn machine_paths(file: &File, findings: &mut Vec<Finding>) {
    for (at, line) in file.text.lines().enumerate() {
        for home in HOMES {
            let root = format!("/{home}/");
            let begins_a_path = |at: usize| {
                let before = line[..at].chars().next_back();
                before.is_none_or(|c| !(c.is_alphanumeric() || "._-/}~)>*$".contains(c)))
            };
            if line.match_indices(&root).any(|(at, _)| begins_a_path(at)) {
                let problem = format!("'{root}' is a folder of somebody's own machine");
                findings.push(Finding::error(file.path.as_str(), at + 1, problem));
            }
        }
    }
}

/// Lints come from the workspace, and so do the versions of dependencies. (A workspace of its own is its own root.)
fn manifest(file: &File, findings: &mut Vec<Finding>) {
    if file.text.lines().any(|line| line == "[workspace]") {
        return;
    }
    let mut section = "";
    let mut lints = false;
    for (at, line) in file.text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if section == "lints" && line.replace(' ', "") == "workspace=true" {
            lints = true;
        } else if section.ends_with("dependencies") && line.contains('=') && !line.starts_with('#') {
            let squeezed = line.replace(' ', "");
            if !squeezed.contains("workspace=true") {
                let problem = format!("'{line}': versions stand once, in the root's [workspace.dependencies]");
                findings.push(Finding::error(file.path.as_str(), at + 1, problem));
            }
        }
    }
    if !lints {
        findings.push(Finding::error(file.path.as_str(), 0, "lints stand once, at the root: [lints] workspace = true"));
    }
}

/// A newcomer finds every crate in ARCHITECTURE.md.
fn on_the_map(tree: &Tree, findings: &mut Vec<Finding>) {
    const MAP: &str = "ARCHITECTURE.md";
    let map = tree.text(MAP).unwrap_or_default();
    for member in &tree.members {
        let folder = member.folder.trim_start_matches("crates/");
        if !map.contains(&format!("`{folder}`")) && !map.contains(&format!("`{folder}/`")) {
            findings.push(Finding::error(MAP, 0, format!("`{folder}` is not on the map: say what it is for")));
        }
    }
}

/// Whether `word` stands in `line` and is no part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(inside);
        let after = line[at + word.len()..].chars().next().is_some_and(inside);
        !(before && word.starts_with(inside) || after && word.ends_with(inside))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::Member;

    fn found(path: &str, text: &str) -> Vec<Finding> {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        check(&Tree { files: vec![file], ..Tree::default() })
    }

    fn assert_found(path: &str, text: &str, line: usize, problem: &str) {
        let found = found(path, text);
        assert!(
            found.len() == 1 && found[0].line == line && found[0].problem.contains(problem),
            "{path}: {text:?} gave {found:?}"
        );
    }

    fn assert_fine(path: &str, text: &str) {
        assert_eq!(found(path, text), [], "{path}: {text:?}");
    }

    #[test]
    fn a_file_of_more_than_800_lines_is_refused_and_one_of_more_than_500_told_about() {
        for path in ["crates/a/src/b.rs", "game-client/src/b.ts"] {
            assert_fine(path, &"x\n".repeat(500));
            assert!(found(path, &"x\n".repeat(501))[0].warning);
            assert!(found(path, &"x\n".repeat(800))[0].warning);
            assert!(!found(path, &"x\n".repeat(801))[0].warning);
        }
    }

    #[test]
    fn a_crate_that_does_not_begin_with_its_purpose_is_found() {
        for path in ["crates/a/src/lib.rs", "crates/a/src/main.rs"] {
            assert_found(path, "use b;\n//! Purpose.\n", 1, "purpose");
            assert_fine(path, "//! Purpose.\n");
        }
        assert_fine("crates/a/src/b.rs", "use c;\n");
    }

    #[test]
    fn leftovers_are_found_in_code_and_not_in_literals() {
        for leftover in ["todo!()", "unimplemented!(\"x\")", "dbg!(y)", "#[ignore] fn t() {}", "#[ignore = \"slow\"]"] {
            assert_found("crates/a/src/b.rs", &format!("fn f() {{\n    {leftover}\n}}\n"), 2, "left over");
            assert_fine("crates/a/src/b.rs", &format!("// {leftover}\nlet s = r#\"{leftover}\"#;\n"));
        }
        assert_fine("crates/a/src/b.rs", "my_dbg!(x); #[ignored]");
    }

    #[test]
    fn marks_are_found_in_comments_and_not_in_code() {
        for mark in MARKS {
            assert_found("crates/a/src/b.rs", &format!("a\n// {mark}: later\n"), 2, "left over");
            assert_fine("crates/a/src/b.rs", &format!("const {mark}S: u8 = 1; // {mark}S is a name\n"));
        }
    }

    #[test]
    fn a_sleeping_test_is_found_wherever_tests_live() {
        for path in ["crates/a/tests/b.rs", "tests/tests/b.rs", "tests/src/c.rs", "crates/a/src/tests.rs"] {
            for call in ["std::thread::sleep(x);", "sleep(x).await;", "time::sleep_until(x).await;"] {
                assert_found(path, &format!("//! A.\n{call}\n"), 2, "waits for a condition");
                assert_fine(path, &format!("//! A.\n{call} // polls\n"));
                assert_fine(path, &format!("//! A.\n// This polls: nothing tells when a port is free.\n{call}\n"));
            }
        }
        assert_fine("crates/a/tests/b.rs", "use tokio::time::{sleep, timeout};\nlet s = \"sleep(1)\";");
        assert_fine("crates/a/src/b.rs", "tokio::time::sleep(x).await;");
    }

    #[test]
    fn a_path_of_somebodys_machine_is_found_in_any_text() {
        for home in HOMES {
            for path in ["README.md", "maps/a.toml", "crates/a/src/b.rs"] {
                assert_found(path, &format!("a\nsee \"/{home}/x\"\n"), 2, "own machine");
            }
            assert_fine("README.md", &format!("see crates/{home}/x, ../{home}/y and https://a.org/{home}/z\n"));
        }
    }

    #[test]
    fn a_manifest_without_the_workspaces_lints_is_found() {
        let manifest = "[package]\nname = \"a\"\n";
        assert_found("crates/a/Cargo.toml", manifest, 0, "lints");
        assert_found("crates/a/Cargo.toml", &format!("{manifest}workspace = true\n[lints]\n"), 0, "lints");
        assert_fine("crates/a/Cargo.toml", &format!("{manifest}[lints]\nworkspace = true\n"));
        assert_fine("load/peers/Cargo.toml", &format!("[workspace]\n{manifest}[dependencies]\nd = \"1\"\n"));
    }

    #[test]
    fn a_dependency_with_a_version_of_its_own_is_found() {
        let lints = "[lints]\nworkspace = true\n";
        for section in ["dependencies", "dev-dependencies", "target.'cfg(unix)'.dependencies"] {
            let text = format!("{lints}[{section}]\nb.workspace = true\nc = {{ workspace = true }}\nd = \"1\"\n");
            assert_found("crates/a/Cargo.toml", &text, 6, "versions stand once");
        }
    }

    #[test]
    fn a_crate_that_is_not_on_the_map_is_found() {
        let member = |folder: &str| Member { folder: folder.to_owned(), ..Member::default() };
        let map = File { path: "ARCHITECTURE.md".to_owned(), text: "`world` and `load/`\n".to_owned() };
        let members = vec![member("crates/world"), member("load"), member("crates/shard")];
        let found = check(&Tree { members, files: vec![map], ..Tree::default() });
        assert!(found.len() == 1 && found[0].problem.starts_with("`shard` is not on the map"), "{found:?}");
    }
}
