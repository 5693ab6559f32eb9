//! Records that go alone: brokers measure a whole batch, and refuse each record of one that is too large.

use std::sync::Arc;

use rdkafka::ClientConfig;
use tokio::sync::OnceCell;

use super::{
    Delivery, DeliveryError, Producer, QueueError,
    distance::Purpose,
    events::InFlight,
    properties,
    renewed::RenewableProducer,
    sending::{Refused, owned, send},
};
use crate::{
    Config, telemetry,
    wire::{OutgoingRecord, Placement},
};

/// The producer for such records, made when there is one.
pub(super) struct Alone {
    properties: ClientConfig,
    made: OnceCell<RenewableProducer>,
}

impl Alone {
    pub(super) fn new(config: &Config) -> Self {
        Self { properties: properties::alone(config), made: OnceCell::new() }
    }

    /// The producer, if it is there.
    pub(super) fn ready(&self) -> Option<&RenewableProducer> {
        self.made.get()
    }

    /// The producer. The records of a batch ask for it all at once, and one is enough for all.
    async fn get(&self, of: &Producer) -> Result<&RenewableProducer, DeliveryError> {
        let made = self.made.get_or_try_init(|| async {
            let (properties, events, runtime) =
                (self.properties.clone(), Arc::clone(&of.events), of.runtime.clone());
            let making = move || RenewableProducer::make(Purpose::Alone, properties, &events, &runtime);
            let made = of
                .runtime
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

impl Producer {
    /// Sends a record in a request of its own, and waits until the broker has it, or is known not to get it.
    pub(crate) async fn deliver_alone(&self, record: &OutgoingRecord) -> Result<(), DeliveryError> {
        let alone = self.alone.get(self).await?;
        let partition = match record.placement {
            Placement::Partition(partition) => Some(partition),
            Placement::ByKey | Placement::Any => None,
        };
        let (on_delivery, delivery) = Delivery::new();
        match send(alone, record, owned(&record.headers), partition, InFlight { on_delivery, chosen: None }) {
            Ok(()) => delivery.ended().await,
            Err(Refused { error: QueueError::Full, .. }) => {
                Err(DeliveryError::for_now("the producer's queue is full".to_owned()))
            }
            Err(Refused { error: QueueError::Refused(error), .. }) => Err(error),
        }
    }
}
