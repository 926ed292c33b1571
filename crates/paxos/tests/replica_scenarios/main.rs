//! Multi-Paxos replicas with disks and a network, as the lectures and the field's scars play them. Each play in `plays/`
//! holds every message that must be sent (`stage` explains the stage directions); `storm` and `weather` play at random.

mod broken;
mod direct;
mod duel;
mod happening;
mod ledger;
mod machine;
mod random;
mod show;
mod stage;
mod storm;
mod weather;

use stage::{four_to_prepare_and_two_to_accept_of_five, majority_of, three_of_five, weight_two_for_n1_of_four};

macro_rules! plays {
    ($($name:ident: $stage:expr;)*) => {
        $(#[test]
        fn $name() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/replica_scenarios/plays/", stringify!($name), ".txt");
            $stage.perform(include_str!(concat!("plays/", stringify!($name), ".txt")), path);
        })*
    };
}

plays! {
    sid_and_scrat_lead_at_one_slot_and_the_third_ballot_takes_scrat: majority_of(3);
    voter_down_before_promising_the_other_two_choose_and_it_catches_up: majority_of(3);
    voter_stops_before_its_promise_is_durable_and_has_promised_nothing: majority_of(3);
    voter_stops_after_promising_and_keeps_its_promise_when_it_comes_back: majority_of(3);
    voter_stops_before_its_accept_is_durable_and_nobody_counted_it: majority_of(3);
    voter_stops_after_accepting_and_the_value_survives_it: majority_of(3);
    five_voters_two_down_at_different_moments_three_choose: majority_of(5);
    five_voters_three_down_nothing_is_chosen_until_one_returns: majority_of(5);
    lagging_replica_catches_up_from_the_leaders_memory: majority_of(3);
    lagging_replica_catches_up_from_the_log_on_disk_after_the_leader_restarted: majority_of(3);
    lagging_replica_asks_another_voter_when_the_first_is_silent: majority_of(3);
    replica_down_after_learning_remembers_what_it_learned: majority_of(3);
    leader_dies_in_phase_1_and_the_next_is_free: majority_of(3);
    leader_dies_between_the_phases_and_binds_nobody: majority_of(3);
    leader_dies_after_one_accept_of_three_and_the_next_sees_it: majority_of(3);
    leader_dies_after_one_accept_of_three_and_the_next_does_not_see_it: majority_of(3);
    leader_dies_after_a_majority_accepted_and_nobody_learned_the_value_stands: majority_of(3);
    lossy_rounds_11_at_n1_22_at_n3_round_3_hears_of_11_only: majority_of(3);
    lossy_rounds_11_at_n1_22_at_n3_round_3_hears_of_both_and_takes_22: majority_of(3);
    voter_that_forgot_what_it_accepted_lets_two_values_be_chosen: majority_of(3);
    voter_that_forgot_its_promise_lets_two_values_be_chosen: majority_of(3);
    restarted_leader_never_uses_a_ballot_again: majority_of(3);
    ballot_that_was_not_durable_was_never_heard_of: majority_of(3);
    weight_two_for_n1_of_four_n1_and_any_other_choose: weight_two_for_n1_of_four();
    weight_two_for_n1_of_four_the_other_three_choose_without_it: weight_two_for_n1_of_four();
    flexible_quorums_of_five_four_promise_two_choose: four_to_prepare_and_two_to_accept_of_five();
    new_leader_answers_no_read_before_its_own_no_op_is_chosen: majority_of(3);
    deposed_leader_reads_in_vain: majority_of(3);
    late_confirmation_answers_only_reads_that_began_before_the_question: majority_of(3);
    canvass_is_refused_while_a_healthy_leader_is_followed: majority_of(3);
    chained_partition_without_n1_to_n3_the_far_end_elects_nobody: majority_of(3);
    partial_partition_leaves_n2_alone_connected_and_it_leads: majority_of(5);
    candidate_with_the_shorter_log_catches_up_before_it_leads: majority_of(3);
    voter_that_is_behind_promises_and_reports_nothing_a_candidate_knows: majority_of(3);
    node_cut_off_for_long_canvasses_in_vain_and_comes_back_without_a_trace: majority_of(3);
    node_that_promised_a_higher_ballot_comes_back_and_the_leader_takes_one_above: majority_of(3);
    canvassing_node_that_hears_its_leader_again_follows_it: majority_of(3);
    restarted_follower_canvasses_and_an_idle_leader_introduces_itself: majority_of(3);
    leader_resigns_and_its_late_acknowledgements_count_for_nothing: majority_of(3);
    node_whose_leader_started_anew_follows_nobody_and_joins_another: majority_of(5);
    leader_whose_disk_stalls_does_not_count_its_own_vote: majority_of(3);
    two_followers_choose_while_the_leaders_disk_stalls: majority_of(3);
    single_voter_counts_itself_only_when_durable: majority_of(1);
    accepts_out_of_order_are_not_acknowledged_over_the_gap: majority_of(3);
    acknowledgement_from_a_wiped_log_speaks_for_nothing_new: majority_of(3);
    restarted_follower_acknowledges_what_it_had_accepted_under_the_same_ballot: majority_of(3);
    old_ballots_acknowledgement_after_the_batch_was_proposed_again_counts_for_nothing: majority_of(3);
    everything_that_arrives_twice_changes_nothing: majority_of(3);
    watermark_over_a_hole_does_not_mark_the_hole_chosen: majority_of(3);
    watermark_of_another_ballot_does_not_count_what_an_older_one_left: majority_of(3);
    leader_takes_no_stale_learn: majority_of(3);
    repeated_learns_are_history_and_ask_for_nothing: majority_of(3);
    late_accept_of_a_deposed_leader_meets_what_was_learned_since: majority_of(3);
    kept_moves_only_when_every_voter_would_know_after_a_crash: majority_of(3);
    stop_ends_one_configuration_and_the_next_goes_on_under_the_same_leader: three_of_five();
    stop_that_was_not_chosen_gives_way_to_another_command: three_of_five();
    stop_proposed_again_has_nothing_behind_it: three_of_five();
    voter_that_missed_the_stop_is_told_and_follows_into_the_next_configuration: three_of_five();
    removed_leader_leaves_and_asks_until_nobody_needs_it: three_of_five();
    second_change_waits_for_the_first: three_of_five();
    standby_too_far_behind_installs_a_snapshot_and_then_follows: three_of_five();
    snapshot_over_a_tail_of_another_ballot_wins_and_what_lies_behind_it_stays: three_of_five();
    protected_leader_is_left_by_nobody_however_silent_it_is: majority_of(3);
    protected_leader_that_released_its_ballot_is_left_at_once: majority_of(3);
    voter_that_protects_its_leader_does_not_stand_itself: majority_of(3);
    leader_hands_over_and_its_successor_needs_no_canvass: majority_of(3);
    leader_hands_over_only_to_a_voter_that_holds_everything: majority_of(3);
    late_hand_over_after_the_leader_was_elected_again_changes_nothing: majority_of(3);
}
