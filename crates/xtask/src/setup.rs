//! What must be on the machine before anything is built. Looks first: where nothing is missing, no network is touched.

use crate::{Failure, workspace::succeed};
use std::{env, path::Path, process::Command};

/// A program the build calls, and the Debian packages that bring it.
struct Needed {
    program: &'static str,
    why: &'static str,
    packages: &'static [&'static str],
}

const NEEDED: [Needed; 1] = [Needed {
    program: "cc",
    why: "it links every program, and compiles the cryptography in `ring`",
    packages: &["gcc", "libc6-dev"],
}];

/// What tests call that only root can use; whoever else runs them does without these tests.
const FOR_ROOT: [Needed; 1] =
    [Needed { program: "ip", why: "tests make networks of their own with it", packages: &["iproute2"] }];

/// Parts of the Rust toolchain that only checking needs.
const COMPONENTS: [(&str, &str); 2] = [("cargo-fmt", "rustfmt"), ("cargo-clippy", "clippy")];

/// Sees to the programs that building needs; installs what is missing if it may.
pub fn programs() -> Result<(), Failure> {
    install(&NEEDED)
}

/// The same for what only tests need.
pub fn test_programs() -> Result<(), Failure> {
    if is_root() { install(&FOR_ROOT) } else { Ok(()) }
}

fn install(needed: &[Needed]) -> Result<(), Failure> {
    let missing: Vec<_> = needed.iter().filter(|needed| !on_path(needed.program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().flat_map(|needed| needed.packages).copied().collect();
    if !on_path("apt-get") || !is_root() {
        let list: Vec<_> = missing.iter().map(|needed| format!("{} ({})", needed.program, needed.why)).collect();
        let packages = packages.join(" ");
        return Err(Failure::Missing(format!(
            "missing: {}. On Debian, as root: apt-get install {packages}; then run this again",
            list.join(", ")
        )));
    }
    eprintln!("xtask: installing {}", packages.join(" "));
    let apt =
        |arguments: &[&str]| succeed(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(arguments));
    apt(&["update", "--quiet"])?;
    apt(&[&["install", "--yes", "--quiet", "--no-install-recommends"][..], &packages[..]].concat())
}

/// Sees to the parts of the toolchain that checking needs.
pub fn components() -> Result<(), Failure> {
    for (program, component) in COMPONENTS {
        if on_path(program) {
            continue;
        }
        if !on_path("rustup") {
            return Err(Failure::Missing(format!("{program} is missing: install it beside cargo, as {component}")));
        }
        succeed(Command::new("rustup").args(["component", "add", component]))?;
    }
    Ok(())
}

fn on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| is_program(&folder.join(program))))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    // The owner of our own entry in /proc is whom we run as.
    Path::new("/proc/self").metadata().is_ok_and(|process| process.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_on_the_path_only_if_it_can_be_run() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program-anywhere"));
        assert!(!is_program(Path::new("/etc/passwd")), "a file that is no program");
        assert!(!is_program(Path::new("/")), "a folder");
    }
}
