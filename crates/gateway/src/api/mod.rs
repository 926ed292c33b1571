//! The HTTP API: what it is called, what it takes, what it answers. `/openapi.json` is made from these very functions.
//!
//! | module | what it holds |
//! |---|---|
//! | `players` | entering the world; wallets and land |
//! | `fields` | looking at a field, and the commands |
//! | `land` | looking at a rectangle |
//! | `world` | the rule book; nodes and shards |
//! | `extract` | paths, queries, headers and bodies, with problems that say what is wrong |
//! | `document` | the OpenAPI document |

mod document;
mod extract;
mod fields;
mod land;
mod players;
mod world;

use crate::Problem;
use crate::app::App;
use crate::problem::Details;
use ::world::RuleBook;
use axum::Json;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use client::Error;
use serde::Serialize;
use std::sync::Arc;
use utoipa::IntoResponses;

pub use document::document;
pub use extract::Peer;

/// All of it but the WebSocket.
pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/players", post(players::enter))
        .route("/v1/players/{name}", get(players::player))
        .route("/v1/players/{name}/land", get(players::land))
        .route("/v1/fields/{x}/{y}", get(fields::field))
        .route("/v1/fields/{x}/{y}/claim", post(fields::claim))
        .route("/v1/fields/{x}/{y}/plant", post(fields::plant))
        .route("/v1/fields/{x}/{y}/tend", post(fields::tend))
        .route("/v1/fields/{x}/{y}/harvest", post(fields::harvest))
        .route("/v1/fields/{x}/{y}/build", post(fields::build))
        .route("/v1/fields/{x}/{y}/offer", post(fields::offer))
        .route("/v1/fields/{x}/{y}/abandon", post(fields::abandon))
        .route("/v1/view", get(land::view))
        .route("/v1/rules", get(world::rules))
        .route("/v1/cluster", get(world::cluster))
        .route("/openapi.json", get(document::serve))
        .with_state(app)
}

/// How any request may be refused.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it speaks for the document alone")]
enum Usual {
    #[response(
        status = 429,
        description = "Too many requests; `retry_after_ms` says when to come back.",
        content_type = "application/problem+json"
    )]
    TooMany(Details),
    #[response(
        status = 503,
        description = "The cluster could not answer, or this node has not found it yet; `applied` says whether a command may have taken effect.",
        content_type = "application/problem+json"
    )]
    Unavailable(Details),
}

/// What changes with every command is kept by nobody.
fn fresh(status: StatusCode, object: &impl Serialize) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(object)).into_response()
}

/// A rejection by the rules is an answer, of another status; anything else is a problem.
fn refused(error: &Error, rules: &RuleBook) -> Response {
    match error {
        Error::Rejected(..) => fresh(StatusCode::CONFLICT, &json::Problem::of(error, rules)),
        _ => Problem::of(error).into_response(),
    }
}
