//! `icefarm`: run nodes, play, operate.
//!
//! The program decides nothing about the game or the cluster: it asks through the SDK and puts the answer into words, a
//! drawing, or (`--json`) one object whose shape scripts rely on. How it ends is a status that scripts rely on too
//! ([`exit::Exit`]).

mod admin;
mod bots;
mod cli;
mod door;
mod draw;
mod exit;
mod founding;
mod node;
mod play;
mod processes;
mod refusal;
mod repair;
mod replica;
#[cfg(test)]
mod samples;
mod stdout;
mod top;
mod up;
mod verify;
mod watch;
mod words;

use cli::{AdminVerb, Cli, ClusterVerb, Verb};
use exit::{Exit, Failure};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::from_args(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return misunderstood(&error),
    };
    let json = cli.globals.json;
    // What panicked is dropped with the panic; nobody looks at it again.
    let result = catch_unwind(AssertUnwindSafe(|| run(cli))).unwrap_or_else(|_| {
        Err(Failure::new(Exit::Bug, "this is a bug: the lines above say where")
            .hint("please report them with what you typed; whether a command took effect is unknown"))
    });
    match result {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            if json {
                // Where stdout is what is broken, stderr and the status still tell.
                let _ = stdout::json(&failure.problem());
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
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut cli::command(), "icefarm", &mut script);
            stdout::text(&String::from_utf8_lossy(&script))
        }
        Verb::Admin(AdminVerb::Verify { data }) => verify::run(&cli.globals, &data),
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
        let _ = stdout::json(&json::Problem::Invalid { message: sentence.to_owned() });
    }
    // A closed pipe is the reader's choice.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}
