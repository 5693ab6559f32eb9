//! Records as the consumer thread hands them over: many in memory that they share.
//!
//! A record that is made on one thread and dropped on another costs more than its bytes: both threads wait for the
//! allocator of the first. So what is received together is one allocation, and a runner makes of its part what its
//! handler needs.

use std::{borrow::Cow, mem, ops::Range, sync::Arc, time::SystemTime};

use bytes::Bytes;

use super::received::{Received, UnreadableHeaders};
use crate::wire::names;

/// How many bytes are packed together at most. Whoever keeps part of a record, such as its key, keeps the whole pack.
const FULL: usize = 16 << 10;

/// A value that is larger than this has memory of its own.
const SMALL: usize = 2 << 10;

/// What a record takes beside its key and value, about.
const OVERHEAD: usize = 256;

/// A record in its pack.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    pack: Arc<Pack>,
    index: usize,
}

#[derive(Debug)]
struct Pack {
    topic: Arc<str>,
    bytes: Bytes,
    records: Box<[Parts]>,
    headers: Box<[Header]>,
}

/// Where a record was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: Option<SystemTime>,
    /// Whether the timestamp is the broker's, and not the producer's.
    pub(crate) is_append_time: bool,
}

/// A record as parts of its pack.
#[derive(Debug)]
struct Parts {
    place: Place,
    weight: usize,
    key: Option<Range<usize>>,
    value: Value,
    headers: Result<Range<usize>, UnreadableHeaders>,
}

#[derive(Debug)]
enum Value {
    Null,
    Small(Range<usize>),
    Large(Bytes),
}

#[derive(Debug)]
struct Header {
    name: Name,
    value: Option<Range<usize>>,
}

#[derive(Debug)]
enum Name {
    Usual(&'static str),
    Own(Range<usize>),
}

/// A pack that is not sealed yet. It is used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Packing {
    bytes: Vec<u8>,
    records: Vec<Parts>,
    headers: Vec<Header>,
}

impl Packing {
    /// Adds a record that has no headers yet; gives its weight.
    pub(crate) fn add(&mut self, place: Place, key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
        let weight = OVERHEAD + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        let key = key.map(|key| self.append(key));
        let value = match value {
            None => Value::Null,
            Some(value) if value.len() <= SMALL => Value::Small(self.append(value)),
            Some(value) => Value::Large(Bytes::copy_from_slice(value)),
        };
        let headers = Ok(self.headers.len()..self.headers.len());
        self.records.push(Parts { place, weight, key, value, headers });
        weight
    }

    /// Adds a header to the last record.
    pub(crate) fn add_header(&mut self, name: &str, value: Option<&[u8]>) {
        let name = match names::usual(name) {
            Some(usual) => Name::Usual(usual),
            None => Name::Own(self.append(name.as_bytes())),
        };
        let value = value.map(|value| self.append(value));
        self.headers.push(Header { name, value });
        if let Some(Parts { headers: Ok(headers), .. }) = self.records.last_mut() {
            headers.end = self.headers.len();
        }
    }

    /// Notes that the headers of the last record cannot be read.
    pub(crate) fn headers_are_unreadable(&mut self) {
        if let Some(last) = self.records.last_mut() {
            last.headers = Err(UnreadableHeaders);
        }
    }

    fn append(&mut self, part: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(part);
        start..self.bytes.len()
    }

    /// Whether it is to be sealed before more is added.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }

    /// Makes a pack of what was added, of this topic; gives its records in order.
    pub(crate) fn seal(&mut self, topic: &Arc<str>) -> impl Iterator<Item = Packed> + use<> {
        // Copied to where it fits exactly: it may be kept for as long as its slowest record takes.
        let pack = Arc::new(Pack {
            topic: Arc::clone(topic),
            bytes: Bytes::copy_from_slice(&self.bytes),
            records: self.records.drain(..).collect(),
            headers: self.headers.drain(..).collect(),
        });
        self.bytes.clear();
        self.forget_the_largest();
        (0..pack.records.len()).map(move |index| Packed { pack: Arc::clone(&pack), index })
    }

    /// Keeps no more room than packs take in most cases: a stranger's record may have been of any size.
    fn forget_the_largest(&mut self) {
        self.bytes.shrink_to(4 * FULL);
        self.headers.shrink_to(FULL / 4);
    }
}

impl Packed {
    fn parts(&self) -> &Parts {
        &self.pack.records[self.index]
    }

    pub(crate) fn partition(&self) -> i32 {
        self.parts().place.partition
    }

    pub(crate) fn offset(&self) -> i64 {
        self.parts().place.offset
    }

