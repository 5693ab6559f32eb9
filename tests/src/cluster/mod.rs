//! The Kafka that a test runs on: the embedded broker, or the one that `KAFKA_BROKERS` names.

mod brokers;
mod properties;
mod secured;
mod topics;

use std::{
    collections::BTreeMap,
    env,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use kafka_rpc::{Config, Handlers, Running, Runtime, RuntimeBuilder, testing::EmbeddedBroker};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    metadata::MetadataTopic,
};
use uuid::Uuid;

pub use self::{brokers::Brokers, properties::Extras, secured::Secured, topics::Topics};
use crate::{
    BOUND, Peer,
    mocked::Broker,
    orders::{OrderService, Orders},
    skipped::skipped,
};

/// A Kafka on which no other test uses the same topics and groups.
#[derive(Debug)]
pub struct Cluster {
    embedded: Option<EmbeddedBroker>,
    brokers: String,
    prefix: String,
}

impl Default for Cluster {
    fn default() -> Self {
        Self::start()
    }
}

impl Cluster {
    /// Uses the Kafka that `KAFKA_BROKERS` names, or starts the embedded broker.
    ///
    /// # Panics
    ///
    /// If the embedded broker does not start.
    pub fn start() -> Self {
        env::var("KAFKA_BROKERS").map_or_else(|_unset| Self::embedded(), |brokers| Self::at(&brokers))
    }

    /// Starts the embedded broker.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn embedded() -> Self {
        log();
        match EmbeddedBroker::start() {
            Ok(broker) => {
                Self { brokers: broker.brokers().to_owned(), embedded: Some(broker), prefix: prefix() }
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The Kafka with this bootstrap list.
    pub fn at(brokers: &str) -> Self {
        log();
        Self { embedded: None, brokers: brokers.to_owned(), prefix: prefix() }
    }

    /// The Kafka of `brokers`, which the test has to itself and may kill and freeze.
    pub fn of(brokers: &Brokers) -> Self {
        log();
        Self { embedded: None, brokers: brokers.addresses(), prefix: String::new() }
    }

    /// The Kafka of a mocked broker in this process, which the test has to itself and controls.
    pub fn mocked(broker: &Broker) -> Self {
        log();
        Self { embedded: None, brokers: broker.bootstrap_servers(), prefix: String::new() }
    }

    /// Whether this is the embedded broker, which lacks some features of a real one.
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// The bootstrap list.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The settings of a runtime on this cluster.
    pub fn config(&self) -> Config {
        let config = match &self.embedded {
            Some(broker) => broker.config(),
            None => Config::new(&self.brokers),
        };
        config.client_id("tests").create_topics(true)
    }

    /// The name on this cluster of a topic or group from a handler's attribute.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A runtime on this cluster that serves only the handlers it is given.
    pub fn runtime(&self, config: Config) -> RuntimeBuilder {
        let (topics, groups) = (self.prefix.clone(), self.prefix.clone());
        Runtime::builder()
            .config(config)
            .without_registry()
            .map_topics(move |topic| format!("{topics}{topic}"))
            .map_groups(move |group| format!("{groups}{group}"))
    }

    /// A running runtime that serves these handlers and needs nothing else.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn serve(&self, handlers: Handlers) -> Running {
        started(self.runtime(self.config()).handlers(handlers)).await
    }

    /// Starts the service of orders. Clones of `service` share their notes.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn serve_orders(&self, config: Config, service: &OrderService) -> Running {
        let runtime = self.runtime(config).provide(service.clone());
        started(runtime.handlers(<OrderService as Orders>::handlers())).await
    }

    /// A peer on this cluster.
    pub fn peer(&self) -> Peer {
        Peer::new(&self.brokers)
    }

    /// Creates a topic with `partitions` partitions, named as in a handler's attribute.
    ///
    /// # Panics
    ///
    /// If the topic cannot be created.
    pub async fn create_topic(&self, topic: &str, partitions: u16) {
        let name = self.name(topic);
        match &self.embedded {
            Some(broker) => {
                broker.create_topic(&name, partitions).unwrap_or_else(|error| panic!("{error}"));
            }
            None => self.topics().create(&name, i32::from(partitions)).await,
        }
    }

    /// Deletes a topic of the test, if the brokers allow it. Topics of the embedded broker go with the
    /// broker.
    pub async fn delete_topic(&self, topic: &str) {
        if !self.is_embedded() {
            self.topics().ask_to_delete(&self.name(topic)).await;
        }
    }

