//! The payload of a handler of dead letters.

use std::{fmt, time::SystemTime};

use bytes::Bytes;
use http::StatusCode;

use super::{Context, Payload};
use crate::{
    Headers, RpcError,
    wire::{clock, names},
};

/// A record that could not be handled, as it is stored in the dead-letter topic: the payload of a handler
/// with `dead_letters_of`.
///
/// The details of the failure are read from the headers of kafka-rpc and from those of Spring's
/// `DeadLetterPublishingRecoverer`, whichever wrote the letter. Spring writes no status, time or number of
/// retries.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The key of the record.
    pub key: Option<Bytes>,
    /// The value of the record; also `None` if it was too large for the dead-letter topic.
    pub value: Option<Bytes>,
    /// The headers of the record, followed by those that describe its failure.
    pub headers: Headers,
}

/// Shows where the record came from and the status of its failure, never its content: letters are mostly
/// shown in logs.
impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("original_topic", &self.original_topic())
            .field("original_partition", &self.original_partition())
            .field("original_offset", &self.original_offset())
            .field("status", &self.status())
            .field("value_bytes", &self.value.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

impl DeadLetter {
    /// Creates a letter, as a test of its handler needs it. `headers` holds the headers of the record and
    /// those that describe its failure, such as `original-topic`.
    ///
    /// ```
    /// use kafka_rpc::{DeadLetter, Headers};
    ///
    /// let headers = Headers::from_iter([("tenant", "acme"), ("original-topic", "orders-commands"), ("error", "no such account")]);
    /// let letter = DeadLetter::new(Some("a key".into()), Some("a value".into()), headers);
    /// assert_eq!(letter.original_topic(), Some("orders-commands"));
    /// ```
    #[must_use]
    pub const fn new(key: Option<Bytes>, value: Option<Bytes>, headers: Headers) -> Self {
        Self { key, value, headers }
    }

    /// The topic that the record came from.
    pub fn original_topic(&self) -> Option<&str> {
        self.text([names::ORIGINAL_TOPIC, names::DLT_ORIGINAL_TOPIC])
    }

    /// The partition that the record came from.
    pub fn original_partition(&self) -> Option<i32> {
        match self.last([names::ORIGINAL_PARTITION, names::DLT_ORIGINAL_PARTITION])? {
            (names::ORIGINAL_PARTITION, value) => text(value)?.parse().ok(),
            (_, value) => Some(i32::from_be_bytes(value.try_into().ok()?)),
        }
    }

    /// The offset of the record in that partition.
    pub fn original_offset(&self) -> Option<i64> {
        match self.last([names::ORIGINAL_OFFSET, names::DLT_ORIGINAL_OFFSET])? {
            (names::ORIGINAL_OFFSET, value) => text(value)?.parse().ok(),
            (_, value) => Some(i64::from_be_bytes(value.try_into().ok()?)),
        }
    }

    /// The message of the error.
    pub fn error(&self) -> Option<&str> {
        self.text([names::ERROR, names::DLT_EXCEPTION_MESSAGE])
    }

    /// The name of the error, such as `ValidationError`.
    pub fn error_name(&self) -> Option<&str> {
        self.text([names::ERROR_NAME, names::DLT_EXCEPTION_FQCN])
    }

    /// The status of the error.
    pub fn status(&self) -> Option<StatusCode> {
        self.text([names::STATUS_CODE])?.parse().ok()
    }

    /// The time at which the record was given up.
    pub fn failed_at(&self) -> Option<SystemTime> {
        clock::from_millis(self.text([names::FAILED_AT])?.parse().ok()?)
    }

    /// How many times the record was retried.
    pub fn total_retries(&self) -> Option<u32> {
        self.text([names::TOTAL_RETRIES])?.parse().ok()
    }

    fn text<const N: usize>(&self, names: [&'static str; N]) -> Option<&str> {
        text(self.last(names)?.1)
    }

    /// The last header with one of these names, and that name: added headers follow those of the record.
    fn last<const N: usize>(&self, names: [&'static str; N]) -> Option<(&'static str, &[u8])> {
        let one_of_them = |(own, value)| {
            let name = names.into_iter().find(|name| name.eq_ignore_ascii_case(own))?;
            Some((name, value))
        };
        let (name, value): (_, Option<&[u8]>) = self.headers.iter().filter_map(one_of_them).last()?;
        Some((name, value?))
    }
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

#[diagnostic::do_not_recommend]
impl Payload for DeadLetter {
    fn from_context(context: &Context) -> Result<Self, RpcError> {
        Ok(Self {
            key: context.info().key.clone(),
            value: context.input.record.value.clone(),
            headers: context.headers().clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(headers: &[(&'static str, &'static [u8])]) -> DeadLetter {
        let mut letter = DeadLetter { key: None, value: None, headers: Headers::new() };
        for (name, value) in headers {
            letter.headers.push(*name, *value);
        }
        letter
    }

    const OURS: &[(&str, &[u8])] = &[
        ("original-topic", b"orders"),
        ("error", b"no luck"),
        ("original-partition", b"2"),
        ("original-offset", b"7"),
        ("error-name", b"Down"),
    ];
    const SPRINGS: &[(&str, &[u8])] = &[
        ("kafka_dlt-original-topic", b"payments"),
        ("kafka_dlt-exception-message", b"closed"),
        ("kafka_dlt-original-partition", &[0, 0, 0, 5]),
        ("kafka_dlt-original-offset", &[0, 0, 0, 0, 0, 0, 1, 0]),
        ("kafka_dlt-exception-fqcn", b"java.lang.IllegalStateException"),
    ];

    fn read(letter: &DeadLetter) -> [Option<String>; 5] {
        [
            letter.original_topic().map(str::to_owned),
            letter.original_partition().map(|partition| partition.to_string()),
            letter.original_offset().map(|offset| offset.to_string()),
            letter.error().map(str::to_owned),
            letter.error_name().map(str::to_owned),
        ]
    }

    #[test]
    fn a_letter_of_ours_and_one_of_springs_are_read_and_of_both_the_last() {
        let ours = ["orders", "2", "7", "no luck", "Down"].map(|text| Some(text.to_owned()));
        let springs = ["payments", "5", "256", "closed", "java.lang.IllegalStateException"]
            .map(|text| Some(text.to_owned()));
        assert_eq!(read(&letter(OURS)), ours);
        assert_eq!(read(&letter(SPRINGS)), springs);
        assert_eq!(read(&letter(&[OURS, SPRINGS].concat())), springs);
        assert_eq!(read(&letter(&[SPRINGS, OURS].concat())), ours);
    }

    #[test]
    fn what_is_shown_of_a_letter_is_where_it_came_from_and_nothing_that_it_holds() {
        let letter =
            DeadLetter { key: Some("a key".into()), value: Some("a payload".into()), ..letter(OURS) };
        let shown = format!("{letter:?}");
        assert!(shown.contains(r#"original_topic: Some("orders")"#), "{shown}");
        assert!(["a key", "a payload", "no luck"].iter().all(|secret| !shown.contains(secret)), "{shown}");
    }

    #[test]
    fn what_cannot_be_read_of_a_letter_is_absent() {
        let odd: &[(&str, &[u8])] = &[
            ("original-topic", b"\xff"),
            ("original-partition", b"\0\0\0\x05"),
            ("kafka_dlt-original-offset", b"7"),
        ];
        assert_eq!(read(&letter(odd)), [const { None }; 5]);
    }
}
