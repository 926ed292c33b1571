//! Terrain, packing and hashing are contracts with every port and every stored world: the golden vectors hold them still.

use world::{Bucket, FieldId, PlayerName, TerrainMap, WorldSeed};

const VECTORS: &str = include_str!("golden/terrain.txt");

#[test]
fn fields_pack_hash_and_look_as_they_always_did() {
    let mut seen = 0;
    for line in VECTORS.lines().filter_map(|line| line.strip_prefix("field ")) {
        let mut words = line.split(' ');
        let mut number = || words.next().expect(line).parse::<u64>().expect(line);
        let seed = WorldSeed(number());
        let mut coordinate = || u32::try_from(number()).expect(line);
        let field = FieldId::new(coordinate(), coordinate()).expect(line);
        let found = format!(
            "{} {} {} {} {}",
            field.pack(),
            field.chunk().pack(),
            field.offset(),
            Bucket::of_chunk(seed, field.chunk()).0,
            TerrainMap::new(seed).at(field)
        );
        assert_eq!(found, words.collect::<Vec<_>>().join(" "), "field {line}");
        seen += 1;
    }
    assert!(seen >= 1_000, "only {seen} fields: is the file whole?");
}

#[test]
fn players_hash_as_they_always_did() {
    let mut seen = 0;
    for line in VECTORS.lines().filter_map(|line| line.strip_prefix("player ")) {
        let [seed, bucket, name] = line.splitn(3, ' ').collect::<Vec<_>>().try_into().expect(line);
        let player = PlayerName::new(name).expect(line);
        let seed = WorldSeed(seed.parse().expect(line));
        assert_eq!(Bucket::of_player(seed, &player).0.to_string(), bucket, "player {line}");
        seen += 1;
    }
    assert!(seen >= 40, "only {seen} players: is the file whole?");
}
