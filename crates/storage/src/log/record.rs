//! Records as bytes.

use super::LogRecord;
use bytes::Bytes;
use paxos::{Ballot, Configuration, NodeId, Record, Slot, Value};
use placement::ShardId;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes before a record's body: check and length.
const PREFIX: usize = 8;
/// No record takes more than this beside its value.
pub(super) const MAX_OVERHEAD: usize = PREFIX + 1 + 5 + 4 * 10 + 5;

const PROMISE: u8 = 1;
const ACCEPT_NOOP: u8 = 2;
const ACCEPT_COMMAND: u8 = 3;
const LEARN_NOOP: u8 = 4;
const LEARN_COMMAND: u8 = 5;
const KEEP: u8 = 6;
const DROPPED: u8 = 7;
const ACCEPT_STOP: u8 = 8;
const LEARN_STOP: u8 = 9;
const RETIRE: u8 = 10;

/// A value still in the bytes it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload<'a> {
    /// As [`Value::Noop`].
    Noop,
    /// As [`Value::Command`].
    Command(&'a [u8]),
    /// As [`Value::Stop`], encoded.
    Stop(&'a [u8]),
}

impl<'a> Payload<'a> {
    /// Its bytes.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Noop => &[],
            Self::Command(bytes) | Self::Stop(bytes) => bytes,
        }
    }

    /// An owned value.
    pub fn value(self) -> Value {
        match self {
            Self::Noop => Value::Noop,
            Self::Command(bytes) => Value::Command(Bytes::copy_from_slice(bytes)),
            Self::Stop(bytes) => {
                Value::Stop(Box::new(Configuration::decode(bytes).expect("tried when the record was decoded")))
            }
        }
    }

    fn checked(self) -> Option<Self> {
        match self {
            Self::Stop(bytes) => Configuration::decode(bytes).map(|_| self),
            other => Some(other),
        }
    }
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// As [`Record::Promise`].
    Promise(Ballot),
    /// As [`Record::Accept`].
    Accept { slot: Slot, ballot: Ballot, chosen: Slot, value: Payload<'a> },
    /// As [`Record::Retire`].
    Retire,
    /// As [`Record::Learn`].
    Learn { slot: Slot, value: Payload<'a> },
    /// Promise and watermark of a shard, written again because the segments that said so were about to go.
    Keep { ballot: Ballot, chosen: Slot },
    /// Segments up to this one are needed no more and may be missing. Belongs to no shard.
    Dropped { through: u32 },
}

/// A record in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decoded<'a> {
    /// Whose (0 if nobody's).
    pub shard: ShardId,
    /// What it says.
    pub content: Content<'a>,
    /// Bytes it takes.
    pub len: usize,
}

/// No more bytes than the record takes.
pub(super) fn bound(record: &Record) -> usize {
    match record {
        Record::Promise { .. } | Record::Retire => MAX_OVERHEAD,
        Record::Accept { value: Value::Stop(next), .. } | Record::Learn { value: Value::Stop(next), .. } => {
            MAX_OVERHEAD + next.encode().len()
        }
        Record::Accept { value, .. } | Record::Learn { value, .. } => MAX_OVERHEAD + value.len(),
    }
}

/// Appends a record; returns how many bytes it takes.
pub(super) fn encode(out: &mut Vec<u8>, LogRecord { shard, record }: &LogRecord) -> usize {
    let stop = match record {
        Record::Accept { value: Value::Stop(next), .. } | Record::Learn { value: Value::Stop(next), .. } => {
            next.encode()
        }
        _ => Vec::new(),
    };
    let payload = |value| match value {
        &Value::Noop => Payload::Noop,
        Value::Command(bytes) => Payload::Command(bytes),
        Value::Stop(_) => Payload::Stop(&stop),
    };
    let content = match record {
        Record::Promise { ballot } => Content::Promise(*ballot),
        Record::Retire => Content::Retire,
        Record::Accept { slot, ballot, value, chosen } => {
            Content::Accept { slot: *slot, ballot: *ballot, chosen: *chosen, value: payload(value) }
        }
        Record::Learn { slot, value } => Content::Learn { slot: *slot, value: payload(value) },
    };
    encode_content(out, *shard, content)
}

/// As [`encode`].
pub(super) fn encode_content(out: &mut Vec<u8>, shard: ShardId, content: Content<'_>) -> usize {
    let start = out.len();
    let mut head = Head::new();
    let value = match content {
        Content::Promise(ballot) => {
            head.kind(PROMISE, shard).ballot(ballot);
            Payload::Noop
        }
        Content::Accept { slot, ballot, chosen, value } => {
            let kind = match value {
                Payload::Noop => ACCEPT_NOOP,
                Payload::Command(_) => ACCEPT_COMMAND,
                Payload::Stop(_) => ACCEPT_STOP,
            };
            head.kind(kind, shard).number(slot.0).ballot(ballot).number(chosen.0);
            value
        }
        Content::Learn { slot, value } => {
            let kind = match value {
                Payload::Noop => LEARN_NOOP,
                Payload::Command(_) => LEARN_COMMAND,
                Payload::Stop(_) => LEARN_STOP,
            };
            head.kind(kind, shard).number(slot.0);
            value
        }
        Content::Keep { ballot, chosen } => {
            head.kind(KEEP, shard).ballot(ballot).number(chosen.0);
            Payload::Noop
        }
        Content::Retire => {
            head.kind(RETIRE, shard);
            Payload::Noop
        }
        Content::Dropped { through } => {
            head.kind(DROPPED, shard).number(u64::from(through));
            Payload::Noop
        }
    };
    out.extend_from_slice(&head.bytes[..head.len]);
    out.extend_from_slice(value.bytes());
    let body = u32::try_from(out.len() - start - PREFIX).expect("records are bounded below 1 GiB");
    out[start + 4..start + 8].copy_from_slice(&body.to_le_bytes());
    let check = check(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&check);
    out.len() - start
}

