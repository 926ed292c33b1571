//! The same land over and over: claimed, planted, harvested, abandoned. What is on disk and in memory must level off.

use crate::bench::report::figure;
use crate::bulk;
use crate::cli::SoakArgs;
use crate::cluster::{Cluster, Shape};
use crate::crowd::fresh::FreshLand;
use crate::{Failure, WrongAnswer};
use client::{Client, Job, Success};
use serde::Serialize;
use std::time::Instant;
use world::{CharacterId, Command, CropId, Deed, FieldId, Outcome, PlayerName};

/// Commands in flight.
const DEPTH: usize = 4_096;
/// Names who share the land, since one may hold so many fields of a chunk only.
const PLAYER: &str = "scrat";
/// A crop that is ripe when its time to be harvested comes.
const RIPENS: (&str, &str) = ("ripens_after = \"20s\"", "ripens_after = \"1s\"");

/// The command that does it.
type ToField = fn(FieldId) -> Command;

/// After one deed was done to every field.
#[derive(Debug, Serialize)]
struct Look {
    round: u32,
    deed: &'static str,
    commands: u64,
    per_s: f64,
    /// Of the largest node.
    memory_mb: f64,
    /// Of all nodes.
    disk_mb: f64,
}

/// Does everything so many times; says where disk and memory stand after each.
pub async fn run(args: &SoakArgs) -> Result<(), Failure> {
    let world = crate::cluster::edited_world(RIPENS)?;
    let cluster = Cluster::start(args.common.data.clone(), Shape { world: Some(world), ..Shape::default() })?;
    let client = cluster.connect().await?;
    let player: PlayerName = PLAYER.parse()?;
    client.player(PLAYER)?.register().await?;
    let fields = FreshLand::new(*client.terrain(), 0).take(usize::try_from(args.fields)?);
    let mut looks: Vec<Look> = Vec::new();
    let deeds: [(&str, Deed, ToField); 4] = [
        ("claim", Deed::Claimed, |field| Command::Claim { field, character: CharacterId(0) }),
        ("plant", Deed::Planted, |field| Command::Plant { field, crop: CropId(0) }),
        ("harvest", Deed::Harvested(world::Acorns(0)), |field| Command::Harvest { field }),
        ("abandon", Deed::Abandoned, |field| Command::Abandon { field }),
    ];
    if !args.common.json {
        println!(
            "{:>5} {:>8} {:>11} {:>11} {:>16} {:>12}",
            "round", "deed", "commands", "a second", "largest node MB", "disk MB"
        );
    }
    for round in 1..=args.rounds {
        for (word, deed, command) in deeds {
            let look = one(&cluster, &client, (round, word, deed), &fields, |field| Job::Do(player, command(field)));
            let mut look = look.await?;
            look.commands += looks.last().map_or(0, |last| last.commands);
            if !args.common.json {
                let Look { round, deed, commands, per_s, memory_mb, disk_mb } = &look;
                println!("{round:>5} {deed:>8} {commands:>11} {per_s:>11.0} {memory_mb:>16.0} {disk_mb:>12.0}");
            }
            looks.push(look);
        }
    }
    client.close().await;
    cluster.stop()?;
    let most =
        |round: u32, of: fn(&Look) -> f64| looks.iter().filter(|look| look.round == round).map(of).fold(0.0, f64::max);
    let growth = |of: fn(&Look) -> f64| most(args.rounds, of) / most(args.rounds - 1, of) - 1.0;
    let (memory, disk) = (growth(|look| look.memory_mb), growth(|look| look.disk_mb));
    if args.common.json {
        let looks = serde_json::to_value(&looks)?;
        println!("{}", serde_json::json!({ "looks": looks, "memory_growth": memory, "disk_growth": disk }));
    } else {
        println!(
            "from the last round but one to the last, the most grew by {:.1} % (memory) and {:.1} % (disk)",
            memory * 1e2,
            disk * 1e2
        );
    }
    Ok(())
}

async fn one(
    cluster: &Cluster,
    client: &Client,
    (round, word, deed): (u32, &'static str, Deed),
    fields: &[FieldId],
    job: impl Fn(FieldId) -> Job,
) -> Result<Look, Failure> {
    let begin = Instant::now();
    let jobs = fields.iter().map(|field| (job(*field), *field));
    bulk::run(client, DEPTH, jobs, |field, success, _| match success {
        Success::Command { outcome: Outcome::Done { deed: done, .. }, .. }
            if std::mem::discriminant(done) == std::mem::discriminant(&deed) =>
        {
            Ok(())
        }
        other => Err(WrongAnswer(format!("{word} {field}: {other:?}")).into()),
    })
    .await?;
    let seconds = begin.elapsed().as_secs_f64();
    let usage = cluster.snapshot(client).await?;
    let memory = usage.nodes.iter().map(|(_, memory, _)| *memory).max().unwrap_or(0);
    let commands = fields.len() as u64;
    Ok(Look {
        round,
        deed: word,
        commands,
        per_s: figure(commands) / seconds,
        memory_mb: figure(memory) / 1e6,
        disk_mb: figure(cluster.disk_bytes()?) / 1e6,
    })
}
