//! The rules of one field.

use super::*;
use crate::{BuildingId, command::CropView, command::EntryKind};

#[test]
fn a_claimed_field_has_its_owner_and_the_next_claimer_is_told_who() {
    let (mut land, field) = (land(), claimable(1)[0]);
    let (deed, view) = done(land.apply(Millis(5), &name("sid"), &Command::Claim { field, character: MAMMOTH }));
    assert_eq!(deed, Deed::Claimed);
    assert_eq!((view.owner, view.character, view.version), (Some(name("sid")), Some(MAMMOTH), 1));
    assert_eq!(land.field(field), view);
    let sid = Rejection::AlreadyOwned { field, owner: name("sid") };
    assert_eq!(refused(&mut land, 6, "scrat", Command::Claim { field, character: VOLE }), sid);
    assert_eq!(refused(&mut land, 6, "sid", Command::Claim { field, character: VOLE }), sid, "one's own field too");
    assert_eq!((land.owned_fields(), land.holdings(&name("sid"))), (1, (1, Acorns(0))));
}

#[test]
fn lake_and_rock_belong_to_nobody() {
    for terrain in [Terrain::Lake, Terrain::Rock] {
        let field = fields_of(|found| found == terrain, 1)[0];
        let rejection = refused(&mut land(), 0, "sid", Command::Claim { field, character: VOLE });
        assert_eq!(rejection, Rejection::NotClaimable { field, terrain });
    }
}

#[test]
fn a_player_holds_at_most_the_rule_books_number_of_fields_in_a_chunk() {
    let (mut land, fields) = (land(), claimable(6));
    for field in &fields[..4] {
        claim(&mut land, "sid", *field);
    }
    let more = Command::Claim { field: fields[4], character: VOLE };
    let full = Rejection::TooManyInChunk { field: fields[4], player: name("sid"), limit: 4 };
    assert_eq!(refused(&mut land, 0, "sid", more), full);
    claim(&mut land, "scrat", fields[5]);
    done(land.apply(Millis(0), &name("sid"), &Command::Abandon { field: fields[0] }));
    done(land.apply(Millis(0), &name("sid"), &more));
}

#[test]
fn the_limit_holds_for_a_player_who_left_the_chunk_and_came_back_after_another() {
    let (mut land, fields) = (land(), claimable(8));
    claim(&mut land, "a", fields[0]);
    claim(&mut land, "b", fields[1]);
    for (player, field) in [("a", fields[0]), ("b", fields[1])] {
        done(land.apply(Millis(0), &name(player), &Command::Abandon { field }));
    }
    for field in &fields[2..6] {
        claim(&mut land, "b", *field);
    }
    let field = fields[6];
    let rejection = refused(&mut land, 0, "b", Command::Claim { field, character: VOLE });
    assert_eq!(rejection, Rejection::TooManyInChunk { field, player: name("b"), limit: 4 });
}

#[test]
fn a_crop_ripens_with_time_and_its_harvest_travels_to_the_wallet() {
    let (mut land, field, sid) = (land(), claimable(1)[0], name("sid"));
    claim(&mut land, "sid", field);
    let (_, view) = done(land.apply(Millis(1_000), &sid, &Command::Plant { field, crop: MOSS }));
    assert_eq!(view.crop, Some(CropView { crop: MOSS, planted: Millis(1_000), ripe: Millis(11_000) }));
    let early = refused(&mut land, 10_999, "sid", Command::Harvest { field });
    assert_eq!(early, Rejection::NotRipe { field, at: Millis(11_000) });
    let again = refused(&mut land, 11_000, "sid", Command::Plant { field, crop: MOSS });
    assert_eq!(again, Rejection::AlreadyPlanted { field, crop: MOSS });
    let (deed, view) = done(land.apply(Millis(11_000), &sid, &Command::Harvest { field }));
    assert_eq!((deed, view.crop, view.version), (Deed::Harvested(Acorns(11)), None, 3));
    assert_eq!(land.holdings(&sid), (1, Acorns(11)));
    assert_eq!(refused(&mut land, 11_001, "sid", Command::Harvest { field }), Rejection::NothingPlanted { field });
}

