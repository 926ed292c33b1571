//! The OpenAPI document, made from the handlers' own declarations.

use super::{fields, land, players, world};
use axum::http::header;
use axum::response::IntoResponse;
use std::sync::LazyLock;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Ice Age Farmland",
        description = "One shared world: look at its fields, claim and farm them. Any node serves it.\n\n\
            JSON is the command line's (`icefarm --json`): times are Unix milliseconds, integers are below 2^53. A rejection by \
            the rules is 409 with the same object; whatever else goes wrong is problem details (RFC 9457) with a stable `type`.\n\n\
            Land as it changes is at `/v1/ws`, a WebSocket that speaks MessagePack."
    ),
    tags(
        (name = "players", description = "Entering the world; wallets and land"),
        (name = "fields", description = "Looking at fields"),
        (name = "commands", description = "What a player may do with a field"),
        (name = "world", description = "The rule book; nodes and shards"),
    ),
    paths(
        players::enter, players::player, players::land,
        fields::field, fields::claim, fields::plant, fields::tend, fields::harvest, fields::build, fields::offer,
        fields::abandon, land::view, world::rules, world::cluster,
    ),
    modifiers(&Tokens)
)]
struct Document;

/// Who commands says who it is.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("From `POST /v1/players`.")).build();
        document.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(bearer));
        // It is served by whoever serves it.
        env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    }
}

/// The document, as text.
pub fn document() -> &'static str {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| Document::openapi().to_pretty_json().expect("every document has a JSON form"));
    &TEXT
}

pub async fn serve() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], document())
}
