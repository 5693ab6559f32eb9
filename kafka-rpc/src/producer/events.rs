//! What librdkafka tells of a producer, on the thread that polls it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
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
use crate::{caught::caught, kafka, repeats::Repeats, unpoisoned::Unpoisoned as _};

/// How soon an error is told once more that is the same.
const TOLD_AGAIN_WITHIN: Duration = Duration::from_millis(100);

/// For how long what a broker or the network said is the reason of what happens: where it lasts, librdkafka says the same of a broker
/// once in half a minute (`rd_kafka_broker_set_error`).
const TROUBLE_LASTS: Duration = Duration::from_secs(35);

/// What is told when the last connection to a broker goes.
type OnConnectionsLost = Box<dyn Fn() + Send + Sync>;

/// Who hears what librdkafka tells, whichever producer it tells it of.
#[derive(Default)]
pub(super) struct Events {
    /// Told of deliveries: whoever waits for space may try again.
    space: Notify,
    /// How many wait for that: nobody does in most cases, and telling nobody costs something too.
    waiting: AtomicUsize,
    /// Told when the last connection to a broker goes.
    pub(super) connections_lost: OnceLock<OnConnectionsLost>,
    /// What the last error said, but for the one that only sums up, and when.
    trouble: Mutex<Option<(String, Instant)>>,
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
    pub(super) fn notify_space(&self) {
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
            caught("logging that brokers are back", || tracing::info!("brokers can be reached again"));
        }
    }

    /// What a broker or the network has just said.
    pub(super) fn trouble(&self) -> Option<String> {
        self.last_trouble()
            .as_ref()
            .filter(|(_, at)| at.elapsed() < TROUBLE_LASTS)
            .map(|(said, _)| said.clone())
    }

    /// Whether a broker or the network has said something since then.
    pub(super) fn has_had_trouble_since(&self, moment: Instant) -> bool {
        self.last_trouble().as_ref().is_some_and(|(_, at)| *at >= moment)
    }

    fn note_trouble(&self, said: &str) {
        *self.last_trouble() = Some((said.to_owned(), Instant::now()));
    }

    fn last_trouble(&self) -> MutexGuard<'_, Option<(String, Instant)>> {
        self.trouble.lock().unpoisoned()
    }

    /// Tells that no broker can be reached, and why.
    pub(super) fn tell_brokers_lost(&self, told: &dyn Fn(&str)) {
        if self.has_ended.load(Ordering::Relaxed) {
            return;
        }
        self.are_brokers_lost.store(true, Ordering::Relaxed);
        // Librdkafka's own words count the brokers that it knows of, which may be none.
        let trouble = self.trouble();
        let reason = trouble.as_deref().unwrap_or("none of them can be connected to");
        // The log may panic, so it comes after what others wait for: here, and wherever both are done.
        told(reason);
        if self.repeats.is_news("no broker") {
            tracing::error!(reason, "no broker can be reached");
        } else {
            tracing::debug!(reason, "no broker can be reached, as told before");
        }
    }
}

/// A record that librdkafka has, for whoever is told of its delivery.
pub(super) struct InFlight {
    pub(super) on_delivery: OnDelivery,
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
        let mut last = self.last.lock().unpoisoned();
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
            self.events.note_trouble(reason);
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
        if let Some(lost) = self.events.connections_lost.get() {
            lost();
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<InFlight>;

    fn delivery(&self, result: &DeliveryResult<'_>, record: Box<InFlight>) {
        let InFlight { on_delivery, chosen } = *record;
        let delivered = match result {
            Ok(_) => {
                self.events.delivered();
                Ok(())
            }
            Err((error, _)) => Err(DeliveryError::from_kafka(error).caused_by(error, self.events.trouble())),
        };
        // Here and not around the poll alone: the deliveries behind it would not be told.
        caught("the callback of a delivery", || on_delivery(delivered));
        if let Some((topic, partition)) = chosen {
            caught("what is sent after a delivery", || topic.arrived(partition, result.is_ok()));
        }
        // librdkafka counts a record until all that are told of with it have been, so this is for those before. For the last
        // of all, whoever polls tells once more.
        self.events.notify_space();
    }
}
