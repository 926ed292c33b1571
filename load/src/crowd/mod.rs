//! The players: who they are, where they live, what they do next, and what they know.
//!
//! Pure: time, answers and the world's shape come in as values, actions go out. A player takes 56 bytes, and 16 more while
//! it waits for its turn.

pub mod arrivals;
pub mod dice;
pub mod fresh;
mod learning;
mod names;
pub mod plot;

use crate::profile::{Doing, Homes, Profile, Reads};
use client::Read;
use dice::Dice;
use fresh::FreshLand;
pub use learning::{Came, Wrong};
use names::Names;
use plot::{Map, Plot};
use wire::Level;
use world::{CharacterId, Command, CropId, FieldId, PlayerName, Rect, RuleBook, Terrain, TerrainMap};

/// A visitor goes to one of so many others.
const NEIGHBOURS: u32 = 8;
/// Fresh fields that are looked at again in the end.
const KEPT: usize = 4_096;
/// A player that farms with nothing else to do builds once in so many times.
const BUILDS: u32 = 4;

/// What one player knows. Bits are fields of its plot.
#[derive(Clone, Copy, Debug, Default)]
struct Player {
    /// One more than its plot, packed; 0: it has not settled yet.
    home: u64,
    owned: u64,
    /// Of those owned.
    sown: u64,
    /// Of those sown.
    tended: u64,
    /// Not its land, or nobody knows whose since an answer never came: it lets them be.
    given_up: u64,
    /// How many things it has done.
    steps: u32,
    /// By then, in milliseconds of the run, everything sown is ripe.
    ripe_ms: u32,
    /// One more than the contested field that it holds; 0: none.
    held: u16,
    entered: bool,
}

const _: () = assert!(size_of::<Player>() <= 56, "millions of them must fit");

/// What a player does now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Action {
    /// What reports call it.
    pub doing: Doing,
    /// What is asked of the cluster.
    pub ask: Ask,
    /// What the answer is held against.
    pub about: About,
}

/// What is asked of the cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ask {
    /// To do something.
    Do(Command),
    /// To show something, this sure.
    Show(Read, Level),
}

/// What an answer is held against: what was known when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Nothing but the question.
    Nothing,
    /// A field of the player's own plot.
    Own {
        /// Its number there.
        bit: u32,
    },
    /// A field that everybody wants.
    Contested {
        /// Its number among them.
        place: u16,
    },
    /// A field that nobody has been at.
    Fresh {
        /// Which.
        field: FieldId,
    },
    /// A player's plot.
    Plot {
        /// Whose.
        whose: u32,
        /// What that one owned there.
        owned: u64,
        /// How many things that one had done.
        steps: u32,
    },
}

/// Which of several generators that share a run this one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which, from 0.
    pub nth: u32,
    /// Of how many.
    pub of: u32,
}

/// All players of one generator.
#[derive(Debug)]
pub struct Crowd {
    players: Vec<Player>,
    part: Part,
    seed: u64,
    names: Names,
    map: Map,
    terrain: TerrainMap,
    reads: Reads,
    /// What may be drawn, with the sum of all weights up to it.
    mix: Vec<(Wish, f64)>,
    land: u32,
    per_chunk: u32,
    fresh: Option<FreshLand>,
    /// Sorted.
    contested: Vec<FieldId>,
    /// Some of the fresh fields that were claimed, and how many were.
    kept: Vec<(FieldId, u32)>,
    claimed_fresh: u64,
    enter: bool,
    /// What grows soonest on each terrain, and how long it takes in milliseconds.
    crops: Vec<(Terrain, CropId, u32)>,
    characters: u8,
    buildings: u8,
}

/// What a player feels like doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Claim,
    Farm,
    Look,
    Visit,
    Watch,
    Abandon,
    Contest,
}

