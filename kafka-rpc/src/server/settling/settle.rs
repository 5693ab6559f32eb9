//! Carries out the outcome of a record: a reply, a dead letter and then a reply, or a retry on another topic.
//! The record's end is final once all of that is delivered.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;

use super::{delivery::DeliveryEnd, error_records, held::Held};
use crate::{
    RpcError,
    caught::caught,
    server::{
        handling::outcome::Outcome,
        job::{End, Letter, OwedReply, Step, Taken},
        worker::Worker,
    },
    telemetry::{self, Count},
    wire::{OutgoingRecord, ReceivedRecord},
};

impl Worker {
    /// Carries out the outcome of a record.
    ///
    /// Rare outcomes are in boxes: otherwise every handler that waits would keep room for all of them.
    pub(in crate::server) async fn settle(
        self: &Arc<Self>,
        taken: &Taken,
        record: &ReceivedRecord,
        outcome: Outcome,
    ) -> Step {
        match outcome {
            Outcome::Handled => Step::Ends(settled(&self.metrics.handled)),
            Outcome::Expired => {
                self.report_expired(record);
                Step::Ends(settled(&self.metrics.expired))
            }
            Outcome::Reply(reply) => Step::Reply(OwedReply { record: reply, letter: None }),
            Outcome::ErrorReply { reply, failed } => {
                self.report_answered(taken, record, &failed);
                Step::Reply(OwedReply { record: reply, letter: None })
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

    /// Gives up a record after a panic outside of its handler.
    pub(in crate::server) async fn fail_after_panic(self: &Arc<Self>, taken: &Taken) -> Step {
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

    /// Sends a reply again, as often as it takes. The reply may hold its record's partition since it was
    /// first sent.
    pub(super) async fn reply_again<'a>(
        self: &'a Arc<Self>,
        taken: &'a Taken,
        OwedReply { record, letter }: &OwedReply,
        held: Option<Held<'a>>,
    ) -> End {
        match self.send_reply_again(taken, record, held).await {
            DeliveryEnd::Done => settled(self.counter(*letter, &self.metrics.replied)),
            DeliveryEnd::Left => End::Left,
            DeliveryEnd::Expired => settled(self.counter(*letter, &self.metrics.expired)),
            DeliveryEnd::Refused(refusal) => match letter {
                None => self.dead_letter_refused(taken, record, refusal).await,
                Some(letter) => settled(self.letter_counter(*letter)),
            },
        }
    }

    /// The counter of a record: that of its dead letter, if it has one, whatever becomes of its reply.
    pub(super) fn counter<'a>(&'a self, letter: Option<Letter>, without: &'a Count) -> &'a Count {
        letter.map_or(without, |letter| self.letter_counter(letter))
    }

    fn letter_counter(&self, letter: Letter) -> &Count {
        match letter {
            Letter::Delivered => &self.metrics.dead_lettered,
            Letter::Lost => &self.metrics.lost,
        }
    }

    /// Sends a record to its retry topic. If the topic refuses the record for good, such as for its size, the
    /// record has failed.
    async fn retry_later(
        self: &Arc<Self>,
        taken: &Taken,
        record: &ReceivedRecord,
        again: Arc<OutgoingRecord>,
        error: RpcError,
    ) -> Step {
        match self.send_retry(taken, again).await {
            DeliveryEnd::Done => Step::Ends(settled(&self.metrics.retried_later)),
            DeliveryEnd::Refused(_told) => self.fail(taken, record, error).await,
            // Only replies expire before they are delivered.
            DeliveryEnd::Left | DeliveryEnd::Expired => Step::Ends(End::Left),
        }
    }

    /// Gives up a record outside its run: its retry was refused for good, or something panicked.
    async fn fail(self: &Arc<Self>, taken: &Taken, record: &ReceivedRecord, error: RpcError) -> Step {
        let reply =
            error_records::error_reply(&self.served, record, &error).filter(|reply| self.may_reply(reply));
        self.send_failure(taken, error_records::letter(&self.served, record, taken.retries, error), reply)
            .await
    }

    /// Whether this reply may be sent: a panic may have come before the run checked it.
    fn may_reply(&self, reply: &OutgoingRecord) -> bool {
        self.handling.reply_topics.allows(&self.served, &reply.topic)
    }

    /// Sends the letter, if any, of a record that has failed for good. The reply, if any, is the next step.
    async fn send_failure(
        self: &Arc<Self>,
        taken: &Taken,
        letter: Option<Arc<OutgoingRecord>>,
        reply: Option<Arc<OutgoingRecord>>,
    ) -> Step {
        let mut sent = None;
        // The dead letter first: a caller may look for it as soon as it has the reply.
        if let Some(letter) = letter {
            sent = self.deliver_letter(taken, letter).await;
            if sent.is_none() {
                return Step::Ends(End::Left);
            }
        }
        match reply {
            // Not sent from here: a reply that does not arrive must not keep the place of a handler.
            Some(record) => Step::Reply(OwedReply { record, letter: sent }),
            None => Step::Ends(settled(self.counter(sent, &self.metrics.discarded))),
        }
    }

    /// Dead-letters a record whose reply was refused for good, so that the failure does not go unnoticed.
    async fn dead_letter_refused(
        self: &Arc<Self>,
        taken: &Taken,
        reply: &OutgoingRecord,
        refusal: RpcError,
    ) -> End {
        let record = taken.record.unpack();
        let error = error_records::undelivered(&self.served, &record, reply, refusal);
        match error_records::letter(&self.served, &record, taken.retries, error) {
            Some(letter) => {
                let sent = self.deliver_letter(taken, letter).await;
                sent.map_or(End::Left, |sent| settled(self.letter_counter(sent)))
            }
            None => settled(&self.metrics.discarded),
        }
    }

    /// Sends a dead letter; returns what became of it, or `None` if its record's partition went.
    ///
    /// A letter that is refused for good, such as by the rules of its topic, stops no partition: otherwise
    /// anyone who writes such records could stop any partition.
    async fn deliver_letter(self: &Arc<Self>, taken: &Taken, letter: Arc<OutgoingRecord>) -> Option<Letter> {
        let to = Arc::clone(&letter.topic);
        match self.send_letter(taken, letter).await {
            DeliveryEnd::Done => Some(Letter::Delivered),
            DeliveryEnd::Left | DeliveryEnd::Expired => None,
            DeliveryEnd::Refused(refusal) => {
                // The reason is ours to log: the letter holds the text of the handler's error, the refusal
                // does not.
                tracing::error!(
                    %to, topic = %self.source, partition = taken.record.partition(), offset = taken.record.offset(),
                    group = %self.served.group, reason = refusal.message(),
                    "a dead letter was refused for good; the failed record exists only in its own topic"
                );
                Some(Letter::Lost)
            }
        }
    }

    /// Does what is left to do for a record. If that panics too, the record is read again, with all
    /// unfinished records of its partition.
    pub(super) async fn caught_or_left<T: From<End>>(
        &self,
        taken: &Taken,
        rest: impl Future<Output = T>,
    ) -> T {
        AssertUnwindSafe(rest).catch_unwind().await.unwrap_or_else(|_panic| {
            self.state().partitions.go_back(taken.record.partition(), taken.generation);
            self.flow_has_changed();
            End::Left.into()
        })
    }
}

/// Counts a record whose outcome is final, and returns its end.
pub(super) fn settled(counter: &Count) -> End {
    counter.increment(1);
    End::Final
}
