//! The calls that wait for a reply.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use crate::{CallError, Progress, telemetry, unpoisoned::Unpoisoned as _, wire::ReceivedReply};

/// A reply, or why there will be none. The reply is decoded by the caller, not by the reply thread.
pub(crate) type CallEnd = Result<ReceivedReply, Ended>;

/// Why a waiting call gets no reply. It names no topic, because it may end all calls at once, or come from
/// code that does not know the call's topic. The caller that waits knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    ShuttingDown,
    /// With the reason.
    Undeliverable(String),
}

impl Ended {
    /// Returns the error of a call to this topic, which is the cluster's name.
    pub(crate) fn of_call_to(self, topic: &str, progress: Progress) -> CallError {
        match self {
            Self::ShuttingDown => CallError::ShuttingDown { progress },
            Self::Undeliverable(reason) => CallError::undeliverable(topic, progress, reason),
        }
    }
}

/// Where a reply goes. An enum and not just a one-shot sender, so that a call with several replies can be
/// added.
#[derive(Debug)]
enum Sink {
    Once(oneshot::Sender<CallEnd>),
}

impl Sink {
    fn deliver(self, answer: CallEnd) {
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
    /// Notified whenever a call ends, for calls that wait for a place.
    place: Notify,
    in_flight: telemetry::CallsInFlight,
}

#[derive(Debug, Default)]
struct Calls {
    waiting: HashMap<Uuid, WaitingCall>,
    closed: Closed,
}

/// Whose calls are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Closed {
    #[default]
    Nobodys,
    /// All calls but those of handlers, which could not finish without them.
    Others,
    All,
}

/// A call that waits for its reply. It stays in the table until it is taken out, by code that must then
/// answer it.
#[derive(Debug)]
pub(crate) struct WaitingCall {
    sink: Sink,
    of_handler: bool,
}

impl WaitingCall {
    /// Ends the call.
    pub(crate) fn answer(self, answer: CallEnd) {
        self.sink.deliver(answer);
    }
}

/// How far a request has got, shared by the call and the delivery of its request.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedProgress(Arc<AtomicU8>);

impl SharedProgress {
    const NOT_SENT: u8 = 0;
    const UNKNOWN: u8 = 1;
    const ACKNOWLEDGED: u8 = 2;

    pub(crate) fn note(&self, progress: Progress) {
        let noted = match progress {
            Progress::NotSent => Self::NOT_SENT,
            Progress::Unknown => Self::UNKNOWN,
            Progress::Acknowledged => Self::ACKNOWLEDGED,
        };
        self.0.store(noted, Ordering::Release);
    }

    pub(crate) fn get(&self) -> Progress {
        match self.0.load(Ordering::Acquire) {
            Self::NOT_SENT => Progress::NotSent,
            Self::ACKNOWLEDGED => Progress::Acknowledged,
            _ => Progress::Unknown,
        }
    }
}

impl Closed {
    fn check(self, of_handler: bool) -> Result<(), CallError> {
        let is_refused = self == Self::All || (self == Self::Others && !of_handler);
        if is_refused { Err(CallError::ShuttingDown { progress: Progress::NotSent }) } else { Ok(()) }
    }
}

