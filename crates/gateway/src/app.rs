//! What all requests share.

use crate::access::Access;
use crate::api::Peer;
use crate::limits::Limits;
use crate::link::Link;
use crate::live::Hub;
use crate::meters::Meters;
use crate::problem::Problem;
use crate::socket::messages::OtherNode;
use client::{Client, Shards};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Semaphore, watch};

/// The cluster's state is asked for no more often than this, however many look at it.
const REPORT_EVERY: Duration = Duration::from_millis(500);

/// Handlers hold it behind an [`Arc`].
#[derive(Debug)]
pub struct App {
    /// Which cluster this is.
    pub cluster: String,
    /// Which node this is.
    pub node: String,
    /// Where it is.
    pub region: String,
    /// Other gateways that pages are told of.
    pub others: Vec<OtherNode>,
    /// Origins whose pages may open WebSockets; none: all.
    pub origins: Option<Vec<String>>,
    pub access: Access,
    pub limits: Limits,
    pub link: Link,
    pub hub: Hub,
    pub meters: Meters,
    /// One place for each WebSocket.
    pub sockets: Arc<Semaphore>,
    /// Whether the node is about to end.
    pub stopping: watch::Receiver<bool>,
    pub(crate) viewers: AtomicU64,
    pub(crate) report: Mutex<Option<(Instant, Arc<json::Cluster>)>>,
}

impl App {
    /// The way into the cluster.
    pub fn client(&self) -> Result<Client, Problem> {
        if *self.stopping.borrow() {
            return Err(Problem::stopping().with("applied", "no".into()));
        }
        self.link.now().ok_or_else(Problem::starting)
    }

    /// What costs as much as so many requests, from there.
    pub fn charge(&self, from: Peer, cost: u32) -> Result<(), Problem> {
        self.limits.request(from.0, cost).inspect_err(|_| self.meters.limited.increment(1))
    }

    /// A number that no other viewer has.
    pub fn next_viewer(&self) -> u64 {
        self.viewers.fetch_add(1, Ordering::Relaxed)
    }

    /// Nodes and shards, as of a moment ago.
    pub async fn cluster(&self) -> Result<Arc<json::Cluster>, Problem> {
        let client = self.client()?;
        let mut report = self.report.lock().await;
        if let Some((at, known)) = report.as_ref()
            && at.elapsed() < REPORT_EVERY
        {
            return Ok(known.clone());
        }
        let (nodes, shards) = tokio::join!(client.nodes(), client.shards());
        let nodes = nodes.map_err(|error| Problem::of(&error))?;
        let shards: Shards = shards.map_err(|error| Problem::of(&error))?;
        let cluster = Arc::new(json::Cluster::new(&nodes, &shards));
        *report = Some((Instant::now(), cluster.clone()));
        Ok(cluster)
    }
}
