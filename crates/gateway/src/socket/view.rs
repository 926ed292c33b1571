//! From a rectangle to the blocks in it.

use super::messages::{Have, Look};
use crate::live::Sure;
use crate::problem::Problem;
use wire::Level;
use world::{Block, Zoom, grid::CHUNK};

/// The most cells that a rectangle is wide or high.
pub const MAX_SIDE: u32 = 1_024;
/// The most blocks that it touches.
pub const MAX_BLOCKS: u32 = 128;

/// The blocks that a client wants to see, each with what it holds of it.
pub fn blocks(look: &Look) -> Result<Vec<(Block, Option<Have>)>, Problem> {
    let zoom = Zoom::try_from(look.level).map_err(|error| Problem::bad_request(error.to_string()))?;
    let &Look { x, y, w, h, .. } = look;
    let cells = zoom.cells();
    if x >= cells || y >= cells {
        return Err(Problem::bad_request(format!(
            "{x},{y} is off the grid: at level {} cells run from 0 to {}",
            look.level,
            cells - 1
        )));
    }
    if w == 0 || h == 0 {
        return Err(Problem::bad_request(format!("a view of {w}x{h} cells shows nothing")));
    }
    if w > MAX_SIDE || h > MAX_SIDE {
        let most = format!("a view of {w}x{h} cells is refused: at most {MAX_SIDE} a side; look from a coarser level");
        return Err(Problem::too_large(most));
    }
    let range = |from: u32, count: u32| from / CHUNK..=(from + count - 1).min(cells - 1) / CHUNK;
    let (columns, rows) = (range(x, w), range(y, h));
    let count = (columns.end() - columns.start() + 1) * (rows.end() - rows.start() + 1);
    if count > MAX_BLOCKS {
        let most =
            format!("a view that touches {count} blocks is refused: at most {MAX_BLOCKS}; look from a coarser level");
        return Err(Problem::too_large(most));
    }
    let block = |bx, by| Block::new(zoom, bx, by).expect("cut at the world's edge just now");
    let have = |bx, by| look.have.iter().find(|have| (have.0, have.1) == (bx, by)).copied();
    Ok(rows
        .flat_map(|by| columns.clone().map(move |bx| (bx, by)))
        .map(|(bx, by)| (block(bx, by), have(bx, by)))
        .collect())
}

/// How sure a client wants to be.
pub fn sure(read: Option<&str>) -> Result<Sure, Problem> {
    let Some(read) = read else { return Ok(Sure::Session) };
    let level = read.parse::<Level>().map_err(|error| Problem::bad_request(format!("read '{read}': {error}")))?;
    Ok(match level {
        Level::Session => Sure::Session,
        Level::Eventual => Sure::Eventual,
        Level::Strong | Level::Bounded(_) => Sure::At(level),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(level: u8, x: u32, y: u32, w: u32, h: u32) -> Look {
        Look { id: 1, level, x, y, w, h, read: None, have: Vec::new() }
    }

    fn seen(look: &Look) -> Result<Vec<(u32, u32)>, u16> {
        let blocks = blocks(look).map_err(|problem| problem.status().as_u16())?;
        Ok(blocks.iter().map(|(block, _)| (block.bx(), block.by())).collect())
    }

    #[test]
    fn a_rectangle_touches_the_blocks_that_its_cells_are_in_up_to_the_edge() {
        assert_eq!(seen(&look(0, 63, 0, 2, 1)), Ok(vec![(0, 0), (1, 0)]));
        assert_eq!(seen(&look(0, 64, 64, 64, 64)), Ok(vec![(1, 1)]));
        assert_eq!(seen(&look(0, 999_990, 999_999, 1_000, 1_000)), Ok(vec![(15_624, 15_624)]));
        assert_eq!(seen(&look(7, 0, 0, 1_024, 1_024)), Ok(vec![(0, 0)]));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_so_is_what_is_too_much() {
        assert_eq!(seen(&look(8, 0, 0, 1, 1)), Err(400));
        assert_eq!(seen(&look(0, 1_000_000, 0, 1, 1)), Err(400));
        assert_eq!(seen(&look(7, 62, 0, 1, 1)), Err(400));
        assert_eq!(seen(&look(0, 0, 0, 0, 1)), Err(400));
        assert_eq!(seen(&look(0, 0, 0, 1_025, 1)), Err(413));
        assert_eq!(seen(&look(0, u32::MAX, u32::MAX, u32::MAX, u32::MAX)), Err(400));
        assert_eq!(seen(&look(0, 10, 0, u32::MAX, 1)), Err(413));
        assert_eq!(seen(&look(0, 0, 0, 1_024, 1_024)), Err(413), "16 x 16 blocks");
        assert_eq!(seen(&look(0, 0, 0, 1_024, 512)).map(|blocks| blocks.len()), Ok(128));
    }

    #[test]
    fn what_a_client_holds_is_found_with_its_block() {
        let held = Have(1, 0, 7, 99);
        let look = Look { have: vec![Have(9, 9, 1, 1), held], ..look(0, 0, 0, 128, 64) };
        let blocks = blocks(&look).unwrap();
        assert_eq!(blocks.iter().map(|(_, have)| *have).collect::<Vec<_>>(), [None, Some(held)]);
    }

    #[test]
    fn levels_of_reading_are_words() {
        assert_eq!(sure(None), Ok(Sure::Session));
        assert_eq!(sure(Some("eventual")), Ok(Sure::Eventual));
        assert_eq!(sure(Some("bounded:500")), Ok(Sure::At(Level::Bounded(500))));
        assert!(sure(Some("certain")).is_err());
    }
}