impl Pending {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            calls: Mutex::default(),
            place: Notify::new(),
            in_flight: telemetry::CallsInFlight::default(),
        })
    }

    /// Adds a call, which is forgotten when the returned value is dropped.
    pub(crate) fn register(self: &Arc<Self>, id: Uuid, of_handler: bool) -> Result<PendingCall, CallError> {
        let (caller, answer) = oneshot::channel();
        let mut calls = self.lock();
        calls.closed.check(of_handler)?;
        if calls.waiting.len() >= self.limit {
            return Err(CallError::Overloaded {
                reason: format!("{} calls already wait for replies (`max_calls_in_flight`)", self.limit),
            });
        }
        calls.waiting.insert(id, WaitingCall { sink: Sink::Once(caller), of_handler });
        self.in_flight.set(calls.waiting.len());
        drop(calls);
        Ok(PendingCall {
            pending: Arc::clone(self),
            id,
            answer,
            progress: SharedProgress::default(),
            has_ended: false,
        })
    }

    /// Adds a call once there is a place for it.
    pub(crate) async fn register_when_free(
        self: &Arc<Self>,
        id: Uuid,
        of_handler: bool,
    ) -> Result<PendingCall, CallError> {
        loop {
            // Listens before trying, so that a place that is freed in between is not missed.
            let mut place = std::pin::pin!(self.place.notified());
            place.as_mut().enable();
            match self.register(id, of_handler) {
                Err(CallError::Overloaded { .. }) => place.await,
                registered => return registered,
            }
        }
    }

    /// Takes out the call with this id, to answer it; `None` if no such call waits (any more).
    pub(crate) fn take(&self, id: Uuid) -> Option<WaitingCall> {
        let mut calls = self.lock();
        let removed = calls.waiting.remove(&id);
        if removed.is_some() {
            self.in_flight.set(calls.waiting.len());
            drop(calls);
            self.place.notify_one();
        }
        removed
    }

    /// Whether a call still waits for its reply.
    pub(crate) fn waits(&self, id: Uuid) -> bool {
        self.lock().waiting.contains_key(&id)
    }

    /// Ends every call but those of handlers, and refuses new ones, because a shutdown begins.
    pub(crate) fn close_to_others(&self) {
        self.refuse(Closed::Others);
        self.end_all(|waiting| !waiting.of_handler, &Ended::ShuttingDown);
    }

    /// Ends every call, and refuses new ones.
    pub(crate) fn close(&self) {
        self.refuse(Closed::All);
        self.end_all(|_| true, &Ended::ShuttingDown);
    }

    /// Returns an error if calls are refused: all of them after [`close`](Self::close), and those that no
    /// handler makes after [`close_to_others`](Self::close_to_others).
    pub(crate) fn check_open(&self, of_handler: bool) -> Result<(), CallError> {
        self.lock().closed.check(of_handler)
    }

    fn refuse(&self, whose: Closed) {
        let mut calls = self.lock();
        calls.closed = calls.closed.max(whose);
        drop(calls);
        self.place.notify_waiters();
    }

    /// Ends every call, because no broker can be reached.
    pub(crate) fn brokers_lost(&self, reason: &str) {
        self.end_all(|_| true, &Ended::Undeliverable(reason.to_owned()));
    }

    fn end_all(&self, which: impl Fn(&WaitingCall) -> bool, why: &Ended) {
        // Delivered outside the lock, because delivery wakes the callers.
        let ended: Vec<WaitingCall> = {
            let mut calls = self.lock();
            let ended =
                calls.waiting.extract_if(|_, waiting| which(waiting)).map(|(_, waiting)| waiting).collect();
            self.in_flight.set(calls.waiting.len());
            ended
        };
        self.place.notify_waiters();
        for waiting in ended {
            waiting.sink.deliver(Err(why.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unpoisoned()
    }
}

/// A call that waits for its reply. Resolves to the reply or why there is none; dropping it forgets the call.
#[derive(Debug)]
pub(crate) struct PendingCall {
    pending: Arc<Pending>,
    id: Uuid,
    answer: oneshot::Receiver<CallEnd>,
    progress: SharedProgress,
    has_ended: bool,
}

impl PendingCall {
    /// Replaces the call's progress with one that is already shared.
    pub(crate) fn on(mut self, progress: SharedProgress) -> Self {
        self.progress = progress;
        self
    }

    /// Forgets the call, and returns how far its request has got. In this order: a request that waits to be
    /// sent is not sent once its call is forgotten.
    pub(crate) fn forget(self) -> Progress {
        let progress = self.progress.clone();
        drop(self);
        progress.get()
    }

    /// How far the request has got.
    pub(crate) fn progress(&self) -> &SharedProgress {
        &self.progress
    }
}

impl Future for PendingCall {
    type Output = CallEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CallEnd> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| {
            self.has_ended = true;
            // The sender is dropped without an answer only if the whole table is.
            answer.unwrap_or(Err(Ended::ShuttingDown))
        })
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        if !self.has_ended {
            self.pending.take(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(value: &'static str) -> ReceivedReply {
        ReceivedReply { value: Some(value.into()), ..ReceivedReply::default() }
    }

    #[tokio::test]
    async fn a_reply_ends_the_call_it_belongs_to_and_only_once() {
        let pending = Pending::new(8);
        let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
        let call = pending.register(one, false).expect("room");
        let _other = pending.register(other, false).expect("room");
        pending.take(one).expect("it waits").answer(Ok(reply("1")));
        assert!(pending.take(one).is_none(), "a duplicate is dropped");
        assert_eq!(call.await, Ok(reply("1")));
        assert!(pending.waits(other));
    }

    #[test]
    fn a_dropped_call_is_forgotten_at_once() {
        let pending = Pending::new(1);
        let id = Uuid::new_v4();
        drop(pending.register(id, false).expect("room"));
        assert!(!pending.waits(id));
        assert!(pending.register(Uuid::new_v4(), false).is_ok(), "its place is free");
    }

    #[test]
    fn one_call_more_than_the_bound_is_refused_with_its_name() {
        let pending = Pending::new(1);
        let _call = pending.register(Uuid::new_v4(), false).expect("room");
        let error = pending.register(Uuid::new_v4(), false).expect_err("full").to_string();
        assert!(error.contains("max_calls_in_flight"), "{error}");
    }

    #[tokio::test]
    async fn closing_ends_every_call_and_refuses_new_ones() {
        let pending = Pending::new(8);
        let call = pending.register(Uuid::new_v4(), false).expect("room");
        pending.close();
        assert_eq!(call.await, Err(Ended::ShuttingDown));
        assert_eq!(
            pending.register(Uuid::new_v4(), false).map(drop),
            Err(CallError::ShuttingDown { progress: Progress::NotSent })
        );
    }

    #[tokio::test]
    async fn while_a_shutdown_drains_only_the_calls_of_handlers_go_on() {
        let pending = Pending::new(8);
        let (own, nested) = (Uuid::new_v4(), Uuid::new_v4());
        let own = pending.register(own, false).expect("room");
        let nested_call = pending.register(nested, true).expect("room");
        pending.close_to_others();
        assert_eq!(own.await, Err(Ended::ShuttingDown));
        assert!(pending.register(Uuid::new_v4(), false).is_err());
        assert!(pending.register(Uuid::new_v4(), true).is_ok());
        pending.take(nested).expect("it waits").answer(Ok(reply("")));
        assert_eq!(nested_call.await, Ok(reply("")));
    }

    #[tokio::test]
    async fn a_call_that_waits_for_a_place_gets_the_one_that_is_freed() {
        let pending = Pending::new(1);
        let first = pending.register(Uuid::new_v4(), false).expect("room");
        let waits = tokio::spawn({
            let pending = Arc::clone(&pending);
            async move { pending.register_when_free(Uuid::new_v4(), false).await.map(drop) }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert_eq!(waits.await.expect("no panic"), Ok(()));
    }

    #[tokio::test]
    async fn lost_brokers_end_every_call() {
        let pending = Pending::new(8);
        let call = pending.register(Uuid::new_v4(), true).expect("room");
        pending.brokers_lost("all brokers are down");
        assert_eq!(call.await, Err(Ended::Undeliverable("all brokers are down".to_owned())));
    }

    #[test]
    fn a_call_knows_how_far_its_request_has_got() {
        let pending = Pending::new(8);
        let id = Uuid::new_v4();
        let call = pending.register(id, false).expect("room");
        let progress = call.progress().clone();
        assert_eq!(call.progress().get(), Progress::NotSent);
        progress.note(Progress::Unknown);
        assert_eq!(call.progress().get(), Progress::Unknown);
        progress.note(Progress::Acknowledged);
        assert_eq!(call.progress().get(), Progress::Acknowledged);
    }
}
