//! The one place that knows that values are JSON.

use bytes::Bytes;
use serde::{
    Deserialize, Serialize,
    de::{Error as _, Unexpected},
};

pub(crate) type CodecError = serde_json::Error;

/// The value of "nothing": what an absent payload or `data` reads as.
pub(crate) const NULL: Bytes = Bytes::from_static(b"null");

/// Reads a value. Nesting is bounded by `serde_json` at 128 levels, so a hostile value cannot overflow the stack.
///
/// What is not UTF-8 is not JSON (RFC 8259, 8.1), and looking at all of it at once is faster than at each text in it.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    serde_json::from_str(str::from_utf8(bytes).map_err(CodecError::custom)?)
}

/// Reads an object by the names of its members: for serde a struct is an array too, by their order.
pub(crate) fn decode_object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(CodecError::invalid_type(Unexpected::Seq, &"an object"));
    }
    decode(bytes)
}

/// Writes a value.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, CodecError> {
    serde_json::to_vec(value).map(Bytes::from)
}

/// Writes a value at the end of a buffer.
pub(crate) fn encode_into<T: Serialize + ?Sized>(buffer: &mut Vec<u8>, value: &T) -> Result<(), CodecError> {
    serde_json::to_writer(buffer, value)
}

/// Writes text as a value at the end of a buffer. Text always has a JSON form.
pub(crate) fn encode_text(buffer: &mut Vec<u8>, text: &str) {
    // Writing a `str` into a `Vec` has no failure: there is no I/O and no custom `Serialize`.
    let _infallible = encode_into(buffer, text);
}

/// What was wrong with a value, by field names and positions: serde's own text repeats the values it met, and
/// values are not ours to log.
pub(crate) fn explain(error: &CodecError) -> String {
    let text = error.to_string();
    for kind in ["invalid type: ", "invalid value: ", "unknown variant "] {
        if let (Some(found), Some(expected)) = (text.strip_prefix(kind), text.rfind(", expected ")) {
            let class = found.split(['"', '`', ',']).next().unwrap_or_default().trim_end();
            let separator = if class.is_empty() { "" } else { " " };
            return format!("{}{separator}{class}{}", kind.trim_end(), &text[expected..]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    enum Side {
        Buy,
        Sell,
    }

    #[test]
    fn a_number_is_read_as_it_was_written() {
        for number in
            [0.1, 0.907_303_832_202_868_9, 0.481_837_925_201_105_24, -7.803_913_958_627_244e173, f64::MAX]
        {
            let written = encode(&number).expect("a number");
            assert_eq!(decode::<f64>(&written).ok().map(f64::to_bits), Some(number.to_bits()), "{number}");
        }
    }

    #[test]
    fn an_explanation_names_places_and_types_and_never_values() {
        let explained = |error: CodecError| explain(&error);
        let text = explained(decode::<u8>(br#""hunter2, expected nothing""#).expect_err("text"));
        assert_eq!(text, "invalid type: string, expected u8 at line 1 column 27");
        let text = explained(decode::<u8>(b"70000").expect_err("too large"));
        assert_eq!(text, "invalid value: integer, expected u8 at line 1 column 5");
        let text = explained(decode::<Side>(br#""hunter2""#).expect_err("no variant"));
        assert_eq!(text, "unknown variant, expected `Buy` or `Sell` at line 1 column 9");
        let text = explained(decode::<u8>(b"").expect_err("empty"));
        assert_eq!(text, "EOF while parsing a value at line 1 column 0");
    }
}
