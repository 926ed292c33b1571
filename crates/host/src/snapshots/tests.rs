//! A taker and a giver, part after part.

use super::*;
use crate::Turn;
use crate::tests::{MS, N1, N2, N3, Nodes, SECOND};

const SHARD: ShardId = ShardId(1);

/// n3 of three nodes, which leads nothing here, and the time.
struct Taker {
    nodes: Nodes,
    now: Mono,
}

impl Taker {
    fn new() -> Self {
        let mut nodes = Nodes::serving(3, 8);
        for shard in (1..=8).map(ShardId).filter(|shard| nodes.leader(*shard) == Some(N3)).collect::<Vec<_>>() {
            let now = nodes.now();
            nodes.host(N3).transfer(now, shard, N1).unwrap();
            nodes.settle();
        }
        nodes.pass(100 * MS);
        Self { now: nodes.now, nodes }
    }

    fn host(&mut self) -> &mut Host {
        self.nodes.host(N3)
    }

    /// Time has passed; what it wants done.
    fn tick(&mut self, micros: u64) -> Turn {
        self.now = self.now.plus(micros);
        let now = self.now;
        self.host().tick_snapshots(now);
        self.turn()
    }

    fn turn(&mut self) -> Turn {
        let now = crate::tests::at(self.now);
        self.host().finish_turn(now)
    }

    fn next_tick(&mut self) -> Option<Mono> {
        self.host().snapshots.next_tick()
    }

    /// How far the replica is.
    fn applied(&mut self) -> Slot {
        self.host().replica(SHARD).unwrap().applied()
    }

    /// A part of a checkpoint so many slots ahead comes from `from`.
    fn part(&mut self, from: NodeId, ahead: u64, after: Option<&'static [u8]>, key: &'static [u8], last: bool) -> Turn {
        let slot = Slot(self.applied().0 + ahead);
        let (now, page) = (self.now, Bytes::from(vec![0; 1_000 - key.len()]));
        let pages = vec![(Bytes::from_static(key), page)];
        let after = after.map(Bytes::from_static);
        let part = PartOf { shard: SHARD, slot, after, head: Bytes::new(), pages, last };
        self.host().on_part(now, from, part);
        self.turn()
    }

    fn no_part(&mut self, from: NodeId, slot: Option<Slot>) {
        let now = self.now;
        self.host().on_no_part(now, from, SHARD, slot);
    }

    /// One that has asked n1 for the first part.
    fn asking() -> Self {
        let mut taker = Self::new();
        taker.host().want_snapshot(SHARD, N1);
        assert_eq!(pulls(&taker.tick(0)), [(N1, SHARD, None, None)]);
        taker
    }
}

type Ask = (NodeId, ShardId, Option<Slot>, Option<Bytes>);

fn pulls(turn: &Turn) -> Vec<Ask> {
    let messages = turn.frames.iter().flat_map(|(to, frame)| frame.messages.iter().map(|message| (*to, message)));
    let pulls = messages.filter_map(|(to, message)| match message {
        PeerMessage::Pull { shard, slot, after } => Some((to, *shard, *slot, after.clone())),
        _ => None,
    });
    pulls.collect()
}

fn refusals(turn: &Turn) -> Vec<(NodeId, ShardId, Option<Slot>)> {
    let messages = turn.frames.iter().flat_map(|(to, frame)| frame.messages.iter().map(|message| (*to, message)));
    let refusals = messages.filter_map(|(to, message)| match message {
        PeerMessage::NoPart { shard, slot } => Some((to, *shard, *slot)),
        _ => None,
    });
    refusals.collect()
}

fn stored(turn: &Turn) -> Vec<Bytes> {
    turn.stagings.iter().map(|part| part.pages[0].0.clone()).collect()
}

#[test]
fn a_part_is_asked_for_again_and_in_the_end_no_more() {
    let mut taker = Taker::new();
    assert_eq!((taker.next_tick(), taker.host().incoming_snapshots()), (None, 0));
    taker.host().want_snapshot(SHARD, N1);
    taker.host().want_snapshot(SHARD, N2);
    assert_eq!((taker.next_tick(), taker.host().incoming_snapshots()), (Some(Mono(0)), 1));
    let again = vec![(N1, SHARD, None, None)];
    assert_eq!(pulls(&taker.tick(0)), again);
    for _ in 1..ATTEMPTS {
        let asked = taker.now;
        assert_eq!(taker.next_tick(), Some(asked.plus(PATIENCE)));
        assert_eq!(pulls(&taker.tick(PATIENCE - 1)), []);
        taker.tick(1);
        assert_eq!(taker.next_tick(), Some(taker.now));
        assert_eq!(pulls(&taker.tick(0)), again);
    }
    taker.tick(PATIENCE);
    assert_eq!((taker.host().incoming_snapshots(), taker.next_tick()), (0, None));
}

