//! Counts the bytes that brokers send, by the client that requested them: every request of Kafka's protocol
//! carries its `client.id`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The bytes of each client over all of its connections. The name "" stands for clients that send no
/// `client.id` or speak another protocol.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

impl Traffic {
    /// Returns the counter of the bytes sent to a client.
    pub(crate) fn of(&self, client: String) -> Arc<AtomicU64> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(clients.entry(client).or_default())
    }

    /// Returns the number of bytes sent to each client so far.
    pub(crate) fn totals(&self) -> BTreeMap<String, u64> {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients.iter().map(|(client, bytes)| (client.clone(), bytes.load(Ordering::Relaxed))).collect()
    }
}

/// The start of a client's first request, which names the client and can arrive in pieces.
#[derive(Debug, Default)]
pub(crate) struct FirstRequest(Vec<u8>);

impl FirstRequest {
    /// Returns the client's name once it has arrived. The name's length has 15 bits, so at most that much is
    /// buffered, plus the last chunk.
    pub(crate) fn read(&mut self, chunk: &[u8]) -> Option<String> {
        self.0.extend_from_slice(chunk);
        client_id(&self.0).map(str::to_owned)
    }
}

/// The bytes between the size of a request and the length of its `client.id`: the API key, the API version
/// and the correlation id.
const BEFORE_LENGTH: usize = 2 + 2 + 4;
const LENGTH: usize = 2;

/// The largest request that a broker accepts by default. Anything that begins with a larger size is another
/// protocol.
const LARGEST: usize = 100 << 20;

/// Returns the `client.id` of a request's header, which every version of the header has. Returns "" if the id
/// is null, does not fit into the request or is not UTF-8, and `None` until enough of the request has
/// arrived.
fn client_id(start: &[u8]) -> Option<&str> {
    let (size, rest) = start.split_first_chunk()?;
    let (_asked, rest) = rest.split_first_chunk::<BEFORE_LENGTH>()?;
    let (length, rest) = rest.split_first_chunk::<LENGTH>()?;
    let size = usize::try_from(i32::from_be_bytes(*size)).unwrap_or(0);
    // A null string has the length -1.
    let Ok(length) = usize::try_from(i16::from_be_bytes(*length)) else { return Some("") };
    if !(BEFORE_LENGTH + LENGTH + length..=LARGEST).contains(&size) {
        return Some("");
    }
    Some(str::from_utf8(rest.get(..length)?).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An `ApiVersions` request, version 3, as a client sends first; without its body.
    fn request(size: i32, length: i16, client: &[u8]) -> Vec<u8> {
        let mut request = size.to_be_bytes().to_vec();
        request.extend([0, 18, 0, 3, 0, 0, 0, 1]);
        request.extend(length.to_be_bytes());
        request.extend(client);
        request
    }

    #[test]
    fn a_client_is_known_as_soon_as_its_name_has_come_whatever_the_pieces() {
        let whole = request(40, 8, b"caller-7 and the rest of a request");
        assert_eq!(client_id(&whole), Some("caller-7"));
        let mut first = FirstRequest::default();
        let pieces: Vec<Option<String>> = whole.chunks(1).take(22).map(|byte| first.read(byte)).collect();
        let (before, last) = pieces.split_at(21);
        assert!(before.iter().all(Option::is_none), "{before:?}");
        assert_eq!(last, [Some("caller-7".to_owned())]);
    }

    #[test]
    fn whoever_gives_no_name_has_none() {
        for (what, odd) in [
            ("a null", request(10, -1, b"")),
            ("an empty name", request(10, 0, b"")),
            ("a negative length", request(40, i16::MIN, b"caller")),
            ("a name longer than its request", request(12, i16::MAX, b"caller")),
            ("a negative size", request(-1, 6, b"caller")),
            ("a size that no broker takes", request((100 << 20) + 1, 6, b"caller")),
            ("a size without a header", request(0, 0, b"")),
            ("not UTF-8", request(40, 2, &[0xff, 0xfe])),
            ("another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ] {
            assert_eq!(client_id(&odd), Some(""), "{what}");
        }
    }

    #[test]
    fn what_has_not_come_is_waited_for() {
        let whole = request(100 << 20, i16::MAX, "n".repeat(32_767).as_bytes());
        for length in [0, 1, 3, 4, 11, 12, 13, 14, 15, whole.len() - 1] {
            assert_eq!(client_id(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(client_id(&whole).map(str::len), Some(32_767));
    }

    #[test]
    fn connections_of_one_client_are_added_up() {
        let traffic = Traffic::default();
        for (client, bytes) in [("one", 1), ("other", 10), ("one", 100)] {
            traffic.clone().of(client.to_owned()).fetch_add(bytes, Ordering::Relaxed);
        }
        assert_eq!(traffic.totals(), BTreeMap::from([("one".to_owned(), 101), ("other".to_owned(), 10)]));
    }
}
