//! The producer of a process: what it does with a record.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, RwLock},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _},
};

use super::{
    alone::Alone,
    asking::{ASK_FOR, Asked},
    batches::{Batches, LazyProducer},
    delivery::Delivery,
    distance::Purpose,
    events::{Events, InFlight},
    gather::Batch,
    properties,
    refusal::{DeliveryError, OnDelivery, QueueError},
    renewed::RenewableProducer,
    topic::{Placed, Topic, WaitingRecord},
};
use crate::{
    Config, Error, Headers,
    unpoisoned::Unpoisoned as _,
    wire::{OutgoingRecord, Placement},
};

/// The producer of a process. Cheap to share; delivery callbacks run on threads of its own.
pub(crate) struct Producer {
    pub(super) single: RenewableProducer,
    /// For batches, where those have others.
    pub(super) batches: Option<Batches>,
    /// For what may have been refused for the size of its batch.
    pub(super) alone: Alone,
    pub(super) events: Arc<Events>,
    pub(super) topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    /// What was last asked for a record that names its partition.
    pub(super) asked: tokio::sync::Mutex<Option<Asked>>,
    pub(super) runtime: tokio::runtime::Handle,
}

impl Producer {
    /// Makes the producer. Needs a tokio runtime; asks no broker.
    pub(crate) fn new(config: &Config) -> Result<Arc<Self>, Error> {
        let events = Arc::<Events>::default();
        let runtime = tokio::runtime::Handle::current();
        let single = RenewableProducer::make(Purpose::Single, properties::single(config), &events, &runtime)?;
        let (batches, topics) = (Batches::new(config), RwLock::default());
        let (alone, asked) = (Alone::new(config), tokio::sync::Mutex::default());
        Ok(Arc::new(Self { single, batches, alone, events, topics, asked, runtime }))
    }

