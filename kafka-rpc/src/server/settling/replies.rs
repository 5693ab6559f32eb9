//! Sends replies.
//!
//! The delivery callback of a reply ends the job of its record, so no task waits for the delivery; only
//! failures need a task. A reply is long in flight if its partition of the reply topic has no leader
//! or too few replicas. Such a reply holds its record's partition as if the broker had refused it, and gives
//! up its handler's place: otherwise the replies to one such partition would soon have all places.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{
    held::Held,
    in_flight::{InFlightReply, SLOW_AFTER},
    settle::settled,
};
use crate::{
    producer::{DeliveryError, Refusal},
    server::{
        job::{End, EndedJob, Job, Letter, OwedReply},
        slabs::Slot,
        worker::Worker,
    },
    telemetry,
    unpoisoned::Unpoisoned as _,
    wire::OutgoingRecord,
};

/// About what a reply takes in librdkafka's queue beside its contents.
const OVERHEAD: usize = 1 << 10;

/// The replies that one look found to be slow.
#[derive(Debug, Default)]
struct SlowReplies {
    /// The topic of each.
    to: Vec<Arc<str>>,
    /// The partition and the offset of the first one's record.
    first: Option<(i32, i64)>,
}

impl SlowReplies {
    fn add(&mut self, sent: &InFlightReply) {
        let record = &sent.job.item.record;
        self.first.get_or_insert((record.partition(), record.offset()));
        self.to.push(Arc::clone(&sent.reply.record.topic));
    }
}

/// Receives the delivery report of a reply.
struct Listener {
    worker: Arc<Worker>,
    slot: Slot,
    weight: usize,
    has_heard: bool,
}

impl Worker {
    /// Sends a reply; its job ends once it is delivered.
    pub(in crate::server) fn send_off(self: &Arc<Self>, job: Job, reply: OwedReply) {
        let record = Arc::clone(&reply.record);
        let mut sent = InFlightReply::new(job, reply);
        if self.in_flight.stuck.blocks(&record) {
            self.hold_for(&mut sent);
        }
        let slot = self.in_flight.sent.insert(sent);
        let listener = Listener { worker: Arc::clone(self), slot, weight: weight(&record), has_heard: false };
        let _seen_to = self.producer.queue(&record, Box::new(move |delivered| listener.hear(&delivered)));
    }

    /// Has replies that are long in flight give up their places, and abandons those that nobody waits for any
    /// more: librdkafka keeps trying for minutes.
    pub(crate) fn see_to_slow_replies(self: &Arc<Self>) {
        let now = (Instant::now(), SystemTime::now());
        let mut slow = SlowReplies::default();
        // Each list is locked meanwhile, so a delivery callback sees a reply either as held or as not held.
        let abandoned = self.in_flight.sent.take_out(|sent| {
            if sent.is_slow(now.0) {
                slow.add(sent);
                self.in_flight.stuck.note(&sent.reply.record);
                self.hold_for(sent);
            }
            sent.is_held() && self.is_unwanted(sent, now.1) && self.reserve_abandoned(sent)
        });
        let expired: Vec<&InFlightReply> = abandoned.iter().filter(|sent| self.abandon(sent)).collect();
        if !abandoned.is_empty() {
            self.start_a_runner_if_wanted();
        }
        // Outside the locks, because a recorder may be slow.
        for to in &slow.to {
            telemetry::delivery_refused(to);
        }
        // Last, because logging may panic.
        self.report_slow_replies(&slow);
        for sent in expired {
            self.report_reply_expired(&sent.job.item);
        }
    }

    fn report_slow_replies(&self, SlowReplies { to, first }: &SlowReplies) {
        let Some((partition, offset)) = first else { return };
        tracing::error!(
            to = ?to.iter().collect::<BTreeSet<_>>(), topic = %self.source, partition, offset,
            group = %self.served.group, replies = to.len(), reason = self.why_slow(),
            "replies are not delivered after {SLOW_AFTER:?}; their records stay uncommitted, and their partitions \
             pause until the replies are delivered or nobody waits for them"
        );
    }

    /// Has a reply give up its place and hold its record's partition.
    fn hold_for(&self, sent: &mut InFlightReply) {
        let taken = &sent.job.item;
        self.hold(taken);
        sent.hold(self.awaited_until(taken));
    }

    /// Whether a held reply need not be delivered any more: its record's partition has gone, or its caller no
    /// longer waits.
    fn is_unwanted(&self, sent: &InFlightReply, now: SystemTime) -> bool {
        !self.is_ours(&sent.job.item) || sent.awaited_until().is_some_and(|until| until <= now)
    }

    /// Counts a reply among the abandoned ones in librdkafka's queue; false if they may take no more. A reply
    /// whose record's partition has gone always counts, because nothing can wait for the reply.
    fn reserve_abandoned(&self, sent: &InFlightReply) -> bool {
        self.in_flight.abandoned.reserve(weight(&sent.reply.record), !self.is_ours(&sent.job.item))
    }

    /// Ends the job of an abandoned reply. Returns true if its caller no longer waited, false if its record's
    /// partition has gone.
    fn abandon(&self, sent: &InFlightReply) -> bool {
        let taken = &sent.job.item;
        let is_ours = self.is_ours(taken);
        let end =
            if is_ours { settled(self.counter(sent.reply.letter, &self.metrics.expired)) } else { End::Left };
        self.release(taken);
        self.end(&mut self.state(), [EndedJob::new(&sent.job, end)]);
        is_ours
    }

    /// Notes a job whose reply was delivered. librdkafka reports many deliveries at once, and one task ends
    /// their jobs together.
    fn replied(self: &Arc<Self>, job: &Job, letter: Option<Letter>) {
        self.counter(letter, &self.metrics.replied).increment(1);
        let mut delivered = self.in_flight.delivered.lock().unpoisoned();
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

    pub(in crate::server) fn take_delivered(&self) -> Vec<EndedJob> {
        std::mem::take(&mut *self.in_flight.delivered.lock().unpoisoned())
    }

    /// Sends a reply again until its job has an end. The reply may hold its record's partition already.
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
                self.worker.in_flight.stuck.arrived(&sent.reply.record);
                if sent.is_held() {
                    self.worker.release(&sent.job.item);
                }
                self.worker.replied(&sent.job, sent.reply.letter);
            }
            Err(error) => {
                if matches!(error.kind, Refusal::ForNow | Refusal::NoPartition) {
                    telemetry::delivery_refused(&sent.reply.record.topic);
                }
                self.worker.send_again(sent);
            }
        }
    }

    /// Takes the reply out of those in flight, unless it was abandoned.
    fn take(&mut self) -> Option<InFlightReply> {
        self.has_heard = true;
        let sent = self.worker.in_flight.sent.remove(self.slot);
        if sent.is_none() {
            self.worker.in_flight.abandoned.left(self.weight);
        }
        sent
    }
}

/// Sends a reply again that could not be queued, or whose producer ended without a delivery report.
impl Drop for Listener {
    fn drop(&mut self) {
        if !self.has_heard
            && let Some(sent) = self.take()
        {
            self.worker.send_again(sent);
        }
    }
}

/// About how many bytes a reply takes in librdkafka's queue.
fn weight(reply: &OutgoingRecord) -> usize {
    OVERHEAD + reply.size()
}
