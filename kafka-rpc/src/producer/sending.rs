//! The producer of a process, and how it sends records.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, RwLock},
    thread,
    time::{Duration, Instant},
};

use super::{
    alone::Alone,
    asking::Asked,
    batches::{Batches, LazyProducer},
    delivery::{Delivery, OnDelivery},
    events::{Events, InFlight},
    gather::Batch,
    handover::{Refused, owned, send},
    properties,
    purpose::Purpose,
    refusal::{DeliveryError, QueueError},
    renewed::RenewableProducer,
    topic::{ASK_FOR, Placed, Topic, WaitingRecord},
};
use crate::{
    Config, Error,
    unpoisoned::Unpoisoned as _,
    wire::{OutgoingRecord, Placement},
};

/// The producer of a process. Cheap to share; delivery callbacks run on the producer's threads.
pub(crate) struct Producer {
    pub(super) single: RenewableProducer,
    /// The batch producers, if the preset has any.
    pub(super) batches: Option<Batches>,
    /// For records that may have been refused for the size of their batch, or for another record of it.
    pub(super) alone: Alone,
    pub(super) events: Arc<Events>,
    pub(super) topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    /// The last query for a record that names its partition.
    pub(super) asked: tokio::sync::Mutex<Option<Asked>>,
    pub(super) runtime: tokio::runtime::Handle,
}

impl Producer {
    /// Creates the producer. Needs a tokio runtime; asks no broker.
    pub(crate) fn new(config: &Config) -> Result<Arc<Self>, Error> {
        let events = Arc::<Events>::default();
        let runtime = tokio::runtime::Handle::current();
        let single = RenewableProducer::make(Purpose::Single, properties::single(config), &events)?;
        let (batches, topics) = (Batches::new(config), RwLock::default());
        let (alone, asked) = (Alone::new(config), tokio::sync::Mutex::default());
        Ok(Arc::new(Self { single, batches, alone, events, topics, asked, runtime }))
    }

