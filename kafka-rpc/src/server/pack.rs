//! Records as the consumer thread hands them over: many in memory that they share.
//!
//! A record that is made on one thread and dropped on another costs more than its bytes: both threads wait for the
//! allocator of the first. So what is received together is a few allocations for all of it, and a runner makes of its part
//! what its handler needs.

use std::{borrow::Cow, fmt, mem, ops::Range, sync::Arc, time::SystemTime};

use bytes::Bytes;

use crate::wire::{Received, received::UnreadableHeaders};

/// A record in its pack.
pub(super) struct Packed {
    pub(super) pack: Arc<Pack>,
    pub(super) index: usize,
    /// In a box, since most have none, and records are moved from one queue to the next.
    pub(super) large_value: Option<Box<Bytes>>,
}

pub(super) struct Pack {
    pub(super) topic: Arc<str>,
    /// Where it began in the [`Packing`](super::packing::Packing): the ranges of its parts are counted from the start of
    /// that.
    pub(super) start: Position,
    pub(super) bytes: Bytes,
    pub(super) records: Box<[Parts]>,
    pub(super) headers: Box<[Header]>,
}

/// A place in a pack that is not sealed yet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Position {
    pub(super) byte: usize,
    pub(super) header: usize,
}

/// Where a record was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) timestamp: Option<SystemTime>,
    /// Whether the timestamp is the broker's, and not the producer's.
    pub(super) is_append_time: bool,
}

/// A record as parts of its pack.
pub(super) struct Parts {
    pub(super) place: Place,
    pub(super) weight: usize,
    pub(super) key: Option<Range<usize>>,
    pub(super) value: Option<Range<usize>>,
    pub(super) headers: Result<Range<usize>, UnreadableHeaders>,
}

pub(super) struct Header {
    pub(super) name: Name,
    pub(super) value: Option<Range<usize>>,
}

pub(super) enum Name {
    Usual(&'static str),
    Own(Range<usize>),
}

impl Pack {
    fn within(&self, range: &Range<usize>) -> Range<usize> {
        range.start - self.start.byte..range.end - self.start.byte
    }

    fn part(&self, range: &Range<usize>) -> Bytes {
        self.bytes.slice(self.within(range))
    }

    fn headers(&self, range: &Range<usize>) -> &[Header] {
        &self.headers[range.start - self.start.header..range.end - self.start.header]
    }

    /// A header as [`Headers`](crate::Headers) take it.
    fn header(&self, Header { name, value }: &Header) -> (Cow<'static, str>, Option<Range<usize>>) {
        let name = match name {
            Name::Usual(name) => Cow::Borrowed(*name),
            Name::Own(name) => {
                Cow::Owned(String::from_utf8_lossy(&self.bytes[self.within(name)]).into_owned())
            }
        };
        (name, value.as_ref().map(|value| self.within(value)))
    }
}

impl Packed {
    fn parts(&self) -> &Parts {
        &self.pack.records[self.index]
    }

    pub(super) fn partition(&self) -> i32 {
        self.parts().place.partition
    }

    pub(super) fn offset(&self) -> i64 {
        self.parts().place.offset
    }

    /// What it takes in memory while it waits, about.
    pub(super) fn weight(&self) -> usize {
        self.parts().weight
    }

    pub(super) fn key(&self) -> Option<&[u8]> {
        let key = self.parts().key.as_ref()?;
        self.pack.bytes.get(self.pack.within(key))
    }

    /// The record by itself.
    pub(super) fn unpack(&self) -> Received {
        let mut record = Received::blank();
        self.unpack_into(&mut record);
        record
    }

    /// The record by itself, in the place of one that is not needed any more.
    pub(super) fn unpack_into(&self, record: &mut Received) {
        let Received { topic, partition, offset, timestamp, is_append_time, key, value, headers } = record;
        let (pack, parts) = (&*self.pack, self.parts());
        // Counting references to what all records share is a wait for whoever counts on another processor.
        if !Arc::ptr_eq(topic, &pack.topic) {
            *topic = Arc::clone(&pack.topic);
        }
        *partition = parts.place.partition;
        *offset = parts.place.offset;
        *timestamp = parts.place.timestamp;
        *is_append_time = parts.place.is_append_time;
        *key = parts.key.as_ref().map(|key| pack.part(key));
        *value = match &self.large_value {
            Some(large) => Some(Bytes::clone(large)),
            None => parts.value.as_ref().map(|value| pack.part(value)),
        };
        let before = mem::replace(headers, Err(UnreadableHeaders)).unwrap_or_default();
        *headers = parts.headers.as_ref().map_err(|unreadable| *unreadable).map(|own| {
            let own = pack.headers(own).iter().map(|header| pack.header(header));
            before.replaced(pack.bytes.clone(), own)
        });
    }
}

/// Where it was found, and nothing of what it says.
impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed")
            .field("partition", &self.partition())
            .field("offset", &self.offset())
            .field("weight", &self.weight())
            .finish_non_exhaustive()
    }
}

/// How much there is, and nothing of what it says.
impl fmt::Debug for Pack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pack")
            .field("topic", &self.topic)
            .field("records", &self.records.len())
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}
