//! One topic and one group: what the runtime consumes as a unit.

use std::fmt;

use crate::{Dialect, Location};

/// The order in which the records of one partition are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Ordering {
    /// Records of one key run one at a time and in order, different keys concurrently. The default.
    ///
    /// Records without a key count as one key: within a partition they run one at a time and in order.
    #[default]
    Key,
    /// Records of one partition run one at a time.
    Partition,
    /// No order: all records run concurrently, up to `concurrency`.
    None,
}

impl fmt::Display for Ordering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Partition => "partition",
            Self::None => "none",
        })
    }
}

/// Where the replies or the dead letters of a subscription go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// This topic.
    Topic(&'static str),
    /// Nowhere: the commands are events, or records that fail for good are dropped.
    None,
}

/// The topic, the group and the options of a subscription, as one attribute states them.
///
/// Its builder functions are const, so that it can be a constant beside the item it describes. Several may
/// describe the same topic and group; the options that they state must agree, and the runtime's `build()`
/// reports those that do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    pub(crate) topic: &'static str,
    pub(crate) group: &'static str,
    pub(crate) location: Location,
    pub(crate) replies: Option<Destination>,
    pub(crate) dead_letter: Option<Destination>,
    pub(crate) ordering: Option<Ordering>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) retry_topic: Option<&'static str>,
    pub(crate) dialect: Dialect,
    pub(crate) of_dead_letters: bool,
}

impl Subscription {
    /// A subscription with every option at its default.
    pub const fn new(topic: &'static str, group: &'static str, location: Location) -> Self {
        Self {
            topic,
            group,
            location,
            replies: None,
            dead_letter: None,
            ordering: None,
            concurrency: None,
            retry_topic: None,
            dialect: Dialect::Reference,
            of_dead_letters: false,
        }
    }

    /// A subscription to the dead letters of `topic`. It reads the topic that the handlers of `topic` in this
    /// process send their dead letters to, or `<topic>.dlq` if there are none.
    ///
    /// A dead letter that cannot be handled stays where it is: it has no dead-letter topic of its own.
    pub const fn of_dead_letters(topic: &'static str, group: &'static str, location: Location) -> Self {
        let mut letters = Self::new(topic, group, location);
        letters.replies = Some(Destination::None);
        // A letter has the headers of its record, written in the dialect of that record's sender.
        letters.dialect = Dialect::Any;
        letters.of_dead_letters = true;
        letters
    }

    /// Sends retries through this topic instead of keeping them in the process: delays may be longer than
    /// `drain_timeout`, up to the [`longest_delay`](crate::RetryPolicy::longest_delay) of the policy, and
    /// survive a restart. Nothing else may read the topic: two subscriptions would handle each other's
    /// records.
    #[must_use]
    pub const fn retry_topic(mut self, topic: &'static str) -> Self {
        self.retry_topic = Some(topic);
        self
    }

    /// Sets how requests and replies are written: by default [`Dialect::Reference`].
    #[must_use]
    pub const fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Sets where replies go: by default the topic with `-commands` replaced by `-responses`, else
    /// `<topic>-responses`; with [`Dialect::Nest`] `<topic>.reply`.
    #[must_use]
    pub const fn replies(mut self, replies: Destination) -> Self {
        self.replies = Some(replies);
        self
    }

    /// Sets where records that cannot be handled go: by default `<topic>.dlq`.
    #[must_use]
    pub const fn dead_letter(mut self, topic: Destination) -> Self {
        self.dead_letter = Some(topic);
        self
    }

    /// Sets the order of handling: by default [`Ordering::Key`].
    #[must_use]
    pub const fn ordering(mut self, ordering: Ordering) -> Self {
        self.ordering = Some(ordering);
        self
    }

    /// Sets how many handlers run at once: by default 256, and the same number again for the retry topic.
    #[must_use]
    pub const fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = Some(concurrency);
        self
    }

    /// The topic that replies go to, if any.
    pub(crate) fn reply_topic(&self) -> Option<String> {
        match self.replies {
            Some(Destination::Topic(topic)) => Some(topic.to_owned()),
            Some(Destination::None) => None,
            None => Some(self.dialect.default_reply_topic(self.topic)),
        }
    }
}
