//! What the handler of dead letters reads.

use std::{
    str::FromStr,
    time::{Duration, SystemTime},
};

use super::{PEERS, record};
use crate::{
    DeadLetter, Headers, RpcError,
    wire::{
        Origin, OutgoingRecord, Peer, ReceivedRecord, clock,
        dead_letter::{self, Failure},
    },
};

/// Checks that the last header of each dead-letter name counts, and that a letter of this crate keeps the
/// record as it came, followed by headers that read back as they were written.
pub fn dead_letter(text: &[u8]) {
    check(&record::read(text));
}

pub(crate) fn check(record: &ReceivedRecord) {
    let letter = DeadLetter {
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers.clone().unwrap_or_default(),
    };
    read(&letter);
    for peer in PEERS {
        written(peer, record, &letter);
    }
}

/// Returns the last header with one of these names, and the index of its name.
fn last<'a>(headers: &'a Headers, names: &[&str]) -> Option<(usize, &'a [u8])> {
    let of_these =
        |(own, value)| Some((names.iter().position(|name| name.eq_ignore_ascii_case(own))?, value));
    let (which, value): (_, Option<&[u8]>) = headers.iter().filter_map(of_these).last()?;
    Some((which, value?))
}

fn text((_, value): (usize, &[u8])) -> Option<&str> {
    str::from_utf8(value).ok()
}

/// Reads a number: digits under this protocol's name, bytes under Spring's.
fn number<T: FromStr, const N: usize>(
    (which, value): (usize, &[u8]),
    from_bytes: fn([u8; N]) -> T,
) -> Option<T> {
    if which == 0 { str::from_utf8(value).ok()?.parse().ok() } else { value.try_into().ok().map(from_bytes) }
}

fn read(letter: &DeadLetter) {
    let last = |names: &[&str]| last(&letter.headers, names);
    assert_eq!(letter.original_topic(), last(&["original-topic", "kafka_dlt-original-topic"]).and_then(text));
    assert_eq!(letter.error(), last(&["error", "kafka_dlt-exception-message"]).and_then(text));
    assert_eq!(letter.error_name(), last(&["error-name", "kafka_dlt-exception-fqcn"]).and_then(text));
    let partition = last(&["original-partition", "kafka_dlt-original-partition"]);
    assert_eq!(letter.original_partition(), partition.and_then(|value| number(value, i32::from_be_bytes)));
    let offset = last(&["original-offset", "kafka_dlt-original-offset"]);
    assert_eq!(letter.original_offset(), offset.and_then(|value| number(value, i64::from_be_bytes)));
    let retries = last(&["total-retries"]).and_then(|value| number(value, u32::from_be_bytes));
    assert_eq!(letter.total_retries(), retries);
    let failed_at = last(&["failed-at"]).and_then(|value| number(value, u64::from_be_bytes));
    assert_eq!(letter.failed_at().map(clock::millis), failed_at);
    let status = last(&["status-code"]).and_then(text);
    assert!(letter.status().is_none_or(|read| Some(read.as_str()) == status));
}

fn written(peer: Peer, record: &ReceivedRecord, own: &DeadLetter) {
    let message = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default());
    let name = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default());
    let error = RpcError::unavailable(message.clone())
        .with_name(name.clone())
        .with_source(message.clone().into_owned());
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let origin = Origin::of(record);
    let failure = Failure { error: &error, peer, retries: 3, topic: "orders", origin, group: "group", at };
    let letter = dead_letter::letter(&"orders.dlq".into(), record, &failure);
    assert!(letter.headers.iter().take(own.headers.len()).eq(own.headers.iter()));
    assert_eq!((&letter.key, &letter.value), (&own.key, &own.value));
    let read = as_read(letter.clone());
    assert_eq!(read.original_topic(), Some("orders"));
    assert_eq!((read.original_partition(), read.original_offset()), (Some(2), Some(7)));
    assert_eq!((read.total_retries(), read.failed_at()), (Some(3), Some(at)));
    assert_eq!(read.status(), Some(error.status()));
    for (whole, cut) in [(message, read.error()), (name, read.error_name())] {
        let cut = cut.expect("written");
        // A character has four bytes at most.
        assert!(whole.starts_with(cut) && (cut.len() == whole.len() || (1_021..=1_024).contains(&cut.len())));
    }
    let omitted = as_read(dead_letter::without_value(letter));
    assert_eq!((omitted.value, omitted.key), (None, read.key));
    assert_eq!(last(&omitted.headers, &["value-omitted"]).and_then(text), Some("true"));
}

fn as_read(letter: OutgoingRecord) -> DeadLetter {
    DeadLetter { key: letter.key, value: letter.value, headers: letter.headers }
}