    /// What a broker or the network has just said: why nobody answers, where nobody does.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.events.trouble()
    }

    /// Queues a record. `on_delivery` hears of its delivery, unless this is an error.
    pub(crate) fn queue(
        self: &Arc<Self>,
        record: &Arc<OutgoingRecord>,
        on_delivery: OnDelivery,
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

    /// Queues a record whose partition is ours to choose.
    fn queue_anywhere(
        self: &Arc<Self>,
        record: &Arc<OutgoingRecord>,
        on_delivery: OnDelivery,
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

    /// Sends records that were gathered. What librdkafka has no room for waits on; whoever waits for one that it refuses
    /// is told so.
    pub(super) fn send_batch(self: &Arc<Self>, topic: &Arc<Topic>, batch: Batch<WaitingRecord>) {
        let Batch { partition, purpose, mut records } = batch;
        let mut through = self.through(purpose);
        while let Some((waiting, bytes)) = records.pop_front() {
            match send_chosen(through, topic, Some(partition), waiting) {
                Ok(()) => {}
                Err((QueueError::Full, waiting)) => {
                    records.push_front((waiting, bytes));
                    return topic.put_back(Batch { partition, purpose, records });
                }
                Err((error, waiting)) if error.is_no_partition() => {
                    records.push_front((waiting, bytes));
                    // A producer of batches may not have learned of a partition yet.
                    if std::ptr::eq(through, &raw const self.single) {
                        return topic.place_elsewhere(Batch { partition, purpose, records });
                    }
                    through = &self.single;
                }
                Err((error, waiting)) => {
                    topic.not_sent(partition);
                    (waiting.on_delivery)(Err(error.into()));
                }
            }
        }
    }

    fn on_demand(&self, purpose: Purpose) -> Option<&LazyProducer> {
        self.batches.as_ref()?.of(purpose)
    }

    /// The producer for this purpose; that of single records until it is there.
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

    /// Makes a producer of batches. It is used once it has learned of the topics. Blocks.
    fn make_for(&self, purpose: Purpose) {
        let Some(own) = self.on_demand(purpose) else { return };
        let made = match own.make(&self.events, &self.runtime) {
            Ok(made) => made,
            Err(error) => {
                tracing::error!(purpose = %purpose, %error, "batches go through the producer of single records");
                return;
            }
        };
        let until = Instant::now() + ASK_FOR;
        let mut learned = HashSet::new();
        loop {
            // The lock under which topics are added: whoever adds one later finds this producer, and has it learn of it.
            let topics = self.topics.write().unpoisoned();
            let unknown = topics.keys().find(|topic| !learned.contains(*topic)).map(Arc::clone);
            let left = until.saturating_duration_since(Instant::now());
            let Some(topic) = unknown.filter(|_| !left.is_zero()) else {
                return own.set_ready(made);
            };
            drop(topics);
            if let Err(error) = made.ask_partitions(&topic, left) {
                own.set_ready(made);
                tracing::debug!(purpose = %purpose, %topic, %error, "it learns of its topics as it goes");
                return;
            }
            learned.insert(topic);
        }
    }

    /// Queues a record, and waits for space to do so.
    pub(crate) async fn queue_when_free(
        self: &Arc<Self>,
        record: &Arc<OutgoingRecord>,
    ) -> Result<Delivery, DeliveryError> {
        // Once without: there is space in most cases, and listening for it is work for everybody.
        let mut listens = false;
        loop {
            // Before it tries, so that space made in between is not missed.
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

    /// Sends a record and waits until the broker has it, or is known not to get it. Waits for space too.
    pub(crate) async fn deliver(self: &Arc<Self>, record: &Arc<OutgoingRecord>) -> Result<(), DeliveryError> {
        self.queue_when_free(record).await?.ended().await
    }

    /// A topic that is written to.
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
            |reason| Error::Kafka { action: format!("records were left unsent after {within:?}"), reason };
        let topics: Vec<_> = self.topics.read().unpoisoned().values().map(Arc::clone).collect();
        loop {
            for topic in &topics {
                self.send_by_key(topic.take_all());
            }
            let batches = self.batches.iter().flat_map(Batches::ready);
            for producer in batches.chain(self.alone.ready()).chain([&self.single]) {
                let left = until.saturating_duration_since(Instant::now());
                producer.handle().flush(left).map_err(|error| unsent(error.to_string()))?;
            }
            // Whoever hears of an arrival may have taken a batch to send when the other producer had nothing left.
            if topics.iter().all(|topic| topic.is_idle()) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(unsent("some were not acknowledged in time".to_owned()));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Nobody sends any more: brokers that go after this are no trouble.
    pub(crate) fn end(&self) {
        self.events.end();
    }

    /// Sends records that were to be gathered, and for which there is no partition to choose.
    pub(super) fn send_by_key(&self, records: Vec<WaitingRecord>) {
        for WaitingRecord { record, headers, on_delivery } in records {
            let sent = send(&self.single, &record, headers, None, InFlight { on_delivery, chosen: None });
            if let Err(Refused { error, on_delivery, .. }) = sent {
                on_delivery(Err(error.into()));
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

/// Sends a record to the partition that was chosen for it, or by its key where none was; gives it back where it could not.
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

/// Gives a record to librdkafka.
pub(super) fn send(
    through: &RenewableProducer,
    record: &OutgoingRecord,
    headers: OwnedHeaders,
    partition: Option<i32>,
    in_flight: InFlight,
) -> Result<(), Refused> {
    let mut base = BaseRecord::<[u8], [u8], _>::with_opaque_to(&record.topic, Box::new(in_flight));
    base.key = record.key.as_deref();
    base.payload = record.value.as_deref();
    base.headers = Some(headers);
    base.partition = partition;
    through.send(base).map_err(|(error, base)| {
        let error = match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => QueueError::Full,
            error => QueueError::Refused(DeliveryError::from_kafka(&error)),
        };
        Refused {
            error,
            headers: base.headers.unwrap_or_default(),
            on_delivery: base.delivery_opaque.on_delivery,
        }
    })
}

/// What is given back of a record that librdkafka did not take.
pub(super) struct Refused {
    pub(super) error: QueueError,
    pub(super) headers: OwnedHeaders,
    pub(super) on_delivery: OnDelivery,
}

pub(super) fn owned(headers: &Headers) -> OwnedHeaders {
    let mut owned = OwnedHeaders::new_with_capacity(headers.len());
    for (key, value) in headers.iter() {
        owned = owned.insert(Header { key, value });
    }
    owned
}
