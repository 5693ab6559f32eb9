//! The delivery of a queued record.

use tokio::sync::oneshot;

use super::refusal::DeliveryError;

/// Who hears of the delivery of a record. Mostly a function of the outcome, for a record that is wanted always.
pub(crate) trait OnDelivery: Send + Sync {
    /// Notes that the record may be sent from now on. Until then no broker can have it.
    fn leaves(&self) {}

    /// Whether the record is still to be sent, after it had to wait.
    fn is_wanted(&self) -> bool {
        true
    }

    /// Notes that the record is never sent, because it was not wanted any more.
    fn never_left(&self) {}

    /// Hears the outcome of the delivery.
    fn ended(self: Box<Self>, delivered: Result<(), DeliveryError>);
}

impl<F: FnOnce(Result<(), DeliveryError>) + Send + Sync> OnDelivery for F {
    fn ended(self: Box<Self>, delivered: Result<(), DeliveryError>) {
        self(delivered);
    }
}

/// The outcome of a queued record, once it is known.
#[derive(Debug)]
pub(crate) struct Delivery(oneshot::Receiver<Result<(), DeliveryError>>);

impl Delivery {
    /// Returns a delivery callback and the delivery that waits for its call.
    pub(super) fn new() -> (Box<dyn OnDelivery>, Self) {
        let (on_delivery, delivered) = oneshot::channel();
        let tell = move |result| {
            // The waiting future may have been dropped; that does not cancel the record.
            let _gone = on_delivery.send(result);
        };
        (Box::new(tell), Self(delivered))
    }

    /// Waits until the broker acknowledges the record or the delivery fails.
    pub(crate) async fn ended(self) -> Result<(), DeliveryError> {
        let closed = DeliveryError::in_doubt("the producer was closed");
        self.0.await.unwrap_or(Err(closed))
    }
}
