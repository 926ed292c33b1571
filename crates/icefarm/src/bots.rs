//! Players that play by themselves, so that there is something to see.
//!
//! Each bot has a place it likes; it claims land around it, sows, tends, harvests, now and then builds or gives a field
//! up, and pauses in between as a person would. They use the SDK like anybody else.

use client::{Client, Error, Player};
use std::collections::BTreeMap;
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;
use world::{BuildingId, CharacterId, Command, CropId, Deed, FieldId, Millis, Rejection, RuleBook};

/// Where the bots live: the land that the first steps look at.
const VILLAGE: (u32, u32) = (30_960, 8_180);
/// What they leave to people: the fields that the first steps claim, and some around.
const CLEARING: (RangeInclusive<u32>, RangeInclusive<u32>) = (30_978..=30_985, 8_187..=8_193);
/// How far from the village's corner they settle.
const SPREAD: u64 = 60;
/// How far a bot walks from home.
const STROLL: u64 = 6;
/// How often a bot looks around for a place before it thinks of something else.
const TRIES: usize = 16;
/// Between two deeds, in milliseconds: at least, and so much more at most.
const PAUSE: (u64, u64) = (400, 1_600);
/// A bot that has this much land gives some up.
const ENOUGH: usize = 40;
/// After trouble.
const REST: Duration = Duration::from_secs(2);

/// Lets `count` bots play until `stop` is done.
pub async fn run(client: Client, count: usize, stop: impl Future<Output = ()>) {
    let mut bots = JoinSet::new();
    for number in 0..count {
        let name = format!("bot-{}", number + 1);
        match client.player(&name) {
            Ok(player) => {
                let rules = client.rules();
                bots.spawn(Bot::new(client.clone(), player, rules, number as u64).play());
            }
            Err(error) => tracing::warn!(name, %error, "this bot cannot play"),
        }
    }
    tokio::select! {
        () = stop => {}
        () = async { while bots.join_next().await.is_some() {} } => {}
    }
}

struct Bot {
    client: Client,
    player: Player,
    rules: Arc<RuleBook>,
    home: (u64, u64),
    /// What it owns, and when what grows there is ripe.
    land: BTreeMap<FieldId, Option<Millis>>,
    dice: u64,
}

impl Bot {
    fn new(client: Client, player: Player, rules: Arc<RuleBook>, number: u64) -> Self {
        // Another walk at every start; the client's own clock is random enough for that.
        let mut bot = Self {
            dice: client.time().0 ^ (number << 32) | 1,
            client,
            player,
            rules,
            home: (0, 0),
            land: BTreeMap::new(),
        };
        bot.settle();
        bot
    }

    /// Looks for a home on land that can be claimed.
    fn settle(&mut self) {
        for _ in 0..TRIES {
            self.home = (u64::from(VILLAGE.0) + self.roll(SPREAD), u64::from(VILLAGE.1) + self.roll(SPREAD / 2));
            if self.claimable(self.home).is_some() {
                return;
            }
        }
    }

    /// A field near home that can be claimed, unless somebody has been first.
    fn nearby(&mut self) -> Option<FieldId> {
        (0..TRIES).find_map(|_| {
            let (x, y) = (self.home.0 + self.roll(2 * STROLL + 1), self.home.1 + self.roll(2 * STROLL + 1));
            let field = self.claimable((x.checked_sub(STROLL)?, y.checked_sub(STROLL)?))?;
            (!self.land.contains_key(&field)).then_some(field)
        })
    }

    fn claimable(&self, (x, y): (u64, u64)) -> Option<FieldId> {
        let field = FieldId::new(u32::try_from(x).ok()?, u32::try_from(y).ok()?).ok()?;
        let free = self.client.terrain().at(field).claimable() && !is_left_to_people(field);
        free.then_some(field)
    }

    async fn play(mut self) {
        while let Err(error) = self.player.register().await {
            tracing::debug!(player = %self.player.name(), %error, "not registered yet");
            sleep(REST).await;
        }
        loop {
            let pause = PAUSE.0 + self.roll(PAUSE.1);
            sleep(Duration::from_millis(pause)).await;
            let Some(command) = self.choose() else { continue };
            match self.player.command(command).await {
                Ok(done) => {
                    let ripe = done.field.crop.map(|crop| crop.ripe);
                    if done.deed == Deed::Abandoned {
                        self.land.remove(&done.field.field);
                    } else {
                        self.land.insert(done.field.field, ripe);
                    }
                }
                Err(Error::Rejected(rejection, _)) => self.learn(command, rejection),
                Err(Error::Closed) => return,
                Err(_) => sleep(REST).await,
            }
        }
    }

    /// What it feels like doing.
    fn choose(&mut self) -> Option<Command> {
        let now = self.client.time();
        if let Some((&field, _)) = self.land.iter().find(|(_, ripe)| ripe.is_some_and(|ripe| ripe <= now)) {
            return Some(Command::Harvest { field });
        }
        let empty = self.land.iter().find(|(_, ripe)| ripe.is_none()).map(|(&field, _)| field);
        let any = self.land.keys().nth(usize::try_from(self.dice >> 8).unwrap_or(0) % self.land.len().max(1)).copied();
        match (self.roll(10), empty, any) {
            (0..=3, Some(field), _) => Some(Command::Plant { field, crop: CropId(self.entry(self.rules.crops.len())) }),
            (4, _, Some(field)) => Some(Command::Tend { field }),
            (5, _, Some(field)) => {
                Some(Command::Build { field, building: BuildingId(self.entry(self.rules.buildings.len())) })
            }
            (6, _, Some(field)) if self.land.len() >= ENOUGH => Some(Command::Abandon { field }),
            _ if self.land.len() >= ENOUGH => None,
            _ => {
                let field = self.nearby()?;
                Some(Command::Claim { field, character: CharacterId(self.entry(self.rules.characters.len())) })
            }
        }
    }

    /// What the rules said tells something about the land.
    fn learn(&mut self, command: Command, rejection: Rejection) {
        match rejection {
            Rejection::AlreadyOwned { field, owner } if owner == self.player.name() => {
                self.land.insert(field, None);
            }
            Rejection::NotRipe { field, at } => {
                self.land.insert(field, Some(at));
            }
            Rejection::NotOwner { field, .. } => {
                self.land.remove(&field);
            }
            Rejection::AlreadyPlanted { field, .. } => {
                self.land.insert(field, Some(self.client.time()));
            }
            Rejection::NothingPlanted { field } => {
                self.land.insert(field, None);
            }
            // It is getting crowded here.
            _ if matches!(command, Command::Claim { .. }) => self.settle(),
            _ => {}
        }
    }

    fn entry(&mut self, count: usize) -> u8 {
        u8::try_from(self.roll(count as u64)).unwrap_or(0)
    }

    /// A number below `below` (xorshift: good enough for a squirrel).
    fn roll(&mut self, below: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        if below == 0 { 0 } else { self.dice % below }
    }
}

fn is_left_to_people(field: FieldId) -> bool {
    CLEARING.0.contains(&field.x()) && CLEARING.1.contains(&field.y())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_first_steps_claim_is_left_to_people() {
        let tour = [include_str!("../../../README.md"), include_str!("up.rs"), include_str!("cli.rs")].concat();
        let mut claimed = 0;
        for rest in tour.split("claim ").skip(1) {
            let Some(Ok(field)) = rest.split(' ').next().map(str::parse) else { continue };
            assert!(is_left_to_people(field), "a bot may have been at {field}");
            claimed += 1;
        }
        assert!(claimed > 4, "the first steps claim {claimed} fields");
    }
}
