//! Everything CI runs, in an order in which the cheapest complaint comes first.

use crate::{
    Failure, api, page, setup, tidy,
    workspace::{Workspace, succeed},
};
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// Clusters the simulator plays in CI.
const SEEDS: &str = "1000";

type Work = fn(&Workspace) -> Result<(), Failure>;

struct Step {
    name: &'static str,
    about: &'static str,
    work: Work,
}

const STEPS: [Step; 12] = [
    Step { name: "setup", about: "what must be on this machine", work: set_up },
    Step { name: "fmt", about: "formatting", work: |workspace| cargo(workspace, &["fmt", "--all", "--check"]) },
    Step { name: "page", about: "the web page: lints, types, unit tests, build", work: page::check },
    Step { name: "tidy", about: "house rules", work: |_| tidy::run() },
    Step { name: "clippy", about: "lints, warnings are errors", work: clippy },
    Step { name: "doc", about: "documentation, warnings are errors", work: doc },
    Step { name: "build", about: "all programs and examples", work: build },
    Step { name: "test", about: "unit, golden and cluster tests", work: test },
    Step { name: "api", about: "the HTTP API against its OpenAPI document", work: api::check },
    Step { name: "browser", about: "the web page in a browser, against clusters", work: browser },
    Step { name: "paths", about: "instructions of the hot paths, against the committed ones", work: paths },
    Step { name: "sim", about: "1,000 simulated clusters under faults", work: sim },
];

/// `test [STEP ...]`
pub fn run(names: &[String]) -> Result<(), Failure> {
    let steps = choose(names)?;
    let workspace = Workspace::find()?;
    let mut times = Vec::new();
    let begun = Instant::now();
    for (at, step) in steps.iter().enumerate() {
        println!("\n== {} ({}/{}): {}", step.name, at + 1, steps.len(), step.about);
        let start = Instant::now();
        (step.work)(&workspace).map_err(|cause| Failure::Step { name: step.name, cause: Box::new(cause) })?;
        times.push((step.name, start.elapsed()));
    }
    println!("\nall steps passed in {}", seconds(begun.elapsed()));
    for (name, time) in times {
        println!("  {name:<8} {:>10}", seconds(time));
    }
    Ok(())
}

fn choose(names: &[String]) -> Result<Vec<&'static Step>, Failure> {
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|step| step.name != *name)) {
        let known = STEPS.map(|step| step.name).join(", ");
        return Err(Failure::Usage(format!("test has no step '{unknown}', only {known}")));
    }
    Ok(STEPS.iter().filter(|step| names.is_empty() || names.iter().any(|name| name == step.name)).collect())
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Result<(), Failure> {
    succeed(&mut workspace.cargo(arguments))
}

fn set_up(_: &Workspace) -> Result<(), Failure> {
    setup::programs()?;
    setup::test_programs()?;
    setup::components()
}

fn clippy(workspace: &Workspace) -> Result<(), Failure> {
    cargo(workspace, &["clippy", "--release", "--workspace", "--all-targets", "--", "--deny", "warnings"])
}

fn doc(workspace: &Workspace) -> Result<(), Failure> {
    let mut doc = workspace.cargo(&["doc", "--release", "--workspace", "--no-deps"]);
    succeed(doc.env("RUSTDOCFLAGS", "--deny warnings"))
}

/// Before the tests, because those of whole clusters start the programs.
fn build(workspace: &Workspace) -> Result<(), Failure> {
    cargo(workspace, &["build", "--release", "--workspace", "--bins", "--examples"])
}

fn test(workspace: &Workspace) -> Result<(), Failure> {
    cargo(workspace, &["test", "--release", "--workspace"])
}

fn browser(workspace: &Workspace) -> Result<(), Failure> {
    cargo(workspace, &["build", "--release", "--workspace", "--bins"])?;
    page::browse(workspace)
}

fn paths(workspace: &Workspace) -> Result<(), Failure> {
    cargo(workspace, &["build", "--release", "--workspace", "--bin", "icefarm-load"])?;
    let committed = workspace.root.join("load/instructions.toml");
    succeed(Command::new(workspace.program("icefarm-load")).args(["paths", "--check"]).arg(committed))
}

fn sim(workspace: &Workspace) -> Result<(), Failure> {
    cargo(workspace, &["build", "--release", "--package", "sim"])?;
    succeed(Command::new(workspace.program("sim")).current_dir(&workspace.root).args(["--seeds", SEEDS]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&str]) -> Result<Vec<&'static str>, Failure> {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        choose(&names).map(|steps| steps.iter().map(|step| step.name).collect())
    }

    #[test]
    fn without_names_every_step_runs_and_setup_is_first() {
        let all = chosen(&[]).unwrap();
        assert_eq!((all.len(), all[0]), (STEPS.len(), "setup"));
    }

    #[test]
    fn named_steps_run_in_the_usual_order() {
        assert_eq!(chosen(&["test", "fmt"]).unwrap(), ["fmt", "test"]);
    }

    #[test]
    fn an_unknown_step_is_a_mistake_in_usage_that_lists_the_steps() {
        let failure = chosen(&["fmt", "lint"]).unwrap_err();
        assert_eq!(failure.status(), 2);
        assert!(failure.to_string().contains("'lint', only setup, fmt,"), "{failure}");
    }

    #[test]
    fn a_failed_step_says_how_to_run_it_again() {
        let failure = Failure::Step { name: "tidy", cause: Box::new(Failure::Untidy(2)) };
        assert_eq!(failure.status(), 1);
        assert!(failure.to_string().ends_with("cargo xtask test tidy"), "{failure}");
    }
}
