//! Ice Age Farmland, through its SDK's pipeline.

use super::land::{Land, fields, full_view};
use super::{Judge, wrong};
use crate::Failure;
use crate::cli::Task;
use crate::meter::{Measured, Meter};
use crate::work::{RECORDS, RIVALS, VIEW, Work};
use client::{Client, Job, Options, Profile, Read, ReadOptions, Success};
use futures_util::future::try_join;
use paxos::NodeId;
use std::path::Path;
use std::time::Instant;
use wire::{Level, Reply};
use world::{CharacterId, Command, Deed, FieldId, Outcome, PlayerName, Rect};

/// Nodes of the cluster that `serve` starts.
const SERVERS: u32 = 3;

/// A name as long as names get: a claim has about 100 bytes in the log and on the wire.
fn player(nth: u64) -> Result<PlayerName, Failure> {
    Ok(format!("a-player-with-a-long-name-{nth:06}").parse()?)
}

/// What the operations are about.
enum Scene {
    Claims(Land),
    Contest { land: Land, field: FieldId },
    Reads { fields: Vec<FieldId>, options: ReadOptions },
    View { view: Rect, answer_bytes: u64 },
}

pub async fn run(task: &Task) -> Result<Measured, Failure> {
    let mut options = Options::default();
    options.requests.max_in_flight = task.in_flight.max(options.requests.max_in_flight);
    let client = Client::connect(Profile::load(Path::new(&task.at))?, options).await?;
    let mut scene = Scene::prepare(task, &client).await?;
    let (meter, judge) = (Meter::new(task.seconds)?, Judge::new(task));
    try_join(drive(task, &client, &mut scene, &meter, &judge), meter.watch(task)).await?;
    client.close().await;
    let answer_bytes = if let Scene::View { answer_bytes, .. } = scene { Some(answer_bytes) } else { None };
    Ok(Measured { answer_bytes, ..meter.measured() })
}

impl Scene {
    async fn prepare(task: &Task, client: &Client) -> Result<Self, Failure> {
        let land = |nth| Land::new(*client.terrain(), nth);
        Ok(match task.work {
            Work::Claims => Self::Claims(land(task.nth)),
            Work::Contested => Self::Contest { land: land(task.nth), field: land(task.nth).next() },
            Work::StrongReads | Work::EventualReads => {
                let mut land = land(0);
                let fields: Vec<FieldId> =
                    std::iter::repeat_with(|| land.next()).take(usize::try_from(RECORDS)?).collect();
                own(client, fields.iter().map(|field| (0, *field))).await?;
                seen_everywhere(client, &fields.iter().map(|field| Read::Field(*field)).collect::<Vec<_>>()).await?;
                let strong = task.work == Work::StrongReads;
                Self::Reads { fields, options: if strong { ReadOptions::strong() } else { ReadOptions::eventual() } }
            }
            Work::Views => {
                let view = full_view(client.terrain()).ok_or("no 32 fields square can all be claimed")?;
                // Nobody may own more than 64 fields of a chunk.
                let owners = fields(view).zip(0_u64..).map(|(field, nth)| (nth / 64, field));
                own(client, owners).await?;
                seen_everywhere(client, &[Read::View(view)]).await?;
                let shown = client.view(view, ReadOptions::strong()).await?;
                let answer_bytes = wire::codec::encode(&Reply::View(shown.fields.into_iter().collect())).len() as u64;
                Self::View { view, answer_bytes }
            }
            Work::Puts | Work::PackedViews => return Err("fields are claimed and looked at, nothing else".into()),
        })
    }

    /// The operation of this number, and the field it is about.
    fn job(&mut self, number: u64) -> Result<(Job, FieldId), Failure> {
        let claim =
            |nth, field| Ok((Job::Do(player(nth)?, Command::Claim { field, character: CharacterId(0) }), field));
        match self {
            Self::Claims(land) => claim(0, land.next()),
            Self::Contest { land, field } => {
                if number.is_multiple_of(RIVALS) {
                    *field = land.next();
                }
                claim(number % RIVALS, *field)
            }
            Self::Reads { fields, options } => {
                let field = fields[usize::try_from(number)? % fields.len()];
                Ok((Job::Ask(Read::Field(field), *options), field))
            }
            Self::View { view, .. } => Ok((Job::Ask(Read::View(*view), ReadOptions::eventual()), view.corner())),
        }
    }

