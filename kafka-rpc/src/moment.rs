//! Moments of the monotonic clock, which everything that is awaited goes by.

use std::time::{Duration, Instant};

/// So long after a moment. A time too far for the clock is as good as a day.
pub(crate) fn after(moment: Instant, time: Duration) -> Instant {
    moment.checked_add(time).unwrap_or(moment + Duration::from_hours(24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_too_far_for_the_clock_is_a_day() {
        let now = Instant::now();
        assert_eq!(after(now, Duration::from_secs(1)), now + Duration::from_secs(1));
        assert_eq!(after(now, Duration::MAX), now + Duration::from_hours(24));
    }
}
