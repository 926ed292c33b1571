//! The figures of each replica: on request only, since a node may hold thousands.

use super::{float, recorder};
use host::Survey;
use metrics::{Gauge, describe_gauge, gauge, with_local_recorder};

/// The figures of each replica, rendered by a recorder of their own, so that they are gone when nobody asks.
pub fn render(survey: &Survey) -> String {
    let recorder = recorder();
    with_local_recorder(&recorder, || {
        describe_gauge!("icefarm_shard_leader_node", "Number of the node it follows (n2 is 2); 0: none");
        describe_gauge!("icefarm_shard_chosen_slot", "Everything up to here is chosen, as far as this replica knows");
        describe_gauge!("icefarm_shard_applied_slot", "Everything up to here is applied here");
        describe_gauge!("icefarm_shard_checkpointed_slot", "Everything up to here is in the checkpoint");
        describe_gauge!("icefarm_shard_in_flight_slots", "Slots proposed and not chosen, where this replica leads");
        describe_gauge!("icefarm_shard_batches", "Batches that this replica has proposed");
        describe_gauge!("icefarm_shard_batched_commands", "Commands in these batches");
        describe_gauge!("icefarm_shard_queued_commands", "Commands that wait for a batch");
        describe_gauge!("icefarm_shard_waiting_reads", "Reads that cannot be answered yet");
        describe_gauge!("icefarm_shard_watchers", "Watchers that wait for a change");
        describe_gauge!("icefarm_shard_lease_seconds", "So much longer this replica may answer strong reads alone");
        describe_gauge!("icefarm_shard_voter_lag_slots", "What the slowest voter lacks, where this replica leads");
        for replica in &survey.shards {
            let shard = replica.shard.to_string();
            let set = |gauge: Gauge, value: u64| gauge.set(float(value));
            let of = |name: &'static str| gauge!(name, "shard" => shard.clone());
            set(of("icefarm_shard_leader_node"), replica.leader.map_or(0, |node| node.0.into()));
            set(of("icefarm_shard_chosen_slot"), replica.chosen.0);
            set(of("icefarm_shard_applied_slot"), replica.applied.0);
            set(of("icefarm_shard_checkpointed_slot"), replica.checkpointed.0);
            set(of("icefarm_shard_in_flight_slots"), replica.in_flight);
            set(of("icefarm_shard_batches"), replica.batches);
            set(of("icefarm_shard_batched_commands"), replica.batched);
            set(of("icefarm_shard_queued_commands"), replica.queued as u64);
            set(of("icefarm_shard_waiting_reads"), replica.waiting_reads as u64);
            set(of("icefarm_shard_watchers"), replica.watchers as u64);
            of("icefarm_shard_lease_seconds").set(float(replica.lease) / 1e6);
            set(of("icefarm_shard_voter_lag_slots"), replica.lag);
        }
    });
    recorder.handle().render()
}
