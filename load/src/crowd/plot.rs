//! Where players live: plots of 8 x 8 fields, each inside one chunk, no two players on one.

use crate::profile::{Homes, Players};
use world::grid::GRID;
use world::{FieldId, Rect, TerrainMap};

/// Fields along a plot's edge.
pub const SIDE: u32 = 8;
/// Plots along the grid's edge.
const PLOTS: u32 = GRID / SIDE;
/// All plots.
const ALL: u64 = PLOTS as u64 * PLOTS as u64;
/// From one player's plot to the next one's, where they live anywhere. Odd and no multiple of 5, hence coprime to the number
/// of plots, so that none comes twice; near the golden section of it, so that they spread.
const STRIDE: u64 = 9_656_781_247;
/// A player looks at so many plots for one with enough dry land.
const TRIES: u64 = 16;

/// 8 x 8 fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Plot {
    x: u32,
    y: u32,
}

impl Plot {
    fn nth(index: u64) -> Self {
        let index = index % ALL;
        let part = |value: u64| u32::try_from(value).expect("less than the plots along an edge");
        Self { x: part(index % u64::from(PLOTS)), y: part(index / u64::from(PLOTS)) }
    }

    /// The plot that `field` is in.
    pub fn of(field: FieldId) -> Self {
        Self { x: field.x() / SIDE, y: field.y() / SIDE }
    }

    /// As one number.
    pub fn pack(self) -> u64 {
        u64::from(self.y) * u64::from(PLOTS) + u64::from(self.x)
    }

    /// From one number.
    pub fn unpack(packed: u64) -> Self {
        Self::nth(packed)
    }

    /// Its field of this number, 0 to 63.
    pub fn field(self, bit: u32) -> FieldId {
        let (x, y) = (self.x * SIDE + bit % SIDE, self.y * SIDE + bit / SIDE % SIDE);
        FieldId::new(x, y).expect("plots cover the grid and nothing else")
    }

    /// The number of `field` in it.
    pub fn bit(self, field: FieldId) -> Option<u32> {
        (Self::of(field) == self).then(|| field.y() % SIDE * SIDE + field.x() % SIDE)
    }

    /// So many fields in each direction with this plot in the north-west corner.
    pub fn view(self, side: u32) -> Rect {
        Rect::new(self.field(0), side, side).expect("a profile's views are small")
    }

    /// Whether at least half of it can be claimed, as far as its diagonal shows.
    fn dry(self, terrain: &TerrainMap) -> bool {
        let diagonal = (0..SIDE).map(|nth| self.field(nth * SIDE + nth));
        diagonal.filter(|field| terrain.at(*field).claimable()).count() * 2 >= SIDE as usize
    }
}

/// Who lives where.
#[derive(Debug)]
pub struct Map {
    /// How far everything is moved.
    offset: u64,
    players: u64,
    /// Largest first; none where players live anywhere.
    cities: Vec<City>,
}

#[derive(Debug)]
struct City {
    /// The first player that lives there.
    first: u64,
    size: u64,
    center: Plot,
}

impl Map {
    /// Where the players of this seed live.
    pub fn new(players: &Players, seed: u64) -> Result<Self, String> {
        let count = u64::from(players.count);
        let offset = crate::crowd::dice::mix(seed) % ALL;
        let cities = match players.homes {
            Homes::Uniform | Homes::Fresh => Vec::new(),
            Homes::Cities => cities(players, offset)?,
        };
        Ok(Self { offset, players: count, cities })
    }

    /// Where this player lives.
    pub fn home(&self, player: u32, terrain: &TerrainMap) -> Plot {
        let plots = (0..TRIES).map(|attempt| self.candidate(u64::from(player), attempt));
        let mut first = None;
        for plot in plots {
            if plot.dry(terrain) {
                return plot;
            }
            first.get_or_insert(plot);
        }
        first.expect("there is more than one try")
    }

    /// No two players ever look at the same plot.
    fn candidate(&self, player: u64, attempt: u64) -> Plot {
        let after = self.cities.partition_point(|city| city.first <= player);
        match after.checked_sub(1).map(|place| &self.cities[place]) {
            None => Plot::nth(self.offset + (player + attempt * self.players) % ALL * STRIDE % ALL),
            Some(city) => {
                let (dx, dy) = spiral(player - city.first + attempt * city.size);
                let shift = |at: u32, by: i64| u32::try_from(i64::from(at) + by).expect("a city stays inside its cell");
                Plot { x: shift(city.center.x, dx), y: shift(city.center.y, dy) }
            }
        }
    }
}

