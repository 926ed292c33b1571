//! Regions and the round-trip times between them. `maps/regions/local.toml` explains the form of the file.
//!
//! Invariants of a [`Regions`]: there is at least one region; every pair of regions has exactly one round-trip time,
//! which holds both ways; every time is finite, not negative and at most [`MAX_RTT`]. They are checked when the file is
//! read, and every error names file, line and value, because a network emulated from a slip would mislead quietly.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};
use toml::Spanned;

/// The longest round trip a file may ask for: nobody's network is slower, and no time-out of ours is longer.
pub const MAX_RTT: Duration = Duration::from_secs(10);
/// The most regions in one file.
pub const MAX_REGIONS: usize = 64;
/// The longest [`RegionName`], in bytes.
const MAX_NAME: usize = 24;
/// The longest name for people, in bytes.
const MAX_TITLE: usize = 60;

/// What nodes and policies call a region: 1 to 24 of `A-Z`, `a-z`, `0-9` and `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegionName(String);

/// Not a region's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a region's name: write 1 to {MAX_NAME} of A-Z, a-z, 0-9 and -")]
pub struct BadRegionName(pub String);

impl RegionName {
    /// Checks a name. That it is known somewhere is another matter: see [`Regions::check`].
    pub fn new(name: impl Into<String>) -> Result<Self, BadRegionName> {
        let name = name.into();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name))
        } else {
            Err(BadRegionName(name))
        }
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RegionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RegionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RegionName {
    type Err = BadRegionName;

    fn from_str(name: &str) -> Result<Self, BadRegionName> {
        Self::new(name)
    }
}

impl TryFrom<String> for RegionName {
    type Error = BadRegionName;

    fn try_from(name: String) -> Result<Self, BadRegionName> {
        Self::new(name)
    }
}

impl From<RegionName> for String {
    fn from(name: RegionName) -> Self {
        name.0
    }
}

/// No such region here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no region called '{name}': choose one of {}", list(.known))]
pub struct UnknownRegion {
    /// What was asked for.
    pub name: RegionName,
    /// What there is.
    pub known: Vec<RegionName>,
}

/// What is wrong with a region file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct RegionFileError {
    /// The file, as it was named to us.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there, with the value.
    pub problem: String,
}

/// All regions of a deployment and the round-trip times between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regions {
    local: Duration,
    titles: BTreeMap<RegionName, String>,
    /// By the pair in ascending order.
    rtt: BTreeMap<(RegionName, RegionName), Duration>,
}

impl Regions {
    /// Reads a region file. `file_name` is for errors only.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, RegionFileError> {
        let error = |Fault { at, problem }: Fault| RegionFileError {
            file: file_name.to_owned(),
            line: 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count(),
            problem,
        };
        let page: Page = toml::from_str(text).map_err(|refused| {
            let span = refused.span().unwrap_or_default();
            let message = refused.message().trim().replace('\n', "; ");
            let value = text.get(span.clone()).map(str::trim).filter(|value| (1..=60).contains(&value.len()));
            let problem = match value {
                Some(value) if !value.contains('\n') && !message.contains(value) => format!("{message}, at '{value}'"),
                _ => message,
            };
            error(Fault { at: span.start, problem })
        })?;
        page.check().map_err(error)
    }

    /// The regions, in alphabetical order, with their names for people.
    pub fn iter(&self) -> impl Iterator<Item = (&RegionName, &str)> {
        self.titles.iter().map(|(name, title)| (name, title.as_str()))
    }

    /// How many there are; never none.
    pub fn count(&self) -> usize {
        self.titles.len()
    }

    /// Fails, naming what there is, unless `name` is one of these regions.
    pub fn check(&self, name: &RegionName) -> Result<(), UnknownRegion> {
        if self.titles.contains_key(name) {
            Ok(())
        } else {
            Err(UnknownRegion { name: name.clone(), known: self.titles.keys().cloned().collect() })
        }
    }

    /// The round-trip time between a node in `a` and another in `b`; the same both ways, and within one region
    /// the file's `local_rtt_ms`.
    pub fn rtt(&self, a: &RegionName, b: &RegionName) -> Result<Duration, UnknownRegion> {
        self.check(a)?;
        self.check(b)?;
        if a == b {
            return Ok(self.local);
        }
        Ok(*self.rtt.get(&ascending(a, b)).expect("every pair was checked to be there when the file was read"))
    }

    /// [`Regions::rtt`] in milliseconds, for people and reports.
    pub fn rtt_ms(&self, a: &RegionName, b: &RegionName) -> Result<f64, UnknownRegion> {
        self.rtt(a, b).map(|rtt| rtt.as_secs_f64() * 1_000.0)
    }
}

