//! Three ways to lay chunks over shards, under the same load: players who live in cities.
//!
//! What is wanted pulls apart: a hot city should spread over all shards, a look around should ask few of them, and a node that
//! joins should take its share in few moves. Nothing is started: who lives where follows from the seed.

use crate::bench::report::{figure, median};
use crate::cli::PartitionsArgs;
use crate::crowd::plot::Map;
use crate::profile::{Homes, Profile};
use crate::report::plots::{Series, by_rank};
use crate::{Failure, Usage};
use paxos::NodeId;
use placement::partition::fan_out;
use placement::{Partitioner, ShardMap};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use world::grid::GRID;
use world::{ChunkId, FieldId, Rect, TerrainMap, WorldSeed};

/// Looks around that are counted.
const LOOKS: u32 = 10_000;
/// A node has its share once it has so much of it.
const ENOUGH: f64 = 0.95;

/// How one partitioner does.
#[derive(Debug, Serialize)]
struct Row {
    partitioner: Partitioner,
    /// The fullest shard's load, to the mean.
    shards_max_to_mean: f64,
    /// The fullest node's, to the mean.
    nodes_max_to_mean: f64,
    /// Shards and nodes that a look around asks.
    shards_in_view: FanOut,
    nodes_in_view: FanOut,
    joining: Joining,
    /// By shard, to the mean, fullest first.
    #[serde(skip)]
    ranked: Vec<f64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct FanOut {
    median: f64,
    p99: f64,
}

/// What it takes until a node that joins has its share.
#[derive(Clone, Copy, Debug, Serialize)]
struct Joining {
    shards_moved: usize,
    /// Of all the load.
    load_moved: f64,
    /// The fullest node's load, to the mean, behind it.
    nodes_max_to_mean: f64,
}

/// The verb.
pub fn run(args: &PartitionsArgs) -> Result<(), Failure> {
    let world = world::World::ice_age();
    let mut profile = Profile::parse("day", include_str!("../../profiles/day.toml"))?;
    (profile.players.count, profile.players.homes) = (args.players, Homes::Cities);
    profile.check().map_err(Usage)?;
    let nodes: Vec<NodeId> = (1..=args.nodes).map(NodeId).collect();
    let map = ShardMap::initial(args.shards, &nodes, 1).map_err(|error| Usage(error.to_string()))?;
    let town = Town::new(&profile, world.seed, args)?;
    let rows: Vec<Row> = Partitioner::ALL.into_iter().map(|partitioner| town.row(partitioner, &map)).collect();
    let series = rows.iter().map(|row| (row.partitioner.to_string(), &row.ranked));
    let series: Vec<(String, &Vec<f64>)> = series.collect();
    let series: Vec<Series<'_>> = series
        .iter()
        .map(|(name, ranked)| Series { name, points: (1..).map(figure).zip((*ranked).clone()).collect() })
        .collect();
    let svg = by_rank("shards, fullest first", "load, to the mean", &series)?;
    let out = args.out.display();
    fs::write(&args.out, svg).map_err(|error| Usage(format!("no picture can be written to {out}: {error}")))?;
    if args.json {
        println!(
            "{}",
            serde_json::json!({ "players": args.players, "shards": args.shards, "nodes": args.nodes,
            "partitioners": serde_json::to_value(&rows)?, "picture": args.out })
        );
        return Ok(());
    }
    print(args, &rows);
    println!("picture: {out}");
    Ok(())
}

/// Who lives where, and looks at what.
struct Town {
    seed: WorldSeed,
    load: BTreeMap<ChunkId, u64>,
    looks: Vec<Rect>,
}

impl Town {
    fn new(profile: &Profile, seed: WorldSeed, args: &PartitionsArgs) -> Result<Self, Failure> {
        let (terrain, map) = (TerrainMap::new(seed), Map::new(&profile.players, args.seed)?);
        let (mut load, mut looks) = (BTreeMap::new(), Vec::new());
        for player in 0..args.players {
            let home = map.home(player, &terrain).field(0);
            *load.entry(home.chunk()).or_default() += 1;
            if player.is_multiple_of((args.players / LOOKS).max(1)) {
                looks.push(around(home, args.view)?);
            }
        }
        Ok(Self { seed, load, looks })
    }

