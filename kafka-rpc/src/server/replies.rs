//! Sends replies off.
//!
//! Whoever is told of a delivery ends the job of its record, and no task waits for that. What goes wrong is seen to in a task.
//! One that is long on its way, since a partition of its topic has no leader or too few replicas, holds its own partition as
//! if it had been refused, and not the place of a handler: replies of one such partition would soon have all places.

use std::{
    sync::{Arc, PoisonError},
    time::{Instant, SystemTime},
};

use super::{
    held::Held,
    job::{End, EndedJob, Task},
    lanes::Job,
    on_the_way::{SLOW_AFTER, SentOff},
    slabs::Slot,
    telling::done,
    worker::Worker,
};
use crate::{
    producer::{DeliveryError, Refusal},
    telemetry,
    wire::OutgoingRecord,
};

/// Hears of what becomes of a reply on its way to the broker.
struct OnItsWay {
    worker: Arc<Worker>,
    slot: Slot,
}

impl Worker {
    /// Sends a reply; its job ends once it is delivered.
    pub(super) fn send_off(self: &Arc<Self>, job: Job<Task>, reply: &Arc<OutgoingRecord>) {
        let slot = self.on_the_way.insert(SentOff::new(job, Arc::clone(reply)));
        let sent = OnItsWay { worker: Arc::clone(self), slot };
        let _seen_to = self.producer.queue(reply, Box::new(move |delivered| sent.told(&delivered)));
    }

    /// Has replies that are long on their way give up their places, and lets go of those that nobody waits for any more. librdkafka
    /// tries for minutes.
    pub(crate) fn see_to_slow_replies(self: &Arc<Self>) {
        let now = (Instant::now(), SystemTime::now());
        let mut slow = 0;
        // With its list locked: whoever is told of its delivery sees either that it is held, or that it is not.
        let over = self.on_the_way.take_out(|sent| {
            if sent.is_slow(now.0) {
                slow += 1;
                sent.hold(self.awaited_until(&sent.job.item));
                self.hold(sent.job.item.record.partition(), sent.job.item.generation);
            }
            sent.has_expired(now.1) || (sent.is_held() && !self.is_ours(&sent.job.item))
        });
        if slow > 0 {
            tracing::error!(
                topic = %self.source, group = %self.served.group, replies = slow,
                "replies are not delivered after {SLOW_AFTER:?}; their records stay uncommitted, their partitions pause, and go on \
                 by themselves once they are, or nobody waits for them"
            );
        }
        if !over.is_empty() {
            for sent in &over {
                self.let_go(sent);
            }
            self.go();
        }
    }

    /// Ends the job of a reply that was held and is over: nobody waits for it, or its partition has gone.
    fn let_go(&self, sent: &SentOff) {
        let task = &sent.job.item;
        let end = if self.is_ours(task) {
            self.report_reply_expired(task);
            done(&self.metrics.expired)
        } else {
            End::Left
        };
        self.release(task.record.partition(), task.generation);
        self.end(&mut self.state(), [EndedJob::new(&sent.job, end)]);
    }

    /// Notes a job whose reply was delivered. Many are told of at once, and are ended together.
    fn replied(self: &Arc<Self>, job: &Job<Task>) {
        self.metrics.replied.increment(1);
        let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        delivered.push(EndedJob::new(job, End::Final));
        if delivered.len() == 1 {
            drop(delivered);
            let worker = Arc::clone(self);
            self.tasks.spawn_on(async move { worker.end_delivered() }, &self.runtime);
        }
    }

    fn end_delivered(self: &Arc<Self>) {
        let delivered = self.take_delivered();
        self.end(&mut self.state(), delivered);
        self.go();
    }

    pub(super) fn take_delivered(&self) -> Vec<EndedJob> {
        std::mem::take(&mut *self.delivered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends a reply until its job has an end. It may hold its partition since it was sent before.
    fn send_again(self: &Arc<Self>, sent: SentOff) {
        let worker = Arc::clone(self);
        self.tasks.spawn_on(
            async move {
                let held = sent.is_held().then(|| Held::still(&worker, &sent.job.item));
                let SentOff { job, reply, .. } = &sent;
                let end = worker.caught_or_left(&job.item, worker.reply(&job.item, reply, held)).await;
                worker.end(&mut worker.state(), [EndedJob::new(job, end)]);
                worker.go();
            },
            &self.runtime,
        );
    }
}

impl OnItsWay {
    fn told(self, delivered: &Result<(), DeliveryError>) {
        match delivered {
            Ok(()) => {
                let Some(sent) = self.worker.on_the_way.remove(self.slot) else { return };
                if sent.is_held() {
                    self.worker.release(sent.job.item.record.partition(), sent.job.item.generation);
                }
                self.worker.replied(&sent.job);
            }
            Err(error) => {
                let Some(sent) = self.worker.on_the_way.remove(self.slot) else { return };
                if matches!(error.kind, Refusal::ForNow | Refusal::NoPartition) {
                    telemetry::delivery_refused(&sent.reply.topic);
                }
                self.worker.send_again(sent);
            }
        }
    }
}

/// It could not be queued, or the producer has gone without a word: it is sent once more.
impl Drop for OnItsWay {
    fn drop(&mut self) {
        if let Some(sent) = self.worker.on_the_way.remove(self.slot) {
            self.worker.send_again(sent);
        }
    }
}
