//! The rules of one field: what each command checks, in which order, and what it does.
//!
//! A command first checks everything and then changes everything, so a rejection has changed nothing.

use super::{Land, Readiness, chunk::Chunk, page::Sown, plot::Plot};
use crate::{
    Acorns, Bucket, BuildingId, CharacterId, Command, CropId, Deed, FieldId, Millis, PlayerName, Rejection,
    command::EntryKind,
};

/// A field, who commands, and when.
#[derive(Clone, Copy)]
pub(super) struct Order {
    pub(super) field: FieldId,
    pub(super) player: PlayerName,
    pub(super) now: Millis,
}

impl Land {
    /// Everything but `Register`.
    pub(super) fn farm(&mut self, order: Order, command: &Command) -> Result<Deed, Rejection> {
        let chunk = order.field.chunk();
        assert!(self.readiness(chunk) == Readiness::Ready, "{chunk:?} must be loaded before {command:?} is applied");
        let deed = match *command {
            Command::Register => unreachable!("it is about no field"),
            Command::Claim { character, .. } => self.claim(order, character),
            Command::Plant { crop, .. } => self.plant(order, crop),
            Command::Tend { .. } => self.tend(order),
            Command::Harvest { .. } => self.harvest(order),
            Command::Build { building, .. } => self.build(order, building),
            Command::Offer { price, .. } => self.offer(order, price),
            Command::Abandon { .. } => self.abandon(order),
        }?;
        self.changes.chunks.insert(chunk);
        Ok(deed)
    }

    fn claim(&mut self, order: Order, character: CharacterId) -> Result<Deed, Rejection> {
        let Order { field, player, .. } = order;
        self.rules.character(character).ok_or_else(|| self.unknown(EntryKind::Character, character.0))?;
        let chunk = self.chunks.get(&field.chunk());
        if let Some(owner) = chunk.and_then(|chunk| chunk.owner(field.offset())) {
            return Err(Rejection::AlreadyOwned { field, owner });
        }
        let terrain = self.terrain.at(field);
        if !terrain.claimable() {
            return Err(Rejection::NotClaimable { field, terrain });
        }
        let limit = self.rules.fields_per_chunk;
        if chunk.is_some_and(|chunk| chunk.fields_of(&player) >= limit) {
            return Err(Rejection::TooManyInChunk { field, player, limit });
        }
        self.chunks.entry(field.chunk()).or_default().occupy(field.offset(), terrain, &player, character).touch();
        self.estates.enter(&player, field.chunk());
        self.changes.estates.insert(player);
        Ok(Deed::Claimed)
    }

    fn plant(&mut self, order: Order, crop: CropId) -> Result<Deed, Rejection> {
        let field = order.field;
        let entry = self.rules.crop(crop).ok_or_else(|| self.unknown(EntryKind::Crop, crop.0))?;
        let plot = own(self.chunks.get_mut(&field.chunk()), order)?;
        if let Some(sown) = plot.sown() {
            return Err(Rejection::AlreadyPlanted { field, crop: sown.crop });
        }
        let terrain = plot.terrain(|| self.terrain.at(field));
        if !entry.grows_on.contains(terrain) {
            return Err(Rejection::WrongTerrain { field, terrain });
        }
        let effects = self.rules.effects(plot.character(), plot.structures().iter().copied());
        plot.sow(Sown { crop, planted: order.now, ripens_after_ms: effects.ripens_after(entry), tended: false });
        plot.touch();
        Ok(Deed::Planted)
    }

    fn tend(&mut self, order: Order) -> Result<Deed, Rejection> {
        let Order { field, now, .. } = order;
        let plot = own(self.chunks.get_mut(&field.chunk()), order)?;
        let sown = plot.sown().ok_or(Rejection::NothingPlanted { field })?;
        if now >= sown.ripe() {
            return Err(Rejection::Ripe { field });
        }
        if sown.tended {
            return Err(Rejection::AlreadyTended { field });
        }
        // Log time never runs backwards, but nothing here breaks if it did.
        let passed = u32::try_from(now.0.saturating_sub(sown.planted.0)).unwrap_or(u32::MAX).min(sown.ripens_after_ms);
        let left = sown.ripens_after_ms - passed;
        let entry = self.rules.crop(sown.crop).expect("a crop that was planted is in the rule book");
        let effects = self.rules.effects(plot.character(), plot.structures().iter().copied());
        let ripens_after_ms = passed + effects.left_when_tended(entry, left);
        plot.sow(Sown { ripens_after_ms, tended: true, ..sown });
        plot.touch();
        Ok(Deed::Tended)
    }

    fn harvest(&mut self, order: Order) -> Result<Deed, Rejection> {
        let Order { field, player, now } = order;
        let plot = own(self.chunks.get_mut(&field.chunk()), order)?;
        let sown = plot.sown().ok_or(Rejection::NothingPlanted { field })?;
        if now < sown.ripe() {
            return Err(Rejection::NotRipe { field, at: sown.ripe() });
        }
        let entry = self.rules.crop(sown.crop).expect("a crop that was planted is in the rule book");
        let amount = self.rules.effects(plot.character(), plot.structures().iter().copied()).harvest(entry);
        plot.clear_crop();
        plot.touch();
        self.earn(Bucket::of_chunk(self.seed, field.chunk()), player, amount);
        Ok(Deed::Harvested(amount))
    }

    fn build(&mut self, order: Order, building: BuildingId) -> Result<Deed, Rejection> {
        let field = order.field;
        self.rules.building(building).ok_or_else(|| self.unknown(EntryKind::Building, building.0))?;
        let plot = own(self.chunks.get_mut(&field.chunk()), order)?;
        if plot.structures().contains(&building) {
            return Err(Rejection::AlreadyBuilt { field, building });
        }
        plot.build(building);
        plot.touch();
        Ok(Deed::Built)
    }

    fn offer(&mut self, order: Order, price: Option<Acorns>) -> Result<Deed, Rejection> {
        let plot = own(self.chunks.get_mut(&order.field.chunk()), order)?;
        let max = self.rules.max_price;
        if let Some(price) = price.filter(|price| *price > max) {
            return Err(Rejection::PriceTooHigh { price, max });
        }
        plot.set_price(price);
        plot.touch();
        Ok(Deed::Offered)
    }

    fn abandon(&mut self, order: Order) -> Result<Deed, Rejection> {
        let chunk = self.chunks.get_mut(&order.field.chunk());
        own(chunk, order)?;
        let chunk = self.chunks.get_mut(&order.field.chunk()).expect("found just now");
        chunk.vacate(order.field.offset()).touch();
        self.estates.leave(&order.player, order.field.chunk());
        self.changes.estates.insert(order.player);
        Ok(Deed::Abandoned)
    }

    fn unknown(&self, kind: EntryKind, id: u8) -> Rejection {
        Rejection::Unknown { kind, id, rules: self.rules.version }
    }
}

/// The plot, if it belongs to who commands.
fn own(chunk: Option<&mut Chunk>, order: Order) -> Result<&mut Plot, Rejection> {
    let Order { field, player, .. } = order;
    let not_owner = |owner| Rejection::NotOwner { field, owner };
    let chunk = chunk.ok_or(not_owner(None))?;
    match chunk.owner(field.offset()) {
        Some(owner) if owner == player => Ok(chunk.plot_mut(field.offset()).expect("it has an owner")),
        owner => Err(not_owner(owner)),
    }
}
