//! Records as the consumer thread hands them over: many records in shared memory.
//!
//! Allocating a record on one thread and dropping it on another costs more than copying its bytes, because
//! both threads contend for the allocator of the first. So the records received together share a few
//! allocations, and a runner makes what its handler needs from its part of them.

use std::{borrow::Cow, fmt, mem, ops::Range, sync::Arc};

use bytes::Bytes;

use crate::wire::{ReceivedRecord, clock, names, received::UnreadableHeaders};

/// A record in its pack.
pub(in crate::server) struct Packed {
    pub(super) pack: Arc<Pack>,
    pub(super) index: u32,
    /// Copied here so that code that holds the state lock need not touch the pack, which is still in another
    /// core's cache.
    pub(super) partition: i32,
    /// Boxed because most records have none, and records move from queue to queue.
    pub(super) large_value: Option<Box<Bytes>>,
}

pub(super) struct Pack {
    pub(super) topic: Arc<str>,
    /// Where the pack begins in its [`Packing`](super::packing::Packing). The ranges of its parts count from
    /// the start of the `Packing`.
    pub(super) start: Position,
    pub(super) bytes: Bytes,
    pub(super) records: Box<[Parts]>,
    pub(super) headers: Box<[Header]>,
}

/// A position in the bytes and headers of a [`Packing`](super::packing::Packing).
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
    /// Milliseconds since the epoch; negative if the record has no timestamp.
    pub(super) timestamp: i64,
    /// Whether the broker set the timestamp, and not the producer.
    pub(super) is_append_time: bool,
}

/// A record as parts of its pack. It fits in a cache line, because all of it moves from one core to another.
pub(super) struct Parts {
    pub(super) place: Place,
    pub(super) weight: u32,
    pub(super) key: Option<Part>,
    pub(super) value: Option<Part>,
    pub(super) headers: Result<Part, UnreadableHeaders>,
}

const _: () = assert!(size_of::<Parts>() <= 64);

pub(super) struct Header {
    pub(super) name: Name,
    pub(super) value: Option<Part>,
}

pub(super) enum Name {
    Usual(names::Usual),
    Own(Part),
}

/// A range of bytes or headers, in half the memory of a `Range<usize>`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    start: u32,
    length: u32,
}

impl Part {
    pub(super) fn of(range: Range<usize>) -> Self {
        Self { start: small(range.start), length: small(range.len()) }
    }

    /// The range counted from `start`.
    fn from(self, start: usize) -> Range<usize> {
        let start = self.start as usize - start;
        start..start + self.length as usize
    }
}

/// Converts a size within a pack. It never saturates: librdkafka takes records of up to a gigabyte, and a
/// pack ends with such a record.
pub(super) fn small(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

impl Pack {
    fn within(&self, part: Part) -> Range<usize> {
        part.from(self.start.byte)
    }

    fn part(&self, part: Part) -> Bytes {
        self.bytes.slice(self.within(part))
    }

    fn headers(&self, part: Part) -> &[Header] {
        &self.headers[part.from(self.start.header)]
    }

    /// A header as [`Headers`](crate::Headers) take it.
    fn header(&self, Header { name, value }: &Header) -> (Cow<'static, str>, Option<Range<usize>>) {
        let name = match name {
            Name::Usual(usual) => Cow::Borrowed(usual.name()),
            Name::Own(name) => {
                Cow::Owned(String::from_utf8_lossy(&self.bytes[self.within(*name)]).into_owned())
            }
        };
        (name, value.map(|value| self.within(value)))
    }
}

impl Packed {
    fn parts(&self) -> &Parts {
        &self.pack.records[self.index as usize]
    }

    pub(in crate::server) fn partition(&self) -> i32 {
        self.partition
    }

    pub(in crate::server) fn offset(&self) -> i64 {
        self.parts().place.offset
    }

    /// About how much memory the record takes while it waits.
    pub(in crate::server) fn weight(&self) -> usize {
        self.parts().weight as usize
    }

    pub(super) fn key(&self) -> Option<&[u8]> {
        let key = self.parts().key?;
        self.pack.bytes.get(self.pack.within(key))
    }

    /// Unpacks the record.
    pub(in crate::server) fn unpack(&self) -> ReceivedRecord {
        let mut record = ReceivedRecord::blank();
        self.unpack_into(&mut record);
        record
    }

    /// Unpacks the record in place of one that is no longer needed, and reuses its memory.
    pub(in crate::server) fn unpack_into(&self, record: &mut ReceivedRecord) {
        let ReceivedRecord { topic, partition, offset, timestamp, is_append_time, key, value, headers } =
            record;
        let (pack, parts) = (&*self.pack, self.parts());
        // Cloning an `Arc` that all records share contends with the other cores that count its references.
        if !Arc::ptr_eq(topic, &pack.topic) {
            *topic = Arc::clone(&pack.topic);
        }
        *partition = parts.place.partition;
        *offset = parts.place.offset;
        *timestamp = u64::try_from(parts.place.timestamp).ok().and_then(clock::from_millis);
        *is_append_time = parts.place.is_append_time;
        *key = parts.key.map(|key| pack.part(key));
        *value = match &self.large_value {
            Some(large) => Some(Bytes::clone(large)),
            None => parts.value.map(|value| pack.part(value)),
        };
        let before = mem::replace(headers, Err(UnreadableHeaders)).unwrap_or_default();
        *headers = parts.headers.map(|own| {
            let own = pack.headers(own).iter().map(|header| pack.header(header));
            before.replaced(pack.bytes.clone(), own)
        });
    }
}

/// Shows where the record was found, and none of its contents.
impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed")
            .field("partition", &self.partition())
            .field("offset", &self.offset())
            .field("weight", &self.weight())
            .finish_non_exhaustive()
    }
}

/// Shows the sizes, and none of the contents.
impl fmt::Debug for Pack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pack")
            .field("topic", &self.topic)
            .field("records", &self.records.len())
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Packed {
    /// An empty record, for tests.
    pub(in crate::server) fn blank() -> Self {
        let (mut packing, mut records) = (super::packing::Packing::default(), Vec::new());
        let place = Place { partition: 0, offset: 0, timestamp: 0, is_append_time: false };
        packing.add(place, None, None, |_each| Ok(()));
        packing.seal(&"orders".into(), |record| records.push(record));
        records.remove(0)
    }
}
