//! One assignment of one partition: what was taken of it, and how far it has come.

use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    bounds::{Because, Bounds},
    offsets::Offsets,
};

/// How many records of a partition may wait for a delivery to work again before no more of it are started: what is started behind
/// so many would most likely wait too.
pub(super) const MOST_HELD: usize = 16;

/// Whether a record may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Runs,
    /// As many of its partition wait for a delivery to work again as may.
    Waits,
    /// Its generation is not ours any more.
    Gone,
}

/// One assignment of one partition. A record that outlives the assignment it was taken in counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Generation(u64);

impl Generation {
    /// One that is like none before.
    pub(super) fn next(next: &mut u64) -> Self {
        let generation = Self(*next);
        *next += 1;
        generation
    }
}

/// A partition that is assigned.
#[derive(Debug)]
pub(super) struct Assigned {
    /// The first, and the one that counts: there are several where offsets went back.
    pub(super) began: Generation,
    pub(super) generation: Generation,
    pub(super) offsets: Offsets,
    /// The weight of the records that were taken and are not finished.
    pub(super) bytes: usize,
    pub(super) paused: bool,
    /// Whether it went on after that.
    pub(super) was_resumed: bool,
    /// Where the consumer is to go back to before more is taken.
    pub(super) goes_back: Option<i64>,
    /// How many handlers run, those of earlier generations too: their keys must not run elsewhere.
    pub(super) running: usize,
    /// How many records wait for a delivery to work again: until then the partition takes no more.
    pub(super) held: usize,
    /// The last watermark that is known to be committed.
    pub(super) committed: Option<i64>,
    /// Ends what only waits for its time, once this assignment has ended.
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

    /// Why it takes no more, if it does not.
    pub(super) fn why_full(&self, bounds: Bounds) -> Option<Because> {
        if self.held > 0 {
            return Some(Because::Held);
        }
        bounds.passed_by(self.offsets.uncommitted(), self.bytes)
    }

    /// Whether records of it may start: not while as many wait for a delivery to work again as may.
    pub(super) fn may_start(&self) -> bool {
        self.held < MOST_HELD
    }

    /// Begins a new generation where offsets have gone back to this one. What is not finished below it comes again once the
    /// consumer has gone back.
    pub(super) fn begin_anew(&mut self, generation: Generation, offset: i64) {
        let goes_back = self.offsets.watermark().filter(|watermark| *watermark < offset);
        let Self { began, paused, was_resumed, running, .. } = *self;
        *self = Self { began, paused, was_resumed, goes_back, running, ..Self::new(generation) };
    }

    /// The watermark, where it has moved since it was committed. Nothing finished yet: what is committed is where we started.
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
