//! NestJS: a client or a handler of `@nestjs/microservices` with the Kafka transport, as of version 11.

use bytes::Bytes;

use super::answer::{Answer, Reply};
use crate::wire::{Headers, codec, names, reply};

/// The header names that this dialect reserves, besides those of every dialect.
pub(super) const NAMES: &[&str] = &[
    names::KAFKA_CORRELATION_ID,
    names::KAFKA_REPLY_TOPIC,
    names::KAFKA_REPLY_PARTITION,
    names::NEST_ERR,
    names::NEST_IS_DISPOSED,
];

/// Only the header's presence counts: without it a reply is the first of several, and the caller's
/// `Observable` stays open.
const DISPOSED: &[u8] = &[0];

/// Writes a value as Nest does: a string without quotes, no value for `null`, and anything else as JSON.
pub(super) fn value(json: &Bytes) -> Option<Bytes> {
    if **json == *codec::NULL {
        return None;
    }
    match codec::decode::<String>(json) {
        Ok(text) => Some(text.into()),
        Err(_no_text) => Some(json.clone()),
    }
}

pub(super) fn reply(correlation_id: &Bytes, answer: Answer<'_>) -> Reply {
    let mut headers = Headers::with_capacity(3);
    headers.push(names::KAFKA_CORRELATION_ID, correlation_id.clone());
    let value = match answer {
        Answer::Data(data) => value(data),
        Answer::Empty => None,
        Answer::Failure(error) => {
            headers.push(names::NEST_ERR, reply::encode_error(error));
            None
        }
    };
    headers.push(names::NEST_IS_DISPOSED, DISPOSED);
    Reply { key: None, value, headers }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{
            Peer,
            tests::shared::{NOW, any_of, incoming, own, received, soon, waiting, written},
        },
        *,
    };
    use crate::{
        RpcError,
        wire::{OutgoingRecord, Placement, ReceivedReply},
    };

    fn answered(answer: Answer<'_>) -> OutgoingRecord {
        Peer::Nest.reply(&waiting(b"c-1"), Some(&"k".into()), answer).expect("somebody waits")
    }

    #[test]
    fn a_request_is_written_byte_for_byte_and_names_no_partition() {
        let headers = Peer::Nest.request("c-1", any_of("orders.reply"), soon(), own(), NOW);
        assert_eq!(
            written(&headers),
            [
                ("kafka_correlationId", &b"c-1"[..]),
                ("kafka_replyTopic", b"orders.reply"),
                ("deadline", b"1700000005000"),
                ("x-tenant", b"acme"),
            ]
        );
        assert_eq!(Peer::Nest.key("c-1"), Some("c-1".into()));
    }

    #[test]
    fn an_event_has_the_headers_of_its_sender_only() {
        assert_eq!(written(&Peer::Nest.event("m-1", own(), NOW)), [("x-tenant", &b"acme"[..])]);
    }

    #[test]
    fn a_value_is_json_but_for_text_and_null() {
        let value = |json: &'static str| Peer::Nest.value(&json.into());
        assert_eq!(value(r#"{"a":"b"}"#), Some(r#"{"a":"b"}"#.into()));
        assert_eq!(value(r#""h\u00e9 \"q\"""#), Some("hé \"q\"".into()));
        assert_eq!((value("7"), value("true")), (Some("7".into()), Some("true".into())));
        assert_eq!(value("null"), None);
    }

    #[test]
    fn a_reply_is_written_byte_for_byte_and_ends_the_observable() {
        let reply = answered(Answer::Data(&r#"{"balance":1}"#.into()));
        assert_eq!((reply.key, reply.value.as_deref()), (None, Some(&br#"{"balance":1}"#[..])));
        assert_eq!((&*reply.topic, reply.placement), ("replies", Placement::Any));
        assert_eq!(
            written(&reply.headers),
            [("kafka_correlationId", &b"c-1"[..]), ("kafka_nest-is-disposed", b"\0")]
        );
        let empty = answered(Answer::Empty);
        assert_eq!((empty.value, written(&empty.headers)), (None, written(&reply.headers)));
    }

    #[test]
    fn an_error_is_an_object_in_a_header() {
        let error = RpcError::not_found("no account").with_name("NoAccount").with_code("E1");
        let reply = answered(Answer::Failure(&error.with_details(json!([1]))));
        assert_eq!(reply.value, None);
        assert_eq!(
            written(&reply.headers),
            [
                ("kafka_correlationId", &b"c-1"[..]),
                (
                    "kafka_nest-err",
                    br#"{"statusCode":404,"error":"NoAccount","message":"no account","code":"E1","details":[1]}"#
                ),
                ("kafka_nest-is-disposed", b"\0"),
            ]
        );
    }

    #[test]
    fn a_request_of_its_client_is_read_and_answered_on_the_partition_it_reads() {
        let request = Peer::Nest.read_request(&received(&[
            ("kafka_correlationId", b"lx2k9w"),
            ("kafka_replyTopic", b"orders.reply"),
            ("kafka_replyPartition", b"2"),
        ]));
        assert_eq!(request.return_address(), Some((&"orders.reply".into(), &"lx2k9w".into())));
        let reply = Peer::Nest.reply(&request, None, Answer::Empty).expect("somebody waits");
        assert_eq!(reply.placement, Placement::Partition(2));
    }

    #[test]
    fn a_reply_is_read_whatever_its_value_is() {
        let read = |value| {
            let reply = Peer::Nest.read_reply(incoming(value, &[])).expect("any bytes are a value");
            reply.expect("a success").decode::<serde_json::Value>().ok()
        };
        assert_eq!(read(Some(r#"{"a":1}"#)), Some(json!({"a": 1})));
        assert_eq!(read(Some("plain text")), Some(json!("plain text")));
        assert_eq!((read(Some("")), read(None)), (Some(json!("")), Some(json!(null))));
    }

    #[test]
    fn an_error_is_read_from_an_object_and_from_text() {
        let read = |error: &'static [u8]| {
            let reply = incoming(Some("ignored"), &[("kafka_nest-err", error)]);
            let error = Peer::Nest.read_reply(reply).expect("an error").expect_err("an error");
            (error.status().as_u16(), error.name().to_owned(), error.message().to_owned())
        };
        let unknown = "There is no matching message handler defined in the remote service.";
        assert_eq!(read(unknown.as_bytes()), (500, "InternalServerError".into(), unknown.into()));
        assert_eq!(
            read(br#"{"status":"error","message":"Internal server error"}"#),
            (500, "InternalServerError".into(), "Internal server error".into())
        );
        assert_eq!(
            read(br#"{"statusCode":404,"message":"gone","error":"Not Found"}"#),
            (404, "Not Found".into(), "gone".into())
        );
        assert_eq!(read(br#"{"status":409,"message":"taken"}"#).0, 409);
        assert_eq!(read(b""), (500, "InternalServerError".into(), "Unknown error".into()));
        assert_eq!(read(b"\xff["), (500, "InternalServerError".into(), "\u{fffd}[".into()));
    }

    #[test]
    fn an_error_of_ours_is_the_same_on_the_other_side() {
        let error = RpcError::not_found("no account").with_code("E1").with_details(json!([1]));
        let reply = answered(Answer::Failure(&error));
        let read = Peer::Nest.read_reply(ReceivedReply { value: reply.value, headers: reply.headers });
        assert_eq!(read.expect("a reply").map(|_| ()), Err(error));
    }
}
