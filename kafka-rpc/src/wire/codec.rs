//! The one place that knows that values are JSON.

use bytes::Bytes;
use serde::{
    Deserialize, Serialize,
    de::{Error as _, Unexpected},
};

pub(crate) type CodecError = serde_json::Error;

/// The value of "nothing": what an absent payload or `data` reads as.
pub(crate) const NULL: Bytes = Bytes::from_static(b"null");

/// Reads a value. Nesting is bounded by `serde_json` at 128 levels, so a hostile value cannot overflow the
/// stack.
///
/// JSON is UTF-8 (RFC 8259, 8.1), and validating the whole value at once is faster than validating each
/// string in it.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    serde_json::from_str(str::from_utf8(bytes).map_err(CodecError::custom)?)
}

/// Reads an object by the names of its members. Refuses an array, which serde would read into a struct by
/// position.
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

/// The most bytes of an explanation before its position: the expected value may be one of very many.
const MOST_TOLD: usize = 200;

/// Explains what is wrong with a value by field names and positions: serde's text repeats the values that it
/// met, and values are not ours to log.
pub(crate) fn explain(error: &CodecError) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let (said, place) = text.strip_suffix(&place).map_or((&*text, ""), |said| (said, &place));
    let mut told = without_values(said);
    if told.len() > MOST_TOLD {
        told.truncate(told.floor_char_boundary(MOST_TOLD));
        told.push('…');
    }
    told + place
}

fn without_values(said: &str) -> String {
    for kind in ["invalid type: ", "invalid value: ", "unknown variant ", "unknown field "] {
        // The last match is serde's: the value that was found comes before it, and may contain anything.
        let expected =
            [", expected ", ", there are no "].into_iter().filter_map(|begin| said.rfind(begin)).max();
        if let (Some(found), Some(expected)) = (said.strip_prefix(kind), expected) {
            let class = found.split(['"', '`', ',']).next().unwrap_or_default().trim_end();
            let separator = if class.is_empty() { "" } else { " " };
            return format!("{}{separator}{class}{}", kind.trim_end(), &said[expected..]);
        }
    }
    said.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    enum Side {
        Buy,
        Sell,
    }

    #[derive(Debug, Deserialize)]
    enum Never {}

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Exact {
        number: u8,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Empty {}

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
        let text = explained(decode::<Never>(br#""hunter2, expected nothing""#).expect_err("no variant"));
        assert_eq!(text, "unknown variant, there are no variants at line 1 column 27");
        let field = br#"{"hunter2, there are no fields":1}"#;
        let text = explained(decode::<Exact>(field).expect_err("no field"));
        assert_eq!(text, "unknown field, expected `number` at line 1 column 31");
        let text = explained(decode::<Empty>(field).expect_err("no field"));
        assert_eq!(text, "unknown field, there are no fields at line 1 column 31");
        let text = explained(decode::<u8>(b"").expect_err("empty"));
        assert_eq!(text, "EOF while parsing a value at line 1 column 0");
    }

    #[test]
    fn an_explanation_of_any_length_is_cut_before_its_place() {
        struct Chatty;

        impl<'de> Deserialize<'de> for Chatty {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Err(D::Error::custom(text))
            }
        }

        let value = format!("[\"{}\"]", "é".repeat(100_000));
        let text = explain(&decode::<Vec<Chatty>>(value.as_bytes()).map(|_| ()).expect_err("an error"));
        assert_eq!(text, format!("{}… at line 1 column 200004", "é".repeat(100)));
    }
}
