//! A seed is a run.

use sim::campaign::{Campaign, play};
use sim::plan::Plan;
use sim::run::run;

#[test]
fn the_same_seed_played_twice_goes_the_same_way() {
    // 99 sends its frames as bytes; 999 is a large cluster.
    for seed in [1, 2, 3, 4, 5, 99, 999] {
        let (first, second) = (run(Plan::of_seed(seed), false), run(Plan::of_seed(seed), true));
        assert_eq!(first.failure, None, "seed {seed}");
        assert_eq!((first.digest, &first.stats), (second.digest, &second.stats), "seed {seed}");
        assert!(first.stats.commands >= 200 && first.stats.simulated >= 30_000_000, "seed {seed}: {}", first.stats);
    }
    assert_ne!(run(Plan::of_seed(1), false).digest, run(Plan::of_seed(2), false).digest);
}

#[test]
fn a_campaign_has_one_digest_on_any_number_of_threads() {
    let on = |jobs| play(&Campaign { seeds: 40, from: 100, jobs, traced: false }, |_| ());
    let (one, three) = (on(1), on(3));
    assert_eq!((one.digest, one.stats, one.played), (three.digest, three.stats, 40));
    assert!(one.failures.is_empty(), "{:?}", one.failures);
}

#[test]
fn what_is_rare_happens_all_the_same() {
    let stats = play(&Campaign { seeds: 300, from: 1, jobs: 2, traced: false }, |_| ()).stats;
    for (name, count) in [
        ("half-torn tails", stats.half_torn),
        ("starts from a checkpoint", stats.from_checkpoint),
        ("catch-ups from disk", stats.log_reads),
        ("chunk loads", stats.chunk_loads),
        ("log releases", stats.releases),
        ("gaps", stats.gaps),
        ("answers repeated", stats.repeats),
        ("leaders deposed with commands under way", stats.deposed),
        ("payments", stats.payments),
        ("commands of which nobody knows", stats.unknown),
    ] {
        assert!(count > 0, "{name}: never");
    }
    for (kind, name) in sim::stats::KINDS.iter().enumerate() {
        let [follower, candidate, leader] = stats.received[kind];
        assert!(follower + candidate + leader > 0, "{name}: never received");
    }
}
