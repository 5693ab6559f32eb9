//! The NestJS package `@makebelieve21213-packages/kafka-client`, with the additions of this framework.

use bytes::Bytes;
use uuid::Uuid;

use super::answer::{Answer, Reply};
use crate::wire::{Headers, names, reply};

/// The header names that this dialect reserves, besides those of every dialect.
pub(super) const NAMES: &[&str] = &[
    names::CORRELATION_ID,
    names::REPLY_TO,
    names::MESSAGE_TYPE,
    names::TIMESTAMP,
    names::MESSAGE_ID,
    names::REPLY_PARTITION,
];

pub(super) fn request(headers: &mut Headers, correlation_id: &str, reply_to: &str, now: u64) {
    headers.push(names::CORRELATION_ID, correlation_id.to_owned());
    headers.push(names::REPLY_TO, reply_to.to_owned());
    headers.push(names::MESSAGE_TYPE, names::REQUEST_REPLY);
    headers.push(names::TIMESTAMP, now.to_string());
}

pub(super) fn event(message_id: &str, own: Headers, now: u64) -> Headers {
    let mut headers = Headers::with_capacity(3 + own.len());
    headers.push(names::MESSAGE_ID, message_id.to_owned());
    headers.push(names::MESSAGE_TYPE, names::FIRE_AND_FORGET);
    headers.push(names::TIMESTAMP, now.to_string());
    headers.append(own);
    headers
}

pub(super) fn reply(correlation_id: &Bytes, answer: Answer<'_>, message_id: Uuid, now: u64) -> Reply {
    let message_id = message_id.to_string();
    let mut headers = Headers::with_capacity(4);
    headers.push(names::MESSAGE_ID, message_id.clone());
    headers.push(names::MESSAGE_TYPE, names::REQUEST_REPLY);
    headers.push(names::TIMESTAMP, now.to_string());
    headers.push(names::CORRELATION_ID, correlation_id.clone());
    let value = match answer {
        Answer::Data(data) => reply::encode_success(Some(data), now),
        Answer::Empty => reply::encode_success(None, now),
        Answer::Failure(error) => reply::encode_failure(error, now),
    };
    Reply { key: Some(message_id.into()), value: Some(value), headers }
}

/// The correlation id of a reply; `None` if the record is not a reply and is to be skipped.
pub(super) fn reply_id(headers: &Headers) -> Option<&[u8]> {
    let is_event =
        headers.get(names::MESSAGE_TYPE).is_some_and(|kind| kind == names::FIRE_AND_FORGET.as_bytes());
    headers.get(names::CORRELATION_ID).filter(|_| !is_event)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Peer, RequestHeaders,
            tests::shared::{NOW, any_of, own, received, soon, written},
        },
        *,
    };
    use crate::{RpcError, wire::Placement};

    #[test]
    fn a_request_is_written_byte_for_byte_in_order() {
        let headers = Peer::Reference.request("c-1", any_of("orders-responses"), soon(), own(), NOW);
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
        assert_eq!(Peer::Reference.key("c-1"), Some("c-1".into()));
    }

    #[test]
    fn an_event_is_written_byte_for_byte_in_order() {
        assert_eq!(
            written(&Peer::Reference.event("m-1", own(), NOW)),
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
        let message_id = "00000000-0000-0000-0000-000000000001";
        let data = Bytes::from("7");
        let written_for = |answer: Answer<'_>| reply(&id, answer, Uuid::from_u128(1), NOW);
        let reply = written_for(Answer::Data(&data));
        assert_eq!(
            written(&reply.headers),
            [
                ("message-id", message_id.as_bytes()),
                ("message-type", b"request-reply"),
                ("timestamp", b"1700000000000"),
                ("correlation-id", b"\xff\x00raw"),
            ]
        );
        let value = |reply: Reply| reply.value.expect("a value");
        assert_eq!(reply.key.as_deref(), Some(message_id.as_bytes()));
        assert_eq!(value(reply), r#"{"success":true,"data":7,"timestamp":1700000000000}"#);
        assert_eq!(value(written_for(Answer::Empty)), r#"{"success":true,"timestamp":1700000000000}"#);
        assert_eq!(
            value(written_for(Answer::Failure(&RpcError::not_found("no")))),
            r#"{"success":false,"statusCode":404,"error":"NotFound","message":"no","timestamp":1700000000000}"#
        );
    }

    #[test]
    fn a_request_of_the_reference_is_read_in_any_case_of_names() {
        let request = Peer::Reference.read_request(&received(&[
            ("Correlation-Id", b"c-1"),
            ("REPLY-TO", b"orders-responses"),
            ("message-type", b"whatever"),
            ("timestamp", b"1700000000000"),
        ]));
        assert_eq!(request.return_address(), Some((&Bytes::from("orders-responses"), &Bytes::from("c-1"))));
        assert_eq!((request.deadline, request.reply_partition), (None, None));
    }

    #[test]
    fn without_both_ids_there_is_no_return_address() {
        let null =
            Headers::as_received([("reply-to".to_owned(), Some("t")), ("correlation-id".to_owned(), None)]);
        for headers in [
            received(&[("correlation-id", b"c-1")]),
            received(&[("reply-to", b"t")]),
            received(&[("correlation-id", b""), ("reply-to", b"t")]),
            null,
        ] {
            assert_eq!(Peer::Reference.read_request(&headers).return_address(), None, "{headers:?}");
        }
    }

    #[test]
    fn a_deadline_that_cannot_be_read_is_as_if_absent() {
        for text in [&b""[..], b"soon", b"-1", b"99999999999999999999999", b"1e3", b"\xff"] {
            assert_eq!(Peer::Reference.read_request(&received(&[("deadline", text)])).deadline, None);
        }
    }

    #[test]
    fn a_reply_goes_to_the_partition_that_the_caller_names() {
        let request = Peer::Reference.read_request(&received(&[("reply-partition", b"2")]));
        assert_eq!(request.placement(), Placement::Partition(2));
        assert_eq!(RequestHeaders::default().placement(), Placement::Any);
    }
}
