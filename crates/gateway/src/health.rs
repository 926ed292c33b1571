//! Is the process alive, and does it serve?

use crate::Problem;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use std::sync::Arc;

/// What the gateway asks its node.
pub trait Readiness: Send + Sync + 'static {
    /// What stands between this node and serving claims; nothing when it is ready. Asked on every `/readyz`, on the
    /// runtime's own threads: it must not block.
    fn missing(&self) -> Vec<Missing>;
}

/// One thing that stands between a node and serving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What kind of thing, for scripts: `leader`, `disk`, `recovery`, `founding`, `incarnation`. Stable.
    pub what: &'static str,
    /// Which one and why, for people.
    pub detail: String,
}

pub(crate) fn routes(readiness: Arc<dyn Readiness>) -> Router {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(readiness)
}

/// Both change by the second.
const NO_STORE: (header::HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

async fn healthz() -> impl IntoResponse {
    ([NO_STORE], "ok\n")
}

async fn readyz(State(readiness): State<Arc<dyn Readiness>>) -> Response {
    let missing = readiness.missing();
    if missing.is_empty() {
        return ([NO_STORE], "ready\n").into_response();
    }
    let list: Vec<_> = missing.iter().map(|m| json!({ "what": m.what, "detail": m.detail })).collect();
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "This node does not serve claims yet")
        .with("missing", list.into());
    ([NO_STORE], problem).into_response()
}
