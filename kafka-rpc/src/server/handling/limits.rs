//! How large a record may be. A record from the network is hostile until it has been measured.

use http::StatusCode;

use crate::{Config, RpcError, wire::ReceivedRecord};

/// The bounds of a record that is handled. The parser bounds nesting, at 128 levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) headers: usize,
    pub(crate) header_bytes: usize,
    pub(crate) value_bytes: usize,
}

impl Limits {
    /// No bounds.
    pub(crate) const NONE: Self =
        Self { headers: usize::MAX, header_bytes: usize::MAX, value_bytes: usize::MAX };

    /// The bounds that a user has set.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            headers: config.max_headers,
            header_bytes: config.max_header_bytes,
            value_bytes: config.max_value_bytes,
        }
    }

    /// Refuses a record that exceeds the bounds. Headers named in `ours` are not the sender's, and do not
    /// count.
    pub(crate) fn check(&self, record: &ReceivedRecord, ours: &[&str]) -> Result<(), RpcError> {
        let Ok(headers) = &record.headers else {
            return Err(RpcError::bad_request(
                "the record's headers cannot be read: a name is not UTF-8, or there are more than 100,000",
            ));
        };
        let is_senders = |(name, _): &(&str, _)| !ours.iter().any(|own| own.eq_ignore_ascii_case(name));
        let size = |(name, value): (&str, Option<&[u8]>)| name.len() + value.map_or(0, <[u8]>::len);
        let sizes = || headers.iter().filter(is_senders).map(size);
        if sizes().count() > self.headers {
            return Err(too_large(format!("the record has more than {} headers", self.headers)));
        }
        if sizes().sum::<usize>() > self.header_bytes {
            return Err(too_large(format!(
                "the record has more than {} bytes of headers",
                self.header_bytes
            )));
        }
        if record.value.as_ref().is_some_and(|value| value.len() > self.value_bytes) {
            return Err(too_large(format!("the record's value has more than {} bytes", self.value_bytes)));
        }
        Ok(())
    }
}

fn too_large(message: String) -> RpcError {
    RpcError::new(StatusCode::PAYLOAD_TOO_LARGE, "RecordTooLarge", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Headers;

    const LIMITS: Limits = Limits { headers: 2, header_bytes: 8, value_bytes: 4 };

    fn status(headers: &[(&'static str, &'static str)], value: &'static str) -> u16 {
        let mut own = Headers::new();
        for (name, value) in headers {
            own.push(*name, *value);
        }
        let record =
            ReceivedRecord { value: Some(value.into()), headers: Ok(own), ..ReceivedRecord::blank() };
        LIMITS.check(&record, &["ours"]).map_or_else(|error| error.status().as_u16(), |()| 200)
    }

    #[test]
    fn a_record_is_refused_for_the_number_and_size_of_its_headers_and_for_its_value() {
        assert_eq!(status(&[("a", "1"), ("b", "2")], "1234"), 200);
        assert_eq!(status(&[("a", "1"), ("b", "2"), ("c", "3")], ""), 413);
        assert_eq!(status(&[("a", "12345678")], ""), 413);
        assert_eq!(status(&[], "12345"), 413);
    }

    #[test]
    fn headers_of_our_own_do_not_count() {
        assert_eq!(status(&[("a", "1"), ("Ours", "12345678"), ("b", "2"), ("ours", "")], "1234"), 200);
        assert_eq!(status(&[("a", "1"), ("ours", ""), ("b", "2"), ("c", "3")], ""), 413);
    }
}
