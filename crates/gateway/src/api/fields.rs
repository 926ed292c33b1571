//! Looking at a field, and the commands.

use super::extract::{Body, Field, Key};
use super::players::Read;
use super::{Usual, extract::Asked, fresh, refused};
use crate::app::App;
use crate::commands::{self, Words};
use crate::problem::{Details, Problem};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Who shall live there.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// A character of the rule book; the first one unless said otherwise.
    #[schema(example = "mammoth")]
    character: Option<String>,
}

/// What to sow.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Plant {
    /// A crop of the rule book.
    #[schema(min_length = 1, example = "lichen")]
    crop: String,
}

/// What to build.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// A building of the rule book.
    #[schema(min_length = 1, example = "igloo")]
    building: String,
}

/// For how much.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Acorns; `null`: not for sale.
    #[schema(maximum = 9_007_199_254_740_991_u64, example = 25)]
    price: Option<u64>,
}

/// Nothing more need be said.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// A field.
#[utoipa::path(
    get, path = "/v1/fields/{x}/{y}", tag = "fields",
    params(
        ("x" = u32, Path, description = "Column, from the west", maximum = 999_999, example = 30_960),
        ("y" = u32, Path, description = "Row, from the north", maximum = 999_999, example = 8_190),
        Read
    ),
    responses(
        (status = 200, description = "The field.", body = json::FieldAnswer),
        (status = 400, description = "Off the grid, or there is no such level.", body = Details, content_type = "application/problem+json"),
        Usual,
    )
)]
pub async fn field(
    State(app): State<Arc<App>>,
    Field(field): Field,
    Asked(read): Asked<Read>,
) -> Result<Response, Problem> {
    let client = app.client()?;
    let read = client.field(field, read.level()?).await.map_err(|error| Problem::of(&error))?;
    Ok(fresh(StatusCode::OK, &json::FieldAnswer::new(&read, &client.rules())))
}

/// Gives a command for whoever asks.
async fn give(
    app: &App,
    headers: &HeaderMap,
    key: Key,
    verb: &str,
    field: Field,
    words: Words<'_>,
) -> Result<Response, Problem> {
    let client = app.client()?;
    let player = app.access.commander(headers)?;
    let rules = client.rules();
    let command = commands::command(verb, field.0, &words, &rules)?;
    app.limits.command(player).inspect_err(|_| app.meters.limited.increment(1))?;
    let numbered = key.0.map(|key| commands::keyed(player, &key, &command));
    match commands::give(&client, player, command, numbered).await {
        Ok(done) => Ok(fresh(StatusCode::OK, &json::Done::new(&done, &rules))),
        Err(error) => Ok(refused(&error, &rules)),
    }
}

/// One command: its documentation, and how its body becomes words.
macro_rules! command {
    ($(#[$about:meta])* $verb:ident, $path:literal, $body:ident, $done:literal, |$words:pat_param| $make:expr) => {
        $(#[$about])*
        #[utoipa::path(
            post, path = $path, tag = "commands", request_body(content = Option<$body>, content_type = "application/json"),
            params(
                ("x" = u32, Path, description = "Column, from the west", maximum = 999_999, example = 30_960),
                ("y" = u32, Path, description = "Row, from the north", maximum = 999_999, example = 8_190),
                ("Idempotency-Key" = Option<String>, Header, pattern = "^[!-~]([ -~]{0,62}[!-~])?$", description = "1 to 64 printable ASCII characters: the same command with the same key takes effect once, and is answered the same for ten minutes")
            ),
            responses(
                (status = 200, description = $done, body = json::Done),
                (status = 400, description = "Off the grid, or the rule book has no such entry.", body = Details, content_type = "application/problem+json"),
                (status = 401, description = "Who commands must say who it is.", body = Details, content_type = "application/problem+json"),
                (status = 403, description = "This token is no player's.", body = Details, content_type = "application/problem+json"),
                (status = 409, description = "The rules say no; nothing has changed.", body = json::Problem),
                (status = 413, description = "The body is too large.", body = Details, content_type = "application/problem+json"),
                Usual,
            ),
            security(("token" = []))
        )]
        pub async fn $verb(
            State(app): State<Arc<App>>,
            field: Field,
            headers: HeaderMap,
            key: Key,
            Body($words): Body<$body>,
        ) -> Result<Response, Problem> {
            give(&app, &headers, key, stringify!($verb), field, $make).await
        }
    };
}

command!(
    /// Take a free field.
    claim, "/v1/fields/{x}/{y}/claim", Claim, "It is the caller's.",
    |Claim { character }| Words { character: character.as_deref(), ..Words::default() }
);
command!(
    /// Sow one's own, empty field.
    plant, "/v1/fields/{x}/{y}/plant", Plant, "It is sown.",
    |Plant { crop }| Words { crop: Some(&crop), ..Words::default() }
);
command!(
    /// Tend a growing crop: it ripens sooner, once.
    tend, "/v1/fields/{x}/{y}/tend", Nothing, "It is tended.",
    |Nothing {}| Words::default()
);
command!(
    /// Bring in a ripe crop; its acorns travel to the wallet.
    harvest, "/v1/fields/{x}/{y}/harvest", Nothing, "It is brought in.",
    |Nothing {}| Words::default()
);
command!(
    /// Put up a building.
    build, "/v1/fields/{x}/{y}/build", Build, "It stands.",
    |Build { building }| Words { building: Some(&building), ..Words::default() }
);
command!(
    /// Name a price, or take the field off the market.
    offer, "/v1/fields/{x}/{y}/offer", Offer, "It is offered.",
    |Offer { price }| Words { price, ..Words::default() }
);
command!(
    /// Give the field up, with all that is on it.
    abandon, "/v1/fields/{x}/{y}/abandon", Nothing, "It is nobody's.",
    |Nothing {}| Words::default()
);
