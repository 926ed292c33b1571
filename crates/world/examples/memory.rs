//! How much memory the land takes: claims a million fields (32 to a chunk, eight to an owner), harvests a tenth of them,
//! and prints what the process grew by and how long a claim took.
//!
//! ```text
//! cargo run --release -p world --example memory
//! ```

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "it measures; the crate has no clock")]

use std::time::Instant;
use world::{ChunkId, Command, CropId, FieldId, Land, Millis, Outcome, PlayerName, Terrain, TerrainMap, rules::World};

fn main() {
    let World { seed, rules, .. } = World::ice_age();
    let (character, crop) = (rules.character_named("mammoth"), rules.crop_named("lichen"));
    let (character, crop) = (character.expect("it is in the default world"), crop.expect("it is in the default world"));
    let map = TerrainMap::new(seed);
    let players: Vec<PlayerName> =
        (0..20_000).map(|nth| PlayerName::new(&format!("player-{nth:05}")).expect("short")).collect();
    let chunks = (0..).map(|nth: u32| ChunkId::new(nth % 15_000, nth / 15_000 * 7).expect("on the grid"));
    let fields = |chunk: ChunkId| {
        let all = (0..4_096).step_by(61).filter_map(move |offset| chunk.field(offset));
        all.filter(|field| map.at(*field).claimable()).take(32).enumerate()
    };
    let orders: Vec<_> = chunks
        .flat_map(|chunk| fields(chunk).map(move |(nth, field)| (chunk, nth / 8, field)))
        .take(1_000_000)
        .collect();
    let owner = |chunk: ChunkId, part: usize| &players[(chunk.pack() as usize * 7 + part) % players.len()];

    let before = resident_bytes();
    let mut land = Land::new(seed, rules);
    let started = Instant::now();
    for (chunk, part, field) in &orders {
        done(&land.apply(Millis(0), owner(*chunk, *part), &Command::Claim { field: *field, character }));
    }
    let took = started.elapsed();
    report("1,000,000 claimed fields", before, &land);
    println!("one claim: {} ns", took.as_nanos() / 1_000_000);
    for (chunk, part, field) in orders.iter().step_by(10) {
        for (now, command) in [(0, plant(*field, crop)), (60_000, Command::Harvest { field: *field })] {
            done(&land.apply(Millis(now), owner(*chunk, *part), &command));
        }
    }
    report("and a tenth of them harvested", before, &land);
    let pages = land.take_changes();
    let bytes: usize = pages.iter().filter_map(|(_, page)| page.as_ref()).map(Vec::len).sum();
    println!("checkpoint: {} pages, {:.1} MB", pages.len(), megabytes(bytes));

    let started = Instant::now();
    let row = (0..1_000_000).map(|x| map.at(FieldId::new(x, 8_200).expect("on the grid")));
    let lakes = row.filter(|terrain| *terrain == Terrain::Lake).count();
    println!("terrain: {} ns a field along a row ({lakes} of them lake)", started.elapsed().as_nanos() / 1_000_000);
}

fn plant(field: FieldId, crop: CropId) -> Command {
    Command::Plant { field, crop }
}

fn done(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
}

fn report(what: &str, before: usize, land: &Land) {
    let grown = resident_bytes().saturating_sub(before);
    println!("{what}: {:.1} MB resident, {:.1} MB by its own count", megabytes(grown), megabytes(land.heap_bytes()));
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// Linux only, as the figure is for people.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes =
        line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse::<usize>().ok());
    kilobytes.unwrap_or(0) * 1_024
}
