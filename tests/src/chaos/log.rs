//! What Kafka holds at the end: every command, every reply, every dead letter, and how far each partition is
//! committed.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    time::Duration,
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::{BorrowedMessage, Headers as _},
};
use serde::Deserialize;

use super::{
    contract::{DEAD_LETTERS, GROUP, REPLIES, TOPIC, Work},
    ledger::{LogEntry, Place, Writer},
};

/// Timeout of one request: brokers that have just come back are slow.
const ASK_FOR: Duration = Duration::from_secs(10);

/// How long a topic may return no record before its end is reached.
const SILENT_FOR: Duration = Duration::from_mins(1);

/// Reads the cluster under the name of the group, without joining it.
pub(super) struct Log {
    consumer: BaseConsumer,
}

impl Log {
    pub(super) fn of(brokers: &str) -> io::Result<Self> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", GROUP)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("log_level", "0")
            .create()
            .map_err(io::Error::other)?;
        Ok(Self { consumer })
    }

    /// The committed offset and the end offset of each partition of the commands' topic.
    pub(super) fn committed(&self, partitions: u16) -> Result<BTreeMap<i32, (i64, i64)>, KafkaError> {
        let mut asked = TopicPartitionList::new();
        for partition in 0..i32::from(partitions) {
            asked.add_partition(TOPIC, partition);
        }
        let committed = self.consumer.committed_offsets(asked, ASK_FOR)?;
        let of = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            let committed = if let Offset::Offset(offset) = element.offset() { offset } else { 0 };
            let (_, end) = self.consumer.fetch_watermarks(TOPIC, element.partition(), ASK_FOR)?;
            Ok((element.partition(), (committed, end)))
        };
        committed.elements().iter().map(of).collect()
    }

    /// Writes everything that Kafka holds to the ledger.
    pub(super) fn write(&self, partitions: u16, ledger: &Writer) -> io::Result<()> {
        for (partition, (committed, end)) in self.committed(partitions).map_err(io::Error::other)? {
            ledger.append(&LogEntry::Committed { partition, committed, end })?;
        }
        let mut asked = HashMap::new();
        self.read(TOPIC, |message| {
            let id = id(message)?;
            if let Some(correlation_id) = header(message, "correlation-id") {
                asked.insert(correlation_id.to_owned(), id);
            }
            ledger.append(&LogEntry::Command { place: place(message), id })
        })?;
        self.read(REPLIES, |message| {
            let id = header(message, "correlation-id").and_then(|correlation_id| asked.get(correlation_id));
            ledger.append(&LogEntry::Reply { place: place(message), id: id.copied() })
        })?;
        self.read(DEAD_LETTERS, |message| {
            let missing = || io::Error::other("a dead letter does not say where it is from");
            let number = |name| header(message, name).ok_or_else(missing);
            let partition = number("original-partition")?.parse().map_err(|_| missing())?;
            let offset = number("original-offset")?.parse().map_err(|_| missing())?;
            let status = header(message, "status-code").unwrap_or_default().to_owned();
            ledger.append(&LogEntry::DeadLetter {
                place: Place { partition, offset },
                id: id(message)?,
                status,
            })
        })
    }

    /// Reads a topic from its beginning to its end.
    fn read(
        &self,
        topic: &str,
        mut each: impl FnMut(&BorrowedMessage<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let metadata = self.consumer.fetch_metadata(Some(topic), ASK_FOR).map_err(io::Error::other)?;
        let mut left = BTreeMap::new();
        let mut assigned = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions) {
            let (begin, end) =
                self.consumer.fetch_watermarks(topic, partition.id(), ASK_FOR).map_err(io::Error::other)?;
            if begin < end {
                left.insert(partition.id(), end);
                let added = assigned.add_partition_offset(topic, partition.id(), Offset::Beginning);
                added.map_err(io::Error::other)?;
            }
        }
        self.consumer.assign(&assigned).map_err(io::Error::other)?;
        while !left.is_empty() {
            let Some(polled) = self.consumer.poll(SILENT_FOR) else {
                return Err(io::Error::other(format!(
                    "`{topic}` cannot be read to its end: {left:?} is missing"
                )));
            };
            let Ok(message) = polled else { continue };
            each(&message)?;
            if left.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
                left.remove(&message.partition());
            }
        }
        self.consumer.unassign().map_err(io::Error::other)
    }
}

fn place(message: &BorrowedMessage<'_>) -> Place {
    Place { partition: message.partition(), offset: message.offset() }
}

fn header<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a str> {
    let value = message.headers()?.iter().find(|header| header.key == name)?.value?;
    std::str::from_utf8(value).ok()
}

/// The id of the command in a record.
fn id(message: &BorrowedMessage<'_>) -> io::Result<u64> {
    #[derive(Deserialize)]
    struct Envelope {
        payload: Work,
    }
    let value = message.payload().unwrap_or_default();
    Ok(serde_json::from_slice::<Envelope>(value)?.payload.id)
}
