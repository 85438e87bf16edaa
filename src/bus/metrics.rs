//! How much a bus, a topic or a subscriber has to do, and how fast.

use crate::model::Time;

/// Over how many whole seconds a rate is taken.
const RATE_SECONDS: u64 = 5;
/// Four steps for each power of two of microseconds, up to some nine hours.
const STEPS: usize = 4 * 34;
/// From so many measurements on, the earlier ones count half: a day ago says little of now.
const MEASURED_MAX: u32 = 65_536;

/// What there is to know at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// What was published; for a subscriber, what was for it.
    pub published: u64,
    /// What was given, once for each subscriber.
    pub delivered: u64,
    /// What was lost, once for each subscriber.
    pub dropped: u64,
    /// What did not fit.
    pub invalid: u64,
    /// What was given again.
    pub retried: u64,
    /// The bytes of what was published.
    pub bytes: u64,
    /// Published a second, over the last few.
    pub messages_per_second: f64,
    /// How many microseconds half of the deliveries took at most, from publishing to taking; `None` before any.
    pub p50_micros: Option<u64>,
    /// How many 99 of 100 took at most.
    pub p99_micros: Option<u64>,
}

/// Counts, a rate and latencies.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    published: u64,
    delivered: u64,
    dropped: u64,
    invalid: u64,
    retried: u64,
    bytes: u64,
    rate: Rate,
    // Most topics and many subscribers never deliver anything.
    latencies: Option<Box<Histogram>>,
}

impl Metrics {
    /// So many bytes were published.
    pub fn published(&mut self, now: Time, bytes: u64) {
        self.published += 1;
        self.bytes += bytes;
        self.rate.count(now);
    }

    /// An event was taken so many microseconds after it was published; `None` for one that is replayed, whose age says
    /// nothing of the bus.
    pub fn delivered(&mut self, micros: Option<u64>) {
        self.delivered += 1;
        if let Some(micros) = micros {
            self.latencies.get_or_insert_default().measure(micros);
        }
    }

    /// So many events were lost.
    pub fn dropped(&mut self, count: u64) {
        self.dropped += count;
    }

    /// An event did not fit.
    pub fn invalid(&mut self) {
        self.invalid += 1;
    }

    /// An event was given again.
    pub fn retried(&mut self) {
        self.retried += 1;
    }

    /// What there is to know now.
    pub fn measure(&self, now: Time) -> Measured {
        let quantile = |part| self.latencies.as_ref().and_then(|latencies| latencies.quantile(part));
        Measured {
            published: self.published,
            delivered: self.delivered,
            dropped: self.dropped,
            invalid: self.invalid,
            retried: self.retried,
            bytes: self.bytes,
            messages_per_second: self.rate.per_second(now),
            p50_micros: quantile(0.5),
            p99_micros: quantile(0.99),
        }
    }
}

/// How many there were in each of the last whole seconds, and in the one that runs.
#[derive(Clone, Debug, Default)]
struct Rate {
    counts: [u32; RATE_SECONDS as usize + 1],
    second: i64,
}

impl Rate {
    const SLOTS: i64 = RATE_SECONDS as i64 + 1;

    fn slot(second: i64) -> usize {
        second.rem_euclid(Self::SLOTS) as usize
    }

    fn count(&mut self, now: Time) {
        let second = now.as_micros().div_euclid(1_000_000);
        // A clock that was set back counts in the second that runs.
        if second > self.second {
            let passed = (second - self.second).min(Self::SLOTS);
            (0..passed).for_each(|back| self.counts[Self::slot(second - back)] = 0);
            self.second = second;
        }
        let slot = &mut self.counts[Self::slot(self.second)];
        *slot = slot.saturating_add(1);
    }

    fn per_second(&self, now: Time) -> f64 {
        let second = now.as_micros().div_euclid(1_000_000);
        let whole = (second - RATE_SECONDS as i64..second)
            .filter(|one| *one <= self.second && *one > self.second - Self::SLOTS);
        let sum: u64 = whole.map(|one| u64::from(self.counts[Self::slot(one)])).sum();
        sum as f64 / RATE_SECONDS as f64
    }
}

