//! One connection once both sides have agreed to talk: a stream, its queue, its reader and its writer.

use crate::close::{CloseCode, Closed, close};
use crate::event::{Event, Gone, Inbox, Source};
use crate::frame::{Decoder, FrameTooLarge, OPENING};
use crate::outbox::{Next, Outbox, Refused};
use crate::stats::Counters;
use bytes::Bytes;
use quinn::{Connection, ConnectionError, ReadError, ReadExactError, RecvStream, SendStream, WriteError};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a connection that is being closed may take to deliver its last frames and its reason.
const GOODBYE: Duration = Duration::from_secs(1);
/// Chunks taken from a stream at a time.
const CHUNKS: usize = 32;

/// The sending side of a live connection, shared by all who send on it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) connection: Connection,
    outbox: Outbox,
    /// Why this side will close the connection when the queue is empty.
    farewell: Mutex<Option<(CloseCode, String)>>,
    /// Large frames on streams of their own that may be under way.
    bulk: Arc<Semaphore>,
}

/// Large frames under way on one connection, each on a stream of its own.
pub(crate) const BULK: u8 = 4;
/// They give way to everything else on the connection.
const BULK_PRIORITY: i32 = -1;

impl Link {
    pub(crate) fn new(connection: Connection, queue: usize, max_frame: usize) -> Arc<Self> {
        Arc::new(Self {
            connection,
            outbox: Outbox::new(queue, max_frame),
            farewell: Mutex::new(None),
            bulk: Arc::new(Semaphore::new(BULK.into())),
        })
    }

    pub(crate) fn send(&self, frame: Bytes) -> Result<(), Refused> {
        self.outbox.push(frame)
    }

    /// Sends a large frame on a stream of its own, so that nothing waits behind it. Refused while several are under way.
    pub(crate) fn send_bulk(&self, frame: Bytes) -> Result<(), Refused> {
        let Ok(permit) = self.bulk.clone().try_acquire_owned() else { return Err(Refused::Full) };
        let connection = self.connection.clone();
        tokio::spawn(async move {
            // A connection that ends takes the frame with it; whoever misses it asks again.
            if let Ok(mut stream) = connection.open_uni().await {
                let _ = stream.set_priority(BULK_PRIORITY);
                if stream.write_all(&frame).await.is_ok() && stream.finish().is_ok() {
                    let _ = stream.stopped().await;
                }
            }
            drop(permit);
        });
        Ok(())
    }

    /// Sends what is queued, if the other side takes it soon, then closes with a reason. Further frames are refused.
    pub(crate) fn say_goodbye(&self, code: CloseCode, reason: impl Into<String>) {
        self.farewell.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| (code, reason.into()));
        self.outbox.close();
    }

    /// Closes with a reason; what is queued is lost.
    pub(crate) fn hang_up(&self, code: CloseCode, reason: &str) {
        close(&self.connection, code, &reason);
        self.outbox.close();
    }

    fn is_leaving(&self) -> bool {
        self.farewell.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    async fn write_all(&self, stream: &mut SendStream, batch: &mut [Bytes]) -> Written {
        let mut write = pin!(stream.write_all_chunks(batch));
        loop {
            match timeout(GOODBYE, &mut write).await {
                Ok(Ok(())) => return Written::Yes,
                Ok(Err(_)) => return Written::Lost,
                Err(_) if self.is_leaving() => return Written::TooSlow,
                Err(_) => {}
            }
        }
    }

    /// Writes what is queued until the connection or the queue ends; closes the connection in the latter case.
    pub(crate) async fn write(self: Arc<Self>, mut stream: SendStream) {
        let mut batch = Vec::new();
        while self.outbox.take(&mut batch).await == Next::Write {
            match self.write_all(&mut stream, &mut batch).await {
                Written::Yes => batch.clear(),
                // The reader sees the same error and reports it.
                Written::Lost => return,
                Written::TooSlow => break,
            }
        }
        // (On a connection that is closed already, quinn would hold its last words back until the network has room for the end of
        // the stream as well; and no room is made any more.)
        let open = self.connection.close_reason().is_none();
        if open && batch.is_empty() && stream.finish().is_ok() {
            // Either outcome ends here: everything arrived, or there was time enough for it.
            let _ = timeout(GOODBYE, stream.stopped()).await;
        }
        let farewell = self.farewell.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (code, reason) = farewell.unwrap_or((CloseCode::Requested, "finished".to_owned()));
        close(&self.connection, code, &reason);
    }
}

/// What came of writing.
enum Written {
    Yes,
    /// The connection is lost.
    Lost,
    /// It is to be closed, and the other side does not take what is left.
    TooSlow,
}

/// Opens the stream, on the dialling side. Once this succeeds, the other side has let us in.
pub(crate) async fn open(connection: &Connection) -> Result<(SendStream, RecvStream), Closed> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(&OPENING).await.map_err(not_written)?;
    expect_opening(&mut receive).await?;
    Ok((send, receive))
}

/// Takes the stream that the other side opens, on the accepting side, and lets it in.
pub(crate) async fn accept(connection: &Connection) -> Result<(SendStream, RecvStream), Closed> {
    let (mut send, mut receive) = connection.accept_bi().await?;
    expect_opening(&mut receive).await?;
    send.write_all(&OPENING).await.map_err(not_written)?;
    Ok((send, receive))
}

