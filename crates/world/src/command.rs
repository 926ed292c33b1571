//! What players may ask of the world, and what they hear.

use crate::{Acorns, BuildingId, CharacterId, ChunkId, CropId, FieldId, Millis, PlayerName, Terrain};
use serde::{Deserialize, Serialize};

/// One player's command. Who asks is beside it, never inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Enter the world: a wallet with the rule book's grant. Asking again changes nothing.
    Register,
    /// Take a free, claimable field.
    Claim {
        /// Which field.
        field: FieldId,
        /// Who shall live there.
        character: CharacterId,
    },
    /// Sow one's own, empty field.
    Plant {
        /// Which field.
        field: FieldId,
        /// What to sow.
        crop: CropId,
    },
    /// Tend a growing crop: it ripens sooner, once.
    Tend {
        /// Which field.
        field: FieldId,
    },
    /// Bring in a ripe crop; its acorns travel to the player's wallet.
    Harvest {
        /// Which field.
        field: FieldId,
    },
    /// Put up a building.
    Build {
        /// Which field.
        field: FieldId,
        /// What to build.
        building: BuildingId,
    },
    /// Name a price for which the field may be bought, or take it off the market.
    Offer {
        /// Which field.
        field: FieldId,
        /// The price, or `None` for "not for sale".
        price: Option<Acorns>,
    },
    /// Give the field up, with all that is on it.
    Abandon {
        /// Which field.
        field: FieldId,
    },
}

impl Command {
    /// The field it is about; `None` for a command about the player alone.
    pub fn field(&self) -> Option<FieldId> {
        match *self {
            Self::Register => None,
            Self::Claim { field, .. }
            | Self::Plant { field, .. }
            | Self::Tend { field }
            | Self::Harvest { field }
            | Self::Build { field, .. }
            | Self::Offer { field, .. }
            | Self::Abandon { field } => Some(field),
        }
    }

    /// The chunk that must be in memory before it is applied.
    pub fn chunk(&self) -> Option<ChunkId> {
        self.field().map(FieldId::chunk)
    }
}

/// What a command did, in the past tense that answers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deed {
    /// `claim`
    Claimed,
    /// `plant`
    Planted,
    /// `tend`
    Tended,
    /// `harvest`, which sent this many acorns on their way.
    Harvested(Acorns),
    /// `build`
    Built,
    /// `offer`
    Offered,
    /// `abandon`
    Abandoned,
}

impl Deed {
    /// The word scripts see as `outcome`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Planted => "planted",
            Self::Tended => "tended",
            Self::Harvested(_) => "harvested",
            Self::Built => "built",
            Self::Offered => "offered",
            Self::Abandoned => "abandoned",
        }
    }
}

/// A field as it is shown. Names of characters, crops and buildings are in the rule book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldView {
    /// Which field.
    pub field: FieldId,
    /// Its terrain.
    pub terrain: Terrain,
    /// Who owns it.
    pub owner: Option<PlayerName>,
    /// Who lives there.
    pub character: Option<CharacterId>,
    /// What grows there.
    pub crop: Option<CropView>,
    /// What stands there, in the order it was built.
    pub structures: Vec<BuildingId>,
    /// What its owner asks for it.
    pub price: Option<Acorns>,
    /// Counts the changes this field has seen; 0 for untouched land.
    pub version: u32,
}

/// A crop as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CropView {
    /// What grows.
    pub crop: CropId,
    /// When it was sown.
    pub planted: Millis,
    /// When it may be harvested.
    pub ripe: Millis,
}

/// A player as its own shard knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlayerView {
    /// The player.
    pub name: PlayerName,
    /// Acorns in the wallet.
    pub acorns: Acorns,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was done; the field as it is now.
    Done {
        /// What was done.
        deed: Deed,
        /// The field afterwards.
        field: FieldView,
    },
    /// The player is in the world.
    Registered {
        /// The player.
        player: PlayerView,
        /// Whether this command brought it in.
        new: bool,
    },
    /// The rules said no, and nothing changed.
    Rejected(Rejection),
}

