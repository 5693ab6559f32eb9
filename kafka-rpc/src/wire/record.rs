//! Outgoing records and incoming replies.

use std::sync::Arc;

use bytes::Bytes;

use super::Headers;

/// Which partition a record goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Placement {
    /// By key, with murmur2: the key is the user's, and the order of its records matters.
    ByKey,
    /// Chosen by the producer: the key is only an id.
    Any,
    /// This partition: the other side reads no other.
    Partition(i32),
}

/// Where a caller reads its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplyTo<'a> {
    pub(crate) topic: &'a str,
    /// The only partition that the caller reads, unless it reads all.
    pub(crate) partition: Option<i32>,
}

/// A complete record to be sent.
#[derive(Debug, Clone)]
pub(crate) struct OutgoingRecord {
    pub(crate) topic: Arc<str>,
    pub(crate) placement: Placement,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Headers,
}

impl OutgoingRecord {
    /// The approximate size of the record in memory.
    #[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "only a producer lets records wait"))]
    pub(crate) fn size(&self) -> usize {
        let len = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        let headers = self.headers.iter().map(|(name, value)| name.len() + len(value)).sum::<usize>();
        len(self.key.as_deref()) + len(self.value.as_deref()) + headers + size_of::<Self>()
    }
}

/// A record that was read from a reply topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ReceivedReply {
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Headers,
}
