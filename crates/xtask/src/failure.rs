//! Why a command of ours failed.

use std::{fmt, io};

/// Printed after `xtask: `, so each says what happened and what to do next.
#[derive(Debug)]
pub enum Failure {
    /// The command line makes no sense.
    Usage(String),
    /// A program could not be started.
    Start {
        /// Which.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program ended badly; it has said why.
    Ended {
        /// What was run.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// Something must be put on this machine first.
    Missing(String),
    /// A file could not be read.
    Read {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    Write {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of ours is not what it should be.
    Malformed {
        /// Which.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Cargo said something we do not understand.
    Cargo(String),
    /// A step of `cargo xtask test`.
    Step {
        /// Its name.
        name: &'static str,
        /// What went wrong in it.
        cause: Box<Failure>,
    },
    /// House rules broken; they have been listed.
    Untidy(usize),
    /// Mistakes that no test notices, and entries in the list of accepted ones that nobody needs; they have been listed.
    Mutants {
        /// Survivors that are not on the list.
        survivors: usize,
        /// Entries without a survivor.
        idle: usize,
    },
}

impl Failure {
    /// The process's exit status.
    pub fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(problem) => write!(f, "{problem}: `cargo xtask help` lists what there is"),
            Self::Start { program, source } => write!(f, "cannot start {program}: {source}"),
            Self::Ended { command, status } => write!(f, "`{command}` failed ({status})"),
            Self::Missing(what) => f.write_str(what),
            Self::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Write { path, source } => write!(f, "cannot write {}: {source}", path.display()),
            Self::Malformed { path, problem } => write!(f, "{path}: {problem}"),
            Self::Cargo(problem) => write!(f, "cargo metadata: {problem}"),
            Self::Step { name, cause } => {
                write!(f, "step {name} failed: {cause}\nxtask: to run just this step again: cargo xtask test {name}")
            }
            Self::Untidy(1) => f.write_str("1 house rule is broken, see above"),
            Self::Untidy(count) => write!(f, "{count} house rules are broken, see above"),
            Self::Mutants { survivors, idle } => write!(
                f,
                "{survivors} mutants survived and {idle} accepted ones did not, see above: kill them by a test or simpler \
                 code, or accept the equivalent in {} with a reason",
                crate::mutants::LIST
            ),
        }
    }
}
