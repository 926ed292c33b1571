//! Where the workspace is, and running programs in it.

use crate::Failure;
use serde_json::Value;
use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The workspace this tool belongs to.
#[derive(Debug)]
pub struct Workspace {
    /// Where the root manifest is.
    pub root: PathBuf,
    /// Where cargo puts what it builds.
    pub target: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub fn find() -> Result<Self, Failure> {
        let metadata = metadata(&["--no-deps"])?;
        let path = |key: &str| {
            let text = metadata[key].as_str().ok_or_else(|| Failure::Cargo(format!("no '{key}'")))?;
            Ok(PathBuf::from(text))
        };
        Ok(Self { root: path("workspace_root")?, target: path("target_directory")? })
    }

    /// A program that we build.
    pub fn program(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    /// `cargo ARGUMENTS` at the workspace's root.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root).args(arguments);
        command
    }
}

/// What `cargo metadata` says of this workspace, wherever in it we were called.
pub fn metadata(arguments: &[&str]) -> Result<Value, Failure> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(|folder| Path::new(&folder).join("Cargo.toml"));
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1"]).args(arguments);
    if let Some(manifest) = manifest {
        command.arg("--manifest-path").arg(manifest);
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Failure::Start { program: "cargo".to_owned(), source })?;
    if !output.status.success() {
        return Err(Failure::Ended { command: "cargo metadata".to_owned(), status: output.status });
    }
    serde_json::from_slice(&output.stdout).map_err(|error| Failure::Cargo(error.to_string()))
}

/// The very cargo that runs us, so that a `+toolchain` holds for everything.
fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What it told us of our own package would make it compile those again whose builds look at it (`ring`), and once more when
    // it is next called by hand.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs to the end; anything but success is a failure.
pub fn succeed(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|source| Failure::Start { program: shown(command), source })?;
    if status.success() { Ok(()) } else { Err(Failure::Ended { command: shown(command), status }) }
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
