//! A node's face to players and scripts: HTTP, a WebSocket, and the web page.
//!
//! The gateway is a client of the cluster like any other ([`link`](mod@link)): it asks for its callers and does not know who
//! leads what. Of its own node it knows three things, through small traits and a [`Tap`]: whether it is ready ([`Readiness`]),
//! its figures ([`Figures`]), and what its replicas apply of the land that somebody watches here. It runs on a thread of its
//! own, so that however many look, the node decides as fast as ever.
//!
//! | path | answer |
//! |---|---|
//! | `/`, `/console` | the web page, and the operators' |
//! | `/v1/...` | the API; `/openapi.json` describes it |
//! | `/v1/ws` | the WebSocket: commands, and land as it changes; `docs/protocol.md` describes it |
//! | `/healthz` | 200 as long as the process lives |
//! | `/readyz` | 200 when the node serves claims; 503 and what is missing while it does not |
//! | `/metrics` | the node's figures in Prometheus' text format; `?per=shard` adds a line for each shard and figure |
//!
//! Whatever goes wrong is told as problem details (RFC 9457) with a stable `type`: see [`problem`].
//!
//! Every resource that a stranger could use up has a bound: connections and sockets at a time, requests of an address,
//! commands of a player, header bytes and fields, the time to send a header, the time to answer, the size of a body or a
//! message, what is watched, and what waits for who reads slowly. See [`Times`], [`Settings`] and the modules' constants.
//!
//! | module | what it holds |
//! |---|---|
//! | [`running`] | the thread, and how it begins and ends |
//! | [`serve`](mod@serve) | connections in, bounds on everything, an orderly end |
//! | `api` | the HTTP API |
//! | [`socket`] | the WebSocket |
//! | [`live`] | land as it changes, for all who watch it |
//! | `pages` | the web page |
//! | `access`, `limits` | who asks, and how often |
//! | `commands` | from words to commands |
//! | `health`, `metrics`, [`meters`] | how the node and the gateway are doing |

mod access;
mod api;
mod app;
mod commands;
mod health;
mod limits;
pub mod link;
pub mod listen;
pub mod live;
pub mod meters;
mod metrics;
mod pages;
pub mod problem;
pub mod running;
pub mod serve;
pub mod socket;

pub use access::{GATEWAY_TOKEN, PLAYERS_KEY};
pub use api::document;
pub use health::{Missing, Readiness};
pub use listen::{BindError, bind};
pub use live::{Sight, Tap, TapEnd, tap};
pub use meters::Meters;
pub use metrics::{Figures, Rendering};
pub use problem::Problem;
pub use running::{Running, Settings, StartError, start};
pub use serve::Times;
