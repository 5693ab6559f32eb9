//! What a caller reads.

use bytes::Bytes;
use serde_json::Value;

use super::{PEERS, json::Members, record};
use crate::{
    RpcError,
    wire::{Answer, Encoded, Peer, ReceivedRecord, ReceivedReply, RequestHeaders, dialect},
};

/// Checks that a reply is an object that says whether it is a success, or bare and any bytes; and that the
/// data or error that was read is written so that it reads the same.
pub fn reply(text: &[u8]) {
    check(&record::read(text));
}

pub(crate) fn check(record: &ReceivedRecord) {
    let headers = record.headers.clone().unwrap_or_default();
    for id in dialect::reply_ids(&headers) {
        assert!(!id.is_empty() && headers.iter().any(|(_, value)| value == Some(id)));
    }
    for peer in PEERS {
        let incoming = ReceivedReply { value: record.value.clone(), headers: headers.clone() };
        let read = peer.read_reply(incoming).ok();
        match peer {
            Peer::Reference => as_expected(record.value.as_ref(), read.as_ref()),
            Peer::Nest | Peer::Spring => bare(record.value.as_ref(), read.as_ref()),
        }
        match read {
            Some(Ok(data)) => data_again(peer, &data),
            Some(Err(error)) => error_again(&error),
            None => {}
        }
    }
}

/// Checks a reply of the reference against its value, read member by member.
fn as_expected(value: Option<&Bytes>, read: Option<&Result<Encoded, RpcError>>) {
    let value = value.cloned().unwrap_or_default();
    let said = |name| Members::read(&value)?.one(name).ok();
    let parsed = |text: Option<&str>| -> Option<Value> {
        text.map_or(Some(Value::Null), |text| serde_json::from_str(text).ok())
    };
    let (Some(success), Some(data)) = (said("success"), said("data")) else {
        assert_eq!(read, None, "no object, or two of a name");
        return;
    };
    let Some(success) = parsed(success) else {
        assert_eq!(read, None, "a number that is too large, or too deep");
        return;
    };
    if is_true(&success) {
        let data = Bytes::copy_from_slice(data.unwrap_or("null").as_bytes());
        assert_eq!(read, Some(&Ok(Encoded::json(data))));
        return;
    }
    let members = ["statusCode", "status", "error", "message", "code", "details"];
    if members.into_iter().any(|name| said(name).is_none()) {
        assert_eq!(read, None, "two of a name");
        return;
    }
    let error = read.expect("whatever its members are").as_ref().expect_err("not a success");
    let status = said("statusCode").flatten().and_then(|status| {
        let number = serde_json::from_str::<f64>(status).map(|number| number.to_string());
        let text = number.or_else(|_| serde_json::from_str::<String>(status));
        let status = text.unwrap_or_else(|_| status.to_owned());
        status.trim().parse::<u16>().ok().filter(|status| (100..1_000).contains(status))
    });
    assert_eq!(error.status().as_u16(), status.unwrap_or(500));
    for (member, read) in [("error", error.name()), ("message", error.message())] {
        let Some(written) = said(member).flatten() else { continue };
        match serde_json::from_str(written) {
            Ok(Value::String(text)) => assert!(text.is_empty() || text == read),
            Ok(_) => {}
            Err(_) => assert_eq!(written, read, "as it was written"),
        }
    }
}

/// Whether JavaScript takes this value as true.
fn is_true(value: &Value) -> bool {
    let is_zero = value.as_f64().is_some_and(|number| number == 0.0);
    !is_zero && ![Value::Null, Value::from(false), Value::from("")].contains(value)
}

/// Checks that any bytes are a bare reply, and that any text reads as JSON or as a string.
fn bare(value: Option<&Bytes>, read: Option<&Result<Encoded, RpcError>>) {
    let read = read.expect("any bytes are a reply");
    if let Ok(data) = read {
        let is_text = value.is_none_or(|value| str::from_utf8(value).is_ok());
        assert_eq!(data.decode::<Value>().is_ok(), is_text);
        assert_eq!(value.map_or(&b"null"[..], |value| value), &**data.bytes());
    }
}

fn again(peer: Peer, answer: Answer<'_>) -> Result<Encoded, RpcError> {
    let request = RequestHeaders {
        correlation_id: Some("c-1".into()),
        reply_to: Some("replies".into()),
        ..RequestHeaders::default()
    };
    let reply = peer.reply(&request, None, answer).expect("somebody waits");
    assert!(dialect::reply_ids(&reply.headers).eq([b"c-1"]));
    peer.read_reply(ReceivedReply { value: reply.value, headers: reply.headers }).expect("our own")
}

fn data_again(peer: Peer, data: &Encoded) {
    let Ok(value) = data.decode::<Value>() else { return };
    let json = Bytes::from(serde_json::to_vec(&value).expect("a value has a JSON form"));
    let read = again(peer, Answer::Data(&json)).expect("a success");
    match &value {
        // Nest writes text without quotes, so text that looks like JSON may be read as JSON.
        Value::String(text) if peer == Peer::Nest => {
            assert_eq!(**read.bytes(), *text.as_bytes());
        }
        value => assert_eq!(read.decode::<Value>().ok().as_ref(), Some(value)),
    }
}

/// Checks that an error reads the same on the other side, for every peer.
fn error_again(error: &RpcError) {
    assert!(!error.name().is_empty() && !error.message().is_empty());
    for peer in PEERS {
        assert_eq!(again(peer, Answer::Failure(error)).as_ref(), Err(error));
    }
}
