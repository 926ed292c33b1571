//! Where the games are played: some claimable fields of every shard, the same in every run.

use placement::ShardMap;
use std::sync::OnceLock;
use world::rules::{Building, Character, Crop, Effects};
use world::{Acorns, Bucket, ChunkId, FieldId, RuleBook, TerrainMap, WorldSeed};

/// The world of every run.
pub const SEED: WorldSeed = WorldSeed(20_020_315);
/// Fields taken from each chunk.
const FIELDS: usize = 24;
/// Chunks taken for each shard, so that every one sees many commands.
const CHUNKS_PER_SHARD: usize = 8;
/// Chunks looked at in each direction: with 256 shards, every one finds enough.
const CHUNKS: u32 = 80;

/// The claimable fields of one shard, chunk by chunk.
#[derive(Clone, Debug, Default)]
pub struct Sites {
    chunks: Vec<&'static [FieldId]>,
}

impl Sites {
    /// The sites of each shard of `map`, in its order.
    pub fn of(map: &ShardMap) -> Vec<Self> {
        let mut sites = vec![Self::default(); map.shards().len()];
        let mut wanting = sites.len() * CHUNKS_PER_SHARD;
        for (bucket, fields) in all() {
            if wanting == 0 {
                break;
            }
            let shard = map.shard_of(*bucket).shard;
            let at = map.shards().iter().position(|info| info.shard == shard).expect("it is of this map");
            if sites[at].chunks.len() < CHUNKS_PER_SHARD {
                sites[at].chunks.push(fields);
                wanting -= 1;
            }
        }
        sites
    }

    /// The `nth` field; they go round the chunks. `None` beyond the last.
    pub fn field(&self, nth: usize) -> Option<FieldId> {
        let chunk = self.chunks.get(nth % self.chunks.len().max(1))?;
        chunk.get(nth / self.chunks.len()).copied()
    }
}

/// The rules of every run: crops that ripen while one waits.
pub fn rules() -> RuleBook {
    static RULES: OnceLock<RuleBook> = OnceLock::new();
    RULES.get_or_init(make_rules).clone()
}

fn make_rules() -> RuleBook {
    let effects = |harvest, ripening, tending| Effects { harvest, ripening, tending };
    let crop = |name: &str, ripens_after_ms, yields| Crop {
        name: name.to_owned(),
        glyph: 'c',
        about: String::new(),
        ripens_after_ms,
        yields: Acorns(yields),
        tending: 25,
        grows_on: world::Terrain::ALL.into_iter().collect(),
    };
    RuleBook {
        version: 1,
        name: "sim".to_owned(),
        starting_acorns: Acorns(100),
        fields_per_chunk: 64,
        max_price: Acorns(1_000),
        characters: vec![Character {
            name: "mammoth".to_owned(),
            glyph: 'M',
            about: String::new(),
            effects: effects(20, 0, 0),
        }],
        crops: vec![crop("moss", 400, 3), crop("lichen", 3_000, 11)],
        buildings: vec![Building {
            name: "igloo".to_owned(),
            glyph: 'o',
            about: String::new(),
            effects: effects(0, 5, 5),
        }],
    }
}

fn all() -> &'static [(Bucket, Vec<FieldId>)] {
    static ALL: OnceLock<Vec<(Bucket, Vec<FieldId>)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let terrain = TerrainMap::new(SEED);
        let mut all = Vec::new();
        for cy in 0..CHUNKS {
            for cx in 0..CHUNKS {
                let chunk = ChunkId::new(cx + 100, cy + 100).expect("on the grid");
                let fields = (0..4_096).step_by(37).filter_map(|offset| chunk.field(offset));
                let fields: Vec<FieldId> = fields.filter(|&field| terrain.at(field).claimable()).take(FIELDS).collect();
                if fields.len() == FIELDS {
                    all.push((Bucket::of_chunk(SEED, chunk), fields));
                }
            }
        }
        all
    })
}
