//! The value of a reply: `{"success": true, "data", "timestamp"}` or `{"success": false, "statusCode", ..}`.

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    Encoded,
    codec::{self, CodecError},
};
use crate::{RpcError, error::INTERNAL_SERVER_ERROR};

/// The message of an error that has neither name nor message.
const UNKNOWN_ERROR: &str = "Unknown error";

/// Writes a success. Without data the field is left out, as the reference leaves out `undefined`.
pub(crate) fn encode_success(data: Option<&[u8]>, now: u64) -> Bytes {
    let mut buffer = Vec::with_capacity(data.map_or(0, <[u8]>::len) + 64);
    buffer.extend_from_slice(br#"{"success":true"#);
    if let Some(data) = data {
        buffer.extend_from_slice(br#","data":"#);
        buffer.extend_from_slice(data);
    }
    end_with_timestamp(&mut buffer, now);
    buffer.push(b'}');
    buffer.into()
}

/// Writes a failure.
pub(crate) fn encode_failure(error: &RpcError, now: u64) -> Bytes {
    let mut buffer = Vec::with_capacity(error.name().len() + error.message().len() + 128);
    buffer.extend_from_slice(br#"{"success":false,"#);
    put_message(&mut buffer, error);
    end_with_timestamp(&mut buffer, now);
    put_extras(&mut buffer, error);
    buffer.push(b'}');
    buffer.into()
}

/// Writes an error on its own, for peers whose reply values do not say whether they are a success.
pub(crate) fn encode_error(error: &RpcError) -> Bytes {
    let mut buffer = Vec::with_capacity(error.name().len() + error.message().len() + 64);
    buffer.push(b'{');
    put_message(&mut buffer, error);
    put_extras(&mut buffer, error);
    buffer.push(b'}');
    buffer.into()
}

fn put_message(buffer: &mut Vec<u8>, error: &RpcError) {
    buffer.extend_from_slice(br#""statusCode":"#);
    buffer.extend_from_slice(error.status().as_str().as_bytes());
    buffer.extend_from_slice(br#","error":"#);
    codec::encode_text(buffer, error.name());
    buffer.extend_from_slice(br#","message":"#);
    codec::encode_text(buffer, error.message());
}

fn put_extras(buffer: &mut Vec<u8>, error: &RpcError) {
    if let Some(code) = error.code() {
        buffer.extend_from_slice(br#","code":"#);
        codec::encode_text(buffer, code);
    }
    if let Some(details) = error.details() {
        buffer.extend_from_slice(br#","details":"#);
        // A `Value` always has a JSON form.
        let _infallible = codec::encode_into(buffer, details);
    }
}

fn end_with_timestamp(buffer: &mut Vec<u8>, now: u64) {
    buffer.extend_from_slice(br#","timestamp":"#);
    buffer.extend_from_slice(now.to_string().as_bytes());
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(default)]
    success: Value,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// The members of an error, as they were written. Each is parsed separately: one that cannot be represented
/// must not cost the others.
#[derive(Deserialize)]
struct ErrorFields<'a> {
    #[serde(borrow, default, rename = "statusCode")]
    status_code: Option<&'a RawValue>,
    /// The status in Nest's exceptions, which use this name for other things too.
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    details: Option<&'a RawValue>,
}

/// Reads a reply: the encoded `data`, a slice of the value, or the other side's error.
///
/// As lenient as the reference, which tests for JavaScript's truthiness: an empty string and a zero count as
/// missing.
pub(crate) fn decode(value: &Bytes) -> Result<Result<Encoded, RpcError>, CodecError> {
    let fields: Fields<'_> = codec::decode_object(value)?;
    if is_truthy(&fields.success) {
        let data = fields.data.map_or(codec::NULL, |raw| value.slice_ref(raw.get().as_bytes()));
        return Ok(Ok(Encoded::json(data)));
    }
    let fields: ErrorFields<'_> = codec::decode(value)?;
    Ok(Err(fields.error(&said(fields.status_code))))
}

/// Reads an error on its own: an object, or a text that is its message. Any bytes are an error.
pub(crate) fn decode_error(value: &[u8]) -> RpcError {
    let object = value.starts_with(b"{").then(|| codec::decode::<ErrorFields<'_>>(value));
    match object {
        Some(Ok(fields)) => {
            let named = Some(said(fields.status_code)).filter(is_truthy);
            fields.error(&named.unwrap_or_else(|| said(fields.status)))
        }
        None if value.is_empty() => RpcError::internal(UNKNOWN_ERROR),
        Some(Err(_)) | None => RpcError::internal(String::from_utf8_lossy(value)),
    }
}

impl ErrorFields<'_> {
    fn error(&self, named: &Value) -> RpcError {
        let name = text(&said(self.error));
        let message =
            text(&said(self.message)).or_else(|| name.clone()).unwrap_or_else(|| UNKNOWN_ERROR.to_owned());
        let name = name.unwrap_or_else(|| INTERNAL_SERVER_ERROR.to_owned());
        let mut error = RpcError::new(status(named), name, message);
        if let Some(code) = text(&said(self.code)) {
            error = error.with_code(code);
        }
        if let Some(details) = self.details.and_then(|details| codec::decode(details.get().as_bytes()).ok()) {
            error = error.with_details(details);
        }
        error
    }
}

/// Returns the value of a member. Half a surrogate pair, a number out of range and too deep nesting become
/// text, as they were written.
fn said(member: Option<&RawValue>) -> Value {
    member.map_or(Value::Null, |member| {
        let written = member.get();
        codec::decode(written.as_bytes()).unwrap_or_else(|_| Value::String(written.to_owned()))
    })
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// Returns a string as it is, and any other truthy value as JSON.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        other => is_truthy(other).then(|| other.to_string()),
    }
}

/// Reads a number or its text; anything that is not a status reads as 500.
fn status(value: &Value) -> StatusCode {
    let number = match value {
        // In JavaScript `404.0` is 404.
        Value::Number(number) => number.as_f64().and_then(|number| number.to_string().parse().ok()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.and_then(|number| StatusCode::from_u16(number).ok()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &'static str) -> Result<Bytes, RpcError> {
        let reply = decode(&Bytes::from_static(value.as_bytes())).expect("a reply");
        reply.map(|data| data.bytes().clone())
    }

    fn failure(value: &'static str) -> (u16, String, String) {
        let error = read(value).expect_err("a failure");
        (error.status().as_u16(), error.name().to_owned(), error.message().to_owned())
    }

    #[test]
    fn a_success_is_written_byte_for_byte() {
        assert_eq!(
            encode_success(Some(br#"{"balance":"1.5"}"#), 1_700_000_000_000),
            br#"{"success":true,"data":{"balance":"1.5"},"timestamp":1700000000000}"#.as_slice()
        );
        assert_eq!(encode_success(None, 1), br#"{"success":true,"timestamp":1}"#.as_slice());
    }

    #[test]
    fn a_failure_is_written_byte_for_byte() {
        let error = RpcError::bad_request("Invalid API key").with_name("ValidationError");
        assert_eq!(
            encode_failure(&error, 1),
            br#"{"success":false,"statusCode":400,"error":"ValidationError","message":"Invalid API key","timestamp":1}"#
                .as_slice()
        );
        let error = error.with_code("E1").with_details(json!({"field": "key"}));
        assert_eq!(
            encode_failure(&error, 1),
            br#"{"success":false,"statusCode":400,"error":"ValidationError","message":"Invalid API key","timestamp":1,"code":"E1","details":{"field":"key"}}"#
                .as_slice()
        );
    }

    #[test]
    fn a_success_is_read_and_missing_data_is_null() {
        assert_eq!(read(r#"{"success":true,"data":[1],"timestamp":1}"#), Ok(Bytes::from_static(b"[1]")));
        assert_eq!(read(r#"{"success":true}"#), Ok(codec::NULL));
    }

    #[test]
    fn a_failure_keeps_status_name_message_code_and_details() {
        let error = RpcError::not_found("no account").with_code("E1").with_details(json!([1]));
        let value = encode_failure(&error, 1);
        assert_eq!(decode(&value).expect("a reply"), Err(error));
    }

    #[test]
    fn what_is_no_object_is_no_reply() {
        for value in ["[true,1]", "\n[]", "7", "null", "poison", ""] {
            assert!(decode(&Bytes::from_static(value.as_bytes())).is_err(), "{value}");
        }
    }

    #[test]
    fn a_missing_success_is_a_failure() {
        assert_eq!(failure("{}"), (500, "InternalServerError".into(), "Unknown error".into()));
    }

    #[test]
    fn missing_empty_and_zero_fields_read_as_the_reference_reads_them() {
        assert_eq!(
            failure(r#"{"success":false,"statusCode":0,"error":"","message":""}"#),
            (500, "InternalServerError".into(), "Unknown error".into())
        );
        assert_eq!(
            failure(r#"{"success":false,"statusCode":"400","error":"TypeError"}"#),
            (400, "TypeError".into(), "TypeError".into())
        );
        assert_eq!(
            failure(r#"{"success":false,"statusCode":422,"message":"no"}"#),
            (422, "InternalServerError".into(), "no".into())
        );
    }

    #[test]
    fn a_status_is_a_number_as_javascript_has_numbers() {
        for value in [r#"{"statusCode":404.0}"#, r#"{"statusCode":4.04e2}"#, r#"{"statusCode":" 404 "}"#] {
            assert_eq!(failure(value).0, 404, "{value}");
        }
    }

    #[test]
    fn a_status_that_is_none_reads_as_500() {
        for value in [
            r#"{"statusCode":7}"#,
            r#"{"statusCode":70000}"#,
            r#"{"statusCode":-1}"#,
            r#"{"statusCode":404.5}"#,
            r#"{"statusCode":"?"}"#,
            r#"{"statusCode":[]}"#,
        ] {
            assert_eq!(failure(value).0, 500, "{value}");
        }
    }

    #[test]
    fn a_message_that_is_no_text_is_shown_as_json() {
        assert_eq!(failure(r#"{"message":["a","b"],"statusCode":400}"#).2, r#"["a","b"]"#);
    }

    #[test]
    fn a_member_that_cannot_be_represented_does_not_cost_the_others() {
        let odd =
            r#"{"success":false,"statusCode":404,"error":"NoAccount","message":"no \ud800","code":"E1"}"#;
        let error = read(odd).expect_err("a failure");
        let expected = RpcError::not_found(r#""no \ud800""#).with_name("NoAccount").with_code("E1");
        assert_eq!(error, expected);
        let odd = r#"{"statusCode":404,"error":1e999,"message":"gone","details":["\udfff"]}"#;
        let expected = RpcError::not_found("gone").with_name("1e999");
        assert_eq!(read(odd), Err(expected.clone()));
        assert_eq!(decode_error(odd.as_bytes()), expected);
        let deep =
            format!(r#"{{"status":404,"message":"gone","details":{}}}"#, "[".repeat(200) + &"]".repeat(200));
        assert_eq!(
            decode_error(deep.as_bytes()),
            RpcError::not_found("gone").with_name("InternalServerError")
        );
    }
}
