//! How often one may ask: so many requests of an address, so many commands of a player, so much land of a viewer.

use crate::Problem;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;
use world::PlayerName;

/// With so many remembered, those who have not asked for a while are forgotten.
const REMEMBERED: usize = 65_536;

/// See the module.
#[derive(Debug)]
pub struct Limits {
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    players: DefaultKeyedRateLimiter<PlayerName>,
    clock: DefaultClock,
}

impl Limits {
    /// So many in a second of each address and each player, and twice as many at once.
    pub fn new(requests_per_s: u32, commands_per_s: u32) -> Self {
        Self {
            addresses: RateLimiter::keyed(quota(requests_per_s)),
            players: RateLimiter::keyed(quota(commands_per_s)),
            clock: DefaultClock::default(),
        }
    }

    /// From this address a request, or something that takes as much as so many.
    pub fn request(&self, from: IpAddr, cost: u32) -> Result<(), Problem> {
        self.check(&self.addresses, &network(from), "this address", cost)
    }

    /// A command of this player.
    pub fn command(&self, player: PlayerName) -> Result<(), Problem> {
        self.check(&self.players, &player, player.as_str(), 1)
    }

    fn check<K: Hash + Eq + Clone>(
        &self,
        limiter: &DefaultKeyedRateLimiter<K>,
        key: &K,
        who: &str,
        cost: u32,
    ) -> Result<(), Problem> {
        if limiter.len() > REMEMBERED {
            limiter.retain_recent();
        }
        let cost = NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN);
        match limiter.check_key_n(key, cost) {
            Ok(taken) => taken.map_err(|early| {
                let wait = early.wait_time_from(self.clock.now());
                Problem::too_many(who, millis(wait))
            }),
            // More than there ever is at once is all there ever is.
            Err(capacity) => self.check(limiter, key, who, capacity.0),
        }
    }
}

/// What one of them may take: so much in a second, and twice as much at once.
#[derive(Debug)]
pub struct Limit {
    limiter: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

impl Limit {
    /// So much in a second.
    pub fn new(per_s: u32) -> Self {
        Self { limiter: RateLimiter::direct(quota(per_s)), clock: DefaultClock::default() }
    }

    /// Takes so much; otherwise says in how many milliseconds that may be asked again. More than there ever is at once is
    /// all there ever is.
    pub fn take(&self, cost: u32) -> Result<(), u64> {
        let cost = NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN);
        match self.limiter.check_n(cost) {
            Ok(taken) => taken.map_err(|early| millis(early.wait_time_from(self.clock.now()))),
            Err(capacity) => self.take(capacity.0),
        }
    }
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn quota(per_s: u32) -> Quota {
    let per_s = NonZeroU32::new(per_s).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(per_s).allow_burst(per_s.saturating_mul(NonZeroU32::MIN.saturating_add(1)))
}

/// Who has an IPv6 address has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        other => other.to_canonical(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_may_ask_so_often_and_who_asks_more_hears_when_to_come_back() {
        let limits = Limits::new(5, 2);
        let (home, away) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        assert_eq!((0..20).filter(|_| limits.request(home, 1).is_ok()).count(), 10, "twice as many at once");
        assert!(limits.request(away, 1).is_ok());
        assert!(limits.request(away, 9).is_ok() && limits.request(away, 1).is_err(), "what costs more is like more");
        let third = "10.0.0.3".parse().unwrap();
        assert!(limits.request(third, 1_000).is_ok() && limits.request(third, 1).is_err(), "all there is");
        let scrat = "scrat".parse().unwrap();
        let refused = (0..20).find_map(|_| limits.command(scrat).err()).unwrap();
        let details = serde_json::to_value(refused.details()).unwrap();
        assert_eq!(
            (refused.status().as_u16(), &details["type"]),
            (429, &"urn:icefarm:problem:too-many-requests".into())
        );
        assert!((1..=500).contains(&details["retry_after_ms"].as_u64().unwrap()), "{details}");
    }

    #[test]
    fn who_takes_more_than_there_is_hears_when_there_will_be() {
        let limit = Limit::new(100);
        assert_eq!((0..10).filter(|_| limit.take(30).is_ok()).count(), 6, "twice as much at once");
        assert!((1..=300).contains(&limit.take(30).unwrap_err()));
        assert!(Limit::new(100).take(1_000).is_ok(), "all there is");
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let one = |text: &str| network(text.parse().unwrap());
        assert_eq!(one("2001:db8:1:2:3::4"), one("2001:db8:1:2:ffff::1"));
        assert_ne!(one("2001:db8:1:2::1"), one("2001:db8:1:3::1"));
        assert_eq!(one("::ffff:10.0.0.1"), one("10.0.0.1"));
    }
}
