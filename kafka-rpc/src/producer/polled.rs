//! A librdkafka producer with a thread that polls it.
//!
//! rust-rdkafka's `ThreadedProducer` joins its thread when dropped, but a delivery callback on that thread
//! may drop the last reference to it. [`PolledProducer`] only signals its thread, which outlives every
//! callback.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{ClientConfig, producer::BaseProducer};

use super::{
    events::{Deliveries, Events},
    purpose::Purpose,
};
use crate::{Error, caught::caught, kafka};

/// How long one poll lasts, and so how long stopping may take.
const POLL_FOR: Duration = Duration::from_millis(100);

/// A producer that is polled until this is dropped.
pub(super) struct PolledProducer {
    producer: Arc<BaseProducer<Deliveries>>,
    stop: Arc<AtomicBool>,
}

impl PolledProducer {
    pub(super) fn create(
        purpose: Purpose,
        properties: &ClientConfig,
        events: &Arc<Events>,
    ) -> Result<Self, Error> {
        let producer: BaseProducer<Deliveries> = properties
            .create_with_context(Deliveries::new(purpose, events))
            .map_err(|error| kafka::creation_error("the producer", &error))?;
        let (producer, stop) = (Arc::new(producer), Arc::<AtomicBool>::default());
        let (polled, stopped, events) = (Arc::clone(&producer), Arc::clone(&stop), Arc::clone(events));
        thread::Builder::new()
            .name("kafka-rpc-producer".to_owned())
            .spawn(move || {
                while !stopped.load(Ordering::Acquire) {
                    caught("a producer thread", || polled.poll(POLL_FOR));
                    events.notify_space();
                }
            })
            .map_err(|source| Error::System {
                action: "a producer thread could not be started".to_owned(),
                source,
            })?;
        Ok(Self { producer, stop })
    }
}

impl Deref for PolledProducer {
    type Target = BaseProducer<Deliveries>;

    fn deref(&self) -> &Self::Target {
        &self.producer
    }
}

impl Drop for PolledProducer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}
