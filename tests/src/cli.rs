//! The command line as scripts use it.

use crate::program::{Program, icefarm};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Five times what the slowest verb may take by default.
const PATIENCE: Duration = Duration::from_secs(50);

/// What a run of the program came to.
#[derive(Debug)]
pub struct Answer {
    /// What was run.
    pub words: String,
    /// Its exit status; `None`: a signal ended it.
    pub status: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Answer {
    /// Itself, if the program ended with this status.
    ///
    /// # Panics
    /// If it ended otherwise.
    #[must_use]
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self:#?}");
        self
    }

    /// The one object on stdout.
    ///
    /// # Panics
    /// If stdout is anything else.
    pub fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:#?}"));
        assert!(value.is_object(), "not one object: {self:#?}");
        assert_eq!(self.stdout.trim_end().lines().count(), 1, "not on one line: {self:#?}");
        value
    }

    /// Itself, if stderr mentions each of `words`.
    ///
    /// # Panics
    /// If one is missing.
    #[must_use]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "stderr does not mention '{word}': {self:#?}");
        }
        self
    }
}

/// Runs `icefarm` against one cluster.
#[derive(Clone, Debug)]
pub struct Cli {
    profile: PathBuf,
    folder: PathBuf,
}

impl Cli {
    /// For the cluster that `profile` leads to; runs in `folder`.
    pub fn new(profile: &Path, folder: &Path) -> Self {
        Self { profile: profile.to_owned(), folder: folder.to_owned() }
    }

    /// The program, not started yet, told of the cluster by `ICEFARM_CLUSTER` alone.
    pub fn command(&self) -> Command {
        let mut command = Command::new(icefarm());
        command.current_dir(&self.folder).env("ICEFARM_CLUSTER", &self.profile);
        for name in ["ICEFARM_LOG", "RUST_LOG", "CLICOLOR_FORCE", "FORCE_COLOR"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs it to its end.
    pub fn run<S: AsRef<OsStr>>(&self, words: &[S]) -> Answer {
        let mut command = self.command();
        run(command.args(words))
    }

    /// `words`, split at blanks, with `--json` behind them; the status must be `status`.
    pub fn json(&self, words: &str, status: i32) -> Value {
        let words: Vec<&str> = words.split_whitespace().chain(["--json"]).collect();
        self.run(&words).expect(status).json()
    }

    /// `words`, split at blanks.
    pub fn words(&self, words: &str) -> Answer {
        self.run(&words.split_whitespace().collect::<Vec<_>>())
    }
}

/// Runs any command to its end.
pub fn run(command: &mut Command) -> Answer {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let words = format!("icefarm {}", words.join(" "));
    let mut program = Program::start(&words, command);
    let status = program.wait_ended(PATIENCE).code();
    Answer { words, status, stdout: program.stdout(), stderr: program.stderr() }
}
