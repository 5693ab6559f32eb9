//! A received value that is not yet decoded.

use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::codec::{self, CodecError};

/// The empty string as JSON, in case a text cannot be encoded, which does not happen.
const NO_TEXT: Bytes = Bytes::from_static(br#""""#);

/// A received value that is not yet decoded.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Encoded {
    bytes: Bytes,
    /// Whether the value may be text as well as JSON, since the sender does not say which.
    may_be_text: bool,
}

impl Encoded {
    /// Creates a value that is JSON.
    pub(crate) fn json(bytes: Bytes) -> Self {
        Self { bytes, may_be_text: false }
    }

    /// Creates the value of a peer that writes text without quotes, and `null` as no value.
    pub(crate) fn bare(value: Option<Bytes>) -> Self {
        value.map_or_else(|| Self::json(codec::NULL), |bytes| Self { bytes, may_be_text: true })
    }

    /// Returns the value as it was on the wire.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The value as it was on the wire.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Decodes the value, as JSON first: `7` becomes a number or a text, whichever the caller asks for.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<T, CodecError> {
        self.read(|json| codec::decode(json))
    }

    /// Like [`decode`](Self::decode), with the caller's decoder of JSON.
    pub(crate) fn read<T, E>(&self, decode: impl Fn(&[u8]) -> Result<T, E>) -> Result<T, E> {
        decode(&self.bytes).or_else(|error| match self.quoted() {
            Some(text) => decode(&text).map_err(|_no_text_either| error),
            None => Err(error),
        })
    }

    /// Checks that the value is valid, for callers that do not decode it.
    pub(crate) fn check(&self) -> Result<(), CodecError> {
        if self.may_be_text { Ok(()) } else { codec::decode::<IgnoredAny>(&self.bytes).map(drop) }
    }

    /// Returns the value as a JSON string, if it may be text.
    fn quoted(&self) -> Option<Bytes> {
        if !self.may_be_text {
            return None;
        }
        let text = std::str::from_utf8(&self.bytes).ok()?;
        Some(codec::encode(text).unwrap_or(NO_TEXT))
    }
}

/// Shows the length only: the contents are not ours to show.
impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    fn read<T: DeserializeOwned>(value: &'static str) -> Result<T, String> {
        Encoded::bare(Some(value.into())).decode().map_err(|error| codec::explain(&error))
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Order {
        number: u64,
    }

    #[test]
    fn a_bare_value_is_json_or_text_as_whoever_asks_needs_it() {
        assert_eq!(read(r#"{"number":7}"#), Ok(Order { number: 7 }));
        assert_eq!((read(r"7"), read("7")), (Ok(7_u64), Ok("7".to_owned())));
        assert_eq!(read("true"), Ok("true".to_owned()));
        assert_eq!(read("plain \"text\""), Ok("plain \"text\"".to_owned()));
        assert_eq!(read(r#""quoted""#), Ok("quoted".to_owned()));
        assert_eq!(read(""), Ok(String::new()));
    }

    #[test]
    fn what_is_neither_is_the_error_of_the_json() {
        assert_eq!(read::<Order>("poison"), Err("expected value at line 1 column 1".to_owned()));
        let bytes = Encoded::bare(Some(Bytes::from_static(b"\xff")));
        assert!(bytes.decode::<String>().is_err());
    }

    #[test]
    fn no_value_is_null_and_json_is_never_text() {
        assert_eq!(Encoded::bare(None).decode::<Option<String>>().ok(), Some(None));
        assert!(Encoded::bare(None).decode::<String>().is_err());
        assert!(Encoded::json("7".into()).decode::<String>().is_err());
        assert!(Encoded::json("poison".into()).check().is_err());
        assert!(
            Encoded::json("{}".into()).check().is_ok()
                && Encoded::bare(Some("poison".into())).check().is_ok()
        );
    }
}
