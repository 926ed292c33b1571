//! The game: a grid of fields, who owns which and what grows there.
//!
//! Everything here is a pure function of the state, a command and the time *in the log*: no clock, no randomness, no
//! file. A command is applied with [`Land::apply`]; what it may not do comes back as a [`Rejection`], which is data. The
//! same code runs on every replica and in the simulator; terrain and packing are integers alone, so that another language
//! can do the same to the bit.
//!
//! | module | what it holds |
//! |---|---|
//! | [`grid`] | coordinates: fields, chunks, rectangles, and how they pack into integers |
//! | [`zoom`] | levels of detail, and their blocks |
//! | [`name`] | player names |
//! | [`banner`] | the eight kinds of players that are told apart from afar |
//! | [`quantity`] | units: milliseconds, acorns |
//! | [`bucket`] | where a chunk or a player hashes to |
//! | [`terrain`] | the land's shape, from the world's seed alone |
//! | [`rules`] | the rule book: characters, crops, buildings, limits |
//! | [`command`] | what players may ask, and what they hear |
//! | [`land`] | one shard's part of the world, and `apply` |

pub mod banner;
pub mod bucket;
pub mod command;
pub mod grid;
pub mod land;
pub mod name;
pub mod quantity;
pub mod rules;
pub mod terrain;
pub mod zoom;

pub use banner::{Banner, Census, Shift};
pub use bucket::Bucket;
pub use command::{Command, CropView, Deed, FieldView, Outcome, PlayerView, Rejection};
pub use grid::{ChunkId, FieldId, Rect};
pub use land::{Land, PageError, PageKey, Payment, Readiness, Totals};
pub use name::PlayerName;
pub use quantity::{Acorns, Millis};
pub use rules::{BuildingId, CharacterId, CropId, RuleBook, World};
pub use terrain::{Terrain, TerrainMap, WorldSeed};
pub use zoom::{Block, Zoom};