#[test]
fn tending_shortens_what_is_left_once_and_only_before_it_is_ripe() {
    let (mut land, field, sid) = (land(), claimable(1)[0], name("sid"));
    claim(&mut land, "sid", field);
    assert_eq!(refused(&mut land, 0, "sid", Command::Tend { field }), Rejection::NothingPlanted { field });
    done(land.apply(Millis(1_000), &sid, &Command::Plant { field, crop: MOSS }));
    // 4 of 10 seconds have passed; moss gains 50 percent of the 6 left.
    let (_, view) = done(land.apply(Millis(5_000), &sid, &Command::Tend { field }));
    assert_eq!(view.crop.map(|crop| crop.ripe), Some(Millis(8_000)));
    assert_eq!(refused(&mut land, 5_001, "sid", Command::Tend { field }), Rejection::AlreadyTended { field });
    assert_eq!(refused(&mut land, 8_000, "sid", Command::Tend { field }), Rejection::Ripe { field });
    // The next crop may be tended again.
    done(land.apply(Millis(8_000), &sid, &Command::Harvest { field }));
    done(land.apply(Millis(8_000), &sid, &Command::Plant { field, crop: MOSS }));
    done(land.apply(Millis(8_001), &sid, &Command::Tend { field }));
}

#[test]
fn tending_at_a_time_before_the_planting_does_no_harm() {
    let (mut land, field, sid) = (land(), claimable(1)[0], name("sid"));
    claim(&mut land, "sid", field);
    done(land.apply(Millis(9_000), &sid, &Command::Plant { field, crop: MOSS }));
    let (_, view) = done(land.apply(Millis(0), &sid, &Command::Tend { field }));
    assert_eq!(view.crop.map(|crop| crop.ripe), Some(Millis(14_000)));
}

#[test]
fn characters_and_buildings_speed_up_and_add_to_the_harvest() {
    let (mut land, field, sid) = (land(), claimable(1)[0], name("sid"));
    done(land.apply(Millis(0), &sid, &Command::Claim { field, character: MAMMOTH }));
    done(land.apply(Millis(0), &sid, &Command::Build { field, building: BuildingId(0) }));
    let (_, view) = done(land.apply(Millis(0), &sid, &Command::Plant { field, crop: MOSS }));
    assert_eq!(view.crop.map(|crop| crop.ripe), Some(Millis(8_000)));
    let (deed, _) = done(land.apply(Millis(8_000), &sid, &Command::Harvest { field }));
    assert_eq!(deed, Deed::Harvested(Acorns(27)));
}

#[test]
fn a_crop_grows_only_where_the_rule_book_says() {
    let (mut land, field) = (land(), fields_of(|terrain| terrain == Terrain::Pine, 1)[0]);
    claim(&mut land, "sid", field);
    let rejection = refused(&mut land, 0, "sid", Command::Plant { field, crop: LILY });
    assert_eq!(rejection, Rejection::WrongTerrain { field, terrain: Terrain::Pine });
}

#[test]
fn each_building_stands_once_in_the_order_they_were_built() {
    let (mut land, field, sid) = (land(), claimable(1)[0], name("sid"));
    claim(&mut land, "sid", field);
    for building in [BuildingId(1), BuildingId(0)] {
        done(land.apply(Millis(0), &sid, &Command::Build { field, building }));
    }
    assert_eq!(land.field(field).structures, [BuildingId(1), BuildingId(0)]);
    let again = refused(&mut land, 0, "sid", Command::Build { field, building: BuildingId(1) });
    assert_eq!(again, Rejection::AlreadyBuilt { field, building: BuildingId(1) });
}

#[test]
fn a_price_is_set_and_taken_back_within_the_limit() {
    let (mut land, field, sid) = (land(), claimable(1)[0], name("sid"));
    claim(&mut land, "sid", field);
    let offer = |acorns| Command::Offer { field, price: Some(Acorns(acorns)) };
    let (_, view) = done(land.apply(Millis(0), &sid, &offer(5_000)));
    assert_eq!(view.price, Some(Acorns(5_000)));
    let rejection = refused(&mut land, 0, "sid", offer(5_001));
    assert_eq!(rejection, Rejection::PriceTooHigh { price: Acorns(5_001), max: Acorns(5_000) });
    let (_, view) = done(land.apply(Millis(0), &sid, &Command::Offer { field, price: None }));
    assert_eq!((view.price, view.version), (None, 3));
}

