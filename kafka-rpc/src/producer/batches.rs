//! The producers of batches: one for brokers that are near, and one for those that are not. Each is made when there is a
//! batch for it, since the brokers of a process are one or the other, and seldom both.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use rdkafka::ClientConfig;

use super::{distance::Purpose, events::Events, properties, renewed::RenewableProducer};
use crate::{Config, Error, Tuning, telemetry};

pub(super) struct Batches {
    near: LazyProducer,
    far: LazyProducer,
}

/// A producer that may be there.
pub(super) struct LazyProducer {
    purpose: Purpose,
    properties: ClientConfig,
    is_wanted: AtomicBool,
    ready: OnceLock<RenewableProducer>,
}

impl Batches {
    /// None where a preset sends batches as it sends single records.
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

    /// Those that are there.
    pub(super) fn ready(&self) -> impl Iterator<Item = &RenewableProducer> {
        [&self.near, &self.far].into_iter().filter_map(LazyProducer::ready)
    }
}

impl LazyProducer {
    fn new(purpose: Purpose, properties: ClientConfig) -> Self {
        Self { purpose, properties, is_wanted: AtomicBool::new(false), ready: OnceLock::new() }
    }

    /// The producer, if it is there.
    pub(super) fn ready(&self) -> Option<&RenewableProducer> {
        self.ready.get()
    }

    /// Notes that it is wanted; true for the first who says so, who sees to it.
    pub(super) fn is_first_wanted(&self) -> bool {
        !self.is_wanted.swap(true, Ordering::Relaxed)
    }

    /// Makes it.
    pub(super) fn make(
        &self,
        events: &Arc<Events>,
        runtime: &tokio::runtime::Handle,
    ) -> Result<RenewableProducer, Error> {
        RenewableProducer::make(self.purpose, self.properties.clone(), events, runtime)
    }

    /// Notes that it may be used from now on.
    pub(super) fn set_ready(&self, made: RenewableProducer) {
        if self.ready.set(made).is_ok() {
            telemetry::producer_made(self.purpose.name());
        }
    }
}
