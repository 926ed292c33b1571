//! A run: the players of a profile against a cluster.
//!
//! One task has everything: who acts next, what is under way, what answers are held against. Each of the SDK's clients has a
//! task of its own, and shares nothing with this one but its pipeline.

mod alarm;
mod ending;
pub mod faults;
mod flights;
pub mod servers;
pub mod tally;

use crate::Failure;
use crate::crowd::arrivals::Arrivals;
use crate::crowd::{Crowd, Part};
use crate::profile::{Curve, FaultDeed, Profile};
use crate::show::{Look, Show};
use crate::truth::{Histories, Receipts};
use alarm::Alarm;
use client::{Client, Completion};
use faults::Faults;
use flights::Flights;
use paxos::NodeId;
use servers::{Figures, Server, Spent};
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};
use tally::Tally;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Actions under way at a time in an open loop, all connections together: who finds no room begins late.
const OPEN_IN_FLIGHT: usize = 1 << 15;
/// Between two looks at everything.
const SECOND: Duration = Duration::from_secs(1);
/// Batches of completions that wait for the run.
const BATCHES: usize = 64;
/// A generator that begins 1 of 100 actions later than this does not measure the cluster alone.
const LATE: Duration = Duration::from_millis(5);
/// Nor does one that is behind at the end of more of its seconds than this.
const BEHIND: f64 = 0.1;

/// What a run needs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is done.
    pub profile: Profile,
    /// What chance depends on, and who the players are.
    pub seed: u64,
    /// Which of several generators this is.
    pub part: Part,
    /// The rate over time, in an open loop.
    pub curve: Option<Curve>,
}

/// What a run has shown.
#[derive(Debug)]
pub struct Shown {
    /// What was measured.
    pub tally: Tally,
    /// How long, without the warm-up.
    pub time: Duration,
    /// What all servers used meanwhile, and of that this generator's share; `None` where one of them did not say.
    pub servers: Option<Spent>,
    /// CPU seconds of this process meanwhile.
    pub client_cpu_s: f64,
    /// Attempts that were repeated since the cluster was overloaded.
    pub retries: u64,
    /// What went wrong on purpose, and when, from the end of the warm-up.
    pub faults: Vec<(Duration, FaultDeed, NodeId)>,
    /// Fields looked at again in the end.
    pub verified: usize,
    /// Operations on contested fields for which an order was searched.
    pub ordered: usize,
    /// Somebody ended it early.
    pub interrupted: bool,
    /// The generator could not keep up.
    pub saturated: bool,
    /// Memory that each player takes, in bytes.
    pub bytes_per_player: u64,
}

/// Plays `plan` on the cluster, over a connection for each of `clients`, until it is over or `stop` is done.
pub async fn play(
    plan: &Plan,
    clients: &[Client],
    servers: &[Server],
    show: &mut Show,
    stop: impl Future<Output = ()>,
) -> Result<Shown, Failure> {
    let mut faults = Faults::new(&plan.profile.faults, servers)?;
    let mut run = Run::new(plan, clients)?;
    run.flights.crowd.enter(clients, plan).await?;
    let mut stop = pin!(stop);
    let mut measured = run.measure(servers, &mut faults, show, stop.as_mut()).await?;
    show.event("waiting for the last answers");
    run.drain(plan.profile.run.timeout.0 + SECOND).await?;
    for node in faults.undo()? {
        show.event(&format!("{node} is still down: `icefarm node --config` on its node.toml starts it"));
    }
    show.event("looking again at what was claimed");
    let (verified, ordered) = run.verify(&clients[0], measured.interrupted).await?;
    let tally = run.flights.tally;
    for sentence in &tally.sentences {
        show.event(&format!("WRONG ANSWER: {sentence}"));
    }
    measured.saturated |= Duration::from_micros(tally.late.value_at_quantile(0.99)) > LATE;
    Ok(Shown {
        retries: clients.iter().map(Client::overloads).sum::<u64>() - run.overloads_before,
        tally,
        verified,
        ordered,
        time: measured.time,
        servers: measured.servers.map(|spent| spent.shared_by(plan.part.of)),
        client_cpu_s: measured.client_cpu_s,
        faults: measured.faults,
        interrupted: measured.interrupted,
        saturated: measured.saturated,
        bytes_per_player: run.bytes_per_player,
    })
}

/// How many actions may be under way at a time.
pub fn room(profile: &Profile) -> usize {
    profile.arrival.in_flight.unwrap_or(OPEN_IN_FLIGHT).min(profile.players.count as usize)
}

struct Run {
    flights: Flights,
    completions: mpsc::Receiver<Vec<Completion>>,
    /// They carry completions here.
    lanes: JoinSet<()>,
    begin: Instant,
    warm_up: Duration,
    end: Duration,
    overloads_before: u64,
    bytes_per_player: u64,
}

/// What `Run::measure` has seen.
struct Measured {
    time: Duration,
    servers: Option<Spent>,
    client_cpu_s: f64,
    faults: Vec<(Duration, FaultDeed, NodeId)>,
    interrupted: bool,
    saturated: bool,
}

