//! Pure crates' sources name no clock, no thread, no environment, no file, no socket, no map of random order: the
//! simulator must be able to play them again to the bit.

use super::{
    Finding,
    layers::{self, Kind},
    source,
    tree::Tree,
};

/// Names that may stand nowhere in a path.
const NAMES: [&str; 9] =
    ["HashMap", "HashSet", "RandomState", "SystemTime", "OsRng", "getrandom", "tokio", "thread_rng", "dashmap"];

/// Paths that may not be named, nor anything below them.
const PATHS: [&str; 11] = [
    "std::time::Instant",
    "Instant::now",
    "std::env",
    "env::var",
    "env::args",
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "thread::spawn",
];

/// What clippy is told in every pure crate, relative to it.
const LINT_FILE: &str = "../pure-clippy.toml";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &tree.members {
        if layers::of(&member.name).is_none_or(|layer| layer.kind != Kind::Pure) {
            continue;
        }
        if member.lint_link.as_deref() != Some(LINT_FILE) {
            let problem = format!("a pure crate's clippy.toml is a link: ln -s {LINT_FILE} clippy.toml");
            findings.push(Finding::error(format!("{}/clippy.toml", member.folder), 0, problem));
        }
        let sources = format!("{}/src/", member.folder);
        for file in tree.files.iter().filter(|file| file.path.starts_with(&sources) && file.extension() == "rs") {
            for (line, path) in source::paths(&source::split(&file.text).code) {
                if let Some(name) = impure(&path) {
                    let problem = format!("{} is pure and must not name {name}", member.name);
                    findings.push(Finding::error(file.path.as_str(), line, problem));
                }
            }
        }
    }
    findings
}

fn impure(path: &str) -> Option<&'static str> {
    let below = |whole: &str| path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    NAMES
        .into_iter()
        .find(|name| path.split("::").any(|segment| segment == *name))
        .or_else(|| PATHS.into_iter().find(|whole| below(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::{File, Member};

    fn found(path: &str, text: &str) -> Vec<String> {
        let member = Member {
            name: "world".to_owned(),
            folder: "crates/world".to_owned(),
            lint_link: Some(LINT_FILE.to_owned()),
            ..Member::default()
        };
        let file = File { path: path.to_owned(), text: text.to_owned() };
        let tree = Tree { members: vec![member], files: vec![file], ..Tree::default() };
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_impure_name_is_found_with_its_line() {
        for text in [
            "use std::collections::HashMap;",
            "use std::{collections::{BTreeMap, HashSet}, fmt};",
            "let now = Instant::now();",
            "use std::time::Instant;",
            "let now = std::time::SystemTime::now();",
            "use std::env;",
            "use std::{fmt, fs};",
            "use std::fs::File;",
            "let s = std::net::TcpStream::connect(a);",
            "std::thread::sleep(d);",
            "use std::thread as t;",
            "getrandom::fill(&mut bytes);",
            "tokio::spawn(f);",
        ] {
            let found = found("crates/world/src/lib.rs", &format!("//! A.\n{text}\n"));
            assert!(!found.is_empty() && found[0].starts_with("crates/world/src/lib.rs:2: "), "{text}: {found:?}");
        }
    }

    #[test]
    fn comments_literals_and_likenesses_are_no_names() {
        for text in [
            "// a HashMap would do",
            "let s = \"std::fs\";",
            "use std::{fmt, time::Duration};",
            "struct InstantCoffee; fn environment() {}",
            "mod thread; use crate::thread::Needle;",
        ] {
            assert_eq!(found("crates/world/src/lib.rs", text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn tests_and_examples_beside_the_sources_may_read_files() {
        assert!(found("crates/world/tests/golden.rs", "use std::fs;").is_empty());
    }

    #[test]
    fn a_pure_crate_without_the_lint_file_is_found() {
        for lint_link in [None, Some("../other.toml".to_owned())] {
            let member =
                Member { name: "paxos".to_owned(), folder: "crates/paxos".to_owned(), lint_link, ..Member::default() };
            let tree = Tree { members: vec![member], ..Tree::default() };
            let found = check(&tree);
            assert!(found.len() == 1 && found[0].path == "crates/paxos/clippy.toml", "{found:?}");
        }
    }
}
