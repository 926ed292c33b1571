//! Which paths a campaign took: a run that met nothing has shown nothing.
//!
//! Every kind of message, by what its receiver was to the shard, and every counter of [`Stats`]. For each is said how soon a
//! campaign must have met it; one that is long enough and has not fails.

use crate::stats::Stats;
use paxos::{Message, Replica};
use std::fmt;
use wire::peer::PeerMessage;

/// What a replica was to its shard when a message reached it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It votes and follows, or waits.
    Follower,
    /// It stands for election.
    Candidate,
    /// It leads.
    Leader,
    /// It listens.
    Standby,
    /// It is a member no more.
    Former,
    /// It has not yet come to the configuration that it joined in.
    Joining,
    /// There is none, or the message is about all shards.
    Stranger,
}

impl Role {
    /// How many there are.
    pub const COUNT: usize = 7;

    /// Of a replica, if there is one.
    pub fn of(replica: Option<&Replica>) -> Self {
        let Some(replica) = replica else { return Self::Stranger };
        if replica.is_leader() {
            Self::Leader
        } else if replica.is_campaigning() {
            Self::Candidate
        } else if !replica.has_joined() {
            Self::Joining
        } else if !replica.is_member() {
            Self::Former
        } else if replica.configuration().standbys.contains(&replica.me()) {
            Self::Standby
        } else {
            Self::Follower
        }
    }
}

/// Received: by kind of message and role of the receiver.
pub type Received = [[u64; Role::COUNT]; KINDS.len()];

/// How many clusters must have been played before something that was never met is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// As few as CI plays.
    Often,
    /// As many as a night plays.
    Rarely,
    /// It need not be met at all.
    Never,
}

impl Seen {
    fn within(self) -> u64 {
        match self {
            Self::Often => 1_000,
            Self::Rarely => 50_000,
            Self::Never => u64::MAX,
        }
    }
}

/// Each kind of message, and how soon it must have reached a follower, a candidate, a leader, a standby, a former member, one
/// that joins and a stranger: `o` often, `r` rarely, `.` never. As [`kind`] numbers them.
const KINDS: [(&str, &str); 24] = [
    ("Canvass", "ooooorr"),
    ("Canvassed", "ooo.r.."),
    ("Prepare", "oooorrr"),
    ("Promise", "ooo.r.r"),
    ("Accept", "ooooooo"),
    ("Ack", "ooororo"),
    ("Refuse", "ooo...."),
    ("Watermark", "ooooooo"),
    ("Fetch", "oooooro"),
    ("Learn", "ooooooo"),
    ("Confirm", "ooor..."),
    ("Confirmed", "ooo.r.."),
    ("TakeOver", "orr...."),
    ("Ahead", "oooooro"),
    ("Trimmed", "ooroooo"),
    ("Probe", "......o"),
    ("Heard", "......o"),
    ("Members", "or.roro"),
    ("MembersHeard", "ooo...."),
    ("Pull", "ooo.rrr"),
    ("Part", "ooro.oo"),
    ("NoPart", "r....r."),
    ("Pay", "ooorr.."),
    ("Paid", "roo.r.."),
];

/// Counters that only a long campaign moves.
const RARE: [&str; 2] = ["damage met", "starts part-way"];
/// Counters that need not move: so few players overload nobody, and whose clocks are right enough are not ahead of the log.
const SPARED: [&str; 2] = ["overloaded", "too far ahead"];

