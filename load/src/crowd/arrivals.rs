//! Who acts when.
//!
//! In an open loop each player acts in its own time, whatever the answers do: between two of its actions lies a gap that is
//! exponentially distributed, and so all together they are a Poisson process. The rate may change meanwhile: gaps are
//! measured not in seconds but in *work*, of which the curve's rate says how much is done in a second, so that everybody
//! hurries, or takes it easy, at once. A player whose last action is still under way when the next is due begins late; its
//! latency counts from when it was due (*coordinated omission* is what leaving that out is called, after Gil Tene).
//!
//! In a closed loop the next player acts as soon as anybody has been answered.

use crate::crowd::dice::Dice;
use crate::profile::Curve;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// The rate is taken as constant for so long.
const TICK: Duration = Duration::from_millis(1);

/// Who acts when.
#[derive(Debug)]
pub enum Arrivals {
    /// Each in its own time.
    Open(Box<Open>),
    /// As answers come.
    Closed(Closed),
}

/// Each in its own time.
#[derive(Debug)]
pub struct Open {
    curve: Curve,
    players: f64,
    seed: u64,
    warm_up: Duration,
    /// The work at which each player that waits acts next.
    due: BinaryHeap<Reverse<Due>>,
    /// Work done by `time`, and in the tick that begins there; in mean gaps of a player.
    work: f64,
    tick_work: f64,
    time: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    /// The bits of a positive number, which compare as it does.
    work: u64,
    player: u32,
}

/// As answers come.
#[derive(Debug)]
pub struct Closed {
    /// Those who wait for their turn, in order.
    waiting: VecDeque<u32>,
    /// So many more may act.
    room: usize,
}

/// When a player acts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// Who.
    pub player: u32,
    /// When, since the beginning: what its latency counts from.
    pub at: Duration,
    /// What the player's next turn depends on.
    work: f64,
}

impl Arrivals {
    /// All `players` begin at a time of their own; the curve's time begins when the warm-up has ended.
    pub fn open(curve: Curve, players: u32, seed: u64, warm_up: Duration) -> Self {
        let mut open = Open {
            curve,
            players: f64::from(players),
            seed,
            warm_up,
            due: BinaryHeap::new(),
            work: 0.0,
            tick_work: 0.0,
            time: Duration::ZERO,
        };
        open.tick_work = open.work_of_tick();
        let due = (0..players).map(|player| Reverse(Due { work: gap(seed, player, u32::MAX).to_bits(), player }));
        open.due = due.collect::<Vec<_>>().into();
        Self::Open(Box::new(open))
    }

    /// So many of the players act at any time.
    pub fn closed(players: u32, in_flight: usize) -> Self {
        Self::Closed(Closed { waiting: (0..players).collect(), room: in_flight })
    }

    /// Who acts now, if it is anybody's turn.
    pub fn next(&mut self, now: Duration) -> Option<Turn> {
        match self {
            Self::Open(open) => open.next(now),
            Self::Closed(closed) => closed.next(now),
        }
    }

    /// When it will be somebody's turn, about; `None`: when an answer has come.
    pub fn wake(&self) -> Option<Duration> {
        match self {
            Self::Open(open) => open.wake(),
            Self::Closed(_) => None,
        }
    }

    /// Its action has ended, the `steps`th of this player.
    pub fn ended(&mut self, turn: Turn, steps: u32) {
        match self {
            Self::Open(open) => {
                let Turn { player, work, .. } = turn;
                open.due.push(Reverse(Due { work: (work + gap(open.seed, player, steps)).to_bits(), player }));
            }
            Self::Closed(closed) => {
                closed.room += 1;
                closed.waiting.push_back(turn.player);
            }
        }
    }

    /// Whether somebody's time has come this long ago, and nobody has let that one act.
    pub fn is_behind(&self, now: Duration, late: Duration) -> bool {
        matches!(self, Self::Open(open) if open.wake().is_some_and(|wake| wake + late < now))
    }
}

impl Open {
    fn next(&mut self, now: Duration) -> Option<Turn> {
        loop {
            let Reverse(Due { work, player }) = *self.due.peek()?;
            let work = f64::from_bits(work);
            if let Some(at) = self.within_tick(work) {
                if at > now {
                    return None;
                }
                self.due.pop();
                return Some(Turn { player, at, work });
            }
            if self.time + TICK > now {
                return None;
            }
            self.work += self.tick_work;
            self.time += TICK;
            self.tick_work = self.work_of_tick();
        }
    }

