//! The WebSocket: commands, and land as it changes. `docs/protocol.md` says what travels.
//!
//! | module | what it holds |
//! |---|---|
//! | [`messages`] | what travels, as types |
//! | `session` | one connection, from hello to bye |
//! | `view` | from a rectangle to the blocks in it; pure |

pub mod messages;
mod session;
#[cfg(test)]
mod vectors;
mod view;

use crate::app::App;
use crate::problem::Problem;
use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use messages::MAX_MESSAGE;
use std::sync::Arc;
pub use view::{MAX_BLOCKS, MAX_SIDE};

/// What is read at a time, and kept for each client: they say little. (The library's own choice is 128 KiB.)
const READ_BUFFER: usize = 4 << 10;
/// What the network has not taken is kept up to here; one message may be larger.
const WRITE_BUFFER: usize = 64 << 10;
/// The largest message to a client: what a mailbox holds, and one large frame.
const MAX_WRITE: usize = 8 << 20;

pub(crate) fn routes(app: Arc<App>) -> Router {
    Router::new().route("/v1/ws", get(open)).with_state(app)
}

async fn open(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade =
        upgrade.map_err(|error| Problem::bad_request(format!("this is a WebSocket: {}", error.body_text())))?;
    if !is_welcome(&app, &headers) {
        return Err(Problem::not_allowed("pages of this origin may not connect: see `allow_origins` in node.toml"));
    }
    if *app.stopping.borrow() {
        return Err(Problem::stopping());
    }
    let Ok(place) = app.sockets.clone().try_acquire_owned() else {
        return Err(Problem::full("this node has as many WebSockets as it may: go on with another"));
    };
    let upgrade = upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE);
    Ok(upgrade.on_upgrade(move |socket| session::run(socket, app, place)).into_response())
}

/// Whether pages of the origin that asks may connect. (Whoever is no page may say what it likes.)
fn is_welcome(app: &App, headers: &HeaderMap) -> bool {
    let (Some(allowed), Some(origin)) = (&app.origins, headers.get(header::ORIGIN)) else { return true };
    let own = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().unwrap_or_default();
    let is_own = own.is_some_and(|host| origin.split_once("://").is_some_and(|(_, of)| of == host));
    is_own || allowed.iter().any(|allowed| allowed == origin)
}
