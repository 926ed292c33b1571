//! Prints the golden vectors of grid, hashing and terrain, which every port of them must reproduce to the bit:
//!
//! ```text
//! cargo run --release -p world --example golden > crates/world/tests/golden/terrain.txt
//! ```
//!
//! A difference to the file in the repository means that running worlds would change. Do not regenerate to silence a
//! test; that is only right before anybody plays.

use world::{Bucket, FieldId, PlayerName, TerrainMap, WorldSeed, grid::GRID};

const SEEDS: [u64; 6] = [0, 1, 20_020_315, 0xffff_ffff, 0x0123_4567_89ab_cdef, u64::MAX];

fn main() {
    println!(
        "# Golden vectors: made by `cargo run --release -p world --example golden`; see there before changing any."
    );
    println!("# field SEED X Y PACKED_FIELD PACKED_CHUNK OFFSET_IN_CHUNK CHUNK_BUCKET TERRAIN");
    for seed in SEEDS.map(WorldSeed) {
        let map = TerrainMap::new(seed);
        for field in fields(seed) {
            let (packed, chunk, offset) = (field.pack(), field.chunk(), field.offset());
            let bucket = Bucket::of_chunk(seed, chunk).0;
            let (x, y, chunk, terrain) = (field.x(), field.y(), chunk.pack(), map.at(field));
            println!("field {seed} {x} {y} {packed} {chunk} {offset} {bucket} {terrain}");
        }
    }
    println!("# player SEED BUCKET NAME");
    for seed in SEEDS.map(WorldSeed) {
        for name in ["a", "scrat", "sid", "manny the mammoth", "Ærøskøbing", "冰河", "12345678901234567890123456789012"]
        {
            let player = PlayerName::new(name).expect("short and normal");
            println!("player {seed} {} {name}", Bucket::of_player(seed, &player).0);
        }
    }
}

/// The corners of the grid and of chunks, a row of neighbours, and places all over.
fn fields(seed: WorldSeed) -> impl Iterator<Item = FieldId> {
    let last = GRID - 1;
    let corners = [(0, 0), (last, 0), (0, last), (last, last), (63, 63), (64, 63), (63, 64), (64, 64)];
    let row = (0..32).map(|nth| (31_000 + nth, 8_200));
    let mut state = seed.0 ^ 0x9e37_79b9_7f4a_7c15;
    let scattered = (0..160).map(move |_| {
        // xorshift64 (Marsaglia).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let pick = |bits: u64| u32::try_from(bits % u64::from(GRID)).expect("below the grid's side");
        (pick(state & 0xffff_ffff), pick(state >> 32))
    });
    corners.into_iter().chain(row).chain(scattered).map(|(x, y)| FieldId::new(x, y).expect("on the grid"))
}
