//! An ordered multimap of headers, which keeps what Kafka keeps: duplicates, order and nulls.

use std::{borrow::Cow, fmt, ops::Range};

use bytes::Bytes;

/// How many headers keep their room for reuse: a stranger's record may have had any number.
const MOST_KEPT: usize = 64;

/// The headers of a record, in their order.
///
/// Names are matched without regard to case. If a name occurs more than once, its first header counts.
///
/// The headers of a received record share memory of up to some 30 KiB with what was received together: copy
/// what is to be kept for long.
///
/// ```
/// use kafka_rpc::Headers;
///
/// let mut headers = Headers::new();
/// headers.push("Tenant", "acme");
/// headers.push("tenant", "second");
/// assert_eq!(headers.text("TENANT"), Some("acme"));
/// assert_eq!(headers.len(), 2);
/// assert!(headers.get_all("tenant").eq([Some(&b"acme"[..]), Some(b"second")]));
/// for (name, value) in &headers {
///     assert!(name.eq_ignore_ascii_case("tenant") && value.is_some());
/// }
/// ```
#[derive(Clone, Default)]
pub struct Headers {
    entries: Vec<Entry>,
    /// What was received. Values are ranges of it, because a `Bytes` for each would cost a reference count
    /// each.
    received: Bytes,
}

type Entry = (Cow<'static, str>, Value);

#[derive(Clone)]
enum Value {
    Null,
    Own(Bytes),
    Received(Range<usize>),
}

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), received: Bytes::new() }
    }

    pub(crate) fn with_capacity(count: usize) -> Self {
        Self { entries: Vec::with_capacity(count), received: Bytes::new() }
    }

    /// Creates the headers of a received record: each value is a range of `received`, or null.
    pub(crate) fn received(
        received: Bytes,
        entries: impl IntoIterator<Item = (Cow<'static, str>, Option<Range<usize>>)>,
    ) -> Self {
        Self::new().replaced(received, entries)
    }

    /// Like `Headers::received`, but reuses the memory of `self`.
    pub(crate) fn replaced(
        mut self,
        received: Bytes,
        entries: impl IntoIterator<Item = (Cow<'static, str>, Option<Range<usize>>)>,
    ) -> Self {
        let part = |range: Option<_>| range.map_or(Value::Null, Value::Received);
        self.entries.clear();
        self.entries.shrink_to(MOST_KEPT);
        self.entries.extend(entries.into_iter().map(|(name, range)| (name, part(range))));
        self.received = received;
        self
    }

    /// Creates headers as they would be received.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn as_received<V: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (String, Option<V>)>) -> Self {
        let mut received = Vec::new();
        let mut part = |value: V| {
            let start = received.len();
            received.extend_from_slice(value.as_ref());
            start..received.len()
        };
        let entries: Vec<_> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.map(&mut part))).collect();
        Self::received(received.into(), entries)
    }

    /// Adds a header after the others.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) {
        self.entries.push((name.into(), Value::Own(value.into())));
    }

    /// The value of the first header of this name. A null value reads as absent.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.bytes_of(self.first(name)?)
    }

    /// The value of the first header of this name as text; `None` if it is absent, null or not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of all headers of this name, in their order; a null value is `None`.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = Option<&[u8]>> {
        self.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of the first header of this name, without borrowing from the headers.
    pub(crate) fn shared(&self, name: &str) -> Option<Bytes> {
        match self.first(name)? {
            Value::Null => None,
            Value::Own(value) => Some(value.clone()),
            Value::Received(range) => Some(self.received.slice(range.clone())),
        }
    }

    fn first(&self, name: &str) -> Option<&Value> {
        self.entries.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn bytes_of<'a>(&'a self, value: &'a Value) -> Option<&'a [u8]> {
        match value {
            Value::Null => None,
            Value::Own(value) => Some(value),
            Value::Received(range) => self.received.get(range.clone()),
        }
    }

    /// Every header, in order; a null value is `None`.
    pub fn iter(&self) -> HeadersIter<'_> {
        HeadersIter { headers: self, entries: self.entries.iter() }
    }

    /// The number of headers, duplicates and nulls included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no headers.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes every header of these names.
    pub(crate) fn remove(&mut self, names: &[&str]) {
        self.entries.retain(|(own, _)| !names.iter().any(|name| own.eq_ignore_ascii_case(name)));
    }

    /// Adds the headers of another after these.
    pub(crate) fn append(&mut self, other: Self) {
        let Self { entries, received } = other;
        let own = |value| match value {
            Value::Received(range) => Value::Own(received.slice(range)),
            value => value,
        };
        self.entries.extend(entries.into_iter().map(|(name, value)| (name, own(value))));
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl<N: Into<Cow<'static, str>>, V: Into<Bytes>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let mut own = Self::new();
        own.extend(headers);
        own
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<Bytes>> Extend<(N, V)> for Headers {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, headers: I) {
        headers.into_iter().for_each(|(name, value)| self.push(name, value));
    }
}

/// Iterates over headers, in order; see [`Headers::iter`].
#[derive(Clone)]
pub struct HeadersIter<'a> {
    headers: &'a Headers,
    entries: std::slice::Iter<'a, Entry>,
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.entries.next()?;
        Some((name, self.headers.bytes_of(value)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for HeadersIter<'_> {}

impl fmt::Debug for HeadersIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone().map(|(name, _)| name)).finish()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = (&'a str, Option<&'a [u8]>);
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> HeadersIter<'a> {
        self.iter()
    }
}

/// Shows names only: values are the caller's, and may be secrets.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name_counts_in_any_case() {
        let mut headers = Headers::new();
        headers.push("Reply-To", "first");
        headers.push("reply-to", "second");
        assert_eq!(headers.text("REPLY-TO"), Some("first"));
    }

    #[test]
    fn nulls_and_duplicates_are_kept_and_a_null_reads_as_absent() {
        let mut headers = Headers::as_received([("a".to_owned(), None::<&str>)]);
        headers.push("a", "1");
        assert_eq!(headers.len(), 2);
        assert_eq!(headers.get("a"), None);
    }

    #[test]
    fn what_was_received_reads_as_what_was_added() {
        let received = || {
            let parts = [("a".into(), Some(2..4)), ("c".into(), Some(4..4))];
            Headers::received(Bytes::from_static(b"k1va"), parts)
        };
        let mut added = Headers::new();
        added.push("a", "va");
        added.push("c", "");
        assert_eq!(received(), added);
        assert_eq!((received().get("A"), received().shared("a")), (Some(&b"va"[..]), Some("va".into())));
        let mut both = Headers::new();
        both.append(received());
        assert_eq!(both, added);
    }

    #[test]
    fn debug_does_not_show_values() {
        let mut headers = Headers::new();
        headers.push("authorization", "hunter2");
        assert_eq!(format!("{headers:?}"), r#"["authorization"]"#);
    }
}
