//! Moments of the monotonic clock, which everything that is awaited goes by, and of the wall's.

use std::time::{Duration, Instant, SystemTime};

/// So long after a moment. A time too far for the clock is as good as a day.
pub(crate) fn after(moment: Instant, time: Duration) -> Instant {
    moment.checked_add(time).unwrap_or(moment + Duration::from_hours(24))
}

/// The same by the clock on the wall.
pub(crate) fn wall_after(moment: SystemTime, time: Duration) -> SystemTime {
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
        let wall = SystemTime::now();
        assert_eq!(wall_after(wall, Duration::from_secs(1)), wall + Duration::from_secs(1));
        assert_eq!(wall_after(wall, Duration::MAX), wall + Duration::from_hours(24));
    }
}
