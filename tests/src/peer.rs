//! A peer on the other side that speaks raw bytes: what a service of another language would send and read.

use std::{
    collections::BTreeMap,
    ops::Range,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

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
    /// The partition that the record goes to, or came from.
    pub partition: Option<i32>,
}

/// The value of a `deadline` that is `millis` milliseconds from now, or in the past if negative.
///
/// # Panics
///
/// If the clock is at a time before 1970.
pub fn millis_from_now(millis: i128) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis();
    (i128::try_from(now).expect("a clock before the year 10^28") + millis).to_string()
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

    /// Asks for an answer with this correlation id, on this topic.
    #[must_use]
    pub fn answered_to(self, id: &str, topic: &str) -> Self {
        self.header("correlation-id", id).header("reply-to", topic)
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

    /// The value as JSON; null if the value is not JSON.
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
    /// A peer on the cluster of these brokers.
    ///
    /// # Panics
    ///
    /// If librdkafka cannot create a client.
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

    /// Reads the first `count` records of a topic, in the order of their arrival, and waits for those still
    /// to come.
    ///
    /// # Panics
    ///
    /// If the records do not arrive within [`BOUND`].
    pub async fn read(&self, topic: &str, count: usize) -> Vec<Record> {
        let reader = Reader::of(&self.brokers, topic);
        on_a_thread(move || reader.first(count)).await
    }

    /// Reads all records that a topic has at this moment, if any, partition by partition and in order.
    /// Records still on their way are missed: a test that asserts that a record has not arrived first waits
    /// for something that would arrive after it.
    ///
    /// # Panics
    ///
    /// If the topic does not exist, or its records cannot be read within [`BOUND`].
    pub async fn all(&self, topic: &str) -> Vec<Record> {
        let reader = Reader::of(&self.brokers, topic);
        on_a_thread(move || reader.all()).await
    }
}

async fn on_a_thread<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|ended| panic!("{ended}"))
}

/// Reads a topic once.
struct Reader {
    consumer: BaseConsumer,
    topic: String,
    until: Instant,
}

impl Reader {
    fn of(brokers: &str, topic: &str) -> Self {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", format!("peer-{}", Uuid::new_v4()))
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "10")
            .create()
            .unwrap_or_else(|error| panic!("{error}"));
        Self { consumer, topic: topic.to_owned(), until: Instant::now() + BOUND }
    }

    fn first(&self, count: usize) -> Vec<Record> {
        self.assign(self.partitions());
        let mut found = Vec::new();
        while found.len() < count {
            found.extend(
                self.next(|| format!("{} of {count} records", found.len())).map(|(_, record)| record),
            );
        }
        found
    }

    fn all(&self) -> Vec<Record> {
        let ends = self.partitions().map(|partition| (partition, self.ends(partition)));
        // Records at or after an end have arrived since, and are left out.
        let mut unread: BTreeMap<i32, i64> = ends
            .filter(|(_, (begin, end))| begin < end)
            .map(|(partition, (_, end))| (partition, end))
            .collect();
        let ends = unread.clone();
        self.assign(ends.keys().copied());
        let mut found: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
        while !unread.is_empty() {
            let Some((offset, record)) = self.next(|| format!("not up to {unread:?}")) else { continue };
            let partition = record.partition.unwrap_or_default();
            let end = ends[&partition];
            if offset < end {
                found.entry(partition).or_default().push(record);
            }
            if offset + 1 >= end {
                unread.remove(&partition);
            }
        }
        found.into_values().flatten().collect()
    }

    /// The partitions of the topic. Brokers may not know a new topic at once.
    fn partitions(&self) -> Range<i32> {
        self.again_and_again(|| {
            let metadata = self.consumer.fetch_metadata(Some(&self.topic), BOUND);
            let metadata = metadata.map_err(|error| error.to_string())?;
            match metadata.topics().first().map(|topic| topic.partitions().len()) {
                Some(partitions) if partitions > 0 => Ok(0..i32::try_from(partitions).unwrap_or(i32::MAX)),
                _ => Err("it does not exist".to_owned()),
            }
        })
    }

    /// The offset of the first record of a partition, and that of the next one to come.
    fn ends(&self, partition: i32) -> (i64, i64) {
        self.again_and_again(|| {
            let ends = self.consumer.fetch_watermarks(&self.topic, partition, BOUND);
            ends.map_err(|error| error.to_string())
        })
    }

    fn again_and_again<T>(&self, mut ask: impl FnMut() -> Result<T, String>) -> T {
        loop {
            match ask() {
                Ok(answer) => return answer,
                Err(error) => assert!(Instant::now() < self.until, "{}: {error}", self.topic),
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn assign(&self, partitions: impl Iterator<Item = i32>) {
        let mut assigned = TopicPartitionList::new();
        for partition in partitions {
            let added = assigned.add_partition_offset(&self.topic, partition, Offset::Beginning);
            added.unwrap_or_else(|error| panic!("{error}"));
        }
        self.consumer.assign(&assigned).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The next record and its offset, if one comes soon.
    fn next(&self, missing: impl FnOnce() -> String) -> Option<(i64, Record)> {
        assert!(Instant::now() < self.until, "{}: {} within {BOUND:?}", self.topic, missing());
        let message = self.consumer.poll(Duration::from_millis(50))?.ok()?;
        let headers = message.headers().map(|headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
        });
        let record = Record {
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
            partition: Some(message.partition()),
        };
        Some((message.offset(), record))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Every send was awaited; flushing only lets the client close at once.
        let _flushed = self.producer.flush(Duration::from_secs(1));
    }
}
