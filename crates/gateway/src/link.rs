//! The gateway's own way into the cluster: an SDK client, which is there once the cluster is.

use crate::access;
use client::{Client, NodeEntry, Options, Profile};
use paxos::NodeId;
use placement::ClusterId;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;
use transport::TokenKeyError;

/// Between two tries to find the cluster.
const PAUSE: Duration = Duration::from_millis(100);

/// What it needs to connect.
#[derive(Clone, Debug)]
pub struct Address {
    /// Which cluster.
    pub cluster: ClusterId,
    /// Which node this is: what any replica may answer is asked of that one.
    pub node: NodeId,
    /// All its nodes.
    pub nodes: Vec<NodeEntry>,
    /// The node's keys.
    pub keys: PathBuf,
}

/// Clones share the client.
#[derive(Clone, Debug)]
pub struct Link(watch::Receiver<Option<Client>>);

impl Link {
    /// Connects in the background, for as long as it takes.
    pub fn begin(address: Address) -> Result<Self, TokenKeyError> {
        let token = access::own_token(&address.keys)?;
        let Address { cluster, node, nodes, keys } = address;
        let profile = Profile { cluster, ca: keys.join("ca.crt"), token, nodes, player: None };
        let requests = client::RequestOptions { home: Some(node), ..client::RequestOptions::default() };
        let options = Options { requests, ..Options::default() };
        let (found, link) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                match Client::connect(profile.clone(), options.clone()).await {
                    Ok(client) => {
                        found.send_replace(Some(client));
                        // For as long as somebody may ask.
                        found.closed().await;
                        return;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "the gateway has not found its cluster yet");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                if found.is_closed() {
                    return;
                }
            }
        });
        Ok(Self(link))
    }

    /// A way to nowhere: whatever is asked has no answer.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self(watch::channel(None).1)
    }

    /// The client, once it is there; `None`: it never will be.
    pub async fn client(&self) -> Option<Client> {
        let mut link = self.0.clone();
        link.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// The client, if it is there.
    pub fn now(&self) -> Option<Client> {
        self.0.borrow().clone()
    }
}
