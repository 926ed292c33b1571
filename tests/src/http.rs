//! Just enough of HTTP to ask a node how it is.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// Status and body of `GET path` at `addr`.
pub fn get(addr: &str, path: &str) -> Result<(u16, String), String> {
    let failed = |error: std::io::Error| format!("GET http://{addr}{path}: {error}");
    let mut stream = TcpStream::connect(addr).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").map_err(failed)?;
    let mut answer = String::new();
    stream.take(1 << 20).read_to_string(&mut answer).map_err(failed)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| format!("GET http://{addr}{path}: {answer:?} is no answer"))?;
    Ok((status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
}