async fn expect_opening(stream: &mut RecvStream) -> Result<(), Closed> {
    let mut opening = [0xff; OPENING.len()];
    match stream.read_exact(&mut opening).await {
        Ok(()) if opening == OPENING => Ok(()),
        Ok(()) => Err(Closed {
            code: Some(CloseCode::BadFrame),
            reason: format!("the stream begins with {opening:02x?}, not with an empty frame"),
        }),
        Err(ReadExactError::ReadError(ReadError::ConnectionLost(error))) => Err(error.into()),
        Err(error) => Err(Closed::because(error.to_string())),
    }
}

fn not_written(error: WriteError) -> Closed {
    match error {
        WriteError::ConnectionLost(error) => error.into(),
        other => Closed::because(other.to_string()),
    }
}

/// Why no more frames come.
#[derive(Debug)]
pub(crate) enum End {
    /// The other side has finished its stream; its reason is about to follow.
    Finished,
    /// The connection is gone.
    Lost(ConnectionError),
    /// A frame over the limit.
    TooLarge(FrameTooLarge),
}

/// Reads frames from a stream.
#[derive(Debug)]
pub(crate) struct FrameReader {
    stream: RecvStream,
    decoder: Decoder,
    chunks: Vec<Bytes>,
}

impl FrameReader {
    pub(crate) fn new(stream: RecvStream, first_frame: usize, max_frame: usize) -> Self {
        Self { stream, decoder: Decoder::new(first_frame, max_frame), chunks: vec![Bytes::new(); CHUNKS] }
    }

    /// Waits for data and appends the frames that it completes: perhaps none. Dropping the future loses nothing.
    pub(crate) async fn read(&mut self, frames: &mut Vec<Bytes>) -> Result<(), End> {
        let count = match self.stream.read_chunks(&mut self.chunks).await {
            Ok(Some(count)) => count,
            Ok(None) | Err(ReadError::Reset(_) | ReadError::ClosedStream) => return Err(End::Finished),
            Err(ReadError::ConnectionLost(error)) => return Err(End::Lost(error)),
            Err(ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected) => {
                unreachable!("this stream is read in order only, and 0-RTT is never used")
            }
        };
        for chunk in &mut self.chunks[..count] {
            self.decoder.push(std::mem::take(chunk), frames).map_err(End::TooLarge)?;
        }
        Ok(())
    }
}

/// What the accepting and the dialling side of a node do with a connection that is up.
pub(crate) struct Session<'a> {
    pub(crate) inbox: &'a Inbox,
    pub(crate) counters: &'a Counters,
    pub(crate) source: Source,
    /// The longest first frame, and the longest of the others.
    pub(crate) first_frame: usize,
    pub(crate) max_frame: usize,
}

impl Session<'_> {
    /// Announces the connection, moves frames until it ends, announces the end. Says why it ended, or that nobody takes
    /// events any more.
    pub(crate) async fn run(
        &self,
        link: &Arc<Link>,
        (send, receive): (SendStream, RecvStream),
        up: Event,
        down: Event,
    ) -> Result<Closed, Gone> {
        self.inbox.push(self.source, up).await.inspect_err(|Gone| stopping(link))?;
        let writer = tokio::spawn(link.clone().write(send));
        let closed = tokio::select! {
            closed = self.read(link, receive) => closed,
            // Ends only with the connection, or when nobody takes events: the other then says why.
            Err(Gone) = self.read_bulk(link) => Err(Gone),
        };
        link.outbox.close();
        writer.abort();
        self.inbox.push(self.source, down).await?;
        closed
    }

    /// Takes large frames on streams of their own, one after the other.
    async fn read_bulk(&self, link: &Link) -> Result<(), Gone> {
        while let Ok(mut stream) = link.connection.accept_uni().await {
            match stream.read_to_end(self.max_frame).await {
                Ok(frame) => {
                    self.counters.frames_in.add(1);
                    self.counters.bytes_in.add(frame.len());
                    self.inbox
                        .push_frames(self.source, &mut vec![Bytes::from(frame)])
                        .await
                        .inspect_err(|Gone| stopping(link))?;
                }
                Err(error) => {
                    self.counters.bad_frames.add(1);
                    tracing::debug!(%error, "a large frame was not taken");
                }
            }
        }
        std::future::pending().await
    }

    async fn read(&self, link: &Link, receive: RecvStream) -> Result<Closed, Gone> {
        let mut reader = FrameReader::new(receive, self.first_frame, self.max_frame);
        let mut frames = Vec::new();
        loop {
            let end = reader.read(&mut frames).await;
            if link.is_leaving() {
                frames.clear();
            }
            if !frames.is_empty() {
                self.counters.frames_in.add(frames.len());
                self.counters.bytes_in.add(frames.iter().map(Bytes::len).sum());
                self.inbox.push_frames(self.source, &mut frames).await.inspect_err(|Gone| stopping(link))?;
            }
            match end {
                Ok(()) => {}
                Err(End::Lost(error)) => return Ok(error.into()),
                Err(End::Finished) => return Ok(last_words(&link.connection).await),
                Err(End::TooLarge(error)) => {
                    self.counters.bad_frames.add(1);
                    link.hang_up(CloseCode::BadFrame, &error.to_string());
                    return Ok(Closed::because(error.to_string()));
                }
            }
        }
    }
}

fn stopping(link: &Link) {
    link.hang_up(CloseCode::Shutdown, "this node stops");
}

/// After the other side has finished its stream: why it goes.
pub(crate) async fn last_words(connection: &Connection) -> Closed {
    if let Ok(error) = timeout(GOODBYE, connection.closed()).await {
        return error.into();
    }
    close(connection, CloseCode::Requested, &"finished");
    Closed::ended_by_peer()
}