/// The record at the start of `bytes`, or `None` if that is not one. Its check is left to [`verify`], for most callers
/// have checked the whole frame.
pub(super) fn decode(bytes: &[u8]) -> Option<Decoded<'_>> {
    let body = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
    let len = PREFIX + usize::try_from(body).ok()?;
    let mut rest = bytes.get(PREFIX..len)?;
    let (&kind, after) = rest.split_first()?;
    rest = after;
    let shard = ShardId(u32::try_from(number(&mut rest)?).ok()?);
    let content = match kind {
        PROMISE => Content::Promise(ballot(&mut rest)?),
        ACCEPT_NOOP | ACCEPT_COMMAND | ACCEPT_STOP => {
            let slot = Slot(number(&mut rest)?);
            let ballot = ballot(&mut rest)?;
            let chosen = Slot(number(&mut rest)?);
            let value = match kind {
                ACCEPT_NOOP => Payload::Noop,
                ACCEPT_COMMAND => Payload::Command(rest),
                _ => Payload::Stop(rest).checked()?,
            };
            Content::Accept { slot, ballot, chosen, value }
        }
        LEARN_NOOP | LEARN_COMMAND | LEARN_STOP => {
            let slot = Slot(number(&mut rest)?);
            let value = match kind {
                LEARN_NOOP => Payload::Noop,
                LEARN_COMMAND => Payload::Command(rest),
                _ => Payload::Stop(rest).checked()?,
            };
            Content::Learn { slot, value }
        }
        KEEP => Content::Keep { ballot: ballot(&mut rest)?, chosen: Slot(number(&mut rest)?) },
        RETIRE => Content::Retire,
        DROPPED => Content::Dropped { through: u32::try_from(number(&mut rest)?).ok()? },
        _ => return None,
    };
    Some(Decoded { shard, content, len })
}

/// Whether `record`, exactly one record's bytes, is as it was written.
pub(super) fn verify(record: &[u8]) -> bool {
    record.len() > PREFIX && record[..4] == check(&record[4..])
}

fn check(bytes: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = xxh3_64(bytes).to_le_bytes();
    [a, b, c, d]
}

/// A record without its value, built on the stack.
struct Head {
    bytes: [u8; MAX_OVERHEAD],
    len: usize,
}

impl Head {
    fn new() -> Self {
        Self { bytes: [0; MAX_OVERHEAD], len: PREFIX }
    }

    fn kind(&mut self, kind: u8, shard: ShardId) -> &mut Self {
        self.bytes[self.len] = kind;
        self.len += 1;
        self.number(u64::from(shard.0))
    }

    /// LEB128.
    fn number(&mut self, mut number: u64) -> &mut Self {
        while number >= 0x80 {
            self.bytes[self.len] = low(number) | 0x80;
            self.len += 1;
            number >>= 7;
        }
        self.bytes[self.len] = low(number);
        self.len += 1;
        self
    }

    fn ballot(&mut self, ballot: Ballot) -> &mut Self {
        self.number(ballot.round).number(u64::from(ballot.node.0))
    }
}

/// The lowest seven bits.
fn low(number: u64) -> u8 {
    u8::try_from(number & 0x7f).expect("seven bits")
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0_u64, 0);
    loop {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

fn ballot(rest: &mut &[u8]) -> Option<Ballot> {
    Some(Ballot { round: number(rest)?, node: NodeId(u32::try_from(number(rest)?).ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_record_comes_back_and_no_single_bit_flip_passes_the_check() {
        let top = Ballot { round: u64::MAX, node: NodeId(u32::MAX) };
        let quorum = paxos::QuorumSystem::majority([NodeId(1), NodeId(2), NodeId(3)]).unwrap();
        let stop = Configuration { number: 3, ..Configuration::first(quorum) }.encode();
        let contents = [
            Content::Promise(top),
            Content::Accept {
                slot: Slot(u64::MAX),
                ballot: top,
                chosen: Slot(u64::MAX),
                value: Payload::Command(b"claim"),
            },
            Content::Accept { slot: Slot(1), ballot: Ballot::ZERO, chosen: Slot(0), value: Payload::Noop },
            Content::Learn { slot: Slot(300), value: Payload::Command(b"") },
            Content::Learn { slot: Slot(128), value: Payload::Noop },
            Content::Learn { slot: Slot(9), value: Payload::Stop(&stop) },
            Content::Accept { slot: Slot(9), ballot: top, chosen: Slot(8), value: Payload::Stop(&stop) },
            Content::Keep { ballot: top, chosen: Slot(127) },
            Content::Retire,
            Content::Dropped { through: u32::MAX },
        ];
        for content in contents {
            let mut bytes = Vec::new();
            let len = encode_content(&mut bytes, ShardId(u32::MAX), content);
            let value = match content {
                Content::Accept { value, .. } | Content::Learn { value, .. } => value.bytes().len(),
                _ => 0,
            };
            assert!(len <= MAX_OVERHEAD + value, "{content:?} takes {len}");
            assert_eq!(decode(&bytes), Some(Decoded { shard: ShardId(u32::MAX), content, len }));
            assert!(verify(&bytes));
            for bit in 0..len * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(!verify(&bytes), "{content:?} with bit {bit} flipped");
                let _ = decode(&bytes);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            for cut in 0..len {
                assert_eq!(decode(&bytes[..cut]), None, "{content:?} cut at {cut}");
            }
        }
    }
}
