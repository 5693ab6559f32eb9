//! A topic that is written to: its partitions, and the records that wait for one of them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time};

use super::{
    Producer, QueueError,
    events::OnDelivery,
    gather::{Batch, Gather},
    release,
};
use crate::wire::OutgoingRecord;

/// How long the partitions of a topic are believed before they are asked for again.
const BELIEVED_FOR: Duration = Duration::from_secs(30);

/// How long an answer about them is waited for before they are asked for again.
const ASKED_FOR: Duration = Duration::from_secs(5);

/// How many records may wait: as many as librdkafka takes (`queue.buffering.max.messages`).
const MOST_WAITING: usize = 100_000;

/// A record that waits for a partition.
pub(super) type Waiting = (Arc<OutgoingRecord>, OnDelivery);

pub(super) struct Topic {
    pub(super) name: Arc<str>,
    producer: Weak<Producer>,
    state: Mutex<State>,
    /// Told when it must be looked when something is due.
    look: Notify,
}

struct State {
    gather: Gather<Waiting>,
    believed_until: Instant,
}

/// What is to be done about a record.
pub(super) enum Place {
    /// It goes now: to this partition, or by its key where none is known.
    Now(Option<i32>, Waiting),
    /// It waits, and these go now.
    Batch(Batch<Waiting>),
    /// It waits.
    Waits,
}

impl Topic {
    /// Begins with no partitions: they are to be asked for.
    pub(super) fn new(name: Arc<str>, producer: &Arc<Producer>) -> Self {
        Self {
            name,
            producer: Arc::downgrade(producer),
            state: Mutex::new(State { gather: Gather::default(), believed_until: Instant::now() }),
            look: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the partitions are to be asked for; says so once until there is an answer, or should have been.
    pub(super) fn must_ask(&self, now: Instant) -> bool {
        let mut state = self.state();
        let must = state.believed_until <= now;
        if must {
            state.believed_until = now + ASKED_FOR;
        }
        must
    }

    /// Notes the partitions that have a leader.
    pub(super) fn answered(&self, ids: impl IntoIterator<Item = i32>) {
        let mut state = self.state();
        state.gather.set_partitions(ids);
        state.believed_until = Instant::now() + BELIEVED_FOR;
        drop(state);
        self.look.notify_one();
    }

    /// Finds a place for a record whose key is only an id.
    pub(super) fn place(&self, waiting: Waiting, now: Instant) -> Result<Place, QueueError> {
        let mut state = self.state();
        let gather = &mut state.gather;
        if gather.knows_none() {
            return Ok(Place::Now(None, waiting));
        }
        if let Some(partition) = gather.send_at_once(now) {
            return Ok(Place::Now(Some(partition), waiting));
        }
        if gather.waiting() >= MOST_WAITING {
            return Err(QueueError::Full);
        }
        let is_first = gather.waiting() == 0;
        let bytes = waiting.0.value.as_ref().map_or(0, bytes::Bytes::len);
        gather.wait(waiting, bytes);
        let batch = gather.take(now);
        drop(state);
        if is_first && batch.is_none() {
            self.look.notify_one();
        }
        Ok(batch.map_or(Place::Waits, Place::Batch))
    }

    /// Notes that a record has arrived, or never will, and sends what has waited for that.
    pub(super) fn arrived(self: &Arc<Self>, partition: i32) {
        let mut state = self.state();
        let is_free = state.gather.arrived(partition);
        if !is_free || state.gather.waiting() == 0 {
            return;
        }
        let batch = state.gather.take(Instant::now());
        drop(state);
        match batch {
            Some(batch) => self.send(batch),
            None => self.look.notify_one(),
        }
    }

    /// All that waits: nothing more will be gathered.
    pub(super) fn take_all(&self) -> Vec<Waiting> {
        self.state().gather.take_all()
    }

    /// Sends what is due, for as long as there is a producer.
    pub(super) async fn send_when_due(self: Arc<Self>) {
        while self.producer.strong_count() > 0 {
            self.look.notified().await;
            while let Some(due) = self.due() {
                time::sleep_until(due.into()).await;
                let batch = self.state().gather.take(Instant::now());
                if let Some(batch) = batch {
                    self.send(batch);
                }
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        self.state().gather.due()
    }

    /// Ends [`send_when_due`](Self::send_when_due): the producer has gone.
    pub(super) fn end(&self) {
        self.look.notify_one();
    }

    fn send(self: &Arc<Self>, batch: Batch<Waiting>) {
        if let Some(producer) = self.producer.upgrade() {
            producer.send_batch(self, batch);
            release(producer);
        }
    }
}
