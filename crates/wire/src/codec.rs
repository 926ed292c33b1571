//! Bytes and back. What is decoded came over a network: every failure is an error, none a panic, and nothing is allocated
//! on the word of a length alone (the frame's size was bounded before, and MessagePack's sequences grow as they are read).

use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

/// The largest frame between nodes, in bytes.
pub const MAX_PEER_FRAME: usize = 16 << 20;
/// The largest frame to a client, in bytes (a view of 65,536 fields fits).
pub const MAX_CLIENT_FRAME: usize = 8 << 20;
/// The largest frame from a client, in bytes.
pub const MAX_REQUEST_FRAME: usize = 256 << 10;
/// The largest first frame from a client, its greeting, in bytes.
pub const MAX_GREETING_FRAME: usize = 4 << 10;

/// Not a value of the protocol.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Wrong shape, wrong range, or cut off.
    #[error("not a {what} ({bytes} bytes): {source}")]
    Malformed {
        /// What was expected.
        what: &'static str,
        /// How long it was.
        bytes: usize,
        /// Where it went wrong.
        source: rmp_serde::decode::Error,
    },
    /// Something behind the value.
    #[error("{extra} bytes too many behind a {what}")]
    Trailing {
        /// What was expected.
        what: &'static str,
        /// How many.
        extra: usize,
    },
}

/// Encodes into a reused buffer (cleared first): structs as arrays.
pub fn encode_into<T: Serialize + ?Sized>(value: &T, buffer: &mut Vec<u8>) {
    buffer.clear();
    rmp_serde::encode::write(buffer, value).expect("our types have a MessagePack form, and memory takes any write");
}

/// Encodes: structs as arrays.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Bytes {
    let mut buffer = Vec::with_capacity(128);
    encode_into(value, &mut buffer);
    Bytes::from(buffer)
}

/// Encodes with field names, for the greeting.
pub fn encode_named<T: Serialize + ?Sized>(value: &T) -> Bytes {
    Bytes::from(rmp_serde::to_vec_named(value).expect("our types have a MessagePack form"))
}

/// Decodes either form; `what` names it in errors.
pub fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, CodecError> {
    let malformed = |source| CodecError::Malformed { what, bytes: bytes.len(), source };
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    let value = T::deserialize(&mut reader).map_err(malformed)?;
    // Only at the very end is there no marker of a further value.
    match IgnoredAny::deserialize(&mut reader) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(value),
        _ => Err(CodecError::Trailing { what, extra: behind::<T>(bytes) }),
    }
}

/// How much there is behind the value. (A reader that copies knows; the one that does not, does not.)
fn behind<T: DeserializeOwned>(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let read = T::deserialize(&mut rmp_serde::Deserializer::new(&mut rest)).is_ok();
    if read { rest.len() } else { bytes.len() }
}
