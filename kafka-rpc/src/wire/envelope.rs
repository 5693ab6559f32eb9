//! The value of a command: `{"id", "type", "userId", "payload", "timestamp"}`.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, Visitor},
};
use serde_json::value::RawValue;

use super::codec::{self, CodecError};

/// The parts of a command envelope that a receiver needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    /// Selects the handler; `None` if it is missing or empty.
    pub(crate) command: Option<Cow<'a, str>>,
    /// The id of the user; `None` if it is missing or empty.
    pub(crate) user_id: Option<String>,
    /// The payload as JSON; `None` if it is missing or null.
    pub(crate) payload: Option<&'a str>,
}

/// The fields that are read. Others (`id`, `timestamp`, and the sender's) are skipped, whatever they hold.
#[derive(Deserialize)]
#[serde(bound(deserialize = "P: Deserialize<'de>"))]
struct Fields<'a, P> {
    #[serde(rename = "type", borrow, default)]
    command: Cow<'a, str>,
    #[serde(rename = "userId", default, deserialize_with = "text_or_number")]
    user_id: Option<String>,
    #[serde(default = "absent")]
    payload: Option<P>,
}

fn absent<P>() -> Option<P> {
    None
}

/// Reads a string, or an integer as its digits: some senders write a user's id as a number.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct TextOrNumber;

    impl Visitor<'_> for TextOrNumber {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.to_owned()))
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }

    deserializer.deserialize_any(TextOrNumber)
}

/// Reads an envelope without copying its payload.
pub(crate) fn decode(value: &[u8]) -> Result<Envelope<'_>, CodecError> {
    let fields: Fields<'_, &RawValue> = codec::decode_object(value)?;
    Ok(Envelope {
        command: Some(fields.command).filter(|command| !command.is_empty()),
        user_id: fields.user_id.filter(|id| !id.is_empty()),
        payload: fields.payload.map(RawValue::get),
    })
}

/// Returns the command of a value, if it is an envelope and the command can be found without reading the
/// payload.
///
/// All known senders write only strings before the command, and the payload after it. `None` means nothing.
pub(crate) fn command_ahead(value: &[u8]) -> Option<&str> {
    let mut rest = after(value, b'{')?;
    loop {
        let (name, behind) = plain_text(rest)?;
        let (text, behind) = plain_text(after(behind, b':')?)?;
        if name == b"type" {
            return str::from_utf8(text).ok().filter(|command| !command.is_empty());
        }
        rest = after(behind, b',')?;
    }
}

fn after(json: &[u8], byte: u8) -> Option<&[u8]> {
    json.trim_ascii_start().strip_prefix(&[byte])
}

/// Splits off a string without escapes, and returns it with the rest.
fn plain_text(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = after(json, b'"')?;
    let end = memchr::memchr2(b'"', b'\\', text)?;
    let (text, behind) = text.split_at(end);
    Some((text, behind.strip_prefix(b"\"")?))
}

/// Reads the payload of an envelope in one pass with the rest of it.
///
/// The outer error means that the value is not an envelope, the inner one that its payload does not fit.
pub(crate) fn decode_payload<T: DeserializeOwned>(value: &[u8]) -> Result<Result<T, CodecError>, CodecError> {
    if let Ok(Fields { payload: Some(payload), .. }) = codec::decode_object::<Fields<'_, T>>(value) {
        return Ok(Ok(payload));
    }
    // The payload may be absent, or nested as deep as only a value read on its own may be. Otherwise this
    // finds out which of the two is wrong.
    let Envelope { payload, .. } = decode(value)?;
    Ok(codec::decode(payload.unwrap_or("null").as_bytes()))
}