#[test]
fn one_part_is_asked_for_while_another_is_stored_and_no_faster_than_allowed() {
    let mut taker = Taker::asking();
    let slot = Slot(taker.applied().0 + 10);
    let first = taker.part(N1, 10, None, b"a", false);
    assert_eq!(stored(&first), [b"a".as_slice()]);
    // A thousand bytes at a million a second.
    assert_eq!(taker.next_tick(), Some(taker.now.plus(MS)));
    assert_eq!(pulls(&taker.tick(MS - 1)), []);
    assert_eq!(pulls(&taker.tick(1)), [(N1, SHARD, Some(slot), Some(Bytes::from_static(b"a")))]);
    let second = taker.part(N1, 10, Some(b"a"), b"b", false);
    assert!(stored(&second).is_empty(), "the first is being stored");
    assert_eq!((pulls(&taker.tick(SECOND)), taker.next_tick()), (vec![], None), "and one waits");
    taker.host().handle_staged(SHARD, true);
    assert_eq!(taker.next_tick(), Some(Mono(0)));
    assert_eq!(stored(&taker.tick(0)), [b"b".as_slice()]);
    assert_eq!(pulls(&taker.tick(0)), [(N1, SHARD, Some(slot), Some(Bytes::from_static(b"b")))]);
    taker.host().handle_staged(SHARD, true);
    let last = taker.part(N1, 10, Some(b"b"), b"c", true);
    assert_eq!(stored(&last), [b"c".as_slice()]);
    assert_eq!(pulls(&taker.tick(SECOND)), [], "nothing follows");
    taker.host().handle_installed(SHARD, None).unwrap();
    assert_eq!(taker.host().incoming_snapshots(), 0);
}

#[test]
fn what_was_not_asked_for_is_not_stored() {
    let mut taker = Taker::asking();
    assert!(stored(&taker.part(N2, 10, None, b"a", false)).is_empty(), "from another");
    assert!(stored(&taker.part(N1, 10, Some(b"x"), b"a", false)).is_empty(), "not what follows");
    taker.no_part(N2, None);
    taker.no_part(N1, Some(Slot(3)));
    assert_eq!(taker.host().incoming_snapshots(), 1);
    assert!(!stored(&taker.part(N1, 10, None, b"a", false)).is_empty());
    assert!(stored(&taker.part(N1, 10, None, b"a", false)).is_empty(), "nor twice");
    taker.host().handle_staged(SHARD, true);
    taker.tick(MS);
    assert!(stored(&taker.part(N1, 11, Some(b"a"), b"b", false)).is_empty(), "of another checkpoint");
    assert!(!stored(&taker.part(N1, 10, Some(b"a"), b"b", false)).is_empty());
}

#[test]
fn who_has_caught_up_meanwhile_takes_no_checkpoint() {
    let mut taker = Taker::asking();
    assert!(stored(&taker.part(N1, 0, None, b"a", false)).is_empty());
    assert_eq!(taker.host().incoming_snapshots(), 0);
}

#[test]
fn a_checkpoint_that_is_gone_or_does_not_fit_is_begun_anew_and_one_that_never_was_is_not() {
    let mut taker = Taker::asking();
    let slot = Slot(taker.applied().0 + 10);
    taker.part(N1, 10, None, b"a", false);
    taker.host().handle_staged(SHARD, true);
    taker.tick(MS);
    taker.no_part(N1, Some(slot));
    assert_eq!(pulls(&taker.tick(0)), [(N1, SHARD, None, None)]);
    taker.part(N1, 12, None, b"a", false);
    taker.host().handle_staged(SHARD, false);
    assert_eq!(pulls(&taker.tick(MS)), [(N1, SHARD, None, None)]);
    taker.no_part(N1, None);
    assert_eq!((taker.host().incoming_snapshots(), pulls(&taker.tick(PATIENCE))), (0, vec![]));
}