    fn judge(&self, field: FieldId, number: u64, success: &Success, judge: &Judge) -> Result<(), Failure> {
        let key = field.pack();
        match (self, success) {
            (Self::Claims(_) | Self::Contest { .. }, Success::Command { outcome, .. }) => {
                let rival = if matches!(self, Self::Claims(_)) { 0 } else { number % RIVALS };
                match outcome {
                    Outcome::Done { deed: Deed::Claimed, field: view }
                        if view.field == field && view.owner == Some(player(rival)?) =>
                    {
                        judge.claimed(key, true)
                    }
                    Outcome::Rejected(_) => judge.claimed(key, false),
                    other => Err(wrong(other, key)),
                }
            }
            (Self::Reads { .. }, Success::Field { field: view, .. }) if view.field == field && view.owner.is_some() => {
                Ok(())
            }
            (Self::View { .. }, Success::View { fields: owned, .. }) if owned.len() as u64 == VIEW => Ok(()),
            (_, other) => Err(wrong(other, key)),
        }
    }
}

/// A closed loop: what has been answered makes room for the next at once.
async fn drive(task: &Task, client: &Client, scene: &mut Scene, meter: &Meter, judge: &Judge) -> Result<(), Failure> {
    let (submitter, mut completions) = client.pipeline(task.in_flight);
    let mut under_way: Vec<Option<(FieldId, u64, Instant)>> = vec![None; task.in_flight];
    let mut free: Vec<usize> = (0..task.in_flight).rev().collect();
    let mut done = Vec::with_capacity(task.in_flight);
    loop {
        if meter.is_open() {
            let now = Instant::now();
            let mut jobs = Vec::with_capacity(free.len());
            for place in free.drain(..) {
                let number = meter.take(1).start;
                let (job, field) = scene.job(number)?;
                under_way[place] = Some((field, number, now));
                jobs.push((job, place as u64));
            }
            submitter.submit_all(jobs).await?;
        }
        if free.len() == task.in_flight {
            return Ok(());
        }
        done.clear();
        completions.recv_many(&mut done).await;
        let now = Instant::now();
        for completion in &done {
            let place = usize::try_from(completion.tag)?;
            let (field, number, begun) = under_way[place].take().ok_or("an answer came twice")?;
            free.push(place);
            match &completion.result {
                Ok(success) => scene.judge(field, number, success, judge)?,
                Err(failure) => return Err(format!("{field}: {failure}").into()),
            }
            meter.done(begun, now, 1)?;
        }
    }
}

/// Sees to it that these fields are owned, by players of these numbers.
async fn own(client: &Client, owners: impl Iterator<Item = (u64, FieldId)>) -> Result<(), Failure> {
    let claims =
        owners.map(|(nth, field)| Ok((Job::Do(player(nth)?, Command::Claim { field, character: CharacterId(0) }), 0)));
    all(client, claims.collect::<Result<Vec<_>, Failure>>()?).await
}

/// Each node shows this client its own writes there: eventual reads that follow may be late for nobody's fault but ours.
async fn seen_everywhere(client: &Client, reads: &[Read]) -> Result<(), Failure> {
    let nodes = (1..=SERVERS).map(|node| ReadOptions::at(Level::Session).from(NodeId(node)));
    all(client, nodes.flat_map(|options| reads.iter().map(move |read| (Job::Ask(*read, options), 0))).collect()).await
}

/// Does all of that at once.
async fn all(client: &Client, jobs: Vec<(Job, u64)>) -> Result<(), Failure> {
    let (submitter, mut completions) = client.pipeline(jobs.len());
    let mut left = jobs.len();
    submitter.submit_all(jobs).await?;
    while left > 0 {
        completions.recv().await.result.map_err(|failure| failure.to_string())?;
        left -= 1;
    }
    Ok(())
}
