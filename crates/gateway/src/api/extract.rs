//! What a request brings, checked; what is wrong with it is told as a problem.

use crate::Problem;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use client::ReadOptions;
use serde::de::DeserializeOwned;
use std::net::IpAddr;
use world::FieldId;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// The field in a path.
#[derive(Clone, Copy, Debug)]
pub struct Field(pub FieldId);

impl<S: Send + Sync> FromRequestParts<S> for Field {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((x, y)) = path.map_err(|error| Problem::bad_request(error.to_string()))?;
        format!("{x},{y}")
            .parse()
            .map(Self)
            .map_err(|error: world::grid::GridError| Problem::bad_request(error.to_string()))
    }
}

/// The last part of a path.
#[derive(Clone, Debug)]
pub struct Name(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(name)| Self(name)).map_err(|error| Problem::bad_request(error.to_string()))
    }
}

/// A query, of which every key is known.
#[derive(Clone, Debug)]
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(asked)| Self(asked)).map_err(|error| Problem::bad_request(error.body_text()))
    }
}

/// A body of JSON; nothing at all, and `null`, are an empty object.
#[derive(Clone, Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Problem::too_large(format!("a body has at most {} bytes", crate::serve::MAX_BODY_BYTES))
            }
            _ => Problem::bad_request(format!("the body did not come whole: {error}")),
        })?;
        let text = match bytes.trim_ascii() {
            b"" | b"null" => b"{}",
            text => text,
        };
        serde_json::from_slice(text).map(Self).map_err(|error| Problem::bad_request(format!("the body: {error}")))
    }
}

/// `Idempotency-Key`, if there is one.
#[derive(Clone, Debug)]
pub struct Key(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let key = value.to_str().unwrap_or_default();
        let good = (1..=64).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if good {
            Ok(Self(Some(key.to_owned())))
        } else {
            Err(Problem::bad_request("`Idempotency-Key` must be 1 to 64 printable ASCII characters"))
        }
    }
}

/// How sure a read is to be.
pub fn level(read: Option<&str>) -> Result<ReadOptions, Problem> {
    let Some(read) = read else { return Ok(ReadOptions::usual()) };
    let level = read.parse().map_err(|error: wire::NotALevel| Problem::bad_request(format!("read={read}: {error}")))?;
    Ok(ReadOptions::at(level))
}
