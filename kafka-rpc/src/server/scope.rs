//! What a running handler lends to the calls it makes: that they are a handler's, and its deadline.

use std::{future::Future, time::Instant};

tokio::task_local! {
    static DEADLINE: Option<Instant>;
}

/// Runs a handler so that every call it makes, but for events, ends no later than its own caller waits, or it itself may take.
pub(crate) fn of_handler<F: Future>(
    deadline: Option<Instant>,
    handler: F,
) -> impl Future<Output = F::Output> {
    DEADLINE.scope(deadline, handler)
}

/// The deadline of the handler that is running here, if one is and has one.
pub(crate) fn deadline() -> Option<Instant> {
    DEADLINE.try_with(|deadline| *deadline).ok().flatten()
}

/// Whether a handler is running here. Its calls go on while a shutdown drains, because it could not end without.
pub(crate) fn is_handler() -> bool {
    DEADLINE.try_with(|_| ()).is_ok()
}
