//! What nodes say of themselves at `/metrics`, and which processes they are.

use crate::Failure;
use client::{Client, NodeState};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use paxos::NodeId;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A node that has not said anything by then says nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// No page of metrics is longer.
const LONGEST: usize = 16 << 20;

/// What a node counts and measures, since it was started.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// When it was asked.
    pub at: Instant,
    /// CPU seconds.
    pub cpu_s: f64,
    /// Bytes in RAM.
    pub memory: f64,
    /// Syncs of its log.
    pub syncs: f64,
    /// Shards it leads.
    pub leads: f64,
    /// Requests it refused.
    pub refusals: f64,
}

/// Where a node is, and what is known of it from the start.
#[derive(Clone, Debug)]
pub struct Server {
    /// Which.
    pub node: NodeId,
    /// `host:port` of its HTTP endpoint.
    pub http: String,
    /// Its process, on its machine.
    pub pid: u32,
    /// Its data directory, on its machine.
    pub data: String,
    /// Its program's version.
    pub version: String,
}

/// All nodes; every one of them must answer.
pub async fn servers(client: &Client) -> Result<Vec<Server>, Failure> {
    let nodes = client.nodes().await?.into_iter().map(|node| match node.state {
        NodeState::Up(report) => {
            let report = *report;
            Ok(Server {
                node: report.node,
                http: report.http,
                pid: report.pid,
                data: report.data,
                version: report.version,
            })
        }
        NodeState::Down(why) => Err(crate::NoAnswer(format!("{} is down: {why}", node.entry.id)).into()),
    });
    nodes.collect()
}

/// What servers used, all together, in a time.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// CPU seconds.
    pub cpu_s: f64,
    /// Syncs of their logs.
    pub syncs: f64,
}

impl Spent {
    /// What one of so many generators has caused that share a run: each plays as many players.
    pub fn shared_by(self, generators: u32) -> Self {
        let share = |all: f64| all / f64::from(generators);
        Self { cpu_s: share(self.cpu_s), syncs: share(self.syncs) }
    }
}

/// From one look to another; `None` if a node said nothing at either. (One that was started anew counts from there.)
pub fn spent(before: &[Option<Figures>], after: &[Option<Figures>]) -> Option<Spent> {
    let mut spent = Spent { cpu_s: 0.0, syncs: 0.0 };
    for (before, after) in before.iter().zip(after) {
        let (before, after) = ((*before)?, (*after)?);
        let since =
            |of: fn(&Figures) -> f64| if of(&after) < of(&before) { of(&after) } else { of(&after) - of(&before) };
        spent.cpu_s += since(|figures| figures.cpu_s);
        spent.syncs += since(|figures| figures.syncs);
    }
    Some(spent)
}

/// What a node says; `None` if it says nothing.
pub async fn figures(http: &str) -> Option<Figures> {
    let page = timeout(PATIENCE, page(http)).await.ok()?.ok()?;
    Some(read(&page))
}

/// Of all of them, in the order of `servers`; one that is silent keeps nobody waiting but in the end.
pub async fn all(servers: &[Server]) -> Vec<Option<Figures>> {
    let mut asked = JoinSet::new();
    for (nth, server) in servers.iter().enumerate() {
        let http = server.http.clone();
        asked.spawn(async move { (nth, figures(&http).await) });
    }
    let mut all = vec![None; servers.len()];
    while let Some(heard) = asked.join_next().await {
        if let Ok((nth, figures)) = heard {
            all[nth] = figures;
        }
    }
    all
}

/// What a node counts, as it prints it.
pub async fn page(http: &str) -> Result<String, Failure> {
    let stream = TcpStream::connect(http).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends when the answer has been read.
    let connection = tokio::spawn(connection);
    let request = Request::get("/metrics").header(header::HOST, http).body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let body = Limited::new(answer.into_body(), LONGEST).collect().await;
    connection.abort();
    let body = body.map_err(|error| format!("/metrics of {http}: {error}"))?.to_bytes();
    Ok(String::from_utf8(body.to_vec())?)
}

/// Sums what carries labels.
fn read(page: &str) -> Figures {
    let mut figures = Figures { at: Instant::now(), cpu_s: 0.0, memory: 0.0, syncs: 0.0, leads: 0.0, refusals: 0.0 };
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let name = name.split_once('{').map_or(name, |(name, _)| name);
        let figure = match name {
            "process_cpu_seconds_total" => &mut figures.cpu_s,
            "process_resident_memory_bytes" => &mut figures.memory,
            "icefarm_log_syncs_total" => &mut figures.syncs,
            "icefarm_shards_led" => &mut figures.leads,
            "icefarm_refusals_total" => &mut figures.refusals,
            _ => continue,
        };
        *figure += value.parse().unwrap_or(0.0);
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_name_and_summed_over_labels() {
        let page = "# HELP icefarm_log_syncs_total Syncs of the log\n# TYPE icefarm_log_syncs_total counter\n\
            icefarm_log_syncs_total 12\nicefarm_refusals_total{reason=\"moved\"} 3\n\
            icefarm_refusals_total{reason=\"overloaded\"} 4\nprocess_cpu_seconds_total 1.25\nother{a=\"b c\"} 9\n";
        let figures = read(page);
        assert_eq!((figures.syncs, figures.refusals, figures.cpu_s, figures.leads), (12.0, 7.0, 1.25, 0.0));
    }

    #[test]
    fn generators_that_share_a_run_share_what_the_servers_used() {
        let at = |cpu_s, syncs| vec![Some(Figures { cpu_s, syncs, ..read("") }); 3];
        let spent = spent(&at(1.0, 10.0), &at(3.0, 50.0)).expect("all have said").shared_by(2);
        assert_eq!((spent.cpu_s, spent.syncs), (3.0, 60.0));
    }
}
