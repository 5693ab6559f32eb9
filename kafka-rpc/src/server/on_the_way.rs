//! The replies that were sent off, until they are delivered.
//!
//! Whoever is told of a delivery ends the job of its record, and no task waits for that. What goes wrong is seen to in a task.
//! One that is long on its way, since a partition of its topic has no leader or too few replicas, holds its own partition as
//! if it had been refused, and not the place of a handler: replies of one such partition would soon have all places.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    assigned::Generation,
    lanes::Job,
    slabs::{Slabs, Slot},
    worker::{Task, Worker},
};
use crate::{producer::DeliveryError, wire::OutgoingRecord};

/// After how long a delivery is slow: longer than a cluster takes to miss a broker (9 s by default) and to elect other leaders.
/// Who drains waits for what is on its way, and not for what is held.
pub(super) const SLOW_AFTER: Duration = Duration::from_secs(15);

/// The replies of a subscription that are on their way.
pub(super) type OnTheWay = Slabs<SentOff>;

/// A reply on its way, as far as its partition is concerned.
#[derive(Debug)]
pub(super) struct SentOff {
    partition: i32,
    generation: Generation,
    /// The first look after it was sent. Most are delivered before one, and need no clock.
    seen_at: Option<Instant>,
    is_held: bool,
}

/// A reply on its way to the broker, with the job that it ends.
struct OnItsWay {
    worker: Arc<Worker>,
    job: Option<(Job<Task>, Arc<OutgoingRecord>)>,
    slot: Slot,
}

impl Worker {
    /// Sends a reply; its job ends once it is delivered.
    pub(super) fn send_off(self: &Arc<Self>, job: Job<Task>, reply: &Arc<OutgoingRecord>) {
        let (partition, generation) = (job.item.record.partition(), job.item.generation);
        let slot = self.on_the_way.insert(SentOff { partition, generation, seen_at: None, is_held: false });
        let sent = OnItsWay { worker: Arc::clone(self), job: Some((job, Arc::clone(reply))), slot };
        let _seen_to = self.producer.queue(reply, Box::new(move |delivered| sent.told(&delivered)));
    }

    /// Has replies that are long on their way give up their places.
    pub(crate) fn hold_slow_replies(self: &Arc<Self>) {
        let now = Instant::now();
        let mut slow = 0;
        // With its list locked: whoever is told of its delivery sees either that it is held, or that it is not.
        self.on_the_way.each(|reply| {
            let seen_at = *reply.seen_at.get_or_insert(now);
            if !reply.is_held && now.saturating_duration_since(seen_at) >= SLOW_AFTER {
                reply.is_held = true;
                slow += 1;
                self.hold(reply.partition, reply.generation);
            }
        });
        if slow > 0 {
            tracing::error!(
                topic = %self.source, group = %self.served.group, replies = slow,
                "replies are not delivered after {SLOW_AFTER:?}; their records stay uncommitted, their partitions pause, and go on \
                 by themselves once they are"
            );
        }
    }
}

impl OnItsWay {
    fn told(mut self, delivered: &Result<(), DeliveryError>) {
        if delivered.is_ok()
            && let Some((job, _reply)) = self.job.take()
        {
            if self.take_off() {
                self.worker.release(job.item.record.partition(), job.item.generation);
            }
            self.worker.replied(&job);
        }
    }

    /// Takes it off the way; whether it holds its partition.
    fn take_off(&self) -> bool {
        self.worker.on_the_way.remove(self.slot).is_some_and(|reply| reply.is_held)
    }
}

/// It was not delivered, or could not be queued, or the producer has gone without a word: it is sent once more.
impl Drop for OnItsWay {
    fn drop(&mut self) {
        if let Some((job, reply)) = self.job.take() {
            self.worker.send_again(job, reply, self.take_off());
        }
    }
}
