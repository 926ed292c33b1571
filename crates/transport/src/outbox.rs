//! The bounded queue in front of one stream.
//!
//! Frames are laid out for the wire as they come in: small ones are copied behind each other into one buffer (so a
//! thousand of them cost one write, and no allocation each), large ones are passed on as they are. Nothing here waits to
//! fill a buffer: the writer takes what is there whenever the stream has room, so batches grow under load by themselves.
//!
//! Invariant: at most `limit` bytes wait here, prefixes included; a frame that would go beyond is refused, whole.

use crate::frame::PREFIX;
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Frames of at least this many bytes are not copied.
const LARGE: usize = 4 << 10;
/// Small frames are gathered into buffers of this many bytes.
const BUFFER: usize = 32 << 10;
/// A writer takes about this many bytes at a time.
const TAKE: usize = 64 << 10;

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The queue is full.
    Full,
    /// The stream is gone, or about to end.
    Closed,
    /// The other side would refuse it.
    TooLarge,
}

/// What the writer is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Write what was taken.
    Write,
    /// Everything is written, and nothing will follow.
    Finish,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    ready: Notify,
    limit: usize,
    max_frame: usize,
}

#[derive(Debug, Default)]
struct Queue {
    sealed: VecDeque<Bytes>,
    open: BytesMut,
    bytes: usize,
    closed: bool,
}

impl Outbox {
    pub(crate) fn new(limit: usize, max_frame: usize) -> Self {
        Self { queue: Mutex::default(), ready: Notify::new(), limit, max_frame }
    }

    /// Takes a frame, or says why not. Never waits.
    pub(crate) fn push(&self, frame: Bytes) -> Result<(), Refused> {
        let len = u32::try_from(frame.len()).ok().filter(|_| frame.len() <= self.max_frame).ok_or(Refused::TooLarge)?;
        let mut queue = self.lock();
        if queue.closed {
            return Err(Refused::Closed);
        }
        if queue.bytes + PREFIX + frame.len() > self.limit {
            return Err(Refused::Full);
        }
        let was_empty = queue.bytes == 0;
        queue.append(len, frame);
        drop(queue);
        if was_empty {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Takes no more frames; the writer still gets those that are here.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
    }

    /// Waits for something to write and moves some of it to `batch`. One writer only.
    pub(crate) async fn take(&self, batch: &mut Vec<Bytes>) -> Next {
        loop {
            {
                let mut queue = self.lock();
                if queue.bytes > 0 {
                    queue.take(batch);
                    return Next::Write;
                }
                if queue.closed {
                    return Next::Finish;
                }
            }
            self.ready.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while the lock is held; if something did, the queue would still be in order.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn append(&mut self, len: u32, frame: Bytes) {
        self.bytes += PREFIX + frame.len();
        let copied = if frame.len() < LARGE { PREFIX + frame.len() } else { PREFIX };
        if self.open.capacity() - self.open.len() < copied {
            self.seal();
            // Takes the old buffer again if everything in it has been acknowledged.
            self.open.reserve(BUFFER.max(copied));
        }
        self.open.put_u32_le(len);
        if frame.len() < LARGE {
            self.open.put_slice(&frame);
        } else {
            self.seal();
            self.sealed.push_back(frame);
        }
    }

    fn seal(&mut self) {
        if !self.open.is_empty() {
            self.sealed.push_back(self.open.split().freeze());
        }
    }

    fn take(&mut self, batch: &mut Vec<Bytes>) {
        self.seal();
        let mut taken = 0;
        while taken < TAKE {
            let Some(chunk) = self.sealed.pop_front() else { break };
            taken += chunk.len();
            batch.push(chunk);
        }
        self.bytes -= taken;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Decoder;

    #[tokio::test]
    async fn what_goes_in_comes_out_in_order_and_laid_out_for_the_wire() {
        let outbox = Outbox::new(1 << 20, 1 << 20);
        let frames: Vec<Bytes> =
            (0..200_usize).map(|i| Bytes::from(vec![u8::try_from(i).unwrap(); (i * 97) % 9_000])).collect();
        let mut decoder = Decoder::new(1 << 20, 1 << 20);
        let mut got = Vec::new();
        for frame in &frames {
            while outbox.push(frame.clone()).is_err() {
                drain(&outbox, &mut decoder, &mut got).await;
            }
        }
        outbox.close();
        while drain(&outbox, &mut decoder, &mut got).await == Next::Write {}
        assert_eq!(got, frames);
    }

    #[test]
    fn a_full_queue_refuses_and_stays_as_it_was() {
        let outbox = Outbox::new(100, 64);
        assert_eq!(outbox.push(Bytes::from(vec![0; 60])), Ok(()));
        assert_eq!(outbox.push(Bytes::from(vec![0; 60])), Err(Refused::Full));
        assert_eq!(outbox.push(Bytes::from(vec![0; 65])), Err(Refused::TooLarge));
        assert_eq!(outbox.push(Bytes::from(vec![0; 32])), Ok(()));
        assert_eq!(outbox.lock().bytes, 100);
        outbox.close();
        assert_eq!(outbox.push(Bytes::new()), Err(Refused::Closed));
    }

    async fn drain(outbox: &Outbox, decoder: &mut Decoder, got: &mut Vec<Bytes>) -> Next {
        let mut batch = Vec::new();
        let next = outbox.take(&mut batch).await;
        for chunk in batch {
            decoder.push(chunk, got).unwrap();
        }
        next
    }
}
