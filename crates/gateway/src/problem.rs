//! Problem details (RFC 9457): how the gateway says that something went wrong.
//!
//! `{"type": "urn:icefarm:problem:KIND", "title": ..., "status": ..., "detail": ...}` and members of the kind's own.
//! The `type` is stable: programs may compare it. Over the WebSocket the same objects travel as MessagePack.
//!
//! | kind | status | when |
//! |---|---|---|
//! | `no-such-path` | 404 | nothing lives there |
//! | `no-such-player` | 404 | nobody of that name has entered the world |
//! | `method-not-allowed` | 405 | something lives there, but not for that method (`Allow` says for which) |
//! | `bad-request` | 400 | a path, query, header, body or message that cannot be meant |
//! | `unknown-entry` | 400 | a character, crop or building that the rule book does not have; `known` lists those it has |
//! | `other-protocol` | 400 | a client of the WebSocket that speaks another version of the protocol |
//! | `late` | 408 | a WebSocket on which nobody said hello in time |
//! | `no-token`, `bad-token` | 401 | who commands must say who it is |
//! | `not-allowed` | 403 | this token does not allow that |
//! | `too-large` | 413 | a body above [`MAX_BODY_BYTES`](crate::serve::MAX_BODY_BYTES), or a view of too many cells |
//! | `too-many-requests` | 429 | `retry_after_ms` says when to come back |
//! | `unavailable` | 503 | the cluster could not answer; `applied` says whether a command may have taken effect |
//! | `starting` | 503 | this node has not found its cluster yet |
//! | `stopping` | 503 | this node is about to end: go on with another |
//! | `unknown-query` | 400 | `/metrics` with a query other than `?per=shard` |
//! | `no-figures` | 503 | the node is stopping, or too many ask at a time |
//! | `not-ready` | 503 | `/readyz` while something is missing; `missing` lists it |
//! | `timed-out` | 503 | no answer within [`Times::answer`](crate::Times) |

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use client::Error;
use serde::Serialize;
use serde_json::{Map, Value, json};
use ts_rs::TS;
use utoipa::ToSchema;

/// One problem, on its way out.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    status: StatusCode,
    members: Map<String, Value>,
}

/// What every problem says; each kind may have members of its own.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema, TS)]
#[ts(rename = "ProblemDetails")]
#[schema(as = ProblemDetails)]
pub struct Details {
    /// `urn:icefarm:problem:KIND`: programs may compare it.
    #[serde(rename = "type")]
    kind: String,
    /// The same for all of its kind.
    title: String,
    /// HTTP's.
    status: u16,
    /// What is special about this one, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    detail: Option<String>,
    /// Of those of status 503: whether a command may have taken effect: `no` or `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    applied: Option<String>,
    /// Of `unavailable`: why, in a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    reason: Option<String>,
    /// When asking again may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    retry_after_ms: Option<u64>,
}

impl Details {
    /// In one sentence.
    pub fn sentence(&self) -> String {
        self.detail.as_ref().map_or_else(|| self.title.clone(), |detail| format!("{}: {detail}", self.title))
    }
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

    /// What was asked cannot be meant.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "This request cannot be understood").detail(detail)
    }

    /// A client that does not fit this gateway.
    pub fn other_protocol(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "other-protocol", "This client speaks another protocol").detail(detail)
    }

    /// Nobody said anything.
    pub fn late(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "late", "Nothing was heard in time").detail(detail)
    }

    /// No answer is there yet.
    pub fn timed_out() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "timed-out", "No answer in time")
            .detail("what was asked for may still be done")
            .with("applied", "unknown".into())
    }

    /// Who asks has not said who it is.
    pub fn no_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "no-token", "Who commands must say who it is")
            .detail("send `Authorization: Bearer TOKEN`; `POST /v1/players` gives a new player its token")
    }

    /// It said something that is not believed.
    pub fn bad_token(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "bad-token", "This token is not good here").detail(detail)
    }

    /// This token is not enough.
    pub fn not_allowed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not-allowed", "This token does not allow that").detail(detail)
    }

    /// Too much at once.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "This is more than may be asked at once").detail(detail)
    }

    /// Too often.
    pub fn too_many(who: &str, retry_after_ms: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests")
            .detail(format!("{who} asks more often than this node allows: come back in {retry_after_ms} ms"))
            .with("retry_after_ms", retry_after_ms.into())
    }

    /// The node has not found its cluster.
    pub fn starting() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "starting", "This node is starting")
            .detail("it has not found its cluster yet: come back in a moment, or ask another node")
            .with("applied", "no".into())
            .with("retry_after_ms", 500.into())
    }

    /// The node is about to end.
    pub fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "This node is stopping")
            .detail("go on with another node")
    }

    /// The node has as much as it may have at a time.
    pub fn full(detail: impl Into<String>) -> Self {
        Self::unavailable().detail(detail).with("applied", "no".into()).with("retry_after_ms", 1_000.into())
    }

    /// What the SDK gave instead of an answer, unless that is a rejection by the rules, which is no problem.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Unavailable { applied, reason, missing, retry_after_ms } => Self::unavailable()
                .detail(error.to_string())
                .with("applied", applied.word().into())
                .with("reason", reason.word().into())
                .with("missing", missing.iter().map(ToString::to_string).collect::<Vec<_>>().into())
                .with("retry_after_ms", (*retry_after_ms).into()),
            Error::NotAllowed { reason } => Self::not_allowed(reason),
            Error::Invalid { reason } => Self::bad_request(reason),
            Error::Rejected(rejection, _) => Self::bad_request(rejection.to_string()),
            Error::Closed => Self::stopping().with("applied", "unknown".into()),
        }
    }

    fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The cluster could not answer")
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

    /// With another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.members.insert("status".to_owned(), status.as_u16().into());
        Self { status, ..self }
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What it says, for the WebSocket.
    pub fn details(&self) -> Details {
        let text = |member: &str| self.members.get(member).and_then(Value::as_str).map(str::to_owned);
        Details {
            kind: text("type").unwrap_or_default(),
            title: text("title").unwrap_or_default(),
            status: self.status.as_u16(),
            detail: text("detail"),
            applied: text("applied"),
            reason: text("reason"),
            retry_after_ms: self.members.get("retry_after_ms").and_then(Value::as_u64),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let retry = self.members.get("retry_after_ms").and_then(Value::as_u64);
        let body = Value::Object(self.members).to_string();
        let kind = [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")];
        let mut response = (self.status, kind, body).into_response();
        let headers = response.headers_mut();
        if let Some(retry) = retry {
            // (In whole seconds, and never too early.)
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry.div_ceil(1_000).max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
