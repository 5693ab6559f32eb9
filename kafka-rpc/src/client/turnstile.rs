//! The order in which calls to a topic are sent: as they were made, even if some have to wait first.
//!
//! A call is sent when it is first polled, so calls with the same key that start one after the other stay in
//! order without waiting for each other. Calls that cannot be sent at once, because their reply topic is
//! still being looked up or too many are in flight, line up here, and calls that come while any wait line up
//! behind them. They wait for their turns in tasks: a call that its caller does not poll for a while must not
//! keep others from being sent.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use futures_util::{
    future::{self, Either},
    poll,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::unpoisoned::Unpoisoned as _;

/// The line of calls that wait to be sent to a topic.
#[derive(Debug)]
pub(crate) struct Turnstile {
    /// Hands out turns in the order in which they were requested.
    turns: Arc<Semaphore>,
    waiting: Mutex<usize>,
    /// Whether the line is empty, which is all that most calls ever check.
    open: AtomicBool,
}

/// The right to send. Dropping it passes the turn to the next in line.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Declared, and so dropped, before the place: a call that finds the line empty must not find another one
    /// sending.
    _permit: Option<OwnedSemaphorePermit>,
    _place: Place,
}

/// A place in the line, for as long as this lives.
#[derive(Debug)]
struct Place(Arc<Turnstile>);

impl Turnstile {
    pub(crate) fn new() -> Arc<Self> {
        let turns = Arc::new(Semaphore::new(1));
        Arc::new(Self { turns, waiting: Mutex::new(0), open: AtomicBool::new(true) })
    }

    /// Whether the line is empty, so that a call may be sent at once.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Lines up at the first poll, and waits for the turn.
    pub(crate) async fn turn(self: Arc<Self>) -> Turn {
        let place = Arc::clone(&self).line_up();
        // The semaphore is never closed.
        let permit = Arc::clone(&self.turns).acquire_owned().await.ok();
        Turn { _permit: permit, _place: place }
    }

    /// Lines up now, and returns a future that waits for the turn and can be moved into a task.
    pub(crate) async fn lined_up(self: &Arc<Self>) -> impl Future<Output = Turn> + Send + use<> {
        let mut turn = Box::pin(Arc::clone(self).turn());
        match poll!(&mut turn) {
            Poll::Ready(turn) => Either::Left(future::ready(turn)),
            Poll::Pending => Either::Right(turn),
        }
    }

    fn line_up(self: Arc<Self>) -> Place {
        let mut waiting = self.waiting.lock().unpoisoned();
        *waiting += 1;
        self.open.store(false, Ordering::Release);
        drop(waiting);
        Place(self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock().unpoisoned();
        *waiting -= 1;
        self.0.open.store(*waiting == 0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn turns_come_in_the_order_in_which_they_were_asked_for() {
        let turnstile = Turnstile::new();
        let first = Arc::clone(&turnstile).turn().await;
        let mut second = Box::pin(Arc::clone(&turnstile).turn());
        let mut third = Box::pin(Arc::clone(&turnstile).turn());
        assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        drop(first);
        assert!(poll!(&mut third).is_pending(), "the second is before it");
        let turn = second.now_or_never().expect("its turn");
        assert!(!turnstile.is_open());
        drop(turn);
        drop(third.now_or_never().expect("its turn"));
        assert!(turnstile.is_open());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_holds_up_nobody() {
        let turnstile = Turnstile::new();
        let first = Arc::clone(&turnstile).turn().await;
        let mut second = Box::pin(Arc::clone(&turnstile).turn());
        let mut third = Box::pin(Arc::clone(&turnstile).turn());
        assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        drop(second);
        drop(first);
        assert!(!turnstile.is_open(), "the third waits");
        drop(third.await);
        assert!(turnstile.is_open());
    }
}
