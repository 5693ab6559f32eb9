//! What a running handler passes on to the calls it makes: that a handler makes them, and its deadline.

use std::{future::Future, time::Instant};

tokio::task_local! {
    static DEADLINE: Option<Instant>;
}

/// Runs a handler so that every call it makes, except for events, ends no later than the handler's caller
/// waits or the handler itself may take.
pub(crate) fn of_handler<F: Future>(
    deadline: Option<Instant>,
    handler: F,
) -> impl Future<Output = F::Output> {
    DEADLINE.scope(deadline, handler)
}

/// The deadline of the handler that runs in this task, if one does and has a deadline.
pub(crate) fn deadline() -> Option<Instant> {
    DEADLINE.try_with(|deadline| *deadline).ok().flatten()
}

/// Whether a handler runs in this task. Its calls continue while a shutdown drains, because the handler could
/// not end without them.
pub(crate) fn is_handler() -> bool {
    DEADLINE.try_with(|_| ()).is_ok()
}