#[test]
fn what_has_come_of_a_checkpoint_need_not_come_again_and_whoever_gave_it_is_asked_first() {
    let mut taker = Taker::asking();
    let slot = Slot(taker.applied().0 + 10);
    taker.part(N1, 10, None, b"a", false);
    taker.host().handle_staged(SHARD, true);
    for _ in 0..ATTEMPTS {
        taker.tick(PATIENCE);
        taker.tick(PATIENCE);
    }
    assert_eq!(taker.host().incoming_snapshots(), 0);
    taker.nodes.now = taker.now;
    taker.nodes.pass(SECOND);
    taker.now = taker.nodes.now;
    taker.host().want_snapshot(SHARD, N2);
    let asked = taker.tick(0);
    assert_eq!(pulls(&asked), [(N1, SHARD, Some(slot), Some(Bytes::from_static(b"a")))]);
    // It gives nothing this time: another is as good the next.
    for _ in 0..ATTEMPTS {
        taker.tick(PATIENCE);
        taker.tick(0);
    }
    assert_eq!(taker.host().incoming_snapshots(), 0);
    taker.host().want_snapshot(SHARD, N2);
    assert_eq!(pulls(&taker.tick(0)), [(N2, SHARD, Some(slot), Some(Bytes::from_static(b"a")))]);
}

#[test]
fn so_many_come_in_at_a_time_and_what_is_left_does_not() {
    let mut taker = Taker::new();
    let shards: Vec<ShardId> = (1..).take(MAX_PULLS + 2).map(ShardId).collect();
    for shard in &shards {
        taker.host().want_snapshot(*shard, N1);
    }
    let asked: Vec<ShardId> = pulls(&taker.tick(0)).into_iter().map(|(_, shard, ..)| shard).collect();
    assert_eq!((asked, taker.host().incoming_snapshots()), (shards[..MAX_PULLS].to_vec(), shards.len()));
    assert_ne!(taker.next_tick(), Some(Mono(0)), "the others wait");
    taker.host().forget_pull(shards[0]);
    taker.host().forget_pull(shards[MAX_PULLS]);
    assert_eq!(taker.host().incoming_snapshots(), shards.len() - 2);
    let asked: Vec<ShardId> = pulls(&taker.tick(0)).into_iter().map(|(_, shard, ..)| shard).collect();
    assert_eq!(asked, [shards[MAX_PULLS + 1]]);
}

#[test]
fn a_checkpoint_is_not_put_in_place_while_ones_own_is_being_written() {
    let mut taker = Taker::asking();
    taker.host().checkpoint_all();
    let cuts = (0..8).flat_map(|_| taker.turn().cuts).find(|(shard, _)| *shard == SHARD);
    let (_, cut) = cuts.unwrap();
    assert!(stored(&taker.part(N1, 10, None, b"a", true)).is_empty());
    assert_eq!(taker.next_tick(), Some(taker.now.plus(BUSY)));
    assert!(stored(&taker.tick(BUSY)).is_empty());
    taker.host().handle_checkpointed(SHARD, cut.slot);
    assert!(stored(&taker.tick(BUSY - 1)).is_empty());
    assert_eq!(stored(&taker.tick(1)), [b"a".as_slice()]);
}

/// What n1 is asked at the moment `now`, and what it does then.
fn ask(nodes: &mut Nodes, from: NodeId, shard: ShardId, slot: Option<Slot>) -> Turn {
    let now = nodes.now();
    nodes.host(N1).on_pull(now.mono, from, shard, slot, None);
    nodes.host(N1).finish_turn(now)
}

fn give(nodes: &mut Nodes, read: &PartRead, last: bool) -> Turn {
    let part = PartOf { shard: read.shard, slot: Slot(2), after: None, head: Bytes::new(), pages: Vec::new(), last };
    let now = nodes.now();
    nodes.host(N1).handle_part_read(read, Some(part));
    nodes.host(N1).finish_turn(now)
}

