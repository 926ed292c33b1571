//! What players learn from answers, and what no true answer can say.
//!
//! A player knows what it owns: nobody else claims on its plot, and it does one thing at a time. So each answer about that
//! land is right or wrong, whatever failed meanwhile, and not just likely. What was never answered may have been done: such a
//! field is left alone from then on, and nothing is said about it any more.

use super::dice::mix;
use super::plot::Plot;
use super::{About, Action, Ask, Crowd, KEPT};
use crate::profile::Doing;
use client::Success;
use std::mem::discriminant;
use wire::Level;
use world::{Acorns, Command, Deed, FieldId, FieldView, Outcome, PlayerName, Rect, Rejection};

/// An answer that cannot be true.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(pub String);

/// Ends with what was answered.
macro_rules! wrong {
    ($($words:tt)*) => { return Err(Wrong(format!($($words)*))) };
}

/// What came of a command, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It was done, or shown.
    Done,
    /// The rules said no.
    Rejected,
}

impl Crowd {
    /// What `player` learns from the answer to what it did. A watch goes on with what is behind the answer: that is not an
    /// action of its own.
    pub fn learn(&mut self, player: u32, action: &Action, success: &Success, now_ms: u32) -> Result<Came, Wrong> {
        match (action.ask, success) {
            (Ask::Do(command), Success::Command { outcome, .. }) => self.done(player, action, command, outcome, now_ms),
            (Ask::Show(_, level), Success::Field { field, .. }) => self.shown_field(player, action, level, field),
            (Ask::Show(client::Read::View(rect) | client::Read::Watch(rect), level), Success::View { fields, .. }) => {
                self.shown_view(player, action, level, rect, &fields.unpack())
            }
            (ask, other) => wrong!("{} asked {ask:?} and heard {other:?}", self.name(player)),
        }
    }

    /// The player was not answered. If it may have been done all the same, nobody knows whose the field is.
    pub fn unanswered(&mut self, player: u32, action: &Action, perhaps_done: bool) {
        let me = &mut self.players[player as usize];
        match action.about {
            About::Own { bit } if perhaps_done => me.give_up(bit),
            // It is still there.
            About::Own { bit } if action.doing == Doing::Abandon => me.given_up &= !(1 << bit),
            // Who claims it next is told whose it is; for us it is as if we had never had it.
            About::Contested { .. } if perhaps_done => me.held = 0,
            _ => {}
        }
    }

    fn done(
        &mut self,
        player: u32,
        action: &Action,
        command: Command,
        outcome: &Outcome,
        now_ms: u32,
    ) -> Result<Came, Wrong> {
        let name = self.name(player);
        match outcome {
            Outcome::Registered { player: view, .. } => {
                if action.doing != Doing::Enter || view.name != name {
                    wrong!("{name} asked for {command:?} and heard {outcome:?}");
                }
                self.players[player as usize].entered = true;
                Ok(Came::Done)
            }
            Outcome::Done { deed, field } => {
                let owner = if *deed == Deed::Abandoned { None } else { Some(name) };
                let fits = deed_of(action.doing).is_some_and(|own| discriminant(&own) == discriminant(deed));
                if !fits || Some(field.field) != command.field() || field.owner != owner {
                    wrong!("{name} asked for {command:?} and heard {outcome:?}");
                }
                self.did(player, action, *deed, field, now_ms)?;
                Ok(Came::Done)
            }
            Outcome::Rejected(rejection) => {
                self.rejected(player, action, &name, *rejection)?;
                Ok(Came::Rejected)
            }
        }
    }

    fn did(&mut self, player: u32, action: &Action, deed: Deed, field: &FieldView, now_ms: u32) -> Result<(), Wrong> {
        let ripens = self.crops.iter().find(|(on, ..)| *on == field.terrain).map_or(0, |(.., ms)| *ms);
        let name = self.name(player);
        let me = &mut self.players[player as usize];
        match action.about {
            About::Own { bit } => {
                let mask = 1 << bit;
                match deed {
                    Deed::Claimed if me.owned & mask != 0 => wrong!("{name} claimed {field:?}, which it had already"),
                    Deed::Claimed => me.owned |= mask,
                    Deed::Abandoned => {
                        me.forget(bit);
                        me.given_up &= !mask;
                    }
                    Deed::Planted => {
                        me.sown |= mask;
                        me.tended &= !mask;
                        me.ripe_ms = now_ms.saturating_add(ripens);
                    }
                    Deed::Tended => me.tended |= mask,
                    Deed::Harvested(_) => {
                        me.sown &= !mask;
                        me.tended &= !mask;
                    }
                    Deed::Built | Deed::Offered => {}
                }
            }
            About::Contested { place } if deed == Deed::Claimed => me.held = place + 1,
            About::Contested { .. } => me.held = 0,
            About::Fresh { field } => self.keep(field, player),
            About::Nothing | About::Plot { .. } => {}
        }
        Ok(())
    }

