//! Sends what a record leads to: until it is acknowledged, or can never be, or is nobody's of ours any more.

use std::{
    pin::pin,
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time;

use super::{
    held::Held,
    lanes::Job,
    on_the_way::SLOW_AFTER,
    refused,
    runners::EndedJob,
    worker::{Task, Worker},
};
use crate::{
    RpcError,
    producer::{DeliveryError, Refusal},
    telemetry,
    wire::{OutgoingRecord, Placement, dead_letter, names},
};

/// How long what cannot be delivered for now is left alone before it is sent again.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How a delivery ended.
#[derive(Debug)]
pub(super) enum Sent {
    /// It was acknowledged.
    Done,
    /// It can never be.
    Refused(RpcError),
    /// Its partition went before it was: somebody else gets the record.
    Left,
    /// It is a reply, and whoever waited for it has gone before it was.
    Expired,
}

/// Why a record is not delivered.
#[derive(Debug)]
enum Undelivered {
    Refused(DeliveryError),
    /// Its partition went before it was.
    Left,
    /// Nobody waits for it any more.
    Expired,
}

impl Worker {
    /// Notes a job whose reply was delivered. Many are told of at once, and are ended together.
    pub(super) fn replied(self: &Arc<Self>, job: &Job<Task>) {
        self.metrics.replied.increment(1);
        let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        delivered.push(EndedJob::new(job, true));
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
    pub(super) fn send_again(self: &Arc<Self>, job: Job<Task>, reply: Arc<OutgoingRecord>, is_held: bool) {
        let worker = Arc::clone(self);
        self.tasks.spawn_on(
            async move {
                let held = is_held.then(|| Held::still(&worker, &job.item));
                let step = worker.caught_or_left(&job.item, worker.reply(&job.item, &reply, held)).await;
                let ended = worker.conclude(job, step);
                worker.end(&mut worker.state(), ended);
                worker.go();
            },
            &self.runtime,
        );
    }

    /// Sends a reply, and waits for its delivery. One that is larger than the broker takes becomes an error reply, and not silence.
    pub(super) async fn send_reply<'a>(
        self: &'a Arc<Self>,
        task: &'a Task,
        reply: &Arc<OutgoingRecord>,
        held: Option<Held<'a>>,
    ) -> Sent {
        let is_awaited = || self.is_awaited(task);
        match self.send_while_ours(task, reply, held, is_awaited).await {
            Err(Undelivered::Refused(DeliveryError { kind: Refusal::TooLarge, reason })) => {
                telemetry::reply_replaced(&reply.topic);
                tracing::error!(
                    to = %reply.topic, topic = %self.source, partition = task.record.partition(),
                    offset = task.record.offset(), group = %self.served.group, %reason,
                    "a reply is larger than the broker takes; the caller gets an error instead"
                );
                let record = task.record.unpack();
                let error = refused::too_large(&self.served, &record, reply);
                match refused::error_reply(&self.served, &record, &error) {
                    Some(instead) => {
                        self.as_told(task, self.send_while_ours(task, &instead, None, is_awaited).await)
                    }
                    None => Sent::Refused(error),
                }
            }
            sent => self.as_told(task, sent),
        }
    }

    /// Whether the caller of a record may still wait for its reply.
    fn is_awaited(&self, task: &Task) -> bool {
        let deadline = refused::deadline(&self.served, &task.record.unpack());
        let until = deadline.and_then(|deadline| deadline.checked_add(self.handling.clock_skew));
        until.is_none_or(|until| SystemTime::now() < until)
    }

    /// Sends a record to its retry topic.
    pub(super) async fn send_retry(self: &Arc<Self>, task: &Task, record: Arc<OutgoingRecord>) -> Sent {
        self.as_told(task, self.send_while_ours(task, &record, None, || true).await)
    }

    /// Sends a dead letter. One that is larger than the broker takes goes without its value.
    pub(super) async fn send_letter(self: &Arc<Self>, task: &Task, record: Arc<OutgoingRecord>) -> Sent {
        match self.send_while_ours(task, &record, None, || true).await {
            Err(Undelivered::Refused(DeliveryError { kind: Refusal::TooLarge, reason }))
                if record.value.is_some() =>
            {
                tracing::error!(
                    to = %record.topic, topic = %self.source, partition = task.record.partition(),
                    offset = task.record.offset(), group = %self.served.group, %reason,
                    "a dead letter is larger than the broker takes; it goes without its value (`{}`)", names::VALUE_OMITTED
                );
                let without = dead_letter::without_value(Arc::unwrap_or_clone(record));
                self.as_told(task, self.send_while_ours(task, &Arc::new(without), None, || true).await)
            }
            sent => self.as_told(task, sent),
        }
    }

    /// Sends a record again and again while only the cluster is in the way and somebody waits for it, and holds its partition
    /// meanwhile, as it may do already.
    async fn send_while_ours<'a>(
        self: &'a Arc<Self>,
        task: &'a Task,
        record: &Arc<OutgoingRecord>,
        mut held: Option<Held<'a>>,
        is_awaited: impl Fn() -> bool,
    ) -> Result<(), Undelivered> {
        let sent = loop {
            // It has been sent before, and that may be minutes ago.
            if held.is_some() {
                if !self.state().partitions.holds(task.record.partition(), task.generation) {
                    break Err(Undelivered::Left);
                }
                if !is_awaited() {
                    break Err(Undelivered::Expired);
                }
            }
            match self.deliver(task, record, &mut held).await {
                // A caller named it, and a stranger's number must not hold a partition of ours.
                Err(error @ DeliveryError { kind: Refusal::NoPartition, .. })
                    if let Placement::Partition(named) = record.placement
                        && self.producer.lacks_partition(&record.topic, named).await =>
                {
                    break Err(Undelivered::Refused(error));
                }
                Err(DeliveryError { kind: Refusal::ForNow | Refusal::NoPartition, reason }) => {
                    telemetry::delivery_refused(&record.topic);
                    held.get_or_insert_with(|| self.held(task, record, &reason));
                    time::sleep(SEND_AGAIN_AFTER).await;
                }
                sent => break sent.map_err(Undelivered::Refused),
            }
        };
        if held.take().is_some() && sent.is_ok() {
            tracing::info!(
                to = %record.topic, topic = %self.source, partition = task.record.partition(),
                offset = task.record.offset(), group = %self.served.group, "deliveries work again"
            );
        }
        sent
    }

    /// Sends a record once. Where that takes long its partition is held: without a word from the broker it can be minutes.
    async fn deliver<'a>(
        self: &'a Arc<Self>,
        task: &'a Task,
        record: &Arc<OutgoingRecord>,
        held: &mut Option<Held<'a>>,
    ) -> Result<(), DeliveryError> {
        let mut delivered = pin!(async {
            match self.producer.deliver(record).await {
                // It may have been its batch.
                Err(DeliveryError { kind: Refusal::TooLarge, .. }) => {
                    self.producer.deliver_alone(record).await
                }
                delivered => delivered,
            }
        });
        if let Ok(delivered) = time::timeout(SLOW_AFTER, &mut delivered).await {
            return delivered;
        }
        held.get_or_insert_with(|| self.held(task, record, "the broker has not acknowledged it yet"));
        delivered.await
    }

    fn held<'a>(self: &'a Arc<Self>, task: &'a Task, record: &OutgoingRecord, reason: &str) -> Held<'a> {
        let held = Held::new(self, task);
        tracing::error!(
            to = %record.topic, topic = %self.source, partition = task.record.partition(),
            offset = task.record.offset(), group = %self.served.group, reason,
            "what a record leads to cannot be delivered; the record stays uncommitted, its partition pauses, and goes on by \
             itself once it can"
        );
        held
    }

    fn as_told(&self, task: &Task, sent: Result<(), Undelivered>) -> Sent {
        match sent {
            Ok(()) => Sent::Done,
            Err(Undelivered::Left) => Sent::Left,
            Err(Undelivered::Expired) => Sent::Expired,
            Err(Undelivered::Refused(DeliveryError { reason, .. })) => {
                tracing::error!(
                    topic = %self.source, partition = task.record.partition(), offset = task.record.offset(),
                    group = %self.served.group, %reason,
                    "what a record leads to was refused for good"
                );
                Sent::Refused(RpcError::internal(format!("it was refused by the broker: {reason}")))
            }
        }
    }
}