    fn wake(&self) -> Option<Duration> {
        let Reverse(first) = *self.due.peek()?;
        // Beyond this tick the rate may be another: then it is looked at again.
        Some(self.within_tick(f64::from_bits(first.work)).unwrap_or(self.time + TICK))
    }

    /// When so much work is done, if it is within this tick.
    fn within_tick(&self, work: f64) -> Option<Duration> {
        let into = (work - self.work).max(0.0);
        (into < self.tick_work).then(|| self.time + TICK.mul_f64(into / self.tick_work))
    }

    fn work_of_tick(&self) -> f64 {
        self.curve.at(self.time.saturating_sub(self.warm_up)) / self.players * TICK.as_secs_f64()
    }
}

impl Closed {
    fn next(&mut self, now: Duration) -> Option<Turn> {
        self.room = self.room.checked_sub(1)?;
        let Some(player) = self.waiting.pop_front() else {
            self.room += 1;
            return None;
        };
        Some(Turn { player, at: now, work: 0.0 })
    }
}

/// From this player's action to its next, in work. Players differ in pace: some are twice as busy as most, some half.
fn gap(seed: u64, player: u32, steps: u32) -> f64 {
    let pace = 0.5 + Dice::new(seed, player, u32::MAX - 1).unit();
    Dice::new(seed, player, steps).gap() / pace
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    const SECOND: Duration = Duration::from_secs(1);

    fn open(players: u32, arrival: &str) -> Arrivals {
        let text = format!("about = ''\n[players]\ncount = {players}\n[mix]\nclaim = 1\n[arrival]\n{arrival}");
        let curve = Profile::parse("test", &text).unwrap().arrival.curve().unwrap();
        Arrivals::open(curve, players, 7, SECOND)
    }

    /// Turns in each of these seconds, all answered at once.
    fn play(arrivals: &mut Arrivals, seconds: u32) -> Vec<u32> {
        let mut counts = Vec::new();
        let mut steps = 0;
        for second in 1..=seconds {
            let mut count = 0;
            while let Some(turn) = arrivals.next(second * SECOND) {
                assert!(turn.at <= second * SECOND && turn.at >= (second - 1) * SECOND, "{turn:?} in second {second}");
                steps += 1;
                arrivals.ended(turn, steps);
                count += 1;
            }
            counts.push(count);
        }
        counts
    }

    #[test]
    fn an_open_loop_keeps_its_rate_and_follows_its_curve() {
        let counts = play(&mut open(1_000, "rate = 5000\n[[arrival.ramps]]\nat = '3s'\nto = 20000"), 6);
        for (count, rate) in counts.iter().zip([5_000.0, 5_000.0, 5_000.0, 5_000.0, 20_000.0, 20_000.0]) {
            assert!((f64::from(*count) / rate - 1.0).abs() < 0.07, "{counts:?}");
        }
    }

    #[test]
    fn turns_scatter_as_events_do_that_know_nothing_of_each_other() {
        let mut arrivals = open(10_000, "rate = 1000");
        let counts = play(&mut arrivals, 200);
        let mean = f64::from(counts.iter().sum::<u32>()) / 200.0;
        let variance = counts.iter().map(|count| (f64::from(*count) - mean).powi(2)).sum::<f64>() / 199.0;
        assert!((0.7..1.4).contains(&(variance / mean)), "a Poisson process has both alike: {mean}, {variance}");
    }

    #[test]
    fn who_is_answered_late_begins_late_and_was_due_in_time() {
        let mut arrivals = open(1, "rate = 10");
        let turn = arrivals.next(10 * SECOND).unwrap();
        assert_eq!(arrivals.next(10 * SECOND), None, "one thing at a time");
        arrivals.ended(turn, 1);
        let next = arrivals.next(10 * SECOND).unwrap();
        assert!(next.at > turn.at && next.at < turn.at + SECOND, "{turn:?} {next:?}");
        assert!(arrivals.wake().is_none(), "nobody waits");
        arrivals.ended(next, 2);
        assert!(arrivals.is_behind(10 * SECOND, SECOND));
    }

    #[test]
    fn a_closed_loop_has_so_many_in_flight_and_takes_everybody_in_turn() {
        let mut arrivals = Arrivals::closed(5, 3);
        let turns: Vec<Turn> = std::iter::from_fn(|| arrivals.next(SECOND)).collect();
        assert_eq!(turns.iter().map(|turn| turn.player).collect::<Vec<_>>(), [0, 1, 2]);
        arrivals.ended(turns[1], 1);
        assert_eq!(arrivals.next(SECOND).map(|turn| turn.player), Some(3));
        assert_eq!(arrivals.next(SECOND), None);
        assert_eq!(arrivals.wake(), None);
    }
}
