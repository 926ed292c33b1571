//! Flame graphs of the hot pure paths, each alone in a process.

use super::perf;
use crate::Failure;
use crate::cli::PathsArgs;
use std::process::Stdio;
use tokio::process::Command;

/// As `icefarm-load paths` calls them.
const PATHS: [&str; 9] = ["paxos-slot", "claim", "plant", "request", "answer", "pack", "unpack", "terrain", "bucket"];

/// The function that goes a path; what else the process does makes ready for it.
const GOING: &str = "paths::Scene::run;";

/// Draws them all.
pub async fn run(args: &PathsArgs) -> Result<(), Failure> {
    perf::check()?;
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    for path in PATHS {
        let mut command = Command::new(&args.load);
        // It is killed when it has been watched for long enough.
        command.args(["paths", "--path", path, "--seconds", &(2 * args.seconds + 10).to_string()]);
        let mut going = command.stdin(Stdio::null()).kill_on_drop(true).spawn().map_err(|error| {
            format!("{}: {error}: `cargo build --release -p icefarm-load` makes it", args.load.display())
        })?;
        let pid = going.id().ok_or_else(|| format!("{path} ended at once"))?;
        let stacks = tokio::select! {
            stacks = perf::stacks(pid, args.seconds, &args.out) => stacks?,
            interrupted = tokio::signal::ctrl_c() => {
                let _ = std::fs::remove_file(args.out.join(format!("{pid}.perf")));
                interrupted?;
                return Err("interrupted".into());
            }
        };
        going.kill().await?;
        let going = |stack: &String| Some(stack.split_once(GOING)?.1.to_owned());
        let stacks: Vec<String> = stacks.iter().filter_map(going).collect();
        if stacks.is_empty() {
            return Err(format!("perf saw nothing of {path}").into());
        }
        let file = args.out.join(format!("flame-{path}.svg"));
        perf::draw(&stacks, path, &file)?;
        println!("{}", file.display());
    }
    Ok(())
}
