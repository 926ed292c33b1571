//! What a player does.

use crate::client::Client;
use crate::driver::What;
use crate::error::Error;
use client_proto::{Given, Success};
use wire::{Receipt, RequestNo};
use world::command::Deed;
use world::{Acorns, BuildingId, CharacterId, Command, CropId, FieldId, FieldView, Outcome, PlayerName, PlayerView};

/// A command that was done: chosen by a majority, durable and applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What was done.
    pub deed: Deed,
    /// The field afterwards.
    pub field: FieldView,
    /// What the answer is worth.
    pub receipt: Receipt,
}

/// A player that is in the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The player.
    pub player: PlayerView,
    /// Whether it was not there before.
    pub new: bool,
    /// What the answer is worth.
    pub receipt: Receipt,
}

/// One player's commands. Cheap to clone.
///
/// Each takes effect at most once, however often it has to be sent. A future that is dropped does not take its command
/// back. What the rules refuse is [`Error::Rejected`].
#[derive(Clone, Debug)]
pub struct Player {
    client: Client,
    name: PlayerName,
}

impl Player {
    pub(crate) fn new(client: Client, name: PlayerName) -> Self {
        Self { client, name }
    }

    /// Who plays.
    pub fn name(&self) -> PlayerName {
        self.name
    }

    /// Enters the world, with a wallet; changes nothing for a player who is there.
    pub async fn register(&self) -> Result<Registered, Error> {
        registered(self.outcome(Command::Register).await?)
    }

    /// The same for another client, which has numbered it itself.
    pub async fn register_given(&self, number: RequestNo, given: Given) -> Result<Registered, Error> {
        registered(self.answered(What::Given { player: self.name, command: Command::Register, number, given }).await?)
    }

    /// Takes a free field and settles `character` there.
    pub async fn claim(&self, field: FieldId, character: CharacterId) -> Result<Done, Error> {
        self.command(Command::Claim { field, character }).await
    }

    /// Sows one's own, empty field.
    pub async fn plant(&self, field: FieldId, crop: CropId) -> Result<Done, Error> {
        self.command(Command::Plant { field, crop }).await
    }

    /// Tends a growing crop, so that it ripens sooner.
    pub async fn tend(&self, field: FieldId) -> Result<Done, Error> {
        self.command(Command::Tend { field }).await
    }

    /// Brings in a ripe crop; its acorns travel to the wallet.
    pub async fn harvest(&self, field: FieldId) -> Result<Done, Error> {
        self.command(Command::Harvest { field }).await
    }

    /// Puts up a building.
    pub async fn build(&self, field: FieldId, building: BuildingId) -> Result<Done, Error> {
        self.command(Command::Build { field, building }).await
    }

    /// Names a price, or takes the field off the market.
    pub async fn offer(&self, field: FieldId, price: Option<Acorns>) -> Result<Done, Error> {
        self.command(Command::Offer { field, price }).await
    }

    /// Gives the field up, with all that is on it.
    pub async fn abandon(&self, field: FieldId) -> Result<Done, Error> {
        self.command(Command::Abandon { field }).await
    }

    /// Any command that is about a field.
    pub async fn command(&self, command: Command) -> Result<Done, Error> {
        done(self.outcome(command).await?)
    }

    /// Any command that is about a field, for another client, which has numbered it itself: whoever repeats it, through this
    /// client or any other, hears what came of it first.
    pub async fn command_given(&self, command: Command, number: RequestNo, given: Given) -> Result<Done, Error> {
        let what = What::Given { player: self.name, command, number, given };
        done(self.answered(what).await?)
    }

    async fn outcome(&self, command: Command) -> Result<(Outcome, Receipt), Error> {
        self.answered(What::Command { player: self.name, command }).await
    }

    async fn answered(&self, what: What) -> Result<(Outcome, Receipt), Error> {
        match self.client.ask(what).await? {
            Success::Command { outcome, receipt } => Ok((outcome, receipt)),
            _ => Err(nonsense()),
        }
    }
}

fn registered((outcome, receipt): (Outcome, Receipt)) -> Result<Registered, Error> {
    match outcome {
        Outcome::Registered { player, new } => Ok(Registered { player, new, receipt }),
        Outcome::Rejected(rejection) => Err(Error::Rejected(rejection, receipt)),
        Outcome::Done { .. } => Err(nonsense()),
    }
}

fn done((outcome, receipt): (Outcome, Receipt)) -> Result<Done, Error> {
    match outcome {
        Outcome::Done { deed, field } => Ok(Done { deed, field, receipt }),
        Outcome::Rejected(rejection) => Err(Error::Rejected(rejection, receipt)),
        Outcome::Registered { .. } => Err(nonsense()),
    }
}

/// An answer to another question than was asked.
pub(crate) fn nonsense() -> Error {
    Error::Invalid { reason: "a node answered something else than it was asked: use builds of the same version".into() }
}