    /// The topics of a real Kafka.
    pub fn topics(&self) -> Topics {
        Topics::of(&self.brokers)
    }

    /// The committed offsets of a group, by partition; partitions without one are left out.
    ///
    /// # Panics
    ///
    /// If the cluster does not answer.
    pub fn committed(&self, group: &str, topic: &str, partitions: i32) -> BTreeMap<i32, i64> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", self.name(group))
            .create()
            .unwrap_or_else(|error| panic!("{error}"));
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.name(topic), 0, partitions - 1);
        let began = Instant::now();
        let committed = loop {
            match consumer.committed_offsets(asked.clone(), BOUND) {
                Ok(committed) => break committed,
                // A broker that has just become the coordinator says so at first.
                Err(error) => assert!(began.elapsed() < BOUND, "{error}"),
            }
            thread::sleep(Duration::from_millis(50));
        };
        let offset =
            |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element.offset() {
                Offset::Offset(offset) => Some((element.partition(), offset)),
                _ => None,
            };
        committed.elements().into_iter().filter_map(offset).collect()
    }

    /// Commits offset 0 of each partition for a group without members, so that a consumer that would start at
    /// the end starts at the beginning. `group` and `topic` are the names on the brokers.
    ///
    /// # Panics
    ///
    /// If the cluster refuses.
    pub fn commit_beginning(&self, group: &str, topic: &str) {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", group)
            .create()
            .unwrap_or_else(|error| panic!("{error}"));
        let metadata = consumer.fetch_metadata(Some(topic), BOUND).unwrap_or_else(|error| panic!("{error}"));
        let mut beginning = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
            let added = beginning.add_partition_offset(topic, partition.id(), Offset::Offset(0));
            added.unwrap_or_else(|error| panic!("{error}"));
        }
        consumer.commit(&beginning, CommitMode::Sync).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The committed offsets of a group, added up over the partitions.
    pub fn committed_sum(&self, group: &str, topic: &str, partitions: i32) -> i64 {
        self.committed(group, topic, partitions).values().sum()
    }
}

/// The Kafka that `KAFKA_BROKERS` names. On the embedded broker, which has no admin requests and keeps few
/// records, prints that tests are skipped and returns `None`.
pub fn real_kafka() -> Option<Cluster> {
    let cluster = Cluster::start();
    if cluster.is_embedded() {
        skipped("they need a real Kafka; `cargo run -p tests --bin with-kafka` runs it");
        return None;
    }
    Some(cluster)
}

/// Starts `count` real brokers for one test. Without `KAFKA_BROKERS`, or without `java`, prints that tests
/// are skipped and returns `None`.
///
/// # Panics
///
/// If they do not start.
pub fn real_brokers(count: usize) -> Option<Brokers> {
    real_brokers_with(count, &Extras::default())
}

/// Starts `count` real brokers with `extras`, as [`real_brokers`] does.
///
/// # Panics
///
/// If the brokers do not start, or if `java` is missing and `CI=true`.
pub fn real_brokers_with(count: usize, extras: &Extras) -> Option<Brokers> {
    if env::var_os("KAFKA_BROKERS").is_none() {
        skipped("they need real brokers of their own; `cargo run -p tests --bin with-kafka` runs them");
        return None;
    }
    if Command::new("java").arg("-version").output().is_err() {
        let why = "they need a JDK 17 or later for brokers of their own, and there is no `java`";
        // On CI no test may be skipped.
        assert!(env::var("CI").as_deref() != Ok("true"), "{why}");
        skipped(why);
        return None;
    }
    Some(Brokers::start_with(count, extras).unwrap_or_else(|error| panic!("{error}")))
}

/// Builds and starts a runtime.
///
/// # Panics
///
/// If the runtime cannot be built or does not start.
pub async fn started(builder: RuntimeBuilder) -> Running {
    let runtime = builder.build().unwrap_or_else(|error| panic!("{error}"));
    runtime.start().await.unwrap_or_else(|error| panic!("{error}"))
}

/// A random prefix, so that no other test has the same names.
fn prefix() -> String {
    format!("t{}.", Uuid::new_v4().simple())
}

/// Shows the log lines that `RUST_LOG` selects.
fn log() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    // Fails if another test of the process was first.
    let _already = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
}
