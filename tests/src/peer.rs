//! Somebody on the other side, who speaks bytes: what a service of another language would send and read.

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::{Header, Headers as _, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer as _},
};
use uuid::Uuid;

use crate::BOUND;

/// A record as its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// The headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The partition it goes to, or came from.
    pub partition: Option<i32>,
}

impl Record {
    /// A record with this value.
    pub fn new(value: impl AsRef<[u8]>) -> Self {
        Self { value: Some(value.as_ref().to_vec()), ..Self::default() }
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(key.as_ref().to_vec());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), Some(value.as_ref().to_vec())));
        self
    }

    /// Sets the partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// The first header of this name, as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(own, _)| own == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    /// The names of the headers, in order.
    pub fn names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The value as JSON; null where it is none.
    pub fn json(&self) -> serde_json::Value {
        self.value.as_deref().and_then(|value| serde_json::from_slice(value).ok()).unwrap_or_default()
    }
}

/// A producer and a consumer without any framework.
pub struct Peer {
    brokers: String,
    producer: FutureProducer,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

impl Peer {
    /// Somebody on the cluster of these brokers.
    ///
    /// # Panics
    ///
    /// If librdkafka makes no client.
    pub fn new(brokers: &str) -> Self {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("linger.ms", "0")
            .create()
            .unwrap_or_else(|error| panic!("{error}"));
        Self { brokers: brokers.to_owned(), producer }
    }

    /// Sends a record, and waits until the broker has it.
    ///
    /// # Panics
    ///
    /// If the broker does not take it.
    pub async fn send(&self, topic: &str, record: &Record) {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: value.as_deref() });
        }
        let mut sent = FutureRecord::<[u8], [u8]>::to(topic).headers(headers);
        sent.key = record.key.as_deref();
        sent.payload = record.value.as_deref();
        sent.partition = record.partition;
        if let Err((error, _)) = self.producer.send(sent, BOUND).await {
            panic!("{topic}: {error}");
        }
    }

    /// Reads a topic from its beginning until there are so many records, in the order of their coming.
    ///
    /// # Panics
    ///
    /// If they do not come.
    pub async fn read(&self, topic: &str, count: usize) -> Vec<Record> {
        let found = self.read_for(topic, count, BOUND).await;
        assert!(found.len() >= count, "{topic}: {} of {count} records within {BOUND:?}", found.len());
        found
    }

    /// Reads a topic from its beginning until there are so many records, or the time is up.
    ///
    /// # Panics
    ///
    /// If the topic is not there.
    pub async fn read_for(&self, topic: &str, count: usize, within: Duration) -> Vec<Record> {
        let (brokers, topic) = (self.brokers.clone(), topic.to_owned());
        let read = tokio::task::spawn_blocking(move || read(&brokers, &topic, count, within));
        read.await.unwrap_or_else(|ended| panic!("{ended}"))
    }
}

fn read(brokers: &str, topic: &str, count: usize, within: Duration) -> Vec<Record> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", format!("peer-{}", Uuid::new_v4()))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "10")
        .create()
        .unwrap_or_else(|error| panic!("{error}"));
    let until = Instant::now() + within;
    let partitions = loop {
        // A topic that was just made may not be known at once.
        let metadata = consumer.fetch_metadata(Some(topic), within).unwrap_or_else(|error| panic!("{error}"));
        match metadata.topics().first().map(|topic| topic.partitions().len()) {
            Some(partitions) if partitions > 0 => break i32::try_from(partitions).unwrap_or(i32::MAX),
            _ => assert!(Instant::now() < until, "{topic} does not exist"),
        }
    };
    let mut assigned = TopicPartitionList::new();
    for partition in 0..partitions {
        let added = assigned.add_partition_offset(topic, partition, Offset::Beginning);
        added.unwrap_or_else(|error| panic!("{error}"));
    }
    consumer.assign(&assigned).unwrap_or_else(|error| panic!("{error}"));
    let mut found = Vec::new();
    while found.len() < count && Instant::now() < until {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) else {
            continue;
        };
        let headers = message.headers().map(|headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
        });
        found.push(Record {
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
            partition: Some(message.partition()),
        });
    }
    found
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Everything was awaited; this only lets the client close at once.
        let _flushed = self.producer.flush(Duration::from_secs(1));
    }
}
