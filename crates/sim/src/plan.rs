//! What a run is to be: drawn from its seed, or set by a test.

use crate::clock::{Clock, MS, SECOND, Time};
use crate::disk::Speed;
use crate::fault::{self, Fault};
use crate::network::Weather;
use crate::random::Random;
use crate::sabotage::Sabotage;
use client_proto::Options;
use paxos::NodeId;
use std::time::Duration;

/// One run's parameters. Times in microseconds.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For everything drawn while it runs.
    pub seed: u64,
    /// Machines.
    pub nodes: u32,
    /// Voters of each shard.
    pub voters: usize,
    /// Shards.
    pub shards: u32,
    /// Clients, each with a player of its own.
    pub players: usize,
    /// Fields that all of them fight for.
    pub hot_fields: usize,
    /// Between two things a player does, on average; 0: players do only what they are told.
    pub act_every: u64,
    /// Until when players act.
    pub act_until: Time,
    /// But no sooner than after so many commands of all of them.
    pub min_commands: u64,
    /// One way, between any two machines.
    pub latency: Vec<Vec<u64>>,
    /// Up to this more.
    pub jitter: u64,
    /// Until [`Fault::Calm`].
    pub weather: Weather,
    /// Of each machine.
    pub disks: Vec<Speed>,
    /// Of each machine.
    pub clocks: Vec<Clock>,
    /// Of the clients, so many watch land besides.
    pub watchers: usize,
    /// A turn begins this long after what wakes it.
    pub turn_delay: u64,
    /// Between two probes of a peer.
    pub probe_every: u64,
    /// Of each machine.
    pub tunings: Vec<Tuning>,
    /// Nodes come back with other tunings than they had.
    pub retuned: bool,
    /// How wrong the nodes believe each other's clocks to run at most.
    pub clock_drift_ppm: u64,
    /// A shard is checkpointed after so many bytes.
    pub checkpoint_bytes: usize,
    /// Logs are not kept for those who lag: they take snapshots.
    pub pressed: bool,
    /// A checkpoint comes no faster than so many bytes a second.
    pub snapshot_rate: u64,
    /// So long a checkpoint that was given to another node is kept for it.
    pub snapshot_kept: u64,
    /// Of the clients.
    pub options: Options,
    /// A node keeps about so many bytes of chunks in memory.
    pub memory_bytes: usize,
    /// Reads show about so many fields in a turn.
    pub turn_fields: usize,
    /// Whether frames travel as bytes.
    pub encode: bool,
    /// What goes wrong, in order.
    pub script: Vec<(Time, Fault)>,
    /// The run goes on at least until then.
    pub at_least: Time,
    /// So long after the calm everything must be well.
    pub patience: u64,
    /// What is broken on purpose.
    pub sabotage: Sabotage,
}

/// What an operator may set otherwise at each node.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// After so long a peer is counted out.
    pub election_timeout: u64,
    /// It supports another for so long at a time.
    pub support: u64,
    /// Whether its leaders answer alone.
    pub leases: bool,
}

/// Every so many seeds a large cluster is played.
const LARGE_EVERY: u64 = 1_000;
/// No clock is off by more than this.
pub const MAX_DRIFT_PPM: u64 = 20_000;
/// So little memory that hardly two chunks fit.
const TIGHT_MEMORY: usize = 1_000;
/// And every so many, frames travel as bytes.
const ENCODE_EVERY: u64 = 100;

