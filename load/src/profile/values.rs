//! Values that can only be made right.

use paxos::NodeId;
use serde::{Deserialize, Deserializer, de::Error};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use wire::Level;
use world::FieldId;

/// A length of time, written `250ms`, `5s`, `1m 30s`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Period(pub Duration);

impl Period {
    /// So many seconds.
    pub fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const LONGEST: Duration = Duration::from_hours(7 * 24);
        match humantime::parse_duration(text) {
            Ok(time) if time <= LONGEST => Ok(Self(time)),
            Ok(_) => Err(format!("'{text}' is too long: at most a week")),
            Err(error) => Err(format!("'{text}' is not a length of time ({error}): write 250ms, 5s, 1m 30s or 2h")),
        }
    }
}

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", humantime::format_duration(self.0))
    }
}

/// Above zero: so many a second, or milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "f64")]
pub struct Rate(pub f64);

impl TryFrom<f64> for Rate {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if value > 0.0 && value <= 1e9 {
            return Ok(Self(value));
        }
        Err(format!("{value} is out of range: it must be above 0 and at most 1,000,000,000"))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let value: f64 = text.replace('_', "").parse().map_err(|_| format!("'{text}' is not a number"))?;
        value.try_into()
    }
}

/// How often something happens, against others.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "f64")]
pub struct Weight(pub f64);

impl Weight {
    /// As often as others of 1.
    pub const ONE: Self = Self(1.0);
}

impl TryFrom<f64> for Weight {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if (0.0..=1e6).contains(&value) {
            return Ok(Self(value));
        }
        Err(format!("{value} is out of range: it must be 0 to 1,000,000"))
    }
}

/// A part of a whole, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "f64")]
pub struct Share(pub f64);

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&value) {
            return Ok(Self(value));
        }
        Err(format!("{value} is out of range: it must be 0 to 1"))
    }
}

pub fn level<'de, D: Deserializer<'de>>(from: D) -> Result<Level, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

pub fn node<'de, D: Deserializer<'de>>(from: D) -> Result<NodeId, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

pub fn field<'de, D: Deserializer<'de>>(from: D) -> Result<Option<FieldId>, D::Error> {
    String::deserialize(from)?.parse().map(Some).map_err(D::Error::custom)
}
