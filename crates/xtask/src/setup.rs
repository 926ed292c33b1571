//! What must be on the machine before anything is built. Looks first: where nothing is missing, no network is touched.

use crate::{Failure, workspace::succeed};
use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

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

/// What builds the web page.
const FOR_THE_PAGE: [Needed; 2] = [
    Needed { program: "node", why: "it builds and checks the web page", packages: &["nodejs"] },
    Needed { program: "npm", why: "it brings what the web page is built with", packages: &["npm"] },
];
/// Its version, at least: the page's build tool says so.
const NODE: (u32, u32) = (20, 19);

/// What the web page is tried in.
const FOR_BROWSING: [Needed; 1] =
    [Needed { program: "chromium", why: "the web page is tested in it", packages: &["chromium"] }];

/// What the tool that asks the API is written in.
const FOR_ASKING: [Needed; 1] =
    [Needed { program: "python3", why: "the API is checked with a tool written in it", packages: PYTHON }];
/// With what makes environments of their own for its programs.
const PYTHON: &[&str] = &["python3", "python3-venv"];

/// What tests call that only root can use; whoever else runs them does without these tests.
const FOR_ROOT: [Needed; 1] =
    [Needed { program: "ip", why: "tests make networks of their own with it", packages: &["iproute2"] }];

/// What CI counts with.
const FOR_COUNTING: [Needed; 1] =
    [Needed { program: "valgrind", why: "CI counts instructions with it", packages: &["valgrind"] }];

/// Those beside whom `race` measures, and what their clients are built with.
const FOR_THE_RACE: [Needed; 7] = [
    Needed { program: "etcd", why: "a peer of the race", packages: &["etcd-server"] },
    Needed { program: "java", why: "ZooKeeper runs in it", packages: &["default-jre-headless"] },
    Needed { program: "/usr/share/java/zookeeper.jar", why: "a peer of the race", packages: &["zookeeper"] },
    Needed { program: "redis-server", why: "a peer of the race", packages: &["redis-server"] },
    Needed { program: "/usr/lib/postgresql/15/bin/postgres", why: "a peer of the race", packages: &["postgresql-15"] },
    Needed { program: "protoc", why: "etcd's client is built with it", packages: &["protobuf-compiler"] },
    Needed {
        program: "/usr/include/google/protobuf/descriptor.proto",
        why: "etcd's client is built with it",
        packages: &["libprotobuf-dev"],
    },
];

/// What `race profile` looks at processes with.
const FOR_PROFILING: [Needed; 1] =
    [Needed { program: "perf", why: "stacks and system calls are seen with it", packages: &["linux-perf"] }];

/// Parts of the Rust toolchain that only checking needs.
const COMPONENTS: [(&str, &str); 2] = [("cargo-fmt", "rustfmt"), ("cargo-clippy", "clippy")];

/// Sees to the programs that building needs; installs what is missing if it may.
pub fn programs() -> Result<(), Failure> {
    install(&NEEDED)
}

/// The same for what only tests need.
pub fn test_programs() -> Result<(), Failure> {
    install(&FOR_COUNTING)?;
    install(&FOR_BROWSING)?;
    if is_root() { install(&FOR_ROOT) } else { Ok(()) }
}

/// The same for what the web page is built with.
pub fn page_programs() -> Result<(), Failure> {
    install(&FOR_THE_PAGE)?;
    let output = Command::new("node").arg("--version").output();
    let output = output.map_err(|source| Failure::Start { program: "node".to_owned(), source })?;
    let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if version(&found).is_some_and(|found| found >= NODE) {
        return Ok(());
    }
    let (major, minor) = NODE;
    Err(Failure::Missing(format!(
        "node is {found}, and the web page is built with {major}.{minor} or newer: put that first on PATH, then run this again"
    )))
}

/// The same for the tool that asks the API.
pub fn python() -> Result<(), Failure> {
    install(&FOR_ASKING)?;
    let mut whole = Command::new("python3");
    let whole = whole.args(["-c", "import venv, ensurepip"]).stderr(Stdio::null()).status();
    if whole.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    bring(PYTHON, "python3's venv (the API is checked with a tool that it keeps apart)")
}

/// `v20.19.2`: 20 and 19.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix('v')?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The same for what only the race needs.
pub fn race_programs() -> Result<(), Failure> {
    install(&NEEDED)?;
    install(&FOR_THE_RACE)
}

/// The same for what `race profile` needs. (It is built with the race, so what that is built with is needed too.)
pub fn profile_programs() -> Result<(), Failure> {
    race_programs()?;
    install(&FOR_PROFILING)
}

fn install(needed: &[Needed]) -> Result<(), Failure> {
    let missing: Vec<_> = needed.iter().filter(|needed| !is_here(needed.program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().flat_map(|needed| needed.packages).copied().collect();
    let list: Vec<_> = missing.iter().map(|needed| format!("{} ({})", needed.program, needed.why)).collect();
    bring(&packages, &list.join(", "))
}

/// Installs these packages, for the sake of what is missing.
fn bring(packages: &[&str], missing: &str) -> Result<(), Failure> {
    if !on_path("apt-get") || !is_root() {
        let packages = packages.join(" ");
        return Err(Failure::Missing(format!(
            "missing: {missing}. On Debian, as root: apt-get install {packages}; then run this again"
        )));
    }
    eprintln!("xtask: installing {}", packages.join(" "));
    // (At this run level packages of servers do not start them.)
    let environment = [("DEBIAN_FRONTEND", "noninteractive"), ("RUNLEVEL", "1")];
    let apt = |arguments: &[&str]| succeed(Command::new("apt-get").envs(environment).args(arguments));
    apt(&["update", "--quiet"])?;
    apt(&[&["install", "--yes", "--quiet", "--no-install-recommends"][..], packages].concat())
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

/// A program by its name, or any file by its path.
fn is_here(program: &str) -> bool {
    if program.starts_with('/') { Path::new(program).exists() } else { on_path(program) }
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
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("v20.19.2"), Some((20, 19)));
        assert!(version("v9.100.0") < Some(NODE) && version("v100.0.0") > Some(NODE));
        assert_eq!(version("no version"), None);
    }

    #[test]
    fn a_program_is_on_the_path_only_if_it_can_be_run() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program-anywhere"));
        assert!(!is_program(Path::new("/etc/passwd")), "a file that is no program");
        assert!(!is_program(Path::new("/")), "a folder");
        assert!(is_here("sh") && is_here("/etc/passwd") && !is_here("/etc/no-such-file"));
    }
}
