//! Redis: one server, which syncs what it acknowledges.

use super::{Servers, ports, program};
use crate::Failure;
use std::process::Command;

pub fn start(servers: &mut Servers) -> Result<(), Failure> {
    let redis = program(&["redis-server"])?;
    let [port] = ports()?;
    let mut command = Command::new(redis);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]).arg("--dir").arg(&servers.folder);
    command.args(["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--loglevel", "warning"]);
    servers.spawn(&mut command)?;
    servers.address = format!("redis://127.0.0.1:{port}/?protocol=resp3");
    Ok(())
}
