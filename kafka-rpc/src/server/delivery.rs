//! Sends what a record leads to: until it is acknowledged, or can never be, or is nobody's of ours any more, or nobody waits for it.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time;

use super::{held::Held, job::Task, on_the_way::SLOW_AFTER, refused, worker::Worker};
use crate::{
    RpcError,
    producer::{DeliveryError, Refusal},
    telemetry,
    wire::{OutgoingRecord, Placement, dead_letter, names},
};

/// How long what cannot be delivered for now is left alone before it is sent again.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How often it is looked whether a delivery that is slow is to be waited for still.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What was done before about a record that is to be sent.
pub(super) enum Before<'a> {
    Nothing,
    /// It was sent, and may hold its partition since.
    Sent(Option<Held<'a>>),
}

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
    /// Sends a reply, and waits for its delivery. One that is larger than the broker takes becomes an error reply, and not silence.
    pub(super) async fn send_reply<'a>(
        self: &'a Arc<Self>,
        task: &'a Task,
        reply: &Arc<OutgoingRecord>,
        before: Before<'a>,
    ) -> Sent {
        let is_awaited = || self.is_awaited(task);
        match self.send_while_ours(task, reply, before, is_awaited).await {
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
                        let sent = self.send_while_ours(task, &instead, Before::Nothing, is_awaited).await;
                        self.as_told(task, sent)
                    }
                    None => Sent::Refused(error),
                }
            }
            sent => self.as_told(task, sent),
        }
    }

    /// Whether the caller of a record may still wait for its reply.
    fn is_awaited(&self, task: &Task) -> bool {
        self.awaited_until(task).is_none_or(|until| SystemTime::now() < until)
    }

    /// Until when the caller of a record waits for its reply, if one does and says so.
    pub(super) fn awaited_until(&self, task: &Task) -> Option<SystemTime> {
        refused::deadline(&self.served, &task.record.unpack())?.checked_add(self.handling.clock_skew)
    }

    /// Whether the assignment goes on that a record was taken in.
    pub(super) fn is_ours(&self, task: &Task) -> bool {
        self.state().is_ours(task)
    }

    /// Sends a record to its retry topic.
    pub(super) async fn send_retry(self: &Arc<Self>, task: &Task, record: Arc<OutgoingRecord>) -> Sent {
        self.as_told(task, self.send_while_ours(task, &record, Before::Nothing, || true).await)
    }

    /// Sends a dead letter. One that is larger than the broker takes goes without its value.
    pub(super) async fn send_letter(self: &Arc<Self>, task: &Task, record: Arc<OutgoingRecord>) -> Sent {
        match self.send_while_ours(task, &record, Before::Nothing, || true).await {
            Err(Undelivered::Refused(DeliveryError { kind: Refusal::TooLarge, reason }))
                if record.value.is_some() =>
            {
                tracing::error!(
                    to = %record.topic, topic = %self.source, partition = task.record.partition(),
                    offset = task.record.offset(), group = %self.served.group, %reason,
                    "a dead letter is larger than the broker takes; it goes without its value (`{}`)", names::VALUE_OMITTED
                );
                let without = Arc::new(dead_letter::without_value(Arc::unwrap_or_clone(record)));
                self.as_told(task, self.send_while_ours(task, &without, Before::Nothing, || true).await)
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
        before: Before<'a>,
        is_awaited: impl Fn() -> bool,
    ) -> Result<(), Undelivered> {
        let (mut was_sent, mut held) = match before {
            Before::Nothing => (false, None),
            Before::Sent(held) => (true, held),
        };
        let sent = loop {
            // That may be minutes ago.
            if was_sent && let Err(over) = self.still_to_be_sent(task, &is_awaited) {
                break Err(over);
            }
            was_sent = true;
            match self.deliver(task, record, &mut held, &is_awaited).await {
                // A caller named it, and a stranger's number must not hold a partition of ours.
                Err(error @ Undelivered::Refused(DeliveryError { kind: Refusal::NoPartition, .. }))
                    if let Placement::Partition(named) = record.placement
                        && self.producer.lacks_partition(&record.topic, named).await =>
                {
                    break Err(error);
                }
                Err(Undelivered::Refused(DeliveryError {
                    kind: Refusal::ForNow | Refusal::NoPartition,
                    reason,
                })) => {
                    telemetry::delivery_refused(&record.topic);
                    held.get_or_insert_with(|| self.held(task, record, &reason));
                    time::sleep(SEND_AGAIN_AFTER).await;
                }
                sent => break sent,
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

    /// Whether what a record leads to is to be sent still: the record is ours, and somebody waits.
    fn still_to_be_sent(&self, task: &Task, is_awaited: &impl Fn() -> bool) -> Result<(), Undelivered> {
        if !self.is_ours(task) {
            return Err(Undelivered::Left);
        }
        if is_awaited() { Ok(()) } else { Err(Undelivered::Expired) }
    }

    /// Sends a record once. Where that takes long its partition is held, as long as it is to be sent: without a word from the broker
    /// it can be minutes.
    async fn deliver<'a>(
        self: &'a Arc<Self>,
        task: &'a Task,
        record: &Arc<OutgoingRecord>,
        held: &mut Option<Held<'a>>,
        is_awaited: &impl Fn() -> bool,
    ) -> Result<(), Undelivered> {
        let mut delivered = pin!(async {
            match self.producer.deliver(record).await {
                // Brokers refuse a whole batch for its size: alone it may fit.
                Err(DeliveryError { kind: Refusal::TooLarge, .. }) => {
                    self.producer.deliver_alone(record).await
                }
                delivered => delivered,
            }
        });
        if let Ok(delivered) = time::timeout(SLOW_AFTER, &mut delivered).await {
            return delivered.map_err(Undelivered::Refused);
        }
        loop {
            self.still_to_be_sent(task, is_awaited)?;
            held.get_or_insert_with(|| self.held(task, record, "the broker has not acknowledged it yet"));
            if let Ok(delivered) = time::timeout(LOOK_EVERY, &mut delivered).await {
                return delivered.map_err(Undelivered::Refused);
            }
        }
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
            Err(Undelivered::Expired) => {
                self.report_reply_expired(task);
                Sent::Expired
            }
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
