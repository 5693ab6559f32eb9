//! One producer for everything a process sends, with delivery as a future.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    metadata::MetadataTopic,
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
};
use tokio::sync::{Notify, oneshot};

use crate::{
    Config, Error, Headers, Tuning,
    kafka::client_config,
    telemetry,
    wire::{OutgoingRecord, Placement},
};

/// For how long records whose key is only an id go to one partition before they move on. Few active partitions
/// mean large batches; a few milliseconds are long enough for a batch and too short for a skew.
const STICKY_FOR: Duration = Duration::from_millis(4);

/// How long the partitions of a topic are believed before they are asked for again.
const PARTITIONS_BELIEVED_FOR: Duration = Duration::from_secs(30);

/// The largest record this side sends. librdkafka's default of 1,000,000 is below the broker's 1,048,588, so a
/// record could be read and never passed on; with this the broker decides.
const MAX_RECORD_BYTES: &str = "16777216";

/// For how long a record may be undelivered, whether or not somebody still waits. When one that is on its way times out,
/// librdkafka begins its sequence numbers anew, and what was on the way beside it can be stored twice and out of order. So
/// this is longer than brokers are away; that nobody waits any more is what `deadline` says.
const UNDELIVERED_FOR: Duration = Duration::from_mins(5);

/// What is told when a record was delivered, or not.
pub(crate) type OnDelivery = Box<dyn FnOnce(Result<(), DeliveryError>) + Send + Sync>;

/// Why a record was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeliveryError {
    pub(crate) kind: Refusal,
    pub(crate) reason: String,
}

/// What can be done about a record that was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is larger than the broker takes, and always will be.
    TooLarge,
    /// Brokers, topic or rights are missing: it may work later.
    ForNow,
    /// The topic has no such partition, as far as is known.
    NoPartition,
    /// It cannot work.
    ForGood,
}

/// Why a record could not even be queued.
#[derive(Debug)]
pub(crate) enum QueueError {
    /// Too much is in flight.
    Full,
    /// It cannot work.
    Refused(DeliveryError),
}

/// The producer of a process. Cheap to share; delivery callbacks run on its own thread.
pub(crate) struct Producer {
    properties: ClientConfig,
    inner: RwLock<Arc<ThreadedProducer<Deliveries>>>,
    events: Arc<Events>,
    started: Instant,
    topics: RwLock<HashMap<Arc<str>, TopicPartitions>>,
    runtime: tokio::runtime::Handle,
}

/// The partitions of a topic that have a leader, as of a moment.
struct TopicPartitions {
    ids: Arc<[i32]>,
    believed_until: Instant,
}

/// What is told, with the reason, when no broker can be reached.
type OnBrokersLost = Box<dyn Fn(&str) + Send + Sync>;

/// What librdkafka tells of a producer, whichever one it is just now.
#[derive(Default)]
struct Events {
    /// Told of every delivery: whoever waits for space may try again.
    space: Notify,
    /// Told when no broker can be reached.
    brokers_lost: OnceLock<OnBrokersLost>,
    /// What the last error said, but for the one that only sums up.
    trouble: Mutex<Option<String>>,
}

struct Deliveries(Arc<Events>);

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            // A fatal one too: whoever sends next meets it, and makes a new producer.
            tracing::warn!(%error, reason, "the producer met an error");
            *self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
            return;
        }
        tracing::error!(reason, "no broker can be reached");
        if let Some(told) = self.0.brokers_lost.get() {
            told(reason);
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<OnDelivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, told: Box<OnDelivery>) {
        told(match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(DeliveryError::from_kafka(error)),
        });
        self.0.space.notify_waiters();
    }
}

