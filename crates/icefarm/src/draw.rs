//! The land in a terminal.
//!
//! One sign a field. Free land shows its terrain. One's own land shows who lives or what grows there; a neighbour's
//! shows the neighbour's number. Colours only add to that: without them everything can still be told apart.

use anstyle::{Ansi256Color, Color, Effects, Style};
use std::collections::BTreeMap;
use std::fmt::Write;
use world::{FieldId, FieldView, Millis, PlayerName, Rect, RuleBook, Terrain, TerrainMap};

/// What to draw.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Which part of the grid.
    pub rect: Rect,
    /// Its owned fields.
    pub fields: &'a [FieldView],
    /// The land.
    pub terrain: &'a TerrainMap,
    /// Signs and names.
    pub rules: &'a RuleBook,
    /// Whose land stands out.
    pub player: Option<PlayerName>,
    /// For what is ripe.
    pub now: Millis,
}

/// Colours that can be told apart on dark and on light ground, for neighbours.
const NEIGHBOURS: [u8; 12] = [31, 64, 94, 97, 130, 133, 136, 167, 66, 103, 29, 168];
/// The colour of one's own land.
const OWN: u8 = 220;
/// Signs for neighbours, but for those that the rule book uses; after the last one everybody else shares a sign.
const LETTERS: &str = "123456789abcdefghijklmnopqrstuvwxyz";
const MANY: char = '*';
/// A column of the ruler.
const RULER: u32 = 10;

/// A drawing with coordinates at its edges and a legend below.
pub fn draw(scene: &Scene<'_>, colour: bool) -> String {
    let Scene { rect, .. } = *scene;
    let owned: BTreeMap<FieldId, &FieldView> = scene.fields.iter().map(|view| (view.field, view)).collect();
    let neighbours = neighbours(scene);
    let corner = rect.corner();
    let edge = (corner.y() + rect.h() - 1).to_string().len();
    let mut text = ruler(rect, edge);
    let mut seen: Vec<Terrain> = Vec::new();
    for y in corner.y()..corner.y() + rect.h() {
        let _ = write!(text, "{y:>edge$} ");
        let mut run = Run::new(colour);
        for x in corner.x()..corner.x() + rect.w() {
            let Ok(field) = FieldId::new(x, y) else { continue };
            let (sign, style) = if let Some(view) = owned.get(&field) {
                owned_sign(scene, view, &neighbours)
            } else {
                let terrain = scene.terrain.at(field);
                if !seen.contains(&terrain) {
                    seen.push(terrain);
                }
                terrain_sign(terrain)
            };
            run.push(&mut text, sign, style);
        }
        run.end(&mut text);
        text.push('\n');
    }
    text.push('\n');
    legend(scene, &seen, &neighbours, colour, &mut text);
    text
}

