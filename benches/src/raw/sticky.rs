//! The partition that records go to at the moment.

use std::time::Instant;

/// Chooses the same partition for all records within a few milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sticky {
    partitions: i32,
    started: Instant,
}

impl Sticky {
    pub(super) fn new(partitions: i32) -> Self {
        Self { partitions, started: Instant::now() }
    }

    pub(super) fn partition(self) -> Option<i32> {
        let turn = i32::try_from(self.started.elapsed().as_millis() / 4 % 1_000_000).ok()?;
        turn.checked_rem(self.partitions)
    }
}
