//! Runs the handler of a record: bounded by the deadline, caught when it panics.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::FutureExt as _;

use super::{
    Served,
    outcome::{self, Outcome, ReplyTopics},
    received::Received,
    scope,
};
use crate::{
    Client, Context, CorrelationId, Deadline, Reply, RpcError,
    handler::state::States,
    wire::{Dialect, RequestHeaders},
};

/// What every handler of a process shares.
#[derive(Debug)]
pub(crate) struct Handling {
    pub(crate) states: Arc<States>,
    pub(crate) client: Client,
    pub(crate) clock_skew: Duration,
    pub(crate) reply_topics: ReplyTopics,
}

/// What a handler's run ended with, before anybody is told.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Nobody waits any more: it was not run.
    Expired,
    /// The handler's word, or why it could not be asked.
    Answered(Result<Reply, RpcError>),
}

impl Handling {
    /// Takes a record from its bytes to its outcome.
    pub(crate) async fn handle(&self, served: &Served, record: &Received) -> Outcome {
        let Ok(headers) = &record.headers else {
            return Outcome::Failed(RpcError::bad_request(
                "a header's name is not UTF-8, so no reply can be addressed",
            ));
        };
        let dialect = Dialect::default();
        let request = dialect.read_request(headers);
        if let Err(error) = self.reply_topics.check(served, &request) {
            return Outcome::Failed(error);
        }
        let ended = self.run(served, record, &request).await;
        outcome::conclude(dialect, &request, ended)
    }

    async fn run(&self, served: &Served, record: &Received, request: &RequestHeaders) -> Ended {
        let now = (Instant::now(), SystemTime::now());
        let deadline = request.deadline.and_then(|wall| Deadline::at_wall(wall, now));
        if deadline.is_some_and(|deadline| deadline.has_passed(self.clock_skew)) {
            return Ended::Expired;
        }
        let dispatched = match served.dispatch.find(record.value.as_ref()) {
            Ok(dispatched) => dispatched,
            Err(error) => return Ended::Answered(Err(error)),
        };
        let context = Context {
            info: record.info(),
            headers: record.headers.clone().unwrap_or_default(),
            payload: dispatched.payload,
            user_id: dispatched.user_id,
            correlation_id: request.correlation_id.clone().map(CorrelationId),
            deadline,
            states: Arc::clone(&self.states),
            client: self.client.clone(),
        };
        let run = dispatched.handler.run;
        // The call itself is inside: a handler's first steps can panic too.
        let handler = AssertUnwindSafe(async move { run(context).await }).catch_unwind();
        let caught = scope::with_deadline(deadline.map(|deadline| deadline.instant()), handler).await;
        Ended::Answered(caught.unwrap_or_else(|panic| {
            tracing::error!(
                topic = %record.topic, partition = record.partition, offset = record.offset,
                handler = %dispatched.handler.location, panic = panic_message(&*panic),
                "a handler panicked; its record is answered with a 500"
            );
            Err(RpcError::internal("the handler panicked"))
        }))
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(not a text)")
}
