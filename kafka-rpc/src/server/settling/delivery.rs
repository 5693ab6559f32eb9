//! Sends the reply, retry or dead letter that a record leads to: until it is acknowledged or refused for
//! good, or the record's partition has gone, or nobody waits for it any more.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time;

use super::{error_records, held::Held, in_flight::SLOW_AFTER};
use crate::{
    RpcError,
    producer::{DeliveryError, Refusal},
    server::{job::Taken, worker::Worker},
    telemetry,
    wire::{OutgoingRecord, Placement, dead_letter, names},
};

/// Delay before a delivery that failed for now is tried again.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How often a slow delivery checks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Whether a record was sent before.
enum Before<'a> {
    Nothing,
    /// The record was sent, and may have held its partition since.
    Sent(Option<Held<'a>>),
}

/// How a delivery ended.
#[derive(Debug)]
pub(super) enum DeliveryEnd {
    /// It was acknowledged.
    Done,
    /// It can never be acknowledged.
    Refused(RpcError),
    /// Its partition went first: another instance gets the record.
    Left,
    /// It is a reply, and its caller stopped waiting first.
    Expired,
}

/// Why a record was not delivered.
#[derive(Debug)]
enum Undelivered {
    Refused(DeliveryError),
    /// Its partition went first.
    Left,
    /// Nobody waits for it any more.
    Expired,
}

