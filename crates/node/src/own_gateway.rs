//! Starting the node's own gateway, and telling it what the land that it looks at does.

use crate::config::NodeConfig;
use crate::error::NodeError;
use gateway::Sight;
use host::{Host, Now};
use paxos::NodeId;

/// What it is told, from the node's configuration.
pub fn settings(config: &NodeConfig) -> gateway::Settings {
    let node = |(id, row): &(NodeId, crate::config::NodeRow)| client::NodeEntry {
        id: *id,
        quic: row.quic.to_string(),
        http: row.http.to_string(),
        region: row.region.clone(),
    };
    let public = &config.public;
    gateway::Settings {
        node: config.node,
        region: config.region.clone(),
        nodes: config.nodes().iter().map(node).collect(),
        tokens: config.tokens,
        keys: config.keys.clone(),
        tls: public.tls_certificate.clone().zip(public.tls_key.clone()),
        allow_origins: public.allow_origins.clone(),
        tell_nodes: public.tell_nodes,
        commands_per_s: public.commands_per_s,
        requests_per_s: public.requests_per_s,
        sockets: public.sockets,
        times: gateway::Times::default(),
    }
}

/// Does what the gateway wishes.
pub fn grant(host: &mut Host, now: Now, wish: Sight) {
    match wish {
        Sight::Look { block, done } => {
            host.look(block);
            // A gateway that waits no more hears of it all the same.
            let _ = done.send(());
        }
        Sight::Away(block) => host.look_away(block),
        Sight::Fresh(answer) => _ = answer.send(host.freshness(now)),
    }
}

/// A gateway, until its node runs.
pub struct Waiting {
    pub listener: std::net::TcpListener,
    pub settings: gateway::Settings,
    pub node: gateway::running::OwnNode,
}

impl Waiting {
    /// It serves from now on.
    pub fn start(self) -> Result<gateway::Running, NodeError> {
        Ok(gateway::start(self.listener, self.settings, self.node)?)
    }
}
