//! What a replica does that is its shard's only voter.

use super::*;
use crate::tests::{Alone, ME, N2, Pair, SEED, answers, claimable, envelope, free, origin, register};
use wire::{ClientId, Query, RequestNo};
use world::land::PageKey;
use world::{CharacterId, Command, CropId, FieldId, PlayerName, Rect};

#[test]
fn what_another_version_has_decided_is_told_once_and_nothing_behind_it_is_applied() {
    let value = |bytes: &'static [u8]| (Ballot::ZERO, Value::Command(Bytes::from_static(bytes)));
    let noop = (Ballot::ZERO, Value::Noop);
    let entries = [noop.clone(), value(b"of tomorrow"), noop].into_iter().enumerate();
    let entries = entries.map(|(nth, entry)| (Slot(nth as u64 + 1), entry)).collect();
    let mut alone = Alone::recovered(Recovered { chosen: Slot(3), entries, ..Recovered::fresh() });
    alone.settle();
    alone.settle();
    let told: Vec<_> = alone.wanted.iter().filter(|wanted| matches!(wanted, Effect::Unreadable { .. })).collect();
    assert!(matches!(told[..], [Effect::Unreadable { slot: Slot(2), .. }]), "{told:?}");
    assert_eq!(alone.replica.applied(), Slot(1));
}

#[test]
fn a_payment_that_is_confirmed_twice_is_settled_once() {
    let mut alone = Alone::leading();
    let scrat: PlayerName = "scrat".parse().unwrap();
    let field = claimable().next().unwrap();
    for command in [
        Command::Claim { field, character: CharacterId(0) },
        Command::Plant { field, crop: CropId(0) },
        Command::Harvest { field },
    ] {
        alone.command(scrat, command);
    }
    let pay = alone.wanted.iter().find_map(|wanted| match wanted {
        Effect::Pay { payment } => Some(*payment),
        _ => None,
    });
    let pay = pay.expect("a harvest is paid");
    let before = alone.chosen();
    alone.replica.handle_paid(pay.from, pay.player, pay.seq);
    alone.replica.handle_paid(pay.from, pay.player, pay.seq);
    assert_eq!(alone.replica.queued(), 1);
    alone.settle();
    assert_eq!(alone.chosen(), before.next());
    assert_eq!(alone.replica.state().land().unwrap().payments().next(), None);
}

#[test]
fn a_cut_has_what_is_new_and_there_is_one_at_a_time() {
    let mut alone = Alone::leading();
    let born = alone.replica.applied();
    assert!(alone.replica.uncut_bytes() > 0);
    let cut = alone.replica.take_cut().unwrap();
    assert_eq!((cut.slot, alone.replica.uncut_bytes(), alone.replica.checkpointed()), (born, 0, Slot::ZERO));
    let (scrat, command) = register("scrat");
    alone.command(scrat, command);
    assert!(alone.replica.take_cut().is_none(), "one is being written");
    assert!(!alone.replica.begin_install(), "nor is another put in its place meanwhile");
    alone.replica.handle_checkpointed(born);
    assert_eq!(alone.replica.checkpointed(), born);
    assert!(alone.replica.begin_install());
    assert!(alone.replica.take_cut().is_none(), "one is being put in its place");
    alone.replica.end_install();
    let next = alone.replica.take_cut().unwrap();
    assert_eq!((next.slot, next.pages.is_empty()), (born.next(), false));
    alone.replica.handle_checkpointed(born);
    assert!(!alone.replica.begin_install(), "an earlier one is");
    alone.replica.handle_checkpointed(next.slot);
    assert!(alone.replica.take_cut().is_none(), "nothing is new");
}

