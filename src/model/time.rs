//! Instants and lifetimes. The clock itself is read elsewhere: here is only what was read.

use std::fmt;
use std::str::FromStr;

/// An instant in UTC, in whole microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// Why a text is no instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no RFC 3339 instant such as 2026-11-22T12:00:00Z")]
pub struct InvalidTime;

impl Time {
    /// The instant that many microseconds after 1970; what lies outside the years 0 to 9999 is moved to their edge.
    pub fn from_micros(micros: i64) -> Self {
        const YEAR_0: i64 = -62_167_219_200_000_000;
        // Two hours before the year ends: local times east of Greenwich stay in it.
        const YEAR_9999_END: i64 = 253_402_207_200_000_000;
        Time(micros.clamp(YEAR_0, YEAR_9999_END))
    }

    /// Microseconds since 1970.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// This instant and so many seconds.
    pub fn plus_seconds(self, seconds: u64) -> Self {
        let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        Time::from_micros(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to this instant; 0 where `earlier` is later.
    pub fn micros_since(self, earlier: Time) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => timestamp.fmt(f),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl FromStr for Time {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let timestamp: jiff::Timestamp = text.parse().map_err(|_| InvalidTime)?;
        Ok(Time::from_micros(timestamp.as_microsecond()))
    }
}

/// A lifetime in whole seconds, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u32);

impl Ttl {
    /// A lifetime of so many seconds; `None` for 0.
    pub fn from_seconds(seconds: u32) -> Option<Self> {
        (seconds > 0).then_some(Ttl(seconds))
    }

    /// The lifetime in seconds.
    pub fn as_seconds(self) -> u32 {
        self.0
    }

    /// When something that was seen at `seen` lapses.
    pub fn deadline(self, seen: Time) -> Time {
        seen.plus_seconds(u64::from(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_reads_back_what_it_prints() {
        let time: Time = "2026-11-22T13:00:00.000001+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-22T12:00:00.000001Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!("yesterday".parse::<Time>(), Err(InvalidTime));
    }

    #[test]
    fn arithmetic_stays_within_what_can_be_printed() {
        let end = Time::from_micros(i64::MAX).plus_seconds(u64::MAX);
        assert!(end.to_string().starts_with("9999-"), "{end}");
        assert_eq!(end.to_string().parse(), Ok(end));
        assert_eq!(Time::from_micros(5).micros_since(Time::from_micros(9)), 0);
    }
}
