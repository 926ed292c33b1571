//! The storm's tests: many seeds find nothing, and each broken world is found out.

use crate::{broken::Broken, happening::Seen, storm::Storm};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Steps of bad weather per seed. (Long storms find more than many: most mistakes need a log and a history.)
const STEPS: u64 = 4_000;
/// Seeds that must find nothing. (Built with `STORM_SEEDS` set in the environment, so many.)
const SEEDS: u64 = 4_000;

/// What a seed came to; a panic of a replica's own assertions is a finding like any other.
fn run(seed: u64, broken: Broken) -> Result<Seen, String> {
    let run = || {
        let mut storm = Storm::new(seed, broken);
        storm.blow(STEPS)?;
        if broken == Broken::Nothing { storm.clear_up() } else { Ok(Seen::default()) }
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.map_err(|violation| violation.to_string()),
        Err(panic) => Err(match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
            (Some(text), _) => text.clone(),
            (None, text) => (*text.unwrap_or(&"a panic")).to_owned(),
        }),
    }
}

/// The same run again, told step by step.
fn tell(seed: u64, broken: Broken) -> String {
    let mut storm = Storm::new(seed, broken);
    storm.trace = Some(String::new());
    let _ = catch_unwind(AssertUnwindSafe(|| storm.blow(STEPS).and_then(|()| storm.clear_up())));
    storm.trace.take().unwrap_or_default()
}

fn run_all(seeds: std::ops::Range<u64>) -> Seen {
    let mut total = Seen::default();
    for seed in seeds {
        match run(seed, Broken::Nothing) {
            Ok(seen) => total += seen,
            Err(found) => panic!("seed {seed}: {found}\n\n{}", tell(seed, Broken::Nothing)),
        }
    }
    total
}

#[test]
fn three_to_five_replicas_agree_in_all_weathers_and_then_come_to_one_log() {
    let seeds = option_env!("STORM_SEEDS").map_or(SEEDS, |wanted| wanted.parse().expect("a number of seeds"));
    let seen = run_all(0..seeds);
    println!("{seen:?}");
    assert!(seen.steps == seeds * STEPS, "too few steps: {seen:?}");
    let rates = [seen.chosen, seen.offices, seen.crashes, seen.learns, seen.log_reads, seen.reads, seen.gaps];
    let changes = [seen.stops, seen.transfers, seen.snapshots];
    assert!(changes.iter().all(|&count| count > seeds / 16), "hardly anything changed: {seen:?}");
    assert!(rates.iter().all(|&count| count > seeds / 4), "something hardly ever happened: {seen:?}");
}

macro_rules! found_out {
    ($($name:ident: $broken:ident;)*) => {
        $(#[test]
        fn $name() {
            let mut seeds = 0..30_000u64;
            let (seed, found) = seeds
                .find_map(|seed| run(seed, Broken::$broken).err().map(|found| (seed, found)))
                .expect("a storm must find a broken rule");
            println!("seed {seed}: {found}");
        })*
    };
}

found_out! {
    disk_that_says_durable_too_early_is_found_out: PretendsDurable;
    answers_that_do_not_wait_for_the_disk_are_found_out: AnswersBeforeDurable;
    node_that_comes_back_with_an_empty_disk_is_found_out: Amnesia;
    node_that_comes_back_without_its_promises_is_found_out: ForgottenPromises;
    disk_that_loses_a_record_and_keeps_a_later_one_is_found_out: HolesOnDisk;
    acknowledgement_over_one_slot_too_many_is_found_out: ForgedAck;
    acknowledgement_that_counts_under_any_ballot_is_found_out: AckWithoutBallot;
    watermark_that_counts_under_any_ballot_is_found_out: WatermarkWithoutBallot;
    accept_that_claims_to_be_its_ballots_first_is_found_out: AcceptWithoutStart;
    promise_that_hides_what_was_accepted_is_found_out: HiddenVotes;
    promise_that_hides_under_which_ballot_it_was_accepted_is_found_out: VotesWithoutBallot;
    promise_that_hides_what_is_chosen_is_found_out: HiddenWatermark;
    promise_that_counts_under_any_ballot_is_found_out: PromiseWithoutBallot;
    log_served_beyond_what_was_chosen_is_found_out: LogReadBeyondChosen;
    quorums_that_do_not_meet_are_found_out: DisjointQuorums;
    message_that_counts_in_any_configuration_is_found_out: AnyConfiguration;
    read_confirmed_by_voters_that_know_better_is_found_out: ConfirmsAnything;
}
