//! What happened, counted: a run that met nothing has shown nothing.

use crate::coverage::{self, Received};
use std::fmt;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $label:literal,)*) => {
        /// Counters of one run, or of many.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
            /// Received: by kind of message and role of the receiver.
            pub received: Received,
        }

        impl Stats {
            /// Adds another run's.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
                for (mine, theirs) in self.received.iter_mut().zip(&other.received) {
                    for (mine, theirs) in mine.iter_mut().zip(theirs) {
                        *mine += theirs;
                    }
                }
            }

            /// Each by name; those without one are not counters.
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                [$(($label, self.$name),)*].into_iter().filter(|(name, _)| !name.is_empty()).collect()
            }
        }
    };
}

counters! {
    /// Simulated microseconds.
    simulated = "",
    /// Things that happened.
    events = "events",
    /// Turns of nodes.
    turns = "turns",
    /// Frames between nodes.
    frames = "frames",
    /// Messages of Paxos in them.
    messages = "messages",
    /// Frames lost, cut off or sent to a machine that was off.
    lost_frames = "frames lost",
    /// Frames delivered twice.
    duplicated = "frames doubled",
    /// Power failures.
    crashes = "crashes",
    /// Restarts.
    restarts = "restarts",
    /// Pauses.
    pauses = "pauses",
    /// Cuts of the network.
    partitions = "partitions",
    /// Disks that stalled.
    stalls = "disk stalls",
    /// Disks that ran full.
    full_disks = "full disks",
    /// Jobs that found the disk full.
    full_waits = "waits for space",
    /// Nodes that were told of it.
    full_told = "told: disk full",
    /// Nodes that ended because a sync had failed.
    failed_syncs = "failed syncs",
    /// Bits that flipped on disks.
    flips = "flipped bits",
    /// Nodes that ended because they read damaged data.
    damage_ends = "damage met",
    /// Starts refused because of damaged data.
    damaged_starts = "no start: damage",
    /// Disks replaced by empty ones.
    wipes = "disks replaced",
    /// Members brought back on empty disks.
    readded = "members re-added",
    /// Members whose place another node took.
    substituted = "members replaced",
    /// Wall clocks that were set.
    steps = "clock steps",
    /// Leaders that were told to hand over.
    transfers = "transfers",
    /// Changes of a shard's members begun.
    changes = "changes",
    /// Changes of a shard's members chosen.
    stops = "stops",
    /// Replicas that joined.
    joins = "joins",
    /// Replicas that left.
    leaves = "leaves",
    /// Parts of checkpoints read for others.
    parts = "checkpoint parts",
    /// Shards whose checkpoints were held for others no more.
    let_go = "checkpoints let go",
    /// Checkpoints of others installed.
    installed = "checkpoints installed",
    /// Leaders that took office.
    elections = "elections",
    /// Commands begun.
    commands = "commands",
    /// Commands done.
    done = "done",
    /// Commands rejected by the rules.
    rejected = "rejected",
    /// Commands certainly not done.
    refused = "refused",
    /// Commands of which nobody knows.
    unknown = "unknown",
    /// Reads answered.
    reads = "reads",
    /// Reads that failed.
    failed_reads = "reads failed",
    /// Receipts checked against everything acknowledged, whoever acknowledged it.
    receipts = "receipts checked",
    /// Reads whose receipts were held against their session.
    session_reads = "reads checked",
    /// Questions about several fields at once.
    bunches = "fields read together",
    /// Views answered.
    viewed = "views answered",
    /// Answers to those who watch.
    watched = "watches answered",
    /// Changes of fields that these were told of.
    changes_watched = "changes watched",
    /// Slots applied, counted once a shard.
    slots = "slots",
    /// Batches proposed.
    batches = "batches",
    /// Synced writes.
    writes = "writes",
    /// Power failures that lost records which had not been synced.
    torn = "torn tails",
    /// Power failures of which some unsynced records survived.
    half_torn = "half-torn tails",
    /// Frames of which a part reached the disk.
    torn_frames = "torn frames",
    /// Restarts that found a checkpoint.
    from_checkpoint = "starts from checkpoint",
    /// Starts that found part of another node's checkpoint.
    from_staged = "starts part-way",
    /// Starts of a node that has left a shard.
    from_left = "starts, shards left",
    /// Starts of replicas that joined later than their shard began.
    from_joined = "starts, shards joined",
    /// First starts on an empty disk in the place of another.
    from_nothing = "starts, empty disk",
    /// Restarts that replayed a log.
    from_log = "starts with a log",
    /// Acks that told of a gap.
    gaps = "gaps",
    /// Catch-ups that the disk had to serve.
    log_reads = "catch-ups from disk",
    /// Chunks loaded again.
    chunk_loads = "chunk loads",
    /// Checkpoints made.
    checkpoints = "checkpoints",
    /// Logs told to forget.
    releases = "log releases",
    /// Answers repeated.
    repeats = "answers repeated",
    /// Refusals: the leader lost its office.
    deposed = "deposed",
    /// Refusals: no quorum.
    no_quorum = "no quorum",
    /// Refusals: elsewhere.
    not_leader = "not leader",
    /// Refusals: too much to do.
    overloaded = "overloaded",
    /// Turns that had no room for all reads.
    cut_short = "turns cut short",
    /// Refusals: dated too far ahead of the log.
    too_far_ahead = "too far ahead",
    /// Refusals: no proof that this is fresh enough.
    too_stale = "too stale",
    /// Refusals: the session has seen more.
    behind = "behind session",
    /// Refusals: the members cannot be changed so.
    cannot_change = "cannot change",
    /// Refusals: who is to vote still catches up.
    catching_up = "catching up",
    /// Refusals: another change is under way.
    change_under_way = "change under way",
    /// Refusals: the disk is full.
    disk_full = "disk full",
    /// Refusals: too late.
    expired = "expired",
    /// Refusals: answered and forgotten.
    forgotten = "forgotten",
    /// Payments between shards.
    payments = "payments",
    /// Client connections that broke.
    broken = "connections broken",
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.simulated / 3_600_000_000;
        let minutes = self.simulated / 60_000_000 % 60;
        writeln!(f, "simulated {hours} h {minutes} min")?;
        for line in self.named().chunks(4) {
            let cells: Vec<String> = line.iter().map(|(name, count)| format!("{name:>22} {count:>12}")).collect();
            writeln!(f, "{}", cells.join(""))?;
        }
        coverage::table(&self.received, f)
    }
}
