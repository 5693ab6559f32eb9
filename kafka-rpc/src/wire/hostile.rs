//! Whatever bytes come in, reading them ends, and never with a panic.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use super::{Dialect, Encoded, Headers, Incoming, Peer, codec, dialect, envelope, reply, retry};
use crate::server::dispatch::Dispatch;

/// Bytes of any kind, and JSON with any of its parts replaced by them: what a fuzzer would soon arrive at.
fn values() -> impl Strategy<Value = Bytes> {
    let json = prop_oneof![
        Just(r#"{"id":"1","type":"A","userId":"7","payload":{"a":[1]},"timestamp":1}"#),
        Just(r#"{"success":true,"data":{"a":[1]},"timestamp":1}"#),
        Just(r#"{"success":false,"statusCode":400,"error":"E","message":"m","code":"c","details":[1]}"#),
    ];
    let mutated =
        (json, any::<prop::sample::Index>(), vec(any::<u8>(), 0..8)).prop_map(|(json, at, bytes)| {
            let mut value = json.as_bytes().to_vec();
            let at = at.index(value.len());
            value.splice(at..(at + bytes.len() / 2).min(json.len()), bytes);
            Bytes::from(value)
        });
    prop_oneof![vec(any::<u8>(), 0..300).prop_map(Bytes::from), mutated]
}

fn headers() -> impl Strategy<Value = Headers> {
    let name = prop_oneof![
        Just("correlation-id".to_owned()),
        Just("Reply-To".to_owned()),
        Just("deadline".to_owned()),
        Just("reply-partition".to_owned()),
        Just("kafka_correlationId".to_owned()),
        Just("kafka_replyTopic".to_owned()),
        Just("kafka_replyPartition".to_owned()),
        Just("kafka_nest-err".to_owned()),
        Just("kafka_exception-message".to_owned()),
        Just("rpc-error".to_owned()),
        Just("retry-count".to_owned()),
        Just("retry-timestamp".to_owned()),
        any::<String>(),
    ];
    let value = proptest::option::of(prop_oneof![
        vec(any::<u8>(), 0..40),
        any::<i128>().prop_map(|number| number.to_string().into_bytes()),
    ]);
    vec((name, value), 0..12).prop_map(|pairs| {
        let mut headers = Headers::new();
        for (name, value) in pairs {
            headers.push_received(name, value.map(Bytes::from));
        }
        headers
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn an_envelope_is_read_or_refused(value in values()) {
        if let Ok(envelope) = envelope::decode(&value) {
            // What was read as a payload is JSON, and lies in the value or is null.
            prop_assert!(codec::decode::<serde_json::Value>(&envelope.payload).is_ok() || envelope.payload.len() > 128);
        }
        prop_assert!(Dispatch::default().find(Some(Encoded::bare(Some(value)))).is_err());
    }

    #[test]
    fn a_reply_is_read_or_refused(value in values()) {
        if let Ok(Err(error)) = reply::decode(&value) {
            let written = reply::encode_failure(&error, 1);
            prop_assert_eq!(reply::decode(&written).expect("our own"), Err(error));
        }
    }

    #[test]
    fn a_bare_reply_is_read_whatever_it_holds(value in proptest::option::of(values()), headers in headers()) {
        for peer in [Peer::Nest, Peer::Spring] {
            let incoming = Incoming { value: value.clone(), headers: headers.clone() };
            if let Ok(data) = peer.read_reply(incoming).expect("any bytes are a reply") {
                let is_text = value.as_ref().is_none_or(|value| std::str::from_utf8(value).is_ok());
                prop_assert_eq!(data.decode::<serde_json::Value>().is_ok(), is_text);
            }
        }
    }

    #[test]
    fn headers_are_read_whatever_they_hold(headers in headers()) {
        for peer in [Peer::Reference, Peer::Nest, Peer::Spring, Dialect::Any.sender(&headers)] {
            let request = peer.read_request(&headers);
            prop_assert!(request.return_address().is_none_or(|(to, id)| !to.is_empty() && !id.is_empty()));
            prop_assert!(request.reply_partition.is_none_or(|partition| partition >= 0));
        }
        prop_assert!(dialect::reply_ids(&headers).count() <= 2);
        let _due = (retry::count(&headers), retry::due(&headers));
    }
}
