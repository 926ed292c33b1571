//! ZooKeeper: three servers, each a Java process.

use super::{Servers, ports, program};
use crate::Failure;
use std::fs;
use std::process::Command;

/// Where Debian puts it.
const CLASSES: &str = "/usr/share/java/zookeeper.jar";

pub fn start(servers: &mut Servers) -> Result<(), Failure> {
    let java = program(&["java"])?;
    if !fs::exists(CLASSES)? {
        return Err(format!("{CLASSES} is not there: `cargo xtask race` installs ZooKeeper").into());
    }
    let [a, b, c, d, e, f, g, h, i] = ports()?;
    let members = [(1, a, b, c), (2, d, e, f), (3, g, h, i)];
    let ensemble: String = (members.iter())
        .map(|(nth, _, peers, election)| format!("server.{nth}=127.0.0.1:{peers}:{election}\n"))
        .collect();
    for (nth, clients, _, _) in members {
        let data = servers.folder.join(format!("m{nth}"));
        fs::create_dir_all(&data)?;
        fs::write(data.join("myid"), format!("{nth}\n"))?;
        let config = servers.folder.join(format!("m{nth}.cfg"));
        let shown = data.display();
        let settings = format!(
            "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={shown}\nclientPort={clients}\n\
             clientPortAddress=127.0.0.1\nmaxClientCnxns=0\nadmin.enableServer=false\n{ensemble}"
        );
        fs::write(&config, settings)?;
        let mut command = Command::new(&java);
        command.args(["-Xms1g", "-Xmx1g", "-Dzookeeper.globalOutstandingLimit=100000"]);
        command.args(["-Dzookeeper.root.logger=ERROR,CONSOLE", "-cp", CLASSES]);
        command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain").arg(&config);
        servers.spawn(&mut command)?;
    }
    servers.address = members.map(|(_, clients, _, _)| format!("127.0.0.1:{clients}")).join(",");
    Ok(())
}