fn ascending(a: &RegionName, b: &RegionName) -> (RegionName, RegionName) {
    if a < b { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) }
}

fn list(names: &[RegionName]) -> String {
    names.iter().map(RegionName::as_str).collect::<Vec<_>>().join(", ")
}

/// What is wrong, and the byte where.
struct Fault {
    at: usize,
    problem: String,
}

fn fault<T>(spanned: &Spanned<T>, problem: String) -> Fault {
    Fault { at: spanned.span().start, problem }
}

/// One row of the table of round trips: the other regions and the milliseconds to each.
type Row = BTreeMap<Spanned<String>, Spanned<f64>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    local_rtt_ms: Spanned<f64>,
    regions: Spanned<BTreeMap<Spanned<String>, Entry>>,
    #[serde(default)]
    rtt_ms: BTreeMap<Spanned<String>, Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Spanned<String>,
}

impl Page {
    fn check(self) -> Result<Regions, Fault> {
        let local = duration("local_rtt_ms", &self.local_rtt_ms)?;
        let entries = self.regions.get_ref();
        if entries.is_empty() || entries.len() > MAX_REGIONS {
            let problem = format!("there are {} regions: 1 to {MAX_REGIONS} are allowed", entries.len());
            return Err(fault(&self.regions, problem));
        }
        let mut titles = BTreeMap::new();
        for (name, entry) in entries {
            let region = RegionName::new(name.get_ref().as_str()).map_err(|bad| fault(name, bad.to_string()))?;
            titles.insert(region, title(&entry.name)?);
        }

        let mut rtt = BTreeMap::new();
        for (a, row) in &self.rtt_ms {
            let from = known(&titles, a)?;
            for (b, ms) in row {
                let to = known(&titles, b)?;
                if from == to {
                    let problem = format!("{from} to {to} is within one region: that is what local_rtt_ms says");
                    return Err(fault(b, problem));
                }
                let time = duration(&format!("{from} to {to}"), ms)?;
                if rtt.insert(ascending(&from, &to), time).is_some() {
                    let problem = format!("{from} to {to} = {} is here twice: a time holds both ways", ms.get_ref());
                    return Err(fault(b, problem));
                }
            }
        }

        let regions = Regions { local, titles, rtt };
        match regions.missing_pairs() {
            missing if missing.is_empty() => Ok(regions),
            missing => {
                let problem = format!("rtt_ms lacks {}: every two regions need a time", missing.join(", "));
                Err(fault(&self.regions, problem))
            }
        }
    }
}

impl Regions {
    fn missing_pairs(&self) -> Vec<String> {
        let names: Vec<_> = self.titles.keys().collect();
        let pairs = names.iter().enumerate().flat_map(|(at, a)| names[at + 1..].iter().map(move |b| (*a, *b)));
        pairs.filter(|(a, b)| !self.rtt.contains_key(&ascending(a, b))).map(|(a, b)| format!("{a} to {b}")).collect()
    }
}

fn known(titles: &BTreeMap<RegionName, String>, spanned: &Spanned<String>) -> Result<RegionName, Fault> {
    let name = RegionName::new(spanned.get_ref().as_str()).map_err(|bad| fault(spanned, bad.to_string()))?;
    if titles.contains_key(&name) {
        Ok(name)
    } else {
        let unknown = UnknownRegion { name, known: titles.keys().cloned().collect() };
        Err(fault(spanned, unknown.to_string()))
    }
}

fn title(spanned: &Spanned<String>) -> Result<String, Fault> {
    let line = spanned.get_ref();
    if (1..=MAX_TITLE).contains(&line.len()) && !line.chars().any(char::is_control) {
        Ok(line.clone())
    } else {
        Err(fault(spanned, format!("name = {line:?} is refused: write one line of 1 to {MAX_TITLE} bytes")))
    }
}

fn duration(what: &str, spanned: &Spanned<f64>) -> Result<Duration, Fault> {
    let ms = *spanned.get_ref();
    match Duration::try_from_secs_f64(ms / 1_000.0) {
        Ok(time) if time <= MAX_RTT => Ok(time),
        _ => {
            let problem = format!("{what} = {ms} is out of range: 0 to {} milliseconds", MAX_RTT.as_millis());
            Err(fault(spanned, problem))
        }
    }
}

#[cfg(test)]
mod tests;
