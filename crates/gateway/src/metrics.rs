//! The node's figures, for Prometheus.

use crate::Problem;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::{future::Future, pin::Pin, sync::Arc};

/// The text that is under way; `None`: the node is stopping or too busy to look at itself.
pub type Rendering = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// What the gateway asks its node.
pub trait Figures: Send + Sync + 'static {
    /// Everything the node counts and measures, in Prometheus' text format; with a line for each shard if `per_shard`.
    fn render(&self, per_shard: bool) -> Rendering;
}

pub(crate) fn routes(figures: Arc<dyn Figures>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(figures)
}

/// The format's own media type; Prometheus asks for it by name.
const FORMAT: (header::HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");

async fn metrics(State(figures): State<Arc<dyn Figures>>, RawQuery(query): RawQuery) -> Response {
    let per_shard = match query.as_deref().unwrap_or_default() {
        "" => false,
        "per=shard" => true,
        other => {
            return Problem::new(StatusCode::BAD_REQUEST, "unknown-query", "This path does not take this query")
                .detail(format!("`?{other}`: only `?per=shard` means something here"))
                .into_response();
        }
    };
    match figures.render(per_shard).await {
        Some(text) => ([FORMAT, (header::CACHE_CONTROL, "no-store")], text).into_response(),
        None => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-figures", "The node does not tell its figures now")
            .detail("it is stopping, or too many ask at a time".to_owned())
            .into_response(),
    }
}
