//! Reads: under a lease, confirmed by a quorum, and eventual, beside an echo over the same transport.

use crate::bench::claims::{self, Until};
use crate::bench::floors;
use crate::bench::report::{figure, median, ratio};
use crate::bulk;
use crate::cli::ReadsArgs;
use crate::cluster::{Cluster, Shape};
use crate::crowd::fresh::FreshLand;
use crate::{Failure, WrongAnswer};
use client::{Client, Job, Read, ReadOptions, Success};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::{Duration, Instant};
use world::FieldId;

/// Fields read, in turn.
const FIELDS: u64 = 4_096;
/// Not counted, in each run.
const WARM_UP: Duration = Duration::from_millis(500);

/// What reads of one kind came to.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Figures {
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Frames between the nodes, for each 1,000 reads.
    frames_per_1000: f64,
}

#[derive(Debug, Serialize)]
struct Row {
    in_flight: usize,
    lease: Figures,
    confirmed: Figures,
    eventual: Figures,
    echo: Figures,
    /// Of the lease's p50 to the confirmed one's.
    p50_to_confirmed: f64,
    /// Of the lease's rate to the echo's.
    rate_to_echo: f64,
}

/// One cluster, the fields that are owned there, and who reads them.
struct Subject {
    cluster: Cluster,
    client: Client,
    fields: Vec<FieldId>,
}

impl Subject {
    async fn prepare(mut cluster: Cluster, leases: bool) -> Result<Self, Failure> {
        if !leases {
            cluster.stop_all()?;
            cluster.configure("timing", "leases", "false")?;
            cluster.up_again()?;
        }
        let client = cluster.connect().await?;
        let mut land = FreshLand::new(*client.terrain(), 0);
        let fields = land.take(usize::try_from(FIELDS)?);
        let mut land = FreshLand::new(*client.terrain(), 0);
        claims::closed_loop(&client, &mut land, 32, 256, Until::Count(FIELDS)).await?;
        Ok(Self { cluster, client, fields })
    }

    async fn read(&self, options: ReadOptions, depth: usize, time: Duration) -> Result<Figures, Failure> {
        let begin = Instant::now();
        let (warm, end) = (begin + WARM_UP, begin + WARM_UP + time);
        // (Asking the clock costs as much as a good part of a read.)
        let open = |(nth, _): &(usize, &FieldId)| !nth.is_multiple_of(32) || Instant::now() < end;
        let jobs = self.fields.iter().cycle().enumerate().take_while(open);
        let jobs = jobs.map(|(_, field)| (Job::Ask(Read::Field(*field), options), *field));
        let mut latency = Histogram::<u64>::new(3)?;
        let before = self.cluster.peer_frames(&self.client).await?;
        let mut all = 0_u64;
        bulk::run(&self.client, depth, jobs, |expected, success, took| {
            match success {
                Success::Field { field, .. } if field.field == expected && field.owner.is_some() => {}
                other => return Err(WrongAnswer(format!("{expected} is owned, and was read as {other:?}")).into()),
            }
            all += 1;
            if (warm..end).contains(&took.ended) {
                latency.record(u64::try_from(took.time().as_micros())?.max(1))?;
            }
            Ok(())
        })
        .await?;
        let frames = self.cluster.peer_frames(&self.client).await? - before;
        let ms = |quantile| figure(latency.value_at_quantile(quantile)) / 1e3;
        Ok(Figures {
            per_s: figure(latency.len()) / time.as_secs_f64(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            frames_per_1000: figure(frames) * 1e3 / figure(all.max(1)),
        })
    }
}

/// Measures so many rounds.
pub async fn bench(args: &ReadsArgs) -> Result<(), Failure> {
    let name = |word: &str| args.common.data.as_ref().map(|data| data.join(word));
    let leased = Subject::prepare(Cluster::start(name("leases"), Shape::default())?, true).await?;
    let unleased = Subject::prepare(Cluster::start(name("no-leases"), Shape::default())?, false).await?;
    let time = Duration::from_secs(args.seconds);
    let mut rows = Vec::new();
    for &depth in &args.in_flight {
        let depth = depth.max(1);
        let (mut lease, mut confirmed, mut eventual, mut echo) = (vec![], vec![], vec![], vec![]);
        for round in 1..=args.rounds {
            eprintln!("reads: {depth} in flight, round {round} of {}", args.rounds);
            lease.push(leased.read(ReadOptions::strong(), depth, time).await?);
            confirmed.push(unleased.read(ReadOptions::strong(), depth, time).await?);
            eventual.push(leased.read(ReadOptions::eventual(), depth, time).await?);
            let floor = floors::echo(depth).await?;
            let (per_s, p50_ms, p99_ms) = (floor.per_second, floor.p50_ms, floor.p99_ms);
            echo.push(Figures { per_s, p50_ms, p99_ms, frames_per_1000: 0.0 });
        }
        let p50_to_confirmed = ratio(&lease, &confirmed, |figures| figures.p50_ms);
        let rate_to_echo = ratio(&lease, &echo, |figures| figures.per_s);
        let [lease, confirmed, eventual, echo] = [lease, confirmed, eventual, echo].map(|runs| middle(&runs));
        rows.push(Row { in_flight: depth, lease, confirmed, eventual, echo, p50_to_confirmed, rate_to_echo });
    }
    for subject in [leased, unleased] {
        subject.client.close().await;
        subject.cluster.stop()?;
    }
    if args.common.json {
        println!("{}", serde_json::json!({ "rounds": args.rounds, "reads": serde_json::to_value(&rows)? }));
    } else {
        print(&rows);
    }
    Ok(())
}

fn middle(runs: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| median(runs.iter().map(figure));
    Figures {
        per_s: of(|run| run.per_s),
        p50_ms: of(|run| run.p50_ms),
        p99_ms: of(|run| run.p99_ms),
        frames_per_1000: of(|run| run.frames_per_1000),
    }
}

fn print(rows: &[Row]) {
    println!("one field a read; medians");
    println!(
        "{:>9} {:>10} {:>10} {:>9} {:>9} {:>22}",
        "in flight", "reads", "a second", "p50 ms", "p99 ms", "peer frames per 1,000"
    );
    for row in rows {
        let kinds =
            [("lease", row.lease), ("confirmed", row.confirmed), ("eventual", row.eventual), ("echo", row.echo)];
        for (kind, figures) in kinds {
            let Figures { per_s, p50_ms, p99_ms, frames_per_1000 } = figures;
            println!(
                "{:>9} {kind:>10} {per_s:>10.0} {p50_ms:>9.3} {p99_ms:>9.3} {frames_per_1000:>22.2}",
                row.in_flight
            );
        }
        println!(
            "{:>9} under a lease: p50 {:.2} times that of a confirmed read, {:.2} times the echo's rate",
            row.in_flight, row.p50_to_confirmed, row.rate_to_echo
        );
    }
}
