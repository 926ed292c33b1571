//! A network of real links, each of which can be cut: every node in a network namespace of its own, joined by a bridge that
//! the tests are on too. So a node can be cut off from the others and still be asked.

use paxos::NodeId;
use std::process::{Command, Output};

/// Where nodes listen for peers and clients.
const QUIC: u16 = 4_400;
/// Where they listen for HTTP.
const HTTP: u16 = 8_080;

/// It is gone when dropped, also after a failed test.
#[derive(Debug)]
pub struct Network {
    /// In front of every name, so that two processes do not meet.
    name: String,
    /// The first three parts of every address.
    prefix: String,
    nodes: u32,
}

impl Network {
    /// For so many nodes, all in touch. `None`, and a word about it: whoever runs the tests may not make any.
    ///
    /// # Panics
    /// If it cannot be made for another reason.
    pub fn build(nodes: u32) -> Option<Self> {
        let pid = std::process::id();
        let network = Self { name: format!("icf{pid}"), prefix: format!("10.213.{}", pid % 256), nodes };
        let Self { name, prefix, .. } = &network;
        match ip(&format!("link add {name}b type bridge")) {
            Ok(output) if output.status.success() => {}
            Ok(output) if !String::from_utf8_lossy(&output.stderr).contains("not permitted") => {
                panic!("no bridge: {}", String::from_utf8_lossy(&output.stderr))
            }
            // Root without the program has forgotten something.
            Err(error) if rustix::process::geteuid().is_root() => panic!("the program `ip` (iproute2): {error}"),
            _ => {
                println!("SKIPPED: networks can only be made by root, with the program `ip`");
                // Nothing was made.
                std::mem::forget(network);
                return None;
            }
        }
        done(&format!("addr add {prefix}.254/24 dev {name}b"));
        done(&format!("link set {name}b up"));
        for node in network.nodes() {
            let (space, outer) = (network.space(node), network.link(node));
            done(&format!("netns add {space}"));
            done(&format!("link add {outer} type veth peer name eth0 netns {space}"));
            done(&format!("link set {outer} master {name}b up"));
            done(&format!("-n {space} addr add {}/24 dev eth0", network.address(node)));
            done(&format!("-n {space} link set eth0 up"));
            done(&format!("-n {space} link set lo up"));
        }
        Some(network)
    }

    /// As `icefarm cluster init --node` takes it, n1 first.
    pub fn sites(&self) -> Vec<String> {
        self.nodes().map(|node| format!("{}:{QUIC},{HTTP}", self.address(node))).collect()
    }

    /// `program`, to be started where `node` is.
    pub fn command(&self, node: NodeId, program: &std::path::Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(node)]).arg(program);
        command
    }

    /// Cuts a node's link: nobody hears it, nor it anybody, the tests included.
    pub fn unplug(&self, node: NodeId) {
        done(&format!("link set {} down", self.link(node)));
    }

    /// The link works again.
    pub fn plug_in(&self, node: NodeId) {
        done(&format!("link set {} up", self.link(node)));
    }

    /// What `from` sends to `to` is lost; what comes the other way is not.
    pub fn cut_one_way(&self, from: NodeId, to: NodeId) {
        done(&format!("-n {} route add blackhole {}/32", self.space(from), self.address(to)));
    }

    /// Two nodes lose touch with each other, and with nobody else.
    pub fn cut(&self, one: NodeId, other: NodeId) {
        self.cut_one_way(one, other);
        self.cut_one_way(other, one);
    }

    /// Whatever was cut between nodes works again.
    pub fn heal(&self) {
        for node in self.nodes() {
            // It says so when there was nothing to flush.
            let _ = ip(&format!("-n {} route flush type blackhole", self.space(node)));
        }
    }

    fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1..=self.nodes).map(NodeId)
    }

    fn space(&self, node: NodeId) -> String {
        format!("{}n{}", self.name, node.0)
    }

    fn link(&self, node: NodeId) -> String {
        format!("{}v{}", self.name, node.0)
    }

    fn address(&self, node: NodeId) -> String {
        format!("{}.{}", self.prefix, node.0)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for node in self.nodes() {
            // The link goes with the namespace; each may be missing after a failure while it was made.
            let _ = ip(&format!("netns del {}", self.space(node)));
            let _ = ip(&format!("link del {}", self.link(node)));
        }
        let _ = ip(&format!("link del {}b", self.name));
    }
}

fn ip(words: &str) -> std::io::Result<Output> {
    Command::new("ip").args(words.split(' ')).output()
}

fn done(words: &str) {
    let output = ip(words).unwrap_or_else(|error| panic!("ip {words}: {error}"));
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}
