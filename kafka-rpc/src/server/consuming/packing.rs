//! Packs records as they are received.

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;

use super::pack::{Header, Name, Pack, Packed, Part, Parts, Place, Position, small};
use crate::wire::{names, received::UnreadableHeaders};

/// The size at which a pack takes no more records.
const FULL: usize = 24 << 10;

/// A value that is larger than this has memory of its own.
const LARGE_VALUE: usize = 2 << 10;

/// A record that takes more than this beside a large value has a pack of its own: a record that is kept keeps
/// its whole pack, and one that waits for long must not hold another sender's megabyte of headers.
const LARGE: usize = 2 * LARGE_VALUE;

/// The most headers that sealing keeps room for: more than a full pack usually has.
const USUAL_HEADERS: usize = 1_024;

/// About what a record takes beside its key, value and headers.
const OVERHEAD: usize = 256;

/// What a header takes beside its name and value.
const HEADER_OVERHEAD: usize = size_of::<Header>();

/// Called with each header of a record, in order.
pub(super) type EachHeader<'a> = dyn FnMut(&str, Option<&[u8]>) + 'a;

/// Packs that are not sealed yet. Sealing keeps their memory for the next ones.
#[derive(Default)]
pub(super) struct Packing {
    bytes: Vec<u8>,
    records: Vec<Parts>,
    headers: Vec<Header>,
    /// One per record.
    large_values: Vec<Option<Box<Bytes>>>,
    /// Where the last record begins.
    last: Position,
}

impl Packing {
    /// Adds a record, with the headers that `read_headers` passes on; returns how much memory it takes while
    /// it waits.
    ///
    /// If some headers cannot be read, none are kept.
    pub(super) fn add(
        &mut self,
        place: Place,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        read_headers: impl FnOnce(&mut EachHeader<'_>) -> Result<(), UnreadableHeaders>,
    ) -> usize {
        self.last = self.end();
        let weight = OVERHEAD + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        let key = key.map(|key| self.append(key));
        let large = value.filter(|value| value.len() > LARGE_VALUE);
        let shared = if large.is_some() { None } else { value };
        let value = shared.map(|value| self.append(value));
        let start = self.end();
        let headers = read_headers(&mut |name, value| self.add_header(name, value));
        if headers.is_err() {
            self.bytes.truncate(start.byte);
            self.headers.truncate(start.header);
        }
        let weight = weight + self.taken_since(start);
        let headers = headers.map(|()| Part::of(start.header..self.headers.len()));
        self.records.push(Parts { place, weight: small(weight), key, value, headers });
        self.large_values.push(large.map(|large| Box::new(Bytes::copy_from_slice(large))));
        weight
    }

    fn add_header(&mut self, name: &str, value: Option<&[u8]>) {
        let name = match names::Usual::of(name) {
            Some(usual) => Name::Usual(usual),
            None => Name::Own(self.append(name.as_bytes())),
        };
        let value = value.map(|value| self.append(value));
        self.headers.push(Header { name, value });
    }

    fn append(&mut self, part: &[u8]) -> Part {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(part);
        Part::of(start..self.bytes.len())
    }

    fn end(&self) -> Position {
        Position { byte: self.bytes.len(), header: self.headers.len() }
    }

    /// How much memory was taken since `start`.
    fn taken_since(&self, start: Position) -> usize {
        let Position { byte, header } = self.end();
        (byte - start.byte) + (header - start.header) * HEADER_OVERHEAD
    }

    fn last_is_large(&self) -> bool {
        self.taken_since(self.last) > LARGE
    }

    /// Whether the pack must be sealed before more is added.
    pub(super) fn is_full(&self) -> bool {
        self.taken_since(Position::default()) >= FULL || self.last_is_large()
    }

    /// Packs the records that were added, which are all of this topic, and passes them to `each` in order.
    pub(super) fn seal(&mut self, topic: &Arc<str>, mut each: impl FnMut(Packed)) {
        let (mut start, end) = (Position::default(), self.end());
        if self.last_is_large() {
            self.seal_some(self.records.len().saturating_sub(1), topic, start..self.last, &mut each);
            start = self.last;
        }
        self.seal_some(self.records.len(), topic, start..end, &mut each);
        self.bytes.clear();
        self.headers.clear();
        self.last = Position::default();
        // A single record may have taken any amount of memory.
        self.bytes.shrink_to(4 * FULL);
        self.headers.shrink_to(USUAL_HEADERS);
    }

    /// Packs the next `count` records, whose parts lie in the range `place`.
    fn seal_some(
        &mut self,
        count: usize,
        topic: &Arc<str>,
        place: Range<Position>,
        each: &mut impl FnMut(Packed),
    ) {
        if count == 0 {
            return;
        }
        let Range { start, end } = place;
        // Copied to allocations of the exact size: a pack may live for as long as its slowest record takes.
        let pack = Arc::new(Pack {
            topic: Arc::clone(topic),
            start,
            bytes: Bytes::copy_from_slice(&self.bytes[start.byte..end.byte]),
            records: self.records.drain(..count).collect(),
            headers: self.headers.drain(..end.header - start.header).collect(),
        });
        let records = (0..).zip(&pack.records).zip(self.large_values.drain(..count));
        for ((index, Parts { place, .. }), large_value) in records {
            each(Packed { pack: Arc::clone(&pack), index, partition: place.partition, large_value });
        }
    }
}

/// Shows the sizes, and none of the contents.
impl fmt::Debug for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packing")
            .field("records", &self.records.len())
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ReceivedRecord;

