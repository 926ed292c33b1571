//! The shapes, letter by letter.

use crate::samples;
use crate::{Done, Field, PlayerAnswer, Receipt, ViewAnswer};
use client::{PlayerRead, ViewRead};
use serde::Serialize;
use world::{Acorns, Millis, PlayerView, Terrain};
use world::{BuildingId, CharacterId, CropId, CropView, Deed, FieldView, Rect};

fn field() -> FieldView {
    FieldView {
        field: "5,6".parse().unwrap(),
        terrain: Terrain::Snow,
        owner: Some(samples::name("scrat")),
        character: Some(CharacterId(0)),
        crop: Some(CropView { crop: CropId(0), planted: Millis(1_000), ripe: Millis(21_000) }),
        structures: vec![BuildingId(0)],
        price: Some(Acorns(250)),
        version: 4,
    }
}

fn text(object: &impl Serialize) -> String {
    serde_json::to_string(object).unwrap()
}

const RECEIPT: &str = r#"{"shard":12,"node":"n2","slot":811,"level":"strong","bound_ms":0}"#;

#[test]
fn a_field_has_every_key_whether_or_not_there_is_anything_on_it() {
    let rules = samples::rules();
    let crop = &rules.crops[0].name;
    let building = &rules.buildings[0].name;
    assert_eq!(
        text(&Field::new(&field(), &rules)),
        format!(
            r#"{{"x":5,"y":6,"terrain":"snow","claimable":true,"owner":"scrat","character":"mammoth","crop":{{"name":"{crop}","planted_ms":1000,"ripe_ms":21000}},"structures":["{building}"],"price":250,"version":4}}"#
        )
    );
    let free = FieldView {
        owner: None,
        character: None,
        crop: None,
        structures: vec![],
        price: None,
        terrain: Terrain::Lake,
        version: 0,
        ..field()
    };
    assert_eq!(
        text(&Field::new(&free, &rules)),
        r#"{"x":5,"y":6,"terrain":"lake","claimable":false,"owner":null,"character":null,"crop":null,"structures":[],"price":null,"version":0}"#
    );
}

#[test]
fn a_deed_is_its_past_tense_with_field_and_receipt() {
    let rules = samples::rules();
    let done = client::Done { deed: Deed::Claimed, field: field(), receipt: samples::receipt() };
    let object = text(&Done::new(&done, &rules));
    assert!(object.starts_with(r#"{"outcome":"claimed","field":{"x":5,"#), "{object}");
    assert!(object.ends_with(&format!(r#""receipt":{RECEIPT}}}"#)), "{object}");
    let harvested = client::Done { deed: Deed::Harvested(Acorns(7)), ..done };
    assert!(text(&Done::new(&harvested, &rules)).contains(r#""acorns":7,"#));
}

#[test]
fn a_bound_that_is_not_known_is_left_out() {
    let receipt = wire::Receipt { level: wire::Level::Eventual, bound_ms: None, ..samples::receipt() };
    assert_eq!(text(&Receipt::from(&receipt)), r#"{"shard":12,"node":"n2","slot":811,"level":"eventual"}"#);
}

#[test]
fn a_player_has_wallet_and_what_is_on_its_way_and_an_unknown_one_is_none() {
    let player = Some(PlayerView { name: samples::name("scrat"), acorns: Acorns(120) });
    let holdings = wire::Holdings { fields: 3, pending: Acorns(5) };
    let read = PlayerRead { player, holdings, receipts: vec![] };
    assert_eq!(
        text(&PlayerAnswer::new(&read).unwrap()),
        r#"{"outcome":"ok","player":{"name":"scrat","acorns":120,"pending":5,"fields":3},"receipts":[]}"#
    );
    assert_eq!(PlayerAnswer::new(&PlayerRead { player: None, ..read }), None);
}

#[test]
fn a_view_says_what_was_looked_at() {
    let rect = Rect::new("1,2".parse().unwrap(), 4, 3).unwrap();
    let read = ViewRead { fields: vec![], receipts: vec![samples::receipt()] };
    assert_eq!(
        text(&ViewAnswer::new(rect, &read, &samples::rules())),
        format!(r#"{{"outcome":"ok","view":{{"x":1,"y":2,"w":4,"h":3}},"fields":[],"receipts":[{RECEIPT}]}}"#)
    );
}
