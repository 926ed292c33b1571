//! `icefarm watch`: land, and then a line for each change, until it is interrupted.

use crate::exit::{Exit, Failure};
use crate::play::{self, Session};
use crate::stdout;
use crate::words;
use client::{Error, Event};
use json::{building_name, character_name, crop_name};
use std::collections::{BTreeMap, BTreeSet};
use tokio::signal::unix::{SignalKind, signal};
use world::{FieldId, FieldView, Millis, Rect, RuleBook};

/// Watches until somebody has had enough: Ctrl-C, SIGTERM, or nobody reads any more.
pub async fn run(session: &Session<'_>, corner: FieldId, (w, h): (u32, u32)) -> Result<(), Failure> {
    let rect = Rect::new(corner, w, h).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let listen =
        |kind| signal(kind).map_err(|error| Failure::new(Exit::Machine, format!("cannot listen for signals: {error}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let options = session.read_options();
    let explain = |error: &Error| session.explain(&format!("watch {corner}"), options.level, error);
    let (view, mut watch) = session.client.watch(rect, options).await.map_err(|error| explain(&error))?;
    let json = session.globals.json;
    let listened = if json {
        stdout::json_line(&json::ViewAnswer::new(rect, &view, &session.rules))?
    } else {
        stdout::heard(&play::picture(session, rect, &view.fields))?
    };
    if !listened {
        return Ok(());
    }
    let mut shown: BTreeMap<FieldId, FieldView> = view.fields.into_iter().map(|view| (view.field, view)).collect();
    let mut silent = BTreeSet::new();
    loop {
        let event = tokio::select! {
            event = watch.next() => event.map_err(|error| explain(&error))?,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        let heard_from = match &event {
            Event::Changed { receipt, .. } | Event::Still { receipt } => Some(receipt.shard),
            Event::Silent { .. } => None,
        };
        if let Some(shard) = heard_from.filter(|shard| silent.remove(shard)) {
            stdout::aside(format!("shard {shard} answers again; nothing was missed"));
        }
        let listened = match event {
            Event::Changed { field, receipt } if json => {
                stdout::json_line(&json::Changed::new(&field, &receipt, &session.rules))?
            }
            Event::Changed { field, .. } => {
                let told = told(shown.get(&field.field), &field, &session.rules, session.client.time());
                shown.insert(field.field, field);
                stdout::heard(&format!("{told}\n"))?
            }
            Event::Still { .. } => true,
            Event::Silent { shard, error } => {
                if silent.insert(shard) {
                    stdout::aside(format!("shard {shard} does not answer, and is asked again: {error}"));
                }
                true
            }
        };
        if !listened {
            return Ok(());
        }
    }
}

/// What has become of a field, in a sentence.
fn told(before: Option<&FieldView>, now: &FieldView, rules: &RuleBook, time: Millis) -> String {
    let mut news = Vec::new();
    let owner_before = before.and_then(|before| before.owner);
    // What a former owner had there is gone with it.
    let before = before.filter(|_| owner_before == now.owner);
    match (owner_before, now.owner) {
        (None, Some(owner)) => {
            let who = now.character.map(|id| character_name(rules, id)).unwrap_or_default();
            news.push(format!("claimed by {owner}, a {who} lives there"));
        }
        (Some(owner), None) => news.push(format!("given up by {owner}")),
        (Some(old), Some(owner)) if old != owner => news.push(format!("{owner}'s now; it was {old}'s")),
        (None, None) => news.push("claimed and given up again".to_owned()),
        _ => {}
    }
    let crop_before = before.and_then(|before| before.crop);
    match (crop_before, now.crop) {
        (Some(old), Some(crop)) if old == crop => {}
        (Some(old), Some(crop)) if old.planted == crop.planted => {
            let ripe = play::until(crop.ripe, time);
            news.push(format!("the {} was tended, ripe {ripe}", crop_name(rules, crop.crop)));
        }
        (_, Some(crop)) => {
            let ripe = play::until(crop.ripe, time);
            news.push(format!("{} grows there, ripe {ripe}", crop_name(rules, crop.crop)));
        }
        (Some(old), None) => news.push(format!("the {} was harvested", crop_name(rules, old.crop))),
        (None, None) => {}
    }
    let stood = before.map_or(0, |before| before.structures.len());
    let built: Vec<String> = now.structures.iter().skip(stood).map(|id| building_name(rules, *id)).collect();
    if !built.is_empty() {
        news.push(format!("{} built", words::list(built)));
    }
    match (before.and_then(|before| before.price), now.price) {
        (old, Some(price)) if old != Some(price) => {
            news.push(format!("for sale at {}", words::count(price.0, "acorn")));
        }
        (Some(_), None) => news.push("not for sale any more".to_owned()),
        _ => {}
    }
    if news.is_empty() {
        // Several changes that add up to none, seen at once.
        news.push("as it was".to_owned());
    }
    format!("{}: {}", now.field, news.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use world::{Acorns, CharacterId, CropView, Terrain};

    fn field(owner: Option<&str>, version: u32) -> FieldView {
        FieldView {
            field: "5,6".parse().unwrap(),
            terrain: Terrain::Snow,
            owner: owner.map(samples::name),
            character: owner.map(|_| CharacterId(0)),
            crop: None,
            structures: Vec::new(),
            price: None,
            version,
        }
    }

    fn crop(planted: u64, ripe: u64) -> CropView {
        CropView { crop: world::CropId(0), planted: Millis(planted), ripe: Millis(ripe) }
    }

    #[test]
    fn a_change_is_told_by_what_is_new() {
        let rules = samples::rules();
        let told = |before: Option<&FieldView>, now: &FieldView| told(before, now, &rules, Millis(1_000));
        let (free, scrats, mannys) = (field(None, 2), field(Some("scrat"), 1), field(Some("manny"), 3));
        let character = character_name(&rules, CharacterId(0));
        assert_eq!(told(None, &scrats), format!("5,6: claimed by scrat, a {character} lives there"));
        assert_eq!(told(Some(&scrats), &free), "5,6: given up by scrat");
        assert_eq!(told(Some(&scrats), &mannys), "5,6: manny's now; it was scrat's");
        assert_eq!(told(None, &free), "5,6: claimed and given up again");
        let lichen = crop_name(&rules, world::CropId(0));
        let sown = FieldView { crop: Some(crop(1_000, 21_000)), version: 2, ..scrats.clone() };
        assert_eq!(told(Some(&scrats), &sown), format!("5,6: {lichen} grows there, ripe in 20 s"));
        let tended = FieldView { crop: Some(crop(1_000, 11_000)), version: 3, ..sown.clone() };
        assert_eq!(told(Some(&sown), &tended), format!("5,6: the {lichen} was tended, ripe in 10 s"));
        let harvested = FieldView { crop: None, version: 4, ..tended.clone() };
        assert_eq!(told(Some(&tended), &harvested), format!("5,6: the {lichen} was harvested"));
        let offered = FieldView { price: Some(Acorns(5)), version: 5, ..harvested.clone() };
        assert_eq!(told(Some(&harvested), &offered), "5,6: for sale at 5 acorns");
        assert_eq!(told(Some(&offered), &harvested), "5,6: not for sale any more");
        let hut = building_name(&rules, world::BuildingId(0));
        let built = FieldView { structures: vec![world::BuildingId(0)], version: 6, ..offered.clone() };
        assert_eq!(told(Some(&offered), &built), format!("5,6: {hut} built"));
        assert_eq!(told(Some(&offered), &offered), "5,6: as it was");
    }

    #[test]
    fn what_a_new_owner_found_or_did_is_all_news() {
        let rules = samples::rules();
        let before = FieldView { price: Some(Acorns(5)), ..field(Some("scrat"), 1) };
        let now = FieldView { crop: Some(crop(0, 500)), ..field(Some("manny"), 4) };
        let lichen = crop_name(&rules, world::CropId(0));
        let told = told(Some(&before), &now, &rules, Millis(1_000));
        assert_eq!(told, format!("5,6: manny's now; it was scrat's; {lichen} grows there, ripe now"));
    }
}
