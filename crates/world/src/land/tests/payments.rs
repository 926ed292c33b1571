//! Harvests on their way to wallets: exactly once, over a network that keeps no promise.

use super::*;

/// Sows and brings in moss on `field`, worth 11 acorns.
fn harvest(land: &mut Land, player: &str, field: FieldId) {
    for (now, command) in [(0, Command::Plant { field, crop: MOSS }), (10_000, Command::Harvest { field })] {
        done(land.apply(Millis(now), &name(player), &command));
    }
}

fn farm() -> (Land, FieldId, Bucket) {
    let (mut land, field) = (land(), claimable(1)[0]);
    claim(&mut land, "sid", field);
    let bucket = Bucket::of_chunk(land.seed(), field.chunk());
    (land, field, bucket)
}

fn wallet(land: &Land, player: &str) -> Option<Acorns> {
    land.player(&name(player)).map(|player| player.acorns)
}

#[test]
fn a_payment_is_taken_once_however_often_it_comes() {
    let ((mut source, field, from), mut home) = (farm(), land());
    home.apply(Millis(0), &name("sid"), &Command::Register);
    harvest(&mut source, "sid", field);
    let payments: Vec<Payment> = source.payments().collect();
    assert_eq!(payments, [Payment { from, player: name("sid"), seq: 1, amount: Acorns(11) }]);
    for _ in 0..3 {
        home.receive(&payments[0]);
        assert_eq!(wallet(&home, "sid"), Some(Acorns(111)));
        audit(&[&source, &home]).unwrap();
    }
    for _ in 0..3 {
        source.settle(from, &name("sid"), 1);
        assert_eq!(source.payments().count(), 0);
        assert_eq!(source.holdings(&name("sid")), (1, Acorns(0)));
        audit(&[&source, &home]).unwrap();
    }
    home.receive(&payments[0]);
    assert_eq!(wallet(&home, "sid"), Some(Acorns(111)), "a late duplicate, after all was settled");
}

#[test]
fn what_is_harvested_while_a_payment_is_under_way_goes_with_the_next() {
    let ((mut source, field, from), sid) = (farm(), name("sid"));
    for _ in 0..3 {
        harvest(&mut source, "sid", field);
    }
    assert_eq!(source.payments().map(|payment| (payment.seq, payment.amount)).collect::<Vec<_>>(), [(1, Acorns(11))]);
    assert_eq!(source.holdings(&sid), (1, Acorns(33)));
    source.settle(from, &sid, 2);
    source.settle(from, &sid, 0);
    source.settle(from, &name("scrat"), 1);
    assert_eq!(source.holdings(&sid), (1, Acorns(33)), "no news settles nothing");
    source.settle(from, &sid, 1);
    assert_eq!(source.payments().map(|payment| (payment.seq, payment.amount)).collect::<Vec<_>>(), [(2, Acorns(22))]);
    source.settle(from, &sid, 1);
    assert_eq!(source.holdings(&sid), (1, Acorns(22)), "an old answer does not settle the next payment");
    source.settle(from, &sid, 2);
    harvest(&mut source, "sid", field);
    assert_eq!(source.payments().map(|payment| payment.seq).collect::<Vec<_>>(), [3], "numbers go on");
}

#[test]
fn acorns_may_arrive_before_their_player_registers() {
    let ((mut source, field, _), mut home) = (farm(), land());
    harvest(&mut source, "sid", field);
    for payment in source.payments() {
        home.receive(&payment);
    }
    assert_eq!(wallet(&home, "sid"), None, "not in the world yet");
    audit(&[&source, &home]).unwrap();
    let register = |home: &mut Land| home.apply(Millis(0), &name("sid"), &Command::Register);
    let player = PlayerView { name: name("sid"), acorns: Acorns(111) };
    assert_eq!(register(&mut home), Outcome::Registered { player, new: true });
    assert_eq!(register(&mut home), Outcome::Registered { player, new: false });
    audit(&[&source, &home]).unwrap();
}

#[test]
fn payments_from_two_buckets_do_not_shadow_each_other() {
    let mut home = land();
    home.apply(Millis(0), &name("sid"), &Command::Register);
    for (from, seq) in [(9, 1), (3, 1), (9, 2), (3, 1), (9, 1)] {
        home.receive(&Payment { from: Bucket(from), player: name("sid"), seq, amount: Acorns(10) });
    }
    assert_eq!(wallet(&home, "sid"), Some(Acorns(130)));
}

#[test]
fn a_payment_without_a_number_was_never_sent() {
    let mut home = land();
    home.receive(&Payment { from: Bucket(1), player: name("sid"), seq: 0, amount: Acorns(10) });
    assert_eq!((home.totals(), home.take_changes()), (Totals::default(), vec![]));
}

#[test]
fn the_audit_notices_acorns_from_nowhere_and_acorns_gone() {
    let ((mut source, field, from), mut home) = (farm(), land());
    home.apply(Millis(0), &name("sid"), &Command::Register);
    harvest(&mut source, "sid", field);
    audit(&[&source, &home]).unwrap();

    let mut forged = home.clone();
    forged.receive(&Payment { from: Bucket(from.0 ^ 1), player: name("sid"), seq: 1, amount: Acorns(5) });
    let law = "wallets + outboxes = granted + harvested";
    assert_eq!(audit(&[&source, &forged]), Err(Imbalance { law, left: 116, right: 111 }));

    source.settle(from, &name("sid"), 1);
    assert_eq!(audit(&[&source, &home]), Err(Imbalance { law, left: 100, right: 111 }), "settled, yet never received");
}

#[test]
fn a_harvest_worth_nothing_owes_nothing() {
    let mut world = small();
    world.rules.crops[0].yields = Acorns(0);
    let (mut land, field) = (Land::new(world.seed, world.rules), claimable(1)[0]);
    claim(&mut land, "sid", field);
    harvest(&mut land, "sid", field);
    assert_eq!((land.payments().count(), land.holdings(&name("sid"))), (0, (1, Acorns(0))));
}
