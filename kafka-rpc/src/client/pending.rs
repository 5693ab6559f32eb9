//! The calls that wait for a reply.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{CallError, Progress};

/// The value of a reply, or why there will be none. The value is read by the caller, not by the reply thread.
pub(crate) type Answer = Result<Bytes, CallError>;

/// Where a reply goes. A sink and not a one-shot, so that a call with several replies can be one too.
#[derive(Debug)]
enum Sink {
    Once(oneshot::Sender<Answer>),
}

impl Sink {
    fn deliver(self, answer: Answer) {
        let Self::Once(caller) = self;
        // A caller that has just gone is no error: its call is forgotten either way.
        let _gone = caller.send(answer);
    }
}

/// The calls of a process that wait for a reply, by correlation id.
#[derive(Debug)]
pub(crate) struct Pending {
    limit: usize,
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    waiting: HashMap<Uuid, Waiting>,
    closed: bool,
}

#[derive(Debug)]
struct Waiting {
    sink: Sink,
    progress: Progress,
}

impl Pending {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, calls: Mutex::default() })
    }

    /// Adds a call. It is forgotten when what this returns is dropped.
    pub(crate) fn register(self: &Arc<Self>, id: Uuid) -> Result<PendingCall, CallError> {
        let (caller, answer) = oneshot::channel();
        let mut calls = self.lock();
        if calls.closed {
            return Err(CallError::ShuttingDown);
        }
        if calls.waiting.len() >= self.limit {
            return Err(CallError::Overloaded {
                reason: format!("{} calls wait for replies already (`max_calls_in_flight`)", self.limit),
            });
        }
        calls.waiting.insert(id, Waiting { sink: Sink::Once(caller), progress: Progress::NotSent });
        drop(calls);
        Ok(PendingCall { pending: Arc::clone(self), id, answer })
    }

    /// Notes how far a request has got.
    pub(crate) fn progress(&self, id: Uuid, progress: Progress) {
        if let Some(waiting) = self.lock().waiting.get_mut(&id) {
            waiting.progress = progress;
        }
    }

    /// Whether a call waits for this reply.
    pub(crate) fn waits(&self, id: Uuid) -> bool {
        self.lock().waiting.contains_key(&id)
    }

    /// Ends a call; false if nobody waits (any more).
    pub(crate) fn complete(&self, id: Uuid, answer: Answer) -> bool {
        // Delivered outside the lock: it wakes the caller.
        let waiting = self.lock().waiting.remove(&id);
        let found = waiting.is_some();
        if let Some(waiting) = waiting {
            waiting.sink.deliver(answer);
        }
        found
    }

    /// Ends every call, and refuses new ones.
    pub(crate) fn close(&self) {
        let waiting = {
            let mut calls = self.lock();
            calls.closed = true;
            std::mem::take(&mut calls.waiting)
        };
        for waiting in waiting.into_values() {
            waiting.sink.deliver(Err(CallError::ShuttingDown));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that waits. Resolves to its answer; dropping it forgets the call.
#[derive(Debug)]
pub(crate) struct PendingCall {
    pending: Arc<Pending>,
    id: Uuid,
    answer: oneshot::Receiver<Answer>,
}

impl PendingCall {
    /// How far the request has got.
    pub(crate) fn progress(&self) -> Progress {
        self.pending.lock().waiting.get(&self.id).map_or(Progress::Unknown, |waiting| waiting.progress)
    }
}

impl Future for PendingCall {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        // The sink goes only with the table.
        Pin::new(&mut self.answer).poll(cx).map(|answer| answer.unwrap_or(Err(CallError::ShuttingDown)))
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        self.pending.lock().waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reply_ends_the_call_it_belongs_to_and_only_once() {
        let pending = Pending::new(8);
        let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
        let call = pending.register(one).expect("room");
        let _other = pending.register(other).expect("room");
        assert!(pending.complete(one, Ok(Bytes::from_static(b"1"))));
        assert!(!pending.complete(one, Ok(Bytes::from_static(b"2"))), "a duplicate is dropped");
        assert_eq!(call.await, Ok(Bytes::from_static(b"1")));
        assert!(pending.waits(other));
    }

    #[test]
    fn a_dropped_call_is_forgotten_at_once() {
        let pending = Pending::new(1);
        let id = Uuid::new_v4();
        drop(pending.register(id).expect("room"));
        assert!(!pending.waits(id));
        assert!(pending.register(Uuid::new_v4()).is_ok(), "its place is free");
    }

    #[test]
    fn one_call_more_than_the_bound_is_refused_with_its_name() {
        let pending = Pending::new(1);
        let _call = pending.register(Uuid::new_v4()).expect("room");
        let error = pending.register(Uuid::new_v4()).expect_err("full").to_string();
        assert!(error.contains("max_calls_in_flight"), "{error}");
    }

    #[tokio::test]
    async fn closing_ends_every_call_and_refuses_new_ones() {
        let pending = Pending::new(8);
        let call = pending.register(Uuid::new_v4()).expect("room");
        pending.close();
        assert_eq!(call.await, Err(CallError::ShuttingDown));
        assert_eq!(pending.register(Uuid::new_v4()).map(drop), Err(CallError::ShuttingDown));
    }

    #[test]
    fn a_call_knows_how_far_its_request_has_got() {
        let pending = Pending::new(8);
        let id = Uuid::new_v4();
        let call = pending.register(id).expect("room");
        assert_eq!(call.progress(), Progress::NotSent);
        pending.progress(id, Progress::Acknowledged);
        assert_eq!(call.progress(), Progress::Acknowledged);
    }
}
