//! Where a record was first read. Retries may go through a retry topic, and a dead letter names the partition
//! and offset of the first read.

use std::{fmt, time::SystemTime};

use super::{Headers, clock, names};
use crate::wire::ReceivedRecord;

/// The kinds of timestamps, as they are written on the wire.
const CREATE: &str = "create";
const APPEND: &str = "append";

/// Where a record was first read, and its timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: Option<SystemTime>,
    /// Whether the timestamp is the broker's, and not the producer's.
    pub(crate) is_append_time: bool,
}

impl Origin {
    /// The origin of a record from the topic of its subscription.
    pub(crate) fn of(record: &ReceivedRecord) -> Self {
        let ReceivedRecord { partition, offset, timestamp, is_append_time, .. } = *record;
        Self { partition, offset, timestamp, is_append_time }
    }

    /// Reads the origin of a record from a retry topic; `None` if the record was written there by somebody
    /// else.
    pub(crate) fn read(headers: &Headers) -> Option<Self> {
        let mut parts = headers.text(names::RETRY_ORIGIN)?.split(':');
        let (partition, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (kind, millis) = (parts.next(), parts.next());
        let timestamp = millis.and_then(|millis| clock::from_millis(millis.parse().ok()?));
        Some(Self { partition, offset, timestamp, is_append_time: kind == Some(APPEND) })
    }
}

/// Writes `partition:offset`, and for a timestamp `:create:` or `:append:` and its milliseconds.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)?;
        if let Some(at) = self.timestamp {
            let kind = if self.is_append_time { APPEND } else { CREATE };
            write!(f, ":{kind}:{}", clock::millis(at))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(text: &str) -> Option<Origin> {
        let mut headers = Headers::new();
        headers.push(names::RETRY_ORIGIN, text.to_owned());
        Origin::read(&headers)
    }

    #[test]
    fn what_is_written_is_read() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        for (timestamp, is_append_time, text) in [
            (Some(at), false, "2:7:create:1700000000123"),
            (Some(at), true, "2:7:append:1700000000123"),
            (None, false, "2:7"),
        ] {
            let origin = Origin { partition: 2, offset: 7, timestamp, is_append_time };
            assert_eq!((origin.to_string().as_str(), read(text)), (text, Some(origin)));
        }
    }

    #[test]
    fn what_somebody_else_wrote_is_no_place_or_no_time() {
        for text in ["", "2", ":", "2:", "x:7", "2:x", "99999999999:7"] {
            assert_eq!(read(text), None, "{text}");
        }
        for text in ["2:7:create", "2:7:create:x", "2:7:create:-1"] {
            assert_eq!(read(text).map(|origin| (origin.offset, origin.timestamp)), Some((7, None)), "{text}");
        }
    }
}