impl Plan {
    /// What `seed` plays.
    pub fn of_seed(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x1ce_a6e0);
        let large = seed % LARGE_EVERY == LARGE_EVERY - 1;
        let (nodes, voters, shards) = if large {
            (5, *random.pick(&[3, 5]), *random.pick(&[128, 256]))
        } else {
            let nodes = *random.pick(&[3, 3, 3, 3, 4, 5]);
            (nodes, if nodes == 5 { *random.pick(&[3, 5]) } else { 3 }, *random.pick(&[1, 2, 2, 4]))
        };
        let mut plan = Self::quiet(seed, nodes, voters, shards);
        let wan = random.chance(250_000);
        let sites = nodes as usize;
        for a in 0..sites {
            for b in 0..a {
                let one_way = if wan { random.between(5, 90) * MS } else { random.between(50, 900) };
                (plan.latency[a][b], plan.latency[b][a]) = (one_way, one_way);
            }
        }
        plan.jitter = if wan { random.between(1, 30) * MS } else { random.between(10, 2_000) };
        let mut rate = |most: u64| {
            let on = random.chance(500_000);
            let rate = random.below(most);
            if on { u32::try_from(rate).unwrap_or(0) } else { 0 }
        };
        plan.weather =
            Weather { loss: rate(80_000), duplicates: rate(60_000), stragglers: rate(20_000), straggle: 3 * SECOND };
        for disk in &mut plan.disks {
            let slow = random.chance(150_000);
            let sync = if slow { random.between(5_000, 40_000) } else { random.between(80, 3_000) };
            *disk = Speed { sync, jitter: sync, pages: random.between(1, 12) };
        }
        let drifts = random.chance(600_000);
        for clock in &mut plan.clocks {
            clock.began = random.below(1_000 * SECOND);
            if drifts {
                // To the very edge of what the nodes are told to expect.
                let reach = i64::try_from(MAX_DRIFT_PPM).unwrap_or(0);
                let within = i64::try_from(random.below(2 * MAX_DRIFT_PPM + 1)).unwrap_or(0) - reach;
                clock.drift_ppm = *random.pick(&[within, -reach, reach]);
                clock.wall_ahead_ms = i64::try_from(random.below(2_000)).unwrap_or(0) - 1_000;
            }
        }
        plan.retuned = random.chance(300_000);
        plan.turn_delay = *random.pick(&[0, 0, 20, 300]);
        plan.checkpoint_bytes = *random.pick(&[300, 1_500, 6_000, 40_000, 1 << 20]);
        plan.pressed = random.chance(300_000);
        plan.memory_bytes = if seed % 4 == 1 { TIGHT_MEMORY } else { plan.memory_bytes };
        plan.turn_fields = *random.pick(&[1, 10, 65_536, 65_536]);
        plan.players = usize::try_from(random.between(4, 7)).unwrap_or(4);
        plan.hot_fields = random.index(4) + 1;
        plan.act_every = random.between(380, 560) * MS;
        plan.options.request_timeout = Duration::from_millis(random.between(1_500, 8_000));
        plan.options.attempt_timeout = Duration::from_millis(*random.pick(&[300, 600, 1_000, 1_000]));
        plan.options.look_timeout = Duration::from_millis(*random.pick(&[20, 100, 100, 1_000]));
        plan.watchers = random.index(3);
        plan.encode = seed % ENCODE_EVERY == ENCODE_EVERY - 1;
        let all: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
        plan.script = fault::script(&mut random, &all, Time(SECOND), Time(20 * SECOND));
        plan.snapshot_kept = *random.pick(&[2, 8, 60]) * SECOND;
        plan.act_until = Time(24 * SECOND);
        plan.min_commands = 200;
        plan.at_least = Time(30 * SECOND);
        plan
    }

    /// A cluster on a good local network in which nothing goes wrong and players do only what they are told.
    pub fn quiet(seed: u64, nodes: u32, voters: usize, shards: u32) -> Self {
        let count = nodes as usize;
        Self {
            seed,
            nodes,
            voters,
            shards,
            players: 2,
            hot_fields: 1,
            act_every: 0,
            watchers: 0,
            act_until: Time(0),
            min_commands: 0,
            latency: (0..count).map(|a| (0..count).map(|b| if a == b { 20 } else { 300 }).collect()).collect(),
            jitter: 100,
            weather: Weather::default(),
            disks: vec![Speed { sync: 500, jitter: 200, pages: 4 }; count],
            clocks: vec![Clock::default(); count],
            turn_delay: 0,
            probe_every: 250 * MS,
            tunings: vec![Tuning { election_timeout: SECOND, support: SECOND, leases: true }; count],
            retuned: false,
            clock_drift_ppm: MAX_DRIFT_PPM,
            checkpoint_bytes: 1 << 20,
            pressed: false,
            snapshot_rate: 1 << 20,
            snapshot_kept: 60 * SECOND,
            memory_bytes: 1 << 20,
            turn_fields: 65_536,
            options: Options { request_timeout: Duration::from_secs(5), ..Options::default() },
            encode: false,
            script: Vec::new(),
            at_least: Time(0),
            patience: 15 * SECOND,
            sabotage: Sabotage::None,
        }
    }
}
