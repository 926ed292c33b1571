//! Files that are made from others, and kept in the repository so that nobody needs this tool to read or use them.

use crate::{Failure, workspace::Workspace};
use std::{fs, process::Stdio};

/// Where the messages' types for TypeScript are.
pub const MESSAGES: &str = "game-client/packages/sdk/src/messages.ts";

/// `generate`
pub fn run() -> Result<(), Failure> {
    let workspace = Workspace::find()?;
    let made = messages(&workspace)?;
    let path = workspace.root.join(MESSAGES);
    if fs::read(&path).is_ok_and(|known| known == made) {
        println!("{MESSAGES} is current");
        return Ok(());
    }
    fs::write(&path, made).map_err(|source| Failure::Write { path, source })?;
    println!("{MESSAGES} is written");
    Ok(())
}

/// Whether they are what they would be if made now.
pub fn are_current(workspace: &Workspace) -> Result<bool, Failure> {
    let path = workspace.root.join(MESSAGES);
    let known = fs::read(&path).map_err(|source| Failure::Read { path, source })?;
    Ok(known == messages(workspace)?)
}

/// What the gateway's example prints.
fn messages(workspace: &Workspace) -> Result<Vec<u8>, Failure> {
    let arguments = ["run", "--quiet", "--release", "--package", "gateway", "--example", "typescript"];
    let mut run = workspace.cargo(&arguments);
    let shown = || format!("cargo {}", arguments.join(" "));
    let output = run
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Failure::Start { program: "cargo".to_owned(), source })?;
    if !output.status.success() {
        return Err(Failure::Ended { command: shown(), status: output.status });
    }
    Ok(output.stdout)
}
