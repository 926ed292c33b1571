//! What may happen in a storm, how often, and what did.

/// What can happen next, each with its weight in a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Happening {
    Deliver,
    Lose,
    Repeat,
    Sync,
    Campaign,
    Propose,
    Retry,
    Flush,
    Crash,
    Restart,
    Checkpoint,
    Read,
    Resign,
    Forget,
    ReadLog,
    Isolate,
    Mend,
    Stop,
    Transfer,
    Trim,
    Install,
}

/// How often each may be drawn, one of these per run.
pub const WEIGHTS: &[(Happening, [u32; 4])] = &[
    (Happening::Deliver, [60, 60, 60, 120]),
    (Happening::Lose, [0, 2, 6, 20]),
    (Happening::Repeat, [0, 2, 6, 20]),
    (Happening::Sync, [4, 16, 32, 64]),
    (Happening::Campaign, [1, 1, 2, 6]),
    (Happening::Propose, [1, 4, 8, 16]),
    (Happening::Retry, [1, 2, 4, 8]),
    (Happening::Flush, [0, 1, 4, 8]),
    (Happening::Crash, [0, 1, 2, 6]),
    (Happening::Restart, [2, 4, 8, 16]),
    (Happening::Checkpoint, [0, 2, 6, 20]),
    (Happening::Read, [0, 1, 2, 4]),
    (Happening::Resign, [0, 0, 0, 1]),
    (Happening::Forget, [0, 0, 1, 2]),
    (Happening::ReadLog, [2, 4, 8, 8]),
    (Happening::Isolate, [0, 1, 2, 2]),
    (Happening::Mend, [1, 1, 2, 4]),
    (Happening::Stop, [0, 0, 1, 3]),
    (Happening::Transfer, [0, 0, 1, 2]),
    (Happening::Trim, [0, 1, 2, 6]),
    (Happening::Install, [2, 4, 8, 16]),
];

/// What happened in a run, to see that runs see something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub steps: u64,
    pub chosen: u64,
    pub offices: u64,
    pub crashes: u64,
    pub learns: u64,
    pub log_reads: u64,
    pub reads: u64,
    pub gaps: u64,
    pub stops: u64,
    pub transfers: u64,
    pub snapshots: u64,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.chosen += other.chosen;
        self.offices += other.offices;
        self.crashes += other.crashes;
        self.learns += other.learns;
        self.log_reads += other.log_reads;
        self.reads += other.reads;
        self.gaps += other.gaps;
        self.stops += other.stops;
        self.transfers += other.transfers;
        self.snapshots += other.snapshots;
    }
}
