//! A topic that is written to: its partitions, and the records that wait for one of them.

use std::{
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::{Duration, Instant},
};

use rdkafka::message::OwnedHeaders;
use tokio::{sync::Notify, time};

use super::{
    Producer,
    delivery::OnDelivery,
    gather::{Batch, Gather},
    purpose::Purpose,
    refusal::QueueError,
};
use crate::{unpoisoned::Unpoisoned as _, wire::OutgoingRecord};

/// Timeout of one query to the cluster.
pub(super) const ASK_FOR: Duration = Duration::from_secs(5);

/// How long the known partitions of a topic are used before they are asked for again.
const BELIEVED_FOR: Duration = Duration::from_secs(30);

/// The most that may wait: as many records as librdkafka queues (`queue.buffering.max.messages`), and a
/// quarter of the bytes.
const MOST_WAITING: usize = 100_000;
const MOST_BYTES: usize = 256 << 20;

/// How often, at that bound, the waiting records are searched for some that are no longer wanted: a search
/// takes milliseconds, and sending goes on without it.
const SEARCH_EVERY: Duration = Duration::from_millis(500);

/// A record that waits for a partition.
///
/// Its headers are in librdkafka's form already, made by the caller that queues the record: the records of a
/// batch go to librdkafka as fast as possible, since it waits only a millisecond for them, or not at all.
pub(super) struct WaitingRecord {
    pub(super) record: Arc<OutgoingRecord>,
    pub(super) headers: OwnedHeaders,
    pub(super) on_delivery: Box<dyn OnDelivery>,
}

impl WaitingRecord {
    /// Returns the record if its sender still wants it sent, or else tells the sender that it never is.
    pub(super) fn if_wanted(self) -> Option<Self> {
        // Noted before the question: a call that ends just then must not report that nothing was sent.
        self.on_delivery.leaves();
        self.is_wanted().then_some(self)
    }

    /// Whether the record's sender still wants it sent; if not, it is told that the record never is.
    fn is_wanted(&self) -> bool {
        let is_wanted = self.on_delivery.is_wanted();
        if !is_wanted {
            self.on_delivery.never_left();
        }
        is_wanted
    }
}

pub(super) struct Topic {
    pub(super) name: Arc<str>,
    producer: Weak<Producer>,
    state: Mutex<State>,
    /// Wakes [`Topic::send_when_due`] to see when something is due.
    look: Notify,
}

struct State {
    gather: Gather<WaitingRecord>,
    believed_until: Instant,
    /// When unwanted records are searched for again, if there is no room.
    searches_from: Instant,
}

impl State {
    /// Whether one more record may wait. Those that nobody waits for any more keep no other from waiting.
    fn has_room(&mut self, now: Instant) -> bool {
        let has_room =
            |gather: &Gather<_>| gather.waiting() < MOST_WAITING && gather.waiting_bytes() < MOST_BYTES;
        if has_room(&self.gather) {
            return true;
        }
        if now < self.searches_from {
            return false;
        }
        self.searches_from = now + SEARCH_EVERY;
        self.gather.keep(WaitingRecord::is_wanted);
        has_room(&self.gather)
    }
}

/// What happens to a record.
pub(super) enum Placed {
    /// The record goes now: to this partition, or by key if none is known.
    Now(Option<i32>, WaitingRecord),
    /// The record joins the waiting ones, and this batch of them goes now.
    Batch(Batch<WaitingRecord>),
    /// The record waits.
    Waits,
}

impl Batch<WaitingRecord> {
    /// A batch of one record that was to go at once.
    pub(super) fn of_one(partition: i32, waiting: WaitingRecord) -> Self {
        let bytes = waiting.record.size();
        Self { partition, purpose: Purpose::Single, records: [(waiting, bytes)].into() }
    }
}

