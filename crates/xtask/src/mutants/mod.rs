//! What the tests would miss: small mistakes are made in the code one by one (by cargo-mutants), and whatever mistake no
//! test notices survives. A survivor is killed by a better test, by simpler code, or accepted with a reason.
//!
//! | module | what it holds |
//! |---|---|
//! | [`suite`] | which crates are mutated, and which tests are to notice |
//! | [`outcome`] | what has come of each mutant so far, over interrupted runs |
//! | [`accepted`] | the survivors that may live, and why |
//! | [`report`] | the figures, and who survived |

mod accepted;
mod outcome;
mod report;
mod suite;

use crate::{
    Failure,
    tidy::tree::Tree,
    workspace::{Workspace, succeed},
};
use accepted::Accepted;
pub use accepted::LIST;
use outcome::Outcomes;
use report::Report;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use suite::Suite;

/// A mutant may judge differently from one version to the next, so everybody uses the same.
const TOOL: &str = "cargo-mutants@27.1.0";
/// A mutant may allocate without end: with so many bytes of address space it ends itself before anybody else.
const ADDRESS_SPACE: &str = "--as=8000000000";
/// Mutants under test at once, unless the environment says so: while one waits for its longest test, another is built.
const JOBS: (&str, &str) = ("CARGO_MUTANTS_JOBS", "2");

/// `mutants [PACKAGE ...]`, `mutants --in-diff [REV]`
pub fn run(arguments: &[String]) -> Result<(), Failure> {
    let (suites, revision) = match arguments {
        [flag] if flag == "--in-diff" => (suite::all(), Some("HEAD")),
        [flag, revision] if flag == "--in-diff" => (suite::all(), Some(revision.as_str())),
        names => (suite::choose(names)?, None),
    };
    let workspace = Workspace::find()?;
    let tree = Tree::read()?;
    let accepted = Accepted::read(&tree)?;
    let folder = workspace.target.join("mutants");
    fs::create_dir_all(&folder).map_err(unwritable(&folder))?;
    let tool = install(&workspace, &folder)?;
    let diff = revision.map(|revision| write_diff(&workspace, &folder, revision)).transpose()?;
    let mut reports = Vec::new();
    for suite in suites {
        let folder = if diff.is_some() { folder.join("in-diff") } else { folder.clone() }.join(suite.package);
        match &diff {
            Some(_) => outcome::begin(&folder)?,
            None => outcome::go_on(&folder, &suite.fingerprint(&tree))?,
        }
        for tests in suite.stages() {
            test(&workspace, &tool, suite, tests, &folder, diff.as_deref())?;
            // What is settled is left out from here on.
            Outcomes::read(&folder)?;
        }
        reports.push(Report::new(suite.package, &Outcomes::read(&folder)?, &accepted, &tree, diff.is_none()));
    }
    report::print(&reports)
}

/// The tool, built once and kept with what is built.
fn install(workspace: &Workspace, folder: &Path) -> Result<PathBuf, Failure> {
    let root = folder.join(TOOL);
    let tool = root.join("bin").join("cargo-mutants");
    if !tool.exists() {
        let mut install = workspace.cargo(&["install", "--locked", TOOL, "--root"]);
        succeed(install.arg(&root))?;
    }
    Ok(tool)
}

/// Mutates the suite's package, in the lines that differ if there is a diff, and runs these tests against each mutant that is
/// not settled. Ends when all are judged.
fn test(
    workspace: &Workspace,
    tool: &Path,
    suite: &Suite,
    tests: &[&str],
    folder: &Path,
    diff: Option<&Path>,
) -> Result<(), Failure> {
    println!("\n== {}: a mistake at a time, to be noticed by the tests of {}", suite.package, tests.join(", "));
    let mut command = Command::new("prlimit");
    command.arg(ADDRESS_SPACE).arg("--").arg(tool).arg("mutants").current_dir(&workspace.root);
    command.args(["--package", suite.package, "--iterate", "--output"]).arg(folder);
    if let Some(diff) = diff {
        command.arg("--in-diff").arg(diff);
    }
    for package in tests {
        command.args(["--test-package", package]);
    }
    command.args(["--", "--"]).args(suite.skipped.iter().flat_map(|name| ["--skip", name]));
    command.envs(suite.environment.iter().copied());
    if env::var_os(JOBS.0).is_none() {
        command.env(JOBS.0, JOBS.1);
    }
    let status = command.status().map_err(|source| Failure::Start { program: "prlimit".to_owned(), source })?;
    match status.code() {
        // All caught, some missed, some never ended.
        Some(0 | 2 | 3) => Ok(()),
        _ => Err(Failure::Ended { command: format!("cargo mutants --package {}", suite.package), status }),
    }
}

/// What differs from `revision`, as the tool wants to be told.
fn write_diff(workspace: &Workspace, folder: &Path, revision: &str) -> Result<PathBuf, Failure> {
    let output = Command::new("git")
        .current_dir(&workspace.root)
        .args(["diff", "--no-ext-diff", revision, "--"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Failure::Start { program: "git".to_owned(), source })?;
    if !output.status.success() {
        return Err(Failure::Ended { command: format!("git diff {revision}"), status: output.status });
    }
    let path = folder.join("changes.diff");
    fs::write(&path, output.stdout).map_err(unwritable(&path))?;
    Ok(path)
}

fn unwritable(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.to_owned();
    move |source| Failure::Write { path, source }
}