    /// Returns the last error of a broker or the network, if it is recent: the reason if no broker answers.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.events.trouble()
    }

    /// Queues a record. `on_delivery` is called with the outcome of its delivery, unless this returns an
    /// error.
    pub(crate) fn queue(
        self: &Arc<Self>,
        record: &Arc<OutgoingRecord>,
        on_delivery: Box<dyn OnDelivery>,
    ) -> Result<(), QueueError> {
        let partition = match record.placement {
            Placement::ByKey => None,
            Placement::Partition(partition) => Some(partition),
            Placement::Any => return self.queue_anywhere(record, on_delivery),
        };
        let in_flight = InFlight { on_delivery, chosen: None };
        let sent = send(&self.single, record, owned(&record.headers), partition, in_flight);
        sent.map_err(|refused| refused.error)
    }

    /// Queues a record whose partition the producer chooses.
    fn queue_anywhere(
        self: &Arc<Self>,
        record: &Arc<OutgoingRecord>,
        on_delivery: Box<dyn OnDelivery>,
    ) -> Result<(), QueueError> {
        let topic = self.topic(&record.topic);
        let ask = || self.ask_for_partitions(&topic);
        let waiting =
            WaitingRecord { record: Arc::clone(record), headers: owned(&record.headers), on_delivery };
        match topic.place(waiting, Instant::now(), ask)? {
            Placed::Now(None, waiting) => {
                send_chosen(&self.single, &topic, None, waiting).map_err(|(error, _waiting)| error)
            }
            Placed::Now(Some(partition), waiting) => {
                match send_chosen(&self.single, &topic, Some(partition), waiting) {
                    Ok(()) => Ok(()),
                    Err((error, waiting)) if error.is_no_partition() => {
                        topic.place_elsewhere(Batch::of_one(partition, waiting));
                        Ok(())
                    }
                    Err((error, _waiting)) => {
                        topic.not_sent(partition);
                        Err(error)
                    }
                }
            }
            Placed::Batch(batch) => {
                self.send_batch(&topic, batch);
                Ok(())
            }
            Placed::Waits => Ok(()),
        }
    }

    /// Sends gathered records that are still wanted. Those that librdkafka has no room for keep waiting;
    /// `on_delivery` reports those that it refuses.
    pub(super) fn send_batch(self: &Arc<Self>, topic: &Arc<Topic>, batch: Batch<WaitingRecord>) {
        let Batch { partition, purpose, mut records } = batch;
        let mut through = self.through(purpose);
        while let Some((waiting, bytes)) = records.pop_front() {
            let Some(waiting) = waiting.if_wanted() else {
                topic.not_sent(partition);
                continue;
            };
            match send_chosen(through, topic, Some(partition), waiting) {
                Ok(()) => {}
                Err((QueueError::Full, waiting)) => {
                    records.push_front((waiting, bytes));
                    return topic.put_back(Batch { partition, purpose, records });
                }
                Err((error, waiting)) if error.is_no_partition() => {
                    records.push_front((waiting, bytes));
                    // A batch producer may not know a partition yet.
                    if std::ptr::eq(through, &raw const self.single) {
                        return topic.place_elsewhere(Batch { partition, purpose, records });
                    }
                    through = &self.single;
                }
                Err((error, waiting)) => {
                    topic.not_sent(partition);
                    waiting.on_delivery.ended(Err(error.into()));
                }
            }
        }
    }

    fn on_demand(&self, purpose: Purpose) -> Option<&LazyProducer> {
        self.batches.as_ref()?.of(purpose)
    }

    /// Returns the producer for `purpose`, or that of single records until the former is ready.
    fn through(self: &Arc<Self>, purpose: Purpose) -> &RenewableProducer {
        let Some(own) = self.on_demand(purpose) else { return &self.single };
        if let Some(ready) = own.ready() {
            return ready;
        }
        if own.is_first_wanted() {
            let producer = Arc::clone(self);
            self.runtime.spawn_blocking(move || producer.make_for(purpose));
        }
        &self.single
    }

    /// Creates a batch producer, and puts it to use once it knows the topics. Blocks.
    fn make_for(&self, purpose: Purpose) {
        let Some(own) = self.on_demand(purpose) else { return };
        let made = match own.make(&self.events) {
            Ok(made) => made,
            Err(error) => {
                tracing::error!(
                    purpose = %purpose, %error,
                    "the producer of batches could not be created; batches go through the producer of single records"
                );
                return;
            }
        };
        let until = Instant::now() + ASK_FOR;
        let mut learned = HashSet::new();
        loop {
            // Topics are added under this lock. So a topic that is added later finds this producer ready, and
            // has it learn the topic's partitions.
            let topics = self.topics.write().unpoisoned();
            let unknown = topics.keys().find(|topic| !learned.contains(*topic)).map(Arc::clone);
            let left = until.saturating_duration_since(Instant::now());
            let Some(topic) = unknown.filter(|_| !left.is_zero()) else {
                return own.set_ready(made);
            };
            drop(topics);
            if let Err(error) = made.ask_partitions(&topic, left) {
                own.set_ready(made);
                tracing::debug!(
                    purpose = %purpose, %topic, %error,
                    "a new producer could not ask for its topics in advance; it learns of them when it sends"
                );
                return;
            }
            learned.insert(topic);
        }
    }

    /// Queues a record, waiting until there is space for it.
    pub(crate) async fn queue_when_free(
        self: &Arc<Self>,
        record: &Arc<OutgoingRecord>,
    ) -> Result<Delivery, DeliveryError> {
        // The first try does not listen: there usually is space, and listening makes every delivery notify.
        let mut listens = false;
        loop {
            // Listens before trying, so that space freed in between is not missed.
            let listening = listens.then(|| self.events.listen_for_space());
            let (on_delivery, delivery) = Delivery::new();
            match self.queue(record, on_delivery) {
                Ok(()) => return Ok(delivery),
                Err(QueueError::Refused(error)) => return Err(error),
                Err(QueueError::Full) => match listening {
                    Some((_waits, space)) => space.await,
                    None => listens = true,
                },
            }
        }
    }

    /// Sends a record and waits until the broker acknowledges it or the delivery fails. Waits for space too.
    pub(crate) async fn deliver(self: &Arc<Self>, record: &Arc<OutgoingRecord>) -> Result<(), DeliveryError> {
        self.queue_when_free(record).await?.ended().await
    }

    /// Sends a record in a separate request, and waits until the broker acknowledges it or the delivery
    /// fails.
    pub(crate) async fn deliver_alone(&self, record: &OutgoingRecord) -> Result<(), DeliveryError> {
        self.alone.deliver(record, &self.events, &self.runtime).await
    }

    /// Returns the state of a topic, created at its first record.
    pub(super) fn topic(self: &Arc<Self>, name: &Arc<str>) -> Arc<Topic> {
        if let Some(known) = self.topics.read().unpoisoned().get(name) {
            return Arc::clone(known);
        }
        let mut topics = self.topics.write().unpoisoned();
        let topic = topics.entry(Arc::clone(name)).or_insert_with(|| {
            let topic = Arc::new(Topic::new(Arc::clone(name), self));
            self.runtime.spawn(Arc::clone(&topic).send_when_due());
            topic
        });
        Arc::clone(topic)
    }

    /// Waits until everything queued is delivered or refused. Blocks.
    pub(crate) fn flush(&self, within: Duration) -> Result<(), Error> {
        let until = Instant::now() + within;
        let unsent =
            |reason| Error::Kafka { action: format!("records may be left unsent after {within:?}"), reason };
        let topics: Vec<_> = self.topics.read().unpoisoned().values().map(Arc::clone).collect();
        loop {
            for topic in &topics {
                self.send_by_key(topic.take_all());
            }
            let batches = self.batches.iter().flat_map(Batches::ready);
            for producer in batches.chain(self.alone.ready()).chain([&self.single]) {
                let left = until.saturating_duration_since(Instant::now());
                producer.flush(left).map_err(|error| unsent(error.to_string()))?;
            }
            // A delivery callback may have taken a batch for a producer that this round had flushed already.
            if topics.iter().all(|topic| topic.is_idle()) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(unsent("some were not acknowledged in time".to_owned()));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Marks the end of sending: brokers lost after this are not reported.
    pub(crate) fn end(&self) {
        self.events.end();
    }

    /// Sends waiting records that are still wanted by key, when there is no partition to choose for them.
    pub(super) fn send_by_key(&self, records: Vec<WaitingRecord>) {
        for waiting in records {
            let Some(WaitingRecord { record, headers, on_delivery }) = waiting.if_wanted() else { continue };
            let sent = send(&self.single, &record, headers, None, InFlight { on_delivery, chosen: None });
            if let Err(Refused { error, on_delivery, .. }) = sent {
                on_delivery.ended(Err(error.into()));
            }
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        for topic in self.topics.get_mut().unpoisoned().values() {
            topic.end();
        }
    }
}

/// Sends a record to its chosen partition, or by key if none was chosen; returns the record if that fails.
fn send_chosen(
    through: &RenewableProducer,
    topic: &Arc<Topic>,
    partition: Option<i32>,
    WaitingRecord { record, headers, on_delivery }: WaitingRecord,
) -> Result<(), (QueueError, WaitingRecord)> {
    let chosen = partition.map(|partition| (Arc::clone(topic), partition));
    let sent = send(through, &record, headers, partition, InFlight { on_delivery, chosen });
    sent.map_err(|Refused { error, headers, on_delivery }| {
        (error, WaitingRecord { record, headers, on_delivery })
    })
}