#[test]
fn chunks_leave_when_they_are_durable_and_nobody_uses_them() {
    let mut alone = Alone::leading();
    let (scrat, _) = register("scrat");
    let chunks: BTreeSet<ChunkId> = claimable().map(FieldId::chunk).collect();
    assert!(chunks.len() >= 3);
    for chunk in &chunks {
        let field = claimable().find(|field| field.chunk() == *chunk).unwrap();
        alone.command(scrat, Command::Claim { field, character: CharacterId(0) });
    }
    let cut = alone.replica.take_cut().unwrap();
    assert_eq!(alone.replica.cool(usize::MAX), 0, "what has changed is being written");
    alone.replica.handle_checkpointed(cut.slot);
    let left = alone.replica.cool(usize::MAX) + alone.replica.cool(usize::MAX);
    assert_eq!((left, alone.replica.chunk_bytes()), (chunks.len(), 0));
    // What comes back must be there; what was never stored need not.
    let first = *chunks.first().unwrap();
    assert_eq!(alone.replica.handle_chunk(first, None), Err(PageError::NotStored(first)));
    assert_eq!(alone.replica.handle_chunk(ChunkId::new(99, 99).unwrap(), None), Ok(()));
}

#[test]
fn nothing_is_proposed_while_the_disk_is_behind() {
    let mut alone = Alone::leading();
    let (player, command) = register("scrat");
    alone.replica.handle_command(origin(1), envelope(1, player, command));
    alone.replica.step(Millis(1_000), false, &Vantage::blind(Mono(0)), &mut usize::MAX.clone());
    assert!(alone.replica.has_queued() && alone.replica.paxos().in_flight() == 0);
    alone.settle();
    assert!(!alone.replica.has_queued());
}

#[test]
fn the_log_keeps_what_is_not_checkpointed_and_what_somebody_needs() {
    let mut alone = Alone::leading();
    for name in ["scrat", "sid", "manny"] {
        let (player, command) = register(name);
        alone.command(player, command);
    }
    alone.replica.release(false, None);
    assert_eq!(alone.replica.released(), Slot::ZERO);
    let cut = alone.replica.take_cut().unwrap();
    alone.replica.handle_checkpointed(cut.slot);
    alone.replica.release(true, Some(Slot(2)));
    assert_eq!(alone.replica.released(), Slot(2));
    alone.replica.release(false, Some(Slot(1)));
    assert_eq!(alone.replica.released(), Slot(2), "what is gone is gone");
    alone.replica.release(false, None);
    assert_eq!(alone.replica.released(), cut.slot);
}

#[test]
fn beyond_what_may_wait_commands_and_reads_are_refused_and_those_before_are_answered() {
    let mut alone = Alone::leading();
    let (player, command) = register("scrat");
    for number in 1..=QUEUE as u64 + 1 {
        let (client, floor, deadline) = (ClientId(u128::from(number)), RequestNo(1), Millis(100_000));
        let envelope = Envelope { client, number: RequestNo(1), floor, deadline, player, command };
        alone.replica.handle_command(origin(number), envelope);
    }
    assert_eq!((alone.replica.queued(), alone.replica.waiting()), (QUEUE, QUEUE));
    alone.settle();
    let refused = AnswerBody::Refused(Refusal::Overloaded { retry_after_ms: RETRY_AFTER_MS });
    assert_eq!(alone.answers()[0], (QUEUE as u64 + 1, &refused));
    let done = alone.answers().into_iter().skip(1).map(|(id, _)| id);
    assert!(done.eq(1..=QUEUE as u64), "in the order of arrival");
    assert_eq!(
        alone.replica.batches(),
        (17, QUEUE as u64 + 1),
        "16 of 1,024, and the one with which the shard was born"
    );
    alone.wanted.clear();
    let (most, all) = (16_384_u64, 16_384_usize);
    for id in 1..=most + 1 {
        alone.replica.handle_read(Mono(0), origin(id), Query::Player(player), Level::Eventual, Slot::ZERO);
    }
    assert_eq!((alone.replica.waiting_reads(), alone.replica.waiting()), (all, all));
    let mut room = 100;
    alone.replica.step(Millis(1_000), true, &Vantage::blind(Mono(0)), &mut room);
    assert_eq!((room, alone.replica.waiting_reads()), (0, all - 100));
    assert!(alone.replica.is_cut_short());
    alone.settle();
    assert!(!alone.replica.is_cut_short() && alone.replica.waiting_reads() == 0);
    assert_eq!(alone.answers()[0], (most + 1, &refused));
    assert!(alone.answers().into_iter().skip(1).map(|(id, _)| id).eq(1..=most));
}

