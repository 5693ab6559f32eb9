//! One producer for everything a process sends.
//!
//! - [`gather`]: which records are sent together, and to which partition
//! - [`topic`]: the records of a topic that wait for that
//! - [`events`]: what librdkafka tells, deliveries above all
//! - [`refusal`]: why a record was not delivered
//! - [`properties`]: what librdkafka is told

mod events;
mod gather;
mod properties;
mod refusal;
mod topic;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    metadata::MetadataTopic,
    producer::{BaseRecord, Producer as _, ThreadedProducer},
};
use tokio::sync::oneshot;

pub(crate) use self::{
    events::OnDelivery,
    refusal::{DeliveryError, QueueError, Refusal},
};
use self::{
    events::{Deliveries, Events, Sent},
    gather::Batch,
    topic::{Place, Topic, Waiting},
};
use crate::{
    Config, Error, Headers, telemetry,
    wire::{OutgoingRecord, Placement},
};

/// The producer of a process. Cheap to share; delivery callbacks run on its own thread.
pub(crate) struct Producer {
    properties: ClientConfig,
    inner: RwLock<Arc<ThreadedProducer<Deliveries>>>,
    events: Arc<Events>,
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    runtime: tokio::runtime::Handle,
}

impl Producer {
    /// Makes the producer. Needs a tokio runtime; asks no broker.
    pub(crate) fn new(config: &Config) -> Result<Arc<Self>, Error> {
        let (properties, events) = (properties::properties(config), Arc::<Events>::default());
        let inner = create(&properties, &events)?;
        Ok(Arc::new(Self {
            properties,
            inner: RwLock::new(Arc::new(inner)),
            events,
            topics: RwLock::new(HashMap::new()),
            runtime: tokio::runtime::Handle::current(),
        }))
    }

    /// Says who is told when no broker can be reached. The first to say so is told.
    pub(crate) fn on_brokers_lost(&self, told: impl Fn(&str) + Send + Sync + 'static) {
        let _another_was_first = self.events.brokers_lost.set(Box::new(told));
    }

    /// The partitions of a topic with their leaders, asked of the cluster; none if there is no such topic. Blocks.
    pub(crate) fn ask_partitions(&self, topic: &str, within: Duration) -> KafkaResult<Vec<(i32, i32)>> {
        let metadata = self.handle().client().fetch_metadata(Some(topic), within)?;
        let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
        Ok(partitions.map(|partition| (partition.id(), partition.leader())).collect())
    }

