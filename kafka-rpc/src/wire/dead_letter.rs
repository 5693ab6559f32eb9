//! A record that could not be handled, with the reason.

use std::time::SystemTime;

use bytes::Bytes;

use super::{Headers, Origin, OutgoingRecord, Peer, Placement, clock, names};
use crate::{RpcError, wire::ReceivedRecord};

/// The most bytes of an error's text in a header: a broker refuses records for the size of their headers too.
const MOST_TEXT: usize = 1 << 10;
/// The most bytes of an error's causes in a header.
const MOST_CAUSES: usize = 4 << 10;

/// How many of the record's headers a letter keeps at most. Of more than 100,000 in all librdkafka reads none
/// (`rdkafka_msg.c`), and the letter's headers about the failure would be among those lost.
const MOST_HEADERS: usize = 99_000;

/// Why and where a record failed.
#[derive(Debug)]
pub(crate) struct Failure<'a> {
    pub(crate) error: &'a RpcError,
    /// The peer in whose format the letter is written.
    pub(crate) peer: Peer,
    pub(crate) retries: u32,
    /// The topic of the subscription; a retried record was read from another.
    pub(crate) topic: &'a str,
    /// Where the record was first read in `topic`.
    pub(crate) origin: Origin,
    pub(crate) group: &'a str,
    pub(crate) at: SystemTime,
}

/// Creates the dead letter of a record: its key, value and headers byte for byte, followed by headers about
/// the failure.
pub(crate) fn letter(
    topic: &std::sync::Arc<str>,
    record: &ReceivedRecord,
    failure: &Failure<'_>,
) -> OutgoingRecord {
    let mut headers = match &record.headers {
        Ok(headers) if headers.len() <= MOST_HEADERS => headers.clone(),
        // Headers that cannot be read cannot be written again either; the rest of the record can.
        Ok(_) | Err(_) => {
            let mut headers = Headers::new();
            headers.push(names::HEADERS_OMITTED, "true");
            headers
        }
    };
    match failure.peer {
        Peer::Reference | Peer::Nest => explain(&mut headers, failure),
        Peer::Spring => explain_to_spring(&mut headers, failure),
    }
    OutgoingRecord {
        topic: std::sync::Arc::clone(topic),
        placement: Placement::ByKey,
        key: record.key.clone(),
        value: record.value.clone(),
        headers,
    }
}

fn explain(headers: &mut Headers, failure: &Failure<'_>) {
    let Failure { error, origin, .. } = failure;
    headers.push(names::ORIGINAL_TOPIC, failure.topic.to_owned());
    headers.push(names::ERROR, cut(error.message()));
    // Without causes this header is empty, not null: a header with a null value kills a reference service.
    headers.push(names::ERROR_STACK, cut_to(MOST_CAUSES, &error.causes()));
    headers.push(names::FAILED_AT, clock::millis(failure.at).to_string());
    headers.push(names::TOTAL_RETRIES, failure.retries.to_string());
    headers.push(names::ORIGINAL_PARTITION, origin.partition.to_string());
    headers.push(names::ORIGINAL_OFFSET, origin.offset.to_string());
    if let Some(timestamp) = origin.timestamp {
        headers.push(names::ORIGINAL_TIMESTAMP, clock::millis(timestamp).to_string());
    }
    headers.push(names::ORIGINAL_GROUP, failure.group.to_owned());
    headers.push(names::ERROR_NAME, cut(error.name()));
    headers.push(names::STATUS_CODE, error.status().as_str().to_owned());
}

/// Adds the headers of a `DeadLetterPublishingRecoverer`, with numbers as big-endian bytes, and under this
/// protocol's names what Spring has none for. The error's name stands for its class, and of its causes there
/// are only the messages.
fn explain_to_spring(headers: &mut Headers, failure: &Failure<'_>) {
    let Failure { error, origin, .. } = failure;
    headers.push(names::DLT_EXCEPTION_FQCN, cut(error.name()));
    headers.push(names::DLT_EXCEPTION_MESSAGE, cut(error.message()));
    headers.push(names::DLT_EXCEPTION_STACKTRACE, cut_to(MOST_CAUSES, &error.causes()));
    headers.push(names::DLT_ORIGINAL_TOPIC, failure.topic.to_owned());
    headers.push(names::DLT_ORIGINAL_PARTITION, bytes(&origin.partition.to_be_bytes()));
    headers.push(names::DLT_ORIGINAL_OFFSET, bytes(&origin.offset.to_be_bytes()));
    let (timestamp, kind) = match origin.timestamp {
        Some(at) if origin.is_append_time => (clock::millis(at).cast_signed(), "LogAppendTime"),
        Some(at) => (clock::millis(at).cast_signed(), "CreateTime"),
        // The Java client's values for a record without a timestamp.
        None => (-1, "NoTimestampType"),
    };
    headers.push(names::DLT_ORIGINAL_TIMESTAMP, bytes(&timestamp.to_be_bytes()));
    headers.push(names::DLT_ORIGINAL_TIMESTAMP_TYPE, kind);
    headers.push(names::DLT_ORIGINAL_GROUP, failure.group.to_owned());
    headers.push(names::FAILED_AT, clock::millis(failure.at).to_string());
    headers.push(names::TOTAL_RETRIES, failure.retries.to_string());
    headers.push(names::STATUS_CODE, error.status().as_str().to_owned());
}

fn bytes(number: &[u8]) -> Bytes {
    Bytes::copy_from_slice(number)
}

/// Returns the letter without its value, for a broker that refuses it for its size.
pub(crate) fn without_value(letter: OutgoingRecord) -> OutgoingRecord {
    let mut headers = letter.headers;
    headers.push(names::VALUE_OMITTED, "true");
    OutgoingRecord { value: None, headers, ..letter }
}

