//! Frames as bytes, and the reading of a whole segment.

use crate::Incarnation;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes before a frame's records.
pub(super) const HEADER: usize = 32;
/// Frames start at multiples of this, so that a search for them need look only there.
pub(super) const ALIGN: usize = 8;

const CHECKED: usize = 8;
const FRAME: [u8; 4] = *b"frme";
const SEAL: [u8; 4] = *b"seal";

/// What a frame must carry beside its records to be one of its segment: a frame of another segment, another life or
/// another place is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// Of this life of the disk.
    pub incarnation: Incarnation,
    /// Of this segment.
    pub segment: u32,
}

impl Context {
    fn seed(self, offset: usize) -> u64 {
        let place = (u64::from(self.segment) << 32) | offset as u64;
        self.incarnation.0 ^ place.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

/// Where in a segment's bytes a good frame is.
struct Frame {
    seal: bool,
    synced: u64,
    records: std::ops::Range<usize>,
    end: usize,
}

/// Starts a frame at the end of `buffer`; its records are to be appended next, then [`finish`].
pub(super) fn start(buffer: &mut Vec<u8>) -> usize {
    let start = buffer.len();
    buffer.resize(start + HEADER, 0);
    start
}

/// Finishes the frame begun at `start` in `buffer`, which will be at `offset` of its segment.
pub(super) fn finish(buffer: &mut Vec<u8>, start: usize, seal: bool, offset: usize, synced: u32, context: Context) {
    let records = u32::try_from(buffer.len() - start - HEADER).expect("frames are bounded below 1 GiB");
    let header = &mut buffer[start..start + HEADER];
    header[8..12].copy_from_slice(if seal { &SEAL } else { &FRAME });
    header[12..16].copy_from_slice(&records.to_le_bytes());
    header[16..24].copy_from_slice(&u64::from(context.segment).to_le_bytes());
    header[24..32].copy_from_slice(&u64::from(synced).to_le_bytes());
    let checksum = xxh3_64_with_seed(&buffer[start + CHECKED..], context.seed(offset));
    buffer[start..start + CHECKED].copy_from_slice(&checksum.to_le_bytes());
    buffer.resize(buffer.len().next_multiple_of(ALIGN), 0);
}

/// Bytes of a frame with this many bytes of records.
pub(super) fn size(records: usize) -> usize {
    (HEADER + records).next_multiple_of(ALIGN)
}

/// Whether a frame of this segment begins at `at`, whatever became of the rest of it; and whether that is its seal.
fn begun(bytes: &[u8], at: usize, context: Context) -> Option<bool> {
    let header = bytes.get(at..at + HEADER)?;
    let seal = match header[8..12] {
        ref kind if *kind == FRAME => false,
        ref kind if *kind == SEAL => true,
        _ => return None,
    };
    (header[16..24] == u64::from(context.segment).to_le_bytes()).then_some(seal)
}

fn parse(bytes: &[u8], at: usize, context: Context) -> Option<Frame> {
    let seal = begun(bytes, at, context)?;
    let header = &bytes[at..at + HEADER];
    let len = usize::try_from(u32::from_le_bytes(header[12..16].try_into().ok()?)).ok()?;
    let checked = bytes.get(at + CHECKED..at + HEADER + len)?;
    let checksum = u64::from_le_bytes(header[..8].try_into().ok()?);
    if xxh3_64_with_seed(checked, context.seed(at)) != checksum {
        return None;
    }
    let synced = u64::from_le_bytes(header[24..32].try_into().ok()?);
    Some(Frame { seal, synced, records: at + HEADER..at + HEADER + len, end: at + size(len) })
}

/// What a segment's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Up to here, all was on disk when the last frame was written.
    pub synced: usize,
    /// Where the frames end.
    pub end: usize,
    /// And how.
    pub ending: Ending,
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With its seal: it is full.
    Sealed,
    /// Nothing of this segment follows: zeros, or what the file held when it was another segment.
    Clean,
    /// What follows, up to this offset, was never acknowledged.
    Torn(usize),
}

/// Why a segment cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// Where.
    pub offset: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// Reads the frames of a segment from `start` on: `each` gets the offset of the records of one and the records.
pub(super) fn scan(
    bytes: &[u8],
    start: usize,
    context: Context,
    mut each: impl FnMut(usize, &[u8]) -> Result<(), Damage>,
) -> Result<Extent, Damage> {
    let (mut at, mut synced) = (start, start);
    while let Some(frame) = parse(bytes, at, context) {
        each(frame.records.start, &bytes[frame.records])?;
        at = frame.end;
        // A frame of this segment follows its header; a number out of range would be ours, not the disk's.
        synced = usize::try_from(frame.synced).unwrap_or(start).clamp(start, at);
        if frame.seal {
            return Ok(Extent { synced, end: at, ending: Ending::Sealed });
        }
    }
    let extent = |ending| Extent { synced, end: at, ending };
    let (mut torn, mut later) = (false, at);
    while later + HEADER <= bytes.len() {
        match parse(bytes, later, context) {
            Some(frame) if frame.synced > at as u64 => {
                return Err(Damage {
                    offset: at,
                    what: "no valid frame, yet a later one knew this place to be on disk",
                });
            }
            Some(frame) => (torn, later) = (true, frame.end),
            None => {
                torn |= begun(bytes, later, context).is_some();
                later += ALIGN;
            }
        }
    }
    let last = if torn { last_used(&bytes[at..]) } else { None };
    Ok(extent(last.map_or(Ending::Clean, |last| Ending::Torn(at + last + 1))))
}

/// The last byte that is not zero.
pub(super) fn last_used(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 4096;
    for (index, block) in bytes.chunks(BLOCK).enumerate().rev() {
        if block.iter().fold(0, |any, byte| any | byte) != 0 {
            return block.iter().rposition(|byte| *byte != 0).map(|last| index * BLOCK + last);
        }
    }
    None
}
