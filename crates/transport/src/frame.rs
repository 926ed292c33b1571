//! Frames on a stream: a length (`u32`, little-endian), then that many bytes.
//!
//! Both directions of a stream begin with [`OPENING`], an empty frame. QUIC shows a stream to the other side only when
//! something is written to it, and TLS 1.3 lets the connecting side believe that it is through before the accepting side
//! has looked at its certificate; the opening in both directions says that both are content.
//!
//! Invariants: a length over the limit is refused before anything is allocated for it; memory grows with the bytes that
//! have arrived, never with the length that was announced.

use bytes::{Buf, Bytes, BytesMut};

/// The length prefix's size in bytes.
pub(crate) const PREFIX: usize = 4;

/// What both directions of a stream begin with.
pub(crate) const OPENING: [u8; PREFIX] = [0; PREFIX];

/// Reserved at most for a frame that has only begun to arrive.
const FIRST_RESERVE: usize = 64 << 10;

/// A frame over the limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {len} bytes was announced: at most {max} are allowed")]
pub(crate) struct FrameTooLarge {
    pub(crate) len: usize,
    pub(crate) max: usize,
}

/// Cuts what arrives into frames. A frame that lies whole in one chunk is handed on without a copy.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// Of the frame that comes next; and of those behind the first.
    max: usize,
    later: usize,
    prefix: [u8; PREFIX],
    prefix_len: usize,
    body: BytesMut,
    /// The length of the frame whose body is arriving.
    need: Option<usize>,
}

impl Decoder {
    /// The longest first frame, and the longest of the others.
    pub(crate) fn new(first: usize, later: usize) -> Self {
        Self { max: first, later, prefix: OPENING, prefix_len: 0, body: BytesMut::new(), need: None }
    }

    /// Takes what arrived next; appends the frames that it completes to `frames`.
    pub(crate) fn push(&mut self, mut chunk: Bytes, frames: &mut Vec<Bytes>) -> Result<(), FrameTooLarge> {
        loop {
            let Some(len) = self.next_len(&mut chunk)? else { return Ok(()) };
            if self.body.is_empty() && chunk.len() >= len {
                frames.push(chunk.split_to(len));
            } else {
                let missing = len - self.body.len();
                if self.body.is_empty() {
                    self.body.reserve(len.min(FIRST_RESERVE));
                }
                let take = missing.min(chunk.len());
                self.body.extend_from_slice(&chunk[..take]);
                chunk.advance(take);
                if take < missing {
                    self.need = Some(len);
                    return Ok(());
                }
                frames.push(self.body.split().freeze());
            }
            self.need = None;
            self.max = self.later;
        }
    }

    /// The length of the frame at hand, taken from the chunk if it is not known yet; `None` if its prefix is not
    /// complete.
    fn next_len(&mut self, chunk: &mut Bytes) -> Result<Option<usize>, FrameTooLarge> {
        if let Some(len) = self.need {
            return Ok(if chunk.is_empty() { None } else { Some(len) });
        }
        let prefix = if self.prefix_len == 0 && chunk.len() >= PREFIX {
            chunk.get_u32_le()
        } else {
            let take = (PREFIX - self.prefix_len).min(chunk.len());
            self.prefix[self.prefix_len..self.prefix_len + take].copy_from_slice(&chunk[..take]);
            chunk.advance(take);
            self.prefix_len += take;
            if self.prefix_len < PREFIX {
                return Ok(None);
            }
            self.prefix_len = 0;
            u32::from_le_bytes(self.prefix)
        };
        let len = prefix as usize;
        if len > self.max {
            return Err(FrameTooLarge { len, max: self.max });
        }
        Ok(Some(len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream_of(frames: &[&[u8]]) -> Vec<u8> {
        let mut stream = Vec::new();
        for frame in frames {
            stream.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_le_bytes());
            stream.extend_from_slice(frame);
        }
        stream
    }

    #[test]
    fn frames_survive_every_way_of_cutting_the_stream() {
        let long = vec![7; 300];
        let sent: [&[u8]; 5] = [b"mammoth", b"", b"x", &long, b"end"];
        let stream = Bytes::from(stream_of(&sent));
        for cut in 1..=stream.len() {
            let mut decoder = Decoder::new(300, 300);
            let mut got = Vec::new();
            let mut rest = stream.clone();
            while !rest.is_empty() {
                decoder.push(rest.split_to(cut.min(rest.len())), &mut got).unwrap();
            }
            assert_eq!(got, sent, "cut into pieces of {cut}");
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_at_its_prefix() {
        let mut decoder = Decoder::new(2, 10);
        let mut got = Vec::new();
        decoder.push(Bytes::from(stream_of(&[&[1; 2], &[1; 10]])), &mut got).unwrap();
        let refused = decoder.push(Bytes::from_static(&[11, 0, 0, 0]), &mut got).unwrap_err();
        assert_eq!(refused, FrameTooLarge { len: 11, max: 10 });
        assert_eq!(got.len(), 2);
        let refused = Decoder::new(2, 10).push(Bytes::from_static(&[3, 0, 0, 0]), &mut got).unwrap_err();
        assert_eq!(refused, FrameTooLarge { len: 3, max: 2 });
    }

    #[test]
    fn an_announced_length_allocates_nothing_much() {
        let mut decoder = Decoder::new(usize::MAX >> 1, 1);
        let mut stream = Vec::from(u32::MAX.to_le_bytes());
        stream.push(1);
        decoder.push(Bytes::from(stream), &mut Vec::new()).unwrap();
        assert!(decoder.body.capacity() <= 2 * FIRST_RESERVE, "{}", decoder.body.capacity());
    }
}
