//! A record that is retried through another topic.

use std::{sync::Arc, time::SystemTime};

use super::{Headers, Origin, OutgoingRecord, Placement, clock, dead_letter::cut, names};
use crate::{RpcError, wire::ReceivedRecord};

/// The headers that a record on its retry topic has besides its sender's.
pub(crate) const NAMES: &[&str] =
    &[names::RETRY_COUNT, names::RETRY_TIMESTAMP, names::LAST_ERROR, names::RETRY_ORIGIN];

/// Creates the record for the retry topic: its key, value and headers, with the count, time and error of the
/// retry, and where the record was first read.
///
/// Retry headers that the record came with are replaced, because the first header of a name counts.
pub(crate) fn again(
    topic: &Arc<str>,
    record: &ReceivedRecord,
    retry: u32,
    due: SystemTime,
    error: &RpcError,
    origin: Origin,
) -> OutgoingRecord {
    let mut headers = record.headers.clone().unwrap_or_default();
    headers.remove(NAMES);
    headers.push(names::RETRY_COUNT, retry.to_string());
    headers.push(names::RETRY_TIMESTAMP, clock::millis(due).to_string());
    headers.push(names::LAST_ERROR, cut(error.message()));
    headers.push(names::RETRY_ORIGIN, origin.to_string());
    OutgoingRecord {
        topic: Arc::clone(topic),
        placement: Placement::ByKey,
        key: record.key.clone(),
        value: record.value.clone(),
        headers,
    }
}

/// How often a record was retried before. A count that is not a `u64` reads as 0, and one above `u32::MAX`,
/// which no record reaches, as `u32::MAX`.
pub(crate) fn count(headers: &Headers) -> u32 {
    let count =
        headers.text(names::RETRY_COUNT).and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0);
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// When a record of a retry topic is due.
pub(crate) fn due(headers: &Headers) -> Option<SystemTime> {
    clock::from_millis(headers.text(names::RETRY_TIMESTAMP)?.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_retry_is_the_record_with_its_count_time_and_error_and_with_no_older_ones() {
        let mut own = Headers::new();
        own.push("Retry-Count", "1");
        own.push("correlation-id", "c-1");
        own.push("retry-origin", "a stranger's");
        let record = ReceivedRecord {
            topic: "orders".into(),
            partition: 0,
            offset: 7,
            timestamp: None,
            is_append_time: false,
            key: Some("k".into()),
            value: Some("v".into()),
            headers: Ok(own),
        };
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let error = RpcError::internal("bug");
        let again = again(&"orders-retry".into(), &record, 2, at, &error, Origin::of(&record));
        let headers: Vec<_> = again.headers.iter().collect();
        assert_eq!(
            headers,
            [
                ("correlation-id", Some(&b"c-1"[..])),
                ("retry-count", Some(b"2")),
                ("retry-timestamp", Some(b"1700000000000")),
                ("last-error", Some(b"bug")),
                ("retry-origin", Some(b"0:7")),
            ]
        );
        assert_eq!((count(&again.headers), due(&again.headers)), (2, Some(at)));
    }

    #[test]
    fn a_count_that_nobody_reaches_is_not_read_as_none() {
        let read = |value: &'static str| {
            let mut headers = Headers::new();
            headers.push("retry-count", value);
            count(&headers)
        };
        assert_eq!(["3", " 3 ", "99999999999", "-1", "soon", ""].map(read), [3, 3, u32::MAX, 0, 0, 0]);
    }
}
