//! Tells of what became of a record: by a reply, by a letter and then a reply, or from another topic. Its end is final once
//! that is delivered.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;

use super::{
    delivery::{Before, Sent},
    held::Held,
    job::{End, Task},
    refused,
    worker::Worker,
};
use crate::{
    RpcError,
    telemetry::Count,
    wire::{OutgoingRecord, Received},
};

impl Worker {
    /// Sends a reply once more, as often as it takes. It may hold its partition since it was sent before.
    pub(super) async fn reply_again<'a>(
        self: &'a Arc<Self>,
        task: &'a Task,
        reply: &Arc<OutgoingRecord>,
        held: Option<Held<'a>>,
    ) -> End {
        match self.send_reply(task, reply, Before::Sent(held)).await {
            Sent::Done => done(&self.metrics.replied),
            Sent::Left => End::Left,
            Sent::Expired => done(&self.metrics.expired),
            Sent::Refused(refusal) => self.dead_letter_refused(task, reply, refusal).await,
        }
    }

    /// Sends a record to its retry topic. One that is refused there for good, such as for its size, has failed.
    pub(super) async fn retry_later(
        self: &Arc<Self>,
        task: &Task,
        record: &Received,
        again: Arc<OutgoingRecord>,
        error: RpcError,
    ) -> End {
        match self.send_retry(task, again).await {
            Sent::Done => done(&self.metrics.retried_later),
            Sent::Refused(_told) => self.fail(task, record, error).await,
            // Only a reply expires on its way.
            Sent::Left | Sent::Expired => End::Left,
        }
    }

    /// Gives up a record outside its run: its retry was refused for good, or something panicked.
    pub(super) async fn fail(self: &Arc<Self>, task: &Task, record: &Received, error: RpcError) -> End {
        let reply = refused::error_reply(&self.served, record, &error).filter(|reply| self.may_reply(reply));
        self.tell_of_failure(task, refused::letter(&self.served, record, task.retries, error), reply).await
    }

    /// Whether this may be answered: what has panicked may be before that was asked.
    fn may_reply(&self, reply: &OutgoingRecord) -> bool {
        self.served.reply_topic.is_some() && self.handling.reply_topics.allows(&self.served, &reply.topic)
    }

    /// Tells of a record that has failed for good, by a letter and a reply where there is one.
    pub(super) async fn tell_of_failure(
        self: &Arc<Self>,
        task: &Task,
        letter: Option<Arc<OutgoingRecord>>,
        reply: Option<Arc<OutgoingRecord>>,
    ) -> End {
        let mut counter = None;
        // The letter first: once the caller has its answer, it may look for it.
        if let Some(letter) = letter {
            counter = self.deliver_letter(task, letter).await;
            if counter.is_none() {
                return End::Left;
            }
        }
        if let Some(reply) = reply {
            match self.send_reply(task, &reply, Before::Nothing).await {
                Sent::Left => return End::Left,
                Sent::Done => counter = counter.or(Some(&self.metrics.replied)),
                Sent::Refused(_) | Sent::Expired => {}
            }
        }
        done(counter.unwrap_or(&self.metrics.discarded))
    }

    /// A reply that was refused for good is not silence: it is a dead letter.
    async fn dead_letter_refused(
        self: &Arc<Self>,
        task: &Task,
        reply: &OutgoingRecord,
        refusal: RpcError,
    ) -> End {
        let record = task.record.unpack();
        let error = refused::undelivered(&self.served, &record, reply, refusal);
        match refused::letter(&self.served, &record, task.retries, error) {
            Some(letter) => self.deliver_letter(task, letter).await.map_or(End::Left, done),
            None => done(&self.metrics.discarded),
        }
    }

    /// Sends a dead letter; gives what counts its record, or `None` where its partition went.
    ///
    /// A letter that is refused for good, such as for the rules of its topic, stops no partition: whoever writes such records
    /// could stop any.
    async fn deliver_letter(self: &Arc<Self>, task: &Task, letter: Arc<OutgoingRecord>) -> Option<&Count> {
        match self.send_letter(task, letter).await {
            Sent::Done => Some(&self.metrics.dead_lettered),
            Sent::Left | Sent::Expired => None,
            Sent::Refused(_told) => {
                tracing::error!(
                    topic = %self.source, partition = task.record.partition(), offset = task.record.offset(),
                    group = %self.served.group,
                    "the dead letter of a record was refused for good: it is nowhere but in its topic"
                );
                Some(&self.metrics.lost)
            }
        }
    }

    /// What is left to do for a record; where that panics too, it is read again, with all that is not finished.
    pub(super) async fn caught_or_left(&self, task: &Task, rest: impl Future<Output = End>) -> End {
        AssertUnwindSafe(rest).catch_unwind().await.unwrap_or_else(|_panic| {
            self.state().partitions.go_back(task.record.partition(), task.generation);
            self.flow_has_changed();
            End::Left
        })
    }
}

/// The end of a record whose outcome is final, which is counted.
pub(super) fn done(counter: &Count) -> End {
    counter.increment(1);
    End::Final
}
