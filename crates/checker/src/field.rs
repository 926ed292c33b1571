//! One field as a sequential object: who owns it, and a version that only rises.

use crate::linearizable::Model;
use std::fmt;
use world::{Deed, FieldView, Outcome, PlayerName, Rejection};

/// What is asked of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldOp {
    /// Make it mine.
    Claim(PlayerName),
    /// Give it up.
    Abandon(PlayerName),
    /// Plant, tend, harvest, build or offer: the owner's alone, and never changes the owner.
    Work(PlayerName),
    /// Who owns it? (A strong read.)
    Read,
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldRet {
    /// It is the player's now, with this version.
    Claimed(u32),
    /// It was owned already, by this player.
    AlreadyOwned(PlayerName),
    /// It is nobody's now, with this version.
    Abandoned(u32),
    /// Worked on; the version afterwards.
    Worked(u32),
    /// The player does not own it; this is who does.
    NotOwner(Option<PlayerName>),
    /// Rejected for a reason that says nothing of the owner; nothing changed.
    Rejected,
    /// A read's answer.
    Is {
        /// Whose it is.
        owner: Option<PlayerName>,
        /// Its version.
        version: u32,
    },
}

impl From<&Outcome> for FieldRet {
    /// The answer to a command on this field. (A registration says nothing of a field: [`FieldRet::Rejected`].)
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done { deed: Deed::Claimed, field } => Self::Claimed(field.version),
            Outcome::Done { deed: Deed::Abandoned, field } => Self::Abandoned(field.version),
            Outcome::Done { field, .. } => Self::Worked(field.version),
            Outcome::Rejected(Rejection::AlreadyOwned { owner, .. }) => Self::AlreadyOwned(*owner),
            Outcome::Rejected(Rejection::NotOwner { owner, .. }) => Self::NotOwner(*owner),
            Outcome::Rejected(_) | Outcome::Registered { .. } => Self::Rejected,
        }
    }
}

impl From<&FieldView> for FieldRet {
    /// The answer to a read.
    fn from(view: &FieldView) -> Self {
        Self::Is { owner: view.owner, version: view.version }
    }
}

/// What is known of a field at one point of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldState {
    /// Whose it is: exact.
    owner: Option<PlayerName>,
    /// The version is at least this: what was answered last, and one more for every change nobody was told about.
    version: u32,
}

/// The rules of one field that ownership hangs on. It starts unowned, at version 0 or later.
#[derive(Clone, Copy, Debug, Default)]
pub struct FieldModel;

impl Model for FieldModel {
    type State = FieldState;
    type Op = FieldOp;
    type Ret = FieldRet;

    fn initial(&self) -> FieldState {
        FieldState { owner: None, version: 0 }
    }

    fn step(&self, state: &FieldState, op: &FieldOp, ret: Option<&FieldRet>) -> Option<FieldState> {
        let owner = state.owner;
        let changed = |owner: Option<PlayerName>, version: u32| {
            (version > state.version).then_some(FieldState { owner, version })
        };
        let unchanged = Some(*state);
        match (*op, ret.copied()) {
            // Nobody knows what was answered: what the rules allow, with any later version.
            (FieldOp::Claim(player), None) if owner.is_none() => changed(Some(player), state.version + 1),
            (FieldOp::Abandon(player), None) if owner == Some(player) => changed(None, state.version + 1),
            (_, None | Some(FieldRet::Rejected)) => unchanged,

            (FieldOp::Claim(player), Some(FieldRet::Claimed(version))) if owner.is_none() => {
                changed(Some(player), version)
            }
            (FieldOp::Claim(_), Some(FieldRet::AlreadyOwned(named))) if owner == Some(named) => unchanged,
            (FieldOp::Abandon(player), Some(FieldRet::Abandoned(version))) if owner == Some(player) => {
                changed(None, version)
            }
            (FieldOp::Work(player), Some(FieldRet::Worked(version))) if owner == Some(player) => {
                (version >= state.version).then_some(FieldState { version, ..*state })
            }
            (FieldOp::Abandon(player) | FieldOp::Work(player), Some(FieldRet::NotOwner(named)))
                if owner == named && owner != Some(player) =>
            {
                unchanged
            }
            (FieldOp::Read, Some(FieldRet::Is { owner: named, version })) if owner == named => {
                (version >= state.version).then_some(FieldState { version, ..*state })
            }
            _ => None,
        }
    }
}

impl fmt::Display for FieldOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(player) => write!(f, "claim for {player}"),
            Self::Abandon(player) => write!(f, "abandon for {player}"),
            Self::Work(player) => write!(f, "work for {player}"),
            Self::Read => f.write_str("read"),
        }
    }
}

impl fmt::Display for FieldRet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claimed(version) => write!(f, "claimed, version {version}"),
            Self::AlreadyOwned(owner) => write!(f, "already owned by {owner}"),
            Self::Abandoned(version) => write!(f, "abandoned, version {version}"),
            Self::Worked(version) => write!(f, "done, version {version}"),
            Self::NotOwner(owner) => write!(f, "not yours but {}", Whose(*owner)),
            Self::Rejected => f.write_str("rejected"),
            Self::Is { owner, version } => write!(f, "{}, version {version}", Whose(*owner)),
        }
    }
}

impl fmt::Display for FieldState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, version {} or later", Whose(self.owner), self.version)
    }
}

struct Whose(Option<PlayerName>);

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(owner) => write!(f, "{owner}'s"),
            None => f.write_str("nobody's"),
        }
    }
}
