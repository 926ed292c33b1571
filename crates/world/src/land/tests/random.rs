//! Random play over two lands: determinism, recovery, residency and conservation, whatever happens in which order.

use super::{
    pages::{Pages, checkpoint, load_all, reopen},
    *,
};
use crate::{Banner, BuildingId};
use std::collections::{BTreeMap, BTreeSet};

/// xorshift64 (Marsaglia).
pub(super) fn xorshift(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        xorshift(&mut self.0) % end
    }

    fn id(&mut self, end: u64) -> u8 {
        u8::try_from(self.below(end)).expect("few")
    }
}

/// A step of a game.
#[derive(Clone, Copy, Debug)]
enum Step {
    Play(Millis, PlayerName, Command),
    Receive(Payment),
    Settle(Payment),
}

fn step(land: &mut Land, step: Step) -> Option<Outcome> {
    match step {
        Step::Play(now, player, command) => return Some(land.apply(now, &player, &command)),
        Step::Receive(payment) => land.receive(&payment),
        Step::Settle(payment) => land.settle(payment.from, &payment.player, payment.seq),
    }
    None
}

/// Few players on few fields of a few chunks, so that they meet often; three times of four it is the owner who comes.
fn command(dice: &mut Dice, fields: &[FieldId], land: &Land) -> (PlayerName, Command) {
    let anybody = name(["sid", "scrat", "manny", "diego"][usize::from(dice.id(4))]);
    let field = fields[usize::try_from(dice.below(fields.len() as u64)).expect("few")];
    let command = match dice.below(16) {
        0 => Command::Register,
        1..4 => Command::Claim { field, character: CharacterId(dice.id(3)) },
        4..8 => Command::Plant { field, crop: CropId(dice.id(3)) },
        8 => Command::Tend { field },
        9..13 => Command::Harvest { field },
        13 => Command::Build { field, building: BuildingId(dice.id(3)) },
        14 => Command::Offer { field, price: (dice.below(3) > 0).then(|| Acorns(dice.below(6_000))) },
        _ => Command::Abandon { field },
    };
    let owner = land.field(field).owner.filter(|_| dice.below(4) > 0);
    (owner.unwrap_or(anybody), command)
}

/// Six claimable fields in each of three chunks, and one that is not.
fn playground() -> Vec<FieldId> {
    let (corner, map) = (claimable(1)[0].chunk(), TerrainMap::new(small().seed));
    let near = (0..3).map(|nth| ChunkId::new(corner.cx() + nth, corner.cy()).expect("on the grid"));
    let all = |chunk: ChunkId| (0..4_096).step_by(7).filter_map(move |offset| chunk.field(offset));
    let good = near.flat_map(|chunk| all(chunk).filter(|field| map.at(*field).claimable()).take(6));
    good.chain(fields_of(|terrain| !terrain.claimable(), 1)).collect()
}

/// Plays a game on two lands, one with the fields and one with the wallets, over a careless messenger, and gives each
/// land's steps.
fn game(seed: u64, steps: u64) -> [Vec<Step>; 2] {
    let (mut dice, fields) = (Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)), playground());
    let [mut source, mut home] = [land(), land()];
    let mut played = [Vec::new(), Vec::new()];
    let mut late: Vec<Payment> = Vec::new();
    let mut now = 1_000;
    for _ in 0..steps {
        now += dice.below(3_000);
        let (player, command) = command(&mut dice, &fields, &source);
        let place = usize::from(command == Command::Register);
        played[place].push(Step::Play(Millis(now), player, command));
        step([&mut source, &mut home][place], played[place][played[place].len() - 1]);
        late.extend(source.payments());
        late.dedup();
        // Messages are lost, doubled and late, but a settlement only ever follows a receipt.
        for _ in 0..dice.below(3) {
            if !late.is_empty() {
                let payment = late[usize::try_from(dice.below(late.len() as u64)).expect("few")];
                played[1].push(Step::Receive(payment));
                home.receive(&payment);
                if dice.below(2) == 0 {
                    played[0].push(Step::Settle(payment));
                    source.settle(payment.from, &payment.player, payment.seq);
                }
            }
        }
        let drop = usize::try_from(dice.below(2)).expect("few").min(late.len());
        late.drain(..drop);
        audit(&[&source, &home]).expect("acorns neither appear nor vanish");
    }
    assert!(source.totals().settled > Acorns(50), "a lively game: {:?}", source.totals());
    played
}

#[test]
fn the_same_steps_give_the_same_land_and_the_same_pages() {
    for seed in 1..=10 {
        for steps in game(seed, 500) {
            let [mut a, mut b] = [land(), land()];
            for next in &steps {
                assert_eq!(step(&mut a, *next), step(&mut b, *next));
            }
            assert_eq!(everything(&a), everything(&b));
            assert_eq!(a.take_changes(), b.take_changes());
        }
    }
}

