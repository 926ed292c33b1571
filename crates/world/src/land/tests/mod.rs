//! Lands under test, small enough to look through.

mod farming;
mod pages;
mod payments;
mod random;

use super::*;
use crate::{CharacterId, CropId, Deed, Rejection, Terrain, rules::tests::small};

pub(super) const VOLE: CharacterId = CharacterId(0);
pub(super) const MAMMOTH: CharacterId = CharacterId(1);
pub(super) const MOSS: CropId = CropId(0);
pub(super) const LILY: CropId = CropId(1);

pub(super) fn name(text: &str) -> PlayerName {
    PlayerName::new(text).expect("a good name")
}

pub(super) fn land() -> Land {
    let world = small();
    Land::new(world.seed, world.rules)
}

/// Fields of one terrain, all of one chunk.
pub(super) fn fields_of(wanted: impl Fn(Terrain) -> bool, count: usize) -> Vec<FieldId> {
    let map = TerrainMap::new(small().seed);
    let chunks = (0..).map(|nth: u32| ChunkId::new(nth % 5_000, nth / 5_000).expect("on the grid"));
    let fields = |chunk: ChunkId| -> Vec<FieldId> {
        let all = (0..4_096).filter_map(|offset| chunk.field(offset));
        all.filter(|field| wanted(map.at(*field))).take(count).collect()
    };
    chunks.map(fields).find(|fields| fields.len() == count).expect("the world is varied")
}

pub(super) fn claimable(count: usize) -> Vec<FieldId> {
    fields_of(Terrain::claimable, count)
}

pub(super) fn done(outcome: Outcome) -> (Deed, FieldView) {
    match outcome {
        Outcome::Done { deed, field } => (deed, field),
        other => panic!("it should have been done: {other:?}"),
    }
}

/// Applies a command that the rules must refuse, and checks that nothing changed.
#[track_caller]
pub(super) fn refused(land: &mut Land, now: u64, player: &str, command: Command) -> Rejection {
    let before = everything(land);
    land.take_changes();
    let outcome = land.apply(Millis(now), &name(player), &command);
    assert_eq!(land.take_changes(), [], "a rejection has nothing to checkpoint");
    assert_eq!(everything(land), before, "a rejection changes nothing");
    match outcome {
        Outcome::Rejected(rejection) => rejection,
        other => panic!("it should have been refused: {other:?}"),
    }
}

/// All that can be seen of a land.
pub(super) fn everything(land: &Land) -> (Vec<FieldView>, Vec<Payment>, Totals, u64) {
    let views = land.resident().flat_map(|chunk| {
        (0..4_096)
            .filter_map(move |offset| chunk.field(offset))
            .map(|field| land.field(field))
            .filter(|view| view.version > 0)
    });
    (views.collect(), land.payments().collect(), land.totals(), land.owned_fields())
}

pub(super) fn claim(land: &mut Land, player: &str, field: FieldId) {
    done(land.apply(Millis(0), &name(player), &Command::Claim { field, character: VOLE }));
}