    fn place(offset: i64) -> Place {
        Place { partition: 7, offset, timestamp: 0, is_append_time: true }
    }

    fn sealed(packing: &mut Packing) -> Vec<Packed> {
        let mut records = Vec::new();
        packing.seal(&"orders".into(), |record| records.push(record));
        records
    }

    fn unpacked(packing: &mut Packing) -> Vec<ReceivedRecord> {
        sealed(packing).iter().map(Packed::unpack).collect()
    }

    fn add(
        packing: &mut Packing,
        place: Place,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> usize {
        packing.add(place, key, value, |each| {
            for (name, value) in headers {
                each(name, *value);
            }
            Ok(())
        })
    }

    /// Adds one record of each kind: complete, empty, with a large value, with unreadable headers, and with
    /// large headers.
    fn added(packing: &mut Packing) {
        let three = [("correlation-id", Some(&b"c-1"[..])), ("X-Tenant", Some(b"")), ("X-Tenant", None)];
        let weight = add(packing, place(1), Some(b"key"), Some(b"value"), &three);
        assert_eq!(weight, OVERHEAD + 8 + 3 + 16 + 3 * HEADER_OVERHEAD, "no usual name is kept");
        let nowhen = Place { timestamp: -1, is_append_time: false, ..place(2) };
        add(packing, nowhen, None, None, &[]);
        add(packing, place(4), Some(b""), Some(&[1; LARGE_VALUE + 1]), &[("deadline", Some(b"1"))]);
        let weight = packing.add(place(5), None, Some(b""), |each| {
            each("a", Some(b"1"));
            Err(UnreadableHeaders)
        });
        assert_eq!(weight, OVERHEAD);
        let large = [("large", Some(&[2; LARGE][..])), ("deadline", Some(b"2"))];
        add(packing, place(6), Some(b"6"), Some(b"last"), &large);
        assert!(packing.is_full());
    }

    #[test]
    fn what_is_packed_together_comes_out_record_by_record() {
        let mut packing = Packing::default();
        added(&mut packing);
        let records = unpacked(&mut packing);
        let told: Vec<_> = records
            .iter()
            .map(|record| (record.partition, record.offset, record.key.as_deref(), record.value.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                (7, 1, Some(&b"key"[..]), Some(&b"value"[..])),
                (7, 2, None, None),
                (7, 4, Some(b""), Some(&[1; LARGE_VALUE + 1])),
                (7, 5, None, Some(b"")),
                (7, 6, Some(b"6"), Some(b"last")),
            ]
        );
        let headers: Vec<Option<Vec<_>>> =
            records.iter().map(|record| Some(record.headers.as_ref().ok()?.iter().collect())).collect();
        assert_eq!(
            headers,
            [
                Some(vec![
                    ("correlation-id", Some(&b"c-1"[..])),
                    ("X-Tenant", Some(b"")),
                    ("X-Tenant", None)
                ]),
                Some(vec![]),
                Some(vec![("deadline", Some(b"1"))]),
                None,
                Some(vec![("large", Some(&[2; LARGE])), ("deadline", Some(b"2"))]),
            ]
        );
        assert!(records.iter().all(|record| &*record.topic == "orders"));
        assert_eq!(records.iter().filter(|record| record.is_append_time).count(), 4);
        assert!(sealed(&mut packing).is_empty(), "and once");
    }

    #[test]
    fn in_the_place_of_any_other_a_record_is_what_it_is_by_itself() {
        let mut packing = Packing::default();
        let records = [(); 2].map(|()| {
            added(&mut packing);
            sealed(&mut packing)
        });
        let records: Vec<Packed> = records.into_iter().flatten().collect();
        let told = |record: &ReceivedRecord| {
            let ReceivedRecord { topic, partition, offset, timestamp, is_append_time, key, value, headers } =
                record.clone();
            ((topic, partition, offset, timestamp), (is_append_time, key, value, headers))
        };
        for before in &records {
            for record in &records {
                let mut place = before.unpack();
                record.unpack_into(&mut place);
                assert_eq!(told(&place), told(&record.unpack()));
            }
        }
    }

    #[test]
    fn a_record_that_waits_keeps_nobodys_large_value_and_large_headers_with_it() {
        let mut packing = Packing::default();
        added(&mut packing);
        let records = sealed(&mut packing);
        let packs: Vec<usize> = records.iter().map(|record| record.pack.bytes.len()).collect();
        assert!(packs[..4].iter().all(|bytes| *bytes < 100) && packs[4] > LARGE, "{packs:?}");
        assert!(records.iter().filter(|record| record.large_value.is_some()).count() == 1);
    }

    #[test]
    fn many_headers_are_large_though_they_say_nothing() {
        let mut packing = Packing::default();
        add(&mut packing, place(0), None, None, &[]);
        let weight = add(&mut packing, place(1), None, None, &vec![("", None); 100_000]);
        assert!(weight > 100_000 * HEADER_OVERHEAD && packing.is_full());
        let records = sealed(&mut packing);
        let headers: Vec<usize> = records.iter().map(|record| record.pack.headers.len()).collect();
        assert_eq!(headers, [0, 100_000]);
        assert_eq!(records[1].unpack().headers().len(), 100_000);
        assert!(packing.headers.capacity() <= USUAL_HEADERS);
    }

    #[test]
    fn it_is_full_by_what_it_takes_and_has_no_more_room_than_usual_afterwards() {
        let mut packing = Packing::default();
        add(&mut packing, place(0), None, Some(&vec![0; 1 << 20]), &[]);
        for offset in 1..=12 {
            assert!(!packing.is_full());
            add(&mut packing, place(offset), None, Some(&[0; LARGE_VALUE]), &[]);
        }
        assert!(packing.is_full());
        assert_eq!(sealed(&mut packing).len(), 13);
        assert!(!packing.is_full());
        add(&mut packing, place(20), Some(&vec![0; 1 << 20]), None, &[]);
        assert!(packing.is_full());
        assert_eq!(sealed(&mut packing).len(), 1);
        assert!(packing.bytes.capacity() <= 4 * FULL);
    }
}
