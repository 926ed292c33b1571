//! A world file: seed and rule book as people write them, in TOML. `maps/worlds/ice-age.toml` is the commented example.
//!
//! Strict, because a slip in a table would be played by everybody: what is not understood is refused, and every error
//! names file, line and value.

use super::{
    Building, Character, Crop, Effects, MAX_CUT, MAX_ENTRIES, MAX_FIELDS_PER_CHUNK, RuleBook, TerrainSet, duration,
};
use crate::{Acorns, Terrain, WorldSeed};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use std::{collections::BTreeSet, ops::Range};
use toml::Spanned;

/// The longest name of anything, in bytes.
const MAX_NAME: usize = 24;
/// The longest line for players, in bytes.
const MAX_ABOUT: usize = 200;
/// The most of a value that an error shows, in characters.
const MAX_SHOWN: usize = 60;
/// The most acorns that any number in a world file may say. Far below 2^64, so that no sum of a game's life overflows.
const MAX_ACORNS: u64 = 1_000_000_000;

/// A world to start: what it is called, what it grows from and what its rules are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct World {
    /// What it is called.
    pub name: String,
    /// What it grows from.
    pub seed: WorldSeed,
    /// Its rules.
    pub rules: RuleBook,
}

/// What is wrong with a world file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct WorldFileError {
    /// The file, as it was named to us.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there, with the value.
    pub problem: String,
}

impl World {
    /// The world that is started when no other is named: `maps/worlds/ice-age.toml`, as it was when this was built.
    pub fn ice_age() -> Self {
        let text = include_str!("../../../../maps/worlds/ice-age.toml");
        Self::parse("maps/worlds/ice-age.toml", text).expect("the tests read it")
    }

    /// Reads a world file. `file_name` is for errors only.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, WorldFileError> {
        let error = |Fault { at, problem }: Fault| WorldFileError {
            file: file_name.to_owned(),
            line: 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count(),
            problem,
        };
        let page: Page = toml::from_str(text).map_err(|refused| {
            let span = refused.span().unwrap_or_default();
            error(Fault { at: span.start, problem: with_value(refused.message(), text, span) })
        })?;
        page.check().map_err(error)
    }
}

/// The parser's words, and the text they are about: the value, or if that would not help, its line.
fn with_value(message: &str, text: &str, span: Range<usize>) -> String {
    let message = message.trim().replace('\n', "; ");
    let at = span.start.min(text.len());
    let value = text.get(span).map(str::trim).filter(|value| !value.is_empty() && !value.contains('\n'));
    let (from, to) = (
        text.as_bytes()[..at].iter().rposition(|byte| *byte == b'\n'),
        text.as_bytes()[at..].iter().position(|byte| *byte == b'\n'),
    );
    let line = text.get(from.map_or(0, |from| from + 1)..to.map_or(text.len(), |to| at + to)).unwrap_or_default();
    let shown: String = value.unwrap_or(line.trim()).chars().take(MAX_SHOWN).collect();
    if shown.is_empty() || message.contains(&shown) { message } else { format!("{message}, at '{shown}'") }
}

/// What is wrong, and the byte where.
struct Fault {
    at: usize,
    problem: String,
}

fn fault<T>(spanned: &Spanned<T>, problem: String) -> Fault {
    Fault { at: spanned.span().start, problem }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    name: Spanned<String>,
    seed: Spanned<u64>,
    rules: Rules,
    characters: Spanned<Vec<Inhabitant>>,
    crops: Spanned<Vec<Plant>>,
    buildings: Spanned<Vec<Inhabitant>>,
    /// Policies of shards, which are not the world's business.
    #[serde(default, rename = "reads")]
    _reads: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    version: Spanned<u32>,
    name: Spanned<String>,
    starting_acorns: Spanned<u64>,
    fields_per_chunk: Spanned<u32>,
    max_price: Spanned<u64>,
}

/// A character or a building: the same to write.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inhabitant {
    name: Spanned<String>,
    glyph: Spanned<String>,
    about: Spanned<String>,
    #[serde(default)]
    effects: Option<Spanned<Effects>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plant {
    name: Spanned<String>,
    glyph: Spanned<String>,
    about: Spanned<String>,
    ripens_after: Spanned<String>,
    yields: Spanned<u64>,
    tending: Spanned<u8>,
    grows_on: Spanned<Vec<Spanned<String>>>,
}

impl Page {
    fn check(self) -> Result<World, Fault> {
        let Rules { version, name, starting_acorns, fields_per_chunk, max_price } = self.rules;
        number("version", &version, 1, u64::from(u32::MAX))?;
        number("starting_acorns", &starting_acorns, 0, MAX_ACORNS)?;
        number("fields_per_chunk", &fields_per_chunk, 1, u64::from(MAX_FIELDS_PER_CHUNK))?;
        number("max_price", &max_price, 1, MAX_ACORNS)?;

        table("characters", &self.characters, |entry| &entry.name)?;
        table("crops", &self.crops, |entry| &entry.name)?;
        table("buildings", &self.buildings, |entry| &entry.name)?;
        let rules = RuleBook {
            version: version.into_inner(),
            name: word("rules.name", &name)?,
            starting_acorns: Acorns(starting_acorns.into_inner()),
            fields_per_chunk: fields_per_chunk.into_inner(),
            max_price: Acorns(max_price.into_inner()),
            characters: self.characters.into_inner().iter().map(Inhabitant::character).collect::<Result<_, _>>()?,
            crops: self.crops.into_inner().iter().map(Plant::crop).collect::<Result<_, _>>()?,
            buildings: self.buildings.into_inner().iter().map(Inhabitant::building).collect::<Result<_, _>>()?,
        };
        Ok(World { name: word("name", &self.name)?, seed: WorldSeed(self.seed.into_inner()), rules })
    }
}

