//! Problem details (RFC 9457): how the gateway says that something went wrong.
//!
//! `{"type": "urn:icefarm:problem:KIND", "title": ..., "status": ..., "detail": ...}` and members of the kind's own.
//! The `type` is stable: programs may compare it.
//!
//! | kind | status | when |
//! |---|---|---|
//! | `no-such-path` | 404 | nothing lives there |
//! | `method-not-allowed` | 405 | something lives there, but not for that method (`Allow` says for which) |
//! | `unknown-query` | 400 | `/metrics` with a query other than `?per=shard` |
//! | `no-figures` | 503 | the node is stopping, or too many ask at a time |
//! | `not-ready` | 503 | `/readyz` while something is missing; `missing` lists it |
//! | `timed-out` | 503 | no answer within [`Times::answer`](crate::Times) |

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

/// One problem, on its way out.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    status: StatusCode,
    members: Map<String, Value>,
}

impl Problem {
    /// A problem of `kind` (lower case and hyphens; part of the `type`), `title` the same for all of its kind.
    pub fn new(status: StatusCode, kind: &'static str, title: &'static str) -> Self {
        let members = Map::from_iter([
            ("type".to_owned(), json!(format!("urn:icefarm:problem:{kind}"))),
            ("title".to_owned(), json!(title)),
            ("status".to_owned(), json!(status.as_u16())),
        ]);
        Self { status, members }
    }

    /// Says what is special about this one, and what to do.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        self.with("detail", Value::String(detail.into()))
    }

    /// Adds a member of the kind's own.
    #[must_use]
    pub fn with(mut self, member: &'static str, value: Value) -> Self {
        self.members.insert(member.to_owned(), value);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Value::Object(self.members).to_string();
        (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}
