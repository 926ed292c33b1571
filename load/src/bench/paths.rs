//! The paths that everything takes, one by one, with nothing around them: nanoseconds for people, instructions for CI.
//!
//! Time depends on the machine and on what else it does; instructions hardly do. `--check` counts them with valgrind's callgrind,
//! in a process of its own for each path, twice: what a few operations more cost is theirs alone. A path that takes more than
//! [`TOLERANCE`] more than the committed figure fails; so does one that takes as much less, so that the figures stay true.

use crate::bench::report::{figure, median};
use crate::cli::PathsArgs;
use crate::{Failure, Missed, Usage};
use bytes::Bytes;
use clap::ValueEnum;
use paxos::local::Local;
use paxos::{NodeId, Value};
use placement::ShardId;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::path::Path as FilePath;
use std::process::{Command as Program, Stdio};
use std::time::{Duration, Instant};
use wire::{Answer, AnswerBody, ClientId, Envelope, Level, Receipt, Reply, Request, RequestBody, RequestNo, Rows};
use world::grid::CHUNK;
use world::{
    Bucket, CharacterId, ChunkId, Command, CropId, FieldId, FieldView, Land, Millis, Outcome, PlayerName, TerrainMap,
    World, WorldSeed,
};

/// More or less than this share is told.
const TOLERANCE: f64 = 0.10;
/// Operations of the two counted runs.
const FEW: u64 = 64;
const MANY: u64 = 1_088;
/// How long a path is timed, at most, and in how many pieces.
const TIME: Duration = Duration::from_millis(60);
const PIECES: u32 = 11;

/// A path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Path {
    /// A slot from the proposal until three replicas have it
    PaxosSlot,
    /// A claim applied
    Claim,
    /// A crop planted
    Plant,
    /// A claim's request, encoded and decoded
    Request,
    /// A claim's answer, encoded and decoded
    Answer,
    /// 1,024 fields packed
    Pack,
    /// 1,024 fields unpacked
    Unpack,
    /// What a field is made of
    Terrain,
    /// A chunk's place in the hash space
    Bucket,
}

impl Path {
    fn word(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// The verb.
pub fn run(args: &PathsArgs) -> Result<(), Failure> {
    if let (Some(path), Some(times)) = (args.path, args.times) {
        Scene::new(path)?.run(times);
        return Ok(());
    }
    if let (Some(path), Some(seconds)) = (args.path, args.seconds) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(seconds) {
            // (Claims need fresh land each time.)
            Scene::new(path)?.run(MANY);
        }
        return Ok(());
    }
    let paths: Vec<Path> = args.path.map_or_else(|| Path::value_variants().to_vec(), |path| vec![path]);
    match (&args.check, &args.write) {
        (Some(file), _) => check(&paths, file),
        (None, Some(file)) => write(&paths, file),
        (None, None) => time(&paths, args.json),
    }
}

/// Everything that a path needs, made before.
enum Scene {
    PaxosSlot(Box<Local>, Value),
    Land { land: Box<Land>, player: PlayerName, fields: std::vec::IntoIter<FieldId>, plant: bool },
    Request(Box<Request>),
    Answer(Box<Answer>),
    Pack(Vec<FieldView>),
    Unpack(Rows),
    Terrain(TerrainMap),
    Bucket(WorldSeed),
}

impl Scene {
    fn new(path: Path) -> Result<Self, Failure> {
        let player: PlayerName = "a-player-whose-name-has-32-bytes".parse()?;
        let world = World::ice_age();
        let (terrain, field) = (TerrainMap::new(world.seed), FieldId::new(640, 640)?);
        let claim = |field| Command::Claim { field, character: CharacterId(0) };
        Ok(match path {
            Path::PaxosSlot => Self::PaxosSlot(
                Box::new(Local::new([1, 2, 3].map(NodeId))?),
                Value::Command(Bytes::from(vec![7; 1_024])),
            ),
            Path::Claim | Path::Plant => {
                let mut land = Box::new(Land::new(world.seed, world.rules));
                // (Nobody may have more than so many of a chunk.)
                let fields = land_of(&terrain, MANY, 32)?;
                if path == Path::Plant {
                    for field in &fields {
                        land.apply(Millis(1), &player, &claim(*field));
                    }
                }
                Self::Land { land, player, fields: fields.into_iter(), plant: path == Path::Plant }
            }
            Path::Request => {
                let envelope = Envelope {
                    client: ClientId(u128::MAX),
                    number: RequestNo(1 << 20),
                    floor: RequestNo(1 << 20),
                    deadline: Millis(1 << 40),
                    player,
                    command: claim(field),
                };
                let body = RequestBody::Command { shard: ShardId(64), envelope };
                Self::Request(Box::new(Request { id: 1 << 20, body }))
            }
            Path::Answer => {
                let mut land = Land::new(world.seed, world.rules);
                let outcome: Outcome = land.apply(Millis(1), &player, &claim(land_of(&terrain, 1, 1)?[0]));
                let receipt = Receipt {
                    shard: ShardId(64),
                    node: NodeId(3),
                    slot: paxos::Slot(1 << 30),
                    level: Level::Strong,
                    bound_ms: Some(0),
                };
                Self::Answer(Box::new(Answer { id: 1 << 20, body: AnswerBody::Applied { outcome, receipt } }))
            }
            Path::Pack | Path::Unpack => {
                let mut land = Land::new(world.seed, world.rules);
                let fields = land_of(&terrain, 1_024, 1_024)?;
                for (nth, field) in fields.iter().enumerate() {
                    land.apply(Millis(1), &format!("neighbour-{}", nth / 64).parse()?, &claim(*field));
                }
                let views: Vec<FieldView> = land.fields(&fields).collect();
                if path == Path::Pack { Self::Pack(views) } else { Self::Unpack(views.into_iter().collect()) }
            }
            Path::Terrain => Self::Terrain(terrain),
            Path::Bucket => Self::Bucket(world.seed),
        })
    }

