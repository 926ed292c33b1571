//! What is counted of a closed loop: what ends behind the warm-up and before the end.

use crate::cli::Task;
use crate::{Failure, process};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Not counted, while connections and batches find their size.
const WARM_UP: Duration = Duration::from_secs(1);

/// What one peer did at one depth.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Operations a second.
    pub per_s: f64,
    /// Half took no longer, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// CPU seconds of all servers for 1,000 operations.
    pub servers_cpu: f64,
    /// CPU seconds of the client for 1,000 operations.
    pub client_cpu: f64,
    /// Bytes of one answer, where that is what matters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answer_bytes: Option<u64>,
}

impl Measured {
    /// Only how many.
    pub fn rate(per_s: f64) -> Self {
        Self { per_s, p50_ms: 0.0, p99_ms: 0.0, servers_cpu: 0.0, client_cpu: 0.0, answer_bytes: None }
    }
}

/// Counts.
#[derive(Debug)]
pub struct Meter {
    from: Instant,
    to: Instant,
    next: Cell<u64>,
    done: Cell<u64>,
    latency: RefCell<Histogram<u64>>,
    /// For 1,000 operations: servers', client's.
    cpu: Cell<(f64, f64)>,
}

impl Meter {
    /// From now on.
    pub fn new(seconds: u64) -> Result<Self, Failure> {
        let from = Instant::now() + WARM_UP;
        let to = from + Duration::from_secs(seconds);
        let latency = RefCell::new(Histogram::new(3)?);
        Ok(Self { from, to, next: Cell::new(0), done: Cell::new(0), latency, cpu: Cell::default() })
    }

    /// Whether more is to be begun.
    pub fn is_open(&self) -> bool {
        Instant::now() < self.to
    }

    /// Numbers for so many operations: none is given out twice.
    pub fn take(&self, count: u64) -> Range<u64> {
        let first = self.next.get();
        self.next.set(first + count);
        first..first + count
    }

    /// So many that were begun then have been answered now.
    pub fn done(&self, begun: Instant, now: Instant, count: u64) -> Result<(), Failure> {
        if (self.from..self.to).contains(&now) {
            self.done.set(self.done.get() + count);
            let micros = u64::try_from((now - begun).as_micros())?.max(1);
            self.latency.borrow_mut().record_n(micros, count)?;
        }
        Ok(())
    }

    /// Watches the CPU of servers and client while it is counted.
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    pub async fn watch(&self, task: &Task) -> Result<(), Failure> {
        let own = [std::process::id()];
        tokio::time::sleep_until(self.from.into()).await;
        let (servers, client, done) =
            (process::cpu_seconds(&task.servers)?, process::cpu_seconds(&own)?, self.done.get());
        tokio::time::sleep_until(self.to.into()).await;
        let thousands = (self.done.get() - done).max(1) as f64 / 1e3;
        let cpu = |roots: &[u32], before: f64| Ok::<f64, Failure>((process::cpu_seconds(roots)? - before) / thousands);
        self.cpu.set((cpu(&task.servers, servers)?, cpu(&own, client)?));
        Ok(())
    }

    /// What came of it.
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn measured(&self) -> Measured {
        let latency = self.latency.borrow();
        let ms = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
        let (servers_cpu, client_cpu) = self.cpu.get();
        Measured {
            per_s: self.done.get() as f64 / (self.to - self.from).as_secs_f64(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            servers_cpu,
            client_cpu,
            answer_bytes: None,
        }
    }
}