impl Inhabitant {
    fn character(&self) -> Result<Character, Fault> {
        let (name, glyph, about, effects) = self.check()?;
        Ok(Character { name, glyph, about, effects })
    }

    fn building(&self) -> Result<Building, Fault> {
        let (name, glyph, about, effects) = self.check()?;
        Ok(Building { name, glyph, about, effects })
    }

    fn check(&self) -> Result<(String, char, String, Effects), Fault> {
        let name = word("name", &self.name)?;
        let effects = match &self.effects {
            None => Effects::default(),
            Some(spanned) => {
                let Effects { harvest, ripening, tending } = *spanned.get_ref();
                for (what, percent, most) in
                    [("harvest", harvest, 200), ("ripening", ripening, MAX_CUT), ("tending", tending, MAX_CUT)]
                {
                    if u32::from(percent) > most {
                        let problem = format!("'{name}' has an effect {what} = {percent}: at most {most} percent");
                        return Err(fault(spanned, problem));
                    }
                }
                Effects { harvest, ripening, tending }
            }
        };
        Ok((name, glyph(&self.glyph)?, about(&self.about)?, effects))
    }
}

impl Plant {
    fn crop(&self) -> Result<Crop, Fault> {
        let ripens_after_ms = duration::parse(self.ripens_after.get_ref())
            .map_err(|problem| fault(&self.ripens_after, format!("ripens_after: {problem}")))?;
        number("yields", &self.yields, 1, MAX_ACORNS)?;
        number("tending", &self.tending, 0, u64::from(MAX_CUT))?;
        let mut grows_on = TerrainSet::default();
        for spanned in self.grows_on.get_ref() {
            if !grows_on.insert(claimable(spanned)?) {
                return Err(fault(spanned, format!("grows_on names '{}' twice", spanned.get_ref())));
            }
        }
        if grows_on.is_empty() {
            let problem = format!("'{}' grows nowhere: name a terrain in grows_on", self.name.get_ref());
            return Err(fault(&self.grows_on, problem));
        }
        Ok(Crop {
            name: word("name", &self.name)?,
            glyph: glyph(&self.glyph)?,
            about: about(&self.about)?,
            ripens_after_ms,
            yields: Acorns(*self.yields.get_ref()),
            tending: *self.tending.get_ref(),
            grows_on,
        })
    }
}

fn number<N: Copy + Into<u64>>(what: &str, spanned: &Spanned<N>, least: u64, most: u64) -> Result<(), Fault> {
    let number: u64 = (*spanned.get_ref()).into();
    if (least..=most).contains(&number) {
        Ok(())
    } else {
        Err(fault(spanned, format!("{what} = {number} is out of range: {least} to {most}")))
    }
}

/// A name that people can type: 1 to 24 of `a-z`, `0-9` and `-`.
fn word(what: &str, spanned: &Spanned<String>) -> Result<String, Fault> {
    let name = spanned.get_ref();
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(name.clone())
    } else {
        let problem = format!("{what} = '{name}' is refused: write 1 to {MAX_NAME} of a-z, 0-9 and -");
        Err(fault(spanned, problem))
    }
}

fn glyph(spanned: &Spanned<String>) -> Result<char, Fault> {
    let mut chars = spanned.get_ref().chars();
    match (chars.next(), chars.next()) {
        (Some(glyph), None) if !glyph.is_control() && !glyph.is_whitespace() => Ok(glyph),
        _ => Err(fault(spanned, format!("glyph = '{}' is refused: write one visible sign", spanned.get_ref()))),
    }
}

fn about(spanned: &Spanned<String>) -> Result<String, Fault> {
    let line = spanned.get_ref();
    if line.len() <= MAX_ABOUT && !line.chars().any(char::is_control) {
        Ok(line.clone())
    } else {
        let problem = format!("about = {line:?} is refused: write one line of at most {MAX_ABOUT} bytes");
        Err(fault(spanned, problem))
    }
}

fn claimable(spanned: &Spanned<String>) -> Result<Terrain, Fault> {
    let name = spanned.get_ref();
    let known = Terrain::ALL.into_iter().find(|terrain| terrain.word() == name);
    match known {
        Some(terrain) if terrain.claimable() => Ok(terrain),
        Some(terrain) => Err(fault(spanned, format!("nothing grows on {terrain}, since nobody can claim it"))),
        None => Err(fault(spanned, format!("'{name}' is not a terrain: choose from ice, snow, tundra and pine"))),
    }
}

/// 1 to 64 entries, each with a name of its own.
fn table<E>(what: &str, spanned: &Spanned<Vec<E>>, name: impl Fn(&E) -> &Spanned<String>) -> Result<(), Fault> {
    let entries = spanned.get_ref();
    if entries.is_empty() || entries.len() > MAX_ENTRIES {
        let at = entries.get(MAX_ENTRIES).map_or(spanned.span().start, |entry| name(entry).span().start);
        return Err(Fault {
            at,
            problem: format!("{what} has {} entries: 1 to {MAX_ENTRIES} are allowed", entries.len()),
        });
    }
    let mut seen = BTreeSet::new();
    for entry in entries {
        let name = name(entry);
        if !seen.insert(name.get_ref().as_str()) {
            return Err(fault(name, format!("{what} has two entries called '{}'", name.get_ref())));
        }
    }
    Ok(())
}
