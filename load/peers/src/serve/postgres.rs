//! PostgreSQL: one server, on a Unix socket.

use super::{Servers, program};
use crate::Failure;
use rustix::process::Signal;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

/// Where Debian puts it.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// It refuses to be run by root: then it runs as this user, whom its package brings.
const USER: &str = "postgres";

pub fn start(servers: &mut Servers) -> Result<(), Failure> {
    if !Path::new(PROGRAMS).is_dir() {
        return Err(format!("{PROGRAMS} is not there: `cargo xtask race` installs PostgreSQL").into());
    }
    let root = rustix::process::getuid().is_root();
    if root {
        // The package's own directory tells who its user is.
        let owner = std::fs::metadata("/var/lib/postgresql")?;
        chown(&servers.folder, Some(owner.uid()), Some(owner.gid()))?;
    }
    let run = |name: &str| -> Result<Command, Failure> {
        let path = format!("{PROGRAMS}/{name}");
        if !root {
            return Ok(Command::new(path));
        }
        let mut command = Command::new(program(&["setpriv"])?);
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--", &path]);
        Ok(command)
    };
    let data = servers.folder.join("data");
    let mut create = run("initdb")?;
    create.arg("--pgdata").arg(&data).args(["--auth", "trust", "--username", "race", "--encoding", "UTF8"]);
    let made = create.current_dir(&servers.folder).stdin(Stdio::null()).output()?;
    if !made.status.success() {
        return Err(format!("initdb: {}", String::from_utf8_lossy(&made.stderr)).into());
    }
    let mut command = run("postgres")?;
    let socket = servers.folder.display().to_string();
    command.arg("-D").arg(&data).current_dir(&servers.folder);
    for setting in [
        "listen_addresses=",
        &format!("unix_socket_directories={socket}"),
        "synchronous_commit=on",
        "shared_buffers=1GB",
        "max_wal_size=8GB",
        "max_connections=200",
    ] {
        command.args(["-c", setting]);
    }
    servers.spawn(&mut command)?;
    // Without waiting for clients to leave.
    servers.stop = Signal::INT;
    servers.address = format!("host={socket} user=race dbname=postgres");
    Ok(())
}
