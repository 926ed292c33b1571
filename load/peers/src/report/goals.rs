//! What we mean to reach, as ratios within a round.

use super::statistics::Middle;
use super::{Race, Runner, Subject};
use crate::cores::Library;
use crate::floors::Floor;
use crate::work::{Peer, Work};

/// One goal, and how far we are.
#[derive(Clone, Debug)]
pub struct Goal {
    /// In words.
    pub what: String,
    /// What was measured.
    pub ratio: Middle,
    /// At least this, or at most.
    pub target: f64,
    /// Whether less is better.
    pub at_most: bool,
}

impl Goal {
    /// Whether the median reaches it.
    pub fn is_met(&self) -> bool {
        if self.at_most { self.ratio.median <= self.target } else { self.ratio.median >= self.target }
    }
}

/// Depths at which we are to be fast.
const DEEP: [usize; 2] = [1_024, 8_192];

/// Those goals of which everything was measured.
pub fn goals(race: &Race) -> Vec<Goal> {
    let mut goals = Vec::new();
    let ours = Runner::Peer(Peer::Ours);
    let core = |library| (Runner::Core(library), Subject::Core);
    for depth in DEEP {
        for (peer, work, least) in [
            (Peer::Etcd, Work::Puts, 20.0),
            (Peer::Zookeeper, Work::Claims, 25.0),
            (Peer::Postgres, Work::Claims, 8.0),
            (Peer::Redis, Work::Claims, 1.0),
        ] {
            let ratio = |round| {
                let own = race.sample(round, ours, Subject::Work(Work::Claims), depth)?.per_s;
                Some(own / race.best(round, Runner::Peer(peer), Subject::Work(work))?)
            };
            let what = format!("claims/s at {depth}, to {} at the depth that is best for it", peer.title());
            race.goal(&mut goals, what, least, false, ratio);
        }
        let cpu = |round| {
            let of = |runner| Some(race.sample(round, runner, Subject::Work(Work::Claims), depth)?.servers_cpu);
            Some(of(ours)? / of(Runner::Peer(Peer::Redis))?)
        };
        race.goal(&mut goals, format!("servers' CPU for each claim at {depth}, to Redis x1"), 1.1, true, cpu);
    }
    let p50 = |round, runner, subject| Some(race.sample(round, runner, subject, 1)?.p50_ms);
    let claims = Subject::Work(Work::Claims);
    race.goal(&mut goals, "p50 of one claim at a time, to ZooKeeper".to_owned(), 0.5, true, |round| {
        Some(p50(round, ours, claims)? / p50(round, Runner::Peer(Peer::Zookeeper), claims)?)
    });
    race.goal(&mut goals, "p50 of one claim at a time, to two QUIC echoes and a sync".to_owned(), 1.3, true, |round| {
        let echo = p50(round, Runner::Floor(Floor::QuicEcho), Subject::Floor)?;
        let sync = p50(round, Runner::Floor(Floor::AppendSync), Subject::Floor)?;
        Some(p50(round, ours, claims)? / (2.0 * echo + sync))
    });
    for depth in [64, 1_024] {
        let rate = |round, floor| Some(race.sample(round, Runner::Floor(floor), Subject::Floor, depth)?.per_s);
        race.goal(&mut goals, format!("our log in writes of {depth}, to the bytes alone"), 0.8, false, |round| {
            Some(rate(round, Floor::Log)? / rate(round, Floor::AppendSyncOne)?)
        });
    }
    let strong = Subject::Work(Work::StrongReads);
    for depth in [64, 1_024] {
        let rate = |round, runner, subject| Some(race.sample(round, runner, subject, depth)?.per_s);
        race.goal(&mut goals, format!("strong reads at {depth}, to the QUIC echo"), 0.5, false, |round| {
            Some(rate(round, ours, strong)? / rate(round, Runner::Floor(Floor::QuicEcho), Subject::Floor)?)
        });
        race.goal(
            &mut goals,
            format!("strong reads at {depth}, to etcd's linearizable ones at their best"),
            25.0,
            false,
            |round| Some(rate(round, ours, strong)? / race.best(round, Runner::Peer(Peer::Etcd), strong)?),
        );
        race.goal(&mut goals, format!("eventual reads at {depth}, to strong ones"), 1.0, false, |round| {
            Some(rate(round, ours, Subject::Work(Work::EventualReads))? / rate(round, ours, strong)?)
        });
        race.goal(&mut goals, format!("consensus alone at {depth}, to omnipaxos"), 1.0, false, |round| {
            let ((own, subject), (other, _)) = (core(Library::Ours), core(Library::Omnipaxos));
            Some(rate(round, own, subject)? / rate(round, other, subject)?)
        });
        race.goal(&mut goals, format!("consensus alone at {depth}, to raft"), 5.0, false, |round| {
            let ((own, subject), (other, _)) = (core(Library::Ours), core(Library::Raft));
            Some(rate(round, own, subject)? / rate(round, other, subject)?)
        });
    }
    let views = Subject::Work(Work::Views);
    let rate = |round, runner, subject| Some(race.sample(round, runner, subject, 8)?.per_s);
    for (peer, least) in [(Peer::Redis, 3.0), (Peer::Postgres, 8.0)] {
        race.goal(&mut goals, format!("views at 8, to {}", peer.title()), least, false, |round| {
            Some(rate(round, ours, views)? / rate(round, Runner::Peer(peer), views)?)
        });
    }
    race.goal(&mut goals, "views at 8, to 12 kB that are ready over QUIC".to_owned(), 0.5, false, |round| {
        Some(rate(round, ours, views)? / rate(round, Runner::Floor(Floor::QuicView), Subject::Floor)?)
    });
    #[allow(clippy::cast_precision_loss, reason = "a few thousand bytes")]
    race.goal(&mut goals, "kilobytes of a view".to_owned(), 12.0, true, |round| {
        Some(race.sample(round, ours, views, 8)?.answer_bytes? as f64 / 1e3)
    });
    goals
}

