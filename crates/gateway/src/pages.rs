//! The web page, as `game-client` built it: part of this program.

use crate::Problem;
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};
use std::sync::Arc;

#[derive(RustEmbed)]
#[folder = "../../game-client/dist"]
#[allow_missing = true]
struct Built;

/// What is called by its content's hash never changes.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Everything else is asked for again, and mostly not sent again.
const ASK: &str = "no-cache";

/// Its files. Pages may connect to `others`, the other nodes' addresses, beside their own.
pub fn routes(others: &[String]) -> Router {
    let policy: Arc<str> = policy(others).into();
    let page = |name: &'static str| {
        let policy = policy.clone();
        get(move |headers: HeaderMap| async move { serve(name, &headers, &policy, ASK) })
    };
    let asset_policy = policy.clone();
    let asset = get(move |Path(name): Path<String>, headers: HeaderMap| async move {
        serve(&format!("assets/{name}"), &headers, &asset_policy, FOREVER)
    });
    Router::new()
        .route("/", page("index.html"))
        .route("/console", page("console.html"))
        .route("/favicon.ico", page("favicon.svg"))
        .route("/favicon.svg", page("favicon.svg"))
        .route("/assets/{*name}", asset)
}

/// Nothing but what this program serves runs in its pages, and they talk to nobody but the nodes.
fn policy(others: &[String]) -> String {
    let sockets = others.iter().filter_map(|http| http.strip_prefix("http").map(|rest| format!("ws{rest}")));
    let connect: Vec<String> = others.iter().cloned().chain(sockets).collect();
    format!(
        "default-src 'self'; connect-src 'self' {}; img-src 'self' data: blob:; worker-src 'self'; object-src 'none'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        connect.join(" ")
    )
}

fn serve(name: &str, headers: &HeaderMap, policy: &str, keep: &'static str) -> Response {
    let Some(file) = Built::get(name) else { return missing(name) };
    let hash = file.metadata.sha256_hash();
    let tag = format!("\"{:016x}\"", u64::from_be_bytes(*hash.first_chunk().expect("it has 32 bytes")));
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tags| tags.as_bytes() == tag.as_bytes());
    let common = [
        (header::CACHE_CONTROL, keep.to_owned()),
        (header::ETAG, tag),
        (header::CONTENT_SECURITY_POLICY, policy.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin".to_owned()),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let EmbeddedFile { data, metadata } = file;
    let kind =
        HeaderValue::from_str(metadata.mimetype()).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    (common, [(header::CONTENT_TYPE, kind)], data).into_response()
}

fn missing(name: &str) -> Response {
    let detail = if name == "index.html" {
        "this program was built without its web page: `cargo xtask up` builds both".to_owned()
    } else {
        format!("the web page has no {name}")
    };
    Problem::new(StatusCode::NOT_FOUND, "no-such-path", "There is nothing at this path").detail(detail).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_may_connect_to_the_nodes_and_nowhere_else() {
        let policy = policy(&["http://10.0.0.2:8080".to_owned(), "https://c.example:443".to_owned()]);
        let connect = policy.split("; ").find(|rule| rule.starts_with("connect-src")).unwrap();
        assert_eq!(
            connect,
            "connect-src 'self' http://10.0.0.2:8080 https://c.example:443 ws://10.0.0.2:8080 wss://c.example:443"
        );
        assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"));
    }
}
