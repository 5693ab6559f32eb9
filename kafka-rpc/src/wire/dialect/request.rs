//! What a request says about its reply: where it goes, which id it echoes, and how long the caller waits.

use std::time::SystemTime;

use bytes::Bytes;

use crate::wire::{Headers, Placement, clock, names};

/// What the headers of a received request say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RequestHeaders {
    pub(crate) correlation_id: Option<Bytes>,
    pub(crate) reply_to: Option<Bytes>,
    pub(crate) reply_partition: Option<i32>,
    pub(crate) deadline: Option<SystemTime>,
    /// Whether the request gets no reply, whatever its headers say.
    pub(crate) unanswered: bool,
}

impl RequestHeaders {
    /// Returns the reply topic, and the correlation id to echo: only a request that has both, neither empty,
    /// gets a reply.
    pub(crate) fn return_address(&self) -> Option<(&Bytes, &Bytes)> {
        let ids = Some((self.reply_to.as_ref()?, self.correlation_id.as_ref()?));
        ids.filter(|_| !self.unanswered)
    }

    /// Turns this into the headers of a request that gets no reply, and has no deadline since no caller
    /// waits.
    pub(crate) fn unaddressed(self) -> Self {
        Self { deadline: None, unanswered: true, ..self }
    }

    /// Reads the headers, given a dialect's names for the correlation id, the reply topic and its partition.
    /// A value that cannot be read counts as absent.
    pub(super) fn read(headers: &Headers, [correlation_id, reply_to, reply_partition]: [&str; 3]) -> Self {
        Self {
            correlation_id: present(headers, correlation_id),
            reply_to: present(headers, reply_to),
            reply_partition: headers.get(reply_partition).and_then(partition),
            deadline: headers
                .text(names::DEADLINE)
                .and_then(|text| text.parse().ok())
                .and_then(clock::from_millis),
            unanswered: false,
        }
    }

    /// The partition that the caller reads, if it names one.
    pub(super) fn placement(&self) -> Placement {
        self.reply_partition.map_or(Placement::Any, Placement::Partition)
    }
}

fn present(headers: &Headers, name: &str) -> Option<Bytes> {
    headers.shared(name).filter(|value| !value.is_empty())
}

/// More partitions than any topic has. Below this, the four bytes of a partition begin with a zero byte, as
/// digits never do.
const TOO_MANY: i32 = 1 << 24;

/// Reads a partition in digits, as the reference and Nest write it, or in four bytes, as Spring does.
fn partition(value: &[u8]) -> Option<i32> {
    let partition = match <[u8; 4]>::try_from(value) {
        Ok(bytes @ [0, ..]) => i32::from_be_bytes(bytes),
        _ => std::str::from_utf8(value).ok()?.parse().ok()?,
    };
    (0..TOO_MANY).contains(&partition).then_some(partition)
}

#[cfg(test)]
mod tests {
    use super::super::{Peer, tests::shared::received};

    #[test]
    fn a_partition_is_read_from_digits_and_from_four_bytes_by_everyone() {
        for peer in [Peer::Reference, Peer::Nest, Peer::Spring] {
            let name = if peer == Peer::Reference { "Reply-Partition" } else { "Kafka_ReplyPartition" };
            let read = |value| peer.read_request(&received(&[(name, value)])).reply_partition;
            assert_eq!([read(b"2"), read(b"1234"), read(&[0, 0, 1, 2])], [Some(2), Some(1234), Some(258)]);
            for odd in
                [&b""[..], b"-1", b"1e3", b"soon", b"99999999999", b"16777216", &[0xff; 4], &[0; 3], &[0; 8]]
            {
                assert_eq!(read(odd), None, "{odd:?}");
            }
        }
    }

    #[test]
    fn what_is_unaddressed_is_not_answered() {
        let request = Peer::Reference.read_request(&received(&[
            ("correlation-id", b"c-1"),
            ("reply-to", b"replies"),
            ("deadline", b"1700000000000"),
        ]));
        assert!(request.return_address().is_some() && request.deadline.is_some());
        let unaddressed = request.unaddressed();
        assert_eq!((unaddressed.return_address(), unaddressed.deadline), (None, None));
        assert_eq!(unaddressed.correlation_id, Some("c-1".into()));
    }
}