/// Writes an envelope around an encoded payload, in the reference's field order.
pub(crate) fn encode(
    id: &str,
    command: Option<&str>,
    user_id: Option<&str>,
    payload: &[u8],
    now: u64,
) -> Bytes {
    let mut buffer = Vec::with_capacity(payload.len() + 160);
    buffer.extend_from_slice(br#"{"id":"#);
    codec::encode_text(&mut buffer, id);
    if let Some(command) = command {
        buffer.extend_from_slice(br#","type":"#);
        codec::encode_text(&mut buffer, command);
    }
    if let Some(user_id) = user_id {
        buffer.extend_from_slice(br#","userId":"#);
        codec::encode_text(&mut buffer, user_id);
    }
    buffer.extend_from_slice(br#","payload":"#);
    buffer.extend_from_slice(payload);
    buffer.extend_from_slice(br#","timestamp":"#);
    buffer.extend_from_slice(now.to_string().as_bytes());
    buffer.push(b'}');
    buffer.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_written_byte_for_byte() {
        let bytes = encode("6f1c", Some("CONNECT"), Some("user \"1\""), br#"{"a":1}"#, 1_700_000_000_000);
        assert_eq!(
            bytes,
            br#"{"id":"6f1c","type":"CONNECT","userId":"user \"1\"","payload":{"a":1},"timestamp":1700000000000}"#
                .as_slice()
        );
        let bytes = encode("6f1c", Some("CONNECT"), None, b"null", 1);
        assert_eq!(bytes, br#"{"id":"6f1c","type":"CONNECT","payload":null,"timestamp":1}"#.as_slice());
    }

    #[test]
    fn an_envelope_of_the_reference_is_read() {
        let value = Bytes::from_static(
            br#"{"id":"6f1c","type":"GET_BALANCE","userId":"123","payload":{"coin":"BTC"},"timestamp":1700000000000,"extra":[1]}"#,
        );
        let envelope = decode(&value).expect("a whole envelope");
        assert_eq!(envelope.command.as_deref(), Some("GET_BALANCE"));
        assert_eq!(envelope.user_id.as_deref(), Some("123"));
        assert_eq!(envelope.payload, Some(r#"{"coin":"BTC"}"#));
    }

    #[test]
    fn the_payload_is_not_copied() {
        let value = Bytes::from_static(br#"{"type":"A","payload":{"coin":"BTC"}}"#);
        let payload = decode(&value).expect("an envelope").payload.expect("a payload");
        assert!(value.as_ptr_range().contains(&payload.as_ptr()));
    }

    #[test]
    fn missing_fields_read_as_absent_and_odd_ids_do_not_matter() {
        let value = Bytes::from_static(br#"{"id":7,"timestamp":"soon"}"#);
        let envelope = decode(&value).expect("an envelope");
        assert_eq!(envelope, Envelope { command: None, user_id: None, payload: None });
        let empty = decode(br#"{"type":"","userId":""}"#).expect("an envelope");
        assert_eq!(empty, envelope, "an empty text is none");
    }

    #[test]
    fn the_id_of_a_user_may_be_a_number() {
        let user = |id: &str| {
            let value = format!(r#"{{"type":"A","userId":{id}}}"#);
            decode(value.as_bytes()).ok().map(|envelope| envelope.user_id)
        };
        let ids = [r#""42""#, "42", "18446744073709551615", "-1"].map(|id| user(id).flatten());
        assert_eq!(ids, ["42", "42", "18446744073709551615", "-1"].map(|id| Some(id.to_owned())));
        assert_eq!(user("null"), Some(None));
        for odd in ["{}", "[1]", "true", "1.5", "18446744073709551616"] {
            assert_eq!(user(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_command_is_told_ahead_of_the_payload_and_never_guessed() {
        let ahead = |value: &'static str| command_ahead(value.as_bytes());
        let written = encode("6f1c", Some("CONNECT"), Some("7"), b"[1]", 1);
        assert_eq!(command_ahead(&written), Some("CONNECT"));
        assert_eq!(ahead(" {\n\"id\" : \"1\" ,\t\"type\" : \"A\" oh no"), Some("A"));
        for silent in [
            r#"{"payload":{"type":"A"},"type":"B"}"#,
            r#"{"payload":"x","type":7}"#,
            r#"{"id":"a\"b","type":"A"}"#,
            r#"{"id":7,"type":"A"}"#,
            r#"{"type":"A\u0042"}"#,
            r#"{"type":""}"#,
            r#"{"type"}"#,
            r#"["type","A"]"#,
            r#"{"type":"A"#,
            "",
        ] {
            assert_eq!(ahead(silent), None, "{silent}");
        }
    }

    #[test]
    fn a_payload_read_with_its_envelope_is_what_it_is_alone() {
        let payload = |value: &str| decode_payload::<Vec<u8>>(value.as_bytes());
        let read = |value: &str| payload(value).ok().map(Result::ok);
        assert_eq!(read(r#"{"type":"A","payload":[1,2],"timestamp":1}"#), Some(Some(vec![1, 2])));
        assert_eq!(read(r#"{"type":"A","payload":{},"timestamp":1}"#), Some(None));
        assert_eq!(read(r#"{"type":"A"}"#), Some(None));
        for broken in [r#"{"type":"A","payload":[1]"#, r#"{"type":"A","payload":[1],"type":"B"}"#, "[1]"] {
            assert_eq!(read(broken), None, "{broken}");
        }
        assert!(matches!(decode_payload::<Option<u8>>(br#"{"payload":null}"#), Ok(Ok(None))));
        assert!(matches!(decode_payload::<()>(br#"{"type":"A"}"#), Ok(Ok(()))));
        let deepest = format!(r#"{{"type":"A","payload":{}{}}}"#, "[".repeat(127), "]".repeat(127));
        assert!(matches!(decode_payload::<serde_json::Value>(deepest.as_bytes()), Ok(Ok(_))));
    }

    #[test]
    fn what_is_no_envelope_is_an_error_and_never_a_panic() {
        for value in [
            &b"not json"[..],
            b"[1,2]",
            b"[]",
            br#" ["CONNECT","123",{"coin":"BTC"}]"#,
            b"7",
            b"",
            b"\xff\xfe",
            br#"{"type":7}"#,
            br#"{"type":"A","userId":{}}"#,
            b"{\"type\":\"A\",\"extra\":\"\xff\"}",
        ] {
            assert!(decode(&Bytes::copy_from_slice(value)).is_err(), "{value:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(decode(&Bytes::from(format!(r#"{{"type":"A","payload":{deep}"#))).is_err());
    }
}
