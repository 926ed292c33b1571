//! The house rules, as a program: taste that does not depend on a reviewer's memory.
//!
//! | module | rules |
//! |---|---|
//! | [`layers`] | who may import whom; what pure crates may be built on |
//! | [`purity`] | pure crates' sources name no clock, thread, environment, file, socket or random order |
//! | [`scenarios`] | the table of scenarios names tests that exist |
//! | [`manners`] | headers, lengths, lints, leftovers, sleeping tests, paths of somebody's machine |
//!
//! And what is generated must be what it would be if generated now.
//!
//! Every rule is a function from the [`Tree`] to [`Finding`]s, so that its tests feed it small broken trees.

mod layers;
mod manners;
mod purity;
mod scenarios;
mod source;
pub mod tree;

use crate::{Failure, generate, workspace::Workspace};
use std::fmt;
use tree::Tree;

/// One rule broken, or nearly, at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Relative to the workspace's root.
    path: String,
    /// From 1; 0 where the whole file or folder is meant.
    line: usize,
    /// What is wrong and what to do.
    problem: String,
    /// Whether it is told only.
    warning: bool,
}

impl Finding {
    fn error(path: impl Into<String>, line: usize, problem: impl Into<String>) -> Self {
        Self { path: path.into(), line, problem: problem.into(), warning: false }
    }

    fn warning(path: impl Into<String>, line: usize, problem: impl Into<String>) -> Self {
        Self { warning: true, ..Self::error(path, line, problem) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.warning { "warning: " } else { "" })?;
        f.write_str(&self.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// Reads the workspace, applies every rule and prints what they find.
pub fn run() -> Result<(), Failure> {
    let tree = Tree::read()?;
    let mut findings = check(&tree);
    if !generate::are_current(&Workspace::find()?)? {
        let problem = "is not what the gateway's types make of it: run `cargo xtask generate`";
        findings.push(Finding::error(generate::MESSAGES, 0, problem));
    }
    for finding in &findings {
        println!("{finding}");
    }
    match findings.iter().filter(|finding| !finding.warning).count() {
        0 => {
            println!("tidy: {} files of {} crates keep the house rules", tree.files.len(), tree.members.len());
            Ok(())
        }
        broken => Err(Failure::Untidy(broken)),
    }
}

fn check(tree: &Tree) -> Vec<Finding> {
    let rules = [layers::check, purity::check, manners::check, scenarios::check];
    let mut findings: Vec<_> = rules.iter().flat_map(|rule| rule(tree)).collect();
    findings.sort();
    findings.dedup();
    findings
}