    /// What a broker or the network said last: why nobody answers, where nobody does.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.events.trouble()
    }

    /// The topics of the cluster, asked of any broker. Blocks.
    pub(crate) fn ask_topics(&self, within: Duration) -> KafkaResult<HashSet<String>> {
        let metadata = self.handle().client().fetch_metadata(None, within)?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }

    /// Whether a topic lacks a partition: asked of the cluster, since what is known may be from before it was added.
    /// Where nobody answers it may be there.
    pub(crate) async fn lacks_partition(self: &Arc<Self>, topic: &Arc<str>, partition: i32) -> bool {
        let (producer, topic) = (Arc::clone(self), Arc::clone(topic));
        let asked =
            self.runtime.spawn_blocking(move || producer.ask_partitions(&topic, Duration::from_secs(5)));
        matches!(asked.await, Ok(Ok(found)) if !found.is_empty() && found.iter().all(|(id, _)| *id != partition))
    }

    /// The offset that the next record of a partition will have. Blocks.
    pub(crate) fn ask_end(&self, topic: &str, partition: i32, within: Duration) -> KafkaResult<i64> {
        self.handle().client().fetch_watermarks(topic, partition, within).map(|(_, end)| end)
    }

    fn handle(&self) -> Arc<ThreadedProducer<Deliveries>> {
        Arc::clone(&self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a new handle in place of one that has met a fatal error: that takes nothing any more, and ends what it
    /// has with errors.
    fn replace(&self, fatal: &Arc<ThreadedProducer<Deliveries>>) -> Result<(), Error> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        // Many may meet the error at once; the first replaces it.
        if !Arc::ptr_eq(&inner, fatal) {
            return Ok(());
        }
        let old = std::mem::replace(&mut *inner, Arc::new(create(&self.properties, &self.events)?));
        drop(inner);
        telemetry::producer_replaced();
        tracing::error!(error = ?old.client().fatal_error(), "the producer met a fatal error, and was made anew");
        // It waits for its thread.
        self.runtime.spawn_blocking(move || drop(old));
        Ok(())
    }

    /// Queues a record. `told` hears of its delivery, unless this is an error.
    pub(crate) fn queue(
        self: &Arc<Self>,
        record: &Arc<OutgoingRecord>,
        told: OnDelivery,
    ) -> Result<(), QueueError> {
        let partition = match record.placement {
            Placement::ByKey => None,
            Placement::Partition(partition) => Some(partition),
            Placement::Any => return self.queue_anywhere(record, told),
        };
        self.send(record, partition, Sent { told, chosen: None }).map_err(|(error, _)| error)
    }

    /// Queues a record whose partition is ours to choose.
    fn queue_anywhere(
        self: &Arc<Self>,
        record: &Arc<OutgoingRecord>,
        told: OnDelivery,
    ) -> Result<(), QueueError> {
        let (topic, now) = (self.topic(&record.topic), Instant::now());
        if topic.must_ask(now) {
            self.ask_for_partitions(&topic);
        }
        match topic.place((Arc::clone(record), told), now)? {
            Place::Now(partition, waiting) => {
                self.send_chosen(&topic, partition, waiting).map_err(|(error, _)| error)
            }
            Place::Batch(batch) => {
                self.send_batch(&topic, batch);
                Ok(())
            }
            Place::Waits => Ok(()),
        }
    }

    /// Sends records that were gathered. Whoever waits for one that cannot even be queued is told so.
    fn send_batch(&self, topic: &Arc<Topic>, batch: Batch<Waiting>) {
        let Batch { partition, records } = batch;
        for waiting in records {
            if let Err((error, told)) = self.send_chosen(topic, Some(partition), waiting) {
                told(Err(error.into()));
            }
        }
    }

    /// Sends a record to the partition that was chosen for it, or by its key where none was.
    fn send_chosen(
        &self,
        topic: &Arc<Topic>,
        partition: Option<i32>,
        (record, told): Waiting,
    ) -> Result<(), (QueueError, OnDelivery)> {
        let chosen = partition.map(|partition| (Arc::clone(topic), partition));
        self.send(&record, partition, Sent { told, chosen }).map_err(|(error, Sent { told, chosen })| {
            if let Some((topic, partition)) = chosen {
                topic.arrived(partition);
            }
            (error, told)
        })
    }

    /// Gives a record to librdkafka.
    fn send(
        &self,
        record: &OutgoingRecord,
        partition: Option<i32>,
        sent: Sent,
    ) -> Result<(), (QueueError, Sent)> {
        let mut base = BaseRecord::<[u8], [u8], _>::with_opaque_to(&record.topic, Box::new(sent));
        base.key = record.key.as_deref();
        base.payload = record.value.as_deref();
        base.headers = Some(owned(&record.headers));
        base.partition = partition;
        let handle = self.handle();
        let sent = match handle.send(base) {
            Err((error, base)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) => {
                match self.replace(&handle) {
                    Ok(()) => self.handle().send(base),
                    Err(made) => {
                        tracing::error!(error = %made, "the producer met a fatal error, and none could be made anew");
                        Err((error, base))
                    }
                }
            }
            sent => sent,
        };
        // This may be the thread that polls it, which cannot wait for itself.
        release(handle);
        sent.map_err(|(error, base)| {
            let error = match error {
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => QueueError::Full,
                error => QueueError::Refused(DeliveryError::from_kafka(&error)),
            };
            (error, *base.delivery_opaque)
        })
    }

    /// Sends a record and waits until the broker has it, or is known not to get it. Waits for space too.
    pub(crate) async fn deliver(self: &Arc<Self>, record: &Arc<OutgoingRecord>) -> Result<(), DeliveryError> {
        // Once without: there is space in most cases, and listening for it takes a lock that everybody wants.
        let mut listens = false;
        loop {
            // Listens before it tries, so that space made in between is not missed.
            let mut space = std::pin::pin!(self.events.space.notified());
            if listens {
                space.as_mut().enable();
            }
            let (told, delivered) = oneshot::channel();
            let tell: OnDelivery = Box::new(move |result| {
                // Whoever waited may have gone; the record has not.
                let _gone = told.send(result);
            });
            match self.queue(record, tell) {
                Ok(()) => {
                    let ended =
                        DeliveryError { kind: Refusal::ForNow, reason: "the producer was closed".to_owned() };
                    return delivered.await.unwrap_or(Err(ended));
                }
                Err(QueueError::Refused(error)) => return Err(error),
                Err(QueueError::Full) if listens => space.await,
                Err(QueueError::Full) => listens = true,
            }
        }
    }

    /// A topic that is written to.
    fn topic(self: &Arc<Self>, name: &Arc<str>) -> Arc<Topic> {
        if let Some(known) = self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(known);
        }
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let topic = topics.entry(Arc::clone(name)).or_insert_with(|| {
            let topic = Arc::new(Topic::new(Arc::clone(name), self));
            self.runtime.spawn(Arc::clone(&topic).send_when_due());
            topic
        });
        Arc::clone(topic)
    }

    /// Asks for a topic's partitions in the background; what is known is believed meanwhile.
    fn ask_for_partitions(self: &Arc<Self>, topic: &Arc<Topic>) {
        let (producer, topic) = (Arc::clone(self), Arc::clone(topic));
        self.runtime.spawn_blocking(move || {
            let Ok(asked) = producer.ask_partitions(&topic.name, Duration::from_secs(5)) else { return };
            let ids: Vec<i32> = asked.iter().filter(|(_, leader)| *leader >= 0).map(|(id, _)| *id).collect();
            if !ids.is_empty() {
                topic.answered(ids);
            }
        });
    }

    /// Waits until everything queued is delivered or refused. Blocks.
    pub(crate) fn flush(&self, within: Duration) -> Result<(), Error> {
        let topics: Vec<_> =
            self.topics.read().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect();
        for (record, told) in topics.iter().flat_map(|topic| topic.take_all()) {
            if let Err((error, Sent { told, .. })) = self.send(&record, None, Sent { told, chosen: None }) {
                told(Err(error.into()));
            }
        }
        self.handle().flush(within).map_err(|error| Error::Kafka {
            action: format!("records were left unsent after {within:?}"),
            reason: error.to_string(),
        })
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        for topic in self.topics.get_mut().unwrap_or_else(PoisonError::into_inner).values() {
            topic.end();
        }
    }
}

/// Drops what holds a producer, and not here if this is the last to do so: a producer waits for its thread, and this may
/// be that thread.
fn release<T: Send + Sync + 'static>(held: Arc<T>) {
    if let Some(last) = Arc::into_inner(held) {
        thread::spawn(move || drop(last));
    }
}

fn create(properties: &ClientConfig, events: &Arc<Events>) -> Result<ThreadedProducer<Deliveries>, Error> {
    properties
        .create_with_context(Deliveries(Arc::clone(events)))
        .map_err(|error| crate::kafka::creation_error("the producer", &error))
}

fn owned(headers: &Headers) -> OwnedHeaders {
    let mut owned = OwnedHeaders::new_with_capacity(headers.len());
    for (key, value) in headers.iter() {
        owned = owned.insert(Header { key, value: value.map(|value| &**value) });
    }
    owned
}
