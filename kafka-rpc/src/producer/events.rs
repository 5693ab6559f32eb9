//! What librdkafka tells of a producer, on the thread that polls it.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{DeliveryResult, ProducerContext},
};
use tokio::sync::{Notify, futures::Notified};

use super::{
    distance::Purpose,
    refusal::{DeliveryError, OnDelivery},
    topic::Topic,
};
use crate::{caught::caught, kafka, repeats::Repeats};

/// How soon an error is told once more that is the same.
const TOLD_AGAIN_WITHIN: Duration = Duration::from_millis(100);

/// What is told, with the reason, when no broker can be reached.
type OnBrokersLost = Box<dyn Fn(&str) + Send + Sync>;

/// Who hears what librdkafka tells, whichever producer it tells it of.
#[derive(Default)]
pub(super) struct Events {
    /// Told of deliveries: whoever waits for space may try again.
    space: Notify,
    /// How many wait for that: nobody does in most cases, and telling nobody costs something too.
    waiting: AtomicUsize,
    /// Told when no broker can be reached.
    pub(super) brokers_lost: OnceLock<OnBrokersLost>,
    /// What the last error said, but for the one that only sums up.
    trouble: Mutex<Option<String>>,
    /// Whether no broker could be reached, and nothing has been delivered since.
    are_brokers_lost: AtomicBool,
    /// Whether nobody sends any more: what becomes of the brokers is of no interest.
    has_ended: AtomicBool,
    repeats: Repeats,
}

/// Somebody who waits for space, until this is dropped.
pub(super) struct Waits<'a>(&'a Events);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Events {
    /// Listens for space from now on, and says that somebody does.
    pub(super) fn listen_for_space(&self) -> (Waits<'_>, Notified<'_>) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        (Waits(self), self.space.notified())
    }

    /// Tells those who wait that there may be space.
    pub(super) fn tell_space(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.space.notify_waiters();
        }
    }

    /// Nobody sends any more.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    fn delivered(&self) {
        if self.are_brokers_lost.load(Ordering::Relaxed)
            && self.are_brokers_lost.swap(false, Ordering::Relaxed)
        {
            self.repeats.over();
            caught("what hears of brokers that are back", || tracing::info!("brokers can be reached again"));
        }
    }

    /// What a broker or the network said last.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A record that librdkafka has, for whoever is told of its delivery.
pub(super) struct InFlight {
    pub(super) told: OnDelivery,
    /// Where its partition was chosen for it: others wait for its arrival there.
    pub(super) chosen: Option<(Arc<Topic>, i32)>,
}

/// A producer of librdkafka's, as what it tells arrives here.
pub(super) struct Deliveries {
    purpose: Purpose,
    events: Arc<Events>,
    /// The last error, and when it came.
    last: Mutex<Option<(String, Instant)>>,
}

impl Deliveries {
    pub(super) fn new(purpose: Purpose, events: &Arc<Events>) -> Self {
        Self { purpose, events: Arc::clone(events), last: Mutex::default() }
    }

    /// Whether this has just been told: rust-rdkafka's `BaseProducer` hears of an error from its client, and tells it once
    /// more.
    fn is_told_again(&self, reason: &str) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_some_and(|(told, at)| told == reason && at.elapsed() < TOLD_AGAIN_WITHIN) {
            return true;
        }
        *last = Some((reason.to_owned(), Instant::now()));
        false
    }
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        if self.is_told_again(reason) || self.events.has_ended.load(Ordering::Relaxed) {
            return;
        }
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.events.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
            // A fatal one too: whoever sends next meets it, and makes a new producer.
            if self.events.repeats.is_news(&kafka::kind_of(&error, reason)) {
                tracing::warn!(purpose = %self.purpose, %error, reason, "a producer met an error");
            } else {
                tracing::debug!(purpose = %self.purpose, %error, reason, "a producer met an error, as told before");
            }
            return;
        }
        if self.purpose != Purpose::Single {
            // It may have been idle for long, and be cut off for that. Where no broker can be reached, the one for single
            // records says so.
            return;
        }
        self.events.are_brokers_lost.store(true, Ordering::Relaxed);
        // Librdkafka's own words count the brokers that it knows of, which may be none.
        let trouble = self.events.trouble();
        let reason = trouble.as_deref().unwrap_or("none of them can be connected to");
        // The log may panic, so it comes after what others wait for: here, and wherever both are done.
        if let Some(told) = self.events.brokers_lost.get() {
            told(reason);
        }
        if self.events.repeats.is_news("no broker") {
            tracing::error!(reason, "no broker can be reached");
        } else {
            tracing::debug!(reason, "no broker can be reached, as told before");
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<InFlight>;

    fn delivery(&self, result: &DeliveryResult<'_>, record: Box<InFlight>) {
        let InFlight { told, chosen } = *record;
        let delivered = match result {
            Ok(_) => {
                self.events.delivered();
                Ok(())
            }
            Err((error, _)) => Err(DeliveryError::from_kafka(error).caused_by(error, self.events.trouble())),
        };
        // Here and not around the poll alone: the deliveries behind it would not be told.
        caught("what hears of a delivery", || told(delivered));
        if let Some((topic, partition)) = chosen {
            caught("what follows a delivery", || topic.arrived(partition, result.is_ok()));
        }
        // librdkafka counts a record until all that are told of with it have been, so this is for those before. For the last
        // of all, whoever polls tells once more.
        self.events.tell_space();
    }
}
