//! One assignment of one partition: the records that were taken in it, and how far they are finished.

use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    bounds::{Because, Bounds},
    offsets::Offsets,
};

/// How many records of a partition may wait for deliveries to work again before no more of its records start:
/// behind that many, another would most likely wait too.
pub(super) const MOST_HELD: usize = 16;

/// Whether a record may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Runs,
    /// [`MOST_HELD`] records of its partition already wait for deliveries to work again.
    Waits,
    /// Its generation has ended, or its partition is being given up.
    Gone,
}

/// One assignment of one partition, up to where its offsets go back. A record that outlives its generation
/// counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Generation(u64);

impl Generation {
    /// Returns a generation that differs from all before it.
    pub(in crate::server) fn next(next: &mut u64) -> Self {
        let generation = Self(*next);
        *next += 1;
        generation
    }
}

/// An assigned partition.
#[derive(Debug)]
pub(super) struct Assigned {
    /// The first generation of this assignment. Whenever offsets go back, another follows within the same
    /// assignment.
    pub(super) began: Generation,
    pub(super) generation: Generation,
    pub(super) offsets: Offsets,
    /// The weight of the records that were taken and are unfinished.
    pub(super) bytes: usize,
    pub(super) paused: bool,
    /// Whether the partition was ever resumed in this assignment.
    pub(super) was_resumed: bool,
    /// The offset that the consumer must seek back to before more records are taken.
    pub(super) goes_back: Option<i64>,
    /// How many handlers run, including those of earlier generations: their keys must not run elsewhere
    /// meanwhile.
    pub(super) running: usize,
    /// How many records wait for a delivery to work again. While any does, the partition takes no more.
    pub(super) held: usize,
    /// The last watermark that is known to be committed.
    pub(super) committed: Option<i64>,
    /// Cancels what only waits for its time, such as a retry, once this generation has ended.
    pub(super) ended: DropGuard,
}

impl Assigned {
    pub(super) fn new(generation: Generation) -> Self {
        Self {
            began: generation,
            generation,
            offsets: Offsets::default(),
            bytes: 0,
            paused: false,
            was_resumed: false,
            goes_back: None,
            running: 0,
            held: 0,
            committed: None,
            ended: CancellationToken::new().drop_guard(),
        }
    }

    /// Why the partition takes no more records, if it takes none.
    pub(super) fn why_full(&self, bounds: Bounds) -> Option<Because> {
        if self.held > 0 {
            return Some(Because::Held);
        }
        bounds.passed_by(self.offsets.uncommitted(), self.bytes)
    }

    /// Whether records of the partition may start: not while [`MOST_HELD`] of them wait for deliveries to
    /// work again.
    pub(super) fn may_start(&self) -> bool {
        self.held < MOST_HELD
    }

    /// Begins a new generation after offsets went back to `offset`. Unfinished records below it come again
    /// once the consumer has sought back.
    pub(super) fn begin_anew(&mut self, generation: Generation, offset: i64) {
        let goes_back = self.offsets.watermark().filter(|watermark| *watermark < offset);
        let Self { began, paused, was_resumed, running, .. } = *self;
        *self = Self { began, paused, was_resumed, goes_back, running, ..Self::new(generation) };
    }

    /// The watermark, if it has moved since it was committed. Before any record is finished, the watermark is
    /// the offset that the assignment started at.
    pub(super) fn due_commit(&self) -> Option<i64> {
        self.offsets
            .watermark()
            .filter(|watermark| self.committed.is_none_or(|committed| *watermark > committed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_is_committed_until_it_is_known_to_be() {
        let mut own = Assigned::new(Generation(0));
        assert_eq!(own.due_commit(), None);
        own.offsets.take(5);
        own.offsets.finish(5);
        assert_eq!((own.due_commit(), own.due_commit()), (Some(6), Some(6)));
        own.committed = Some(6);
        assert_eq!(own.due_commit(), None);
    }
}
