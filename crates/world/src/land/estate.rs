//! Who has how much, and where: what is known of all land without looking at a single field.
//!
//! Of each player the chunks in which it has fields, and what is on its way to its wallet; of each chunk how many of its fields
//! belong to players of each banner. The second follows from the first. Both stay in memory when chunks leave it.
//!
//! Invariant: a player that has nothing has no entry, a chunk in which it has nothing is not listed, and the lists are sorted.

use super::residency::NODE;
use crate::{Acorns, Banner, Block, Census, ChunkId, PlayerName, Zoom, grid::CHUNK};
use std::collections::BTreeMap;

/// What a player has on this land.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Estate {
    fields: u64,
    /// In the outboxes, for its wallet.
    pending: Acorns,
    /// Where its fields are, and how many in each.
    chunks: Vec<(ChunkId, u16)>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Estates {
    players: BTreeMap<PlayerName, Estate>,
    chunks: BTreeMap<ChunkId, [u16; Banner::COUNT]>,
    owned: u64,
}

impl Estates {
    /// A player has one field more in `chunk`.
    pub(super) fn enter(&mut self, player: &PlayerName, chunk: ChunkId) {
        let estate = self.players.entry(*player).or_default();
        estate.fields += 1;
        self.owned += 1;
        match estate.chunks.binary_search_by_key(&chunk, |entry| entry.0) {
            Ok(at) => estate.chunks[at].1 += 1,
            Err(at) => {
                if estate.chunks.len() == estate.chunks.capacity() {
                    estate.chunks.reserve_exact((estate.chunks.len() / 4).max(1));
                }
                estate.chunks.insert(at, (chunk, 1));
            }
        }
        self.chunks.entry(chunk).or_default()[Banner::of(player).index()] += 1;
    }

    /// And one less.
    pub(super) fn leave(&mut self, player: &PlayerName, chunk: ChunkId) {
        let estate = self.players.get_mut(player).expect("who has a field has an estate");
        let at = estate.chunks.binary_search_by_key(&chunk, |entry| entry.0).expect("it had a field there");
        estate.fields -= 1;
        self.owned -= 1;
        estate.chunks[at].1 -= 1;
        if estate.chunks[at].1 == 0 {
            estate.chunks.remove(at);
        }
        self.tidy(player);
        let counts = self.chunks.get_mut(&chunk).expect("somebody had a field there");
        counts[Banner::of(player).index()] -= 1;
        if *counts == [0; Banner::COUNT] {
            self.chunks.remove(&chunk);
        }
    }

    /// Changes what is on its way to a player.
    pub(super) fn owe(&mut self, player: &PlayerName, change: impl FnOnce(Acorns) -> Acorns) {
        let estate = self.players.entry(*player).or_default();
        estate.pending = change(estate.pending);
        self.tidy(player);
    }

    /// Puts back what a page held; `None` if no land can be so.
    pub(super) fn restore(&mut self, player: &PlayerName, chunks: Vec<(ChunkId, u16)>) -> Option<()> {
        let sorted = chunks.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let possible = chunks.iter().all(|entry| (1..=CHUNK * CHUNK).contains(&u32::from(entry.1)));
        let estate = self.players.entry(*player).or_default();
        if chunks.is_empty() || !sorted || !possible || estate.fields > 0 {
            return None;
        }
        let banner = Banner::of(player).index();
        for (chunk, fields) in &chunks {
            let counts = self.chunks.entry(*chunk).or_default();
            let all = counts.iter().map(|count| u32::from(*count)).sum::<u32>();
            if all + u32::from(*fields) > CHUNK * CHUNK {
                return None;
            }
            counts[banner] += fields;
            estate.fields += u64::from(*fields);
            self.owned += u64::from(*fields);
        }
        estate.chunks = chunks;
        Some(())
    }

    /// How many fields a player has here, and what is on its way to it.
    pub(super) fn of(&self, player: &PlayerName) -> (u64, Acorns) {
        self.players.get(player).map_or((0, Acorns::ZERO), |estate| (estate.fields, estate.pending))
    }

    /// Where its fields are, by chunk.
    pub(super) fn chunks_of(&self, player: &PlayerName) -> &[(ChunkId, u16)] {
        self.players.get(player).map_or(&[], |estate| &estate.chunks)
    }

    /// How many fields have an owner.
    pub(super) fn owned(&self) -> u64 {
        self.owned
    }

    /// Whose the fields of each cell of `block` are, of a level no finer than chunks; cells in which somebody has any, in order.
    pub(super) fn census(&self, block: Block) -> Vec<(u16, Census)> {
        debug_assert!(block.zoom() >= Zoom::CHUNKS, "what is finer than a chunk is counted field by field");
        let (left, top, right, bottom) = block.chunk_bounds();
        let mut cells = BTreeMap::<u16, Census>::new();
        let chunk = |cx, cy| ChunkId::new(cx, cy).ok();
        let mut next = chunk(left, top);
        // Row by row, with a leap over what lies between the end of one and the beginning of the next.
        while let Some(from) = next.take() {
            for (&id, counts) in self.chunks.range(from..) {
                if id.cy() >= bottom {
                    break;
                }
                if id.cx() < left {
                    next = chunk(left, id.cy());
                    break;
                }
                if id.cx() >= right {
                    next = chunk(left, id.cy() + 1).filter(|id| id.cy() < bottom);
                    break;
                }
                let field = id.field(0).expect("the first field of a chunk is on the grid");
                *cells.entry(block.offset(field)).or_default() += Census(counts.map(u32::from));
            }
        }
        cells.into_iter().collect()
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        let lists: usize = self.players.values().map(|estate| estate.chunks.capacity()).sum();
        self.players.len() * (size_of::<(PlayerName, Estate)>() * 4 / 3 + NODE)
            + lists * size_of::<(ChunkId, u16)>()
            + self.chunks.len() * (size_of::<(ChunkId, [u16; Banner::COUNT])>() * 4 / 3 + NODE)
    }

