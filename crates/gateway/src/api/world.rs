//! The rule book; nodes and shards.

use super::{Usual, fresh};
use crate::app::App;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// The rule book: characters, crops, buildings.
#[utoipa::path(
    get, path = "/v1/rules", tag = "world",
    responses(
        (status = 200, description = "The rule book in force.", body = json::RulesAnswer),
        Usual,
    )
)]
pub async fn rules(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let client = app.client()?;
    Ok(fresh(StatusCode::OK, &json::RulesAnswer::new(&client.rules())))
}

/// Nodes and shards, as of half a second ago.
#[utoipa::path(
    get, path = "/v1/cluster", tag = "world",
    responses(
        (status = 200, description = "Nodes and shards.", body = json::Cluster),
        Usual,
    )
)]
pub async fn cluster(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let cluster = app.cluster().await?;
    Ok(fresh(StatusCode::OK, cluster.as_ref()))
}