    /// So many operations.
    // A function of its own: instructions do not depend on who calls it, and flame graphs find it.
    #[inline(never)]
    fn run(&mut self, times: u64) {
        match self {
            Self::PaxosSlot(local, value) => {
                for _ in 0..times {
                    black_box(local.propose(value.clone()).is_ok());
                    while !local.is_quiet() {
                        local.turn(|_, slot, _| _ = black_box(slot));
                    }
                }
            }
            Self::Land { land, player, fields, plant } => {
                // (No field twice: what is done already is another path.)
                for (nth, field) in (0..times).zip(fields) {
                    let claim = Command::Claim { field, character: CharacterId(0) };
                    let command = if *plant { Command::Plant { field, crop: CropId(0) } } else { claim };
                    black_box(land.apply(Millis(2 + nth), player, &command));
                }
            }
            Self::Request(request) => (0..times).for_each(|_| {
                let bytes = wire::codec::encode(black_box(&**request));
                black_box(wire::codec::decode::<Request>("request", &bytes).is_ok());
            }),
            Self::Answer(answer) => (0..times).for_each(|_| {
                let bytes = wire::codec::encode(black_box(&**answer));
                black_box(wire::codec::decode::<Answer>("answer", &bytes).is_ok());
            }),
            Self::Pack(views) => (0..times).for_each(|_| {
                let rows: Rows = black_box(&*views).iter().cloned().collect();
                black_box(Reply::View(rows).fields());
            }),
            Self::Unpack(rows) => (0..times).for_each(|_| {
                black_box(Vec::<FieldView>::try_from(black_box(&*rows)).map_or(0, |fields| fields.len()));
            }),
            Self::Terrain(terrain) => {
                let fields = (0..times).map(|nth| FieldId::try_from((nth % 1_000) << 20 | (nth * 7_919 % 1_000_000)));
                fields.flatten().for_each(|field| _ = black_box(terrain.at(field)));
            }
            Self::Bucket(seed) => {
                let chunks = (0..times).filter_map(|nth| ChunkId::new(u32::try_from(nth % 15_625).ok()?, 7).ok());
                chunks.for_each(|chunk| _ = black_box(Bucket::of_chunk(*seed, chunk)));
            }
        }
    }
}

/// So many fields that can be claimed, so many of each chunk at most.
fn land_of(terrain: &TerrainMap, count: u64, per_chunk: usize) -> Result<Vec<FieldId>, Failure> {
    let mut fields = Vec::new();
    for cx in 0..15_625 {
        let chunk = ChunkId::new(cx, 7_812)?;
        let here = (0..u16::try_from(CHUNK * CHUNK)?).filter_map(|offset| chunk.field(offset));
        fields.extend(here.filter(|field| terrain.at(*field).claimable()).take(per_chunk));
        if fields.len() as u64 >= count {
            break;
        }
    }
    fields.truncate(usize::try_from(count)?);
    Ok(fields)
}

/// Nanoseconds of each path, as a table or an object.
fn time(paths: &[Path], json: bool) -> Result<(), Failure> {
    let mut figures = BTreeMap::new();
    for path in paths {
        let mut pieces = Vec::new();
        for _ in 0..PIECES {
            // (Claims need fresh land each time.)
            let mut scene = Scene::new(*path)?;
            scene.run(FEW);
            let begun = Instant::now();
            let mut times = 0;
            while times < MANY - FEW && begun.elapsed() < TIME / PIECES {
                scene.run(FEW);
                times += FEW;
            }
            pieces.push(begun.elapsed().as_secs_f64() * 1e9 / figure(times));
        }
        figures.insert(path.word(), median(pieces.into_iter()));
    }
    if json {
        println!("{}", serde_json::json!({ "ns": figures }));
        return Ok(());
    }
    println!("{:<12} {:>12}", "path", "ns");
    for (word, ns) in figures {
        println!("{word:<12} {ns:>12.1}");
    }
    Ok(())
}

/// Instructions of one operation.
fn instructions(path: Path) -> Result<f64, Failure> {
    let [few, many] = [FEW, MANY].map(|times| counted(path, times));
    Ok((figure(many?) - figure(few?)) / figure(MANY - FEW))
}

/// Instructions of a process that does so many.
fn counted(path: Path, times: u64) -> Result<u64, Failure> {
    let mut valgrind = Program::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--"]).arg(std::env::current_exe()?);
    valgrind.args(["paths", "--path", &path.word(), "--times", &times.to_string()]);
    let output = valgrind.stdin(Stdio::null()).stdout(Stdio::null()).output();
    let output = output.map_err(|error| format!("valgrind, which counts instructions, cannot be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.ok_or_else(|| format!("valgrind did not count {}: {said}", path.word()).into())
}

fn write(paths: &[Path], file: &FilePath) -> Result<(), Failure> {
    let mut text =
        "# Instructions that one operation of each path takes; `icefarm-load paths --write` makes this file, CI\n\
        # compares. See load/src/bench/paths.rs.\n"
            .to_owned();
    for path in paths {
        let count = instructions(*path)?;
        println!("{:<12} {count:>10.0}", path.word());
        writeln!(text, "{} = {count:.0}", path.word())?;
    }
    let shown = file.display();
    std::fs::write(file, text).map_err(|error| Usage(format!("cannot write {shown}: {error}")))?;
    Ok(())
}

/// Holds what is counted against what was committed.
fn check(paths: &[Path], file: &FilePath) -> Result<(), Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| Usage(format!("cannot read {shown}: {error}")))?;
    let committed: BTreeMap<String, f64> = toml::from_str(&text).map_err(|error| Usage(format!("{shown}: {error}")))?;
    let mut off = Vec::new();
    println!("{:<12} {:>12} {:>12} {:>8}", "instructions", "committed", "now", "change");
    for path in paths {
        let now = instructions(*path)?;
        let Some(before) = committed.get(&path.word()) else {
            off.push(format!("{} has no figure", path.word()));
            continue;
        };
        let change = now / before - 1.0;
        println!("{:<12} {before:>12.0} {now:>12.0} {:>7.1}%", path.word(), change * 1e2);
        if change.abs() > TOLERANCE {
            off.push(format!("{}: {before:.0} and now {now:.0}", path.word()));
        }
    }
    if off.is_empty() {
        return Ok(());
    }
    let what = off.join("; ");
    let why = format!(
        "{what}. If that is meant, `icefarm-load paths --write {shown}` takes it down; then say why in the commit"
    );
    Err(Missed(why).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_does_what_it_says_as_often_as_it_is_told() {
        for path in Path::value_variants() {
            let mut scene = Scene::new(*path).unwrap();
            scene.run(3);
            if let Scene::Land { land, plant, fields, .. } = &scene {
                assert_eq!(fields.len() as u64, MANY - 3);
                assert_eq!(land.owned_fields(), if *plant { MANY } else { 3 }, "{path:?}");
                let done = land_of(&TerrainMap::new(land.seed()), 3, 32).unwrap();
                assert!(done.iter().all(|field| land.field(*field).crop.is_some() == *plant), "{path:?}");
            }
        }
    }
}
