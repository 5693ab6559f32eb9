//! Runs a handler for no longer than its timeout, and catches its panics.

use std::{
    any::Any,
    future::poll_fn,
    panic::AssertUnwindSafe,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use tokio::time;

use super::scope;
use crate::{
    Context, RpcError,
    caught::caught,
    handler::{Handler, Reply},
    moment,
};

/// How the run of a handler ended.
pub(super) enum Ran {
    Answered(Result<Reply, RpcError>),
    Panicked(Box<dyn Any + Send>),
    /// The handler was stopped after this time.
    TimedOut(Duration),
}

/// Runs a handler. The calls that it makes end at `lent`, or at its timeout if that is sooner.
pub(super) async fn run(handler: &Handler, context: Context, lent: Option<Instant>) -> Ran {
    let bound = handler.timeout.map(|bound| (bound, moment::after(moment::now(), bound)));
    let until = bound.map(|(_, until)| until);
    let lent = lent.into_iter().chain(until).min();
    let run = handler.run;
    // Called inside the future, where panics are caught and the timeout runs: a hand-written handler may
    // do its work before it returns its future.
    let running = AssertUnwindSafe(async move { run(context).await }).catch_unwind();
    let running = scope::of_handler(lent, running);
    let Some((bound, until)) = bound else {
        return running.await.map_or_else(Ran::Panicked, Ran::Answered);
    };
    let mut running = pin!(Some(running));
    let ended = poll_fn(|cx| running.as_mut().as_pin_mut().map_or(Poll::Pending, |running| running.poll(cx)));
    let ended = time::timeout_at(until.into(), ended).await;
    // What the handler's future owns may panic when it is dropped.
    let _logged = caught("dropping a handler at its timeout", || running.set(None));
    match ended {
        Ok(Err(panic)) => Ran::Panicked(panic),
        // The handler's calls end at `until` too, and the error of one may be seen first. A late call's
        // error is final, but a handler's timeout is retried, so the timeout wins.
        Ok(Ok(answer)) if answer.is_ok() || moment::now() < until => Ran::Answered(answer),
        Ok(Ok(_)) | Err(_) => Ran::TimedOut(bound),
    }
}

/// The message of a panic.
pub(super) fn message_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(not text)")
}