impl Producer {
    /// Makes the producer. Needs a tokio runtime; asks no broker.
    pub(crate) fn new(config: &Config) -> Result<Arc<Self>, Error> {
        let (properties, events) = (properties(config), Arc::<Events>::default());
        let inner = create(&properties, &events)?;
        Ok(Arc::new(Self {
            properties,
            inner: RwLock::new(Arc::new(inner)),
            events,
            started: Instant::now(),
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
        self.events.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        record: &OutgoingRecord,
        told: OnDelivery,
    ) -> Result<(), QueueError> {
        let mut base = BaseRecord::<[u8], [u8], _>::with_opaque_to(&record.topic, Box::new(told));
        base.key = record.key.as_deref();
        base.payload = record.value.as_deref();
        base.headers = Some(owned(&record.headers));
        base.partition = match record.placement {
            Placement::ByKey => None,
            Placement::Partition(partition) => Some(partition),
            Placement::Sticky => self.sticky_partition(&record.topic),
        };
        let handle = self.handle();
        let sent = match handle.send(base) {
            Err((error, base)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) => {
                self.replace(&handle).map_err(|error| {
                    QueueError::Refused(DeliveryError { kind: Refusal::ForNow, reason: error.to_string() })
                })?;
                self.handle().send(base)
            }
            sent => sent,
        };
        match sent {
            Ok(()) => Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Err(QueueError::Full),
            Err((error, _)) => Err(QueueError::Refused(DeliveryError::from_kafka(&error))),
        }
    }

    /// Sends a record and waits until the broker has it, or is known not to get it. Waits for space too.
    pub(crate) async fn deliver(self: &Arc<Self>, record: &OutgoingRecord) -> Result<(), DeliveryError> {
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

    /// The partition that records without an order go to just now; `None` while the topic is not known yet.
    fn sticky_partition(self: &Arc<Self>, topic: &Arc<str>) -> Option<i32> {
        let known = {
            let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
            topics.get(topic).map(|known| (Arc::clone(&known.ids), known.believed_until))
        };
        let now = Instant::now();
        if known.as_ref().is_none_or(|(_, believed_until)| *believed_until < now) {
            self.ask_for_partitions(topic, now);
        }
        let (ids, _) = known?;
        sticky(&ids, now.duration_since(self.started))
    }

    /// Asks for a topic's partitions in the background; what is known is believed meanwhile.
    fn ask_for_partitions(self: &Arc<Self>, topic: &Arc<str>, now: Instant) {
        {
            let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
            let known = topics
                .entry(Arc::clone(topic))
                .or_insert_with(|| TopicPartitions { ids: Arc::new([]), believed_until: now });
            if known.believed_until > now {
                return;
            }
            // One question at a time: the answer replaces this.
            known.believed_until = now + Duration::from_secs(5);
        }
        let (producer, topic) = (Arc::clone(self), Arc::clone(topic));
        self.runtime.spawn_blocking(move || {
            let Ok(asked) = producer.ask_partitions(&topic, Duration::from_secs(5)) else { return };
            let ids: Arc<[i32]> =
                asked.iter().filter(|(_, leader)| *leader >= 0).map(|(id, _)| *id).collect();
            if !ids.is_empty() {
                let known = TopicPartitions { ids, believed_until: Instant::now() + PARTITIONS_BELIEVED_FOR };
                producer.topics.write().unwrap_or_else(PoisonError::into_inner).insert(topic, known);
            }
        });
    }

    /// Waits until everything queued is delivered or refused. Blocks.
    pub(crate) fn flush(&self, within: Duration) -> Result<(), Error> {
        self.handle().flush(within).map_err(|error| Error::Kafka {
            action: format!("records were left unsent after {within:?}"),
            reason: error.to_string(),
        })
    }
}

fn create(properties: &ClientConfig, events: &Arc<Events>) -> Result<ThreadedProducer<Deliveries>, Error> {
    properties
        .create_with_context(Deliveries(Arc::clone(events)))
        .map_err(|error| crate::kafka::creation_error("the producer", &error))
}

/// The partition whose turn it is: the same for every record of a few milliseconds.
fn sticky(ids: &[i32], elapsed: Duration) -> Option<i32> {
    let turn = elapsed.as_millis() / STICKY_FOR.as_millis();
    let index = turn.checked_rem(ids.len() as u128)?;
    ids.get(usize::try_from(index).ok()?).copied()
}

fn owned(headers: &Headers) -> OwnedHeaders {
    let mut owned = OwnedHeaders::new_with_capacity(headers.len());
    for (key, value) in headers.iter() {
        owned = owned.insert(Header { key, value: value.map(|value| &**value) });
    }
    owned
}

fn properties(config: &Config) -> ClientConfig {
    let mut properties = client_config(config);
    let (linger, in_flight) = match config.tuning {
        Tuning::Latency => ("0", "5"),
        Tuning::Throughput => ("1", "5"),
        Tuning::NearBroker => ("0", "1"),
    };
    properties
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", linger)
        .set("max.in.flight.requests.per.connection", in_flight)
        // As Java and Node partition keys; librdkafka's own default is CRC32.
        .set("partitioner", "murmur2_random")
        .set("message.max.bytes", MAX_RECORD_BYTES)
        .set("message.timeout.ms", config.call_timeout.max(UNDELIVERED_FOR).as_millis().to_string())
        // How long a topic that is not known may stay so: 30 s would outlive the call.
        .set("topic.metadata.propagation.max.ms", "5000");
    crate::kafka::with_user_properties(properties, config)
}

impl DeliveryError {
    fn from_kafka(error: &KafkaError) -> Self {
        use RDKafkaErrorCode as Code;
        let kind = match error.rdkafka_error_code() {
            Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => Refusal::TooLarge,
            Some(Code::UnknownPartition) => Refusal::NoPartition,
            Some(
                Code::MessageTimedOut
                | Code::UnknownTopic
                | Code::UnknownTopicOrPartition
                | Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::AllBrokersDown
                | Code::BrokerTransportFailure
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::NotEnoughReplicas
                | Code::NotEnoughReplicasAfterAppend
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::BrokerNotAvailable
                | Code::ReplicaNotAvailable
                | Code::NetworkException
                | Code::KafkaStorageError
                | Code::SaslAuthenticationFailed
                | Code::Authentication
                // What a fatal error ends: whether the broker has it is not known, and a new producer sends it again.
                | Code::OutOfOrderSequenceNumber
                | Code::UnknownProducerId
                | Code::InvalidProducerEpoch
                | Code::ProducerFenced
                | Code::QueueFull
                | Code::Fatal
                | Code::PurgeQueue
                | Code::PurgeInflight,
            ) => Refusal::ForNow,
            _ => Refusal::ForGood,
        };
        Self { kind, reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_stick_to_a_partition_for_a_few_milliseconds_and_visit_all() {
        let ids = [3, 5, 8];
        let at = |millis| sticky(&ids, Duration::from_millis(millis));
        assert_eq!([at(0), at(3), at(4), at(8), at(12)], [Some(3), Some(3), Some(5), Some(8), Some(3)]);
        assert_eq!(sticky(&[], Duration::from_millis(1)), None);
    }
}
