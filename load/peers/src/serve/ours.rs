//! Ours: `icefarm up`, nothing set.

use super::Servers;
use crate::Failure;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn start(servers: &mut Servers, icefarm: &Path) -> Result<(), Failure> {
    let data = servers.folder.join("data");
    servers.spawn(Command::new(icefarm).args(["up", "--http", "127.0.0.1:0", "--data"]).arg(&data))?;
    let until = Instant::now() + PATIENCE;
    while !fs::read_to_string(super::log(&servers.folder, 0))?.lines().any(|line| line == "ready") {
        servers.check()?;
        if Instant::now() > until {
            return Err("`icefarm up` is not ready".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    servers.address = data.join("client.toml").display().to_string();
    Ok(())
}
