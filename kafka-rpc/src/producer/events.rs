//! Events of a librdkafka producer, handled on the thread that polls it.

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

use super::{delivery::OnDelivery, purpose::Purpose, refusal::DeliveryError, topic::Topic};
use crate::{caught::caught, kafka, repeats::Repeats, unpoisoned::Unpoisoned as _};

/// Within this time, an error with the same text as the last one is a duplicate.
const TOLD_AGAIN_WITHIN: Duration = Duration::from_millis(100);

/// How long an error of a broker or the network explains later failures: while trouble lasts, librdkafka
/// reports the same error of a broker only once in half a minute (`rd_kafka_broker_set_error`).
const TROUBLE_LASTS: Duration = Duration::from_secs(35);

/// The callback for the loss of the last broker connection.
type OnConnectionsLost = Box<dyn Fn() + Send + Sync>;

/// The state that the events of every librdkafka producer update.
#[derive(Default)]
pub(super) struct Events {
    /// Notified of deliveries, so that callers that wait for queue space try again.
    space: Notify,
    /// How many callers wait for space: mostly none, and notifying nobody costs something too.
    waiting: AtomicUsize,
    /// Called when the last broker connection is lost.
    pub(super) connections_lost: OnceLock<OnConnectionsLost>,
    /// The text and time of the last error, except `ALL_BROKERS_DOWN`, which only sums up the others.
    trouble: Mutex<Option<(String, Instant)>>,
    /// Whether no broker could be reached and nothing has been delivered since.
    are_brokers_lost: AtomicBool,
    /// Whether sending has ended, so that the state of the brokers no longer matters.
    has_ended: AtomicBool,
    repeats: Repeats,
}

/// Counts a caller as waiting for space until dropped.
pub(super) struct Waits<'a>(&'a Events);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Events {
    /// Registers a caller that waits for space. The returned future sees every notification from now on.
    pub(super) fn listen_for_space(&self) -> (Waits<'_>, Notified<'_>) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        (Waits(self), self.space.notified())
    }

    /// Wakes the callers that wait for space.
    pub(super) fn notify_space(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.space.notify_waiters();
        }
    }

    /// Marks the end of sending.
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

    /// Returns the last error of a broker or the network, if it is recent.
    pub(super) fn trouble(&self) -> Option<String> {
        self.last_trouble()
            .as_ref()
            .filter(|(_, at)| at.elapsed() < TROUBLE_LASTS)
            .map(|(said, _)| said.clone())
    }

    /// Whether a broker or the network has reported an error since `moment`.
    pub(super) fn has_had_trouble_since(&self, moment: Instant) -> bool {
        self.last_trouble().as_ref().is_some_and(|(_, at)| *at >= moment)
    }

    fn note_trouble(&self, said: &str) {
        *self.last_trouble() = Some((said.to_owned(), Instant::now()));
    }

    fn last_trouble(&self) -> MutexGuard<'_, Option<(String, Instant)>> {
        self.trouble.lock().unpoisoned()
    }

    /// Reports that no broker can be reached, and why.
    pub(super) fn tell_brokers_lost(&self, told: &dyn Fn(&str)) {
        if self.has_ended.load(Ordering::Relaxed) {
            return;
        }
        self.are_brokers_lost.store(true, Ordering::Relaxed);
        // The text of `ALL_BROKERS_DOWN` only counts the known brokers, which may be none.
        let trouble = self.trouble();
        let reason = trouble.as_deref().unwrap_or("no connection to any broker can be made");
        // Logging may panic, so it always comes after the calls that others wait for.
        told(reason);
        if self.repeats.is_news("no broker") {
            tracing::error!(reason, "no broker can be reached");
        } else {
            tracing::debug!(reason, "no broker can be reached, as logged before");
        }
    }
}

/// The data that librdkafka holds with a record and returns with its delivery report.
pub(super) struct InFlight {
    pub(super) on_delivery: Box<dyn OnDelivery>,
    /// The partition that was chosen for the record, if any: other records wait until this one has arrived
    /// there.
    pub(super) chosen: Option<(Arc<Topic>, i32)>,
}

/// The client context of a librdkafka producer.
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

    /// Whether this error was just reported: rust-rdkafka reports an error twice, from its client and from
    /// `BaseProducer`.
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
            // Fatal errors too: the next send runs into one, and replaces the producer.
            if self.events.repeats.is_news(&kafka::kind_of(&error, reason)) {
                tracing::warn!(purpose = %self.purpose, %error, reason, "a producer reported an error");
            } else {
                tracing::debug!(
                    purpose = %self.purpose, %error, reason,
                    "a producer reported an error, as logged before"
                );
            }
            return;
        }
        if self.purpose != Purpose::Single {
            // The other producers may lose their connections by being idle. If no broker can be reached, the
            // producer of single records reports it.
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
            Err((error, message)) => {
                let error_of = DeliveryError::from_kafka(error, kafka::may_be_stored(message));
                Err(error_of.caused_by(error, self.events.trouble()))
            }
        };
        // Caught for each delivery, not only around the poll: a panic would lose the deliveries behind this
        // one.
        caught("the callback for a delivery", || on_delivery.ended(delivered));
        if let Some((topic, partition)) = chosen {
            caught("sending what waited for a delivery", || topic.arrived(partition, result.is_ok()));
        }
        // librdkafka counts a record as queued until all deliveries that it reports together are handled. So
        // this notification is for earlier ones; the polling thread notifies again after the last.
        self.events.notify_space();
    }
}
