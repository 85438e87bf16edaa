//! How often somebody may ask: by principal, and by address where nobody knows who it is.

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

/// How many that ask are kept apart at once. Beyond it, those who have asked for nothing of late are forgotten.
const TRACKED_MAX: usize = 10_000;

/// Who is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Asker {
    /// A principal.
    Principal(String),
    /// An address.
    Address(IpAddr),
    /// Everybody else, together, once there are too many to be kept apart.
    Others,
}

/// Counts requests.
pub struct Rates {
    limiter: RateLimiter<Asker, HashMapStateStore<Asker>, DefaultClock>,
}

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rates").field("tracked", &self.limiter.len()).finish()
    }
}

impl Rates {
    /// So many requests a second, and so many at once; `None` where there is no limit.
    pub fn try_new(requests_per_second: u32, burst: u32) -> Option<Self> {
        let per_second = NonZeroU32::new(requests_per_second)?;
        let quota = Quota::per_second(per_second).allow_burst(NonZeroU32::new(burst).unwrap_or(per_second));
        Some(Rates { limiter: RateLimiter::hashmap(quota) })
    }

    /// Takes one request; else how long to wait.
    pub fn take(&self, asker: Asker) -> Result<(), Duration> {
        let asker = if self.has_room() { asker } else { Asker::Others };
        let taken = self.limiter.check_key(&asker);
        taken.map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    fn has_room(&self) -> bool {
        if self.limiter.len() < TRACKED_MAX {
            return true;
        }
        self.limiter.retain_recent();
        self.limiter.len() < TRACKED_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Asker {
        Asker::Principal(name.to_owned())
    }

    #[test]
    fn one_that_asks_too_often_waits_and_holds_nobody_else_up() {
        let rates = Rates::try_new(1, 3).unwrap();
        let taken: Vec<bool> = (0..4).map(|_| rates.take(named("a")).is_ok()).collect();
        assert_eq!(taken, [true, true, true, false]);
        let wait = rates.take(named("a")).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert!(rates.take(named("b")).is_ok());
    }

    #[test]
    fn there_is_no_limit_of_zero_and_a_bound_on_who_is_known() {
        assert!(Rates::try_new(0, 5).is_none());
        let rates = Rates::try_new(1, 1).unwrap();
        for number in 0..TRACKED_MAX + 10 {
            let _ = rates.take(named(&number.to_string()));
        }
        assert!(rates.limiter.len() <= TRACKED_MAX + 1);
    }
}