#[test]
fn only_the_owner_farms_a_field() {
    let (mut land, fields) = (land(), claimable(2));
    claim(&mut land, "sid", fields[0]);
    for (field, owner) in [(fields[0], Some(name("sid"))), (fields[1], None)] {
        for command in [
            Command::Plant { field, crop: MOSS },
            Command::Tend { field },
            Command::Harvest { field },
            Command::Build { field, building: BuildingId(0) },
            Command::Offer { field, price: None },
            Command::Abandon { field },
        ] {
            assert_eq!(refused(&mut land, 0, "scrat", command), Rejection::NotOwner { field, owner }, "{command:?}");
        }
    }
}

#[test]
fn an_abandoned_field_is_bare_and_free_and_its_version_goes_on() {
    let (mut land, field, sid) = (land(), claimable(1)[0], name("sid"));
    claim(&mut land, "sid", field);
    done(land.apply(Millis(0), &sid, &Command::Plant { field, crop: MOSS }));
    done(land.apply(Millis(0), &sid, &Command::Build { field, building: BuildingId(0) }));
    done(land.apply(Millis(0), &sid, &Command::Offer { field, price: Some(Acorns(1)) }));
    let (deed, view) = done(land.apply(Millis(0), &sid, &Command::Abandon { field }));
    assert_eq!(deed, Deed::Abandoned);
    assert_eq!(view, FieldView { version: 5, ..chunk::untouched(field, view.terrain) });
    assert_eq!((land.owned_fields(), land.holdings(&sid)), (0, (0, Acorns(0))));
    let (_, view) = done(land.apply(Millis(0), &name("scrat"), &Command::Claim { field, character: VOLE }));
    assert_eq!((view.owner, view.structures.len(), view.version), (Some(name("scrat")), 0, 6));
}

#[test]
fn what_the_rule_book_lacks_is_refused_as_unknown() {
    let (mut land, field) = (land(), claimable(1)[0]);
    claim(&mut land, "sid", field);
    for (command, kind, id) in [
        (Command::Claim { field, character: CharacterId(2) }, EntryKind::Character, 2),
        (Command::Plant { field, crop: CropId(255) }, EntryKind::Crop, 255),
        (Command::Build { field, building: BuildingId(2) }, EntryKind::Building, 2),
    ] {
        assert_eq!(refused(&mut land, 0, "sid", command), Rejection::Unknown { kind, id, rules: 3 });
    }
}

#[test]
fn a_view_shows_the_owned_fields_inside_it_by_packed_id_and_only_of_kept_chunks() {
    let mut land = land();
    let map = TerrainMap::new(land.seed());
    let mut owned = Vec::new();
    for nth in 0..400 {
        let field = FieldId::new(1_000 + nth * 37 % 200, 2_000 + nth * 53 % 150).unwrap();
        if map.at(field).claimable() && land.field(field).owner.is_none() {
            let player = name(&format!("p{nth}"));
            done(land.apply(Millis(0), &player, &Command::Claim { field, character: VOLE }));
            owned.push(field);
        }
    }
    owned.sort_unstable();
    let rect = Rect::new(FieldId::new(1_020, 2_010).unwrap(), 130, 90).unwrap();
    let seen = |keep: fn(ChunkId) -> bool| -> Vec<FieldId> {
        land.fields_in(rect, keep).into_iter().map(|view| view.field).collect()
    };
    let inside: Vec<FieldId> = owned.iter().copied().filter(|field| rect.contains(*field)).collect();
    assert!(inside.len() > 50 && inside.len() < owned.len());
    assert_eq!(seen(|_| true), inside);
    let even: Vec<FieldId> = inside.iter().copied().filter(|field| field.chunk().cx() % 2 == 0).collect();
    assert_eq!(seen(|chunk| chunk.cx() % 2 == 0), even);
    assert!(!even.is_empty() && even.len() < inside.len());
}
