//! `icefarm`: run nodes, play, operate.
//!
//! The program decides nothing about the game or the cluster: it asks through the SDK and puts the answer into words, a
//! drawing, or (`--json`) one object whose shape scripts rely on. How it ends is a status that scripts rely on too
//! ([`exit::Exit`]).

mod admin;
mod bots;
mod cli;
mod draw;
mod exit;
mod founding;
mod json;
mod node;
mod play;
mod processes;
mod refusal;
#[cfg(test)]
mod samples;
mod up;
mod words;

use clap::{CommandFactory, Parser};
use cli::{Cli, ClusterVerb, Verb};
use exit::{Exit, Failure};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misunderstood(&error),
    };
    let json = cli.globals.json;
    match run(cli) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            if json {
                print_json(&failure.problem());
            }
            eprintln!("{}", failure.for_people());
            failure.status.into()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.verb {
        Verb::Up(args) => up::run(&args),
        Verb::Node(args) => node::run(&args),
        Verb::Cluster(ClusterVerb::Init(args)) => founding::run_init(&args),
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "icefarm", &mut std::io::stdout());
            Ok(())
        }
        Verb::Admin(verb) => play::with_session(&cli.globals, false, async |session| admin::run(session, verb).await),
        verb => {
            let needs_player = play::needs_player(&verb);
            play::with_session(&cli.globals, needs_player, async |session| play::run(session, &verb).await)
        }
    }
}

/// Help and version are no mistakes; everything else is one, told to scripts as an object too if they asked for one.
fn misunderstood(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|word| word == "--json") {
        let text = error.render().to_string();
        let sentence = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ").trim();
        print_json(&json::Problem::Invalid { message: sentence.to_owned() });
    }
    // A closed pipe is the reader's choice.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}

/// Prints an object on a line of its own. Whoever closed the pipe does not want it.
fn print_json(object: &impl serde::Serialize) {
    let line = serde_json::to_string(object).expect("our objects have a JSON form");
    let _ = writeln!(std::io::stdout(), "{line}");
}
