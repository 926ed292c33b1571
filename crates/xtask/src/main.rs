//! The project's own tool, run as `cargo xtask`: sets up, runs, tests and tidies. One command to try the project, one to
//! check it; everything a person or CI does goes through here, so that both do the same.
//!
//! | module | what it holds |
//! |---|---|
//! | [`setup`] | what must be on the machine before anything is built |
//! | [`workspace`] | where the workspace is, and running programs in it |
//! | [`run`] | build a program of ours and become it: `up`, `sim`, `bench` |
//! | [`check`] | everything CI runs, step by step |
//! | [`api`] | the HTTP API against its OpenAPI document |
//! | [`page`] | the web page: its packages, checks and build |
//! | [`generate`] | files that are made from others |
//! | [`tidy`] | the house rules, as a program |
//! | [`mutants`] | mistakes made on purpose, one by one, to see which the tests would miss |
//! | [`failure`] | why it could not go on, and its exit status |

mod api;
mod check;
mod failure;
mod generate;
mod mutants;
mod page;
mod run;
mod setup;
mod tidy;
mod workspace;

use failure::Failure;
use std::process::ExitCode;

const HELP: &str = "\
Ice Age Farmland: set up, run, test.

  cargo xtask up [-- ARGS]          build everything, start a local cluster with 20 bots, say where to look
                                    ARGS go to `icefarm up` instead of `--bots 20`: try `cargo xtask up -- --help`
  cargo xtask test [STEP ...]       everything CI runs; with steps, only those:
                                    setup fmt page tidy clippy doc build test api browser paths sim
  cargo xtask tidy                  the house rules alone: layers, purity, lengths, manners, generated files
  cargo xtask generate              the files that are made from others: TypeScript's types of the gateway's messages
  cargo xtask sim --seeds N [--from S] [--trace]
                                    play N clusters under faults; ends with the line `digest ...`
  cargo xtask bench WHAT [--json] [ARGS]
                                    measured on this machine: claims, scale, reads, viewers, failover, slow-disk, rebuild,
                                    restart, soak, idle, paths; `bench WHAT --help` says what each does
  cargo xtask load PROFILE [ARGS]   let the players of a profile loose on a cluster; see load/profiles: village, claims,
                                    contest, day. `load village --help` says what else it takes
  cargo xtask race [ARGS]           beside etcd, ZooKeeper, Redis and PostgreSQL, and consensus beside other libraries':
                                    half an hour; `race --rounds 1 --seconds 1` for a first look, `race --help` for more
  cargo xtask race profile [ARGS]   where a claim's time goes: load/PERFORMANCE.md and flame graphs, in a minute
  cargo xtask race paths [ARGS]     flame graphs of the hot pure paths: consensus, game, codec, terrain
  cargo xtask mutants [PACKAGE ...]
                                    mistakes made in paxos, shard and host one by one, to see which no test notices;
                                    interrupted, the next run goes on. CARGO_MUTANTS_JOBS says how many at once (2)
  cargo xtask mutants --in-diff [REV]
                                    only in lines that differ from REV (HEAD: what is not committed)

New here? `cargo xtask up` in one terminal, then do what it says in another.
README.md has a tour of five minutes, ARCHITECTURE.md the map of the code.

Exit status: 0 done, 1 failed, 2 wrong usage; `up`, `sim`, `bench`, `load` and `race` end as the program they start.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.status())
        }
    }
}

fn command(arguments: &[String]) -> Result<(), Failure> {
    let Some((name, rest)) = arguments.split_first() else {
        print!("{HELP}");
        return Ok(());
    };
    let asks_for_help = rest.len() == 1 && matches!(rest[0].as_str(), "-h" | "--help");
    match name.as_str() {
        "-h" | "--help" | "help" => {
            print!("{HELP}");
            Ok(())
        }
        "test" | "tidy" | "generate" | "mutants" if asks_for_help => {
            print!("{HELP}");
            Ok(())
        }
        "up" => run::up(rest),
        "sim" => run::sim(rest),
        "bench" => run::bench(rest),
        "load" => run::load(rest),
        "race" => run::race(rest),
        "test" => check::run(rest),
        "mutants" => mutants::run(rest),
        "tidy" if rest.is_empty() => tidy::run(),
        "generate" if rest.is_empty() => generate::run(),
        "tidy" | "generate" => {
            Err(Failure::Usage(format!("{name} takes no arguments, but was given '{}'", rest.join(" "))))
        }
        unknown => Err(Failure::Usage(format!("there is no command '{unknown}'"))),
    }
}