impl Worker {
    /// Sends a reply that was sent before, and waits for its delivery. A reply that is larger than the broker
    /// takes becomes an error reply, so that the caller hears something.
    pub(super) async fn send_reply_again<'a>(
        self: &'a Arc<Self>,
        taken: &'a Taken,
        reply: &Arc<OutgoingRecord>,
        held: Option<Held<'a>>,
    ) -> DeliveryEnd {
        let awaited_until = self.awaited_until(taken);
        match self.send_until_settled(taken, reply, Before::Sent(held), awaited_until).await {
            Err(Undelivered::Refused(DeliveryError { kind: Refusal::TooLarge, reason, .. })) => {
                telemetry::reply_replaced(&reply.topic);
                tracing::error!(
                    to = %reply.topic, topic = %self.source, partition = taken.record.partition(),
                    offset = taken.record.offset(), group = %self.served.group, %reason,
                    "a reply is larger than the broker accepts; the caller gets an error instead"
                );
                let record = taken.record.unpack();
                let error = error_records::too_large(&self.served, &record, reply);
                match error_records::error_reply(&self.served, &record, &error) {
                    Some(instead) => {
                        let sent =
                            self.send_until_settled(taken, &instead, Before::Nothing, awaited_until).await;
                        self.report_end(taken, &instead, sent)
                    }
                    None => DeliveryEnd::Refused(error),
                }
            }
            sent => self.report_end(taken, reply, sent),
        }
    }

    /// Until when the caller of a record waits for its reply, clock skew included, if one waits and says
    /// until when.
    pub(super) fn awaited_until(&self, taken: &Taken) -> Option<SystemTime> {
        error_records::deadline(&self.served, &taken.record.unpack())?.checked_add(self.handling.clock_skew)
    }

    /// Whether the generation that a record was taken in is still current.
    pub(super) fn is_ours(&self, taken: &Taken) -> bool {
        self.state().is_ours(taken)
    }

    /// Sends a record to its retry topic.
    pub(super) async fn send_retry(
        self: &Arc<Self>,
        taken: &Taken,
        record: Arc<OutgoingRecord>,
    ) -> DeliveryEnd {
        let sent = self.send_until_settled(taken, &record, Before::Nothing, None).await;
        self.report_end(taken, &record, sent)
    }

    /// Sends a dead letter. A letter that is larger than the broker takes is sent without its value.
    pub(super) async fn send_letter(
        self: &Arc<Self>,
        taken: &Taken,
        record: Arc<OutgoingRecord>,
    ) -> DeliveryEnd {
        match self.send_until_settled(taken, &record, Before::Nothing, None).await {
            Err(Undelivered::Refused(DeliveryError { kind: Refusal::TooLarge, reason, .. }))
                if record.value.is_some() =>
            {
                tracing::error!(
                    to = %record.topic, topic = %self.source, partition = taken.record.partition(),
                    offset = taken.record.offset(), group = %self.served.group, %reason,
                    "a dead letter is larger than the broker accepts; it is sent without its value (`{}`)",
                    names::VALUE_OMITTED
                );
                let without = Arc::new(dead_letter::without_value(Arc::unwrap_or_clone(record)));
                let sent = self.send_until_settled(taken, &without, Before::Nothing, None).await;
                self.report_end(taken, &without, sent)
            }
            sent => self.report_end(taken, &record, sent),
        }
    }

    /// Sends a record again and again while only the cluster is in the way and somebody waits for it. The
    /// record holds its partition meanwhile, as it may already do.
    async fn send_until_settled<'a>(
        self: &'a Arc<Self>,
        taken: &'a Taken,
        record: &Arc<OutgoingRecord>,
        before: Before<'a>,
        awaited_until: Option<SystemTime>,
    ) -> Result<(), Undelivered> {
        let (mut was_sent, mut held) = match before {
            Before::Nothing => (false, None),
            Before::Sent(held) => (true, held),
        };
        let sent = loop {
            // The previous attempt may have begun minutes ago.
            if was_sent && let Err(over) = self.still_to_be_sent(taken, awaited_until) {
                break Err(over);
            }
            was_sent = true;
            match self.deliver(taken, record, &mut held, awaited_until).await {
                // The caller named this partition, and a stranger's number must not hold a partition of ours.
                Err(error @ Undelivered::Refused(DeliveryError { kind: Refusal::NoPartition, .. }))
                    if let Placement::Partition(named) = record.placement
                        && self.producer.lacks_partition(&record.topic, named).await =>
                {
                    break Err(error);
                }
                Err(Undelivered::Refused(DeliveryError {
                    kind: Refusal::ForNow | Refusal::NoPartition,
                    reason,
                    ..
                })) => {
                    telemetry::delivery_refused(&record.topic);
                    held.get_or_insert_with(|| self.hold_and_log(taken, record, &reason));
                    time::sleep(SEND_AGAIN_AFTER).await;
                }
                sent => break sent,
            }
        };
        if held.take().is_some() && sent.is_ok() {
            tracing::info!(
                to = %record.topic, topic = %self.source, partition = taken.record.partition(),
                offset = taken.record.offset(), group = %self.served.group, "delivery works again"
            );
        }
        sent
    }

    /// Checks that a record must still be sent: its partition is ours, and somebody waits.
    fn still_to_be_sent(&self, taken: &Taken, awaited_until: Option<SystemTime>) -> Result<(), Undelivered> {
        if !self.is_ours(taken) {
            return Err(Undelivered::Left);
        }
        if awaited_until.is_none_or(|until| SystemTime::now() < until) {
            Ok(())
        } else {
            Err(Undelivered::Expired)
        }
    }

    /// Sends a record once. A slow delivery holds the partition while the record must still be sent: without
    /// an answer from the broker, a delivery can take minutes.
    async fn deliver<'a>(
        self: &'a Arc<Self>,
        taken: &'a Taken,
        record: &Arc<OutgoingRecord>,
        held: &mut Option<Held<'a>>,
        awaited_until: Option<SystemTime>,
    ) -> Result<(), Undelivered> {
        let mut delivered = pin!(async {
            match self.producer.deliver(record).await {
                // Brokers refuse a whole batch for its size, or for one of its records: alone, the record may be
                // accepted.
                Err(DeliveryError { kind: Refusal::TooLarge | Refusal::Invalid, .. }) => {
                    self.producer.deliver_alone(record).await
                }
                delivered => delivered,
            }
        });
        if let Ok(delivered) = time::timeout(SLOW_AFTER, &mut delivered).await {
            return delivered.map_err(Undelivered::Refused);
        }
        loop {
            self.still_to_be_sent(taken, awaited_until)?;
            held.get_or_insert_with(|| {
                // Counted now: its failure may be minutes away.
                telemetry::delivery_refused(&record.topic);
                self.hold_and_log(taken, record, &self.why_slow())
            });
            if let Ok(delivered) = time::timeout(LOOK_EVERY, &mut delivered).await {
                return delivered.map_err(Undelivered::Refused);
            }
        }
    }

    /// Why a delivery is slow, as far as that is known.
    pub(super) fn why_slow(&self) -> String {
        let slow = "the broker has not acknowledged it yet";
        match self.producer.trouble() {
            Some(trouble) => format!("{slow}; the last trouble with a broker was: {trouble}"),
            None => slow.to_owned(),
        }
    }

    fn hold_and_log<'a>(
        self: &'a Arc<Self>,
        taken: &'a Taken,
        record: &OutgoingRecord,
        reason: &str,
    ) -> Held<'a> {
        let held = Held::new(self, taken);
        tracing::error!(
            to = %record.topic, topic = %self.source, partition = taken.record.partition(),
            offset = taken.record.offset(), group = %self.served.group, reason,
            "a reply, retry or dead letter cannot be delivered; its record stays uncommitted and its partition pauses \
             until it can be"
        );
        held
    }

    fn report_end(
        &self,
        taken: &Taken,
        record: &OutgoingRecord,
        sent: Result<(), Undelivered>,
    ) -> DeliveryEnd {
        match sent {
            Ok(()) => DeliveryEnd::Done,
            Err(Undelivered::Left) => DeliveryEnd::Left,
            Err(Undelivered::Expired) => {
                self.report_reply_expired(taken);
                DeliveryEnd::Expired
            }
            Err(Undelivered::Refused(DeliveryError { reason, .. })) => {
                tracing::error!(
                    to = %record.topic, topic = %self.source, partition = taken.record.partition(),
                    offset = taken.record.offset(), group = %self.served.group, %reason,
                    "a reply, retry or dead letter was refused for good"
                );
                DeliveryEnd::Refused(RpcError::internal(format!(
                    "the delivery was refused by the broker: {reason}"
                )))
            }
        }
    }
}
