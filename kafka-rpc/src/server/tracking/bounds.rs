//! How much of a partition may be taken, and why a partition takes no more.

use std::fmt;

/// The bounds at which a partition pauses. The partition resumes at half of each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// `max_uncommitted`: how many records may lie at and behind the first unfinished one.
    pub(crate) uncommitted: usize,
    /// `max_buffered_bytes`: how much the unfinished records may weigh.
    pub(crate) bytes: usize,
}

impl Bounds {
    /// Why a partition that has taken this much must pause, if it must.
    pub(super) fn passed_by(self, uncommitted: usize, bytes: usize) -> Option<Because> {
        if uncommitted >= self.uncommitted {
            return Some(Because::Uncommitted);
        }
        (bytes >= self.bytes).then_some(Because::Bytes)
    }

    /// Whether a paused partition that has taken this much may resume.
    pub(super) fn leave_room(self, uncommitted: usize, bytes: usize) -> bool {
        uncommitted <= self.uncommitted / 2 && bytes <= self.bytes / 2
    }
}

/// Why a partition takes no more records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Because {
    /// A reply, retry or dead letter cannot be delivered.
    Held,
    Uncommitted,
    Bytes,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Held => "a reply, retry or dead letter cannot be delivered",
            Self::Uncommitted => {
                "the limit of records behind an unfinished one is reached (`max_uncommitted`)"
            }
            Self::Bytes => "unfinished records have reached their memory limit (`max_buffered_bytes`)",
        })
    }
}