    /// What it takes in memory while it waits.
    pub(crate) fn weight(&self) -> usize {
        self.parts().weight
    }

    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.pack.bytes.get(self.parts().key.clone()?)
    }

    /// The record by itself.
    pub(crate) fn unpack(&self) -> Received {
        let mut record = Received::blank();
        self.unpack_into(&mut record);
        record
    }

    /// The record by itself, in the place of one that is not needed any more.
    pub(crate) fn unpack_into(&self, record: &mut Received) {
        let Pack { topic, bytes, headers, .. } = &*self.pack;
        let Parts { place, key, value, headers: own, .. } = self.parts();
        // Counting references to what all records share is a wait for whoever counts on another processor.
        if !Arc::ptr_eq(&record.topic, topic) {
            record.topic = Arc::clone(topic);
        }
        record.partition = place.partition;
        record.offset = place.offset;
        record.timestamp = place.timestamp;
        record.is_append_time = place.is_append_time;
        let part = |range: &Range<usize>| bytes.slice(range.clone());
        record.key = key.as_ref().map(part);
        record.value = match value {
            Value::Null => None,
            Value::Small(value) => Some(part(value)),
            Value::Large(value) => Some(value.clone()),
        };
        let header = |Header { name, value }: &Header| {
            let name = match name {
                Name::Usual(name) => Cow::Borrowed(*name),
                Name::Own(name) => Cow::Owned(String::from_utf8_lossy(&bytes[name.clone()]).into_owned()),
            };
            (name, value.clone())
        };
        let before = mem::replace(&mut record.headers, Err(UnreadableHeaders)).unwrap_or_default();
        record.headers =
            own.clone().map(|own| before.replaced(bytes.clone(), headers[own].iter().map(header)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: i64) -> Place {
        Place { partition: 7, offset, timestamp: Some(SystemTime::UNIX_EPOCH), is_append_time: true }
    }

    fn sealed(packing: &mut Packing) -> Vec<Received> {
        packing.seal(&"orders".into()).map(|packed| packed.unpack()).collect()
    }

    #[test]
    fn what_is_packed_together_comes_out_record_by_record() {
        let mut packing = Packing::default();
        let large = vec![1; SMALL + 1];
        assert_eq!(packing.add(place(1), Some(b"key"), Some(b"value")), OVERHEAD + 8);
        packing.add_header("correlation-id", Some(b"c-1"));
        packing.add_header("X-Tenant", Some(b""));
        packing.add_header("X-Tenant", None);
        packing.add(place(2), None, None);
        packing.add(place(4), Some(b""), Some(&large));
        packing.add_header("deadline", Some(b"1"));
        let records = sealed(&mut packing);
        let told: Vec<_> = records
            .iter()
            .map(|record| (record.partition, record.offset, record.key.as_deref(), record.value.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                (7, 1, Some(&b"key"[..]), Some(&b"value"[..])),
                (7, 2, None, None),
                (7, 4, Some(b""), Some(&large))
            ]
        );
        let headers: Vec<Vec<_>> = records.iter().map(|record| record.headers().iter().collect()).collect();
        assert_eq!(
            headers,
            [
                vec![("correlation-id", Some(&b"c-1"[..])), ("X-Tenant", Some(b"")), ("X-Tenant", None)],
                vec![],
                vec![("deadline", Some(&b"1"[..]))],
            ]
        );
        assert!(records.iter().all(|record| &*record.topic == "orders" && record.is_append_time));
    }

    #[test]
    fn a_pack_has_nothing_of_the_one_before() {
        let mut packing = Packing::default();
        packing.add(place(1), Some(b"old"), Some(b"old"));
        packing.add_header("a", Some(b"old"));
        assert_eq!(sealed(&mut packing).len(), 1);
        packing.add(place(2), Some(b"new"), None);
        let [record] = &sealed(&mut packing)[..] else { panic!("one record") };
        assert_eq!((record.offset, record.key.as_deref()), (2, Some(&b"new"[..])));
        assert!(record.headers().is_empty() && sealed(&mut packing).is_empty());
    }

    #[test]
    fn headers_that_cannot_be_read_are_those_of_their_record_alone() {
        let mut packing = Packing::default();
        packing.add(place(1), None, None);
        packing.add_header("a", Some(b"1"));
        packing.headers_are_unreadable();
        packing.add(place(2), None, None);
        packing.add_header("b", Some(b"2"));
        let records = sealed(&mut packing);
        assert_eq!(records[0].headers, Err(UnreadableHeaders));
        assert_eq!(records[1].headers().get("b"), Some(&b"2"[..]));
    }

    #[test]
    fn it_is_full_by_its_bytes_and_a_large_value_is_not_among_them() {
        let mut packing = Packing::default();
        packing.add(place(0), None, Some(&vec![0; 1 << 20]));
        assert!(!packing.is_full());
        for offset in 1..9 {
            assert!(!packing.is_full());
            packing.add(place(offset), None, Some(&[0; SMALL]));
        }
        assert!(packing.is_full());
        sealed(&mut packing);
        assert!(!packing.is_full());
    }
}
