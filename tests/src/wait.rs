//! Waiting for a condition, with a bound.

use std::time::{Duration, Instant};

/// How long anything may take: far more than it does, so that only a hang reaches it.
pub const BOUND: Duration = Duration::from_mins(1);

/// Waits until `condition` gives a value.
///
/// # Panics
///
/// If it has not within [`BOUND`].
pub async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < BOUND, "not within {BOUND:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