/// Cities far enough from each other, and from the edge, that no two players look at the same plot.
fn cities(players: &Players, offset: u64) -> Result<Vec<City>, String> {
    let count = u64::from(players.count);
    let weight = |rank: u32| f64::from(rank).powf(-players.exponent.0);
    let whole: f64 = (1..=players.cities).map(weight).sum();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a 32-bit count")]
    let mut sizes: Vec<u64> =
        (1..=players.cities).map(|rank| (f64::from(players.count) * weight(rank) / whole) as u64).collect();
    // What rounding left over lives in the largest.
    sizes[0] += count - sizes.iter().sum::<u64>();
    let across = (sizes[0] * TRIES).isqrt() + 2;
    let cells = u64::from(PLOTS) / across;
    let room = cells * cells;
    if room < u64::from(players.cities) {
        let most = players.cities;
        return Err(format!(
            "{most} cities with {} players in the largest do not fit the grid: fewer of either",
            sizes[0]
        ));
    }
    let step = (room * 5 / 8..=room + 1)
        .find(|step| gcd(*step, room) == 1)
        .expect("one more than the number is coprime to it");
    let mut first = 0;
    let mut cities = Vec::with_capacity(sizes.len());
    for (rank, size) in sizes.into_iter().enumerate() {
        let cell = (offset % room + rank as u64 * step) % room;
        let middle = |cell: u64| u32::try_from(cell * across + across / 2).expect("on the grid");
        cities.push(City { first, size, center: Plot { x: middle(cell % cells), y: middle(cell / cells) } });
        first += size;
    }
    Ok(cities)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The place of this number on a square spiral around the origin.
fn spiral(number: u64) -> (i64, i64) {
    let number = i64::try_from(number).expect("a city's plots are few");
    // Rings have 8, 16, 24, ... places around the first.
    let root = number.isqrt();
    let ring = (root + 1) / 2;
    if ring == 0 {
        return (0, 0);
    }
    let along = number - (2 * ring - 1).pow(2);
    let (side, step) = (along / (2 * ring), along % (2 * ring));
    match side {
        0 => (ring, step - ring + 1),
        1 => (ring - 1 - step, ring),
        2 => (-ring, ring - 1 - step),
        _ => (step - ring + 1, -ring),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;
    use std::collections::BTreeSet;
    use world::WorldSeed;

    fn players(count: u32, more: &str) -> Players {
        let text = format!("about = ''\n[players]\ncount = {count}\n{more}\n[arrival]\nrate = 1\n[mix]\nclaim = 1");
        Profile::parse("test", &text).unwrap().players
    }

    #[test]
    fn a_spiral_visits_every_place_once_from_the_middle() {
        let places: BTreeSet<(i64, i64)> = (0..25).map(spiral).collect();
        let square: BTreeSet<(i64, i64)> = (-2..=2).flat_map(|x| (-2..=2).map(move |y| (x, y))).collect();
        assert_eq!(places, square);
    }

    #[test]
    fn a_plots_fields_lie_in_one_chunk_and_know_their_number() {
        for plot in [Plot::nth(0), Plot::nth(ALL - 1), Plot::nth(7_000_000_123)] {
            let chunks: BTreeSet<_> = (0..64).map(|bit| plot.field(bit).chunk()).collect();
            assert_eq!(chunks.len(), 1);
            assert!((0..64).all(|bit| plot.bit(plot.field(bit)) == Some(bit)));
            assert_eq!(Plot::unpack(plot.pack()), plot);
        }
        assert_eq!(Plot::nth(5).bit(Plot::nth(6).field(0)), None);
    }

    #[test]
    fn no_two_players_live_on_one_plot_and_nearly_all_live_on_land() {
        let terrain = TerrainMap::new(WorldSeed(20_020_315));
        for more in
            ["", "homes = 'cities'\ncities = 20", "homes = 'cities'\ncities = 1", "homes = 'cities'\nexponent = 0"]
        {
            let map = Map::new(&players(20_000, more), 7).unwrap();
            let homes: Vec<Plot> = (0..20_000).map(|player| map.home(player, &terrain)).collect();
            assert_eq!(homes.iter().collect::<BTreeSet<_>>().len(), 20_000, "{more}");
            let wet = homes.iter().filter(|plot| !plot.dry(&terrain)).count();
            assert!(wet < 500, "{wet} of 20,000 live in the water ({more})");
        }
    }

    #[test]
    fn cities_are_as_different_in_size_as_the_exponent_says() {
        let map = Map::new(&players(10_000, "homes = 'cities'\ncities = 4\nexponent = 1"), 7).unwrap();
        let sizes: Vec<u64> = map.cities.iter().map(|city| city.size).collect();
        assert_eq!(sizes, [4_800, 2_400, 1_600, 1_200], "1 : 1/2 : 1/3 : 1/4");
    }

    #[test]
    fn cities_that_do_not_fit_the_grid_are_refused() {
        let refused = Map::new(&players(50_000_000, "homes = 'cities'\ncities = 4096\nexponent = 0.01"), 7);
        assert!(refused.is_ok(), "many small ones fit");
        let refused = Map::new(&players(50_000_000, "homes = 'cities'\ncities = 4096\nexponent = 2"), 7).unwrap_err();
        assert!(refused.contains("do not fit the grid"), "{refused}");
    }
}