/// Why the rules said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    /// Somebody (perhaps the player itself) was first.
    #[error("{field} belongs to {owner}")]
    AlreadyOwned {
        /// Which field.
        field: FieldId,
        /// Whose it is.
        owner: PlayerName,
    },
    /// Lake and rock belong to nobody.
    #[error("{field} is {terrain}, which nobody can claim: try ice, snow, tundra or pine")]
    NotClaimable {
        /// Which field.
        field: FieldId,
        /// What it is.
        terrain: Terrain,
    },
    /// The player has as many fields in this chunk as one player may.
    #[error("{player} has {limit} fields around {field} already: a player may hold at most {limit} in one chunk")]
    TooManyInChunk {
        /// Which field.
        field: FieldId,
        /// Who asked.
        player: PlayerName,
        /// The limit.
        limit: u32,
    },
    /// Only the owner may do that.
    #[error("{}", match owner { Some(owner) => format!("{field} belongs to {owner}"), None => format!("nobody owns {field}: claim it first") })]
    NotOwner {
        /// Which field.
        field: FieldId,
        /// Whose it is, if anybody's.
        owner: Option<PlayerName>,
    },
    /// Something grows there already.
    #[error("something grows on {field} already: harvest it first")]
    AlreadyPlanted {
        /// Which field.
        field: FieldId,
        /// What grows there.
        crop: CropId,
    },
    /// Nothing grows there.
    #[error("nothing grows on {field}: plant something first")]
    NothingPlanted {
        /// Which field.
        field: FieldId,
    },
    /// This crop has had its care.
    #[error("the crop on {field} has been tended already")]
    AlreadyTended {
        /// Which field.
        field: FieldId,
    },
    /// Patience.
    #[error("the crop on {field} is not ripe before {at}")]
    NotRipe {
        /// Which field.
        field: FieldId,
        /// When it will be.
        at: Millis,
    },
    /// It is too late to tend.
    #[error("the crop on {field} is ripe: harvest it")]
    Ripe {
        /// Which field.
        field: FieldId,
    },
    /// This crop does not grow on this terrain.
    #[error("that crop does not grow on {terrain}")]
    WrongTerrain {
        /// Which field.
        field: FieldId,
        /// What it is.
        terrain: Terrain,
    },
    /// One of each.
    #[error("{field} has that building already")]
    AlreadyBuilt {
        /// Which field.
        field: FieldId,
        /// Which building.
        building: BuildingId,
    },
    /// The rule book has no such entry. (Clients look names up before they ask, so this is a stale or wrong client.)
    #[error("the rule book (version {rules}) has no {kind} number {id}")]
    Unknown {
        /// `character`, `crop` or `building`.
        kind: EntryKind,
        /// Which number.
        id: u8,
        /// The rule book's version.
        rules: u32,
    },
    /// A price beyond what the rule book allows.
    #[error("a price of {price} is beyond the {max} that the rules allow")]
    PriceTooHigh {
        /// What was asked.
        price: Acorns,
        /// The most there may be.
        max: Acorns,
    },
}

impl Rejection {
    /// The stable word scripts see as `reason`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::AlreadyOwned { .. } => "already_owned",
            Self::NotClaimable { .. } => "not_claimable",
            Self::TooManyInChunk { .. } => "too_many_in_chunk",
            Self::NotOwner { .. } => "not_owner",
            Self::AlreadyPlanted { .. } => "already_planted",
            Self::NothingPlanted { .. } => "nothing_planted",
            Self::AlreadyTended { .. } => "already_tended",
            Self::NotRipe { .. } => "not_ripe",
            Self::Ripe { .. } => "ripe",
            Self::WrongTerrain { .. } => "wrong_terrain",
            Self::AlreadyBuilt { .. } => "already_built",
            Self::Unknown { .. } => "unknown",
            Self::PriceTooHigh { .. } => "price_too_high",
        }
    }
}

/// A table of the rule book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// Characters.
    Character,
    /// Crops.
    Crop,
    /// Buildings.
    Building,
}

impl std::fmt::Display for EntryKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Character => "character",
            Self::Crop => "crop",
            Self::Building => "building",
        })
    }
}
