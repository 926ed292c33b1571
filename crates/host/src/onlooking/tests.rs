//! What the gateway of a node is told of the land that it looks at.

use crate::tests::{MS, N1, N2, N3, Nodes, SECOND};
use paxos::{NodeId, Slot};
use placement::ShardId;
use std::collections::BTreeMap;
use wire::{Level, News};
use world::{Banner, Block, Command, FieldId, Shift, Zoom};

const SHARD: ShardId = ShardId(1);

/// What `node` has told since it was asked last.
fn news(nodes: &mut Nodes, node: NodeId) -> Vec<News> {
    let (of_it, others) = std::mem::take(&mut nodes.told).into_iter().partition(|(of, _)| *of == node);
    nodes.told = others;
    let of_it: Vec<(NodeId, crate::Turn)> = of_it;
    of_it.into_iter().flat_map(|(_, turn)| turn.news).collect()
}

fn fields(news: &[News]) -> Vec<(FieldId, u32)> {
    let changes = news.iter().flat_map(|news| &news.changes.as_ref().expect("it is remembered").fields);
    changes.map(|view| (view.field, view.version)).collect()
}

fn zoom(level: u8) -> Zoom {
    Zoom::try_from(level).unwrap()
}

#[test]
fn each_replica_tells_what_it_applies_of_the_land_that_is_looked_at_and_nothing_else() {
    let mut nodes = Nodes::serving(3, 1);
    let leader = nodes.leader(SHARD).unwrap();
    let before = nodes.claim(leader, 1)[0];
    nodes.pass(SECOND);
    for node in [N1, N2] {
        nodes.host(node).look(Block::of(Zoom::FIELDS, before));
    }
    nodes.told.clear();
    nodes.command(leader, Command::Offer { field: before, price: Some(world::Acorns(3)) });
    let claimed = nodes.claim(leader, 3);
    nodes.pass(SECOND);
    for node in [N1, N2] {
        let told = news(&mut nodes, node);
        assert_eq!(fields(&told), [(before, 2)], "{node}: not the claim that was refused, nor what is out of sight");
        assert!(told[0].slot > Slot::ZERO && told[0].changes.as_ref().unwrap().shifts.is_empty());
    }
    assert_eq!(news(&mut nodes, N3), []);
    nodes.host(N1).look_away(Block::of(Zoom::FIELDS, before));
    nodes.command(leader, Command::Abandon { field: claimed[0] });
    nodes.pass(SECOND);
    assert_eq!((news(&mut nodes, N1), nodes.host(N1).looked_at()), (vec![], 0));
    assert_eq!(fields(&news(&mut nodes, N2)), [(before, 3)]);
}

#[test]
fn from_afar_it_is_told_who_comes_and_goes_and_the_sum_is_the_census() {
    let mut nodes = Nodes::serving(3, 1);
    let leader = nodes.leader(SHARD).unwrap();
    nodes.claim(leader, 2);
    nodes.pass(SECOND);
    let origin = FieldId::new(0, 0).unwrap();
    let blocks: Vec<Block> = (1..=Zoom::MOST).map(|level| Block::of(zoom(level), origin)).collect();
    for block in &blocks {
        nodes.host(N2).look(*block);
    }
    nodes.told.clear();
    let census = |nodes: &mut Nodes, block: &Block| {
        let land = nodes.host(N2).replica(SHARD).unwrap().state().land().unwrap();
        land.census(*block).into_iter().collect::<BTreeMap<_, _>>()
    };
    let mut counted: Vec<_> = blocks.iter().map(|block| census(&mut nodes, block)).collect();
    let claimed = nodes.claim(leader, 5);
    nodes.command(leader, Command::Abandon { field: claimed[1] });
    nodes.command(leader, Command::Abandon { field: claimed[4] });
    nodes.pass(SECOND);
    let told = news(&mut nodes, N2);
    let shifts: Vec<(FieldId, Shift)> =
        told.iter().flat_map(|news| news.changes.as_ref().expect("remembered").shifts.clone()).collect();
    let banner = Banner::of(&"scrat".parse().unwrap());
    assert_eq!(shifts.len(), 5, "three claims of five, since two were there, and two that were given up: {shifts:?}");
    assert_eq!(shifts[4], (claimed[4], Shift::Leave(banner)));
    for (block, counted) in blocks.iter().zip(&mut counted) {
        for (field, shift) in shifts.iter().filter(|(field, _)| Block::of(block.zoom(), *field) == *block) {
            counted.entry(block.offset(*field)).or_default().shift(*shift);
        }
        counted.retain(|_, census| census.sum() > 0);
        assert_eq!(*counted, census(&mut nodes, block), "{block:?}");
    }
    assert_eq!(fields(&told), [], "nobody looks from near");
}

#[test]
fn who_was_told_less_than_is_remembered_must_look_anew() {
    let mut nodes = Nodes::serving(3, 1);
    let leader = nodes.leader(SHARD).unwrap();
    let field = nodes.claim(leader, 1)[0];
    for _ in 0..4_200 {
        nodes.command(leader, Command::Offer { field, price: None });
    }
    nodes.pass(SECOND);
    nodes.host(N2).look(Block::of(Zoom::FIELDS, field));
    // As if it had been looked at all the time, and all that had gone by within one turn.
    nodes.host(N2).onlooking.told.insert(SHARD, Slot(1));
    nodes.told.clear();
    nodes.command(leader, Command::Offer { field, price: None });
    nodes.pass(SECOND);
    let told = news(&mut nodes, N2);
    assert_eq!(told[0].changes, None);
    assert_eq!(fields(&told[1..]), [(field, 4_202)], "what came behind");
    nodes.command(leader, Command::Offer { field, price: None });
    nodes.pass(SECOND);
    assert_eq!(fields(&news(&mut nodes, N2)), [(field, 4_203)], "and then goes on");
}

#[test]
fn every_replica_says_how_fresh_it_is() {
    let mut nodes = Nodes::serving(3, 2);
    nodes.pass(SECOND);
    let now = nodes.now();
    let leader = nodes.leader(SHARD).unwrap();
    for node in [N1, N2, N3] {
        let receipts = nodes.host(node).freshness(now);
        assert_eq!(receipts.iter().map(|receipt| receipt.shard).collect::<Vec<_>>(), [SHARD, ShardId(2)]);
        for receipt in receipts {
            let bound = receipt.bound_ms.expect("all is well");
            assert_eq!((receipt.node, receipt.level), (node, Level::Eventual));
            assert!(bound <= 300, "{bound} ms");
            assert!(node != leader || receipt.shard != SHARD || bound == 0);
        }
    }
    nodes.cut_off = [N3].into();
    nodes.pass(2_000 * MS);
    let now = nodes.now();
    let cut_off = nodes.host(N3).freshness(now)[0].bound_ms;
    assert!(cut_off.is_none_or(|bound| bound >= 2_000), "it grows while nothing is heard: {cut_off:?}");
}
