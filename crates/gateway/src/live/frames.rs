//! Frames as bytes. Each is encoded once, however many viewers it goes to.

use crate::socket::messages::{ALL_SHARDS, CropCell, Fresh, Land, Receipt, Row, Tiles};
use bytes::Bytes;
use std::collections::BTreeMap;
use world::{Block, Census, ChunkId, FieldView, Millis, PlayerName};

/// Fields of one chunk: all that anybody ever owned, or those that have changed.
pub fn land<'a>(
    chunk: ChunkId,
    whole: bool,
    receipt: &wire::Receipt,
    fields: impl IntoIterator<Item = &'a FieldView>,
) -> Bytes {
    let mut owners = Vec::new();
    let mut places = BTreeMap::<PlayerName, u32>::new();
    let rows = fields.into_iter().map(|view| {
        let owner = view.owner.map(|name| {
            *places.entry(name).or_insert_with(|| {
                owners.push(name.to_string());
                u32::try_from(owners.len() - 1).expect("a chunk has 4,096 fields")
            })
        });
        Row(
            view.field.offset(),
            view.version,
            owner,
            view.character.map(|character| character.0),
            view.crop.map(|crop| CropCell(crop.crop.0, crop.planted.0, crop.ripe.0)),
            view.structures.iter().map(|building| building.0).collect(),
            view.price.map(|price| price.0),
        )
    });
    let rows = rows.collect();
    encoded(&Land(0, chunk.cx(), chunk.cy(), whole, receipt.into(), owners, rows))
}

/// Cells of a block: all in which somebody owns anything, or those that have changed.
pub fn tiles(
    block: Block,
    whole: bool,
    bound_ms: Option<u64>,
    cells: impl IntoIterator<Item = (u16, Census)>,
) -> Bytes {
    let row = |(offset, census): (u16, Census)| {
        let counts = (0..).zip(census.0).filter(|(_, count)| *count > 0).flat_map(|(banner, count)| [banner, count]);
        std::iter::once(u32::from(offset)).chain(counts).collect()
    };
    let rows = cells.into_iter().map(row).collect();
    encoded(&Tiles(1, block.zoom().level(), block.bx(), block.by(), whole, bound_ms, rows))
}

/// How fresh what one sees is.
pub fn fresh(time: Millis, receipts: impl IntoIterator<Item = Receipt>) -> Bytes {
    encoded(&Fresh(2, time.0, receipts.into_iter().collect()))
}

/// A receipt that speaks of all shards.
pub fn of_all(node: &str, bound_ms: Option<u64>) -> Receipt {
    Receipt(ALL_SHARDS, node.to_owned(), 0, "eventual".to_owned(), bound_ms)
}

/// The bulk message that these frames make.
pub fn message(frames: &[Bytes]) -> Vec<u8> {
    let mut message = Vec::with_capacity(5 + frames.iter().map(Bytes::len).sum::<usize>());
    let count = u32::try_from(frames.len()).expect("a mailbox holds far fewer");
    rmp::encode::write_array_len(&mut message, count).expect("memory takes any write");
    for frame in frames {
        message.extend_from_slice(frame);
    }
    message
}

fn encoded(frame: &impl serde::Serialize) -> Bytes {
    Bytes::from(rmp_serde::to_vec(frame).expect("our types have a MessagePack form, and memory takes any write"))
}
