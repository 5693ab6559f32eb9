//! Spring Kafka: a `ReplyingKafkaTemplate`, or a `@KafkaListener` with `@SendTo`, as of version 4.

use bytes::Bytes;

use super::answer::{Answer, Reply};
use crate::wire::{Headers, codec, names, reply};

/// The header names that this dialect reserves, besides those of every dialect.
pub(super) const NAMES: &[&str] = &[
    names::KAFKA_CORRELATION_ID,
    names::KAFKA_REPLY_TOPIC,
    names::KAFKA_REPLY_PARTITION,
    names::EXCEPTION_FQCN,
    names::EXCEPTION_MESSAGE,
    names::RPC_ERROR,
];

/// Writes a value as a JSON serializer of Spring does: no value for `null`.
pub(super) fn value(json: &Bytes) -> Option<Bytes> {
    (**json != *codec::NULL).then(|| json.clone())
}

/// Writes a reply. An error has no value, because Spring would read any value as the type of a success.
/// Spring ignores its header for an exception, `springDeserializerExceptionValue`, when it comes from
/// outside, as a possible attack. It defines no form for a listener's error either: an error handler writes
/// one into headers, the first two of these.
pub(super) fn reply(correlation_id: &Bytes, key: Option<&Bytes>, answer: Answer<'_>) -> Reply {
    let mut headers = Headers::with_capacity(4);
    headers.push(names::KAFKA_CORRELATION_ID, correlation_id.clone());
    let value = match answer {
        Answer::Data(data) => value(data),
        Answer::Empty => None,
        Answer::Failure(error) => {
            headers.push(names::EXCEPTION_FQCN, error.name().to_owned());
            headers.push(names::EXCEPTION_MESSAGE, error.message().to_owned());
            headers.push(names::RPC_ERROR, reply::encode_error(error));
            None
        }
    };
    Reply { key: key.cloned(), value, headers }
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

    const ID: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];

    fn answered(answer: Answer<'_>) -> OutgoingRecord {
        Peer::Spring.reply(&waiting(ID), Some(&"account-7".into()), answer).expect("somebody waits")
    }

    #[test]
    fn a_request_is_written_byte_for_byte_with_no_key_but_the_callers() {
        let headers = Peer::Spring.request("c-1", any_of("orders-responses"), soon(), own(), NOW);
        assert_eq!(
            written(&headers),
            [
                ("kafka_correlationId", &b"c-1"[..]),
                ("kafka_replyTopic", b"orders-responses"),
                ("deadline", b"1700000005000"),
                ("x-tenant", b"acme"),
            ]
        );
        assert_eq!(Peer::Spring.key("c-1"), None);
    }

    #[test]
    fn an_event_has_the_headers_of_its_sender_only() {
        assert_eq!(written(&Peer::Spring.event("m-1", own(), NOW)), [("x-tenant", &b"acme"[..])]);
    }

    #[test]
    fn a_value_is_json_and_null_is_none() {
        let value = |json: &'static str| Peer::Spring.value(&json.into());
        assert_eq!(value(r#""text""#), Some(r#""text""#.into()));
        assert_eq!(value("null"), None);
    }

    #[test]
    fn a_reply_echoes_sixteen_raw_bytes_and_has_the_key_of_the_request() {
        let reply = answered(Answer::Data(&r#""done""#.into()));
        assert_eq!(reply.key.as_deref(), Some(&b"account-7"[..]));
        assert_eq!(reply.value.as_deref(), Some(&br#""done""#[..]));
        assert_eq!((&*reply.topic, reply.placement), ("replies", Placement::Any));
        assert_eq!(written(&reply.headers), [("kafka_correlationId", ID)]);
        assert_eq!(answered(Answer::Empty).value, None);
    }

    #[test]
    fn an_error_is_in_headers_and_the_value_is_none() {
        let error = RpcError::not_found("no account").with_name("NoAccount");
        let reply = answered(Answer::Failure(&error));
        assert_eq!(reply.value, None);
        assert_eq!(
            written(&reply.headers),
            [
                ("kafka_correlationId", ID),
                ("kafka_exception-fqcn", b"NoAccount"),
                ("kafka_exception-message", b"no account"),
                ("rpc-error", br#"{"statusCode":404,"error":"NoAccount","message":"no account"}"#),
            ]
        );
    }

    #[test]
    fn a_request_of_a_template_is_read_and_answered_on_the_partition_it_reads() {
        let request = Peer::Spring.read_request(&received(&[
            ("kafka_replyTopic", b"orders-responses"),
            ("kafka_replyPartition", &[0, 0, 0, 5]),
            ("kafka_correlationId", ID),
        ]));
        let expected = (Bytes::from("orders-responses"), Bytes::from_static(ID));
        assert_eq!(request.return_address(), Some((&expected.0, &expected.1)));
        let reply = Peer::Spring.reply(&request, None, Answer::Empty).expect("somebody waits");
        assert_eq!((reply.placement, reply.key), (Placement::Partition(5), None));
    }

    #[test]
    fn a_reply_of_a_listener_is_read() {
        let read = |value| {
            let reply = Peer::Spring.read_reply(incoming(value, &[])).expect("any bytes are a value");
            reply.expect("a success").decode::<serde_json::Value>().ok()
        };
        assert_eq!(read(Some(r#"{"a":1}"#)), Some(json!({"a": 1})));
        assert_eq!(read(Some("of a StringSerializer")), Some(json!("of a StringSerializer")));
        assert_eq!(read(None), Some(json!(null)));
    }

    #[test]
    fn an_error_is_read_from_its_headers() {
        let read = |pairs: &[(&str, &'static [u8])]| {
            let error =
                Peer::Spring.read_reply(incoming(None, pairs)).expect("an error").expect_err("an error");
            (error.status().as_u16(), error.name().to_owned(), error.message().to_owned())
        };
        let fqcn = ("kafka_exception-fqcn", &b"java.lang.IllegalStateException"[..]);
        let message = ("kafka_exception-message", &b"closed"[..]);
        assert_eq!(read(&[fqcn, message]), (500, "java.lang.IllegalStateException".into(), "closed".into()));
        assert_eq!(read(&[message]), (500, "InternalServerError".into(), "closed".into()));
        let nothing = [("kafka_exception-fqcn", &b""[..]), ("kafka_exception-message", b"")];
        assert_eq!(read(&nothing), (500, "InternalServerError".into(), "InternalServerError".into()));
        let whole = ("rpc-error", &br#"{"statusCode":"404","message":"no account"}"#[..]);
        assert_eq!(read(&[fqcn, message, whole]), (404, "InternalServerError".into(), "no account".into()));
    }

    #[test]
    fn an_error_of_ours_is_the_same_on_the_other_side() {
        let error = RpcError::not_found("no account").with_code("E1").with_details(json!([1]));
        let reply = answered(Answer::Failure(&error));
        let read = Peer::Spring.read_reply(ReceivedReply { value: reply.value, headers: reply.headers });
        assert_eq!(read.expect("a reply").map(|_| ()), Err(error));
    }
}
