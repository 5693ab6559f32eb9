//! Who writes which header: one function a direction and a kind of record, per dialect.
//!
//! The types that go in and come out are the same for every dialect, so that nothing outside this file knows
//! which peer is on the other side.

use std::time::SystemTime;

use bytes::Bytes;

use super::{Headers, Placement, clock, names};

/// How a peer writes requests and replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Dialect {
    /// `@makebelieve21213-packages/kafka-client`, with the additions of this framework.
    #[default]
    Reference,
}

/// What the headers of a received request say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RequestHeaders {
    pub(crate) correlation_id: Option<Bytes>,
    pub(crate) reply_to: Option<Bytes>,
    pub(crate) reply_partition: Option<i32>,
    pub(crate) deadline: Option<SystemTime>,
}

impl RequestHeaders {
    /// Where the reply goes and what it echoes: only a request with both ids, neither empty, gets one.
    pub(crate) fn return_address(&self) -> Option<(&Bytes, &Bytes)> {
        Some((self.reply_to.as_ref()?, self.correlation_id.as_ref()?))
    }
}

impl Dialect {
    /// The headers of a request that waits for a reply.
    pub(crate) fn request(
        self,
        correlation_id: &str,
        reply_to: &str,
        deadline: SystemTime,
        own: Headers,
        now: u64,
    ) -> Headers {
        let Self::Reference = self;
        let mut headers = Headers::with_capacity(5 + own.len());
        headers.push(names::CORRELATION_ID, correlation_id.to_owned());
        headers.push(names::REPLY_TO, reply_to.to_owned());
        headers.push(names::MESSAGE_TYPE, names::REQUEST_REPLY);
        headers.push(names::TIMESTAMP, now.to_string());
        headers.push(names::DEADLINE, clock::millis(deadline).to_string());
        headers.append(own);
        headers
    }

    /// The headers of a record that nobody waits for.
    pub(crate) fn event(self, message_id: &str, own: Headers, now: u64) -> Headers {
        let Self::Reference = self;
        let mut headers = Headers::with_capacity(3 + own.len());
        headers.push(names::MESSAGE_ID, message_id.to_owned());
        headers.push(names::MESSAGE_TYPE, names::FIRE_AND_FORGET);
        headers.push(names::TIMESTAMP, now.to_string());
        headers.append(own);
        headers
    }

    /// The headers of a reply.
    pub(crate) fn reply(self, message_id: &str, correlation_id: Bytes, now: u64) -> Headers {
        let Self::Reference = self;
        let mut headers = Headers::with_capacity(4);
        headers.push(names::MESSAGE_ID, message_id.to_owned());
        headers.push(names::MESSAGE_TYPE, names::REQUEST_REPLY);
        headers.push(names::TIMESTAMP, now.to_string());
        headers.push(names::CORRELATION_ID, correlation_id);
        headers
    }

    /// Reads the headers of a request. What cannot be read is as if it were not there.
    pub(crate) fn read_request(self, headers: &Headers) -> RequestHeaders {
        let Self::Reference = self;
        RequestHeaders {
            correlation_id: present(headers, names::CORRELATION_ID),
            reply_to: present(headers, names::REPLY_TO),
            reply_partition: headers
                .text(names::REPLY_PARTITION)
                .and_then(|text| text.parse().ok())
                .filter(|partition| *partition >= 0),
            deadline: headers
                .text(names::DEADLINE)
                .and_then(|text| text.parse().ok())
                .and_then(clock::from_millis),
        }
    }

    /// The correlation id of a reply; `None` where the record is no reply and is to be skipped.
    pub(crate) fn read_reply(self, headers: &Headers) -> Option<&Bytes> {
        let Self::Reference = self;
        if headers.get(names::MESSAGE_TYPE).is_some_and(|kind| kind == names::FIRE_AND_FORGET) {
            return None;
        }
        headers.get(names::CORRELATION_ID).filter(|id| !id.is_empty())
    }

    /// Where a reply goes: to the partition that the caller reads, if it says so.
    pub(crate) fn reply_placement(self, request: &RequestHeaders) -> Placement {
        let Self::Reference = self;
        request.reply_partition.map_or(Placement::Sticky, Placement::Partition)
    }
}