/// Cuts a text so that it is short enough for a header.
pub(crate) fn cut(text: &str) -> String {
    cut_to(MOST_TEXT, text)
}

fn cut_to(most: usize, text: &str) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn record(headers: Headers) -> ReceivedRecord {
        ReceivedRecord {
            topic: "orders".into(),
            partition: 2,
            offset: 7,
            timestamp: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
            is_append_time: false,
            key: Some(Bytes::from_static(b"\x00key")),
            value: Some(Bytes::from_static(b"\xffpoison")),
            headers: Ok(headers),
        }
    }

    fn written(error: &RpcError, headers: Headers) -> OutgoingRecord {
        written_to(Peer::Reference, error, &record(headers))
    }

    fn written_to(peer: Peer, error: &RpcError, record: &ReceivedRecord) -> OutgoingRecord {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_005);
        let origin = Origin::of(record);
        let failure = Failure { error, peer, retries: 3, topic: "orders", origin, group: "g", at };
        letter(&"orders.dlq".into(), record, &failure)
    }

    fn headers(letter: &OutgoingRecord) -> Vec<(&str, Option<&[u8]>)> {
        letter.headers.iter().collect()
    }

    #[test]
    fn a_letter_is_the_record_byte_for_byte_with_our_headers_after_its_own() {
        let own = Headers::as_received([("error".to_owned(), Some("theirs")), ("null".to_owned(), None)]);
        let letter = written(&RpcError::internal("database is gone"), own);
        assert_eq!(letter.key.as_deref(), Some(b"\x00key".as_slice()));
        assert_eq!(letter.value.as_deref(), Some(b"\xffpoison".as_slice()));
        assert_eq!(
            headers(&letter),
            [
                ("error", Some(&b"theirs"[..])),
                ("null", None),
                ("original-topic", Some(b"orders")),
                ("error", Some(b"database is gone")),
                ("error-stack", Some(b"")),
                ("failed-at", Some(b"1700000005000")),
                ("total-retries", Some(b"3")),
                ("original-partition", Some(b"2")),
                ("original-offset", Some(b"7")),
                ("original-timestamp", Some(b"1700000000000")),
                ("original-group", Some(b"g")),
                ("error-name", Some(b"InternalServerError")),
                ("status-code", Some(b"500")),
            ]
        );
    }

    #[test]
    fn a_letter_to_spring_has_the_headers_of_its_recoverer_byte_for_byte() {
        let error = RpcError::internal("database is gone").with_source("connection refused");
        let mut own = Headers::new();
        own.push("kafka_correlationId", "c-1");
        let letter = written_to(Peer::Spring, &error, &record(own));
        assert_eq!((letter.key, letter.value), (record(Headers::new()).key, record(Headers::new()).value));
        let millis = 1_700_000_000_000_i64.to_be_bytes();
        assert_eq!(
            headers(&OutgoingRecord { key: None, value: None, ..letter }),
            [
                ("kafka_correlationId", Some(&b"c-1"[..])),
                ("kafka_dlt-exception-fqcn", Some(b"InternalServerError")),
                ("kafka_dlt-exception-message", Some(b"database is gone")),
                ("kafka_dlt-exception-stacktrace", Some(b"connection refused")),
                ("kafka_dlt-original-topic", Some(b"orders")),
                ("kafka_dlt-original-partition", Some(&[0, 0, 0, 2])),
                ("kafka_dlt-original-offset", Some(&[0, 0, 0, 0, 0, 0, 0, 7])),
                ("kafka_dlt-original-timestamp", Some(&millis)),
                ("kafka_dlt-original-timestamp-type", Some(b"CreateTime")),
                ("kafka_dlt-original-consumer-group", Some(b"g")),
                ("failed-at", Some(b"1700000005000")),
                ("total-retries", Some(b"3")),
                ("status-code", Some(b"500")),
            ]
        );
    }

    #[test]
    fn a_letter_to_spring_says_whose_its_timestamp_is() {
        let kind = |record| {
            let letter = written_to(Peer::Spring, &RpcError::internal("x"), &record);
            letter.headers.text("kafka_dlt-original-timestamp-type").map(str::to_owned)
        };
        let appended = ReceivedRecord { is_append_time: true, ..record(Headers::new()) };
        assert_eq!(kind(appended).as_deref(), Some("LogAppendTime"));
        let without = ReceivedRecord { timestamp: None, ..record(Headers::new()) };
        assert_eq!(kind(without).as_deref(), Some("NoTimestampType"));
    }

    #[test]
    fn an_error_of_any_length_is_cut_at_a_character() {
        let letter = written(&RpcError::internal("é".repeat(100_000)), Headers::new());
        let error = letter.headers.text("error").expect("text").to_owned();
        assert_eq!((error.len(), error.chars().all(|letter| letter == 'é')), (1_024, true));
    }

    #[test]
    fn a_letter_tells_the_causes_of_its_error() {
        let refused = std::io::Error::other("connection refused");
        let letter = written(&RpcError::internal("database is gone").with_source(refused), Headers::new());
        assert_eq!(letter.headers.text("error-stack"), Some("connection refused"));
        let long = written(&RpcError::internal("x").with_source("y".repeat(100_000)), Headers::new());
        assert_eq!(long.headers.text("error-stack").map(str::len), Some(4_096));
    }

    #[test]
    fn a_letter_that_is_too_large_goes_without_its_value_and_says_so() {
        let letter = without_value(written(&RpcError::internal("large"), Headers::new()));
        assert_eq!((letter.value, letter.headers.text("value-omitted")), (None, Some("true")));
    }
}