    /// Of all fresh fields that were claimed, each is as likely to be kept (Vitter's algorithm R).
    fn keep(&mut self, field: FieldId, player: u32) {
        self.claimed_fresh += 1;
        if self.kept.len() < KEPT {
            self.kept.push((field, player));
            return;
        }
        let place = mix(self.seed ^ self.claimed_fresh) % self.claimed_fresh;
        if let Some(kept) = usize::try_from(place).ok().and_then(|place| self.kept.get_mut(place)) {
            *kept = (field, player);
        }
    }

    fn rejected(&mut self, player: u32, action: &Action, name: &PlayerName, why: Rejection) -> Result<(), Wrong> {
        let of_this_run = |owner: &PlayerName| self.names.player(owner).is_some();
        let known = |owner: &PlayerName| of_this_run(owner) || owner == name;
        let me = &self.players[player as usize];
        let About::Own { bit } = action.about else {
            return match (action.about, why) {
                // The run's other players want it too; whether they may have had it, its history shows in the end.
                (About::Contested { .. }, Rejection::AlreadyOwned { owner, .. }) if owner != *name => Ok(()),
                (About::Contested { .. }, Rejection::TooManyInChunk { .. }) => Ok(()),
                (About::Fresh { .. }, Rejection::AlreadyOwned { owner, .. }) if !known(&owner) => Ok(()),
                _ => Err(Wrong(format!("{name} did {action:?} and heard: {why}"))),
            };
        };
        let mask = 1_u64 << bit;
        let (owned, sown) = (me.owned & mask != 0, me.sown & mask != 0);
        let possible = match why {
            Rejection::AlreadyOwned { owner, .. } => !owned && !known(&owner),
            Rejection::TooManyInChunk { .. } => action.doing == Doing::Claim,
            Rejection::AlreadyPlanted { .. } => sown,
            Rejection::NothingPlanted { .. } => !sown,
            Rejection::NotRipe { .. } => action.doing == Doing::Harvest && sown,
            Rejection::AlreadyTended { .. } => me.tended & mask != 0,
            Rejection::Ripe { .. } => action.doing == Doing::Tend && sown,
            Rejection::AlreadyBuilt { .. } => action.doing == Doing::Build,
            Rejection::NotOwner { .. }
            | Rejection::NotClaimable { .. }
            | Rejection::WrongTerrain { .. }
            | Rejection::Unknown { .. }
            | Rejection::PriceTooHigh { .. } => false,
        };
        if !possible {
            wrong!("{name} did {action:?} and heard: {why}");
        }
        let me = &mut self.players[player as usize];
        match why {
            Rejection::AlreadyOwned { .. } | Rejection::TooManyInChunk { .. } => me.give_up(bit),
            // Too ripe to be tended: as good as tended.
            Rejection::Ripe { .. } => me.tended |= mask,
            _ => {}
        }
        Ok(())
    }

    fn shown_field(&self, player: u32, action: &Action, level: Level, field: &FieldView) -> Result<Came, Wrong> {
        let name = self.name(player);
        let About::Own { bit } = action.about else {
            wrong!("{name} did {action:?} and was shown {field:?}");
        };
        let mask = 1_u64 << bit;
        let me = &self.players[player as usize];
        // It has done nothing else meanwhile. A session shows what its own player wrote.
        if matches!(level, Level::Strong | Level::Session)
            && me.given_up & mask == 0
            && (me.owned & mask != 0) != (field.owner == Some(name))
        {
            wrong!("{name} {} {}, and a {level} read shows {field:?}", owns(me.owned & mask != 0), field.field);
        }
        self.not_ours_but(field, player)?;
        Ok(Came::Done)
    }

