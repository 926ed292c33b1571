//! What a person sees while it runs: a dashboard on a terminal, a line a second elsewhere. All of it goes to stderr, so that
//! stdout is for results.

mod dashboard;

use crate::Failure;
use crate::profile::Doing;
use crate::run::servers::{Figures, Server};
use crate::run::tally::Second;
use dashboard::Dashboard;
pub use dashboard::grouped;
use std::io::IsTerminal;

/// What there is to see each second.
#[derive(Debug)]
pub struct Look<'a> {
    /// What was measured in it.
    pub second: &'a Second,
    /// It was behind the warm-up.
    pub warm: bool,
    /// The nodes.
    pub servers: &'a [Server],
    /// What each says; `None`: nothing.
    pub figures: &'a [Option<Figures>],
    /// How many players are doing what.
    pub doing: [usize; Doing::ALL.len()],
    /// How many players there are.
    pub players: u32,
    /// Answers so far that cannot be true.
    pub wrong: u64,
    /// What was not answered so far, by reason.
    pub errors: Vec<(&'static str, u64)>,
}

/// Where it is shown.
#[derive(Debug)]
pub enum Show {
    /// Nowhere.
    Nowhere,
    /// A line a second.
    Lines,
    /// A picture.
    Dashboard(Box<Dashboard>),
}

impl Show {
    /// A dashboard if stderr is a terminal and nobody minds.
    pub fn new(title: &str, seconds: u32, plain: bool) -> Result<Self, Failure> {
        if plain || !std::io::stderr().is_terminal() {
            return Ok(Self::Lines);
        }
        Ok(Self::Dashboard(Box::new(Dashboard::new(title, seconds)?)))
    }

    /// From now on nothing is shown.
    pub fn quiet(&mut self) {
        *self = Self::Nowhere;
    }

    /// A second is over.
    pub fn second(&mut self, look: &Look<'_>) {
        match self {
            Self::Nowhere => {}
            Self::Lines => eprintln!("{}", line(look)),
            Self::Dashboard(dashboard) => dashboard.second(look),
        }
    }

    /// Something happened.
    pub fn event(&mut self, what: &str) {
        match self {
            Self::Nowhere => {}
            Self::Lines => eprintln!("     {what}"),
            Self::Dashboard(dashboard) => dashboard.event(what),
        }
    }

    /// The terminal is as it was.
    pub fn close(self) {
        if let Self::Dashboard(dashboard) = self {
            dashboard.close();
        }
    }
}

fn line(look: &Look<'_>) -> String {
    let Second { nth, done, p50_ms, p99_ms, p999_ms, in_flight, .. } = look.second;
    let mut words = vec![
        format!("{nth:>4} s {done:>9}/s"),
        format!("p50 {p50_ms:>8.2} p99 {p99_ms:>8.2} p99.9 {p999_ms:>8.2} ms"),
        format!("in flight {in_flight:>6}"),
    ];
    if look.second.weak_reads > 0 {
        words.push(format!("stale {:>5.2} %", share(look.second.stale_reads, look.second.weak_reads) * 1e2));
    }
    if look.second.errors > 0 {
        words.push(format!("errors {}", look.second.errors));
    }
    if look.wrong > 0 {
        words.push(format!("WRONG {}", look.wrong));
    }
    let silent = look.servers.iter().zip(look.figures).filter(|(_, figures)| figures.is_none());
    words.extend(silent.map(|(server, _)| format!("{} silent", server.node)));
    if !look.warm {
        words.push("(warm-up)".to_owned());
    }
    words.join("  ")
}

/// A part of a whole; 0 of nothing.
pub fn share(part: u64, whole: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let share = part as f64 / whole.max(1) as f64;
    share
}
