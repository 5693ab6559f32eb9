//! Single-record requests: a broker refuses every record of a batch that is too large, or that has one record
//! against the rules of the topic.

use std::sync::Arc;

use rdkafka::ClientConfig;
use tokio::sync::OnceCell;

use super::{
    delivery::Delivery,
    events::{Events, InFlight},
    handover::{Refused, owned, send},
    properties,
    purpose::Purpose,
    refusal::DeliveryError,
    renewed::RenewableProducer,
};
use crate::{
    Config, telemetry,
    wire::{OutgoingRecord, Placement},
};

/// The producer of records that are sent alone, created with the first of them.
pub(super) struct Alone {
    properties: ClientConfig,
    made: OnceCell<RenewableProducer>,
}

impl Alone {
    pub(super) fn new(config: &Config) -> Self {
        Self { properties: properties::alone(config), made: OnceCell::new() }
    }

    /// Returns the producer if it exists.
    pub(super) fn ready(&self) -> Option<&RenewableProducer> {
        self.made.get()
    }

    /// Sends a record in a separate request, and waits until the broker acknowledges it or the delivery
    /// fails.
    pub(super) async fn deliver(
        &self,
        record: &OutgoingRecord,
        events: &Arc<Events>,
        runtime: &tokio::runtime::Handle,
    ) -> Result<(), DeliveryError> {
        let alone = self.get(events, runtime).await?;
        let partition = match record.placement {
            Placement::Partition(partition) => Some(partition),
            Placement::ByKey | Placement::Any => None,
        };
        let (on_delivery, delivery) = Delivery::new();
        match send(alone, record, owned(&record.headers), partition, InFlight { on_delivery, chosen: None }) {
            Ok(()) => delivery.ended().await,
            Err(Refused { error, .. }) => Err(error.into()),
        }
    }

    /// Returns the producer, creating it if needed. The records of a refused batch all ask for it at once,
    /// and share one.
    async fn get(
        &self,
        events: &Arc<Events>,
        runtime: &tokio::runtime::Handle,
    ) -> Result<&RenewableProducer, DeliveryError> {
        let made = self.made.get_or_try_init(|| async {
            let (properties, events) = (self.properties.clone(), Arc::clone(events));
            let making = move || RenewableProducer::make(Purpose::Alone, properties, &events);
            let made = runtime
                .spawn_blocking(making)
                .await
                .map_err(|ended| DeliveryError::for_now(ended.to_string()))?;
            let made = made.map_err(|error| DeliveryError::for_now(error.to_string()))?;
            telemetry::producer_made(Purpose::Alone.name());
            Ok(made)
        });
        made.await
    }
}
