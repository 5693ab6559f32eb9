//! The delivery of a record that is queued.

use tokio::sync::oneshot;

use super::refusal::{DeliveryError, OnDelivery};

/// A record that is queued.
#[derive(Debug)]
pub(crate) struct Delivery(oneshot::Receiver<Result<(), DeliveryError>>);

impl Delivery {
    /// One that waits for what this hears.
    pub(super) fn new() -> (OnDelivery, Self) {
        let (on_delivery, delivered) = oneshot::channel();
        let tell: OnDelivery = Box::new(move |result| {
            // Whoever waited may have gone; the record has not.
            let _gone = on_delivery.send(result);
        });
        (tell, Self(delivered))
    }

    /// Waits until the broker has it, or is known not to get it.
    pub(crate) async fn ended(self) -> Result<(), DeliveryError> {
        let closed =
            DeliveryError { may_be_stored: true, ..DeliveryError::for_now("the producer was closed") };
        self.0.await.unwrap_or(Err(closed))
    }
}