#[test]
fn a_part_is_read_and_sent_beside_everything_else_and_kept_for_whoever_takes_it() {
    let mut nodes = Nodes::serving(3, 8);
    let read = ask(&mut nodes, N2, SHARD, None).part_reads.remove(0);
    assert_eq!((read.shard, read.to, read.slot), (SHARD, N2, None));
    assert_eq!(nodes.host(N1).snapshots.needed(SHARD), None, "which one is not known yet");
    let given = give(&mut nodes, &read, false);
    let [(N2, frame)] = &given.bulk[..] else { panic!("{:?}", given.bulk) };
    assert!(matches!(frame.messages[..], [PeerMessage::Part(_)]));
    assert_eq!(nodes.host(N1).snapshots.needed(SHARD), Some(Slot(2)));
    assert_eq!(nodes.host(N1).snapshots.needed(ShardId(2)), None);
    // Another takes it too, and goes on longer.
    let kept = nodes.host(N1).config.snapshot_kept;
    let began = nodes.now;
    nodes.pass(SECOND);
    ask(&mut nodes, N3, SHARD, Some(Slot(2)));
    assert_eq!(nodes.host(N1).snapshots.next_tick(), Some(began.plus(kept)));
    let let_go = |nodes: &mut Nodes, at: Mono| {
        nodes.host(N1).tick_snapshots(at);
        let now = crate::tests::at(at);
        nodes.host(N1).finish_turn(now).let_go
    };
    assert_eq!(let_go(&mut nodes, began.plus(kept)), [], "one of two is gone");
    assert_eq!(let_go(&mut nodes, began.plus(kept + SECOND - 1)), []);
    assert_eq!(let_go(&mut nodes, began.plus(kept + SECOND)), [SHARD]);
    assert_eq!(nodes.host(N1).snapshots.needed(SHARD), None);
}

#[test]
fn who_cannot_be_given_anything_is_told() {
    let mut nodes = Nodes::serving(3, 8);
    let unknown = ask(&mut nodes, N2, ShardId(99), Some(Slot(4)));
    assert_eq!((refusals(&unknown), unknown.part_reads.len()), (vec![(N2, ShardId(99), Some(Slot(4)))], 0));
    let read = ask(&mut nodes, N2, SHARD, None).part_reads.remove(0);
    let now = nodes.now();
    nodes.host(N1).handle_part_read(&read, None);
    assert_eq!(refusals(&nodes.host(N1).finish_turn(now)), [(N2, SHARD, None)]);
}

#[test]
fn so_many_checkpoints_are_given_at_a_time() {
    let mut nodes = Nodes::serving(3, 8);
    let shards: Vec<ShardId> = (1..).take(MAX_SERVED).map(ShardId).collect();
    for shard in &shards {
        let read = ask(&mut nodes, N2, *shard, None).part_reads.remove(0);
        give(&mut nodes, &read, false);
    }
    let late = ShardId(8);
    assert_eq!(refusals(&ask(&mut nodes, N2, late, None)), [(N2, late, None)]);
    assert_eq!(refusals(&ask(&mut nodes, N2, shards[0], None)), [], "who begins anew has its place");
    assert_eq!(refusals(&ask(&mut nodes, N3, late, Some(Slot(2)))), [], "nor is anybody stopped half way");
    // The last part of one has been given: now that is two under way and one that goes on.
    let now = nodes.now;
    for shard in &shards[..2] {
        let read = PartRead { shard: *shard, to: N2, slot: Some(Slot(2)), after: None };
        give(&mut nodes, &read, true);
    }
    assert_eq!(refusals(&ask(&mut nodes, N2, late, None)), []);
    assert_eq!(refusals(&ask(&mut nodes, N2, ShardId(7), None)), [(N2, ShardId(7), None)]);
    // Those that have not asked on for long keep nobody waiting.
    nodes.now = now.plus(6 * SECOND - 1);
    assert_eq!(refusals(&ask(&mut nodes, N2, ShardId(7), None)), [(N2, ShardId(7), None)]);
    nodes.now = now.plus(6 * SECOND);
    assert_eq!(refusals(&ask(&mut nodes, N2, ShardId(7), None)), []);
}

#[test]
fn so_many_parts_are_read_at_a_time() {
    let mut nodes = Nodes::serving(3, 8);
    let mut reads = Vec::new();
    for nth in (0..).take(MAX_READS + 1) {
        let taker = if nth < 8 { N2 } else { N3 };
        reads.extend(ask(&mut nodes, taker, ShardId(nth % 8 + 1), Some(Slot(2))).part_reads);
    }
    assert_eq!(reads.len(), MAX_READS, "whoever comes later asks again");
    give(&mut nodes, &reads[0], false);
    assert_eq!(ask(&mut nodes, N3, SHARD, Some(Slot(2))).part_reads.len(), 1);
    assert_eq!(ask(&mut nodes, N3, SHARD, Some(Slot(2))).part_reads.len(), 0);
}
