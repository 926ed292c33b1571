//! What the figures are called, and what is said of them to whoever reads `/metrics`.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use wire::Refusal;

/// Every kind of refusal, as [`reason`] names it.
pub const REFUSALS: [&str; 16] = [
    "cannot_change",
    "catching_up",
    "change_under_way",
    "deposed",
    "disk_full",
    "expired",
    "forgotten",
    "invalid",
    "too_stale",
    "behind",
    "moved",
    "no_quorum",
    "not_allowed",
    "not_leader",
    "overloaded",
    "too_far_ahead",
];

/// Why, in a word.
pub fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::CannotChange { .. } => "cannot_change",
        Refusal::CatchingUp { .. } => "catching_up",
        Refusal::ChangeUnderWay => "change_under_way",
        Refusal::NotLeader { .. } => "not_leader",
        Refusal::Moved { .. } => "moved",
        Refusal::Deposed => "deposed",
        Refusal::DiskFull => "disk_full",
        Refusal::Overloaded { .. } => "overloaded",
        Refusal::NoQuorum { .. } => "no_quorum",
        Refusal::Expired { .. } => "expired",
        Refusal::TooFarAhead { .. } => "too_far_ahead",
        Refusal::Forgotten => "forgotten",
        Refusal::TooStale { .. } => "too_stale",
        Refusal::Behind { .. } => "behind",
        Refusal::NotAllowed { .. } => "not_allowed",
        Refusal::Invalid { .. } => "invalid",
    }
}

/// Tells the recorder at hand what each figure means.
pub fn describe() {
    describe_gauge!("icefarm_gateway_viewers", Unit::Count, "WebSockets that may see land");
    describe_gauge!("icefarm_gateway_scenes", Unit::Count, "Blocks of land that somebody sees, or saw a moment ago");
    describe_counter!("icefarm_gateway_messages_total", Unit::Count, "Messages with land sent to viewers");
    describe_counter!("icefarm_gateway_sent_bytes_total", Unit::Bytes, "Bytes of them");
    describe_counter!("icefarm_gateway_held_back_total", Unit::Count, "Times that a viewer had not taken what it had");
    describe_histogram!(
        "icefarm_gateway_delivery_seconds",
        Unit::Seconds,
        "From applied on this node to handed to the network, of changes that a viewer sees"
    );
    describe_counter!("icefarm_gateway_requests_total", Unit::Count, "Requests to the API");
    describe_counter!("icefarm_gateway_limited_total", Unit::Count, "Requests and commands refused for being too many");
    describe_histogram!("icefarm_turn_seconds", Unit::Seconds, "Time of a turn, without its waiting");
    describe_histogram!("icefarm_log_sync_seconds", Unit::Seconds, "Time of a sync of the log");
    describe_histogram!("icefarm_batch_items", "Commands in a batch proposed here");
    describe_counter!("icefarm_log_syncs_total", "Syncs of the log");
    describe_counter!("icefarm_log_records_total", "Records appended to the log");
    describe_counter!("icefarm_log_bytes_total", Unit::Bytes, "Bytes written to the log");
    describe_counter!("icefarm_commands_total", "Commands answered, by what came of them");
    describe_counter!("icefarm_reads_total", "Reads answered");
    describe_counter!("icefarm_refusals_total", "Requests refused, by reason");
    describe_counter!("icefarm_requests_total", "Requests received from clients");
    describe_counter!("icefarm_checkpoints_total", "Checkpoints of shards written");
    describe_counter!("icefarm_chunk_loads_total", "Chunks read back from the store");
    describe_counter!("icefarm_catchup_reads_total", "Parts of the log read for peers that lag behind");
    describe_counter!("icefarm_snapshot_received_bytes_total", Unit::Bytes, "Checkpoints that came from other nodes");
    describe_counter!("icefarm_peer_frames_sent_total", "Frames handed to the transport");
    describe_counter!("icefarm_peer_frames_received_total", "Frames received");
    describe_counter!("icefarm_peer_sent_bytes_total", Unit::Bytes, "Bytes of these frames");
    describe_counter!("icefarm_peer_received_bytes_total", Unit::Bytes, "Bytes of these frames");
    describe_counter!("icefarm_bad_frames_total", "Frames too long, cut off or not understood, of peers and clients");
    describe_counter!("icefarm_connections_refused_total", "Connections not allowed, of another version, or too many");
    describe_counter!("icefarm_handshakes_failed_total", "Connections that proved nothing, either way");
    describe_counter!("icefarm_slow_clients_total", "Clients disconnected because they did not read");
    describe_counter!("icefarm_peer_frames_dropped_total", "Frames for a peer not handed over, by reason");
    describe_gauge!("icefarm_peer_heard", "1: it has answered within the election time-out; 0: it has not");
    describe_gauge!("icefarm_peer_round_trip_seconds", Unit::Seconds, "From the last probe it answered to its answer");
    describe_gauge!("icefarm_replicas", "Replicas held");
    describe_gauge!("icefarm_shards_led", "Shards led");
    describe_gauge!("icefarm_shards_leaderless", "Shards without a leader that this node would follow");
    describe_gauge!("icefarm_log_writes_under_way", "Writes handed to the log and not durable yet");
    describe_gauge!("icefarm_log_size_bytes", Unit::Bytes, "Disk that the log takes");
    describe_gauge!("icefarm_checkpoints_under_way", "Checkpoints being written");
    describe_gauge!("icefarm_clock_lead_seconds", Unit::Seconds, "Wall clock less the middle of the clocks heard");
    describe_gauge!("icefarm_queued_commands", "Commands that wait for a batch");
    describe_gauge!("icefarm_waiting_reads", "Reads that cannot be answered yet");
    describe_gauge!("icefarm_in_flight_slots", "Slots proposed here and not chosen");
    describe_gauge!("icefarm_unapplied_slots", "Slots chosen and not applied, at the replica furthest behind");
    describe_gauge!("icefarm_client_connections", "Connections of clients");
    describe_gauge!("icefarm_disk_full", "1: the disk is full, and this node decides nothing; 0: it is not");
    describe_gauge!("icefarm_disk_reserve_bytes", Unit::Bytes, "Disk kept back for when it is full");
    describe_gauge!("icefarm_peer_lag_slots", "What it lacks of the shard led here of which it lacks most");
    describe_gauge!("icefarm_peer_support_seconds", Unit::Seconds, "So much longer its support for leaders here lasts");
    describe_gauge!("icefarm_leases_held", "Shards led here whose strong reads need no message");
    describe_gauge!("icefarm_standbys", "Replicas held that do not vote");
    describe_gauge!("icefarm_watchers", "Watchers that wait for a change");
    describe_gauge!("icefarm_chunk_memory_bytes", Unit::Bytes, "Memory that chunks take");
    describe_gauge!("icefarm_evicted_chunks", "Chunks that have left memory since the start");
    describe_gauge!("process_cpu_seconds_total", Unit::Seconds, "CPU time used, user and system");
    describe_gauge!("process_resident_memory_bytes", Unit::Bytes, "Memory in RAM");
}