#[test]
fn a_report_tells_what_the_replica_has() {
    let mut alone = Alone::leading();
    let scrat: PlayerName = "scrat".parse().unwrap();
    for field in claimable().take(3) {
        alone.command(scrat, Command::Claim { field, character: CharacterId(0) });
    }
    let cut = alone.replica.take_cut().unwrap();
    alone.replica.handle_checkpointed(cut.slot);
    alone.command(scrat, Command::Register);
    let report = alone.replica.report();
    let applied = alone.replica.applied();
    assert_eq!(applied, cut.slot.next());
    assert_eq!((report.shard, report.buckets, report.leader), (ShardId(1), (0, u16::MAX), Some(ME)));
    assert_eq!((report.chosen, report.applied, report.checkpointed), (applied, applied, cut.slot));
    assert_eq!((report.fields, report.configuration, report.voters, report.standbys), (3, 0, vec![ME], vec![]));
    assert_eq!((alone.replica.me(), report.ballot), (ME, alone.replica.paxos().promised()));
    assert_eq!(alone.replica.chunk_bytes(), alone.replica.state().land().unwrap().chunk_bytes());
}

#[test]
fn so_many_batches_are_on_their_way_and_what_comes_meanwhile_makes_the_next_one_larger() {
    let mut pair = Pair::led();
    let born = pair.replicas[0].batches();
    for id in 1..=40 {
        let (player, command) = register("scrat");
        pair.replicas[0].handle_command(origin(id), envelope(id, player, command));
        pair.step(0, Mono(0));
    }
    assert_eq!((pair.replicas[0].batches(), pair.replicas[0].queued()), ((born.0 + 32, born.1 + 32), 8));
    pair.settle();
    assert_eq!(pair.replicas[0].batches(), (born.0 + 33, born.1 + 40));
    assert!(pair.answers().iter().map(|(id, _)| *id).eq(1..=40));
}

#[test]
fn a_command_goes_to_the_leader_of_its_land() {
    let mut pair = Pair::led();
    assert!(!pair.replicas[0].wants_flush(&|_| true));
    let (player, command) = register("scrat");
    pair.replicas[0].handle_command(origin(1), envelope(1, player, command));
    pair.settle();
    assert!(pair.replicas[0].wants_flush(&|_| true), "n2 has not been told of what was chosen since");
    pair.replicas[1].handle_command(origin(1), envelope(1, player, command));
    pair.step(1, Mono(0));
    let refused = AnswerBody::Refused(Refusal::NotLeader { leader: Some(ME) });
    assert_eq!(answers(&pair.wanted[1]), [(1, &refused)]);

    let half = Bucket(u16::MAX / 2);
    let mut alone = Alone::leading_of((Bucket(0), half));
    for here in [true, false] {
        let field = claimable().find(|field| (Bucket::of_chunk(SEED, field.chunk()) <= half) == here).unwrap();
        alone.wanted.clear();
        alone.command(player, Command::Claim { field, character: CharacterId(0) });
        let moved = matches!(alone.answers()[..], [(_, AnswerBody::Refused(Refusal::Moved { .. }))]);
        assert_eq!(moved, !here, "{:?}", alone.answers());
    }
}