/// How often it took how long, to a quarter of a power of two.
#[derive(Clone, Debug)]
struct Histogram {
    counts: [u32; STEPS],
    measured: u32,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: [0; STEPS], measured: 0 }
    }
}

impl Histogram {
    fn measure(&mut self, micros: u64) {
        if self.measured >= MEASURED_MAX {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.measured = self.counts.iter().sum();
        }
        self.counts[step_of(micros)] += 1;
        self.measured += 1;
    }

    fn quantile(&self, part: f64) -> Option<u64> {
        let wanted = (f64::from(self.measured) * part).ceil().max(1.0) as u32;
        let mut seen = 0;
        self.counts.iter().enumerate().find_map(|(step, count)| {
            seen += count;
            (seen >= wanted).then(|| top_of(step))
        })
    }
}

/// 0 to 3 have a step each; from there on, the two bits behind the highest say which of four it is.
fn step_of(micros: u64) -> usize {
    if micros < 4 {
        return micros as usize;
    }
    let power = micros.ilog2() as usize;
    let quarter = (micros >> (power - 2)) as usize & 3;
    (4 * (power - 1) + quarter).min(STEPS - 1)
}

/// The most microseconds that fall into a step.
fn top_of(step: usize) -> u64 {
    if step < 4 {
        return step as u64;
    }
    let (power, quarter) = (step / 4 + 1, (step % 4) as u64);
    ((5 + quarter) << (power - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::testing::{at, at_millis};

    #[test]
    fn a_rate_is_that_of_the_last_few_whole_seconds_and_ends_with_them() {
        let mut metrics = Metrics::default();
        (0..200).for_each(|number| metrics.published(at_millis(number * 50), 10));
        let measured = metrics.measure(at_millis(9_990));
        assert_eq!((measured.published, measured.bytes, measured.messages_per_second), (200, 2_000, 20.0));
        assert_eq!(metrics.measure(at(12)).messages_per_second, 12.0);
        assert_eq!(metrics.measure(at(15)).messages_per_second, 0.0);
        metrics.published(at(1_000), 10);
        assert_eq!(metrics.measure(at(1_001)).messages_per_second, 0.2);
    }

    #[test]
    fn a_clock_that_is_set_back_loses_no_count() {
        let mut metrics = Metrics::default();
        metrics.published(at(100), 1);
        metrics.published(at(10), 1);
        assert_eq!((metrics.measure(at(101)).messages_per_second, metrics.measure(at(10)).published), (0.4, 2));
    }

    #[test]
    fn latencies_are_told_to_a_quarter_and_never_too_low() {
        let mut metrics = Metrics::default();
        assert_eq!(metrics.measure(at(0)).p50_micros, None);
        (1..=1_000).for_each(|micros| metrics.delivered(Some(micros)));
        let (p50, p99) = (metrics.measure(at(0)).p50_micros.unwrap(), metrics.measure(at(0)).p99_micros.unwrap());
        assert!((500..=625).contains(&p50) && (990..=1_238).contains(&p99), "{p50} {p99}");
    }

    #[test]
    fn every_duration_falls_into_a_step_that_reaches_up_to_it() {
        for micros in (0..10_000).chain([1 << 20, 1_234_567, (1 << 34) - 1]) {
            let step = step_of(micros);
            assert!(top_of(step) >= micros && (step == 0 || top_of(step - 1) < micros), "{micros}");
        }
        assert_eq!(step_of(u64::MAX), STEPS - 1);
    }

    #[test]
    fn what_was_long_ago_comes_to_count_less() {
        let mut metrics = Metrics::default();
        (0..100_000).for_each(|_| metrics.delivered(Some(1_000_000)));
        (0..200_000).for_each(|_| metrics.delivered(Some(10)));
        assert!(metrics.measure(at(0)).p50_micros.unwrap() < 20);
    }
}
