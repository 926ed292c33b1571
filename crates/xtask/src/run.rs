//! Builds a program of ours, then becomes it: signals sent to `cargo xtask up` reach the cluster itself, and its exit
//! status is ours.

use crate::{
    Failure, page, setup,
    workspace::{Workspace, succeed},
};
use std::{os::unix::process::CommandExt, process::Command};

/// What `up` is told by who says nothing: whoever comes to see the world finds somebody there.
const LIVELY: [&str; 2] = ["--bots", "20"];

/// `up [-- ARGS]`
pub fn up(arguments: &[String]) -> Result<(), Failure> {
    setup::programs()?;
    page::build(&Workspace::find()?)?;
    let lively = LIVELY.map(str::to_owned);
    let arguments = match arguments {
        [] => &lively,
        [dashes, rest @ ..] if dashes == "--" => rest,
        other => other,
    };
    become_program(&["icefarm"], "icefarm", "up", arguments)
}

/// `sim --seeds N [--from S] [--trace]`
pub fn sim(arguments: &[String]) -> Result<(), Failure> {
    become_program(&["sim"], "sim", None, arguments)
}

/// `bench WHAT [--json] ...`, and `soak`, which is one too.
pub fn bench(arguments: &[String]) -> Result<(), Failure> {
    let Some((what, rest)) = arguments.split_first() else {
        return Err(Failure::Usage("bench what? `cargo xtask bench claims`".to_owned()));
    };
    let verb = match what.as_str() {
        "claims" => "bench-claims",
        "scale" => "bench-scale",
        "slow-disk" => "bench-slow-disk",
        "reads" => "bench-reads",
        "viewers" => "bench-viewers",
        "failover" => "bench-failover",
        "restart" => "bench-restart",
        "rebuild" => "bench-rebuild",
        "soak" => "soak",
        "idle" => "idle",
        "paths" => "paths",
        other => return Err(Failure::Usage(format!("there is no benchmark '{other}'"))),
    };
    setup::programs()?;
    become_program(&["icefarm", "icefarm-load"], "icefarm-load", verb, rest)
}

/// `load PROFILE [ARGS]`: the profile is a file, or the name of one in `load/profiles`.
pub fn load(arguments: &[String]) -> Result<(), Failure> {
    let Some((profile, rest)) = arguments.split_first() else {
        return Err(Failure::Usage("load what? `cargo xtask load village`, or a file".to_owned()));
    };
    let ours = Workspace::find()?.root.join("load/profiles").join(profile).with_extension("toml");
    let profile = if ours.exists() { ours.display().to_string() } else { profile.clone() };
    setup::programs()?;
    let arguments: Vec<String> = std::iter::once(profile).chain(rest.iter().cloned()).collect();
    become_program(&["icefarm", "icefarm-load"], "icefarm-load", "run", &arguments)
}

/// `race [ARGS]`, `race profile [ARGS]`, `race paths [ARGS]`, or `race show FILE`.
pub fn race(arguments: &[String]) -> Result<(), Failure> {
    let profiles = arguments.first().is_some_and(|verb| verb == "profile" || verb == "paths");
    let needed = if profiles { setup::profile_programs } else { setup::race_programs };
    needed()?;
    let workspace = Workspace::find()?;
    succeed(&mut workspace.cargo(&["build", "--release", "--workspace", "--bin", "icefarm", "--bin", "icefarm-load"]))?;
    // A workspace of its own: nobody who builds the game builds its peers.
    let target = workspace.target.join("race");
    let mut build = workspace.cargo(&["build", "--release", "--manifest-path", "load/peers/Cargo.toml"]);
    succeed(build.arg("--target-dir").arg(&target))?;
    let mut race = Command::new(target.join("release/race"));
    let icefarm = workspace.program("icefarm");
    let rest = match arguments {
        [show, ..] if show == "show" => arguments,
        [paths, rest @ ..] if paths == "paths" => {
            race.args(["paths", "--load"]).arg(workspace.program("icefarm-load"));
            rest
        }
        [_, rest @ ..] if profiles => {
            race.args(["profile", "--icefarm"]).arg(icefarm);
            rest
        }
        _ => {
            race.args(["run", "--icefarm"]).arg(icefarm);
            arguments
        }
    };
    Err(Failure::Start { program: "race".to_owned(), source: race.args(rest).exec() })
}

/// Builds `programs` (progress on stderr, so that stdout stays the program's), then turns this process into
/// `program FIRST ARGUMENTS`. Returns only on failure.
fn become_program<'a>(
    programs: &[&str],
    program: &str,
    first: impl Into<Option<&'a str>>,
    arguments: &[String],
) -> Result<(), Failure> {
    let workspace = Workspace::find()?;
    // Of the whole workspace, not of these packages: features are chosen as in the tests, and nothing is built twice.
    let mut build = workspace.cargo(&["build", "--release", "--workspace"]);
    for program in programs {
        build.args(["--bin", program]);
    }
    succeed(&mut build)?;
    let source = Command::new(workspace.program(program)).args(first.into()).args(arguments).exec();
    Err(Failure::Start { program: program.to_owned(), source })
}
