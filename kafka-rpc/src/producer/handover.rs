//! Hands a record to librdkafka.

use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::BaseRecord,
};

use super::{
    delivery::OnDelivery,
    events::InFlight,
    refusal::{DeliveryError, QueueError},
    renewed::RenewableProducer,
};
use crate::{Headers, wire::OutgoingRecord};

/// Hands a record to librdkafka; returns its parts if librdkafka does not accept it.
pub(super) fn send(
    through: &RenewableProducer,
    record: &OutgoingRecord,
    headers: OwnedHeaders,
    partition: Option<i32>,
    in_flight: InFlight,
) -> Result<(), Refused> {
    in_flight.on_delivery.leaves();
    let mut base = BaseRecord::<[u8], [u8], _>::with_opaque_to(&record.topic, Box::new(in_flight));
    base.key = record.key.as_deref();
    base.payload = record.value.as_deref();
    base.headers = Some(headers);
    base.partition = partition;
    through.send(base).map_err(|(error, base)| {
        let error = match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => QueueError::Full,
            error => QueueError::Refused(DeliveryError::from_kafka(&error, false)),
        };
        Refused {
            error,
            headers: base.headers.unwrap_or_default(),
            on_delivery: base.delivery_opaque.on_delivery,
        }
    })
}

/// The parts of a record that librdkafka did not accept, to be used again.
pub(super) struct Refused {
    pub(super) error: QueueError,
    pub(super) headers: OwnedHeaders,
    pub(super) on_delivery: Box<dyn OnDelivery>,
}

pub(super) fn owned(headers: &Headers) -> OwnedHeaders {
    let mut owned = OwnedHeaders::new_with_capacity(headers.len());
    for (key, value) in headers {
        owned = owned.insert(Header { key, value });
    }
    owned
}