    fn tidy(&mut self, player: &PlayerName) {
        if self.players.get(player).is_some_and(|estate| estate.fields == 0 && estate.pending == Acorns::ZERO) {
            self.players.remove(player);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> PlayerName {
        text.parse().unwrap()
    }

    fn chunk(cx: u32, cy: u32) -> ChunkId {
        ChunkId::new(cx, cy).unwrap()
    }

    /// Scrat (banner 5) has two fields in one chunk and one in the next row, sid (banner 7) one beside and one far away.
    fn some() -> Estates {
        let mut estates = Estates::default();
        for (player, at) in [
            ("scrat", chunk(4, 4)),
            ("sid", chunk(5, 4)),
            ("scrat", chunk(4, 4)),
            ("scrat", chunk(3, 5)),
            ("sid", chunk(15_624, 15_624)),
        ] {
            estates.enter(&name(player), at);
        }
        estates
    }

    fn census(estates: &Estates, level: u8, bx: u32, by: u32) -> Vec<(u16, u32)> {
        let block = Block::new(Zoom::try_from(level).unwrap(), bx, by).unwrap();
        estates.census(block).into_iter().map(|(offset, census)| (offset, census.sum())).collect()
    }

    #[test]
    fn a_player_s_land_is_listed_by_chunk_and_gone_when_it_has_none() {
        let mut estates = some();
        let scrat = name("scrat");
        assert_eq!(estates.chunks_of(&scrat), [(chunk(4, 4), 2), (chunk(3, 5), 1)]);
        assert_eq!((estates.of(&scrat).0, estates.owned()), (3, 5));
        for at in [chunk(4, 4), chunk(3, 5), chunk(4, 4)] {
            estates.leave(&scrat, at);
        }
        assert_eq!((estates.chunks_of(&scrat), estates.of(&scrat), estates.owned()), (&[][..], (0, Acorns::ZERO), 2));
        assert!(!estates.players.contains_key(&scrat) && !estates.chunks.contains_key(&chunk(4, 4)));
    }

    #[test]
    fn who_is_owed_something_is_remembered_without_any_land() {
        let mut estates = Estates::default();
        estates.owe(&name("sid"), |_| Acorns(5));
        assert_eq!(estates.of(&name("sid")), (0, Acorns(5)));
        estates.owe(&name("sid"), |owed| Acorns(owed.0 - 5));
        assert!(estates.players.is_empty());
    }

    #[test]
    fn a_block_counts_its_own_chunks_at_every_level() {
        let estates = some();
        assert_eq!(census(&estates, 3, 0, 0), [(4 * 64 + 4, 2), (4 * 64 + 5, 1), (5 * 64 + 3, 1)]);
        assert_eq!(census(&estates, 4, 0, 0), [(64, 1), (65, 3)], "four by four chunks to a cell");
        assert_eq!(census(&estates, 3, 1, 0), []);
        assert_eq!(census(&estates, 3, 244, 244), [(8 * 64 + 8, 1)]);
        assert_eq!(census(&estates, 7, 0, 0), [(0, 4), (61 * 64 + 61, 1)]);
        let world = estates.census(Block::new(Zoom::try_from(7).unwrap(), 0, 0).unwrap());
        assert_eq!(world[0].1, Census([0, 0, 0, 0, 0, 3, 0, 1]));
    }

    #[test]
    fn blocks_of_all_levels_add_up_to_all_that_is_owned_however_it_is_spread() {
        let mut estates = Estates::default();
        let mut seed: u32 = 7;
        for _ in 0..2_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = chunk((seed >> 8) % 300, (seed >> 20) % 300);
            estates.enter(&name(&format!("p{}", seed % 50)), at);
        }
        for level in 3..=Zoom::MOST {
            let blocks = Zoom::try_from(level).unwrap().blocks().min(5);
            let sum: u32 = (0..blocks)
                .flat_map(|by| (0..blocks).map(move |bx| (bx, by)))
                .flat_map(|(bx, by)| census(&estates, level, bx, by))
                .map(|(_, sum)| sum)
                .sum();
            assert_eq!(sum, 2_000, "level {level}");
        }
    }

    #[test]
    fn what_comes_back_is_what_was_and_nonsense_is_refused() {
        let estates = some();
        let mut restored = Estates::default();
        for player in ["scrat", "sid"].map(name) {
            restored.restore(&player, estates.chunks_of(&player).to_vec()).unwrap();
        }
        assert_eq!((&restored.players, &restored.chunks), (&estates.players, &estates.chunks));
        assert_eq!(restored.owned(), 5);
        let refused = |chunks: &[(ChunkId, u16)]| some().restore(&name("manny"), chunks.to_vec()).is_none();
        assert!(refused(&[]) && refused(&[(chunk(1, 1), 0)]) && refused(&[(chunk(1, 1), 4_097)]));
        assert!(refused(&[(chunk(1, 1), 1), (chunk(1, 1), 1)]) && refused(&[(chunk(2, 1), 1), (chunk(1, 1), 1)]));
        assert!(refused(&[(chunk(4, 4), 4_095)]), "more than a chunk has");
        assert!(some().restore(&name("sid"), vec![(chunk(1, 1), 1)]).is_none(), "twice");
    }
}
