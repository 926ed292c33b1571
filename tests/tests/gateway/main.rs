//! The gateway of real nodes.
//!
//! | module | what it asks |
//! |---|---|
//! | `api` | HTTP, as game servers use it |
//! | `views` | what viewers see as it changes, wherever they are |
//! | `slow` | viewers who read nothing, or say too much |
//! | `play` | commands over a WebSocket |
//! | `nonsense` | what cannot be meant |

mod api;
mod nonsense;
mod play;
mod slow;
mod views;

use cluster_tests::http::{Reply, ask};
use cluster_tests::{Cluster, Options};
use paxos::NodeId;
use serde_json::{Value, json};
use std::time::Duration;

const SMALL: Options = Options { nodes: 3, shards: 8 };
const LONG: Duration = Duration::from_secs(30);
const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);
/// Claimable land, and a view of it that touches four chunks.
const VIEW: (u32, u32, u32, u32) = (30_930, 8_160, 70, 60);

fn field(nth: u32) -> (u32, u32) {
    (30_930 + nth, 8_190)
}

/// One node's API, as one player.
struct Api {
    addr: String,
    token: Option<String>,
}

impl Api {
    fn of(cluster: &Cluster, node: NodeId) -> Self {
        Self { addr: cluster.http(node), token: None }
    }

    /// As a new player.
    fn enter(cluster: &Cluster, node: NodeId, name: &str) -> Self {
        let api = Self::of(cluster, node);
        let entered = api.post("/v1/players", &json!({"name": name})).expect(201);
        assert_eq!((&entered["outcome"], &entered["player"]["name"]), (&json!("registered"), &json!(name)));
        Self { token: entered["token"].as_str().map(str::to_owned), ..api }
    }

    fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), &[], None)
    }

    fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask(&format!("POST {path}"), &[], Some(&body.to_string()))
    }

    /// A command on a field.
    fn give(&self, (x, y): (u32, u32), command: &str, body: &Value) -> Reply {
        self.post(&format!("/v1/fields/{x}/{y}/{command}"), body)
    }

    fn ask(&self, line: &str, headers: &[(&str, &str)], body: Option<&str>) -> Reply {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut all: Vec<(&str, &str)> = headers.to_vec();
        if let Some(bearer) = &bearer {
            all.push(("Authorization", bearer));
        }
        ask(&self.addr, line, &all, body).unwrap_or_else(|error| panic!("{error}"))
    }
}
