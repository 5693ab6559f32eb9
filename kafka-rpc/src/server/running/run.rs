//! Runs a record, and carries out its outcome.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt as _;

use crate::{
    RpcError,
    caught::caught,
    handler::context::Input,
    moment,
    server::{
        handling::outcome::Outcome,
        job::{OwedReply, Step, Taken},
        settling::settle::settled,
        worker::Worker,
    },
    telemetry,
    wire::{ReceivedRecord, retry},
};

/// How far the clocks of hosts may differ before a due time counts as nonsense.
const CLOCKS: Duration = Duration::from_mins(1);

impl Worker {
    /// Runs a record and catches any panic on its way: an uncaught panic would keep the record's lane and
    /// place for ever.
    ///
    /// `input` is where the record is unpacked, in place of the one before.
    pub(super) async fn run_caught(self: &Arc<Self>, taken: &Taken, input: &mut Arc<Input>) -> Step {
        match AssertUnwindSafe(self.run(taken, input)).catch_unwind().await {
            Ok(step) => step,
            Err(_panic) => {
                // Logging may be what panics.
                caught("logging a panic", || {
                    tracing::error!(
                        topic = %self.source, partition = taken.record.partition(),
                        offset = taken.record.offset(), group = %self.served.group,
                        "the runtime panicked outside of a handler; the record has failed for good"
                    );
                });
                let error = RpcError::internal("the runtime panicked outside of the handler");
                telemetry::failed(&self.served.topic, &self.served.group, error.status());
                let failed = async { self.fail(taken, &taken.record.unpack(), error).await };
                Box::pin(self.caught_or_left(taken, failed)).await
            }
        }
    }

    /// Runs a record, and carries out its outcome.
    ///
    /// Rare outcomes are in boxes: otherwise every handler that waits would keep room for all of them.
    async fn run(self: &Arc<Self>, taken: &Taken, input: &mut Arc<Input>) -> Step {
        match Arc::get_mut(input) {
            Some(before) => taken.record.unpack_into(&mut before.record),
            // The report of a slow handler still reads the input of the record before.
            None => *input = Arc::new(self.handling.input(&self.served, taken.record.unpack())),
        }
        let record = &input.record;
        if let Some(wait) = self.not_yet_due(record) {
            return Step::NotYet(wait);
        }
        match self.handling.handle(&self.served, input, taken.retries, moment::both_clocks).await {
            Outcome::Handled => Step::Ends(settled(&self.metrics.handled)),
            Outcome::Expired => {
                self.report_expired(record);
                Step::Ends(settled(&self.metrics.expired))
            }
            Outcome::Reply(record) => Step::Reply(OwedReply { record, letter: None }),
            Outcome::ErrorReply { reply: record, failed } => {
                self.report_answered(taken, &input.record, &failed);
                Step::Reply(OwedReply { record, letter: None })
            }
            Outcome::Retry { after, failed } => {
                self.metrics.retried.increment(1);
                let what = "a record failed; it is retried in the process";
                self.report(taken, record, &failed, what);
                Step::Again(after)
            }
            Outcome::RetryLater { record: again, failed } => {
                let what = "a record failed; it is retried through the retry topic";
                self.report(taken, record, &failed, what);
                Box::pin(self.retry_later(taken, record, again, failed.error)).await
            }
            Outcome::DeadLetter { letter, reply, failed } => {
                let what = "a record failed for good, and goes to the dead-letter topic";
                self.report(taken, record, &failed, what);
                Box::pin(self.send_failure(taken, Some(letter), reply)).await
            }
            Outcome::Discarded(failed) => {
                let what = "a record failed for good, and is discarded: there is no dead-letter topic for it";
                self.report(taken, record, &failed, what);
                Step::Ends(settled(&self.metrics.discarded))
            }
        }
    }

    /// How long a record of the retry topic still has to wait.
    fn not_yet_due(&self, record: &ReceivedRecord) -> Option<Duration> {
        if !self.reads_retries() {
            return None;
        }
        let due = retry::due(record.headers.as_ref().ok()?)?;
        let wait = due.duration_since(SystemTime::now()).ok()?;
        // A record that is due later was not written by us, or was written by another clock: the records
        // behind it must not wait for that.
        (!wait.is_zero() && wait <= self.longest_delay.saturating_add(CLOCKS)).then_some(wait)
    }
}