#[test]
fn who_proposed_something_else_for_a_slot_does_not_hear_what_came_of_it() {
    let mut pair = Pair::led();
    let (player, command) = register("scrat");
    pair.replicas[0].handle_command(origin(1), envelope(1, player, command));
    pair.step(0, Mono(0));
    pair.lose();
    let slot = pair.replicas[0].paxos().chosen().next();
    let item = Item::Client(Envelope { client: ClientId(2), ..envelope(1, player, command) });
    let others = Batch { time: Millis(1_000), items: vec![item] };
    // Before its next turn n1 is outbid, and hears what the next leader has decided.
    let ballot = Ballot { round: pair.replicas[0].paxos().promised().round + 1, node: N2 };
    let outbid = Message::Prepare { ballot, chosen: slot.prev(), released: None };
    let learn = Message::Learn { at: slot, values: vec![Value::Command(others.encode())], chosen: slot };
    for message in [outbid, learn] {
        pair.replicas[0].handle_peer(N2, 0, message, &mut free);
    }
    pair.step(0, Mono(0));
    assert_eq!(pair.replicas[0].applied(), slot);
    assert_eq!(pair.answers(), [(1, &AnswerBody::Refused(Refusal::Deposed))]);
}

#[test]
fn chunks_are_asked_for_so_many_at_a_time() {
    let mut alone = Alone::leading();
    let (scrat, _) = register("scrat");
    let chunks = u32::try_from(LOADS).unwrap() + 1;
    for nth in 0..chunks {
        // Of each chunk the first field in the row that may be claimed, if there is one.
        let row = (nth * 64..nth * 64 + 64).map(|x| FieldId::new(x, 0).unwrap());
        for field in row {
            alone.command(scrat, Command::Claim { field, character: CharacterId(0) });
            if alone.replica.state().land().unwrap().field(field).owner.is_some() {
                break;
            }
        }
    }
    let cut = alone.replica.take_cut().unwrap();
    alone.replica.handle_checkpointed(cut.slot);
    while alone.replica.cool(usize::MAX) > 0 || alone.replica.chunk_bytes() > 0 {}
    alone.wanted.clear();
    let rect = Rect::new(FieldId::new(0, 0).unwrap(), chunks * 64, 1).unwrap();
    alone.replica.handle_read(Mono(0), origin(1), Query::View(rect), Level::Eventual, Slot::ZERO);
    alone.settle();
    let loads = alone.wanted.iter().filter(|wanted| matches!(wanted, Effect::LoadChunk { .. })).count();
    assert_eq!((loads, alone.replica.waiting_reads()), (LOADS, 1));
}

#[test]
fn a_page_that_comes_late_does_not_undo_what_has_happened_since() {
    let mut alone = Alone::leading();
    let (scrat, _) = register("scrat");
    let [first, second]: [FieldId; 2] = claimable().take(2).collect::<Vec<_>>().try_into().unwrap();
    alone.command(scrat, Command::Claim { field: first, character: CharacterId(0) });
    let chunk = first.chunk();
    let cut = alone.replica.take_cut().unwrap();
    let key = PageKey::Chunk(chunk).to_bytes();
    let page = cut.pages.iter().find(|(found, _)| *found == key).and_then(|(_, page)| page.clone());
    alone.command(scrat, Command::Claim { field: second, character: CharacterId(0) });
    let page = page.unwrap();
    alone.replica.handle_chunk(chunk, Some(&page)).unwrap();
    // Nor does one that the state of before had asked for, where another has taken its place.
    alone.replica.handle_chunk(ChunkId::new(99, 99).unwrap(), Some(&page)).unwrap();
    let owner = |field| alone.replica.state().land().unwrap().field(field).owner;
    assert_eq!((owner(first), owner(second)), (Some(scrat), Some(scrat)));
}

#[test]
fn the_state_knows_its_hour_its_buckets_and_its_last_stop() {
    let half = u16::MAX / 2;
    let mut alone = Alone::leading_of((Bucket(0), Bucket(half)));
    let state = alone.replica.state();
    assert_eq!((state.log_time(), state.since()), (Millis(1_000), Slot::ZERO));
    assert!(state.holds(Bucket(half)) && !state.holds(Bucket(half + 1)));
    let lives = [(N2, paxos::Incarnation(1))].into();
    alone.replica.handle_change(origin(1), wire::Change::Add(N2), &lives, &|_| true, Mono(0));
    alone.settle();
    assert_eq!((alone.replica.state().since(), alone.answers().len()), (alone.chosen().prev(), 1));
}
