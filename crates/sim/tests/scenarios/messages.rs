//! Messages that come late, or not at all.

use crate::support::*;
use paxos::{Message, Value};
use sim::clock::{MS, SECOND};
use sim::meddle::Fate;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use wire::Level;

fn carries_commands(message: &Message) -> bool {
    matches!(message, Message::Accept { values, .. } if values.iter().any(|value| matches!(value, Value::Command(_))))
}

#[test]
fn a_new_leader_answers_no_strong_read_before_an_entry_of_its_own_ballot_is_chosen() {
    let mut cluster = cluster(3);
    let field = field(&cluster, 0);
    must_claim(&mut cluster, 0, field);
    cluster.crash(N1);
    // Whoever comes to lead may ask whether it leads, but not have anything chosen.
    cluster.meddler.frames(|_, _, frame| {
        let accepts = paxos_of(frame).any(|message| matches!(message, Message::Accept { .. }));
        if accepts { Fate::Lose } else { Fate::Pass }
    });
    assert!(cluster.run_until(10 * SECOND, |cluster| matches!(leader(cluster), Some(N2 | N3))));
    let confirmed = confirmations(&cluster);
    let asked = leader(&cluster);
    let op = read(&mut cluster, 1, field, Level::Strong, asked);
    cluster.run_for(900 * MS);
    sound(&mut cluster);
    assert_ne!(confirmations(&cluster), confirmed, "its ballot was confirmed, and that is not enough");
    assert_eq!(cluster.result(1, op), None);
    cluster.meddler.stop();
    let whose = name(&cluster, 0);
    assert_eq!(owner(result(&mut cluster, 1, op, 5)), Some(whose));
    calm_and_check(&mut cluster);
}

#[test]
fn an_acknowledgement_over_a_gap_counts_for_nothing() {
    let mut cluster = cluster(3);
    let before = applied(&cluster, N1);
    // The first Accept with a claim reaches nobody; whatever else is sent does.
    let missed = Rc::new(RefCell::new(BTreeSet::new()));
    let passed = Rc::new(Cell::new(false));
    let open = Rc::clone(&passed);
    cluster.meddler.frames(move |_, to, frame| {
        let first = paxos_of(frame).any(carries_commands) && missed.borrow_mut().insert(to);
        // Until the test has looked, nothing is sent again either.
        let again =
            !open.get() && paxos_of(frame).any(|m| matches!(m, Message::Accept { at, .. } if at.0 == before.0 + 1));
        if first || again { Fate::Lose } else { Fate::Pass }
    });
    let (early, late) = (field(&cluster, 0), field(&cluster, 1));
    let first = claim(&mut cluster, 0, early);
    cluster.run_for(5 * MS);
    let second = claim(&mut cluster, 0, late);
    let gaps = cluster.stats.gaps;
    assert!(cluster.run_until(SECOND, |cluster| cluster.stats.gaps >= gaps + 2), "both followers tell of the gap");
    cluster.run_for(50 * MS);
    sound(&mut cluster);
    assert_eq!(applied(&cluster, N1), before, "a quorum holds the second slot, nobody the first");
    assert_eq!((cluster.result(0, first), cluster.result(0, second)), (None, None));
    passed.set(true);
    assert!(is_claimed(&result(&mut cluster, 0, first, 5)));
    assert!(is_claimed(&result(&mut cluster, 0, second, 5)));
    calm_and_check(&mut cluster);
}

#[test]
fn an_acknowledgement_of_an_old_ballot_that_arrives_after_a_batch_was_proposed_again_counts_for_nothing() {
    let mut cluster = cluster(3);
    let before = applied(&cluster, N1);
    let old = ballot(&cluster, N1);
    // Only n2 hears of the claim, and its acknowledgement takes six seconds.
    cluster.meddler.frames(move |from, to, frame| {
        let late =
            |m: &Message| matches!(m, Message::Ack { ballot, through, .. } if *ballot == old && *through > before);
        if from == N2 && paxos_of(frame).any(late) {
            Fate::Late(6 * SECOND)
        } else if to == N3 && paxos_of(frame).any(|m| matches!(m, Message::Accept { .. } | Message::Watermark { .. })) {
            Fate::Lose
        } else {
            Fate::Pass
        }
    });
    let field = field(&cluster, 0);
    let op = claim(&mut cluster, 0, field);
    cluster.run_for(20 * MS);
    assert_eq!(applied(&cluster, N1), before);
    // n1 starts anew and leads again, under a higher ballot; n2's promises do not reach it, nor its Accepts anybody.
    cluster.crash(N1);
    cluster.start(N1);
    let arrived = Rc::new(Cell::new(false));
    let seen = Rc::clone(&arrived);
    cluster.meddler.frames(move |from, _, frame| {
        if from == N2 && paxos_of(frame).next().is_some() {
            return Fate::Lose;
        }
        seen.set(seen.get() || (from == N1 && paxos_of(frame).any(carries_commands)));
        if paxos_of(frame).any(|m| matches!(m, Message::Accept { .. } | Message::Watermark { .. })) {
            Fate::Lose
        } else {
            Fate::Pass
        }
    });
    let leads_again = cluster.run_until(5 * SECOND, |cluster| leader(cluster) == Some(N1) && ballot(cluster, N1) > old);
    assert!(leads_again && arrived.get(), "n1 leads again and has proposed the claim again");
    let arrived_before = acks(&cluster);
    assert!(cluster.run_until(7 * SECOND, |cluster| acks(cluster) != arrived_before), "the late acknowledgement comes");
    cluster.run_for(20 * MS);
    sound(&mut cluster);
    assert_eq!(applied(&cluster, N1), before, "nobody has accepted the claim under the ballot that counts");
    cluster.meddler.stop();
    let claimed = cluster.run_until(20 * SECOND, |cluster| cluster.result(0, op).is_some());
    assert!(claimed);
    calm_and_check(&mut cluster);
}

/// What was received of these, wherever.
fn confirmations(cluster: &sim::cluster::Cluster) -> u64 {
    let (ballot, round) = (paxos::Ballot::ZERO, 0);
    received(cluster, Message::Confirmed { ballot, round })
}

fn acks(cluster: &sim::cluster::Cluster) -> u64 {
    let (ballot, zero) = (paxos::Ballot::ZERO, paxos::Slot::ZERO);
    received(cluster, Message::Ack { ballot, through: zero, chosen: zero, safe: zero, gap: false })
}

fn received(cluster: &sim::cluster::Cluster, message: Message) -> u64 {
    let message = wire::peer::PeerMessage::Paxos { shard: SHARD, configuration: 0, message };
    cluster.stats.received[sim::coverage::kind(&message)].iter().sum()
}
