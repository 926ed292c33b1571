//! Bytes and back. What is decoded came over a network: every failure is an error, none a panic, and nothing is allocated
//! on the word of a length alone (the frame's size was bounded before, and MessagePack's sequences grow as they are read).

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

/// The largest frame between nodes, in bytes.
pub const MAX_PEER_FRAME: usize = 16 << 20;
/// The largest frame from or to a client, in bytes (a view of 65,536 fields fits).
pub const MAX_CLIENT_FRAME: usize = 8 << 20;

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
    let mut rest = bytes;
    let mut reader = rmp_serde::Deserializer::new(&mut rest);
    let value =
        T::deserialize(&mut reader).map_err(|source| CodecError::Malformed { what, bytes: bytes.len(), source })?;
    if rest.is_empty() { Ok(value) } else { Err(CodecError::Trailing { what, extra: rest.len() }) }
}
