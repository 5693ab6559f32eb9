//! Whether any broker can be reached.
//!
//! librdkafka says that none can (`ALL_BROKERS_DOWN`) whenever the last connection goes, before it tries to make another; and it
//! counts brokers that went one after another, and are back, with nothing to connect for. So one is asked before anybody hears of it.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::error::RDKafkaErrorCode::OperationTimedOut;

use super::Producer;
use crate::caught::caught;

/// How long it is waited for a connection at a time. librdkafka connects again after a tenth of a second, and calls are to end within a
/// second where connections are refused.
const CONNECTS_WITHIN: Duration = Duration::from_millis(500);

/// For how long it is waited while nothing says that there can be none: with TLS and SASL one takes eight round trips.
const CONNECTS_SLOWLY_WITHIN: Duration = Duration::from_secs(2);

impl Producer {
    /// Says who is told when no broker can be reached. The first to say so is told.
    pub(crate) fn on_brokers_lost(self: &Arc<Self>, told: impl Fn(&str) + Send + Sync + 'static) {
        let (producer, told) = (Arc::downgrade(self), Arc::new(told));
        let ask = move || {
            let Some(producer) = producer.upgrade() else { return };
            let told = Arc::clone(&told);
            let asking = move || {
                caught("looking for brokers", || {
                    if producer.can_reach_a_broker() {
                        tracing::debug!("all connections to brokers were lost, and one was made again");
                    } else {
                        producer.events.tell_brokers_lost(&*told);
                    }
                });
            };
            let thread = thread::Builder::new().name("kafka-rpc-brokers".to_owned());
            if let Err(error) = thread.spawn(asking) {
                tracing::error!(%error, "no thread could be started that asks for brokers; calls end at their deadlines");
            }
        };
        let _another_was_first = self.events.connections_lost.set(Box::new(ask));
    }

    /// Whether there is a connection again. Blocks.
    fn can_reach_a_broker(&self) -> bool {
        let began = Instant::now();
        loop {
            let Err(error) = self.ask_anything(CONNECTS_WITHIN) else { return true };
            if error.rdkafka_error_code() == Some(OperationTimedOut) {
                // It was asked, and is slow. Of a connection that could not be made librdkafka says something else.
                return true;
            }
            if self.events.has_had_trouble_since(began) || began.elapsed() >= CONNECTS_SLOWLY_WITHIN {
                return false;
            }
        }
    }
}
