//! What is paid, taken and settled: once, and not more than a queue holds.

use super::*;
use crate::tests::{Alone, ME, N2, Pair, claimable, envelope, origin, register};
use std::ops::Bound;
use world::{Acorns, CharacterId, CropId};

/// So many payments in flight, each from a bucket of its own.
fn owed(count: u16) -> BTreeMap<Channel, Payment> {
    let player: PlayerName = "scrat".parse().expect("a name");
    let payment = |from| ((from, player), Payment { from, player, seq: 1, amount: Acorns(1) });
    (0..count).map(Bucket).map(payment).collect()
}

fn due(paying: &mut Paying, owed: &BTreeMap<Channel, Payment>) -> Vec<Channel> {
    let behind = |after: Option<Channel>, count| {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        owed.range((from, Bound::Unbounded)).take(count).map(|(_, payment)| *payment).collect()
    };
    let due = paying.due(behind, |channel| owed.get(&channel).copied());
    due.iter().map(|payment| (payment.from, payment.player)).collect()
}

#[test]
fn much_that_is_owed_is_sent_again_in_turns() {
    let owed = owed(2_500);
    let mut paying = Paying::default();
    paying.start_over(true);
    assert_eq!(paying.sent.len(), 0);
    let mut told = Vec::new();
    for turn in 0..3 {
        let sent = due(&mut paying, &owed);
        assert_eq!(sent.len(), if turn < 2 { WINDOW } else { 2_500 - 2 * WINDOW });
        assert_eq!(due(&mut paying, &owed), [], "not before the next retry");
        told.extend(sent);
        paying.retry();
    }
    assert!(told.iter().eq(owed.keys()), "each once");
    assert_eq!(due(&mut paying, &owed).first(), told.first(), "and from the beginning");
}

#[test]
fn a_new_payment_goes_at_once_and_once() {
    let mut owed = owed(3);
    let mut paying = Paying::default();
    paying.start_over(true);
    assert_eq!(due(&mut paying, &owed).len(), 3);
    let channel = *owed.keys().next().expect("three");
    paying.changed.insert(channel);
    assert_eq!(due(&mut paying, &owed), [], "it is under way");
    owed.get_mut(&channel).expect("there").seq = 2;
    paying.changed.insert(channel);
    assert_eq!(due(&mut paying, &owed), [channel]);
    owed.remove(&channel);
    paying.changed.insert(channel);
    assert_eq!(due(&mut paying, &owed), []);
    assert_eq!(paying.sent.len(), 2, "what is settled is forgotten");
}

/// The first payment from another shard's land to `player`.
fn first(player: PlayerName) -> Payment {
    Payment { from: Bucket(9), player, seq: 1, amount: Acorns(5) }
}

/// As many commands as the queue holds.
fn fill(alone: &mut Alone, player: PlayerName, from: u64) {
    for id in from..from + QUEUE as u64 {
        alone.replica.handle_command(origin(id), envelope(id, player, Command::Register));
    }
    assert_eq!(alone.replica.queued(), QUEUE);
}

fn paid(alone: &Alone) -> usize {
    alone.wanted.iter().filter(|wanted| matches!(wanted, Effect::Paid { .. })).count()
}

#[test]
fn a_payment_is_taken_once_however_often_it_comes_and_not_by_a_full_queue() {
    let mut alone = Alone::leading();
    let (player, command) = register("scrat");
    alone.command(player, command);
    fill(&mut alone, player, 2);
    alone.replica.handle_payment(N2, ShardId(2), first(player));
    assert_eq!(alone.replica.queued(), QUEUE, "it comes again");
    alone.settle();
    for _ in 0..2 {
        alone.replica.handle_payment(N2, ShardId(2), first(player));
    }
    assert_eq!((alone.replica.queued(), alone.replica.paying.receiving.len()), (1, 1));
    alone.settle();
    assert_eq!((paid(&alone), alone.replica.paying.receiving.len()), (1, 0));
    alone.replica.handle_payment(N2, ShardId(2), first(player));
    alone.settle();
    assert_eq!((paid(&alone), alone.replica.queued()), (2, 0), "who asks again hears it again");
    let wallet = alone.replica.state().land().unwrap().player(&player).unwrap().acorns;
    assert_eq!(wallet, Acorns(5));
}

#[test]
fn who_does_not_lead_takes_no_payment() {
    let mut pair = Pair::led();
    let (player, _) = register("scrat");
    pair.replicas[1].handle_payment(ME, ShardId(2), first(player));
    assert_eq!((pair.replicas[1].queued(), pair.replicas[1].paying.receiving.len()), (0, 0));
}

#[test]
fn the_end_of_a_payment_waits_for_room_in_the_queue() {
    let mut alone = Alone::leading();
    let (player, _) = register("scrat");
    let field = claimable().next().unwrap();
    let character = CharacterId(0);
    for command in
        [Command::Claim { field, character }, Command::Plant { field, crop: CropId(0) }, Command::Harvest { field }]
    {
        alone.command(player, command);
    }
    let pay = alone.replica.state().land().unwrap().payments().next().unwrap();
    fill(&mut alone, player, 4);
    alone.replica.handle_paid(pay.from, pay.player, pay.seq);
    assert_eq!((alone.replica.queued(), alone.replica.paying.settling.len()), (QUEUE, 0));
    alone.settle();
    assert!(alone.replica.owes());
    alone.replica.handle_paid(pay.from, pay.player, pay.seq);
    alone.settle();
    assert!(!alone.replica.owes() && alone.replica.paying.settling.is_empty());
}