/// The x of every tenth column, as far as it fits.
fn ruler(rect: Rect, edge: usize) -> String {
    let mut line = " ".repeat(edge + 1);
    let corner = rect.corner();
    let mut x = corner.x();
    while x < corner.x() + rect.w() {
        let label = x.to_string();
        let room = RULER.min(corner.x() + rect.w() - x) as usize;
        if label.len() < room || x == corner.x() {
            let _ = write!(line, "{label:<room$}");
        } else {
            line.push_str(&" ".repeat(room));
        }
        x += RULER;
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

/// The neighbours by their names, each with a sign.
fn neighbours(scene: &Scene<'_>) -> BTreeMap<PlayerName, char> {
    let mut names: Vec<PlayerName> = scene.fields.iter().filter_map(|view| view.owner).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| Some(*name) != scene.player);
    let crops = scene.rules.crops.iter().map(|crop| crop.glyph);
    let taken: Vec<char> = crops.chain(scene.rules.characters.iter().map(|entry| entry.glyph)).collect();
    let letters = LETTERS.chars().filter(|letter| !taken.contains(letter)).chain(std::iter::repeat(MANY));
    names.into_iter().zip(letters).collect()
}

fn owned_sign(scene: &Scene<'_>, view: &FieldView, neighbours: &BTreeMap<PlayerName, char>) -> (char, Style) {
    let Some(owner) = view.owner else { return terrain_sign(view.terrain) };
    if Some(owner) == scene.player {
        let crop = view.crop.and_then(|crop| scene.rules.crop(crop.crop)).map(|crop| crop.glyph);
        let character = view.character.and_then(|id| scene.rules.character(id)).map(|entry| entry.glyph);
        return (crop.or(character).unwrap_or('@'), own_style());
    }
    (neighbours.get(&owner).copied().unwrap_or(MANY), neighbour_style(&owner))
}

fn own_style() -> Style {
    let ground = Some(Color::Ansi256(Ansi256Color(OWN)));
    Style::new().bg_color(ground).fg_color(Some(Color::Ansi256(Ansi256Color(16)))).effects(Effects::BOLD)
}

/// A neighbour keeps its colour from one drawing to the next.
fn neighbour_style(name: &PlayerName) -> Style {
    let sum = name.as_str().bytes().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let ground = Some(Color::Ansi256(Ansi256Color(NEIGHBOURS[sum % NEIGHBOURS.len()])));
    Style::new().bg_color(ground).fg_color(Some(Color::Ansi256(Ansi256Color(231))))
}

fn terrain_sign(terrain: Terrain) -> (char, Style) {
    let (sign, colour) = match terrain {
        Terrain::Ice => ('-', 159),
        Terrain::Snow => ('.', 255),
        Terrain::Tundra => (',', 143),
        Terrain::Pine => ('^', 28),
        Terrain::Lake => ('~', 27),
        Terrain::Rock => ('#', 244),
    };
    (sign, Style::new().fg_color(Some(Color::Ansi256(Ansi256Color(colour)))))
}

fn legend(
    scene: &Scene<'_>,
    seen: &[Terrain],
    neighbours: &BTreeMap<PlayerName, char>,
    colour: bool,
    text: &mut String,
) {
    let mut entry = |sign: char, style: Style, meaning: &str| {
        let mut run = Run::new(colour);
        run.push(text, sign, style);
        run.end(text);
        let _ = write!(text, " {meaning}   ");
    };
    for terrain in Terrain::ALL.into_iter().filter(|terrain| seen.contains(terrain)) {
        let (sign, style) = terrain_sign(terrain);
        entry(sign, style, terrain.word());
    }
    let own: Vec<&FieldView> =
        scene.fields.iter().filter(|view| view.owner.is_some() && view.owner == scene.player).collect();
    let mut signs: BTreeMap<char, (Style, String)> = BTreeMap::new();
    for view in &own {
        let (sign, style) = owned_sign(scene, view, neighbours);
        let crop = view.crop.and_then(|crop| Some((crop, scene.rules.crop(crop.crop)?)));
        let meaning = match (crop, view.character.and_then(|id| scene.rules.character(id))) {
            (Some((_, entry)), _) => format!("your {}", entry.name),
            (None, Some(entry)) => format!("your {}", entry.name),
            (None, None) => "yours".to_owned(),
        };
        signs.entry(sign).or_insert((style, meaning));
    }
    for (sign, (style, meaning)) in &signs {
        entry(*sign, *style, meaning);
    }
    for (name, sign) in neighbours.iter().filter(|(_, sign)| **sign != MANY) {
        entry(*sign, neighbour_style(name), name.as_str());
    }
    let others = neighbours.values().filter(|sign| **sign == MANY).count();
    if others > 0 {
        entry(MANY, Style::new(), &format!("{others} others"));
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    let ripe = own.iter().filter(|view| view.crop.is_some_and(|crop| crop.ripe <= scene.now)).count();
    if ripe > 0 {
        let _ = writeln!(text, "{ripe} of your fields here can be harvested");
    }
}

/// Signs of one style share their escapes.
struct Run {
    colour: bool,
    style: Option<Style>,
}

impl Run {
    fn new(colour: bool) -> Self {
        Self { colour, style: None }
    }

    fn push(&mut self, text: &mut String, sign: char, style: Style) {
        if self.colour && self.style != Some(style) {
            self.end(text);
            let _ = write!(text, "{}", style.render());
            self.style = Some(style);
        }
        text.push(sign);
    }

    fn end(&mut self, text: &mut String) {
        if let Some(style) = self.style.take() {
            let _ = write!(text, "{}", style.render_reset());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::rules::World;
    use world::{CharacterId, WorldSeed};

    fn view(field: FieldId, owner: &str) -> FieldView {
        FieldView {
            field,
            terrain: Terrain::Snow,
            owner: Some(owner.parse().unwrap()),
            character: Some(CharacterId(0)),
            crop: None,
            structures: Vec::new(),
            price: None,
            version: 1,
        }
    }

    fn drawing(player: &str, colour: bool) -> String {
        let world = World::ice_age();
        let corner = FieldId::new(30_960, 8_180).unwrap();
        let fields = [
            view(FieldId::new(30_961, 8_180).unwrap(), "scrat"),
            view(FieldId::new(30_962, 8_180).unwrap(), "sid"),
            view(FieldId::new(30_963, 8_181).unwrap(), "diego"),
        ];
        let terrain = TerrainMap::new(WorldSeed(7));
        let scene = Scene {
            rect: Rect::new(corner, 12, 2).unwrap(),
            fields: &fields,
            terrain: &terrain,
            rules: &world.rules,
            player: Some(player.parse().unwrap()),
            now: Millis(0),
        };
        draw(&scene, colour)
    }

    #[test]
    fn ones_own_land_shows_who_lives_there_and_neighbours_their_numbers() {
        let text = drawing("scrat", false);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows[0], "     30960");
        let signs = |row: &str| row.split_once(' ').unwrap().1.chars().collect::<Vec<_>>();
        assert_eq!((signs(rows[1])[1], signs(rows[1])[2], signs(rows[2])[3]), ('M', '2', '1'));
        assert_eq!(signs(rows[1]).len(), 12);
        for meaning in ["M your mammoth", "1 diego", "2 sid"] {
            assert!(text.contains(meaning), "{text}");
        }
        let other = drawing("sid", false);
        assert!(other.contains("M your mammoth") && other.contains("2 scrat"), "{other}");
    }

    #[test]
    fn no_neighbours_sign_means_something_else_too() {
        let world = World::ice_age();
        let rect = Rect::new(FieldId::new(0, 0).unwrap(), 40, 1).unwrap();
        let fields: Vec<FieldView> =
            (0..40).map(|x| view(FieldId::new(x, 0).unwrap(), &format!("player-{x:02}"))).collect();
        let terrain = TerrainMap::new(WorldSeed(7));
        let (rules, now) = (&world.rules, Millis(0));
        let scene = Scene { rect, fields: &fields, terrain: &terrain, rules, player: None, now };
        let signs = neighbours(&scene);
        assert!(signs.values().any(|sign| *sign == MANY), "more neighbours than signs");
        let mut known: Vec<char> = signs.values().copied().filter(|sign| *sign != MANY).collect();
        let distinct = known.len();
        known.extend(rules.crops.iter().map(|crop| crop.glyph));
        known.extend(rules.characters.iter().map(|entry| entry.glyph));
        known.extend(Terrain::ALL.map(|terrain| terrain_sign(terrain).0));
        known.push(MANY);
        let all = known.len();
        known.sort_unstable();
        known.dedup();
        assert_eq!(known.len(), all, "of {distinct} neighbours' signs, some mean something else: {known:?}");
    }

    #[test]
    fn colours_only_add_to_the_same_signs() {
        let (plain, coloured) = (drawing("scrat", false), drawing("scrat", true));
        assert!(!plain.contains('\x1b'));
        assert!(coloured.contains('\x1b'));
        let mut stripped = String::new();
        let mut signs = coloured.chars();
        while let Some(sign) = signs.next() {
            if sign == '\x1b' {
                signs.by_ref().find(|sign| *sign == 'm');
            } else {
                stripped.push(sign);
            }
        }
        assert_eq!(stripped, plain);
    }
}
