//! The floor: what an echo over this transport costs on this machine, with nothing behind it.
//!
//! A node that only echoes runs on a thread and runtime of its own; a client keeps a number of small messages in flight.
//! No answer of a real node can come faster, so benchmarks print this beside their own figures.

use crate::{
    ClientConnection, ClientEndpoint, Closed, ClusterCa, ClusterCert, ClusterId, ConnectError, Event, EventReceiver,
    IdentityError, NodeIdentity, Transport, TransportConfig, TransportError,
};
use bytes::{BufMut, Bytes, BytesMut};
use paxos::NodeId;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The length of an echoed message in bytes.
pub const MESSAGE: usize = 128;

/// Messages not counted while buffers, datagram sizes and congestion windows find their level, as a share of the time.
const WARM_UP: f64 = 0.2;

/// What an echo costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EchoReport {
    /// Messages in flight at a time.
    pub in_flight: usize,
    /// Round trips counted.
    pub messages: u64,
    /// Bytes of all answers, counted or not, for each of them.
    pub answer_bytes: u64,
    /// Round trips per second.
    pub per_second: f64,
    /// Half of the round trips took no longer.
    pub p50: Duration,
    /// 99 % of the round trips took no longer.
    pub p99: Duration,
}

impl fmt::Display for EchoReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { in_flight, per_second, p50, p99, .. } = self;
        let (p50, p99) = (p50.as_secs_f64() * 1e6, p99.as_secs_f64() * 1e6);
        write!(f, "{in_flight:>6} in flight {per_second:>12.0}/s   p50 {p50:>8.1} us   p99 {p99:>8.1} us")
    }
}

/// Why the floor could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    /// No identity could be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No socket, or no TLS.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The client did not get through.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke.
    #[error("the echo broke off: {0}")]
    Closed(#[from] Closed),
    /// No thread, or no runtime for it.
    #[error("cannot start the echoing node: {0}")]
    Thread(#[from] io::Error),
    /// The echoing node went away.
    #[error("the echoing node ended before it had begun")]
    Ended,
    /// Nothing came back in the time given.
    #[error("no message came back within {0:?}")]
    Silent(Duration),
}

/// Echoes messages of [`MESSAGE`] bytes for a while, `in_flight` (at least one) at a time. Call it inside a tokio
/// runtime.
pub async fn echo_floor(in_flight: usize, time: Duration) -> Result<EchoReport, FloorError> {
    answer_floor(in_flight, MESSAGE, time).await
}

/// The same with answers of so many bytes, which are ready: what nothing that is looked up can beat.
pub async fn answer_floor(in_flight: usize, bytes: usize, time: Duration) -> Result<EchoReport, FloorError> {
    let node = NodeId(1);
    let ca = ClusterCa::create(ClusterId(0xEC40))?;
    let (addr, stop) = start_node(ca.issue_node(node)?, bytes).await?;
    let report = measure(ca.cert(), addr, node, in_flight.max(1), time).await;
    drop(stop);
    report
}

/// Starts the echoing node; it ends when the sender is dropped.
async fn start_node(identity: NodeIdentity, bytes: usize) -> Result<(SocketAddr, oneshot::Sender<()>), FloorError> {
    let (stop, stopped) = oneshot::channel();
    let (started, start) = oneshot::channel();
    std::thread::Builder::new().name("echo".to_owned()).spawn(move || {
        let node = || -> Result<_, FloorError> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
            let context = runtime.enter();
            let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let (transport, events) = Transport::bind(TransportConfig::new(identity, listen, Vec::new()))?;
            drop(context);
            let addr = transport.local_addr()?;
            Ok((runtime, transport, events, addr))
        };
        match node() {
            Ok((runtime, transport, events, addr)) => {
                if started.send(Ok(addr)).is_ok() {
                    runtime.block_on(async {
                        tokio::select! {
                            () = echo(&transport, events, bytes) => {}
                            _ = stopped => {}
                        }
                    });
                }
            }
            // Nobody waits any more: nobody to tell.
            Err(error) => drop(started.send(Err(error))),
        }
    })?;
    let addr = start.await.map_err(|_| FloorError::Ended)??;
    Ok((addr, stop))
}

async fn echo(transport: &Transport, mut events: EventReceiver, bytes: usize) {
    let mut turn = Vec::new();
    let ready = (bytes != MESSAGE).then(|| Bytes::from(vec![0x5a; bytes]));
    while events.recv_many(&mut turn, 4_096).await > 0 {
        for event in turn.drain(..) {
            if let Event::ClientFrame { conn, frame } = event {
                // A client that has gone in between does not miss its echo.
                let _ = transport.send_client(conn, ready.clone().unwrap_or(frame));
            }
        }
    }
}