impl Crowd {
    /// The players of a profile, in a world with this terrain and these rules.
    pub fn new(
        profile: &Profile,
        seed: u64,
        part: Part,
        terrain: TerrainMap,
        rules: &RuleBook,
    ) -> Result<Self, String> {
        let players = &profile.players;
        let own = (players.count + part.of - 1 - part.nth) / part.of;
        let wishes = [Wish::Claim, Wish::Farm, Wish::Look, Wish::Visit, Wish::Watch, Wish::Abandon, Wish::Contest];
        let mut sum = 0.0;
        let weigh = |(wish, (_, weight)): (Wish, (&str, crate::profile::Weight))| {
            sum += weight.0;
            (weight.0 > 0.0).then_some((wish, sum))
        };
        let mix = wishes.into_iter().zip(profile.mix.weights()).filter_map(weigh).collect();
        let fresh = FreshLand::new(terrain, dice::mix(seed ^ 1));
        let contested = profile.contest.map(|contest| {
            let at = contest.at.unwrap_or_else(|| FreshLand::new(terrain, dice::mix(seed ^ 2)).next(1));
            contested(at, contest.fields, &terrain, part)
        });
        if contested.as_ref().is_some_and(Vec::is_empty) {
            return Err("[contest]: there is no such field for each generator: give it more".to_owned());
        }
        let crops = Terrain::ALL.into_iter().filter_map(|terrain| {
            let soonest = (0_u8..).zip(&rules.crops).filter(|(_, crop)| crop.grows_on.contains(terrain));
            let (id, crop) = soonest.min_by_key(|(_, crop)| crop.ripens_after_ms)?;
            Some((terrain, CropId(id), crop.ripens_after_ms))
        });
        Ok(Self {
            players: vec![Player::default(); own as usize],
            part,
            seed,
            names: Names::new(seed, players.name_bytes),
            map: Map::new(players, seed)?,
            terrain,
            reads: profile.reads,
            mix,
            land: players.land,
            per_chunk: players.per_chunk,
            fresh: (players.homes == Homes::Fresh).then(|| fresh.share(part.nth, part.of)),
            contested: contested.unwrap_or_default(),
            kept: Vec::new(),
            claimed_fresh: 0,
            enter: players.enter,
            crops: crops.collect(),
            characters: u8::try_from(rules.characters.len()).unwrap_or(u8::MAX),
            buildings: u8::try_from(rules.buildings.len()).unwrap_or(u8::MAX),
        })
    }

    /// How many.
    pub fn count(&self) -> u32 {
        u32::try_from(self.players.len()).expect("counted in 32 bits when they were made")
    }

    /// What one is called.
    pub fn name(&self, player: u32) -> PlayerName {
        self.names.of(self.number(player))
    }

    /// Who exists only if this seed has been played on the cluster.
    pub fn marker(&self) -> PlayerName {
        self.names.marker()
    }

    /// What everybody wants.
    pub fn contested(&self) -> &[FieldId] {
        &self.contested
    }

    /// How many things a player has done.
    pub fn steps(&self, player: u32) -> u32 {
        self.players[player as usize].steps
    }

    /// One's number among those of all generators.
    fn number(&self, player: u32) -> u32 {
        player * self.part.of + self.part.nth
    }

    /// The player of this generator that has this number.
    fn local(&self, number: u32) -> Option<u32> {
        let player = number / self.part.of;
        (number % self.part.of == self.part.nth && player < self.count()).then_some(player)
    }

    /// Where a player lives; it settles there if it has not yet.
    fn home(&mut self, player: u32) -> Plot {
        let packed = self.players[player as usize].home;
        if let Some(packed) = packed.checked_sub(1) {
            return Plot::unpack(packed);
        }
        let home = self.map.home(self.number(player), &self.terrain);
        self.players[player as usize].home = home.pack() + 1;
        home
    }

