//! When players act: as fast as answers come (a closed loop), or whatever the answers do (an open one).

use super::{Period, Rate, Share};
use serde::Deserialize;
use std::f64::consts::TAU;
use std::time::Duration;

/// The most that may be in flight in a closed loop: as much as one client of the SDK begins at a time.
const MAX_IN_FLIGHT: usize = 1 << 16;

/// When players act.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Arrival {
    /// A closed loop: so many actions are under way at any time, the next begins when one is answered.
    pub in_flight: Option<usize>,
    /// An open loop: so many actions a second, all players together, each in its own time (Poisson).
    pub rate: Option<Rate>,
    /// From some time on, another rate.
    pub ramps: Vec<Ramp>,
    /// For some time, many times the rate.
    pub spikes: Vec<Spike>,
    /// The rate goes up and down.
    pub day: Option<Day>,
}

/// Another rate, which is reached steadily.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// When it begins, from the end of the warm-up.
    pub at: Period,
    /// The rate afterwards.
    pub to: Rate,
    /// How long it takes to get there.
    #[serde(default = "Ramp::at_once")]
    pub over: Period,
}

impl Ramp {
    fn at_once() -> Period {
        Period(Duration::ZERO)
    }
}

/// For a while, many times the rate.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spike {
    /// When it begins, from the end of the warm-up.
    pub at: Period,
    /// How long it lasts.
    pub lasting: Period,
    /// So many times what the rate would be.
    pub times: Rate,
}

/// Up and down, like day and night: the rate begins in the middle, and rises first.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Day {
    /// From one day to the next.
    pub length: Period,
    /// So much of the rate is added at noon and missing at midnight.
    pub swing: Share,
}

impl Arrival {
    pub(super) fn check(&self) -> Result<(), String> {
        match (self.in_flight, self.rate) {
            (Some(_), Some(_)) => {
                Err("arrival has in_flight (a closed loop) and rate (an open one): choose".to_owned())
            }
            (None, None) => Err("arrival: give it in_flight (a closed loop) or rate (an open one)".to_owned()),
            (Some(in_flight), None) => {
                if !(1..=MAX_IN_FLIGHT).contains(&in_flight) {
                    return Err(format!("arrival.in_flight = {in_flight}: it must be 1 to {MAX_IN_FLIGHT}"));
                }
                if !self.ramps.is_empty() || !self.spikes.is_empty() || self.day.is_some() {
                    return Err("arrival: ramps, spikes and day change a rate, and a closed loop has none".to_owned());
                }
                Ok(())
            }
            (None, Some(_)) => match self.day {
                Some(day) if day.length.0.is_zero() => Err("arrival.day.length must be longer than nothing".to_owned()),
                _ => Ok(()),
            },
        }
    }

    /// Keeps the shape, so many times as high.
    pub fn scale(&mut self, times: f64) {
        for rate in self.rate.iter_mut().chain(self.ramps.iter_mut().map(|ramp| &mut ramp.to)) {
            rate.0 *= times;
        }
    }

    /// The rate as a function of time, for an open loop.
    pub fn curve(&self) -> Option<Curve> {
        let rate = self.rate?;
        let mut ramps = self.ramps.clone();
        ramps.sort_by_key(|ramp| ramp.at);
        Some(Curve { rate: rate.0, ramps, spikes: self.spikes.clone(), day: self.day })
    }
}

/// How many actions a second, as a function of time.
#[derive(Clone, Debug)]
pub struct Curve {
    rate: f64,
    /// By time.
    ramps: Vec<Ramp>,
    spikes: Vec<Spike>,
    day: Option<Day>,
}

impl Curve {
    /// At this time from the end of the warm-up. (The warm-up itself has the rate of its end.)
    pub fn at(&self, time: Duration) -> f64 {
        let mut rate = self.rate;
        for ramp in self.ramps.iter().take_while(|ramp| ramp.at.0 <= time) {
            let over = ramp.over.0.as_secs_f64();
            let done = time.saturating_sub(ramp.at.0).as_secs_f64();
            let share = if done < over { done / over } else { 1.0 };
            rate += (ramp.to.0 - rate) * share;
        }
        if let Some(day) = self.day {
            rate *= 1.0 + day.swing.0 * (TAU * time.as_secs_f64() / day.length.0.as_secs_f64()).sin();
        }
        let now = self.spikes.iter().filter(|spike| (spike.at.0..spike.at.0 + spike.lasting.0).contains(&time));
        now.fold(rate, |rate, spike| rate * spike.times.0)
    }

    /// The same shape, so many times as high.
    #[must_use]
    pub fn scaled(mut self, times: f64) -> Self {
        self.rate *= times;
        for ramp in &mut self.ramps {
            ramp.to.0 *= times;
        }
        self
    }
}
