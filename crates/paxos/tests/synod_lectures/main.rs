//! Single-decree Paxos as the lectures play it. Each test performs the play of its name in `plays/`, which holds every
//! message that must be sent; `play` explains the stage directions.

mod ballots;
mod duel;
mod model_check;
mod play;

use play::{
    with_four_to_prepare_and_two_to_accept_of_five, with_learners, with_majority_of, with_weight_two_for_a1_of_four,
};

macro_rules! plays {
    ($($name:ident: $stage:expr;)*) => {
        $(#[test]
        fn $name() {
            $stage.perform(include_str!(concat!("plays/", stringify!($name), ".txt")));
        })*
    };
}

plays! {
    sid_and_scrat_p1_must_propose_scrat_in_round_3: with_majority_of(3);
    acceptor_down_before_promising_the_other_two_decide_and_it_joins_the_next_round: with_majority_of(3);
    acceptor_stops_before_its_promise_is_durable_and_has_promised_nothing: with_majority_of(3);
    acceptor_stops_after_promising_and_keeps_its_promise_when_it_comes_back: with_majority_of(3);
    acceptor_stops_before_its_accept_is_durable_and_nobody_counted_it: with_majority_of(3);
    acceptor_stops_after_accepting_and_the_value_survives_it: with_majority_of(3);
    five_acceptors_two_down_at_different_moments_three_decide: with_majority_of(5);
    five_acceptors_three_down_nothing_is_decided_until_one_returns: with_majority_of(5);
    redundant_learner_down_before_learning_catches_up_from_the_other: with_learners(2);
    learner_down_after_learning_forgets_and_catches_up_from_the_acceptors: with_learners(2);
    proposer_dies_in_phase_1_and_the_next_is_free: with_majority_of(3);
    proposer_dies_between_the_phases_and_binds_nobody: with_majority_of(3);
    proposer_dies_after_one_accept_of_three_and_the_next_sees_it: with_majority_of(3);
    proposer_dies_after_one_accept_of_three_and_the_next_does_not_see_it: with_majority_of(3);
    proposer_dies_after_a_majority_accepted_and_nobody_learned_the_value_stands: with_majority_of(3);
    lossy_rounds_11_at_a1_22_at_a3_round_3_hears_of_11_only: with_majority_of(3);
    lossy_rounds_11_at_a1_22_at_a3_round_3_hears_of_both_and_takes_22: with_majority_of(3);
    acceptor_that_forgot_what_it_accepted_lets_two_values_be_chosen: with_majority_of(3);
    acceptor_that_forgot_its_promise_lets_two_values_be_chosen: with_majority_of(3);
    restarted_proposer_never_prepares_a_ballot_again: with_majority_of(3);
    weight_two_for_a1_of_four_a1_and_any_other_decide: with_weight_two_for_a1_of_four();
    weight_two_for_a1_of_four_the_other_three_decide_without_it: with_weight_two_for_a1_of_four();
    flexible_quorums_of_five_four_promise_two_accept: with_four_to_prepare_and_two_to_accept_of_five();
}
