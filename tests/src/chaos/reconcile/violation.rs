//! What must not happen in a run.

use std::{fmt, time::Duration};

use super::super::ledger::Place;

/// Something that the promises exclude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// A command that the broker had, and that was neither handled to its end, nor dead-lettered, nor
    /// expired.
    Lost { id: u64, place: Option<Place>, why: &'static str },
    /// A command whose reply is in no topic, or was passed over by its caller.
    ReplyLost { id: u64, why: &'static str },
    /// A call that ended more than a small bound after its deadline, or not at all.
    Hung { id: u64, late: Option<Duration> },
    /// A command whose outcome does not fit it, such as the answer to another command.
    Wrong { id: u64, why: String },
    /// A reply that answers no command.
    Stray { place: Place },
    /// Handlers of one key that ran out of order, or concurrently, within one assignment.
    Order { service: String, key: String, place: Place, why: &'static str },
    /// Handlers of one key that ran concurrently in two assignments, although the first was given up cleanly.
    Overlap { service: String, key: String, place: Place },
    /// A command that is stored behind a later one of its key.
    Misplaced { id: u64, place: Place },
    /// One command at two places in the log.
    StoredTwice { id: u64, places: Vec<Place> },
    /// A partition that was not committed to its end.
    NotCommitted { partition: i32, committed: i64, end: i64 },
    /// A process that ended unasked, or failed when asked to stop.
    Died { name: String, how: String },
}

/// The kinds, as the report counts them.
pub(crate) const KINDS: [&str; 10] = [
    "lost",
    "replies lost",
    "hung",
    "wrong answers",
    "order violations within an assignment",
    "overlaps of assignments that were given up",
    "stored out of order",
    "stored twice",
    "partitions not committed to their end",
    "processes that died by themselves",
];

impl Violation {
    /// The kind of violation, one of [`KINDS`].
    pub(crate) fn kind(&self) -> &'static str {
        KINDS[match self {
            Self::Lost { .. } => 0,
            Self::ReplyLost { .. } => 1,
            Self::Hung { .. } => 2,
            Self::Wrong { .. } | Self::Stray { .. } => 3,
            Self::Order { .. } => 4,
            Self::Overlap { .. } => 5,
            Self::Misplaced { .. } => 6,
            Self::StoredTwice { .. } => 7,
            Self::NotCommitted { .. } => 8,
            Self::Died { .. } => 9,
        }]
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { id, place: Some(place), why } => write!(f, "command {id} at {place} is lost: {why}"),
            Self::Lost { id, place: None, why } => write!(f, "command {id} is lost: {why}"),
            Self::ReplyLost { id, why } => write!(f, "the reply to command {id} is lost: {why}"),
            Self::Hung { id, late: Some(late) } => {
                write!(f, "the call of command {id} ended {late:?} after its deadline")
            }
            Self::Hung { id, late: None } => write!(f, "the call of command {id} did not end"),
            Self::Wrong { id, why } => write!(f, "command {id}: {why}"),
            Self::Stray { place } => write!(f, "the reply at {place} answers no command"),
            Self::Order { service, key, place, why } => write!(f, "{service}, key {key}, {place}: {why}"),
            Self::Overlap { service, key, place } => {
                write!(f, "{service}, key {key}, {place}: started while another instance ran the key")
            }
            Self::Misplaced { id, place } => {
                write!(f, "command {id} at {place} is stored behind a later one of its key")
            }
            Self::StoredTwice { id, places } => {
                write!(f, "command {id} is stored {} times:", places.len())?;
                places.iter().try_for_each(|place| write!(f, " {place}"))
            }
            Self::NotCommitted { partition, committed, end } => {
                write!(f, "partition {partition} is committed to {committed} of {end}")
            }
            Self::Died { name, how } => write!(f, "{name}: {how}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}
