//! etcd: three members.

use super::{Servers, ports, program};
use crate::Failure;
use std::process::Command;

pub fn start(servers: &mut Servers) -> Result<(), Failure> {
    let etcd = program(&["etcd"])?;
    let [a, b, c, d, e, f] = ports()?;
    let members = [(1, a, b), (2, c, d), (3, e, f)];
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let cluster: Vec<String> = members.iter().map(|(nth, _, peers)| format!("m{nth}={}", url(*peers))).collect();
    for (nth, clients, peers) in members {
        let mut command = Command::new(&etcd);
        command.arg("--name").arg(format!("m{nth}"));
        command.arg("--data-dir").arg(servers.folder.join(format!("m{nth}")));
        command.args(["--listen-client-urls", &url(clients), "--advertise-client-urls", &url(clients)]);
        command.args(["--listen-peer-urls", &url(peers), "--initial-advertise-peer-urls", &url(peers)]);
        command.args(["--initial-cluster", &cluster.join(","), "--initial-cluster-state", "new"]);
        command.args(["--backend-batch-interval", "5ms", "--backend-batch-limit", "100"]);
        command.args(["--quota-backend-bytes", &(8_u64 << 30).to_string(), "--log-level", "error"]);
        servers.spawn(&mut command)?;
    }
    servers.address = members.map(|(_, clients, _)| url(clients)).join(",");
    Ok(())
}
