//! How the program ends: a status that scripts rely on, a sentence for people, and what to do next.

use json::Problem;
use std::fmt;
use std::process::ExitCode;

/// The exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// A bug of ours.
    Bug = 1,
    /// Wrong whatever the world's state: usage, off the grid, unknown crop, bad name.
    Usage = 2,
    /// The game's rules said no.
    Rejected = 3,
    /// Not available now.
    Unavailable = 4,
    /// Not allowed.
    NotAllowed = 5,
    /// This machine: a port, the data, the disk.
    Machine = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the program did not do what it was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The exit status.
    pub status: Exit,
    /// What happened, and to what.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// What `--json` says; `None`: what follows from the status.
    problem: Option<Box<Problem>>,
}

impl Failure {
    /// With this status and sentence.
    pub fn new(status: Exit, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), hint: None, problem: None }
    }

    /// With a word about what to do next.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// With more to say to scripts than the status tells.
    #[must_use]
    pub fn with_problem(self, problem: Problem) -> Self {
        Self { problem: Some(Box::new(problem)), ..self }
    }

    /// What `--json` says.
    pub fn problem(&self) -> Problem {
        if let Some(problem) = &self.problem {
            return (**problem).clone();
        }
        let message = self.message.clone();
        match self.status {
            Exit::Usage => Problem::Invalid { message },
            Exit::NotAllowed => Problem::NotAllowed { message },
            Exit::Unavailable => Problem::not_applied("not_ready"),
            Exit::Done | Exit::Bug | Exit::Rejected | Exit::Machine => Problem::Failed { message },
        }
    }

    /// What stderr says.
    pub fn for_people(&self) -> String {
        match &self.hint {
            Some(hint) => format!("icefarm: {}\n  {hint}", self.message),
            None => format!("icefarm: {}", self.message),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_number_and_its_object() {
        let cases = [
            (Exit::Bug, 1, r#"{"outcome":"failed","message":"why"}"#),
            (Exit::Usage, 2, r#"{"outcome":"invalid","message":"why"}"#),
            (
                Exit::Unavailable,
                4,
                r#"{"outcome":"unavailable","applied":"no","reason":"not_ready","missing":[],"retry_after_ms":500}"#,
            ),
            (Exit::NotAllowed, 5, r#"{"outcome":"not_allowed","message":"why"}"#),
            (Exit::Machine, 6, r#"{"outcome":"failed","message":"why"}"#),
        ];
        for (status, number, object) in cases {
            assert_eq!(status as u8, number);
            assert_eq!(serde_json::to_string(&Failure::new(status, "why").problem()).unwrap(), object);
        }
        assert_eq!((Exit::Done as u8, Exit::Rejected as u8), (0, 3));
    }

    #[test]
    fn people_read_what_happened_and_then_what_to_do() {
        let failure = Failure::new(Exit::Usage, "there is no crop called 'oats'").hint("see `icefarm rules`");
        assert_eq!(failure.for_people(), "icefarm: there is no crop called 'oats'\n  see `icefarm rules`");
    }
}
