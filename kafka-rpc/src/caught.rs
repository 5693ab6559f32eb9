//! Panics that must not end a thread.
//!
//! Code that a user plugs in (a metrics recorder, a log subscriber) runs on the threads that poll librdkafka,
//! and may panic there. A subscriber that writes to a pipe, for example, panics once the pipe has no reader.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `run`. Returns `None` if it panics, and logs the panic if logging still works.
pub(crate) fn caught<T>(what: &str, run: impl FnOnce() -> T) -> Option<T> {
    if let Ok(done) = catch_unwind(AssertUnwindSafe(run)) {
        return Some(done);
    }
    // The log itself may be what panicked.
    let _told = catch_unwind(|| tracing::error!("{what} panicked; the panic message says where"));
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
