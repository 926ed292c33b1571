//! How state becomes bytes for checkpoints and snapshots: pages by key.
//!
//! A page is a version byte and a MessagePack value (structs as arrays). Its bytes depend on what it holds, never on how
//! that came about. Decoding checks every rule that `apply` relies on: any bytes give a page or an error, never a panic
//! and never a state that `apply` could not have made.

use super::plot::{OwnerIndex, Plot};
use crate::{Acorns, Bucket, BuildingId, CharacterId, ChunkId, CropId, Millis, PlayerName, RuleBook};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Which part of the land a page holds. Sorts as its bytes do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PageKey {
    /// The running totals.
    Head,
    /// The touched fields of a chunk.
    Chunk(ChunkId),
    /// A player's wallet, and the last payment it took from each bucket.
    Player(PlayerName),
    /// What a bucket owes a player.
    Channel(Bucket, PlayerName),
    /// The chunks of this land in which a player has fields, and how many in each.
    Estate(PlayerName),
}

impl PageKey {
    /// What the key of every chunk begins with: these pages may stay on the disk until somebody needs them.
    pub const CHUNK_TAG: u8 = 1;

    /// A tag byte, then the key: integers big-endian, names as UTF-8.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    /// Writes the same at the end of `into`.
    pub fn write(&self, into: &mut Vec<u8>) {
        let (tag, number, name) = match self {
            Self::Head => (0, &[][..], None),
            Self::Chunk(chunk) => (Self::CHUNK_TAG, &chunk.pack().to_be_bytes()[..], None),
            Self::Player(name) => (2, &[][..], Some(name)),
            Self::Channel(bucket, name) => (3, &bucket.0.to_be_bytes()[..], Some(name)),
            Self::Estate(name) => (4, &[][..], Some(name)),
        };
        let name = name.map_or(&[][..], |name| name.as_str().as_bytes());
        into.push(tag);
        into.extend_from_slice(number);
        into.extend_from_slice(name);
    }

    /// What [`PageKey::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PageError> {
        let key = match bytes {
            [0] => Some(Self::Head),
            [Self::CHUNK_TAG, a, b, c, d] => {
                ChunkId::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok().map(Self::Chunk)
            }
            [2, text @ ..] => name(text).map(Self::Player),
            [3, a, b, text @ ..] => name(text).map(|name| Self::Channel(Bucket(u16::from_be_bytes([*a, *b])), name)),
            [4, text @ ..] => name(text).map(Self::Estate),
            _ => None,
        };
        key.ok_or_else(|| PageError::NotAKey(bytes.to_vec()))
    }
}

/// A name exactly as it was written: one that is not in normal form is no key of ours.
fn name(bytes: &[u8]) -> Option<PlayerName> {
    let name = PlayerName::new(std::str::from_utf8(bytes).ok()?).ok()?;
    (name.as_str().as_bytes() == bytes).then_some(name)
}

/// Why a page was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Bytes that name no part of the land.
    #[error("{0:02x?} is not the key of a page: the store is damaged or of another program")]
    NotAKey(Vec<u8>),
    /// A page that cannot be what it should be.
    #[error("the page {key:?} is refused: {fault}")]
    Refused {
        /// Which page.
        key: PageKey,
        /// What is wrong with it.
        fault: PageFault,
    },
    /// Nobody stored that chunk.
    #[error("{0:?} was not stored, so there is nothing to load")]
    NotStored(ChunkId),
    /// Two pages of the same key.
    #[error("the page {0:?} came twice")]
    Twice(PageKey),
    /// Every page is well formed, but together they say that acorns came from nowhere or went nowhere.
    #[error("the pages do not add up, some are missing or of another checkpoint: {0}")]
    Imbalance(#[from] super::Imbalance),
}

/// What is wrong with a page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageFault {
    /// Written in a form that this program does not know.
    #[error("it is of form {0:?}, and this program reads form {FORM}")]
    Form(Option<u8>),
    /// Not a MessagePack value of the right shape.
    #[error("it cannot be decoded: {0}")]
    Decode(String),
    /// The right shape, and something more behind it.
    #[error("there are {0} bytes behind its end")]
    Trailing(usize),
    /// The right shape with an impossible content.
    #[error("it holds {0}")]
    Invalid(&'static str),
}

/// The form of all pages.
const FORM: u8 = 1;

pub(super) struct Page;

impl Page {
    /// Writes a page at the end of `into`.
    pub(super) fn encode<T: Serialize>(into: &mut Vec<u8>, value: &T) {
        into.push(FORM);
        rmp_serde::encode::write(into, value).expect("writing to memory, of types that have a length");
    }

    pub(super) fn decode<T: DeserializeOwned>(page: &[u8]) -> Result<T, PageFault> {
        let Some((&FORM, mut rest)) = page.split_first() else {
            return Err(PageFault::Form(page.first().copied()));
        };
        let value = T::deserialize(&mut rmp_serde::Deserializer::new(&mut rest))
            .map_err(|refused| PageFault::Decode(refused.to_string()))?;
        if rest.is_empty() { Ok(value) } else { Err(PageFault::Trailing(rest.len())) }
    }
}

/// What grows on a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sown {
    pub(super) crop: CropId,
    pub(super) planted: Millis,
    pub(super) ripens_after_ms: u32,
    pub(super) tended: bool,
}

impl Sown {
    pub(super) fn ripe(&self) -> Millis {
        self.planted.plus(self.ripens_after_ms.into())
    }
}

/// A plot in a page.
#[derive(Serialize, Deserialize)]
pub(super) struct PlotPage {
    pub(super) offset: u16,
    pub(super) version: u32,
    pub(super) owner: Option<(OwnerIndex, CharacterId)>,
    pub(super) sown: Option<Sown>,
    pub(super) structures: Vec<BuildingId>,
    pub(super) price: Option<Acorns>,
}

impl PlotPage {
    pub(super) fn check(self, rules: &RuleBook) -> Result<Plot, PageFault> {
        let Self { offset, version, owner, sown, structures, price } = self;
        if version == 0 {
            return Err(PageFault::Invalid("a field that nobody ever touched"));
        }
        let mut plot = Plot::with_version(offset, version);
        let Some((row, character)) = owner else {
            let bare = sown.is_none() && structures.is_empty() && price.is_none();
            return if bare { Ok(plot) } else { Err(PageFault::Invalid("something on a field without an owner")) };
        };
        if row == OwnerIndex::MAX {
            return Err(PageFault::Invalid("an owner without a name"));
        }
        rules.character(character).ok_or(PageFault::Invalid("a character that the rule book lacks"))?;
        plot.occupy(row, character);
        if let Some(sown) = sown {
            rules.crop(sown.crop).ok_or(PageFault::Invalid("a crop that the rule book lacks"))?;
            plot.sow(sown);
        }
        for building in structures {
            rules.building(building).ok_or(PageFault::Invalid("a building that the rule book lacks"))?;
            if plot.structures().contains(&building) {
                return Err(PageFault::Invalid("a building that stands twice on a field"));
            }
            plot.build(building);
        }
        plot.set_price(price);
        Ok(plot)
    }
}