impl Topic {
    /// Starts without partitions, so that the first record asks for them.
    pub(super) fn new(name: Arc<str>, producer: &Arc<Producer>) -> Self {
        Self {
            name,
            producer: Arc::downgrade(producer),
            state: Mutex::new(State {
                gather: Gather::default(),
                believed_until: Instant::now(),
                searches_from: Instant::now(),
            }),
            look: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unpoisoned()
    }

    /// Sets the partitions, which are those with a leader.
    pub(super) fn answered(&self, ids: impl IntoIterator<Item = i32>) {
        let mut state = self.state();
        state.gather.set_partitions(ids);
        state.believed_until = Instant::now() + BELIEVED_FOR;
        drop(state);
        self.look.notify_one();
    }

    /// Finds a partition for a record whose key is only an id. Calls `ask` when the partitions are to be
    /// asked for: once, until there is an answer or the query must have timed out.
    pub(super) fn place(
        &self,
        waiting: WaitingRecord,
        now: Instant,
        ask: impl FnOnce(),
    ) -> Result<Placed, QueueError> {
        let mut state = self.state();
        if state.believed_until <= now {
            state.believed_until = now + ASK_FOR;
            ask();
        }
        let gather = &mut state.gather;
        if gather.knows_none() {
            return Ok(Placed::Now(None, waiting));
        }
        if let Some(partition) = gather.send_at_once(now) {
            return Ok(Placed::Now(Some(partition), waiting));
        }
        if !state.has_room(now) {
            return Err(QueueError::Full);
        }
        let gather = &mut state.gather;
        let is_first = gather.waiting() == 0;
        let bytes = waiting.record.size();
        gather.wait(waiting, bytes);
        let batch = gather.take(now);
        drop(state);
        if is_first && batch.is_none() {
            self.look.notify_one();
        }
        Ok(batch.map_or(Placed::Waits, Placed::Batch))
    }

    /// Notes that a record was delivered, or never will be, and sends the records that waited for that.
    pub(super) fn arrived(self: &Arc<Self>, partition: i32, is_delivered: bool) {
        let mut state = self.state();
        if !state.gather.arrived(partition) {
            return;
        }
        let now = Instant::now();
        if is_delivered {
            state.gather.acknowledged(partition, now);
        }
        if state.gather.waiting() == 0 {
            return;
        }
        let batch = state.gather.take(now);
        drop(state);
        match batch {
            Some(batch) => self.send(batch),
            None => self.look.notify_one(),
        }
    }

    /// Notes that librdkafka did not accept a record for its partition.
    pub(super) fn not_sent(&self, partition: i32) {
        self.state().gather.arrived(partition);
        self.look.notify_one();
    }

    /// Takes back the unsent records of a batch, to be sent a little later.
    pub(super) fn put_back(&self, batch: Batch<WaitingRecord>) {
        let mut state = self.state();
        state.gather.put_back(batch);
        self.look_again(state);
    }

    /// Takes back the records for a partition that does not exist, to go to another.
    pub(super) fn place_elsewhere(&self, batch: Batch<WaitingRecord>) {
        let mut state = self.state();
        let gone = batch.partition;
        state.gather.put_back(batch);
        state.gather.forget(gone);
        state.believed_until = Instant::now();
        self.look_again(state);
    }

    /// Has the waiting records checked again. If no partition is known any more, they go by key.
    fn look_again(&self, mut state: MutexGuard<'_, State>) {
        let unplaced = if state.gather.knows_none() { state.gather.take_all() } else { Vec::new() };
        drop(state);
        if let (false, Some(producer)) = (unplaced.is_empty(), self.producer.upgrade()) {
            producer.send_by_key(unplaced);
        }
        self.look.notify_one();
    }

    /// Takes all waiting records.
    pub(super) fn take_all(&self) -> Vec<WaitingRecord> {
        self.state().gather.take_all()
    }

    /// Whether nothing waits and nothing is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.state().gather.is_idle()
    }

    /// Sends waiting records when they are due, until the producer is dropped.
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

    /// Ends [`send_when_due`](Self::send_when_due), once the producer is dropped.
    pub(super) fn end(&self) {
        self.look.notify_one();
    }

    fn send(self: &Arc<Self>, batch: Batch<WaitingRecord>) {
        if let Some(producer) = self.producer.upgrade() {
            producer.send_batch(self, batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::{Config, Headers, producer::DeliveryError, wire::Placement};

    /// The sender of a record, which may want it no more.
    struct Sender {
        wants: bool,
    }

    impl OnDelivery for Sender {
        fn is_wanted(&self) -> bool {
            self.wants
        }

        fn ended(self: Box<Self>, _delivered: Result<(), DeliveryError>) {}
    }

    fn record() -> Arc<OutgoingRecord> {
        Arc::new(OutgoingRecord {
            topic: "orders".into(),
            placement: Placement::Any,
            key: None,
            value: Some("{}".into()),
            headers: Headers::new(),
        })
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_takes_no_room_from_others() {
        let producer = Producer::new(&Config::new("127.0.0.1:1")).expect("a producer");
        let topic = Topic::new("orders".into(), &producer);
        topic.answered([0]);
        let (record, now) = (record(), Instant::now());
        let place = |wants, now| {
            let on_delivery = Box::new(Sender { wants });
            let waiting =
                WaitingRecord { record: Arc::clone(&record), headers: OwnedHeaders::new(), on_delivery };
            topic.place(waiting, now, || {})
        };
        assert!(matches!(place(true, now), Ok(Placed::Now(Some(0), _))));
        for _ in 0..MOST_WAITING {
            assert!(matches!(place(false, now), Ok(Placed::Waits)));
        }
        for _ in 0..MOST_WAITING {
            assert!(matches!(place(true, now), Ok(Placed::Waits)));
        }
        let later = now + 2 * SEARCH_EVERY;
        assert!(matches!(place(true, later), Err(QueueError::Full)), "all of these are wanted");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_for_a_partition_that_is_gone_goes_to_one_that_is_there_or_by_its_key() {
        let broker = MockCluster::new(1).expect("an embedded broker");
        broker.create_topic("orders", 1, 1).expect("a topic");
        let producer = Producer::new(&Config::new(broker.bootstrap_servers())).expect("a producer");
        let record = record();
        // The first round has librdkafka learn of the topic.
        for believed in [&[0][..], &[7], &[7, 0], &[9, 8, 7]] {
            producer.topic(&record.topic).answered(believed.iter().copied());
            let sends = (0..20).map(|_| async {
                producer.queue_when_free(&record).await.expect("it is queued").ended().await
            });
            for delivered in join_all(sends).await {
                assert_eq!(delivered, Ok(()), "believed in {believed:?}");
            }
        }
    }
}