#[test]
fn checkpoints_recovery_and_eviction_show_in_no_answer() {
    let mut evicted = 0;
    for seed in 1..=20 {
        for steps in game(seed * 7_919, 400) {
            let mut dice = Dice(seed ^ 0xdead_beef);
            let [mut plain, mut restless] = [land(), land()];
            let mut store = Pages::new();
            for next in steps {
                if let Step::Play(_, _, command) = next
                    && let Some(chunk) = command.chunk()
                    && restless.readiness(chunk) == Readiness::Stored
                {
                    restless.load_chunk(chunk, &store[&PageKey::Chunk(chunk)]).unwrap();
                }
                assert_eq!(step(&mut plain, next), step(&mut restless, next), "seed {seed}: {next:?}");
                match dice.below(12) {
                    0 => checkpoint(&mut restless, &mut store),
                    1 => {
                        checkpoint(&mut restless, &mut store);
                        restless = reopen(&store).unwrap();
                    }
                    2 => {
                        checkpoint(&mut restless, &mut store);
                        evicted += restless.cool(1_000);
                    }
                    3 => {
                        let chunks: Vec<ChunkId> = restless.resident().collect();
                        evicted += chunks.into_iter().filter(|chunk| restless.evict(*chunk)).count();
                    }
                    _ => {}
                }
                for player in ["sid", "scrat", "manny", "diego"].map(name) {
                    assert_eq!(restless.holdings(&player), plain.holdings(&player));
                    assert_eq!(restless.player(&player), plain.player(&player));
                    assert_eq!(restless.estate(&player), plain.estate(&player));
                }
                assert_eq!(world(&restless), world(&plain));
            }
            load_all(&mut restless, &store);
            assert_eq!(everything(&restless), everything(&plain), "seed {seed}");
            checkpoint(&mut restless, &mut store);
            let mut all = Pages::new();
            checkpoint(&mut plain, &mut all);
            assert_eq!(store, all, "the store holds what one checkpoint at the end would, seed {seed}");
        }
    }
    assert!(evicted > 100, "only {evicted} chunks left memory");
}

/// All of the grid, from above.
fn world(land: &Land) -> Vec<(u16, Census)> {
    land.census(Block::of(Zoom::try_from(Zoom::MOST).unwrap(), claimable(1)[0]))
}

#[test]
fn the_census_is_a_count_of_the_fields_at_every_level() {
    let fields = playground();
    for seed in 1..=5 {
        let mut land = land();
        for next in &game(seed * 31, 400)[0] {
            step(&mut land, *next);
        }
        for zoom in Zoom::all() {
            let mut counted = BTreeMap::<(Block, u16), Census>::new();
            for view in everything(&land).0 {
                let block = Block::of(zoom, view.field);
                if let Some(owner) = view.owner {
                    counted.entry((block, block.offset(view.field))).or_default().enter(Banner::of(&owner));
                }
            }
            let blocks: BTreeSet<Block> = fields.iter().map(|field| Block::of(zoom, *field)).collect();
            let told = blocks.into_iter().flat_map(|block| {
                land.census(block).into_iter().map(move |(offset, census)| ((block, offset), census))
            });
            assert_eq!(told.collect::<BTreeMap<_, _>>(), counted, "seed {seed}, {zoom:?}");
        }
        let estates: u64 = ["sid", "scrat", "manny", "diego"]
            .map(|player| land.estate(&name(player)).iter().map(|(_, fields)| u64::from(*fields)).sum::<u64>())
            .iter()
            .sum();
        assert_eq!(estates, land.owned_fields());
    }
}

#[test]
fn versions_only_grow_and_by_one_for_each_deed() {
    let (mut land, mut versions) = (land(), BTreeMap::new());
    for next in &game(42, 2_000)[0] {
        if let Some(Outcome::Done { field, .. }) = step(&mut land, *next) {
            let before = versions.insert(field.field, field.version).unwrap_or(0);
            assert_eq!(field.version, before + 1);
        }
    }
    assert!(versions.values().any(|version| *version > 20), "fields live through much");
    let owned = everything(&land).0.iter().filter(|view| view.owner.is_some()).count();
    assert_eq!(land.owned_fields(), owned as u64);
}

#[test]
fn a_hundred_thousand_fields_of_many_owners_stay_under_twelve_megabytes() {
    // 32 to a chunk, of 1,000 players: a tenth of what a node must hold. `examples/memory.rs` measures the whole.
    let mut land = land();
    let map = TerrainMap::new(land.seed());
    let players: Vec<PlayerName> = (0..1_000).map(|nth| name(&format!("player-{nth:04}"))).collect();
    let mut chunks = (0..).map(|nth: u32| ChunkId::new(nth % 100, nth / 100).expect("on the grid"));
    while land.owned_fields() < 100_000 {
        let chunk = chunks.next().expect("the grid is large");
        let fields =
            (0..4_096).step_by(61).filter_map(|offset| chunk.field(offset)).filter(|field| map.at(*field).claimable());
        for (nth, field) in fields.take(32).enumerate() {
            let player = &players[(chunk.pack() as usize * 31 + nth / 4) % players.len()];
            done(land.apply(Millis(0), player, &Command::Claim { field, character: VOLE }));
        }
    }
    let bytes = land.heap_bytes();
    assert!(bytes < 12_000_000, "{bytes} bytes for 100,000 fields");
}
