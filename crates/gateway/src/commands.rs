//! From words to commands, for HTTP and the WebSocket alike, and who a command's number belongs to.

use crate::Problem;
use axum::http::StatusCode;
use client::{Client, Done, Error, Given};
use wire::{ClientId, RequestNo, codec};
use world::{Acorns, BuildingId, CharacterId, Command, CropId, FieldId, PlayerName, RuleBook};
use xxhash_rust::xxh3::xxh3_128;

/// What goes with a command's verb, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words<'a> {
    pub character: Option<&'a str>,
    pub crop: Option<&'a str>,
    pub building: Option<&'a str>,
    pub price: Option<u64>,
}

/// The command that `verb` means.
pub fn command(verb: &str, field: FieldId, words: &Words<'_>, rules: &RuleBook) -> Result<Command, Problem> {
    Ok(match verb {
        "claim" => Command::Claim { field, character: character(rules, words.character)? },
        "plant" => Command::Plant { field, crop: crop(rules, words.crop)? },
        "tend" => Command::Tend { field },
        "harvest" => Command::Harvest { field },
        "build" => Command::Build { field, building: building(rules, words.building)? },
        "offer" => Command::Offer { field, price: words.price.map(Acorns) },
        "abandon" => Command::Abandon { field },
        other => {
            let known = "claim, plant, tend, harvest, build, offer and abandon";
            return Err(Problem::bad_request(format!("there is no command '{other}', only {known}")));
        }
    })
}

fn character(rules: &RuleBook, name: Option<&str>) -> Result<CharacterId, Problem> {
    // Whoever names nobody gets the first in the book, as on the command line.
    let Some(name) = name else { return Ok(CharacterId(0)) };
    let known = || rules.characters.iter().map(|entry| entry.name.clone()).collect();
    rules.character_named(name).map_err(|_| unknown("character", name, known()))
}

fn crop(rules: &RuleBook, name: Option<&str>) -> Result<CropId, Problem> {
    let known = || rules.crops.iter().map(|entry| entry.name.clone()).collect();
    let name = name.ok_or_else(|| Problem::bad_request("`crop` is missing: which shall be planted?"))?;
    rules.crop_named(name).map_err(|_| unknown("crop", name, known()))
}

fn building(rules: &RuleBook, name: Option<&str>) -> Result<BuildingId, Problem> {
    let known = || rules.buildings.iter().map(|entry| entry.name.clone()).collect();
    let name = name.ok_or_else(|| Problem::bad_request("`building` is missing: which shall be built?"))?;
    rules.building_named(name).map_err(|_| unknown("building", name, known()))
}

fn unknown(kind: &str, name: &str, known: Vec<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "unknown-entry", "The rule book has no such entry")
        .detail(format!("there is no {kind} '{name}', only {}", known.join(", ")))
        .with("known", known.into())
}

/// The client that an `Idempotency-Key` stands for: one for each player, key and command, so that the same key with another
/// command is another request and never hears this one's answer.
pub fn keyed(player: PlayerName, key: &str, command: &Command) -> (RequestNo, Given) {
    let client = identity(&[b"key", player.as_str().as_bytes(), key.as_bytes(), &codec::encode(command)]);
    (RequestNo(1), Given { client, floor: RequestNo(1) })
}

/// The client that one instance of a page is.
pub fn instance(player: PlayerName, instance: &str) -> ClientId {
    identity(&[b"page", player.as_str().as_bytes(), instance.as_bytes()])
}

/// 128 bits that follow from these parts. Nobody can be another player's client, since its name is among them.
fn identity(parts: &[&[u8]]) -> ClientId {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_le_bytes());
        all.extend_from_slice(part);
    }
    ClientId(xxh3_128(&all))
}

/// Gives a command, under a number of its own if it has one.
pub async fn give(
    client: &Client,
    player: PlayerName,
    command: Command,
    numbered: Option<(RequestNo, Given)>,
) -> Result<Done, Error> {
    let player = client.player(player.as_str())?;
    match numbered {
        Some((number, given)) => player.command_given(command, number, given).await,
        None => player.command(command).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::rules::World;

    fn rules() -> RuleBook {
        World::ice_age().rules
    }

    fn field() -> FieldId {
        "5,6".parse().unwrap()
    }

    #[test]
    fn words_become_commands() {
        let rules = rules();
        let of = |verb, words: Words<'_>| command(verb, field(), &words, &rules);
        let claim = |character| Ok(Command::Claim { field: field(), character: CharacterId(character) });
        assert_eq!(of("claim", Words::default()), claim(0));
        let second = rules.characters[1].name.clone();
        assert_eq!(of("claim", Words { character: Some(&second), ..Words::default() }), claim(1));
        let offer = |price: Option<u64>| Ok(Command::Offer { field: field(), price: price.map(Acorns) });
        assert_eq!(of("offer", Words { price: Some(u64::MAX), ..Words::default() }), offer(Some(u64::MAX)));
        assert_eq!(of("offer", Words::default()), offer(None));
        assert_eq!(of("abandon", Words::default()), Ok(Command::Abandon { field: field() }));
    }

    #[test]
    fn what_the_rule_book_does_not_have_is_told_with_what_it_has() {
        let rules = rules();
        let refused =
            command("plant", field(), &Words { crop: Some("cocoa"), ..Words::default() }, &rules).unwrap_err();
        let details = serde_json::to_value(refused.details()).unwrap();
        assert_eq!(details["type"], "urn:icefarm:problem:unknown-entry");
        assert!(details["detail"].as_str().unwrap().contains(&rules.crops[0].name), "{details}");
        for (verb, missing) in [("plant", "crop"), ("build", "building")] {
            let refused = command(verb, field(), &Words::default(), &rules).unwrap_err();
            let detail = serde_json::to_value(refused.details()).unwrap()["detail"].to_string();
            assert!(detail.contains(missing), "{detail}");
        }
        assert!(command("fly", field(), &Words::default(), &rules).is_err());
    }

    #[test]
    fn a_key_names_one_request_of_one_player_and_no_other() {
        let (scrat, sid): (PlayerName, PlayerName) = ("scrat".parse().unwrap(), "sid".parse().unwrap());
        let (claim, tend) = (Command::Abandon { field: field() }, Command::Tend { field: field() });
        let of = |player, key, command: &Command| keyed(player, key, command).1.client;
        assert_eq!(of(scrat, "a", &claim), of(scrat, "a", &claim));
        let others = [of(scrat, "b", &claim), of(sid, "a", &claim), of(scrat, "a", &tend), instance(scrat, "a")];
        assert!(others.iter().all(|other| *other != of(scrat, "a", &claim)));
        // The parts cannot run into each other.
        assert_ne!(identity(&[b"ab", b"c"]), identity(&[b"a", b"bc"]));
    }
}
