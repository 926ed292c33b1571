//! Looking at a rectangle.

use super::extract::{Asked, Peer, level};
use super::{Usual, fresh};
use crate::app::App;
use crate::problem::{Details, Problem};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;
use world::grid::GridError;
use world::{FieldId, Rect};

/// Looking at so many fields costs as much as another request.
const FIELDS_A_REQUEST: u32 = 1_024;

/// Which rectangle.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct View {
    /// Its north-west corner.
    #[param(maximum = 999_999)]
    x: u32,
    /// Its north-west corner.
    #[param(maximum = 999_999)]
    y: u32,
    /// How many fields from there to the east; 64 unless said otherwise.
    #[param(minimum = 1, maximum = 65_536)]
    w: Option<u32>,
    /// How many fields from there to the south; 32 unless said otherwise. At most 65,536 fields in all.
    #[param(minimum = 1, maximum = 65_536)]
    h: Option<u32>,
    /// `strong`, `bounded:MS`, `session` or `eventual`.
    #[param(pattern = "^(strong|session|eventual|bounded:[0-9]{1,9})$")]
    read: Option<String>,
}

/// A rectangle: its owned fields. What is not among them is untouched land.
#[utoipa::path(
    get, path = "/v1/view", tag = "fields", params(View),
    responses(
        (status = 200, description = "The owned fields, and a receipt of each shard. There is no snapshot across shards.", body = json::ViewAnswer),
        (status = 400, description = "Off the grid, or there is no such level.", body = Details, content_type = "application/problem+json"),
        (status = 413, description = "More than 65,536 fields.", body = Details, content_type = "application/problem+json"),
        Usual,
    )
)]
pub async fn view(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Asked(asked): Asked<View>,
) -> Result<Response, Problem> {
    let client = app.client()?;
    let View { x, y, w, h, read } = asked;
    let corner = FieldId::new(x, y).map_err(|error| Problem::bad_request(error.to_string()))?;
    let rect = Rect::new(corner, w.unwrap_or(64), h.unwrap_or(32)).map_err(|error| match error {
        GridError::Size { w: 1.., h: 1.., .. } => Problem::too_large(error.to_string()),
        _ => Problem::bad_request(error.to_string()),
    })?;
    let options = level(read.as_deref())?;
    app.charge(peer, rect.w() * rect.h() / FIELDS_A_REQUEST)?;
    let read = client.view(rect, options).await.map_err(|error| Problem::of(&error))?;
    Ok(fresh(StatusCode::OK, &json::ViewAnswer::new(rect, &read, &client.rules())))
}