impl Run {
    fn new(plan: &Plan, clients: &[Client]) -> Result<Self, Failure> {
        let profile = &plan.profile;
        let before = crate::process::resident_bytes(std::process::id())?;
        let crowd = Crowd::new(profile, plan.seed, plan.part, *clients[0].terrain(), &clients[0].rules())?;
        let warm_up = profile.run.warm_up.0;
        let room = room(profile).min(crowd.count() as usize);
        let arrivals = match &plan.curve {
            // Each generator does its part of the whole.
            Some(curve) => {
                let curve = curve.clone().scaled(1.0 / f64::from(plan.part.of));
                Arrivals::open(curve, crowd.count(), plan.seed, warm_up)
            }
            None => Arrivals::closed(crowd.count(), room),
        };
        let used = crate::process::resident_bytes(std::process::id())?.saturating_sub(before);
        let bytes_per_player = used / u64::from(crowd.count()).max(1);
        let histories = Histories::new(crowd.contested());
        let end = warm_up + profile.run.duration.0;
        let (done, completions) = mpsc::channel(BATCHES);
        let mut lanes = JoinSet::new();
        let mut submitters = Vec::new();
        for client in clients {
            let (submitter, mut lane) = client.pipeline(room);
            submitters.push(submitter);
            let done = done.clone();
            lanes.spawn(async move {
                loop {
                    let mut batch = Vec::new();
                    lane.recv_many(&mut batch).await;
                    if done.send(batch).await.is_err() {
                        return;
                    }
                }
            });
        }
        let flights = Flights::new(crowd, arrivals, Receipts::new(clients.len()), histories, submitters, room)
            .measuring(warm_up, end);
        let overloads_before = clients.iter().map(Client::overloads).sum();
        Ok(Self {
            flights,
            completions,
            lanes,
            begin: Instant::now(),
            warm_up,
            end,
            overloads_before,
            bytes_per_player,
        })
    }

    fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    /// The warm-up, and what is measured behind it.
    async fn measure<S: Future<Output = ()>>(
        &mut self,
        servers: &[Server],
        faults: &mut Faults,
        show: &mut Show,
        mut stop: Pin<&mut S>,
    ) -> Result<Measured, Failure> {
        let alarm = Alarm::new()?;
        let mut watch = Watch::new(servers).await;
        let (mut first, mut client_cpu_s) = (None, 0.0);
        let mut happened = Vec::new();
        let (mut interrupted, mut behind) = (false, 0_u32);
        self.begin = Instant::now();
        let mut next_second = SECOND;
        while self.now() < self.end && !interrupted {
            let now = self.now();
            if first.is_none() && now >= self.warm_up {
                first = Some(servers::all(servers).await);
                client_cpu_s = crate::process::cpu_seconds(std::process::id())?;
            }
            if now >= next_second {
                next_second += SECOND;
                behind += u32::from(self.flights.is_behind(now, LATE));
                let second = self.flights.tick(now);
                show.second(&Look {
                    second: &second,
                    warm: Duration::from_secs(second.nth.into()) >= self.warm_up,
                    servers,
                    figures: &watch.figures,
                    doing: self.flights.doing(),
                    players: self.flights.crowd.count(),
                    wrong: self.flights.tally.wrong,
                    errors: self.flights.tally.errors.iter().map(|(reason, count)| (*reason, *count)).collect(),
                });
                watch.look();
            }
            let since = now.saturating_sub(self.warm_up);
            for (deed, node) in if now >= self.warm_up { faults.due(since)? } else { Vec::new() } {
                show.event(&format!("{} {node}", deed.word()));
                happened.push((since, deed, node));
            }
            self.flights.begin_due(now).await?;
            let fault = faults.next().map(|at| self.warm_up + at);
            let warm = first.is_none().then_some(self.warm_up);
            let wake = [self.flights.wake(), fault, warm].into_iter().flatten();
            let wake = wake.fold(next_second.min(self.end), Duration::min);
            let pause = wake.saturating_sub(self.now());
            tokio::select! {
                biased;
                batch = self.completions.recv() => self.hear(batch).await?,
                () = watch.looked() => {}
                () = &mut stop => interrupted = true,
                rung = alarm.after(pause) => rung?,
            }
            while let Ok(batch) = self.completions.try_recv() {
                self.hear(Some(batch)).await?;
            }
        }
        let time = self.now().saturating_sub(self.warm_up);
        self.flights.ends(self.now());
        let last = servers::all(servers).await;
        Ok(Measured {
            time,
            servers: first.and_then(|first| servers::spent(&first, &last)),
            client_cpu_s: crate::process::cpu_seconds(std::process::id())? - client_cpu_s,
            faults: happened,
            interrupted,
            saturated: f64::from(behind) > BEHIND * self.end.as_secs_f64(),
        })
    }

    async fn hear(&mut self, batch: Option<Vec<Completion>>) -> Result<(), Failure> {
        let now = self.now();
        self.flights.hear(batch.unwrap_or_default(), now).await
    }

    /// Waits for what is still under way; what is not answered by then counts as an error.
    async fn drain(&mut self, patience: Duration) -> Result<(), Failure> {
        let patience = tokio::time::sleep(patience);
        let mut patience = pin!(patience);
        while self.flights.in_flight() > 0 {
            tokio::select! {
                batch = self.completions.recv() => self.hear(batch).await?,
                () = &mut patience => break,
            }
        }
        self.flights.write_off();
        self.lanes.abort_all();
        Ok(())
    }
}

/// Looks at the nodes' metrics now and then, without keeping anybody waiting.
struct Watch {
    figures: Vec<Option<Figures>>,
    servers: Vec<Server>,
    looking: JoinSet<Vec<Option<Figures>>>,
}

impl Watch {
    async fn new(servers: &[Server]) -> Self {
        Self { figures: servers::all(servers).await, servers: servers.to_vec(), looking: JoinSet::new() }
    }

    /// Begins to look, unless the last look has not ended.
    fn look(&mut self) {
        if self.looking.is_empty() {
            let servers = self.servers.clone();
            self.looking.spawn(async move { servers::all(&servers).await });
        }
    }

    /// When a look has ended.
    async fn looked(&mut self) {
        match self.looking.join_next().await {
            Some(Ok(figures)) => self.figures = figures,
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }
}
