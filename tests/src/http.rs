//! Just enough of HTTP to ask a node something: one request a connection.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(15);

/// What a node answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP's.
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// What follows them.
    pub body: String,
}

impl Reply {
    /// The object in the body, if the status is `status`.
    ///
    /// # Panics
    /// If either is otherwise.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:#?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }

    /// The last part of the `type` of the problem details in the body, if the status is `status`.
    ///
    /// # Panics
    /// If it is no problem, or another one's status.
    pub fn problem(&self, status: u16) -> String {
        assert!(self.head.contains("content-type: application/problem+json"), "{self:#?}");
        let details = self.expect(status);
        assert_eq!(details["status"], status, "{self:#?}");
        assert!(details["title"].is_string() && details["detail"].is_string(), "it says too little: {self:#?}");
        let kind = details["type"].as_str().and_then(|kind| kind.strip_prefix("urn:icefarm:problem:"));
        kind.unwrap_or_else(|| panic!("{self:#?}")).to_owned()
    }
}

/// Asks `addr`. The body is JSON, if there is one.
pub fn ask(addr: &str, line: &str, headers: &[(&str, &str)], body: Option<&str>) -> Result<Reply, String> {
    let failed = |error: std::io::Error| format!("{line} at {addr}: {error}");
    let mut stream = TcpStream::connect(addr).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let mut lines = vec![format!("{line} HTTP/1.1"), format!("Host: {addr}"), "Connection: close".to_owned()];
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    if let Some(body) = body {
        lines.extend(["Content-Type: application/json".to_owned(), format!("Content-Length: {}", body.len())]);
    }
    let request = format!("{}\r\n\r\n{}", lines.join("\r\n"), body.unwrap_or_default());
    // Whoever refuses a large body closes before it has been sent.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = String::new();
    stream.take(4 << 20).read_to_string(&mut answer).map_err(failed)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| format!("{line} at {addr}: {answer:?} is no answer"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok(Reply { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// Status and body of `GET path` at `addr`.
pub fn get(addr: &str, path: &str) -> Result<(u16, String), String> {
    ask(addr, &format!("GET {path}"), &[], None).map(|reply| (reply.status, reply.body))
}
