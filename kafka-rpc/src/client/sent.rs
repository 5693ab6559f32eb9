//! What the producer asks and tells of a request that it has.

use std::{sync::Arc, time::Instant};

use uuid::Uuid;

use super::pending::{Ended, Pending, SharedProgress};
use crate::{
    Progress,
    producer::{DeliveryError, OnDelivery},
};

/// A request that the producer has.
pub(super) struct SentRequest {
    pub(super) id: Uuid,
    pub(super) deadline: Instant,
    pub(super) pending: Arc<Pending>,
    pub(super) progress: SharedProgress,
}

impl OnDelivery for SentRequest {
    fn leaves(&self) {
        self.progress.note(Progress::Unknown);
    }

    fn is_wanted(&self) -> bool {
        // A call that nobody polls is in the table for longer than its deadline.
        Instant::now() < self.deadline && self.pending.waits(self.id)
    }

    fn never_left(&self) {
        self.progress.note(Progress::NotSent);
    }

    fn ended(self: Box<Self>, delivered: Result<(), DeliveryError>) {
        match delivered {
            Ok(()) => self.progress.note(Progress::Acknowledged),
            Err(error) => {
                self.progress.note(error.progress());
                if let Some(waiting) = self.pending.take(self.id) {
                    waiting.answer(Err(Ended::Undeliverable(error.reason)));
                }
            }
        }
    }
}
