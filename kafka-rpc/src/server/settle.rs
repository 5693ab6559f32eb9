//! Tells of what became of a record: by a reply, by a letter and then a reply, or from another topic. Its end is final once
//! that is delivered.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;

use super::{
    delivery::{Before, DeliveryEnd},
    error_records,
    held::Held,
    job::{End, Taken},
    worker::Worker,
};
use crate::{
    RpcError,
    telemetry::Count,
    wire::{OutgoingRecord, ReceivedRecord},
};

impl Worker {
    /// Sends a reply once more, as often as it takes. It may hold its partition since it was sent before.
    pub(super) async fn reply_again<'a>(
        self: &'a Arc<Self>,
        taken: &'a Taken,
        reply: &Arc<OutgoingRecord>,
        held: Option<Held<'a>>,
    ) -> End {
        match self.send_reply(taken, reply, Before::Sent(held)).await {
            DeliveryEnd::Done => settled(&self.metrics.replied),
            DeliveryEnd::Left => End::Left,
            DeliveryEnd::Expired => settled(&self.metrics.expired),
            DeliveryEnd::Refused(refusal) => self.dead_letter_refused(taken, reply, refusal).await,
        }
    }

    /// Sends a record to its retry topic. One that is refused there for good, such as for its size, has failed.
    pub(super) async fn retry_later(
        self: &Arc<Self>,
        taken: &Taken,
        record: &ReceivedRecord,
        again: Arc<OutgoingRecord>,
        error: RpcError,
    ) -> End {
        match self.send_retry(taken, again).await {
            DeliveryEnd::Done => settled(&self.metrics.retried_later),
            DeliveryEnd::Refused(_told) => self.fail(taken, record, error).await,
            // Only a reply expires on its way.
            DeliveryEnd::Left | DeliveryEnd::Expired => End::Left,
        }
    }

    /// Gives up a record outside its run: its retry was refused for good, or something panicked.
    pub(super) async fn fail(
        self: &Arc<Self>,
        taken: &Taken,
        record: &ReceivedRecord,
        error: RpcError,
    ) -> End {
        let reply =
            error_records::error_reply(&self.served, record, &error).filter(|reply| self.may_reply(reply));
        self.send_failure(taken, error_records::letter(&self.served, record, taken.retries, error), reply)
            .await
    }

    /// Whether this may be answered: what has panicked may be before that was asked.
    fn may_reply(&self, reply: &OutgoingRecord) -> bool {
        self.served.reply_topic.is_some() && self.handling.reply_topics.allows(&self.served, &reply.topic)
    }

    /// Tells of a record that has failed for good, by a letter and a reply where there is one.
    pub(super) async fn send_failure(
        self: &Arc<Self>,
        taken: &Taken,
        letter: Option<Arc<OutgoingRecord>>,
        reply: Option<Arc<OutgoingRecord>>,
    ) -> End {
        let mut counter = None;
        // The letter first: once the caller has its answer, it may look for it.
        if let Some(letter) = letter {
            counter = self.deliver_letter(taken, letter).await;
            if counter.is_none() {
                return End::Left;
            }
        }
        if let Some(reply) = reply {
            match self.send_reply(taken, &reply, Before::Nothing).await {
                DeliveryEnd::Left => return End::Left,
                DeliveryEnd::Done => counter = counter.or(Some(&self.metrics.replied)),
                DeliveryEnd::Refused(_) | DeliveryEnd::Expired => {}
            }
        }
        settled(counter.unwrap_or(&self.metrics.discarded))
    }

    /// A reply that was refused for good is not silence: it is a dead letter.
    async fn dead_letter_refused(
        self: &Arc<Self>,
        taken: &Taken,
        reply: &OutgoingRecord,
        refusal: RpcError,
    ) -> End {
        let record = taken.record.unpack();
        let error = error_records::undelivered(&self.served, &record, reply, refusal);
        match error_records::letter(&self.served, &record, taken.retries, error) {
            Some(letter) => self.deliver_letter(taken, letter).await.map_or(End::Left, settled),
            None => settled(&self.metrics.discarded),
        }
    }

    /// Sends a dead letter; gives what counts its record, or `None` where its partition went.
    ///
    /// A letter that is refused for good, such as for the rules of its topic, stops no partition: whoever writes such records
    /// could stop any.
    async fn deliver_letter(self: &Arc<Self>, taken: &Taken, letter: Arc<OutgoingRecord>) -> Option<&Count> {
        match self.send_letter(taken, letter).await {
            DeliveryEnd::Done => Some(&self.metrics.dead_lettered),
            DeliveryEnd::Left | DeliveryEnd::Expired => None,
            DeliveryEnd::Refused(_told) => {
                tracing::error!(
                    topic = %self.source, partition = taken.record.partition(), offset = taken.record.offset(),
                    group = %self.served.group,
                    "a dead letter was refused for good; the failed record exists only in its own topic"
                );
                Some(&self.metrics.lost)
            }
        }
    }

    /// What is left to do for a record; where that panics too, it is read again, with all that is not finished.
    pub(super) async fn caught_or_left(&self, taken: &Taken, rest: impl Future<Output = End>) -> End {
        AssertUnwindSafe(rest).catch_unwind().await.unwrap_or_else(|_panic| {
            self.state().partitions.go_back(taken.record.partition(), taken.generation);
            self.flow_has_changed();
            End::Left
        })
    }
}

/// The end of a record whose outcome is final, which is counted.
pub(super) fn settled(counter: &Count) -> End {
    counter.increment(1);
    End::Final
}