fn present(headers: &Headers, name: &str) -> Option<Bytes> {
    headers.get(name).filter(|value| !value.is_empty()).cloned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn written(headers: &Headers) -> Vec<(&str, &[u8])> {
        headers.iter().map(|(name, value)| (name, value.map_or(&b"<null>"[..], |value| value))).collect()
    }

    fn own() -> Headers {
        let mut own = Headers::new();
        own.push("x-tenant", "acme");
        own
    }

    fn received(pairs: &[(&str, Option<&str>)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in pairs {
            headers.push_received(
                (*name).to_owned(),
                value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
            );
        }
        headers
    }

    #[test]
    fn a_request_is_written_byte_for_byte_in_order() {
        let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW + 5_000);
        let headers = Dialect::Reference.request("c-1", "orders-responses", deadline, own(), NOW);
        assert_eq!(
            written(&headers),
            [
                ("correlation-id", &b"c-1"[..]),
                ("reply-to", b"orders-responses"),
                ("message-type", b"request-reply"),
                ("timestamp", b"1700000000000"),
                ("deadline", b"1700000005000"),
                ("x-tenant", b"acme"),
            ]
        );
    }

    #[test]
    fn an_event_is_written_byte_for_byte_in_order() {
        assert_eq!(
            written(&Dialect::Reference.event("m-1", own(), NOW)),
            [
                ("message-id", &b"m-1"[..]),
                ("message-type", b"fire-and-forget"),
                ("timestamp", b"1700000000000"),
                ("x-tenant", b"acme"),
            ]
        );
    }

    #[test]
    fn a_reply_is_written_byte_for_byte_and_echoes_the_correlation_id_verbatim() {
        let id = Bytes::from_static(b"\xff\x00raw");
        assert_eq!(
            written(&Dialect::Reference.reply("m-1", id, NOW)),
            [
                ("message-id", &b"m-1"[..]),
                ("message-type", b"request-reply"),
                ("timestamp", b"1700000000000"),
                ("correlation-id", b"\xff\x00raw"),
            ]
        );
    }

    #[test]
    fn a_request_of_the_reference_is_read_in_any_case_of_names() {
        let request = Dialect::Reference.read_request(&received(&[
            ("Correlation-Id", Some("c-1")),
            ("REPLY-TO", Some("orders-responses")),
            ("message-type", Some("whatever")),
            ("timestamp", Some("1700000000000")),
        ]));
        assert_eq!(request.return_address(), Some((&Bytes::from("orders-responses"), &Bytes::from("c-1"))));
        assert_eq!((request.deadline, request.reply_partition), (None, None));
    }

    #[test]
    fn without_both_ids_there_is_no_return_address() {
        for headers in [
            received(&[("correlation-id", Some("c-1"))]),
            received(&[("reply-to", Some("t"))]),
            received(&[("correlation-id", Some("")), ("reply-to", Some("t"))]),
            received(&[("correlation-id", None), ("reply-to", Some("t"))]),
        ] {
            assert_eq!(Dialect::Reference.read_request(&headers).return_address(), None, "{headers:?}");
        }
    }

    #[test]
    fn additions_that_cannot_be_read_are_as_if_absent() {
        for text in ["", "soon", "-1", "99999999999999999999999", "1e3"] {
            let headers = received(&[("deadline", Some(text)), ("reply-partition", Some(text))]);
            let request = Dialect::Reference.read_request(&headers);
            assert_eq!((request.deadline, request.reply_partition), (None, None), "{text}");
        }
    }

    #[test]
    fn a_reply_goes_to_the_partition_that_the_caller_names() {
        let request = Dialect::Reference.read_request(&received(&[("reply-partition", Some("2"))]));
        assert_eq!(Dialect::Reference.reply_placement(&request), Placement::Partition(2));
        assert_eq!(Dialect::Reference.reply_placement(&RequestHeaders::default()), Placement::Sticky);
    }

    #[test]
    fn events_and_records_without_a_correlation_id_are_no_replies() {
        let reply = |pairs| Dialect::Reference.read_reply(&received(pairs)).cloned();
        assert_eq!(
            reply(&[("correlation-id", Some("c-1")), ("message-type", Some("fire-and-forget"))]),
            None
        );
        assert_eq!(reply(&[("message-type", Some("request-reply"))]), None);
        assert_eq!(reply(&[("correlation-id", Some("c-1"))]), Some(Bytes::from("c-1")));
    }
}