/// Which kind, as an index into a [`Received`].
pub fn kind(message: &PeerMessage) -> usize {
    match message {
        PeerMessage::Paxos { message, .. } => match message {
            Message::Canvass { .. } => 0,
            Message::Canvassed { .. } => 1,
            Message::Prepare { .. } => 2,
            Message::Promise { .. } => 3,
            Message::Accept { .. } => 4,
            Message::Ack { .. } => 5,
            Message::Refuse { .. } => 6,
            Message::Watermark { .. } => 7,
            Message::Fetch { .. } => 8,
            Message::Learn { .. } => 9,
            Message::Confirm { .. } => 10,
            Message::Confirmed { .. } => 11,
            Message::TakeOver { .. } => 12,
            Message::Ahead { .. } => 13,
            Message::Trimmed { .. } => 14,
        },
        PeerMessage::Probe(_) => 15,
        PeerMessage::Heard(_) => 16,
        PeerMessage::Members { .. } => 17,
        PeerMessage::MembersHeard { .. } => 18,
        PeerMessage::Pull { .. } => 19,
        PeerMessage::Part(_) => 20,
        PeerMessage::NoPart { .. } => 21,
        PeerMessage::Pay { .. } => 22,
        PeerMessage::Paid { .. } => 23,
    }
}

/// The shard that a message is about; none if it is about all.
pub fn shard(message: &PeerMessage) -> Option<placement::ShardId> {
    match message {
        PeerMessage::Paxos { shard, .. }
        | PeerMessage::Members { shard, .. }
        | PeerMessage::MembersHeard { shard, .. }
        | PeerMessage::Pull { shard, .. }
        | PeerMessage::NoPart { shard, .. } => Some(*shard),
        PeerMessage::Part(part) => Some(part.shard),
        PeerMessage::Pay { to, .. } | PeerMessage::Paid { to, .. } => Some(*to),
        PeerMessage::Probe(_) | PeerMessage::Heard(_) => None,
    }
}

/// What so many clusters should have met and did not.
pub fn missing(stats: &Stats, seeds: u64) -> Vec<String> {
    let counters = stats.named().into_iter().map(|(name, count)| {
        let seen = match name {
            name if SPARED.contains(&name) => Seen::Never,
            name if RARE.contains(&name) => Seen::Rarely,
            _ => Seen::Often,
        };
        (name.to_owned(), count, seen)
    });
    let messages = KINDS.iter().zip(&stats.received).flat_map(|((name, seen), counts)| {
        let cells = seen.chars().zip(counts).zip(ROLES);
        cells.map(move |((seen, &count), role)| (format!("{name} received by a {role}"), count, expected(seen)))
    });
    let missed = counters.chain(messages).filter(|(_, count, seen)| *count == 0 && seeds >= seen.within());
    missed.map(|(what, ..)| what).collect()
}

/// The roles by name, as [`Role`] numbers them.
const ROLES: [&str; Role::COUNT] =
    ["follower", "candidate", "leader", "standby", "former member", "joiner", "stranger"];

fn expected(seen: char) -> Seen {
    match seen {
        'o' => Seen::Often,
        'r' => Seen::Rarely,
        _ => Seen::Never,
    }
}

/// The table of messages by role.
pub(crate) fn table(received: &Received, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "received by a ")?;
    for role in ROLES {
        write!(f, "{role:>14}")?;
    }
    writeln!(f)?;
    for ((name, _), counts) in KINDS.iter().zip(received) {
        write!(f, "  {name:<12}")?;
        for count in counts {
            write!(f, "{count:>14}")?;
        }
        writeln!(f)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_met_is_missed_by_name_once_the_campaign_is_long_enough() {
        let stats = Stats::default();
        assert_eq!(missing(&stats, 999), Vec::<String>::new());
        let missed = missing(&stats, 1_000);
        assert!(missed.contains(&"crashes".to_owned()), "{missed:?}");
        assert!(missed.contains(&"Accept received by a follower".to_owned()), "{missed:?}");
    }

    #[test]
    fn what_was_met_is_not_missed() {
        let mut stats = Stats { crashes: 1, ..Stats::default() };
        stats.received[4][Role::Follower as usize] = 1;
        let missed = missing(&stats, u64::MAX - 1);
        assert!(!missed.iter().any(|what| what == "crashes" || what == "Accept received by a follower"), "{missed:?}");
    }

    #[test]
    fn every_cell_of_the_table_says_how_soon_it_must_be_met() {
        for (name, seen) in KINDS {
            assert!(seen.len() == Role::COUNT && seen.chars().all(|c| "or.".contains(c)), "{name}: {seen}");
        }
    }
}
