//! The web page (`game-client`): its packages, its checks, and the build that the gateway takes in.

use crate::{
    Failure, setup,
    workspace::{Workspace, succeed},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where a build goes first: only what differs from the last one is copied to `dist`, so that the gateway is not compiled
/// again for nothing.
const FRESH: &str = "node_modules/.built";

/// Lints, types and unit tests; then the build.
pub fn check(workspace: &Workspace) -> Result<(), Failure> {
    build(workspace)?;
    npm(workspace, &["run", "check"])?;
    npm(workspace, &["test"])
}

/// In a browser, against clusters of this build.
pub fn browse(workspace: &Workspace) -> Result<(), Failure> {
    install(workspace)?;
    succeed(command(workspace, &["run", "e2e"]).env("ICEFARM", workspace.program("icefarm")))
}

/// Builds the page, for the gateway to take in.
pub fn build(workspace: &Workspace) -> Result<(), Failure> {
    install(workspace)?;
    npm(workspace, &["run", "--silent", "build", "--", "--outDir", FRESH, "--emptyOutDir", "--logLevel", "warn"])?;
    let folder = folder(workspace);
    mirror(&folder.join(FRESH), &folder.join("dist"))
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.root.join("game-client")
}

fn command(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(folder(workspace)).args(arguments);
    npm
}

fn npm(workspace: &Workspace, arguments: &[&str]) -> Result<(), Failure> {
    succeed(&mut command(workspace, arguments))
}

/// The packages of the lock file, if they are not there yet.
fn install(workspace: &Workspace) -> Result<(), Failure> {
    setup::page_programs()?;
    let folder = folder(workspace);
    let (lock, stamp) = (folder.join("package-lock.json"), folder.join("node_modules/.installed"));
    let wanted = fs::read(&lock).map_err(|source| Failure::Read { path: lock, source })?;
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    npm(workspace, &["ci", "--no-audit", "--no-fund"])?;
    fs::write(&stamp, wanted).map_err(|source| Failure::Write { path: stamp, source })
}

/// Makes `to` hold exactly the files of `from`, and touches none that is the same already.
fn mirror(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to).map_err(|source| Failure::Write { path: to.to_owned(), source })?;
    let wanted = names(from)?;
    for (name, is_folder) in names(to)? {
        if !wanted.contains(&(name.clone(), is_folder)) {
            let path = to.join(name);
            let gone = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            gone.map_err(|source| Failure::Write { path, source })?;
        }
    }
    for (name, is_folder) in wanted {
        let (source, target) = (from.join(&name), to.join(&name));
        if is_folder {
            mirror(&source, &target)?;
            continue;
        }
        let bytes = fs::read(&source).map_err(|error| Failure::Read { path: source, source: error })?;
        if fs::read(&target).is_ok_and(|known| known == bytes) {
            continue;
        }
        fs::write(&target, bytes).map_err(|source| Failure::Write { path: target, source })?;
    }
    Ok(())
}

/// What is in a folder, and which of it are folders.
fn names(folder: &Path) -> Result<Vec<(std::ffi::OsString, bool)>, Failure> {
    let unreadable = |source| Failure::Read { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        names.push((entry.file_name(), entry.file_type().map_err(unreadable)?.is_dir()));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_copies_what_differs_drops_what_is_gone_and_touches_nothing_else() {
        let folder = std::env::temp_dir().join(format!("icefarm-mirror-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let (from, to) = (folder.join("from"), folder.join("to"));
        for name in ["from/assets", "to/assets", "to/old"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        for (name, text) in [
            ("from/same", "same"),
            ("to/same", "same"),
            ("from/assets/new", "new"),
            ("to/assets/gone", "gone"),
            ("to/old/file", "gone too"),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
        let touched = || fs::metadata(to.join("same")).unwrap().modified().unwrap();
        let before = touched();
        mirror(&from, &to).unwrap();
        assert_eq!(fs::read(to.join("assets/new")).unwrap(), b"new");
        assert!(!to.join("assets/gone").exists() && !to.join("old").exists());
        assert_eq!(touched(), before);
        fs::remove_dir_all(&folder).unwrap();
    }
}
