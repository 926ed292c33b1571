use super::*;
use paxos::NodeId;
use world::FieldId;

const SEED: WorldSeed = WorldSeed(20_020_315);

fn map(shards: u32) -> ShardMap {
    ShardMap::initial(shards, &[NodeId(1), NodeId(2), NodeId(3)], 3).unwrap()
}

/// A screen of 240 x 135 fields, here and there over the grid and at every place relative to a chunk's corner.
fn screens() -> impl Iterator<Item = Rect> {
    (0..400).map(|i: u32| {
        let corner = FieldId::new(i * 2_477 % 990_000 + i % 64, i * 1_613 % 990_000 + i / 7 % 64).unwrap();
        Rect::new(corner, 240, 135).unwrap()
    })
}

/// Every 25th chunk of every 25th row: 390,625 of them.
fn sample() -> impl Iterator<Item = ChunkId> {
    let every = || (0..CHUNKS).step_by(25);
    every().flat_map(move |cy| every().map(move |cx| ChunkId::new(cx, cy).unwrap()))
}

/// 40 x 40 chunks in one place.
fn city() -> impl Iterator<Item = ChunkId> {
    (5_010..5_050).flat_map(|cy| (9_010..9_050).map(move |cx| ChunkId::new(cx, cy).unwrap()))
}

#[test]
fn a_screen_touches_at_most_20_shards_and_with_hash_some_screen_touches_many() {
    let map = map(1_024);
    for partitioner in Partitioner::ALL {
        let worst = screens().map(|view| fan_out(partitioner, SEED, &map, view)).max().unwrap();
        assert!(worst <= 20, "{partitioner}: {worst} shards");
    }
    let worst = screens().map(|view| fan_out(Partitioner::Hash, SEED, &map, view)).max().unwrap();
    assert!(worst >= 19, "20 chunks over 1,024 shards hardly ever share one, yet at most {worst} were touched");
}

#[test]
fn with_range_a_screen_touches_at_most_4_shards_and_most_touch_one() {
    let map = map(64);
    let counts: Vec<_> = screens().map(|view| fan_out(Partitioner::Range, SEED, &map, view)).collect();
    assert!(counts.iter().all(|&count| count <= 4), "{counts:?}");
    assert!(counts.iter().filter(|&&count| count == 1).count() * 10 > counts.len() * 9, "{counts:?}");
}

#[test]
fn with_round_robin_no_two_chunks_of_a_screen_share_one_of_64_shards() {
    let map = map(64);
    for view in screens() {
        assert_eq!(fan_out(Partitioner::RoundRobin, SEED, &map, view), view.chunks().count(), "{view:?}");
    }
}

#[test]
fn every_partitioner_spreads_the_world_evenly_over_64_shards() {
    for partitioner in Partitioner::ALL {
        let balance = Balance::of(partitioner, SEED, &map(64), sample());
        assert_eq!((balance.chunks, balance.shards), (390_625, 64));
        assert!(balance.fullest_percent() <= 105, "{partitioner}: {balance:?}");
        assert!(balance.least * 64 * 100 >= balance.chunks * 95, "{partitioner}: {balance:?}");
    }
}

#[test]
fn hash_and_round_robin_spread_a_city_and_range_does_not() {
    let measure = |partitioner| Balance::of(partitioner, SEED, &map(64), city());
    let hash = measure(Partitioner::Hash);
    assert!(hash.least > 0 && hash.fullest_percent() < 200, "{hash:?}");
    let round_robin = measure(Partitioner::RoundRobin);
    assert!(round_robin.fullest_percent() <= 115, "{round_robin:?}");
    let range = measure(Partitioner::Range);
    assert!(range.most == 1_600 && range.least == 0, "the whole city lies on one shard: {range:?}");
}

#[test]
fn range_fills_the_whole_hash_space_and_follows_the_z() {
    let bucket = |cx, cy| Partitioner::Range.bucket(SEED, ChunkId::new(cx, cy).unwrap()).0;
    let last = CHUNKS - 1;
    let half = CHUNKS.div_ceil(2);
    assert_eq!([bucket(0, 0), bucket(half, 0), bucket(0, half), bucket(half, half)], [0, 0x4000, 0x8000, 0xC000]);
    assert_eq!([bucket(last, 0), bucket(0, last), bucket(last, last)], [0x5555, 0xAAAA, 0xFFFF]);
}

#[test]
fn round_robin_deals_a_row_over_all_shards_in_turn() {
    for shards in [2_u32, 8, 64] {
        let map = map(shards);
        let row: Vec<_> =
            (0..shards).map(|cx| Partitioner::RoundRobin.shard(SEED, ChunkId::new(cx, 77).unwrap(), &map)).collect();
        assert_eq!(row.iter().collect::<BTreeSet<_>>().len(), shards as usize, "{row:?}");
    }
}

#[test]
fn hash_is_the_default_and_depends_on_the_seed() {
    let chunk = ChunkId::new(484, 128).unwrap();
    assert_eq!(Partitioner::default().bucket(SEED, chunk), Bucket::of_chunk(SEED, chunk));
    let differs = city()
        .any(|chunk| Partitioner::Hash.bucket(SEED, chunk) != Partitioner::Hash.bucket(WorldSeed(SEED.0 + 1), chunk));
    assert!(differs);
}

#[test]
fn names_are_read_back_as_they_are_written() {
    for partitioner in Partitioner::ALL {
        assert_eq!(partitioner.to_string().parse(), Ok(partitioner));
    }
    assert_eq!(
        "roundrobin".parse::<Partitioner>().unwrap_err().to_string(),
        "'roundrobin' is not a partitioner: use hash, range or round_robin"
    );
}

#[test]
fn an_empty_set_of_chunks_is_balanced() {
    assert_eq!(Balance::of(Partitioner::Hash, SEED, &map(64), []).fullest_percent(), 100);
}
