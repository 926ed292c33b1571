//! The HTTP API against its OpenAPI document, with a tool that knows how to ask: <https://schemathesis.io>.

use crate::{
    Failure, setup,
    workspace::{Workspace, succeed},
};
use std::{fs, path::PathBuf, process::Command};

/// The tool and all that it needs, each in one version.
const REQUIREMENTS: &str = "tests/examples/requirements.txt";

/// Asks a cluster of this build.
pub fn check(workspace: &Workspace) -> Result<(), Failure> {
    let tool = install(workspace)?;
    succeed(&mut workspace.cargo(&["build", "--release", "--workspace", "--bins"]))?;
    succeed(&mut workspace.cargo(&["build", "--release", "--workspace", "--examples"]))?;
    succeed(Command::new(workspace.program("examples/document")).arg(tool))
}

/// Sees to the tool, in an environment of its own; returns where it is.
fn install(workspace: &Workspace) -> Result<PathBuf, Failure> {
    setup::python()?;
    let requirements = workspace.root.join(REQUIREMENTS);
    let wanted = fs::read(&requirements).map_err(|source| Failure::Read { path: requirements.clone(), source })?;
    let folder = workspace.target.join("schemathesis");
    let (tool, stamp) = (folder.join("bin/schemathesis"), folder.join(".installed"));
    if tool.exists() && fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(tool);
    }
    succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--requirement"];
    succeed(Command::new(folder.join("bin/python")).args(pip).arg(requirements))?;
    fs::write(&stamp, wanted).map_err(|source| Failure::Write { path: stamp, source })?;
    Ok(tool)
}