async fn measure(
    cert: &ClusterCert,
    addr: SocketAddr,
    node: NodeId,
    in_flight: usize,
    time: Duration,
) -> Result<EchoReport, FloorError> {
    let endpoint = ClientEndpoint::new(cert)?;
    let connection = endpoint.connect(addr, node).await?;
    let report = tokio::time::timeout(time * 2 + Duration::from_secs(2), ping(connection, in_flight, time)).await;
    report.map_err(|_| FloorError::Silent(time))?
}

async fn ping(connection: ClientConnection, in_flight: usize, time: Duration) -> Result<EchoReport, FloorError> {
    let (sender, mut receiver) = connection.split();
    let begin = Instant::now();
    let counted_from = begin + time.mul_f64(WARM_UP);
    let end = begin + time;
    let mut latencies = Latencies::new();
    // When those under way were sent: they come back in order.
    let mut stamps = VecDeque::with_capacity(in_flight);
    let mut buffer = BytesMut::new();
    let mut frames: Vec<Bytes> = Vec::new();
    let mut to_send = in_flight;
    let (mut answers, mut bytes) = (0_u64, 0_u64);
    let mut now = begin;
    while now < end {
        buffer.reserve(to_send * MESSAGE);
        for _ in 0..to_send {
            stamps.push_back(now);
            buffer.put_bytes(0x5a, MESSAGE);
            if sender.send(buffer.split().freeze()).is_err() {
                return Err(FloorError::Closed(Closed::because("the queue did not take a message")));
            }
        }
        to_send = receiver.recv_many(&mut frames).await?;
        now = Instant::now();
        for sent in stamps.drain(..to_send) {
            if now >= counted_from {
                latencies.add(nanos(now - sent));
            }
        }
        answers += to_send as u64;
        bytes += frames.drain(..).map(|frame| frame.len() as u64).sum::<u64>();
    }
    let counted = now.saturating_duration_since(counted_from).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a count of seconds' work is far below 2^52")]
    let per_second = latencies.count as f64 / counted.max(f64::MIN_POSITIVE);
    Ok(EchoReport {
        in_flight,
        messages: latencies.count,
        answer_bytes: bytes / answers.max(1),
        per_second,
        p50: latencies.quantile(50),
        p99: latencies.quantile(99),
    })
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Counts per bucket; 32 buckets for every doubling, so a figure is at most 3 % off.
struct Latencies {
    buckets: Vec<u64>,
    count: u64,
}

const STEPS: u32 = 5;

impl Latencies {
    fn new() -> Self {
        Self { buckets: vec![0; 64 << STEPS], count: 0 }
    }

    fn add(&mut self, nanos: u64) {
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
    }

    fn quantile(&self, percent: u64) -> Duration {
        let mut left = self.count * percent / 100;
        for (bucket, &count) in self.buckets.iter().enumerate() {
            if left < count {
                return Duration::from_nanos(lower_bound(bucket));
            }
            left -= count;
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    let shift = (64 - STEPS - 1).saturating_sub(nanos.leading_zeros());
    let index = (u64::from(shift) << STEPS) + (nanos >> shift);
    usize::try_from(index).expect("below 64 buckets of 32 steps")
}

fn lower_bound(bucket: usize) -> u64 {
    let shift = (bucket >> STEPS).saturating_sub(1);
    let step = bucket - (shift << STEPS);
    (step as u64) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_at_most_three_percent_wide() {
        for nanos in [0, 1, 31, 32, 63, 64, 100, 1_000, 123_456, 1 << 40, u64::MAX >> 1] {
            let low = lower_bound(bucket(nanos));
            assert!(low <= nanos && nanos - low <= nanos / 32, "{nanos} is counted as {low}");
        }
    }

    #[tokio::test]
    async fn an_echo_comes_back() {
        let report = echo_floor(16, Duration::from_millis(300)).await.unwrap();
        assert!(report.messages > 100 && report.p50 > Duration::ZERO && report.p50 <= report.p99, "{report}");
        let longer = answer_floor(16, 20_000, Duration::from_millis(300)).await.unwrap();
        assert!(longer.messages > 100, "{longer}");
        assert_eq!((report.answer_bytes, longer.answer_bytes), (MESSAGE as u64, 20_000));
    }
}