    /// What a player whose turn has come does, so many milliseconds into the run.
    pub fn act(&mut self, player: u32, now_ms: u32) -> Action {
        let me = &mut self.players[player as usize];
        let steps = me.steps;
        me.steps = me.steps.wrapping_add(1);
        let entered = me.entered;
        if let Some(fresh) = &mut self.fresh {
            let field = fresh.next(self.per_chunk);
            let ask = Ask::Do(Command::Claim { field, character: self.character(steps) });
            return Action { doing: Doing::Claim, ask, about: About::Fresh { field } };
        }
        if self.enter && !entered {
            return Action { doing: Doing::Enter, ask: Ask::Do(Command::Register), about: About::Nothing };
        }
        let mut dice = Dice::new(self.seed, player, steps);
        if self.enter && steps <= 1 {
            return self.view(Doing::Visit, player);
        }
        match self.wish(&mut dice) {
            Wish::Claim => self.claim(player, &mut dice),
            Wish::Farm => self.farm(player, now_ms, &mut dice),
            Wish::Look => self.look(player, &mut dice),
            Wish::Visit => {
                let whose = self.neighbour(player, &mut dice);
                self.view(Doing::Visit, whose)
            }
            Wish::Watch => {
                let whose = self.neighbour(player, &mut dice);
                self.view(Doing::Watch, whose)
            }
            Wish::Abandon => self.abandon(player, &mut dice),
            Wish::Contest => self.contest(player, &mut dice),
        }
    }

    fn wish(&self, dice: &mut Dice) -> Wish {
        let all = self.mix.last().expect("a profile has at least one").1;
        let drawn = dice.unit() * all;
        let place = self.mix.partition_point(|(_, sum)| *sum <= drawn);
        self.mix[place.min(self.mix.len() - 1)].0
    }

    /// Claims a field of the own plot; visits somebody if there is enough land, or none left.
    fn claim(&mut self, player: u32, dice: &mut Dice) -> Action {
        let home = self.home(player);
        let (terrain, land) = (self.terrain, self.land);
        let character = self.character(self.players[player as usize].steps);
        let me = &mut self.players[player as usize];
        while me.owned.count_ones() < land && me.owned | me.given_up != u64::MAX {
            let bit = one_of(!(me.owned | me.given_up), dice);
            let field = home.field(bit);
            if terrain.at(field).claimable() {
                let ask = Ask::Do(Command::Claim { field, character });
                return Action { doing: Doing::Claim, ask, about: About::Own { bit } };
            }
            me.given_up |= 1 << bit;
        }
        let whose = self.neighbour(player, dice);
        self.view(Doing::Visit, whose)
    }

    fn farm(&mut self, player: u32, now_ms: u32, dice: &mut Dice) -> Action {
        let home = self.home(player);
        let me = self.players[player as usize];
        let on = |doing, bit, command: fn(FieldId) -> Command| Action {
            doing,
            ask: Ask::Do(command(home.field(bit))),
            about: About::Own { bit },
        };
        if me.owned == 0 {
            return self.claim(player, dice);
        }
        if me.sown != 0 && now_ms >= me.ripe_ms {
            return on(Doing::Harvest, one_of(me.sown, dice), |field| Command::Harvest { field });
        }
        if me.owned & !me.sown != 0 {
            let bit = one_of(me.owned & !me.sown, dice);
            let (field, terrain) = (home.field(bit), self.terrain.at(home.field(bit)));
            if let Some((_, crop, _)) = self.crops.iter().find(|(on, ..)| *on == terrain) {
                let ask = Ask::Do(Command::Plant { field, crop: *crop });
                return Action { doing: Doing::Plant, ask, about: About::Own { bit } };
            }
        }
        if me.sown & !me.tended != 0 && dice.below(BUILDS) > 0 {
            return on(Doing::Tend, one_of(me.sown & !me.tended, dice), |field| Command::Tend { field });
        }
        if self.buildings > 0 {
            let (bit, building) = (one_of(me.owned, dice), dice.below(self.buildings.into()));
            let building = world::BuildingId(u8::try_from(building).expect("below a number of 8 bits"));
            let ask = Ask::Do(Command::Build { field: home.field(bit), building });
            return Action { doing: Doing::Build, ask, about: About::Own { bit } };
        }
        self.look(player, dice)
    }

