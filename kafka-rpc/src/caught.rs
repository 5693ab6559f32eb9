//! Panics that must not end a thread.
//!
//! What a user plugs in (a recorder of metrics, a subscriber of logs) runs on the threads that poll librdkafka, and may
//! panic there: a subscriber that writes to a pipe does once nobody reads it.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs this; `None` where it panicked, which is told in the log if that is possible.
pub(crate) fn caught<T>(what: &str, run: impl FnOnce() -> T) -> Option<T> {
    if let Ok(done) = catch_unwind(AssertUnwindSafe(run)) {
        return Some(done);
    }
    // It may have been the log that panicked.
    let _told = catch_unwind(|| tracing::error!("{what} panicked; the panic itself says where"));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_panics_gives_nothing_and_goes_on() {
        assert_eq!(caught("a sum", || 1 + 1), Some(2));
        assert_eq!(caught("a sum", || panic!("by a recorder")), None::<u8>);
    }
}
