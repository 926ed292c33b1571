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
