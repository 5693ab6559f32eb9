//! A record as it was received.

use std::{fmt, sync::Arc, time::SystemTime};

use bytes::Bytes;

use super::Headers;

/// A record as it was received. Its value can be null.
#[derive(Clone)]
pub(crate) struct ReceivedRecord {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: Option<SystemTime>,
    /// Whether the timestamp is the broker's, and not the producer's.
    pub(crate) is_append_time: bool,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    /// An error if the headers cannot be read at all, which makes the record poison.
    pub(crate) headers: Result<Headers, UnreadableHeaders>,
}

/// A header's name is not UTF-8, which Kafka stores but no client library can express, or there are more
/// headers than librdkafka reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnreadableHeaders;

impl ReceivedRecord {
    /// Creates an empty record.
    pub(crate) fn blank() -> Self {
        Self {
            topic: Arc::default(),
            partition: 0,
            offset: 0,
            timestamp: None,
            is_append_time: false,
            key: None,
            value: None,
            headers: Ok(Headers::new()),
        }
    }

    pub(crate) fn info(&self) -> RecordInfo {
        RecordInfo {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            // A copy, so that keeping the key does not keep everything that was received with it.
            key: self.key.as_deref().map(Bytes::copy_from_slice),
        }
    }

    /// The headers of the record; empty if they cannot be read.
    pub(crate) fn headers(&self) -> &Headers {
        static NONE: Headers = Headers::new();
        self.headers.as_ref().unwrap_or(&NONE)
    }
}

/// Shows where the record was found and how large it is: the contents are not ours to show.
impl fmt::Debug for ReceivedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = |part: &Option<Bytes>| part.as_ref().map(Bytes::len);
        f.debug_struct("ReceivedRecord")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("key_bytes", &len(&self.key))
            .field("value_bytes", &len(&self.value))
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// Where a record came from.
///
/// `Debug` shows everything except the key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordInfo {
    /// The topic, by its name in the cluster.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
    /// The time at which the producer made the record, or the broker appended it.
    pub timestamp: Option<SystemTime>,
    /// The key, if the record has one.
    pub key: Option<Bytes>,
}

impl fmt::Debug for RecordInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordInfo")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_what_a_record_says() {
        let secret = || Some(Bytes::from_static(b"hunter2"));
        let mut record = ReceivedRecord { key: secret(), value: secret(), ..ReceivedRecord::blank() };
        if let Ok(headers) = &mut record.headers {
            headers.push("authorization", "hunter2");
        }
        let shown = format!("{record:?}");
        assert!(!shown.contains("hunter2") && shown.contains("value_bytes: Some(7)"), "{shown}");
    }
}
