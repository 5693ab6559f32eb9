//! Sends what a record leads to: until it is acknowledged, or can never be, or is nobody's of ours any more.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::time;

use super::{
    held::Held,
    lanes::Job,
    outcome,
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
}

/// A reply on its way to the broker, with the job that it ends.
///
/// Whoever is told of its delivery ends the job, and no task waits for that. What goes wrong is seen to in a task.
struct OnItsWay {
    worker: Arc<Worker>,
    sent: Option<(Job<Task>, Arc<OutgoingRecord>)>,
}

impl OnItsWay {
    fn told(mut self, delivered: &Result<(), DeliveryError>) {
        if delivered.is_ok()
            && let Some((job, _reply)) = self.sent.take()
        {
            self.worker.replied(&job);
        }
    }
}

/// It was not delivered, or could not be queued, or the producer has gone without a word: it is sent once more.
impl Drop for OnItsWay {
    fn drop(&mut self) {
        if let Some((job, reply)) = self.sent.take() {
            self.worker.send_again(job, reply);
        }
    }
}

impl Worker {
    /// Sends a reply; its job ends once it is delivered.
    pub(super) fn send_off(self: &Arc<Self>, job: Job<Task>, reply: &Arc<OutgoingRecord>) {
        let sent = OnItsWay { worker: Arc::clone(self), sent: Some((job, Arc::clone(reply))) };
        let _seen_to = self.producer.queue(reply, Box::new(move |delivered| sent.told(&delivered)));
    }

    /// Notes a job whose reply was delivered. Many are told of at once, and are ended together.
    fn replied(self: &Arc<Self>, job: &Job<Task>) {
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

    /// Sends a reply until its job has an end.
    fn send_again(self: &Arc<Self>, job: Job<Task>, reply: Arc<OutgoingRecord>) {
        let worker = Arc::clone(self);
        self.tasks.spawn_on(
            async move {
                let step = worker.caught_or_left(&job.item, worker.reply(&job.item, &reply)).await;
                let ended = worker.conclude(job, step);
                worker.end(&mut worker.state(), ended);
                worker.go();
            },
            &self.runtime,
        );
    }

    /// Sends a reply, and waits for its delivery. One that is larger than the broker takes becomes an error reply, and not silence.
    pub(super) async fn send_reply(self: &Arc<Self>, task: &Task, reply: &Arc<OutgoingRecord>) -> Sent {
        let Err(refused) = self.send_while_ours(task, reply).await else { return Sent::Done };
        match refused {
            Some(DeliveryError { kind: Refusal::TooLarge, reason }) => {
                telemetry::reply_replaced(&reply.topic);
                tracing::error!(
                    to = %reply.topic, topic = %self.source, partition = task.record.partition(),
                    offset = task.record.offset(), group = %self.served.group, %reason,
                    "a reply is larger than the broker takes; the caller gets an error instead"
                );
                let error = RpcError::internal("the reply is larger than the broker takes")
                    .with_name("ReplyTooLarge");
                match outcome::error_reply(&self.served, &task.record.unpack(), &error) {
                    Some(instead) => self.as_told(task, self.send_while_ours(task, &instead).await),
                    None => Sent::Refused(error),
                }
            }
            refused => self.as_told(task, Err(refused)),
        }
    }

    /// Sends a record to its retry topic.
    pub(super) async fn send_retry(self: &Arc<Self>, task: &Task, record: Arc<OutgoingRecord>) -> Sent {
        self.as_told(task, self.send_while_ours(task, &record).await)
    }

    /// Sends a dead letter. One that is larger than the broker takes goes without its value.
    pub(super) async fn send_letter(self: &Arc<Self>, task: &Task, record: Arc<OutgoingRecord>) -> Sent {
        match self.send_while_ours(task, &record).await {
            Err(Some(DeliveryError { kind: Refusal::TooLarge, reason })) if record.value.is_some() => {
                tracing::error!(
                    to = %record.topic, topic = %self.source, partition = task.record.partition(),
                    offset = task.record.offset(), group = %self.served.group, %reason,
                    "a dead letter is larger than the broker takes; it goes without its value (`{}`)", names::VALUE_OMITTED
                );
                let without = dead_letter::without_value(Arc::unwrap_or_clone(record));
                self.as_told(task, self.send_while_ours(task, &Arc::new(without)).await)
            }
            sent => self.as_told(task, sent),
        }
    }

    /// Sends a record again and again while only the cluster is in the way, and holds its partition meanwhile.
    ///
    /// `Err(None)` where the partition went.
    async fn send_while_ours(
        self: &Arc<Self>,
        task: &Task,
        record: &Arc<OutgoingRecord>,
    ) -> Result<(), Option<DeliveryError>> {
        let (partition, generation) = (task.record.partition(), task.generation);
        let mut held = None;
        let sent = loop {
            match self.producer.deliver(record).await {
                // A caller named it, and a stranger's number must not hold a partition of ours.
                Err(error @ DeliveryError { kind: Refusal::NoPartition, .. })
                    if let Placement::Partition(named) = record.placement
                        && self.producer.lacks_partition(&record.topic, named).await =>
                {
                    break Err(Some(error));
                }
                Err(DeliveryError { kind: Refusal::ForNow | Refusal::NoPartition, reason }) => {
                    telemetry::delivery_refused(&record.topic);
                    if held.is_none() {
                        held = Some(Held::new(self, task));
                        tracing::error!(
                            to = %record.topic, topic = %self.source, partition, offset = task.record.offset(),
                            group = %self.served.group, %reason,
                            "what a record leads to cannot be delivered; the record stays uncommitted, its partition \
                             pauses, and goes on by itself once it can"
                        );
                    }
                    time::sleep(SEND_AGAIN_AFTER).await;
                    if !self.state().partitions.holds(partition, generation) {
                        break Err(None);
                    }
                }
                sent => break sent.map_err(Some),
            }
        };
        if held.take().is_some() && sent.is_ok() {
            tracing::info!(
                to = %record.topic, topic = %self.source, partition, offset = task.record.offset(),
                group = %self.served.group, "deliveries work again"
            );
        }
        sent
    }

    fn as_told(&self, task: &Task, sent: Result<(), Option<DeliveryError>>) -> Sent {
        match sent {
            Ok(()) => Sent::Done,
            Err(None) => Sent::Left,
            Err(Some(DeliveryError { reason, .. })) => {
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
