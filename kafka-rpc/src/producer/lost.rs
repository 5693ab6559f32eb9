//! Whether any broker can be reached.
//!
//! librdkafka says that none can (`ALL_BROKERS_DOWN`) whenever the last connection goes, before it tries to make another; and it
//! counts brokers that went one after another, and are back, with nothing to connect for. So one is asked before anybody hears of it.

use std::{sync::Arc, thread, time::Duration};

use super::Producer;
use crate::caught::caught;

/// How long a broker may take to answer. librdkafka connects again after a tenth of a second, and calls are to end within a second
/// where nothing can be reached.
const ANSWERS_WITHIN: Duration = Duration::from_millis(500);

impl Producer {
    /// Says who is told when no broker can be reached. The first to say so is told.
    pub(crate) fn on_brokers_lost(self: &Arc<Self>, told: impl Fn(&str) + Send + Sync + 'static) {
        let (producer, told) = (Arc::downgrade(self), Arc::new(told));
        let ask = move || {
            let Some(producer) = producer.upgrade() else { return };
            let told = Arc::clone(&told);
            let asking = move || {
                caught("who asks for brokers", || {
                    if producer.ask_anything(ANSWERS_WITHIN).is_ok() {
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
}
