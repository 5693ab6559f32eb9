//! Waiting for a condition, with a bound.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

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

/// Opens a gate when it goes, also where the test fails: a handler that blocks its thread at one would keep the runtime
/// from ending, and the test from being told.
#[derive(Debug)]
pub struct OpensAtLast(pub Arc<AtomicBool>);

impl Drop for OpensAtLast {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
