//! Entering the world; wallets and land.

use super::extract::{Asked, Body, Key, Name, Peer, level};
use super::{Usual, fresh, refused};
use crate::app::App;
use crate::commands;
use crate::problem::{Details, Problem};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use client::Error;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use world::{Command, PlayerName};

/// Asking every shard costs as much as so many more requests.
const EVERY_SHARD: u32 = 4;

/// Chunks in one answer.
const CHUNKS: usize = 1_000;

/// Who wants to enter the world.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPlayer {
    /// 1 to 32 bytes of UTF-8, without control characters or white space at its ends. It never changes.
    #[schema(min_length = 1, max_length = 32, example = "scrat")]
    name: String,
}

/// How sure the answer is to be.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Read {
    /// `strong`, `bounded:MS`, `session` or `eventual`; as the map says of the shard unless said otherwise.
    #[param(pattern = "^(strong|session|eventual|bounded:[0-9]{1,9})$")]
    read: Option<String>,
}

impl Read {
    pub fn level(&self) -> Result<client::ReadOptions, Problem> {
        level(self.read.as_deref())
    }
}

/// Where to go on.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// `next` of the answer before.
    #[param(pattern = "^[0-9]{1,9}$")]
    after: Option<String>,
    /// `strong`, `bounded:MS`, `session` or `eventual`.
    #[param(pattern = "^(strong|session|eventual|bounded:[0-9]{1,9})$")]
    read: Option<String>,
}

/// Enter the world: a wallet, and the token that is needed to play.
///
/// Who repeats this with the same `Idempotency-Key` gets a token again; so does who brings the player's token. To anybody else
/// a name that is taken is refused.
#[utoipa::path(
    post, path = "/v1/players", tag = "players", request_body = NewPlayer,
    params(("Idempotency-Key" = Option<String>, Header, pattern = "^[!-~]([ -~]{0,62}[!-~])?$", description = "1 to 64 printable ASCII characters, drawn at random: who knows it gets the token")),
    responses(
        (status = 201, description = "The player is in the world.", body = json::Registered),
        (status = 400, description = "No player can be called that.", body = Details, content_type = "application/problem+json"),
        (status = 401, description = "The token that was sent is not good.", body = Details, content_type = "application/problem+json"),
        (status = 403, description = "The token that was sent is no player's.", body = Details, content_type = "application/problem+json"),
        (status = 409, description = "`name_taken`: somebody else has this name.", body = json::Problem),
        (status = 413, description = "The body is too large.", body = Details, content_type = "application/problem+json"),
        Usual,
    ),
    security((), ("token" = []))
)]
pub async fn enter(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Key(key): Key,
    Body(body): Body<NewPlayer>,
) -> Result<Response, Problem> {
    let client = app.client()?;
    let caller = app.access.caller(&headers)?;
    let name = PlayerName::new(&body.name).map_err(|error| Problem::bad_request(error.to_string()))?;
    let player = client.player(name.as_str()).map_err(|error| Problem::of(&error))?;
    let entered = match key {
        Some(key) => {
            let (number, given) = commands::keyed(name, &key, &Command::Register);
            player.register_given(number, given).await
        }
        None => player.register().await,
    };
    match entered {
        Ok(entered) if entered.new || caller == Some(name) => {
            let token = app.access.issue(name).to_hex();
            Ok(fresh(StatusCode::CREATED, &json::Registered::new(&entered, token)))
        }
        Ok(entered) => Ok(fresh(StatusCode::CONFLICT, &json::Problem::name_taken(name.as_str(), &entered.receipt))),
        Err(error) => Ok(refused(&error, &client.rules())),
    }
}

/// A player: its wallet, what is on its way there, and how many fields it has.
#[utoipa::path(
    get, path = "/v1/players/{name}", tag = "players",
    params(("name" = String, Path, description = "Its name", min_length = 1, max_length = 32, example = "scrat"), Read),
    responses(
        (status = 200, description = "The player.", body = json::PlayerAnswer),
        (status = 400, description = "No player can be called that, or there is no such level.", body = Details, content_type = "application/problem+json"),
        (status = 404, description = "Nobody of that name has entered the world.", body = Details, content_type = "application/problem+json"),
        Usual,
    )
)]
pub async fn player(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Name(name): Name,
    Asked(read): Asked<Read>,
) -> Result<Response, Problem> {
    let client = app.client()?;
    app.charge(peer, EVERY_SHARD)?;
    let read = client.player_summary(&name, read.level()?).await.map_err(|error| Problem::of(&error))?;
    match json::PlayerAnswer::new(&read) {
        Some(answer) => Ok(fresh(StatusCode::OK, &answer)),
        None => Err(no_such_player(&name)),
    }
}

/// Where a player has land: chunks, and how many fields in each.
#[utoipa::path(
    get, path = "/v1/players/{name}/land", tag = "players",
    params(("name" = String, Path, description = "Its name", min_length = 1, max_length = 32, example = "scrat"), Page),
    responses(
        (status = 200, description = "Chunks, row by row. Nobody's, if nobody of that name has any.", body = json::EstateAnswer),
        (status = 400, description = "No player can be called that, or there is no such level or page.", body = Details, content_type = "application/problem+json"),
        Usual,
    )
)]
pub async fn land(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Name(name): Name,
    Asked(page): Asked<Page>,
) -> Result<Response, Problem> {
    let client = app.client()?;
    let after = page.after.as_deref().map(str::parse::<u32>).transpose();
    let after = after.map_err(|_| Problem::bad_request("`after` must be the `next` of an answer before"))?;
    let options = level(page.read.as_deref())?;
    app.charge(peer, EVERY_SHARD)?;
    match client.estate(&name, options).await {
        Ok(read) => Ok(fresh(StatusCode::OK, &json::EstateAnswer::new(&read, after, CHUNKS))),
        Err(error @ Error::Rejected(..)) => Ok(refused(&error, &client.rules())),
        Err(error) => Ok(Problem::of(&error).into_response()),
    }
}

fn no_such_player(name: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-such-player", "Nobody of that name has entered the world")
        .detail(format!("nobody called '{name}' has entered the world: `POST /v1/players` brings somebody in"))
}
