//! An observer that cannot object is worthless: each of these breaks what the product relies on, and must be seen.

use paxos::NodeId;
use sim::clock::{MS, SECOND, Time};
use sim::fault::Fault;
use sim::network::Cut;
use sim::plan::Plan;
use sim::run::run;
use sim::sabotage::Sabotage;

/// Plays seeds until one fails, and says how.
fn first_failure(seeds: u64, sabotage: Sabotage, change: impl Fn(&mut Plan)) -> String {
    (1..=seeds)
        .find_map(|seed| {
            let mut plan = Plan::of_seed(seed);
            plan.sabotage = sabotage;
            change(&mut plan);
            run(plan, false).failure
        })
        .unwrap_or_else(|| panic!("{sabotage:?} went unnoticed in {seeds} seeds"))
}

fn is_one_of(failure: &str, properties: &[&str]) {
    assert!(properties.iter().any(|property| failure.starts_with(property)), "{properties:?} expected: {failure}");
}

/// One node after the other loses power, for ever.
fn bounce(plan: &mut Plan) {
    let nodes = u64::from(plan.nodes);
    let mut script = Vec::new();
    for nth in 0..40 {
        let node = NodeId(u32::try_from(nth % nodes).expect("few") + 1);
        let at = Time(2 * SECOND + nth * 450 * MS);
        script.extend([(at, Fault::Crash(node)), (at.plus(100 * MS), Fault::Start(node))]);
    }
    script.push((Time(21 * SECOND), Fault::Calm));
    plan.script = script;
}

#[test]
fn a_disk_that_forgets_in_a_crash_is_seen() {
    let failure = first_failure(20, Sabotage::Amnesia, bounce);
    is_one_of(
        &failure,
        &["agreement", "durability", "one owner", "linearizability", "same state", "receipts", "an assertion"],
    );
}

#[test]
fn writes_reported_durable_too_early_are_seen() {
    let failure = first_failure(5, Sabotage::EarlyReports, |_| ());
    is_one_of(&failure, &["durability"]);
}

#[test]
fn votes_that_nobody_cast_are_seen() {
    let failure = first_failure(20, Sabotage::ForgedVotes, |_| ());
    is_one_of(&failure, &["durability"]);
}

/// The leader of the only shard is cut off again and again, its clients with it, and believes that far less time has
/// passed than the others do: it is slow to see that it is alone.
fn cut_slow_leader_off(plan: &mut Plan) {
    let seed = plan.seed;
    *plan = Plan { players: 6, hot_fields: 1, act_every: 60 * MS, ..Plan::quiet(seed, 3, 3, 1) };
    plan.act_until = Time(20 * SECOND);
    for (clock, drift) in plan.clocks.iter_mut().zip([-400_000, 100_000, 100_000]) {
        clock.drift_ppm = drift;
    }
    for nth in 0..5 {
        let at = Time(SECOND + nth * 4 * SECOND);
        let cut = Fault::Cut(Cut::Sides(vec![NodeId(1)]));
        plan.script.extend([(at, cut), (at.plus(2_500 * MS), Fault::Heal)]);
    }
    plan.script.push((Time(21 * SECOND), Fault::Calm));
}

#[test]
fn stale_strong_reads_under_a_ballot_that_nobody_confirmed_are_seen() {
    let failure = first_failure(40, Sabotage::ForgedConfirmations, |plan| {
        cut_slow_leader_off(plan);
        plan.sabotage = Sabotage::ForgedConfirmations;
        // No lease is ever long enough to be of use.
        for tuning in &mut plan.tunings {
            tuning.support = MS;
        }
    });
    is_one_of(&failure, &["linearizability", "receipts"]);
}

#[test]
fn a_clock_that_drifts_past_the_margin_is_seen_to_break_a_lease() {
    let failure = first_failure(40, Sabotage::None, cut_slow_leader_off);
    is_one_of(&failure, &["leases", "receipts", "linearizability"]);
}

#[test]
fn payments_that_grow_on_their_way_are_seen() {
    let failure = first_failure(20, Sabotage::InflatedPayments, |_| ());
    is_one_of(&failure, &["conservation", "same state"]);
}

#[test]
fn an_answer_that_names_a_wrong_owner_is_seen() {
    let failure = first_failure(5, Sabotage::WrongOwners, |_| ());
    is_one_of(&failure, &["linearizability", "exactly once"]);
}

#[test]
fn a_repeated_answer_that_is_not_the_first_is_seen() {
    let failure = first_failure(40, Sabotage::ChangedRepeats, |_| ());
    is_one_of(&failure, &["exactly once"]);
}

#[test]
fn a_strong_answer_without_its_bound_is_seen() {
    let failure = first_failure(3, Sabotage::VagueReceipts, |_| ());
    is_one_of(&failure, &["receipts"]);
}

#[test]
fn a_change_that_watchers_are_not_told_of_is_seen() {
    let failure = first_failure(20, Sabotage::LostChanges, |_| ());
    is_one_of(&failure, &["watches"]);
}

#[test]
fn a_field_that_a_view_lacks_is_seen() {
    let failure = first_failure(20, Sabotage::ShortViews, |_| ());
    is_one_of(&failure, &["views"]);
}

#[test]
fn a_bound_that_rests_on_less_than_was_chosen_is_seen() {
    let failure = first_failure(20, Sabotage::LowCovers, |_| ());
    is_one_of(&failure, &["receipts"]);
}

#[test]
fn a_session_that_is_forgotten_on_its_way_is_seen() {
    let failure = first_failure(20, Sabotage::ForgottenSessions, |_| ());
    is_one_of(&failure, &["sessions"]);
}

#[test]
fn a_cluster_that_stays_cut_is_seen() {
    let failure = first_failure(3, Sabotage::None, |plan| {
        plan.script.retain(|(_, fault)| *fault == Fault::Calm);
        plan.script.push((Time(20 * SECOND + 1), Fault::Cut(Cut::Sides(vec![NodeId(1)]))));
    });
    is_one_of(&failure, &["liveness"]);
}

#[test]
fn a_cluster_that_nobody_broke_is_well_under_the_same_scripts() {
    for seed in 1..=10 {
        let mut plan = Plan::of_seed(seed);
        bounce(&mut plan);
        assert_eq!(run(plan, false).failure, None, "seed {seed}");
    }
}
