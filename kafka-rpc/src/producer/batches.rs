//! The batch producers: one for near brokers and one for far ones. Each is created with its first batch,
//! since the brokers of a process are seldom both near and far.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use rdkafka::ClientConfig;

use super::{events::Events, properties, purpose::Purpose, renewed::RenewableProducer};
use crate::{Config, Error, Tuning, telemetry};

pub(super) struct Batches {
    near: LazyProducer,
    far: LazyProducer,
}

/// A producer that is created on demand.
pub(super) struct LazyProducer {
    purpose: Purpose,
    properties: ClientConfig,
    is_wanted: AtomicBool,
    ready: OnceLock<RenewableProducer>,
}

impl Batches {
    /// Returns `None` if the preset sends batches through the producer of single records.
    pub(super) fn new(config: &Config) -> Option<Self> {
        (config.tuning == Tuning::Latency).then(|| Self {
            near: LazyProducer::new(Purpose::NearBatches, properties::near_batches(config)),
            far: LazyProducer::new(Purpose::FarBatches, properties::far_batches(config)),
        })
    }

    pub(super) fn of(&self, purpose: Purpose) -> Option<&LazyProducer> {
        match purpose {
            Purpose::Single | Purpose::Alone => None,
            Purpose::NearBatches => Some(&self.near),
            Purpose::FarBatches => Some(&self.far),
        }
    }

    /// The batch producers that are ready.
    pub(super) fn ready(&self) -> impl Iterator<Item = &RenewableProducer> {
        [&self.near, &self.far].into_iter().filter_map(LazyProducer::ready)
    }
}

impl LazyProducer {
    fn new(purpose: Purpose, properties: ClientConfig) -> Self {
        Self { purpose, properties, is_wanted: AtomicBool::new(false), ready: OnceLock::new() }
    }

    /// Returns the producer if it is ready.
    pub(super) fn ready(&self) -> Option<&RenewableProducer> {
        self.ready.get()
    }

    /// Marks the producer as wanted. True for the first caller, which must then create it.
    pub(super) fn is_first_wanted(&self) -> bool {
        !self.is_wanted.swap(true, Ordering::Relaxed)
    }

    /// Creates the producer, without putting it to use.
    pub(super) fn make(&self, events: &Arc<Events>) -> Result<RenewableProducer, Error> {
        RenewableProducer::make(self.purpose, self.properties.clone(), events)
    }

    /// Puts the created producer to use.
    pub(super) fn set_ready(&self, made: RenewableProducer) {
        if self.ready.set(made).is_ok() {
            telemetry::producer_made(self.purpose.name());
        }
    }
}
