//! How long is waited before a carrier that is away is tried again.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(50);
/// The longest.
const LONGEST: Duration = Duration::from_secs(5);

/// How long to wait before the next try, the first of which is 0: each time twice as long.
pub(super) fn back_off(attempt: u32) -> Duration {
    FIRST.saturating_mul(1 << attempt.min(10)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_before_the_next_try_doubles_up_to_a_bound() {
        let waits: Vec<u128> = (0..9).map(|attempt| back_off(attempt).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(back_off(u32::MAX), LONGEST);
    }
}
