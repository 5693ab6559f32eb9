//! Packs records while they are received.

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;

use super::{
    pack::{Header, Name, Pack, Packed, Parts, Place, Position},
    received::UnreadableHeaders,
};
use crate::wire::names;

/// A pack of so many bytes takes no more records.
const FULL: usize = 16 << 10;

/// A value that is larger than this has memory of its own.
const LARGE_VALUE: usize = 2 << 10;

/// A record that takes more than this beside such a value has a pack of its own: whoever keeps a record keeps its pack, and
/// one that waits for long must not hold a stranger's megabyte of headers.
const LARGE: usize = 2 * LARGE_VALUE;

/// How many headers there is always room for: those of a full pack, in most cases.
const USUAL_HEADERS: usize = 1_024;

/// What a record takes beside its key, value and headers, about.
const OVERHEAD: usize = 256;

/// A pack that is not sealed yet. Its room is used again for the next.
#[derive(Default)]
pub(crate) struct Packing {
    bytes: Vec<u8>,
    records: Vec<Parts>,
    headers: Vec<Header>,
    /// Of each record.
    large_values: Vec<Option<Box<Bytes>>>,
    /// Where the last record begins.
    last: Position,
}

impl Packing {
    /// Adds a record that has no headers yet.
    pub(crate) fn add(&mut self, place: Place, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.last = self.position();
        let weight = OVERHEAD + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        let key = key.map(|key| self.append(key));
        let large = value.filter(|value| value.len() > LARGE_VALUE);
        let small = if large.is_some() { None } else { value };
        let value = small.map(|value| self.append(value));
        let headers = Ok(self.headers.len()..self.headers.len());
        self.records.push(Parts { place, weight, key, value, headers });
        self.large_values.push(large.map(|large| Box::new(Bytes::copy_from_slice(large))));
    }

    /// Adds a header to the last record.
    pub(crate) fn add_header(&mut self, name: &str, value: Option<&[u8]>) {
        let weight = name.len() + value.map_or(0, <[u8]>::len);
        let name = match names::usual(name) {
            Some(usual) => Name::Usual(usual),
            None => Name::Own(self.append(name.as_bytes())),
        };
        let value = value.map(|value| self.append(value));
        self.headers.push(Header { name, value });
        if let Some(last) = self.records.last_mut() {
            last.weight += weight;
            if let Ok(headers) = &mut last.headers {
                headers.end = self.headers.len();
            }
        }
    }

    /// Notes that the headers of the last record cannot be read.
    pub(crate) fn headers_are_unreadable(&mut self) {
        if let Some(last) = self.records.last_mut() {
            last.headers = Err(UnreadableHeaders);
        }
    }

    /// What the last record takes in memory while it waits.
    pub(crate) fn last_weight(&self) -> usize {
        self.records.last().map_or(0, |last| last.weight)
    }

    fn append(&mut self, part: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(part);
        start..self.bytes.len()
    }

    fn position(&self) -> Position {
        Position { byte: self.bytes.len(), header: self.headers.len() }
    }

    fn last_is_large(&self) -> bool {
        self.bytes.len() - self.last.byte > LARGE
    }

    /// Whether it is to be sealed before more is added.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL || self.last_is_large()
    }

    /// Packs what was added, of this topic; hands on its records in order.
    pub(crate) fn seal(&mut self, topic: &Arc<str>, mut each: impl FnMut(Packed)) {
        let (mut start, end) = (Position::default(), self.position());
        if self.last_is_large() {
            self.seal_some(self.records.len() - 1, topic, start..self.last, &mut each);
            start = self.last;
        }
        self.seal_some(self.records.len(), topic, start..end, &mut each);
        self.bytes.clear();
        self.last = Position::default();
        // A stranger's record may have been of any size.
        self.bytes.shrink_to(4 * FULL);
        self.headers.shrink_to(USUAL_HEADERS);
    }

    /// Packs so many records, the first of those that are left, which lie here.
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
        // Copied to where it fits exactly: it may be kept for as long as its slowest record takes.
        let pack = Arc::new(Pack {
            topic: Arc::clone(topic),
            start,
            bytes: Bytes::copy_from_slice(&self.bytes[start.byte..end.byte]),
            records: self.records.drain(..count).collect(),
            headers: self.headers.drain(..end.header - start.header).collect(),
        });
        for (index, large_value) in self.large_values.drain(..count).enumerate() {
            each(Packed { pack: Arc::clone(&pack), index, large_value });
        }
    }
}

/// How much there is, and nothing of what it says.
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
    use std::time::SystemTime;

    use super::{super::received::Received, *};

    fn place(offset: i64) -> Place {
        Place { partition: 7, offset, timestamp: Some(SystemTime::UNIX_EPOCH), is_append_time: true }
    }

    fn sealed(packing: &mut Packing) -> Vec<Packed> {
        let mut records = Vec::new();
        packing.seal(&"orders".into(), |record| records.push(record));
        records
    }

    fn unpacked(packing: &mut Packing) -> Vec<Received> {
        sealed(packing).iter().map(Packed::unpack).collect()
    }

    /// Of everything a record can be: whole, without anything, of a large value, with headers that cannot be read, and of
    /// large headers.
    fn added(packing: &mut Packing) {
        packing.add(place(1), Some(b"key"), Some(b"value"));
        packing.add_header("correlation-id", Some(b"c-1"));
        packing.add_header("X-Tenant", Some(b""));
        packing.add_header("X-Tenant", None);
        assert_eq!(packing.last_weight(), OVERHEAD + 8 + 17 + 16);
        packing.add(Place { timestamp: None, is_append_time: false, ..place(2) }, None, None);
        packing.add(place(4), Some(b""), Some(&[1; LARGE_VALUE + 1]));
        packing.add_header("deadline", Some(b"1"));
        packing.add(place(5), None, Some(b""));
        packing.add_header("a", Some(b"1"));
        packing.headers_are_unreadable();
        packing.add(place(6), Some(b"6"), Some(b"last"));
        packing.add_header("large", Some(&[2; LARGE]));
        packing.add_header("deadline", Some(b"2"));
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
        let records = records.concat();
        let told = |record: &Received| {
            let Received { topic, partition, offset, timestamp, is_append_time, key, value, headers } =
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
    fn it_is_full_by_its_bytes_or_by_one_large_record_and_has_no_more_room_than_usual_afterwards() {
        let mut packing = Packing::default();
        packing.add(place(0), None, Some(&vec![0; 1 << 20]));
        for offset in 1..9 {
            assert!(!packing.is_full());
            packing.add(place(offset), None, Some(&[0; LARGE_VALUE]));
        }
        assert!(packing.is_full());
        assert_eq!(sealed(&mut packing).len(), 9);
        assert!(!packing.is_full());
        packing.add(place(9), None, None);
        for _ in 0..100_000 {
            packing.add_header("of a stranger", Some(&[0; 10]));
        }
        assert!(packing.is_full());
        assert_eq!(unpacked(&mut packing)[0].headers().len(), 100_000);
        assert!(packing.bytes.capacity() <= 4 * FULL && packing.headers.capacity() <= USUAL_HEADERS);
    }
}
