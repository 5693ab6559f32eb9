//! Sends replies off.
//!
//! Whoever is told of a delivery ends the job of its record, and no task waits for that. What goes wrong is seen to in a task.
//! One that is long on its way, since a partition of its topic has no leader or too few replicas, holds its own partition as
//! if it had been refused, and not the place of a handler: replies of one such partition would soon have all places.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Instant, SystemTime},
};

use super::{
    held::Held,
    in_flight::{InFlightReply, SLOW_AFTER},
    job::{End, EndedJob, Taken},
    lanes::Job,
    settle::settled,
    slabs::Slot,
    worker::Worker,
};
use crate::{
    producer::{DeliveryError, Refusal},
    telemetry,
    unpoisoned::Unpoisoned as _,
    wire::OutgoingRecord,
};

/// How many bytes the abandoned replies of a subscription may take in librdkafka's queue: were it full of them, everything
/// that the process sends would wait behind them.
const MOST_ABANDONED: usize = 64 << 20;

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
    pub(super) fn send_off(self: &Arc<Self>, job: Job<Taken>, reply: &Arc<OutgoingRecord>) {
        let mut sent = InFlightReply::new(job, Arc::clone(reply));
        if self.stuck.blocks(reply) {
            self.hold_for(&mut sent);
        }
        let slot = self.in_flight.insert(sent);
        let listener = Listener { worker: Arc::clone(self), slot, weight: weight(reply), has_heard: false };
        let _seen_to = self.producer.queue(reply, Box::new(move |delivered| listener.hear(&delivered)));
    }

    /// Has replies that are long on their way give up their places, and lets go of those that nobody waits for any more. librdkafka
    /// tries for minutes.
    pub(crate) fn see_to_slow_replies(self: &Arc<Self>) {
        let now = (Instant::now(), SystemTime::now());
        let mut slow = 0;
        // With its list locked: whoever is told of its delivery sees either that it is held, or that it is not.
        let abandoned = self.in_flight.take_out(|sent| {
            if sent.is_slow(now.0) {
                slow += 1;
                self.stuck.note(&sent.reply);
                self.hold_for(sent);
            }
            sent.is_held() && self.is_unwanted(sent, now.1) && self.reserve_abandoned(sent)
        });
        let expired: Vec<&InFlightReply> = abandoned.iter().filter(|sent| self.abandon(sent)).collect();
        if !abandoned.is_empty() {
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
    fn hold_for(&self, sent: &mut InFlightReply) {
        let taken = &sent.job.item;
        self.hold(taken.record.partition(), taken.generation);
        sent.hold(self.awaited_until(taken));
    }

    /// Whether a reply that is held need not be delivered any more: its partition has gone, or its caller waits no longer.
    fn is_unwanted(&self, sent: &InFlightReply, now: SystemTime) -> bool {
        !self.is_ours(&sent.job.item) || sent.awaited_until().is_some_and(|until| until <= now)
    }

    /// Counts a reply among those that are abandoned in librdkafka's queue; false where they may take no more. One whose
    /// partition has gone is counted always: nothing can wait for it.
    fn reserve_abandoned(&self, sent: &InFlightReply) -> bool {
        let weight = weight(&sent.reply);
        let has_room = self.abandoned_bytes.fetch_add(weight, Ordering::Relaxed) < MOST_ABANDONED;
        let is_reserved = has_room || !self.is_ours(&sent.job.item);
        if !is_reserved {
            self.abandoned_bytes.fetch_sub(weight, Ordering::Relaxed);
        }
        is_reserved
    }

    /// Ends the job of a reply that is delivered to nobody any more; whether it was its caller who waited no longer.
    fn abandon(&self, sent: &InFlightReply) -> bool {
        let taken = &sent.job.item;
        let is_ours = self.is_ours(taken);
        let end = if is_ours { settled(&self.metrics.expired) } else { End::Left };
        self.release(taken.record.partition(), taken.generation);
        self.end(&mut self.state(), [EndedJob::new(&sent.job, end)]);
        is_ours
    }

    /// Notes a job whose reply was delivered. Many are told of at once, and are ended together.
    fn replied(self: &Arc<Self>, job: &Job<Taken>) {
        self.metrics.replied.increment(1);
        let mut delivered = self.delivered.lock().unpoisoned();
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
        std::mem::take(&mut *self.delivered.lock().unpoisoned())
    }

    /// Sends a reply once more, until its job has an end. It may hold its partition already.
    fn send_again(self: &Arc<Self>, sent: InFlightReply) {
        let worker = Arc::clone(self);
        self.tasks.spawn_on(
            async move {
                let held = sent.is_held().then(|| Held::still(&worker, &sent.job.item));
                let InFlightReply { job, reply, .. } = &sent;
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

    /// Takes the reply out of those in flight, unless it was abandoned.
    fn take(&mut self) -> Option<InFlightReply> {
        self.has_heard = true;
        let sent = self.worker.in_flight.remove(self.slot);
        if sent.is_none() {
            self.worker.abandoned_bytes.fetch_sub(self.weight, Ordering::Relaxed);
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