    fn shown_view(
        &self,
        player: u32,
        action: &Action,
        level: Level,
        rect: Rect,
        fields: &[FieldView],
    ) -> Result<Came, Wrong> {
        let name = self.name(player);
        let mut last = None;
        for field in fields {
            if !rect.contains(field.field) || last.is_some_and(|last| last >= field.field) {
                wrong!("{name} viewed {rect:?} and was shown {field:?} behind {last:?}");
            }
            last = Some(field.field);
            self.whose(field)?;
        }
        let About::Plot { whose, owned, steps } = action.about else {
            wrong!("{name} did {action:?} and was shown a view");
        };
        // Its owner may give up and claim again meanwhile: then a true view may show neither. One thing done is none too many.
        let other = &self.players[whose as usize];
        if level != Level::Strong || other.steps.wrapping_sub(steps) > 1 {
            return Ok(Came::Done);
        }
        let lasting = owned & other.owned & !other.given_up;
        let Some(home) = other.home.checked_sub(1).map(Plot::unpack) else {
            wrong!("{name} viewed the plot of somebody who has none");
        };
        let owner = self.name(whose);
        let shown = fields.iter().filter(|field| field.owner == Some(owner)).filter_map(|field| home.bit(field.field));
        let shown = shown.fold(0_u64, |bits, bit| bits | 1 << bit);
        if let Some(missing) = (0..64).find(|bit| lasting & !shown & 1 << bit != 0) {
            wrong!("{owner} owns {}, and a {level} view for {name} does not show it", home.field(missing));
        }
        Ok(Came::Done)
    }

    /// Nobody of this run has a field that is not on its plot, nor contested, nor fresh.
    fn whose(&self, field: &FieldView) -> Result<(), Wrong> {
        let owner = field.owner.as_ref().and_then(|owner| self.names.player(owner));
        match owner.and_then(|number| self.local(number)) {
            Some(owner) => self.not_ours_but(field, owner),
            None => Ok(()),
        }
    }

    /// If `field` is anybody's of this run, it is on the plot of `player`.
    fn not_ours_but(&self, field: &FieldView, player: u32) -> Result<(), Wrong> {
        let Some(number) = field.owner.as_ref().and_then(|owner| self.names.player(owner)) else { return Ok(()) };
        let Some(owner) = self.local(number) else { return Ok(()) };
        let home = self.players[owner as usize].home.checked_sub(1).map(Plot::unpack);
        let there = home.is_some_and(|home| home.bit(field.field).is_some());
        if (owner == player && there) || self.contested.binary_search(&field.field).is_ok() {
            return Ok(());
        }
        Err(Wrong(format!("{} is said to own {}, where it has never been", self.name(owner), field.field)))
    }

    /// Fields that players were told are theirs, some of many: to be looked at again in the end.
    pub fn sample(&self, most: usize) -> Vec<(FieldId, PlayerName)> {
        let has_land = |player: &&super::Player| player.owned & !player.given_up != 0;
        let owners = self.players.iter().filter(has_land).count();
        let step = (owners / most.max(1)).max(1);
        let owners = (0_u32..).zip(&self.players).filter(|(_, player)| has_land(player));
        let plots = owners.step_by(step).filter_map(|(nth, player)| {
            let home = Plot::unpack(player.home.checked_sub(1)?);
            Some((home.field((player.owned & !player.given_up).trailing_zeros()), self.name(nth)))
        });
        let fresh = self.kept.iter().map(|(field, player)| (*field, self.name(*player)));
        plots.chain(fresh).take(most).collect()
    }
}

impl super::Player {
    fn forget(&mut self, bit: u32) {
        let mask = !(1 << bit);
        self.owned &= mask;
        self.sown &= mask;
        self.tended &= mask;
    }

    fn give_up(&mut self, bit: u32) {
        self.forget(bit);
        self.given_up |= 1 << bit;
    }
}

fn owns(owned: bool) -> &'static str {
    if owned { "owns" } else { "does not own" }
}

fn deed_of(doing: Doing) -> Option<Deed> {
    Some(match doing {
        Doing::Claim => Deed::Claimed,
        Doing::Plant => Deed::Planted,
        Doing::Tend => Deed::Tended,
        Doing::Harvest => Deed::Harvested(Acorns(0)),
        Doing::Build => Deed::Built,
        Doing::Abandon => Deed::Abandoned,
        Doing::Enter | Doing::Look | Doing::Visit | Doing::Watch => return None,
    })
}
