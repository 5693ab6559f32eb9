//! Waiting for a condition, with a bound.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How long anything may take: far longer than it does, so that only a hang reaches this bound.
pub const BOUND: Duration = Duration::from_mins(1);

/// Waits until `condition` returns a value.
///
/// # Panics
///
/// If `condition` returns none within [`BOUND`].
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

/// Waits until `condition` is true.
///
/// # Panics
///
/// If it is not within [`BOUND`].
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, || condition().then_some(())).await;
}

/// Opens a gate when dropped, also if the test fails. A handler that blocks its thread at the gate would
/// otherwise keep the runtime from ending, and the failure from being reported.
#[derive(Debug)]
pub struct OpensAtLast(pub Arc<AtomicBool>);

impl Drop for OpensAtLast {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