    fn look(&mut self, player: u32, dice: &mut Dice) -> Action {
        let home = self.home(player);
        let me = self.players[player as usize];
        if me.owned == 0 {
            return self.claim(player, dice);
        }
        let bit = one_of(me.owned, dice);
        let ask = Ask::Show(Read::Field(home.field(bit)), self.reads.look);
        Action { doing: Doing::Look, ask, about: About::Own { bit } }
    }

    fn abandon(&mut self, player: u32, dice: &mut Dice) -> Action {
        let home = self.home(player);
        let me = self.players[player as usize];
        if me.owned == 0 {
            return self.claim(player, dice);
        }
        let bit = one_of(me.owned, dice);
        // From now on nobody can be sure that it is still there.
        self.players[player as usize].given_up |= 1 << bit;
        let ask = Ask::Do(Command::Abandon { field: home.field(bit) });
        Action { doing: Doing::Abandon, ask, about: About::Own { bit } }
    }

    /// Claims what everybody wants, or gives it back.
    fn contest(&mut self, player: u32, dice: &mut Dice) -> Action {
        let me = self.players[player as usize];
        if let Some(place) = me.held.checked_sub(1) {
            let ask = Ask::Do(Command::Abandon { field: self.contested[usize::from(place)] });
            return Action { doing: Doing::Abandon, ask, about: About::Contested { place } };
        }
        let fields = u32::try_from(self.contested.len()).expect("at most 65,535");
        let place = u16::try_from(dice.below(fields)).expect("below a number of 16 bits");
        let (field, character) = (self.contested[usize::from(place)], self.character(me.steps));
        let ask = Ask::Do(Command::Claim { field, character });
        Action { doing: Doing::Claim, ask, about: About::Contested { place } }
    }

    /// Who shall live on the next field: one after the other.
    fn character(&self, steps: u32) -> CharacterId {
        let nth = steps % u32::from(self.characters.max(1));
        CharacterId(u8::try_from(nth).expect("below a number of 8 bits"))
    }

    /// Somebody who lives near, or the player itself where nobody does.
    fn neighbour(&self, player: u32, dice: &mut Dice) -> u32 {
        (player + 1 + dice.below(NEIGHBOURS)) % self.count()
    }

    fn view(&mut self, doing: Doing, whose: u32) -> Action {
        let home = self.home(whose);
        let Player { owned, given_up, steps, .. } = self.players[whose as usize];
        let read: fn(Rect) -> Read = if doing == Doing::Watch { Read::Watch } else { Read::View };
        let side = if doing == Doing::Watch { plot::SIDE } else { self.reads.view };
        let ask = Ask::Show(read(home.view(side)), self.reads.visit);
        Action { doing, ask, about: About::Plot { whose, owned: owned & !given_up, steps } }
    }
}

/// One of the bits that are set; there is at least one.
fn one_of(bits: u64, dice: &mut Dice) -> u32 {
    let mut nth = dice.below(bits.count_ones());
    let mut bits = bits;
    while nth > 0 {
        bits &= bits - 1;
        nth -= 1;
    }
    bits.trailing_zeros()
}

/// So many claimable fields from there on, chunk after chunk, of which each generator has its own.
fn contested(at: FieldId, fields: u16, terrain: &TerrainMap, part: Part) -> Vec<FieldId> {
    let first = FieldId::new(at.x() / 64 * 64, at.y() / 64 * 64).expect("on the grid, since `at` is");
    let mut found = Vec::new();
    let mut corner = first;
    while found.len() < usize::from(fields) {
        let chunk = corner.chunk();
        let dry = (0..4_096).filter_map(|offset| chunk.field(offset)).filter(|field| terrain.at(*field).claimable());
        found.extend(dry);
        let x = (corner.x() + 64) % world::grid::GRID;
        corner = FieldId::new(x, corner.y()).expect("on the grid");
        if corner == first {
            break;
        }
    }
    found.truncate(usize::from(fields));
    let own = |nth: usize| nth % part.of as usize == part.nth as usize;
    let mut own: Vec<FieldId> = (0..).zip(found).filter(|(nth, _)| own(*nth)).map(|(_, field)| field).collect();
    own.sort_unstable();
    own
}

#[cfg(test)]
mod tests;