    fn row(&self, partitioner: Partitioner, map: &ShardMap) -> Row {
        let mut shards = vec![0_u64; map.shards().len()];
        for (chunk, load) in &self.load {
            let shard = partitioner.shard(self.seed, *chunk, map);
            shards[shard.0 as usize - 1] += load;
        }
        let leader = |index: usize| map.shards()[index].voters[0];
        let mut nodes: BTreeMap<NodeId, Vec<u64>> = BTreeMap::new();
        for (index, load) in shards.iter().enumerate() {
            nodes.entry(leader(index)).or_default().push(*load);
        }
        let mean = figure(shards.iter().sum()) / figure(shards.len() as u64);
        let mut ranked: Vec<f64> = shards.iter().map(|load| figure(*load) / mean).collect();
        ranked.sort_by(|a, b| b.total_cmp(a));
        let fan = |count: &dyn Fn(Rect) -> usize| FanOut::of(self.looks.iter().map(|look| figure(count(*look) as u64)));
        let nodes_of = |look: Rect| {
            let shards = look.chunks().map(|chunk| partitioner.shard(self.seed, chunk, map));
            shards.map(|shard| leader(shard.0 as usize - 1)).collect::<BTreeSet<_>>().len()
        };
        Row {
            partitioner,
            shards_max_to_mean: ranked[0],
            nodes_max_to_mean: max_to_mean(nodes.values()),
            shards_in_view: fan(&|look| fan_out(partitioner, self.seed, map, look)),
            nodes_in_view: fan(&nodes_of),
            joining: join(nodes.into_values().collect()),
            ranked,
        }
    }
}

impl FanOut {
    fn of(counts: impl Iterator<Item = f64>) -> Self {
        let mut counts: Vec<f64> = counts.collect();
        counts.sort_by(f64::total_cmp);
        let p99 = counts.get(counts.len() * 99 / 100).copied().unwrap_or_default();
        Self { median: median(counts.into_iter()), p99 }
    }
}

/// A screen around a field, moved to where it fits the grid.
fn around(field: FieldId, (w, h): (u32, u32)) -> Result<Rect, Failure> {
    let corner = |at: u32, size: u32| at.saturating_sub(size / 2).min(GRID - size);
    Ok(Rect::new(FieldId::new(corner(field.x(), w), corner(field.y(), h))?, w, h)?)
}

fn max_to_mean<'a>(nodes: impl Iterator<Item = &'a Vec<u64>>) -> f64 {
    let loads: Vec<u64> = nodes.map(|shards| shards.iter().sum()).collect();
    let mean = figure(loads.iter().sum()) / figure(loads.len() as u64);
    figure(loads.into_iter().max().unwrap_or_default()) / mean
}

/// One more node takes shards from whoever is fullest at the moment: each time the largest that does not make it the fullest
/// itself; until it has its share, or no shard is small enough.
fn join(mut nodes: Vec<Vec<u64>>) -> Joining {
    let all: u64 = nodes.iter().flatten().sum();
    let share = figure(all) / figure(nodes.len() as u64 + 1);
    for shards in &mut nodes {
        shards.sort_unstable();
    }
    let (mut taken, mut new): (Vec<u64>, u64) = (Vec::new(), 0);
    while figure(new) < ENOUGH * share {
        let Some(fullest) = nodes.iter_mut().max_by_key(|shards| shards.iter().sum::<u64>()) else { break };
        let most: u64 = fullest.iter().sum();
        let fits = |load: &u64| new + load <= most - load && figure(new + load) <= share / ENOUGH;
        let Some(place) = fullest.iter().rposition(fits) else { break };
        let load = fullest.remove(place);
        if load == 0 {
            break;
        }
        new += load;
        taken.push(load);
    }
    let shards_moved = taken.len();
    nodes.push(taken);
    Joining { shards_moved, load_moved: figure(new) / figure(all.max(1)), nodes_max_to_mean: max_to_mean(nodes.iter()) }
}

fn print(args: &PartitionsArgs, rows: &[Row]) {
    let (w, h) = args.view;
    println!("{} players in cities, {} shards, {} nodes, a view of {w}x{h}", args.players, args.shards, args.nodes);
    println!(
        "{:<12} {:>22} {:>10} {:>17} {:>17} {:>26} {:>12}",
        "",
        "fullest shard to mean",
        "node",
        "shards in view",
        "nodes in view",
        "a node joins: shards moved",
        "node, then"
    );
    println!(
        "{:<12} {:>22} {:>10} {:>17} {:>17} {:>26} {:>12}",
        "", "", "", "median / p99", "median / p99", "and load", ""
    );
    for row in rows {
        let fan = |fan: FanOut| format!("{:.0} / {:.0}", fan.median, fan.p99);
        let Joining { shards_moved, load_moved, nodes_max_to_mean } = row.joining;
        println!(
            "{:<12} {:>22.2} {:>10.2} {:>17} {:>17} {:>26} {nodes_max_to_mean:>12.2}",
            row.partitioner,
            row.shards_max_to_mean,
            row.nodes_max_to_mean,
            fan(row.shards_in_view),
            fan(row.nodes_in_view),
            format!("{shards_moved}, {:.1} %", load_moved * 1e2),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_that_joins_takes_its_share_and_no_more_and_nothing_that_would_make_it_the_fullest() {
        let even = join(vec![vec![10; 10]; 4]);
        assert_eq!(even.shards_moved, 8, "a fifth of 400");
        assert!((even.load_moved - 0.2).abs() < 1e-9 && even.nodes_max_to_mean < 1.06, "{even:?}");
        // One shard has nearly everything: moving it would only move the trouble.
        let hot = join(vec![vec![1, 1, 900], vec![1, 1, 1]]);
        assert!(hot.load_moved < 0.01 && hot.nodes_max_to_mean > 2.9, "{hot:?}");
        assert_eq!(join(vec![vec![0, 0]]).shards_moved, 0, "nothing to share");
    }

    #[test]
    fn view_fits_the_grid() {
        let corner = FieldId::new(0, GRID - 1).unwrap();
        let rect = around(corner, (240, 135)).unwrap();
        assert_eq!((rect.corner().x(), rect.corner().y()), (0, GRID - 135));
    }
}
