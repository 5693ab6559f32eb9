//! An ordered multimap of headers, which keeps what Kafka keeps: duplicates, order and nulls.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

/// The headers of a record, in their order.
///
/// Names are matched without regard to case, and where one occurs more than once the first counts.
///
/// ```
/// use kafka_rpc::Headers;
///
/// let mut headers = Headers::new();
/// headers.push("Tenant", "acme");
/// headers.push("tenant", "second");
/// assert_eq!(headers.text("TENANT"), Some("acme"));
/// assert_eq!(headers.len(), 2);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    entries: Vec<(Cow<'static, str>, Option<Bytes>)>,
}

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    pub(crate) fn with_capacity(count: usize) -> Self {
        Self { entries: Vec::with_capacity(count) }
    }

    /// Adds a header after the others.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) {
        self.entries.push((name.into(), Some(value.into())));
    }

    /// Adds a header as it was received, which may be null.
    pub(crate) fn push_received(&mut self, name: impl Into<Cow<'static, str>>, value: Option<Bytes>) {
        self.entries.push((name.into(), value));
    }

    /// The value of the first header of this name. A null value reads as absent.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.entries
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| value.as_ref())
    }

    /// The same as text; `None` too where it is not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Every header, in order; the value is `None` where it is null.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Option<&Bytes>)> {
        self.entries.iter().map(|(name, value)| (&**name, value.as_ref()))
    }

    /// How many there are, duplicates and nulls included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes every header of these names.
    pub(crate) fn remove(&mut self, names: &[&str]) {
        self.entries.retain(|(own, _)| !names.iter().any(|name| own.eq_ignore_ascii_case(name)));
    }

    /// Adds all of another's after one's own.
    pub(crate) fn append(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }
}

/// Names only: values are the caller's own, and may be secrets.
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
        let mut headers = Headers::new();
        headers.push_received("a", None);
        headers.push("a", "1");
        assert_eq!(headers.len(), 2);
        assert_eq!(headers.get("a"), None);
    }

    #[test]
    fn debug_does_not_show_values() {
        let mut headers = Headers::new();
        headers.push("authorization", "hunter2");
        assert_eq!(format!("{headers:?}"), r#"["authorization"]"#);
    }
}
