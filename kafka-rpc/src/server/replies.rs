//! Sends replies off.
//!
//! Whoever is told of a delivery ends the job of its record, and no task waits for that. What goes wrong is seen to in a task.
//! One that is long on its way, since a partition of its topic has no leader or too few replicas, holds its own partition as
//! if it had been refused, and not the place of a handler: replies of one such partition would soon have all places.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
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

/// What replies of a subscription may take, in bytes, that were let go and that librdkafka has still: with its queue full, all that a
/// process sends would wait for them.
const MOST_LET_GO: usize = 64 << 20;

/// What a reply takes there beside what it says, about.
const OVERHEAD: usize = 1 << 10;

/// Hears of what becomes of a reply on its way to the broker.
struct Listener {
    worker: Arc<Worker>,
    slot: Slot,
    weight: usize,
    has_heard: bool,
}

impl Worker {
    /// Sends a reply; its job ends once it is delivered.
    pub(super) fn send_off(self: &Arc<Self>, job: Job<Task>, reply: &Arc<OutgoingRecord>) {
        let mut sent = SentOff::new(job, Arc::clone(reply));
        if self.stuck.is_met_by(reply) {
            self.hold_for(&mut sent);
        }
        let slot = self.on_the_way.insert(sent);
        let listener = Listener { worker: Arc::clone(self), slot, weight: weight(reply), has_heard: false };
        let _seen_to = self.producer.queue(reply, Box::new(move |delivered| listener.hear(&delivered)));
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
                self.stuck.note(&sent.reply);
                self.hold_for(sent);
            }
            sent.is_held() && self.is_over(sent, now.1)
        });
        let expired: Vec<&SentOff> = over.iter().filter(|sent| self.let_go(sent)).collect();
        if !over.is_empty() {
            self.start_a_runner_if_wanted();
        }
        // The log may panic, so it comes last.
        if slow > 0 {
            tracing::error!(
                topic = %self.source, group = %self.served.group, replies = slow,
                "replies are not delivered after {SLOW_AFTER:?}; their records stay uncommitted, their partitions pause, and go on \
                 by themselves once they are, or nobody waits for them"
            );
        }
        for sent in expired {
            self.report_reply_expired(&sent.job.item);
        }
    }

    /// Has a reply give up its place, and hold its partition.
    fn hold_for(&self, sent: &mut SentOff) {
        let task = &sent.job.item;
        self.hold(task.record.partition(), task.generation);
        sent.hold(self.awaited_until(task));
    }

    /// Whether a reply that is held is over: its partition has gone, or nobody waits for it any more and there is room for it where it
    /// lies, which it has then.
    fn is_over(&self, sent: &SentOff, now: SystemTime) -> bool {
        let is_ours = self.is_ours(&sent.job.item);
        if is_ours && sent.awaited_until().is_none_or(|until| until > now) {
            return false;
        }
        let weight = weight(&sent.reply);
        let has_room = self.let_go.fetch_add(weight, Ordering::Relaxed) < MOST_LET_GO;
        if is_ours && !has_room {
            self.let_go.fetch_sub(weight, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// Ends the job of a reply that is over; whether nobody waits for it any more.
    fn let_go(&self, sent: &SentOff) -> bool {
        let task = &sent.job.item;
        let is_ours = self.is_ours(task);
        let end = if is_ours { done(&self.metrics.expired) } else { End::Left };
        self.release(task.record.partition(), task.generation);
        self.end(&mut self.state(), [EndedJob::new(&sent.job, end)]);
        is_ours
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
        self.start_a_runner_if_wanted();
    }

    pub(super) fn take_delivered(&self) -> Vec<EndedJob> {
        std::mem::take(&mut *self.delivered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends a reply once more, until its job has an end. It may hold its partition already.
    fn send_again(self: &Arc<Self>, sent: SentOff) {
        let worker = Arc::clone(self);
        self.tasks.spawn_on(
            async move {
                let held = sent.is_held().then(|| Held::still(&worker, &sent.job.item));
                let SentOff { job, reply, .. } = &sent;
                let end = worker.caught_or_left(&job.item, worker.reply_again(&job.item, reply, held)).await;
                worker.end(&mut worker.state(), [EndedJob::new(job, end)]);
                worker.start_a_runner_if_wanted();
            },
            &self.runtime,
        );
    }
}

impl Listener {
    fn hear(mut self, delivered: &Result<(), DeliveryError>) {
        let Some(sent) = self.take() else { return };
        match delivered {
            Ok(()) => {
                self.worker.stuck.arrived(&sent.reply);
                if sent.is_held() {
                    self.worker.release(sent.job.item.record.partition(), sent.job.item.generation);
                }
                self.worker.replied(&sent.job);
            }
            Err(error) => {
                if matches!(error.kind, Refusal::ForNow | Refusal::NoPartition) {
                    telemetry::delivery_refused(&sent.reply.topic);
                }
                self.worker.send_again(sent);
            }
        }
    }

    /// Takes the reply off the way, unless it was let go.
    fn take(&mut self) -> Option<SentOff> {
        self.has_heard = true;
        let sent = self.worker.on_the_way.remove(self.slot);
        if sent.is_none() {
            self.worker.let_go.fetch_sub(self.weight, Ordering::Relaxed);
        }
        sent
    }
}

/// It could not be queued, or the producer has gone without a word: it is sent once more.
impl Drop for Listener {
    fn drop(&mut self) {
        if !self.has_heard
            && let Some(sent) = self.take()
        {
            self.worker.send_again(sent);
        }
    }
}

/// What a reply takes in librdkafka's queue.
fn weight(reply: &OutgoingRecord) -> usize {
    OVERHEAD + reply.size()
}