impl Race {
    /// The highest rate at any depth, in one round.
    fn best(&self, round: u32, runner: Runner, subject: Subject) -> Option<f64> {
        let own = self
            .samples
            .iter()
            .filter(|sample| (sample.round, sample.runner, sample.subject) == (round, runner, subject));
        own.map(|sample| sample.measured.per_s).max_by(f64::total_cmp)
    }

    fn goal(
        &self,
        goals: &mut Vec<Goal>,
        what: String,
        target: f64,
        at_most: bool,
        ratio: impl Fn(u32) -> Option<f64>,
    ) {
        let ratios: Vec<f64> = (1..=self.rounds).filter_map(ratio).filter(|ratio| ratio.is_finite()).collect();
        if !ratios.is_empty() {
            goals.push(Goal { what, ratio: Middle::of(ratios), target, at_most });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Measured;
    use crate::report::Sample;
    use std::collections::BTreeMap;

    fn sample(round: u32, peer: Peer, in_flight: usize, per_s: f64) -> Sample {
        let measured = Measured::rate(per_s);
        Sample { round, runner: Runner::Peer(peer), subject: Subject::Work(Work::Claims), in_flight, measured }
    }

    #[test]
    fn a_ratio_is_taken_within_each_round_and_against_the_others_best_depth() {
        let samples = vec![
            sample(1, Peer::Ours, 1_024, 100.0),
            sample(1, Peer::Redis, 64, 80.0),
            sample(1, Peer::Redis, 1_024, 50.0),
            // A slow minute of the machine: for both.
            sample(2, Peer::Ours, 1_024, 10.0),
            sample(2, Peer::Redis, 64, 8.0),
            sample(3, Peer::Ours, 1_024, 90.0),
            sample(3, Peer::Redis, 64, 90.0),
        ];
        let race = Race { rounds: 3, seconds: 1, machine: String::new(), versions: BTreeMap::new(), samples };
        let goals = goals(&race);
        let goal = goals.iter().find(|goal| goal.what.contains("Redis") && goal.what.contains("claims/s")).unwrap();
        assert_eq!((goal.ratio.median, goal.ratio.low, goal.ratio.high), (1.25, 1.0, 1.25));
        assert!(goal.is_met());
        assert!(!goals.iter().any(|goal| goal.what.contains("etcd")), "nothing was measured of it");
    }
}
