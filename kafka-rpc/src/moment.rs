//! Arithmetic on moments of the monotonic clock, which all waiting uses, and of the wall clock.

use std::time::{Duration, Instant, SystemTime};

/// The time, as tokio has it: a test may pause that, and skip what is waited for.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time by both clocks, by which a time of the one can be told in the other.
pub(crate) fn both_clocks() -> (Instant, SystemTime) {
    (now(), SystemTime::now())
}

/// Returns `moment` plus `time`, or plus a day if the clock cannot represent the sum.
pub(crate) fn after(moment: Instant, time: Duration) -> Instant {
    moment.checked_add(time).unwrap_or(moment + Duration::from_hours(24))
}

/// The same as [`after`], by the wall clock.
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
