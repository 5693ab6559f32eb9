//! Whether any broker can be reached.
//!
//! librdkafka reports that none can (`ALL_BROKERS_DOWN`) whenever the last connection is lost, before it
//! tries to reconnect. It also counts brokers that went away one after another and are back, but that it has
//! no reason to connect to. So a broker is asked before the loss is reported.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::error::RDKafkaErrorCode::OperationTimedOut;

use super::Producer;
use crate::caught::caught;

/// Timeout of one query to the brokers. librdkafka reconnects after a tenth of a second, and calls must end
/// within a second if connections are refused.
const CONNECTS_WITHIN: Duration = Duration::from_millis(500);

/// How long to repeat the query while no error is reported: with TLS and SASL a connection takes eight round
/// trips.
const CONNECTS_SLOWLY_WITHIN: Duration = Duration::from_secs(2);

impl Producer {
    /// Sets the callback for when no broker can be reached. Only the first one set is kept.
    pub(crate) fn on_brokers_lost(self: &Arc<Self>, told: impl Fn(&str) + Send + Sync + 'static) {
        let (producer, told) = (Arc::downgrade(self), Arc::new(told));
        let ask = move || {
            let Some(producer) = producer.upgrade() else { return };
            let told = Arc::clone(&told);
            let asking = move || {
                caught("checking whether a broker can be reached", || {
                    if producer.can_reach_a_broker() {
                        tracing::debug!("all connections to brokers were lost, and one has been restored");
                    } else {
                        producer.events.tell_brokers_lost(&*told);
                    }
                });
            };
            let thread = thread::Builder::new().name("kafka-rpc-brokers".to_owned());
            if let Err(error) = thread.spawn(asking) {
                tracing::error!(
                    %error,
                    "the thread that checks whether a broker can be reached could not be started; calls end at their \
                     deadlines"
                );
            }
        };
        let _another_was_first = self.events.connections_lost.set(Box::new(ask));
    }

    /// Whether a broker is connected again. Blocks.
    fn can_reach_a_broker(&self) -> bool {
        let began = Instant::now();
        loop {
            let Err(error) = self.ask_anything(CONNECTS_WITHIN) else { return true };
            if error.rdkafka_error_code() == Some(OperationTimedOut) {
                // A broker was asked, and is slow. If no connection can be made, librdkafka returns another
                // error.
                return true;
            }
            if self.events.has_had_trouble_since(began) || began.elapsed() >= CONNECTS_SLOWLY_WITHIN {
                return false;
            }
        }
    }
}
