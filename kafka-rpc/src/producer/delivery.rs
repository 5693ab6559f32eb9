//! The delivery of a queued record.

use tokio::sync::oneshot;

use super::refusal::{DeliveryError, OnDelivery};

/// The outcome of a queued record, once it is known.
#[derive(Debug)]
pub(crate) struct Delivery(oneshot::Receiver<Result<(), DeliveryError>>);

impl Delivery {
    /// Returns a delivery callback and the delivery that waits for its call.
    pub(super) fn new() -> (OnDelivery, Self) {
        let (on_delivery, delivered) = oneshot::channel();
        let tell: OnDelivery = Box::new(move |result| {
            // The waiting future may have been dropped; that does not cancel the record.
            let _gone = on_delivery.send(result);
        });
        (tell, Self(delivered))
    }

    /// Waits until the broker acknowledges the record or the delivery fails.
    pub(crate) async fn ended(self) -> Result<(), DeliveryError> {
        let closed = DeliveryError::in_doubt("the producer was closed");
        self.0.await.unwrap_or(Err(closed))
    }
}
